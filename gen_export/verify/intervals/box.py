"""Boxes: a least and a greatest value for every entry of an array, and their arithmetic, rounded outward.

Each operation +, -, *, / and square root of IEEE 754 is off by at most one float64 number, which `below` and `above`
make up for. An end that is no number, as of inf - inf, becomes an infinite one: then nothing is known.
"""

from typing import NamedTuple

import numpy as np

from gen_export.verify.lipschitz.outward import Array


class Box(NamedTuple):
    """All arrays between two.

    Attributes:
        low: The least values.
        high: The greatest values; the very same array where there is one value alone.
    """

    low: Array
    high: Array

    @property
    def fixed(self) -> bool:
        """Whether it holds one array alone."""
        return self.low is self.high


def fixed(array: Array) -> Box:
    """The box of one array."""
    return Box(array, array)


def below(nearest: Array | float) -> Array:
    """At most the exact results that were rounded to `nearest`."""
    return np.nextafter(nearest, -np.inf)


def above(nearest: Array | float) -> Array:
    """At least the exact results that were rounded to `nearest`."""
    return np.nextafter(nearest, np.inf)


def outward(low: Array, high: Array) -> Box:
    """The box whose ends were rounded to these."""
    return Box(np.where(np.isnan(low), -np.inf, below(low)), np.where(np.isnan(high), np.inf, above(high)))


def add(x: Box, y: Box) -> Box:
    """The sums."""
    return outward(x.low + y.low, x.high + y.high)


def subtract(x: Box, y: Box) -> Box:
    """The differences."""
    return outward(x.low - y.high, x.high - y.low)


def multiply(x: Box, y: Box) -> Box:
    """The products: extreme where both factors are."""
    return _of_ends([a * b for a in x for b in y])


def divide(x: Box, y: Box) -> Box:
    """The quotients; unknown where the divisor may be 0."""
    quotients = _of_ends([a / b for a in x for b in y])
    safe = (y.low > 0) | (y.high < 0)
    return Box(np.where(safe, quotients.low, -np.inf), np.where(safe, quotients.high, np.inf))


def root(x: Box) -> Box:
    """The square roots of what is not negative."""
    low, high = (np.sqrt(np.maximum(end, 0.0)) for end in x)
    return Box(np.maximum(below(low), 0.0), above(high))


def meet(x: Box, y: Box) -> Box:
    """What lies in both."""
    return Box(np.maximum(x.low, y.low), np.minimum(x.high, y.high))


def middle(x: Box) -> tuple[Array, Array]:
    """A middle of the box, and at least the distance from it to the ends."""
    centre = (x.low + x.high) / 2
    return centre, above(np.maximum(x.high - centre, centre - x.low))


def _of_ends(ends: list[Array]) -> Box:
    """From the least to the greatest of these results; unknown where one is no number."""
    return outward(np.minimum.reduce(ends), np.maximum.reduce(ends))
