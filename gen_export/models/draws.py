"""Noise for a part of a batch: the rows that the whole batch would have drawn.

So a batch gives the same gradients whether one process has all of it, or several have a part each. In the place of a
generator stand given numbers where losses become a graph.
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


@dataclass(frozen=True, slots=True)
class Drawn:
    """Numbers that losses draw.

    Attributes:
        draw: The law, such as `torch.randn`, called with a shape, `generator` and `device`.
        shape: Of the numbers, without the axis of the images.
        rows: Whether each image has its own.
    """

    draw: Callable[..., Tensor]
    shape: tuple[int, ...]
    rows: bool


class Given:
    """Numbers in the place of a generator.

    Args:
        numbers: In the order in which they are asked for; None draws them, to learn which they are.

    Attributes:
        asked: What was asked for so far.
    """

    def __init__(self, numbers: Sequence[Tensor] | None = None) -> None:
        self.asked: list[Drawn] = []
        self._numbers = numbers

    def take(self, draw: Callable[..., Tensor], shape: Sequence[int], rows: bool) -> Tensor:
        """The next numbers, of this law and shape, whose first axis is that of the images where each has its own."""
        self.asked.append(Drawn(draw, tuple(shape[1:] if rows else shape), rows))
        return draw(tuple(shape)) if self._numbers is None else self._numbers[len(self.asked) - 1]


Source = Generator | Given


def draw_rows(draw: Callable[..., Tensor], shape: Sequence[int], rng: Source) -> Tensor:
    """This part's rows of what is drawn for the whole batch.

    Args:
        draw: Such as `torch.randn`, called with a shape, `generator` and `device`.
        shape: Of the part, whose first axis is that of its images.
        rng: The generator; in every part it must stand where it stands in the others.
    """
    if isinstance(rng, Given):
        return rng.take(draw, shape, rows=True)
    whole = draw((shape[0] * NOW.count, *shape[1:]), generator=rng, device=rng.device)
    return whole[NOW.index * shape[0] : (NOW.index + 1) * shape[0]]


def pick_rows(values: Tensor, count: int, rng: Source) -> Tensor:
    """`count` rows drawn with replacement from those of the whole batch: 0 for the ones that are in another part.

    Args:
        values: This part's rows, (n, ..).
        count: How many to draw.
        rng: The generator.
    """
    if isinstance(rng, Given):
        uniform = rng.take(torch.rand, (count,), rows=False)
    else:
        uniform = torch.rand((count,), generator=rng, device=values.device)
    rows = values.shape[0]
    # In float64 no uniform number of float32 below 1 is rounded to the row behind the last.
    chosen = (uniform.double() * (rows * NOW.count)).long() - NOW.index * rows
    here = (chosen >= 0) & (chosen < rows)
    drawn = values[chosen.clamp(0, rows - 1)]
    return torch.where(here.reshape(-1, *[1] * (values.ndim - 1)), drawn, 0.0)
