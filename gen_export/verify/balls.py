"""Proofs by ball arithmetic that a function is positive everywhere in a box but at 0.

A ball is a number with a radius that outward rounding never makes too small, so that what holds for a ball holds for
every number in it. Functions take one object array a coordinate and work on its elements, as the lines of
`gen_export.spec` do.
"""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np

from gen_export.errors import MissingToolError

Array = np.ndarray
Function = Callable[..., Array]

NEAR = 0.25
DEPTH = 14


def flint() -> Any:
    """The package python-flint.

    Raises:
        MissingToolError: It is not installed.
    """
    try:
        import flint
    except ImportError as error:
        raise MissingToolError("python-flint is not installed: pip install 'gen-export[verify]'") from error
    return flint


def objects(values: list[Any]) -> Array:
    """An object array of these values, none of which is taken apart."""
    array = np.empty(len(values), object)
    for i, value in enumerate(values):
        array[i] = value
    return array


def cells_without_proof(f: Function, reach: list[float]) -> int:
    """Cells of the box |x_i| <= reach_i, less the cube |x_i| < 1/4, in which balls do not show f > 0.

    A cell without a proof is halved along every axis, up to 14 times, unless balls show f <= 0 on some cell.

    Args:
        f: The function.
        reach: Powers of two, so that the cube is a union of cells.
    """
    arb = flint().arb
    middles, radii = np.zeros((1, len(reach))), np.array(reach)
    corners = np.array(list(product((-0.5, 0.5), repeat=len(reach))))
    for _ in range(DEPTH):
        values = f(*(objects([arb(m, r) for m in column]) for column, r in zip(middles.T, radii, strict=True)))
        middles = middles[[not value > 0 for value in values]]
        if not len(middles) or any(value <= 0 for value in values):
            break
        middles = (middles[:, None] + corners * radii).reshape(-1, len(reach))
        radii = radii / 2
        middles = middles[np.any(np.abs(middles) + radii > NEAR, axis=1)]
    return len(middles)


def directions_without_proof(f: Function, dimension: int) -> int:
    """Directions in which f might not grow from 0 within the cube |x_i| <= 1/4, of all that were tried.

    Where f has slope 0 at 0 and curvature above 0 throughout the cube, Taylor's theorem with the remainder of
    Lagrange gives f(x) > f(0) for every x of the cube but 0. Slopes are taken along the axes, curvatures along balls
    that cover all directions.
    """
    arb, series = flint().arb, flint().arb_series

    def along(start: Any, direction: tuple[Any, ...]) -> Any:
        """The Taylor series of f on the line from a ball in this direction."""
        return f(*(objects([series([start, step])]) for step in direction))[0]

    level = [along(0, tuple(axis))[1] == 0 for axis in np.eye(dimension, dtype=int).tolist()]
    curved = [along(arb(0, NEAR), direction)[2] > 0 for direction in _directions(dimension, arb)]
    return [*level, *curved].count(False)


def _directions(dimension: int, arb: Any) -> Iterator[tuple[Any, ...]]:
    """Balls that cover the directions with a largest component of 1; each stands for its opposite as well."""
    parts = [arb(k / 8, 1 / 8) for k in range(-7, 8, 2)]
    for axis in range(dimension):
        for others in product(parts, repeat=dimension - 1):
            yield (*others[:axis], 1, *others[axis:])
