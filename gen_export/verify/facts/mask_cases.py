"""Samples and masks that the facts of reference section 8.2 are tried on, and what each mask hides by definition.

What is hidden is told twice: by the lines that the models use, on whole arrays, and here by the reference's
definition of one entry. Samples hold NaN, infinities and huge numbers, which a mask must take away or keep like others.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from gen_export.spec.masks import (
    BlockMask,
    block_mae_sample,
    hide,
    patch_hidden_mask,
    vector_hidden_mask,
)
from gen_export.spec.self_supervised import mae_as_predictive_view, mae_loss, predictive_view_objective
from gen_export.verify.fact import Finding, worst
from gen_export.verify.files import random
from gen_runtime.inputs import Array

CASES = 150
BATCH = 3


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Samples and a mask of one sample.

    Attributes:
        x: Samples, float32 (B, ...).
        mask: The mask.
        expected: What it hides by definition, of the shape of one sample.
        width: How many entries to reconstruct.
        indices: Which of them the objective counts.
    """

    x: Array
    mask: BlockMask
    expected: Array
    width: int
    indices: Sequence[int]

    @property
    def given(self) -> Array:
        """What a masked autoencoder is given."""
        return block_mae_sample(self.x, self.mask, self.width)[0]

    @property
    def target(self) -> Array:
        """What it must tell."""
        return block_mae_sample(self.x, self.mask, self.width)[1]

    @property
    def hidden(self) -> Array:
        """What is hidden by definition, of the shape of x."""
        return np.broadcast_to(self.expected, self.x.shape)


def _samples(rng: np.random.Generator, shape: Sequence[int]) -> Array:
    """Samples (B, ...); one entry in ten is not a number, infinite or huge."""
    x = rng.standard_normal((BATCH, *shape)).astype(np.float32)
    odd = rng.choice(np.array([np.nan, np.inf, -np.inf, 1e30, -0.0], np.float32), x.shape)
    return np.where(rng.random(x.shape) < 0.1, odd, x)


def _block_hides(mask: BlockMask, shape: Sequence[int], place: Sequence[int]) -> bool:
    """Whether an entry is in a hidden block: number sum_a (i_a div k_a) prod_(b > a) ceil(n_b / k_b) over cut axes."""
    if 0 in (mask.period, *mask.blocks) or len(mask.blocks) != len(shape):
        return False
    cut = [(i // k, math.ceil(n / k)) for i, n, k in zip(place, shape, mask.blocks, strict=True) if k is not None]
    number = sum(i * math.prod(n for _, n in cut[axis + 1 :]) for axis, (i, _) in enumerate(cut))
    return number % mask.period == mask.offset % mask.period


def _case(rng: np.random.Generator, shape: Sequence[int], mask: BlockMask, hides: Callable[..., bool], of: str) -> Case:
    """A case whose objective counts the hidden entries among the first `width`, or all of these."""
    size = math.prod(shape)
    width = size if of == "vector" else int(rng.integers(1, size + 1))
    expected = np.array([hides(place) for place in np.ndindex(*shape)]).reshape(shape)
    counted = range(width) if of == "image" else [i for i in np.flatnonzero(expected).tolist() if i < width]
    return Case(_samples(rng, shape), mask, expected, width, counted)


@cache
def blocks() -> tuple[Case, ...]:
    """Blocks in one to four dimensions: axes that are not cut, zero blocks and periods, and masks of another rank."""
    rng, cases = random("block masks"), []
    for number in range(CASES):
        shape = tuple(rng.integers(1, 5, 1 + number % 4).tolist())
        rank = len(shape) + (number % 20 == 0)
        policies = [None if rng.random() < 0.3 else int(rng.integers(number % 10 > 0, 4)) for _ in range(rank)]
        mask = BlockMask(tuple(policies), int(rng.integers(0, 5)), int(rng.integers(0, 9)))
        cases.append(_case(rng, shape, mask, lambda place, m=mask, s=shape: _block_hides(m, s, place), "block"))
    return tuple(cases)


@cache
def vectors() -> tuple[Case, ...]:
    """Vectors: entry j is hidden when p is not 0 and j mod p = o mod p (`vectorMaeHiddenMask`)."""
    rng, cases = random("vector masks"), []
    for size, p, o in rng.integers((1, 0, 0), (30, 6, 12), (CASES, 3)).tolist():
        hides = lambda place, p=p, o=o: p != 0 and place[0] % p == o % p  # noqa: E731 - one line of the definition
        cases.append(_case(rng, (size,), BlockMask((1,), p, o), hides, "vector"))
    return tuple(cases)


@cache
def images() -> tuple[Case, ...]:
    """Images (C, H, W): pixel (r, c) is hidden when its patch's number mod p = o mod p (`imagePatchHidden`)."""
    rng, cases = random("image masks"), []
    for c, h, w, ph, pw, p, o in rng.integers((1, 1, 1, 0, 0, 0, 0), (4, 7, 7, 4, 4, 5, 9), (CASES, 7)).tolist():

        def hides(place: Sequence[int], w: int = w, ph: int = ph, pw: int = pw, p: int = p, o: int = o) -> bool:
            return 0 not in (p, ph, pw) and ((place[1] // ph) * math.ceil(w / pw) + place[2] // pw) % p == o % p

        cases.append(_case(rng, (c, h, w), BlockMask((None, ph, pw), p, o), hides, "image"))
    return tuple(cases)


def vector_mask(case: Case) -> Array:
    """The masked vectors, as `vectorMaeMask` makes them."""
    return hide(case.x, vector_hidden_mask(case.x.shape[1], case.mask.period, case.mask.offset))


def image_mask(case: Case) -> Array:
    """The masked images, as `imagePatchMask` makes them."""
    height, width = case.x.shape[2:]
    patch_height, patch_width = (block or 0 for block in case.mask.blocks[1:])
    return hide(case.x, patch_hidden_mask(height, width, patch_height, patch_width, case.mask.period, case.mask.offset))


def block_mask(case: Case) -> Array:
    """The masked samples, as `BlockMask.apply` makes them one by one."""
    return np.stack([hide(sample, case.mask.hidden(sample.shape)) for sample in case.x])


def zeros(x: Array) -> Array:
    """As many zeros, of the same type."""
    return np.zeros_like(x)


def chosen(cases: Iterable[Case]) -> Iterator[tuple[Case, Array]]:
    """Cases, each with its samples as its mask leaves them by definition."""
    return ((case, np.where(case.hidden, np.float32(0.0), case.x)) for case in cases)


def rows(case: Case) -> Array:
    """The first `width` entries of every sample, in row-major order."""
    return np.stack([np.array([sample[i] for i in np.ndindex(*sample.shape)][: case.width]) for sample in case.x])


def objective_gaps(cases: Iterable[Case], purpose: str) -> Finding:
    """How far the predictive-view objective of each row is from the MAE loss, and this from the sum that it is."""
    rng, gaps = random(purpose), []
    for case in cases:
        target, predicted = rng.integers(0, 100, (2, case.width)).tolist()
        contract = mae_as_predictive_view(case.indices, target, predicted, _squared)
        loss = mae_loss(case.indices, target, predicted, _squared)
        gaps += [
            predictive_view_objective(contract) - loss,
            loss - sum(_squared(target[i], predicted[i]) for i in case.indices),
        ]
    return worst(np.abs(gaps), 0.0, len(gaps))


def _squared(a: int, b: int) -> int:
    return (a - b) ** 2
