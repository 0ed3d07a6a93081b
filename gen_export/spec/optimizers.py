"""One step of an optimiser on flat vectors: clipping, AdamW, and the averaged weights that ship."""

import math
from typing import Any, NamedTuple

from array_api_compat import array_namespace

Array = Any

EPSILON = 1e-8
"""What AdamW adds to the root of the second moment."""
NORM_FLOOR = 1e-6
"""What is added to the norm of a gradient that is clipped."""


class Moments(NamedTuple):
    """Running averages of a gradient and of its square, each of the weights' shape."""

    first: Array
    second: Array


def norm(gradient: Array) -> Array:
    """The L2 norm of a vector (n,), of shape ().

    The squares are added in float64: ONNX Runtime adds one after another, in float32 6e-5 off for 3 million of them.
    """
    xp = array_namespace(gradient)
    return xp.astype(xp.sqrt(xp.sum(xp.astype(gradient * gradient, xp.float64), axis=0)), gradient.dtype)


def clipped(gradient: Array, length: Array, largest: float) -> Array:
    """The gradient, shortened to the largest norm where its own, `length`, is above it.

    Pascanu et al., *On the difficulty of training recurrent neural networks* (2013), arXiv:1211.5063, algorithm 1.
    """
    return gradient * (largest / (length + NORM_FLOOR)).clip(None, 1.0)


def adamw(
    weights: Array, gradient: Array, moments: Moments, count: Array, lr: Array, betas: tuple[float, float], decay: float
) -> tuple[Array, Moments]:
    """The weights and moments after one step of AdamW.

    Loshchilov & Hutter, *Decoupled Weight Decay Regularization* (2019), arXiv:1711.05101, algorithm 2.

    Args:
        weights: float32 (n,).
        gradient: Likewise.
        moments: Likewise, 0 before the first step.
        count: Which step it is, from 1, float64 ().
        lr: Learning rate, float64 ().
        betas: Decay rates of the two moments, from 0 to below 1.
        decay: How much of the weights a step of rate 1 takes away.
    """
    xp = array_namespace(weights)
    first = moments.first + (1.0 - betas[0]) * (gradient - moments.first)
    second = betas[1] * moments.second + (1.0 - betas[1]) * (gradient * gradient)
    step = xp.astype(lr / unbiased(count, betas[0]), xp.float32)
    spread = xp.astype(xp.sqrt(unbiased(count, betas[1])), xp.float32)
    kept = xp.astype(1.0 - lr * decay, xp.float32)
    return weights * kept - step * (first / (xp.sqrt(second) / spread + EPSILON)), Moments(first, second)


def unbiased(count: Array, beta: float) -> Array:
    """1 - beta^count, by which an average that began at 0 is too small; float64.

    Kingma & Ba, *Adam* (2015), arXiv:1412.6980, section 3.
    """
    return 1.0 - array_namespace(count).exp(count * math.log(beta)) if beta else 1.0 + 0.0 * count


def averaged(average: Array, weights: Array, count: Array, decay: float) -> Array:
    """The exponential average with one more vector of weights: at first the weights, early ones soon forgotten.

    Args:
        average: float32 (n,), of anything where the count is 0.
        weights: float32 (n,).
        count: How many it is of, n, float64 (). The weight of the past is (1 + n) / (10 + n), 0 at first.
        decay: The most that it becomes.
    """
    xp = array_namespace(weights)
    past = xp.where(count > 0.0, ((1.0 + count) / (10.0 + count)).clip(None, decay), 0.0)
    return average + xp.astype(1.0 - past, xp.float32) * (weights - average)
