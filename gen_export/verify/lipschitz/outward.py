"""Arithmetic in float64 that rounds outward: what is returned bounds the exact result.

Each operation +, -, *, / and square root of IEEE 754 returns the float64 nearest to the exact result, which therefore
lies at most one float away: the next float up is above it, the next one down below it, subnormal numbers included. Sums
of n terms lose at most (n - 1) u of their size, u = 2^-53, in whatever order they are added (Higham 2002, section 4.2).
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Attributes = Mapping[str, Any]
Range = tuple[float, float]

UNIT = 2.0**-53
"""The largest relative error u of one operation."""
EVERYTHING: Range = (-math.inf, math.inf)


def up(nearest: float) -> float:
    """At least the exact result that was rounded to `nearest`."""
    return math.nextafter(nearest, math.inf)


def down(nearest: float) -> float:
    """At most the exact result that was rounded to `nearest`."""
    return math.nextafter(nearest, -math.inf)


def add_up(a: float, b: float) -> float:
    """At least a + b; exact where one is 0."""
    return up(a + b) if a and b else a + b


def multiply_up(a: float, b: float) -> float:
    """At least a b, for a, b >= 0; exact where one is 0 or 1."""
    return a * b if a in (0, 1) or b in (0, 1) else up(a * b)


def root_up(a: float) -> float:
    """At least the square root of a >= 0; exact for 0 and 1."""
    return a if a in (0, 1) else up(math.sqrt(a))


def sum_up(terms: Array, axes: tuple[int, ...]) -> Array:
    """At least the sums of terms >= 0 over these axes.

    A computed sum is at least (1 - u)^(n - 1) of the exact one, and 1 / (1 - u)^(n - 1) <= 1 + 2 n u for n u <= 1/2.
    That factor is a float64, so only the product rounds.
    """
    count = math.prod(terms.shape[axis] for axis in axes)
    return np.nextafter(terms.sum(axis=axes) * (1.0 + 2 * count * UNIT), math.inf)


def hull(array: Array) -> Range:
    """The least and the greatest entry; integers beyond 2^53 are rounded outward."""
    if not array.size or array.dtype.kind not in "fiu":
        return EVERYTHING
    low, high = float(array.min()), float(array.max())
    return (low, high) if array.dtype.kind == "f" else (down(low), up(high))


def largest(range_: Range) -> float:
    """The largest absolute value in a range; NaN where an end is none."""
    return math.nan if any(map(math.isnan, range_)) else max(map(abs, range_))


def add(left: Range, right: Range) -> Range:
    """The sums of numbers of two ranges."""
    return _ends([left[0] + right[0], left[1] + right[1]])


def subtract(left: Range, right: Range) -> Range:
    """The differences of numbers of two ranges."""
    return _ends([left[0] - right[1], left[1] - right[0]])


def multiply(left: Range, right: Range) -> Range:
    """The products of numbers of two ranges: a product is extreme where both factors are."""
    return _ends([a * b for a in left for b in right])


def divide(left: Range, right: Range) -> Range:
    """The quotients of numbers of two ranges; everything where the divisor may be 0."""
    return EVERYTHING if not (right[0] > 0 or right[1] < 0) else _ends([a / b for a in left for b in right])


def clip(range_: Range, low: Range, high: Range) -> Range:
    """Numbers of a range held between one of another and one of a third; exact."""
    least, most = (min(max(range_[end], low[end]), high[end]) for end in (0, 1))
    return least, most


def root(range_: Range) -> Range:
    """The square roots of the numbers of a range that have one."""
    low, high = (math.sqrt(max(end, 0.0)) for end in range_)
    return max(down(low), 0.0), up(high)


def _ends(nearest: list[float]) -> Range:
    """The range between the least and the greatest of these results; everything where one is no number."""
    return EVERYTHING if any(map(math.isnan, nearest)) else (down(min(nearest)), up(max(nearest)))
