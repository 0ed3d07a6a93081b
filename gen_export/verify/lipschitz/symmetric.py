"""Slopes around a multiple of the identity: of multiples of x, and of gradients W^T s(W x + c) of convex potentials.

A value v has slopes in [l, h], as a function of the source x, where x -> v(x) - (l + h) / 2 x has the Lipschitz
constant (h - l) / 2. Where v is differentiable and its slopes are symmetric, that says that their eigenvalues are in
[l, h]. Sums add up such ranges, and a number k makes [k l, k h] of one.

Where s acts on single numbers and has slopes in [0, 1], s(W x + c) - s(W y + c) = D W (x - y) with a diagonal matrix D
of entries in [0, 1], whatever x and y are. So W^T D W is symmetric with eigenvalues from 0 to |W|^2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gen_export.verify.lipschitz import outward
from gen_export.verify.lipschitz.affine import convolution
from gen_export.verify.lipschitz.elementwise import ACTIVATIONS
from gen_export.verify.lipschitz.outward import Array, Range, multiply_up
from gen_export.verify.onnx_graph import Node

if TYPE_CHECKING:
    from gen_export.verify.lipschitz.values import Value

IDENTITY: Range = (1.0, 1.0)
_GROWING = ("Relu", "Tanh", "Sigmoid", "Softplus")
"""Activations whose slopes are at least 0."""
_SAME_ORDER = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity")
"""Selections that keep all entries in their order: a range of slopes is of vectors, whatever their shape."""


@dataclass(frozen=True)
class Rows:
    """A value v with v(x) - v(y) = D W (x - y), D diagonal.

    Attributes:
        kernel: The name of W, a convolution of the source.
        pads: Its pads.
        strides: Its strides.
        low: At most the entries of D, one a row of W.
        high: At least these.
    """

    kernel: str
    pads: tuple[int, ...]
    strides: tuple[int, int]
    low: Array
    high: Array


Form = Range | Rows | None
"""The range of a value's slopes, its rows, or nothing that is known."""


def through(node: Node, inputs: "Sequence[Value | None]", result: Array) -> Form:
    """The form of what a node computes, if its inputs give it one."""
    moving = [value for value in inputs if value is not None and value.lipschitz]
    formed = [value for value in moving if value.form is not None]
    if not formed or len(formed) < len(moving):
        return None
    same_shape = all(value.sample is not None and value.sample.shape == result.shape for value in formed)
    if node.op_type in ("Add", "Sub"):
        return _sum(node, inputs, formed) if same_shape else None
    if len(formed) > 1:
        return None
    form = formed[0].form
    if node.op_type in _SAME_ORDER and isinstance(form, tuple):
        return form
    if node.op_type in ("Mul", "Div") and same_shape:
        return _scaled(node, inputs, formed[0], result.ndim)
    if node.op_type in _GROWING and isinstance(form, Rows):
        return _bent(form, ACTIVATIONS[node.op_type].constant(node.attributes))
    return _across(node, inputs, result)


def _across(node: Node, inputs: "Sequence[Value | None]", result: Array) -> Form:
    """Rows of the source that a convolution makes, and the source's size that its transpose brings back."""
    image, kernel = inputs[0], inputs[1] if len(inputs) > 1 else None
    if node.op_type not in ("Conv", "ConvTranspose") or image is None or kernel is None or not kernel.fixed:
        return None
    assert kernel.sample is not None
    if not np.isfinite(kernel.sample).all():
        return None
    pads, strides = convolution(node.attributes, kernel.sample)
    if node.op_type == "Conv":
        ones = np.ones(len(kernel.sample))
        return Rows(node.inputs[1], pads, strides, ones, ones) if image.form == IDENTITY else None
    rows = image.form
    if not isinstance(rows, Rows) or (rows.kernel, rows.pads, rows.strides) != (node.inputs[1], pads, strides):
        return None
    height, width = (size + sum(pads[axis::2]) for axis, size in enumerate(result.shape[2:]))
    norm = kernel.convolution_norm((height, width), strides)
    square = multiply_up(norm, norm)
    return outward.multiply((min(float(rows.low.min()), 0.0), max(float(rows.high.max()), 0.0)), (square, square))


def _sum(node: Node, inputs: "Sequence[Value | None]", formed: "list[Value]") -> Form:
    """Ranges add up; what does not depend on the source leaves a form as it is."""
    combine = outward.add if node.op_type == "Add" else outward.subtract
    if len(formed) == 1:
        first = inputs[0] is formed[0]
        if node.op_type == "Add" or first:
            return formed[0].form
        return _times(formed[0].form, np.full(1, -1.0), np.full(1, -1.0))
    left, right = (value.form for value in formed)
    return combine(left, right) if isinstance(left, tuple) and isinstance(right, tuple) else None


def _scaled(node: Node, inputs: "Sequence[Value | None]", formed: "Value", axes: int) -> Form:
    """A form times, or divided by, what does not depend on the source: one number, or a number a row."""
    (place,) = (place for place, value in enumerate(inputs) if value is not None and value is not formed)
    factor = inputs[place]
    assert factor is not None
    assert factor.sample is not None
    if node.op_type == "Div" and place == 0:
        return None
    each_row = factor.sample.ndim == axes and factor.sample.size == factor.sample.shape[1]
    if factor.fixed and (each_row or factor.sample.size == 1):
        low = high = factor.sample.ravel()
    elif factor.sample.size == 1:
        low, high = (np.full(1, end) for end in factor.range)
    else:
        return None
    if node.op_type == "Div":
        if not (low.min() > 0 or high.max() < 0):
            return None
        low, high = np.nextafter(1.0 / high, -np.inf), np.nextafter(1.0 / low, np.inf)
    return _times(formed.form, low, high)


def _times(form: Form, low: Array, high: Array) -> Form:
    """A form times numbers in [low, high], one or one a row."""
    if isinstance(form, tuple):
        return outward.multiply(form, (float(low[0]), float(high[0]))) if low.size == 1 else None
    if form is None or low.size not in (1, form.low.size):
        return None
    with np.errstate(invalid="ignore"):  # a number without a bound, times 0: NaN, of which no range is known
        products = np.stack([a * b for a in (form.low, form.high) for b in (low, high)])
    down, up = np.nextafter(products.min(0), -np.inf), np.nextafter(products.max(0), np.inf)
    return Rows(form.kernel, form.pads, form.strides, down, up)


def _bent(rows: Rows, steepest: float) -> Rows:
    """Rows behind an activation with slopes in [0, steepest]."""
    low, high = (np.nextafter(end * steepest, way) for end, way in ((rows.low, -np.inf), (rows.high, np.inf)))
    return Rows(rows.kernel, rows.pads, rows.strides, np.minimum(low, 0.0), np.maximum(high, 0.0))
