"""What single nodes make of boxes.

A matrix or convolution W takes a box with the middle c and the radius r to one with the middle W c and the radius
|W| r. Computed in float64 with n weights a result, W c is off by at most gamma |W| |c|, gamma = 2 n u, u = 2^-53, in
whatever order it is added (Higham 2002, section 3.1), and |W| (r + gamma |c|) by that share of itself, for which the
radius is raised by 2 gamma; results below 2^-1022 lose at most that much.

A function that never falls takes the ends of a box to the ends of another. NumPy's exp, log1p and tanh are taken to be
off by at most 4 units in the last place, 8 u: the functions here, with at most two of them and a few operations on
numbers of one sign, by a share of less than 32 u.
"""

from collections.abc import Callable, Sequence

import numpy as np

from gen_export.verify.intervals import box
from gen_export.verify.intervals.box import Box, above, fixed, outward
from gen_export.verify.intervals.normalization import normalized
from gen_export.verify.lipschitz.affine import WEIGHTED
from gen_export.verify.lipschitz.operators import entry_places, evaluate, refusal
from gen_export.verify.lipschitz.outward import UNIT, Array
from gen_export.verify.lipschitz.selections import SELECTIONS
from gen_export.verify.onnx_graph import Node

Boxes = Sequence[Box | None]
LOSS = 32 * UNIT
TINY = 2.0**-1022
SILU_LEAST, SILU_TURN = -0.2784646, (-1.2784646, -1.2784645)
"""Less than the least value of v sigmoid(v), and numbers on both sides of the v that has it.

Where its slope is 0, v (1 - sigmoid(v)) = -1, that is v + 1 + e^v = 0 with the value v + 1; v + 1 + e^v grows, and is
-1.3e-7 and 5.5e-8 at those numbers.
"""


