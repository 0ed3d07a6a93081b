"""Classes of images as an input of the networks: class 0..K-1, or K where the class is withheld.

Ho & Salimans, *Classifier-Free Diffusion Guidance* (2022), arXiv:2207.12598, algorithm 1: by withholding the class of
some images one network learns those of each class and those of all.
"""

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor, nn

from gen_export.data.classes import MOST_CLASSES
from gen_export.models.draws import Source, draw_rows
from gen_export.models.family import Batch, require
from gen_export.spec.guidance import ANY, EACH
from gen_runtime.ports import Port

WITHHELD = 0.1
"""Share of the images whose class is withheld in training."""
Classes = Annotated[tuple[str, ...], "Learn the images' classes too: the sampler then takes a label."]


class LabelEmbedding(nn.Module):
    """A vector for each class and one for any, all zero at first.

    Args:
        classes: K.
        length: Numbers a vector.
    """

    def __init__(self, classes: int, length: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(classes + 1, length))

    def forward(self, label: Tensor | None) -> Tensor:
        """The vectors (B, length) of labels (B,), or one row for a label () of all images; None is any."""
        return self.table[-1:] if label is None else self.table.index_select(0, label.reshape(-1))


def require_classes(classes: tuple[str, ...]) -> None:
    """Refuses what are no names of classes.

    Raises:
        ConfigError: They are not two or more different identifiers, at most `MOST_CLASSES`.
    """
    named = isinstance(classes, tuple) and all(isinstance(name, str) and name.isidentifier() for name in classes)
    fits = named and (not classes or 2 <= len(classes) <= MOST_CLASSES)
    different = fits and len({*classes, ANY, EACH}) == len(classes) + 2
    expected = f"2 to {MOST_CLASSES} different names, none of them {ANY} or {EACH}"
    require(different, "classes", expected, classes)


def label_ports(classes: Sequence[str], *more: str) -> tuple[Port, ...]:
    """The class of a graph's images as its last input, by default any; none for a model without classes.

    Args:
        classes: Their names.
        more: Names of further choices, the last of which is then the default.
    """
    if not classes:
        return ()
    names = (*classes, ANY, *more)
    last = len(names) - 1
    return (Port("label", "int64", (), "class of the images", 0, last, last, optional=True, choices=names),)


def told(batch: Batch, classes: Sequence[str], rng: Source) -> Tensor | None:
    """The classes (B,) that a network learns a batch with, some withheld; None for a model without classes."""
    if not classes:
        return None
    assert batch.labels is not None
    hidden = draw_rows(torch.rand, batch.labels.shape, rng) < WITHHELD
    return batch.labels.masked_fill(hidden, len(classes))
