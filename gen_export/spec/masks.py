"""Hiding parts of an array, and the loss on what is hidden (reference section 8).

He et al., *Masked Autoencoders Are Scalable Vision Learners* (2022), arXiv:2111.06377.

A mask `hidden` is boolean and true where an entry is hidden.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device

from gen_export.spec.noise import sample_keys, seed_bits, uniforms

Array = Any


@dataclass(frozen=True, slots=True)
class BlockMask:
    """Hides every `period`-th block of an array of any rank (`BlockMask`).

    Blocks are counted in row-major order along the axes that are cut; along the others a block has the full extent.
    A period of 0, a block of 0 or another rank than the array's hides nothing.

    Attributes:
        blocks: Extent of a block along each axis, None where the axis is not cut.
        period: How many blocks until the next hidden one.
        offset: The first hidden block, modulo the period.

    Raises:
        ValueError: A negative number.
    """

    blocks: tuple[int | None, ...]
    period: int
    offset: int = 0

    def __post_init__(self) -> None:
        for name, numbers in {"blocks": self.blocks, "period": [self.period], "offset": [self.offset]}.items():
            if any(number is not None and number < 0 for number in numbers):
                raise ValueError(f"{name}: expected no negative number, found {getattr(self, name)}")

    def hidden(self, shape: tuple[int, ...]) -> np.ndarray:
        """The mask of an array of this shape (`hiddenMask`)."""
        if self.period == 0 or 0 in self.blocks or len(self.blocks) != len(shape):
            return np.zeros(shape, bool)
        index = np.zeros((), np.int64)
        for place, extent, block in zip(np.indices(shape, sparse=True), shape, self.blocks, strict=True):
            if block is not None:
                index = index * math.ceil(extent / block) + place // block
        return np.broadcast_to(index % self.period == self.offset % self.period, shape).copy()

    def hidden_indices(self, shape: tuple[int, ...]) -> np.ndarray:
        """Row-major positions of the hidden entries, int64, ascending (`hiddenIndices`)."""
        return np.flatnonzero(self.hidden(shape))


def vector_hidden_mask(size: int, period: int, offset: int) -> np.ndarray:
    """Entry j is hidden when j = offset modulo the period, shape (size,) (`vectorMaeHiddenMask`)."""
    return BlockMask((1,), period, offset).hidden((size,))


def patch_hidden_mask(
    height: int, width: int, patch_height: int, patch_width: int, period: int, offset: int
) -> np.ndarray:
    """Every `period`-th patch of an image is hidden, shape (height, width) (`imagePatchHidden`)."""
    return BlockMask((patch_height, patch_width), period, offset).hidden((height, width))


def hide(x: Array, hidden: Array) -> Array:
    """Put 0 where hidden, keep x elsewhere (`BlockMask.apply_scalar_at`): a choice, so that a hidden NaN vanishes."""
    return array_namespace(x).where(hidden, 0.0, x)


def block_mae_sample(x: Array, mask: BlockMask, width: int) -> tuple[Array, Array]:
    """What a masked autoencoder is given and what it must tell (`BlockMAE.sample`).

    Args:
        x: Samples, shape (B, ...).
        mask: Of one sample.
        width: How many entries of each sample to reconstruct, the first in row-major order.

    Returns:
        x with hidden entries 0, and the target (B, width), of x itself.
    """
    xp = array_namespace(x)
    hidden = xp.asarray(mask.hidden(tuple(x.shape[1:])), device=device(x))
    return hide(x, hidden), xp.reshape(x, (x.shape[0], -1))[:, :width]


def merge(visible: Array, predicted: Array, hidden: Array) -> Array:
    """The prediction where hidden, what is visible elsewhere."""
    return array_namespace(visible).where(hidden, predicted, visible)


def reconstruction_weights(hidden: Array, axis: tuple[int, ...] | None = None) -> Array:
    """Weights: 1 / number hidden on hidden entries, 0 elsewhere and where none is hidden (`reconstructionWeights`).

    Args:
        hidden: The mask.
        axis: Axes over which entries are counted together; all by default.

    Returns:
        float64, the shape of `hidden`.
    """
    xp = array_namespace(hidden)
    ones = xp.astype(hidden, xp.float64)
    return ones / xp.sum(ones, axis=axis, keepdims=True).clip(1.0, None)


def mse_weighted(predicted: Array, target: Array, weights: Array) -> Array:
    """The *sum* of w (predicted - target)^2, without normalisation (`mseWeighted`)."""
    difference = predicted - target
    return array_namespace(difference).sum(weights * difference * difference)


def masked_mse(predicted: Array, target: Array, hidden: Array) -> Array:
    """Mean squared error over the hidden entries of each sample, then the mean over the batch.

    Args:
        predicted: Shape (B, ...).
        target: The same shape.
        hidden: The mask, of a shape that broadcasts to theirs.
    """
    xp = array_namespace(predicted)
    hidden = xp.broadcast_to(hidden, predicted.shape)
    weights = reconstruction_weights(hidden, axis=tuple(range(1, hidden.ndim)))
    return mse_weighted(predicted, target, xp.astype(weights, predicted.dtype)) / predicted.shape[0]


def random_hidden(numbers: Array, ratio: float) -> Array:
    """A mask that hides round(ratio P) patches of each sample, those with the smallest numbers (section 3).

    Args:
        numbers: Independent random numbers, shape (B, P).
        ratio: Share of the patches to hide, 0..1.
    """
    xp = array_namespace(numbers)
    rank = xp.argsort(xp.argsort(numbers, axis=-1), axis=-1)
    return rank < round(ratio * numbers.shape[-1])


def seeded_hidden(seed: int, images: np.ndarray, rows: int, columns: int, ratio: float) -> np.ndarray:
    """The masks of images by their numbers, bool (n, rows, columns): each depends on the seed and its number alone."""
    keys = sample_keys(seed_bits(seed), images.astype(np.uint64))
    return random_hidden(uniforms(keys, np.zeros(1, np.uint64), rows * columns), ratio).reshape(-1, rows, columns)
