"""Bounds of normalised entries (x_i - m) / sqrt(v + epsilon), with m the mean and v the variance of n entries in a box.

All of it is unchanged where all entries move alike, so a middle of the box is taken off first.

1. x_i - m = ((n - 1) x_i - sum of the others) / n, whose terms move independently: its range is that of the ends.
2. v is the least mean of (x_i - c)^2 over c. So it is at most that mean with every entry at its end away from c, for
   any c, and at least the least over c of f(c), the mean of the squared distances of c to the entries' ranges. f is
   convex, and its derivative changes sign between the means a and b of the low and the high ends: with c there,
   f >= f(c) - |f'(c)| (b - a), the tangent's end, and halving the interval makes f'(c) small.
3. (x_i - m)^2 <= (n - 1) v (Samuelson 1968, doi:10.1080/01621459.1968.10480944): no entry is beyond sqrt(n - 1).

A sum of k terms loses at most 2 k u of the sum of their sizes, u = 2^-53, in whatever order it is added. Each formula
here adds at most 2 n terms that are rounded fewer than 16 times, so that it loses at most 4 (n + 8) u.
"""

import numpy as np

from gen_export.verify.intervals.box import Box, above, below, divide, meet, outward, root
from gen_export.verify.lipschitz.outward import UNIT, Array

HALVINGS = 30
"""Steps that leave the tangent's loss a billionth of what the box is wide."""


def normalized(x: Box, epsilon: float) -> Box:
    """The normalised entries of a box of (.., n) entries, along the last axis."""
    count = x.low.shape[-1]
    centred = _centred(x)
    size = above(np.sqrt(count - 1.0))
    found = divide(_less_the_mean(centred), _root_of_variance(centred, epsilon))
    return meet(found, Box(np.full_like(x.low, -size), np.full_like(x.low, size)))


def deviation(x: Box, epsilon: float) -> Box:
    """sqrt(v + epsilon) of each row of n entries, (.., 1)."""
    return _root_of_variance(_centred(x), epsilon)


def mean(x: Box) -> Box:
    """The means of rows of n entries, (.., 1)."""
    count = x.low.shape[-1]
    losses = (_loss(count) * np.abs(end).mean(axis=-1, keepdims=True) for end in x)
    means = (end.mean(axis=-1, keepdims=True) for end in x)
    (low, high), (less, more) = means, losses
    return outward(low - less, high + more)


def _centred(x: Box) -> Box:
    """The entries less a number near the middle of their row."""
    middle = (x.low.mean(axis=-1, keepdims=True) + x.high.mean(axis=-1, keepdims=True)) / 2
    return outward(x.low - middle, x.high - middle)


def _root_of_variance(x: Box, epsilon: float) -> Box:
    variance = _variance(x)
    return root(outward(variance.low + epsilon, variance.high + epsilon))


def _less_the_mean(x: Box) -> Box:
    """The range of x_i - m."""
    count = x.low.shape[-1]
    low = _difference(x.low, x.high, count)
    high = -_difference(-x.high, -x.low, count)
    return Box(np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high))


def _difference(entry: Array, others: Array, count: int) -> Array:
    """At most ((n - 1) entry - sum of the others) / n."""
    total, size = others.sum(axis=-1, keepdims=True), np.abs(others).sum(axis=-1, keepdims=True)
    nearest = ((count - 1) * entry - (total - others)) / count
    terms = ((count - 1) * np.abs(entry) + size + np.abs(others)) / count
    return below(nearest - _loss(count) * terms)


def _variance(x: Box) -> Box:
    """The least and the greatest variance."""
    count = x.low.shape[-1]
    a, b = x.low.mean(axis=-1, keepdims=True), x.high.mean(axis=-1, keepdims=True)
    c = _flattest(x, a, b)
    away = _away(x, c)
    slope = np.abs(away.mean(axis=-1, keepdims=True)) + _loss(count) * np.abs(away).mean(axis=-1, keepdims=True)
    width = (b - a) + _loss(count) * np.maximum(np.abs(x.low), np.abs(x.high)).mean(axis=-1, keepdims=True)
    least = (away**2).mean(axis=-1, keepdims=True) * (1 - _loss(count))
    m = (a + b) / 2
    most = (np.maximum(np.abs(x.low - m), np.abs(x.high - m)) ** 2).mean(axis=-1, keepdims=True) * (1 + _loss(count))
    low, high = np.maximum(below(least - 2 * slope * width), 0.0), above(most)
    return Box(np.where(np.isnan(low), 0.0, low), np.where(np.isnan(high), np.inf, high))


def _flattest(x: Box, a: Array, b: Array) -> Array:
    """A point between a and b where the mean squared distance to the ranges is nearly least."""
    for _ in range(HALVINGS):
        c = (a + b) / 2
        rising = _away(x, c).mean(axis=-1, keepdims=True) > 0
        a, b = np.where(rising, a, c), np.where(rising, c, b)
    return (a + b) / 2


def _away(x: Box, c: Array) -> Array:
    """How far c is above the range of each entry, or below it with a minus; half the slope of its square."""
    return np.maximum(c - x.high, 0.0) - np.maximum(x.low - c, 0.0)


def _loss(count: int) -> float:
    return 4 * (count + 8) * UNIT