def applied(node: Node, inputs: Boxes) -> Box:
    """The box of what a node computes from boxes.

    Raises:
        NoCertificateError: No rule bounds it; the message says why.
    """
    if node.op_type not in _RULES:
        raise refusal(node, "no rule bounds this operator on a box")
    return _RULES[node.op_type](node, inputs)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), off by a share of less than `LOSS` where it is above `TINY`."""
    power = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, power) / (1.0 + power)


def silu(x: Box) -> Box:
    """SiLU, v sigmoid(v), which falls to its least value and then grows."""
    left, right = (_widened(end * sigmoid(end)) for end in x)
    turns = (x.low < SILU_TURN[1]) & (x.high > SILU_TURN[0])
    low = np.where(turns, SILU_LEAST, np.minimum(left.low, right.low))
    return outward(low, np.maximum(left.high, right.high))


def _widened(nearest: Array) -> Box:
    """Around results that are off by a share of `LOSS`."""
    return Box(nearest - LOSS * np.abs(nearest) - TINY, nearest + LOSS * np.abs(nearest) + TINY)


def _rising(node: Node, inputs: Boxes) -> Box:
    """A function that never falls."""
    x, *limits = _given(node, inputs)
    if not all(limit.fixed for limit in limits):
        raise refusal(node, "its limits are not the same for all inputs")
    if node.attributes.get("alpha", 0.0) < 0:
        raise refusal(node, "it falls and grows")
    if node.op_type == "Sigmoid":
        low, high = map(sigmoid, x)
    else:
        low, high = (evaluate(node, [end, *(limit.low for limit in limits)]) for end in x)
    return Box(low, high) if node.op_type in ("Relu", "Clip") else Box(_widened(low).low, _widened(high).high)


def _copying(node: Node, inputs: Boxes) -> Box:
    """A selection or a concatenation: the same entries of both ends."""
    moving = len(inputs) if node.op_type == "Concat" else 1
    places = [place for place in entry_places(node) if place >= moving]
    if any(value is not None and not value.fixed for value in (inputs[place] for place in places)):
        raise refusal(node, "which entries it takes is not the same for all inputs")
    lows = [None if value is None else value.low for value in inputs]
    highs = [None if value is None else value.high for value in inputs[:moving]]
    low = evaluate(node, lows)
    if all(value is None or value.fixed for value in (inputs[place] for place in entry_places(node))):
        return fixed(low)
    if low.dtype.kind != "f":
        raise refusal(node, "it rounds its input to integers, and so jumps")
    return Box(low, evaluate(node, [*highs, *lows[moving:]]))


def _weighted(node: Node, inputs: Boxes) -> Box:
    """A convolution or a product with a matrix of constants."""
    x, w, *rest = _given(node, inputs)
    place = 0 if w.fixed else 1
    weights, moving = (w, x) if w.fixed else (x, w)
    if not weights.fixed or (place and node.op_type != "MatMul"):
        raise refusal(node, "its weights are no constants of the file")
    if not np.isfinite(weights.low).all():
        raise refusal(node, "its weights are not all finite")

    def apply(array: Array, matrix: Array, sign: float) -> Array:
        attributes = {name: value * sign if name == "alpha" else value for name, value in node.attributes.items()}
        try:
            return WEIGHTED[node.op_type](attributes, *((matrix, array) if place else (array, matrix)))
        except ValueError as error:
            raise refusal(node, f"cannot be computed: {error}") from error

    sign = -1.0 if node.attributes.get("alpha", 1.0) < 0 else 1.0
    gamma = 2 * (_products(node, weights.low) + 2) * UNIT
    centre, radius = box.middle(moving)
    nearest = apply(centre, weights.low, 1.0)
    spread = apply(above(radius + 2 * gamma * np.abs(centre)), np.abs(weights.low), sign) * (1 + 2 * gamma) + TINY
    return _biased(node, outward(nearest - spread, nearest + spread), rest)


def _products(node: Node, weights: Array) -> int:
    """At least how many products each result is the sum of."""
    if node.op_type in ("Conv", "ConvTranspose"):
        return weights.size // weights.shape[0 if node.op_type == "Conv" else 1]
    return max(weights.shape)


def _biased(node: Node, product: Box, rest: list[Box]) -> Box:
    """With the bias of a convolution, or beta times that of a Gemm."""
    if not rest:
        return product
    if node.op_type in ("Conv", "ConvTranspose"):
        return box.add(product, Box(*(end[:, None, None] for end in rest[0])))
    return box.add(product, box.multiply(rest[0], fixed(np.array(node.attributes.get("beta", 1.0)))))


def _normalized(node: Node, inputs: Boxes) -> Box:
    """Instance normalisation: each channel by its own mean and variance."""
    x, weight, bias = _given(node, inputs)
    epsilon = node.attributes.get("epsilon", float(np.float32(1e-5)))
    if not epsilon > 0:
        raise refusal(node, f"expected an epsilon above 0, found {epsilon}")
    rows = Box(*(end.reshape(*end.shape[:2], -1) for end in x))
    scale, shift = (Box(*(end.reshape(1, -1, 1) for end in each)) for each in (weight, bias))
    found = box.add(box.multiply(normalized(rows, epsilon), scale), shift)
    return Box(*(end.reshape(x.low.shape) for end in found))


def _arithmetic(rule: Callable[..., Box]) -> Callable[[Node, Boxes], Box]:
    def apply(node: Node, inputs: Boxes) -> Box:
        try:
            return rule(*_given(node, inputs))
        except ValueError as error:
            raise refusal(node, f"cannot be computed: {error}") from error

    return apply


def _given(node: Node, inputs: Boxes) -> list[Box]:
    """The inputs that are not left out."""
    return [value for value in inputs if value is not None]


_RULES: dict[str, Callable[[Node, Boxes], Box]] = {
    **dict.fromkeys(SELECTIONS, _copying),
    **dict.fromkeys(("Concat", "Constant", "ConstantOfShape", "Shape"), _copying),
    **dict.fromkeys(("Relu", "LeakyRelu", "Clip", "Tanh", "Sigmoid", "Softplus"), _rising),
    **dict.fromkeys(WEIGHTED, _weighted),
    "Add": _arithmetic(box.add),
    "Sub": _arithmetic(box.subtract),
    "Mul": _arithmetic(box.multiply),
    "Div": _arithmetic(box.divide),
    "Sqrt": _arithmetic(box.root),
    "Neg": _arithmetic(lambda x: Box(-x.high, -x.low)),
    "InstanceNormalization": _normalized,
}
