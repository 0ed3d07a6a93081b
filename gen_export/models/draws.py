"""Noise for a part of a batch: the rows that the whole batch would have drawn.

So a batch gives the same gradients whether one process has all of it, or several have a part each.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Generator, Tensor


@dataclass(slots=True)
class Part:
    """Which of some equal parts of a batch the losses are computed on: by default the only one.

    Attributes:
        index: Which part, from 0.
        count: How many there are.
    """

    index: int = 0
    count: int = 1


# Not an attribute of the generator, for torch.compile lets it have none of ours, nor of the batch, which not every
# function that draws is given.
NOW = Part()


@contextmanager
def part_of_batch(index: int, count: int) -> Iterator[None]:
    """While it lasts, what is drawn is for one of `count` equal parts of a batch."""
    before = NOW.index, NOW.count
    NOW.index, NOW.count = index, count
    try:
        yield
    finally:
        NOW.index, NOW.count = before


def draw_rows(draw: Callable[..., Tensor], shape: Sequence[int], rng: Generator) -> Tensor:
    """This part's rows of what is drawn for the whole batch.

    Args:
        draw: Such as `torch.randn`, called with a shape, `generator` and `device`.
        shape: Of the part, whose first axis is that of its images.
        rng: The generator; in every part it must stand where it stands in the others.
    """
    whole = draw((shape[0] * NOW.count, *shape[1:]), generator=rng, device=rng.device)
    return whole[NOW.index * shape[0] : (NOW.index + 1) * shape[0]]


def pick_rows(values: Tensor, count: int, rng: Generator) -> Tensor:
    """`count` rows drawn with replacement from those of the whole batch: 0 for the ones that are in another part.

    Args:
        values: This part's rows, (n, ..).
        count: How many to draw.
        rng: The generator.
    """
    chosen = torch.randint(len(values) * NOW.count, (count,), generator=rng, device=values.device)
    chosen = chosen - NOW.index * len(values)
    here = (chosen >= 0) & (chosen < len(values))
    drawn = values[chosen.clamp(0, len(values) - 1)]
    return torch.where(here.reshape(-1, *[1] * (values.ndim - 1)), drawn, 0.0)
