"""First-order forms: the arrays c + J e + D w of all numbers e in [-1, 1]^k and all arrays w with |w| <= 1, in L2.

The numbers e are those of the source, so that a form knows what its entries have in common, which a box forgets. D is
an array too, and multiplies entry by entry: the ellipsoid D w holds what is not linear in e, and all rounding.

The sum of two ellipsoids D w + E w' lies in that of sqrt((1 + q) D^2 + (1 + 1 / q) E^2) for every q > 0, by Cauchy and
Schwarz. Where E = q D it is that of D + E.
"""

from typing import NamedTuple

import numpy as np

from gen_export.verify.intervals.box import Box, above, middle, outward
from gen_export.verify.lipschitz.outward import Array, root_up, sum_up


class Form(NamedTuple):
    """The arrays c + J e + D w.

    Attributes:
        centre: c.
        slopes: J, one array of the shape of c for each number of e.
        rest: D, of the shape of c.
    """

    centre: Array
    slopes: Array
    rest: Array


def of_source(x: Box) -> Form:
    """The form of an input in a box, with a number for each entry."""
    centre, radius = middle(x)
    return Form(centre, np.diag(radius.ravel()).reshape(-1, *centre.shape), np.zeros(centre.shape))


def of_boxes(centre: Box, slopes: Box, rest: Array) -> Form:
    """The form whose centre and slopes are in boxes: their middles, with their radii in the rest."""
    (c, blur), (j, blurs) = middle(centre), middle(slopes)
    return Form(c, j, joined(rest, np.full(c.shape, norm_up(above(blur + sum_up(blurs, (0,)))))))


def joined(d: Array, e: Array) -> Array:
    """The ellipsoid that holds the sum of two."""
    if not d.any() or not e.any():
        return e if e.any() else d
    ratio = float(np.linalg.norm(e)) / max(float(np.linalg.norm(d)), 2.0**-500)
    q = min(max(ratio, 2.0**-500), 2.0**500)
    squares = above(above(1 + q) * above(d * d)) + above(above(1 + above(1 / q)) * above(e * e))
    return above(np.sqrt(above(squares)))


def box_of(form: Form) -> Box:
    """The box that holds a form."""
    reach = above(spread(form) + form.rest)
    return outward(form.centre - reach, form.centre + reach)


def spread(form: Form) -> Array:
    """At least |J e| of each entry."""
    return sum_up(np.abs(form.slopes), (0,))


def norm_up(x: Array) -> float:
    """At least the L2 norm of all entries; infinite where one is no number, 0 where all are."""
    square = float(sum_up(above(x * x).ravel(), (0,))) if x.any() else 0.0
    return root_up(square) if square < np.inf else np.inf
