"""Losses as means, and the algebra of weighted sums of terms (reference section 2)."""

import math
from typing import Any

from array_api_compat import array_namespace

Array = Any


def mse(predicted: Array, target: Array) -> Array:
    """Mean over all elements of the squared difference, without a factor of one half (`mseSpec`)."""
    difference = predicted - target
    return array_namespace(difference).mean(difference * difference)


def mse_gradient(predicted: Array, target: Array) -> Array:
    """Gradient of `mse` in its first argument, 2 / N times the difference of N elements (`mseDerivSpec`)."""
    return (2.0 / math.prod(predicted.shape)) * (predicted - target)


def weighted_two_term(weight: Array, base: Array, regularizer: Array) -> Array:
    """The sum base + weight * regularizer (`weightedTwoTerm`)."""
    return base + weight * regularizer


def weighted_three_term(weight: Array, base: Array, middle: Array, regularizer: Array) -> Array:
    """(base + middle) + weight * regularizer, in this order (`weightedThreeTerm`)."""
    return base + middle + weight * regularizer
