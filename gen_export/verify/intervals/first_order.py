"""What nodes make of first-order forms.

A linear node W takes c and J to W c and W J, and D w to at most ||W D||. A node f that is not linear takes them to f(c)
and f'(c) J, and adds two ellipsoids: a Lipschitz constant of f, wherever the form is, times D, and |f(c + J e) - f(c) -
f'(c) J e|, by Taylor's theorem at most half the largest |f''(h, h)|, h = J e.

SiLU, v s(v) with the sigmoid s: |f''| <= 1/2. For f'' = s' (2 - v tanh(v / 2)) with s' <= 1/4, and where it is negative
it is above -|v| s' >= -|v| exp(-|v|) >= -1 / e.

Normalisation of n entries is y = u / d, with u = x less its mean and d = sqrt(|u|^2 / n + epsilon). Where
w = u / (sqrt n d), so that |w| <= 1, and h stands for itself less its mean, which is no longer,

    y'(h) = (h - w (w . h)) / d,    y''(h, h) = (3 w (w . h)^2 - w |h|^2 - 2 h (w . h)) / (sqrt n d^2).

So |y'| <= 1 / d. For |h| = 1 and a = w . h, the square of that bracket is 4 a^2 (1 + 1 - 3 a^2) + |w|^2 (3 a^2 - 1)^2
<= 1 + 2 a^2 - 3 a^4 <= 4 / 3, so that |y''| <= 1.16 |h|^2 / (sqrt n d^2). By the triangle inequality d falls by no more
than |h| / sqrt n, and it is never below sqrt epsilon.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from gen_export.verify.intervals import box
from gen_export.verify.intervals.box import Box, above, below, fixed, outward
from gen_export.verify.intervals.forms import Form, joined, norm_up, of_boxes, spread
from gen_export.verify.intervals.normalization import deviation, mean, normalized
from gen_export.verify.intervals.rules import LOSS, TINY, applied, sigmoid, silu
from gen_export.verify.lipschitz.affine import convolution, gemm_matrix
from gen_export.verify.lipschitz.gains import SILU
from gen_export.verify.lipschitz.norms import convolution_norm, matrix_norm, schur_bound
from gen_export.verify.lipschitz.operators import taken_entries
from gen_export.verify.lipschitz.outward import UNIT, Array, add_up, hull, multiply_up, root_up, sum_up
from gen_export.verify.lipschitz.selections import SELECTIONS
from gen_export.verify.onnx_graph import Node


class Known(NamedTuple):
    """What is known of a value: a box, and a form where there is one."""

    box: Box
    form: Form | None = None


def form_of(node: Node, inputs: Sequence[Known | None]) -> Form | None:
    """The form of what a node computes; None where no rule gives one."""
    x, *others = inputs or (None,)
    if x is None or node.op_type not in _RULES:
        return None
    if x.form is None and node.op_type in ("Add", "Mul") and len(others) == 1 and others[0] is not None:
        x, others = others[0], [x]
    return None if x.form is None else _RULES[node.op_type](node, x.form, others)


def silu_form(form: Form) -> Form:
    """SiLU, of what is known of v."""
    c, reach = form.centre, spread(form)
    slope = sigmoid(c) * (1.0 + c * sigmoid(-c))
    slopes = box.multiply(Box(slope - _slack(c), slope + _slack(c)), fixed(form.slopes))
    bend = np.full(c.shape, norm_up(above(reach * reach / 4)))
    return of_boxes(silu(fixed(c)), slopes, joined(above(SILU * form.rest), bend))


def _slack(x: Array) -> Array:
    """More than the slope of SiLU is off by: a share of `LOSS` each of two sigmoids up to 1, one of them times x."""
    return 4 * LOSS * (1.0 + np.abs(x))


def _sum(node: Node, form: Form, others: Sequence[Known | None]) -> Form | None:
    """The sum or difference of a form and another, or constants."""
    (other,) = others
    if other is None or not (other.form or other.box.fixed):
        return None
    added = other.form or Form(other.box.low, np.zeros(()), np.zeros(form.rest.shape))
    centre = applied(node, [fixed(form.centre), fixed(added.centre)])
    if centre.low.shape != form.centre.shape or (other.form and added.centre.shape != form.centre.shape):
        return None
    slopes = form.slopes + added.slopes if node.op_type == "Add" else form.slopes - added.slopes
    return of_boxes(centre, outward(slopes, slopes), joined(form.rest, added.rest))


def _scaled(node: Node, form: Form, others: Sequence[Known | None]) -> Form | None:
    """The product with constants, or the quotient by them."""
    (factor,) = others
    if factor is None or not factor.box.fixed:
        return None
    centre, slopes, rest = (applied(node, [fixed(part), factor.box]) for part in form)
    if centre.low.shape != form.centre.shape:
        return None
    return of_boxes(centre, slopes, np.maximum(np.abs(rest.low), np.abs(rest.high)))


def _selected(node: Node, form: Form, others: Sequence[Known | None]) -> Form | None:
    """The same entries, each as often as it is taken."""
    taken = taken_entries(node, [form.centre, *(None if each is None else each.box.low for each in others)])
    gain = root_up(int(np.bincount(taken.ravel()).max(initial=0)))
    slopes = form.slopes.reshape(len(form.slopes), -1)[:, taken]
    return Form(form.centre.ravel()[taken], slopes, above(gain * form.rest.ravel()[taken]))


def _weighted(node: Node, form: Form, others: Sequence[Known | None]) -> Form | None:
    """The product with a matrix or kernel of constants, which stands on the right; rows and images one by one."""
    weights, *bias = (None if each is None else each.box for each in others)
    if weights is None or not weights.fixed or node.attributes.get("transA", 0):
        return None
    if node.op_type != "Conv" and weights.low.ndim != 2:
        return None
    centre = applied(node, [fixed(form.centre), weights, *bias])
    moved = applied(node, [fixed(form.slopes.reshape(-1, *form.centre.shape[1:])), weights])
    slopes = Box(*(end.reshape(-1, *centre.low.shape) for end in moved))
    return of_boxes(centre, slopes, np.full(centre.low.shape, _gain(node, weights.low, form.rest)))


def _gain(node: Node, weights: Array, rest: Array) -> float:
    """At least |W D w|, with the largest entry of D in each channel or column; infinite where there is no bound."""
    if not np.isfinite(rest).all():
        return math.inf
    if node.op_type == "Conv":
        (top, left, bottom, right), strides = convolution(node.attributes, weights)
        scaled = weights * rest.max((0, 2, 3))[:, None, None]
        norm = convolution_norm(scaled, (rest.shape[2] + top + bottom, rest.shape[3] + left + right), strides)
        return _with_rounding(norm, scaled)
    rows = gemm_matrix(node.attributes, weights) if node.op_type == "Gemm" else weights
    scaled = rows * rest.max(tuple(range(rest.ndim - 1)))[:, None]
    return _with_rounding(matrix_norm(scaled), scaled[:, :, None, None])


def _with_rounding(norm: float, kernel: Array) -> float:
    """A norm, raised by that of what its kernel lost to two roundings of each entry."""
    return add_up(norm, add_up(multiply_up(3 * UNIT, schur_bound(kernel)), TINY))


def _normalized(node: Node, form: Form, others: Sequence[Known | None]) -> Form | None:
    """Instance normalisation, before its scales and shifts, which are ones and zeros."""
    epsilon = node.attributes.get("epsilon", float(np.float32(1e-5)))
    if [None if each is None else hull(each.box.low) for each in others] != [(1.0, 1.0), (0.0, 0.0)]:
        return None
    rows = (*form.centre.shape[:2], math.prod(form.centre.shape[2:]))
    c, j = fixed(form.centre.reshape(rows)), fixed(form.slopes.reshape(-1, *rows))
    y, d = normalized(c, epsilon), deviation(c, epsilon)
    centred = box.subtract(j, mean(j))
    slopes = box.divide(box.subtract(centred, box.multiply(y, mean(box.multiply(y, centred)))), d)
    count, reach = c.low.shape[-1], _norms_up(spread(form).reshape(rows))
    rest = form.rest.reshape(rows).max(axis=-1, keepdims=True)
    root_n = below(np.sqrt(float(count)))
    least = np.maximum(below(d.low - above(above(reach + rest) / root_n)), below(np.sqrt(epsilon)))
    bend = norm_up(above(above(above(0.58 * above(reach * reach)) / root_n) / below(least * least)))
    rest = np.broadcast_to(above(rest / least), c.low.shape).reshape(form.centre.shape)
    shape = form.centre.shape
    centre, slopes = (Box(*(end.reshape(-1, *shape[1:]) for end in each)) for each in (y, slopes))
    return of_boxes(centre, Box(*(end.reshape(-1, *shape) for end in slopes)), joined(rest, np.full(shape, bend)))


def _norms_up(x: Array) -> Array:
    """At least the L2 norms along the last axis, which stays."""
    return above(np.sqrt(sum_up(above(x * x), (x.ndim - 1,))))[..., None]


_RULES: dict[str, Callable[..., Form | None]] = {
    **dict.fromkeys(SELECTIONS, _selected),
    **dict.fromkeys(("Conv", "Gemm", "MatMul"), _weighted),
    "Add": _sum,
    "Sub": _sum,
    "Mul": _scaled,
    "Div": _scaled,
    "InstanceNormalization": _normalized,
}
