"""The derivative of an ONNX network along a direction, node by node: forward-mode differentiation.

Griewank & Walther, *Evaluating Derivatives* (2008), chapter 3. A value's *tangent* is how it changes as the network's
first input moves. Each operator has a rule from the tangents of its inputs to that of its output, of forward operators
alone: no operator of training is needed, what does not depend on the input costs nothing, and the network's own nodes
give its own output. Rules are read off the operators' pages of ONNX, opset 18 and later.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from gen_export.errors import ExportError
from gen_export.export.graph_arrays import GraphArray, constant, emit, innermost
from gen_export.export.nodes import Applied, plane_mean
from gen_export.export.subgraphs import inline


@dataclass(frozen=True, slots=True)
class Pushed(Applied):
    """A node of whose inputs some have tangents.

    Attributes:
        tangents: Those of its inputs, None where one does not move.
    """

    tangents: list[GraphArray | None]

    def again(self, *inputs: GraphArray | None) -> GraphArray:
        """The same operator with the same attributes on other inputs."""
        return emit(self.node.op_type, *inputs, dtype=np.float32, **self.node.attributes)

    def moved(self, at: int) -> GraphArray:
        """The tangent of an input, zeros where it does not move."""
        return self.tangents[at] or 0.0 * self.input(at)


Rule = Callable[[Pushed], GraphArray | None]


def directional(
    model: ir.Model, direction: GraphArray, x: GraphArray, *others: GraphArray
) -> tuple[GraphArray, GraphArray]:
    """A network's output at x and its other inputs, and its derivative there along a direction in x.

    Raises:
        ExportError: An operator has no rule.
    """
    start = innermost().num_nodes()
    (output,) = inline(model, x, *others)
    tangents: dict[ir.Value, GraphArray] = {x.value: direction}
    for node in list(innermost())[start:]:
        if any(value in tangents for value in node.inputs if value is not None):
            _propagate(node, tangents)
    return output, tangents.get(output.value) or 0.0 * output


def _propagate(node: ir.Node, tangents: dict[ir.Value, GraphArray]) -> None:
    """Adds the tangent of what a node computes."""
    if node.op_type not in RULES or len(node.outputs) != 1:
        raise ExportError(f"slope: expected operators with a derivative ({', '.join(RULES)}), found {node.op_type}")
    known = [None if value is None else tangents.get(value) for value in node.inputs]
    tangent = RULES[node.op_type](Pushed(node, known))
    if tangent is not None:
        tangents[node.outputs[0]] = tangent


def _none(_: Pushed) -> None:
    """A shape does not move with the values."""


def _linear(a: Pushed) -> GraphArray | None:
    """Of an operator linear in its first input, whose others say how: itself."""
    others = [value and GraphArray(value) for value in a.node.inputs[1:]]
    return a.tangents[0] and a.again(a.tangents[0], *others)


def _kernel(a: Pushed) -> GraphArray:
    """Of a convolution: itself, without the bias; its kernel does not move."""
    return a.again(a.tangents[0], a.input(1))


def _sum(a: Pushed) -> GraphArray:
    """Of x + y: x' + y', likewise of x - y; of the output's shape where one of them does not move."""
    if None not in a.tangents:
        return a.again(*a.tangents)
    tangent = a.tangents[0] or a.again(0.0 * a.moved(1), a.moved(1))
    return emit("Expand", tangent, emit("Shape", a.output, dtype=np.int64))


def _product(a: Pushed) -> GraphArray:
    """Of x y: x' y + x y', of numbers or of matrices."""
    x, y = a.tangents
    if y is None:
        return a.again(x, a.input(1))
    right = a.again(a.input(0), y)
    return right if x is None else a.again(x, a.input(1)) + right


def _quotient(a: Pushed) -> GraphArray:
    """Of q = x / y: (x' - q y') / y."""
    change = a.moved(0) if a.tangents[1] is None else a.moved(0) - a.output * a.tangents[1]
    return change / a.input(1)


def _concat(a: Pushed) -> GraphArray:
    """The tangents side by side."""
    return a.again(*(a.moved(at) for at in range(len(a.node.inputs))))


def _relu(a: Pushed) -> GraphArray:
    """Of max(x, 0): x' where x > 0, else 0."""
    return emit("Where", a.output > 0.0, a.moved(0), constant(0.0, np.float32), dtype=np.float32)


def _sigmoid(a: Pushed) -> GraphArray:
    """Of s = 1 / (1 + exp(-x)): s (1 - s) x'."""
    return a.moved(0) * (a.output * (1.0 - a.output))


def _tanh(a: Pushed) -> GraphArray:
    """Of y = tanh x: (1 - y^2) x'."""
    return a.moved(0) * (1.0 - a.output * a.output)


def _softmax(a: Pushed) -> GraphArray:
    """Of s = softmax x: s (x' - sum s x'), the sum along the operator's axis."""
    weighted = a.moved(0) * a.output
    axis = a.node.attributes.get_int("axis", -1)
    return weighted - a.output * emit("ReduceSum", weighted, constant([axis], np.int64))


def _normalized(a: Pushed) -> GraphArray:
    """Of scale y, y = (x - mean x) / sd over axes 2 and on: scale (x' - mean x' - y mean y x') / sd."""
    x, tangent = a.input(0), a.moved(0)
    centred = x - plane_mean(x)
    deviation = emit("Sqrt", plane_mean(centred * centred) + a.node.attributes.get_float("epsilon", 1e-5))
    y = centred / deviation
    inside = (tangent - plane_mean(tangent) - y * plane_mean(y * tangent)) / deviation
    channels = emit("Shape", deviation, dtype=np.int64, start=1)
    return inside * emit("Reshape", a.input(1), channels)


RULES: dict[str, Rule] = {
    "Shape": _none,
    **dict.fromkeys(("Reshape", "Transpose", "Slice", "Squeeze", "Unsqueeze", "Expand", "CastLike"), _linear),
    **dict.fromkeys(("DepthToSpace", "Resize"), _linear),
    "Conv": _kernel,
    "ConvTranspose": _kernel,
    "Add": _sum,
    "Sub": _sum,
    "Mul": _product,
    "MatMul": _product,
    "Div": _quotient,
    "Concat": _concat,
    "Relu": _relu,
    "Sigmoid": _sigmoid,
    "Tanh": _tanh,
    "Softmax": _softmax,
    "InstanceNormalization": _normalized,
}
"""The operators of the networks, by the rules that they follow."""
