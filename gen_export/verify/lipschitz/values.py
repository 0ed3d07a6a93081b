"""What is known of the values of a graph while it is gone through: shapes, ranges, exact constants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np

from gen_export.verify.lipschitz import norms, outward
from gen_export.verify.lipschitz.operators import entry_places, evaluate, exact, is_read
from gen_export.verify.lipschitz.outward import EVERYTHING, Array, Range
from gen_export.verify.lipschitz.selections import SELECTIONS
from gen_export.verify.lipschitz.symmetric import Form
from gen_export.verify.onnx_graph import ELEMENTS, GRAPH_INPUT, VALUE_NAME, Node, OnnxGraph
from gen_export.verify.wire import Message

Sizes = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Value:
    """What is known of one value.

    Attributes:
        sample: It where all inputs of the graph are 0, for its shape; None where not even that is known.
        lipschitz: A Lipschitz constant as a function of the source; 0 where it does not depend on it.
        range: Holds every entry, whatever the inputs.
        fixed: The sample is the value, exactly, whatever the inputs.
        live: Which channels (axis 1) depend on the source; None where all may.
        form: What else is known of how it depends on the source (`symmetric`).
        proven: Of weights, the norms that are proven already, by how they are used.
    """

    sample: Array | None
    lipschitz: float = 0.0
    range: Range = EVERYTHING
    fixed: bool = False
    live: Array | None = None
    form: Form = None
    proven: dict[Any, float] = field(default_factory=dict, compare=False, repr=False)

    def convolution_norm(self, padded: tuple[int, int], strides: tuple[int, int], live: Array | None = None) -> float:
        """The norm of weights as a kernel, of the channels that are live, proven when it is first asked for."""
        assert self.sample is not None
        kernel = self.sample if live is None else self.sample[:, live]
        use = (padded, strides, None if live is None else live.tobytes())
        if use not in self.proven:
            self.proven[use] = norms.convolution_norm(kernel, padded, strides)
        return self.proven[use]

    def matrix_norm(self) -> float:
        """The norm of weights as a matrix."""
        assert self.sample is not None
        if "matrix" not in self.proven:
            self.proven["matrix"] = norms.matrix_norm(self.sample)
        return self.proven["matrix"]


Values = Sequence[Value | None]


def inputs_at_zero(graph: OnnxGraph, sizes: Sizes) -> dict[str, Value]:
    """The graph's inputs at 0, of these shapes by name; others as declared, a batch of any size being 1."""
    return {port.text(VALUE_NAME): _at_zero(port, sizes) for port in graph.message.messages(GRAPH_INPUT)}


def constants(tensors: Mapping[str, Array]) -> dict[str, Value]:
    """Tensors that are what they are: weights, and inputs that are known."""
    exactly = {name: exact(tensor) for name, tensor in tensors.items()}
    return {name: Value(tensor, range=outward.hull(tensor), fixed=True) for name, tensor in exactly.items()}


def samples(inputs: Values) -> list[Array | None]:
    """The samples of a node's inputs."""
    return [None if value is None else value.sample for value in inputs]


def data(node: Node, inputs: Values) -> list[Value]:
    """The inputs whose entries matter to a node."""
    return [value for place in entry_places(node) if (value := inputs[place]) is not None]


def independent(node: Node, inputs: Values) -> Value:
    """What a node computes from inputs that do not depend on the source; nothing is known where it is not read."""
    known = all(value is None or value.sample is not None for value in inputs)
    if not is_read(node) or not known or not all(value.fixed for value in _shaping(node, inputs)):
        return Value(None)
    sample = evaluate(node, samples(inputs))
    copied = node.op_type in (*SELECTIONS, "Concat", "Constant", "ConstantOfShape")
    if (copied or sample.dtype.kind != "f") and all(value.fixed for value in data(node, inputs)):
        return Value(sample, range=outward.hull(sample), fixed=True)
    return Value(sample, range=_range(node, data(node, inputs)) if sample.dtype.kind == "f" else EVERYTHING)


def _at_zero(port: Message, sizes: Sizes) -> Value:
    """An input of the graph, at 0."""
    tensor = port.message(2).message(1)
    declared = [axis.integer(1) if len(axis.words(1)) else None for axis in tensor.message(2).messages(1)]
    if declared and declared[0] is None:
        declared[0] = 1
    shape = sizes.get(port.text(VALUE_NAME), declared)
    kind = ELEMENTS.get(tensor.integer(1))
    if kind is None or any(size is None for size in shape):
        return Value(None)
    return Value(exact(np.zeros([size or 0 for size in shape], kind)))


def _shaping(node: Node, inputs: Values) -> list[Value]:
    """The inputs that decide the shape of what a node computes by their entries."""
    if node.op_type == "ConstantOfShape":
        return data(node, inputs)
    chosen = node.op_type in SELECTIONS and node.op_type not in ("Gather", "CastLike")
    return [value for value in inputs[1:] if value is not None] if chosen else []


def _range(node: Node, inputs: list[Value]) -> Range:
    """The range of real numbers that a node computes from others."""
    if node.op_type in _RANGES:
        return _RANGES[node.op_type](*(value.range for value in inputs))
    if node.op_type == "Clip":
        given = dict(zip((place for place, name in enumerate(node.inputs) if name), inputs, strict=True))
        low, high = (given[place].range if place in given else (end, end) for place, end in ((1, -inf), (2, inf)))
        return outward.clip(given[0].range, low, high)
    if node.op_type in SELECTIONS:
        return inputs[0].range
    if node.op_type == "Concat":
        return min(value.range[0] for value in inputs), max(value.range[1] for value in inputs)
    return EVERYTHING


_RANGES = {
    "Add": outward.add,
    "Sub": outward.subtract,
    "Mul": outward.multiply,
    "Div": outward.divide,
    "Sqrt": outward.root,
}
