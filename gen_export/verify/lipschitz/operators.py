"""The ONNX operators that are read, each by what it computes: real numbers as float64, integers as they are.

A cast from one kind of real numbers to another changes none. Source: the operators' pages of ONNX, opset 13 and later;
a node with an attribute that is not named here is not read.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gen_export.errors import NoCertificateError
from gen_export.verify.lipschitz.affine import WEIGHTED
from gen_export.verify.lipschitz.elementwise import ACTIVATIONS, ARITHMETIC
from gen_export.verify.lipschitz.outward import Array, Attributes
from gen_export.verify.lipschitz.selections import RESIZE, SELECTIONS
from gen_export.verify.onnx_graph import Node, OnnxGraph

Arrays = Sequence[Any]
"""The arrays that a node is given, None where one is left out."""


def describe(node: Node) -> str:
    """A node for messages: its operator and the value that it computes."""
    return f"{node.op_type} {node.outputs[0]!r}"


def refusal(node: Node, reason: str) -> NoCertificateError:
    """The error that says why a node stands in the way."""
    return NoCertificateError(f"{describe(node)}: {reason}")


def is_read(node: Node) -> bool:
    """Whether the operator and all attributes of a node are among those that are read."""
    standard = node.message.text(7) in ("", "ai.onnx")
    known = node.op_type in _FUNCTIONS and len(node.outputs) == 1
    return standard and known and node.attributes.keys() <= _ATTRIBUTES.get(node.op_type, set())


def evaluate(node: Node, arrays: Arrays) -> Array:
    """What a node computes.

    Raises:
        NoCertificateError: Its operator or an attribute is not read, or its inputs do not fit.
    """
    if not is_read(node):
        raise refusal(node, "the operator, its domain or one of its attributes is not among those that are read")
    try:
        with np.errstate(all="ignore"):
            return np.asarray(_FUNCTIONS[node.op_type](node.attributes, *arrays))
    except (ValueError, LookupError, TypeError, AttributeError, MemoryError) as error:
        raise refusal(node, f"cannot be computed: {error}") from error


def entry_places(node: Node) -> range:
    """The inputs whose entries matter to a node, not their shapes or types alone."""
    return range({"Shape": 0, "CastLike": 1}.get(node.op_type, len(node.inputs)))


def taken_entries(node: Node, arrays: Arrays) -> Array:
    """Which entry of its first input, in a row, a selection copies to each of its results."""
    entries, *others = arrays
    places = np.arange(entries.size, dtype=np.float64).reshape(entries.shape)
    return evaluate(node, [places, *others]).astype(np.int64)


def exact(array: Array) -> Array:
    """A tensor of the file as it is calculated with: real numbers in float64."""
    return array.astype(np.float64) if array.dtype.kind == "f" else np.asarray(array, array.dtype.newbyteorder("="))


def needed_nodes(graph: OnnxGraph, target: str) -> list[Node]:
    """The nodes that a value is computed by, in order."""
    needed, nodes = {target}, []
    for node in reversed(graph.nodes):
        if needed.intersection(node.outputs):
            nodes.append(node)
            needed.update(node.inputs)
    return nodes[::-1]


def _constant(attributes: Attributes) -> Array:
    ((name, value),) = attributes.items()
    return exact(np.asarray(value, np.int64 if name == "value_ints" else None))


def _constant_of_shape(attributes: Attributes, shape: Array) -> Array:
    return np.full(tuple(shape.tolist()), exact(attributes.get("value", np.zeros(1)))[0])


def _shape(attributes: Attributes, data: Array) -> Array:
    return np.array(data.shape[attributes.get("start", 0) : attributes.get("end")], np.int64)


def _sqrt(attributes: Attributes, data: Array) -> Array:
    return np.sqrt(data)


def _concat(attributes: Attributes, *parts: Array) -> Array:
    return np.concatenate(parts, axis=attributes["axis"])


def _ignoring_attributes(function: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    return lambda attributes, a, b: function(a, b)


_FUNCTIONS: dict[str, Callable[..., Array]] = {
    **SELECTIONS,
    **WEIGHTED,
    **{name: activation.function for name, activation in ACTIVATIONS.items()},
    **{name: _ignoring_attributes(arithmetic.function) for name, arithmetic in ARITHMETIC.items()},
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Shape": _shape,
    "Sqrt": _sqrt,
}
_ATTRIBUTES: dict[str, set[str]] = {
    "Reshape": {"allowzero"},
    "Transpose": {"perm"},
    "Flatten": {"axis"},
    "Cast": {"to", "saturate"},
    "CastLike": {"saturate"},
    "Gather": {"axis"},
    "DepthToSpace": {"blocksize", "mode"},
    "Resize": {*RESIZE, "antialias", "cubic_coeff_a", "exclude_outside", "extrapolation_value"},
    "LeakyRelu": {"alpha"},
    "Conv": {"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"},
    "ConvTranspose": {"auto_pad", "dilations", "group", "kernel_shape", "output_padding", "pads", "strides"},
    "Gemm": {"alpha", "beta", "transA", "transB"},
    "Concat": {"axis"},
    "Constant": {"value", "value_float", "value_floats", "value_int", "value_ints"},
    "ConstantOfShape": {"value"},
    "Shape": {"start", "end"},
}
"""The attributes that are read, or may be there as they change nothing for what is read."""
