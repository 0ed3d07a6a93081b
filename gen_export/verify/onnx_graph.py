"""The graphs of an ONNX file: nodes, attributes and tensors, read when asked for (onnx/onnx.proto)."""

import contextlib
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from gen_export.verify.wire import FIXED32, FIXED64, Message

Array = npt.NDArray[Any]
ELEMENTS = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
}
"""NumPy's names of the element types that are read, by ONNX's numbers."""

GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_OUTPUT = 1, 5, 11, 12
NODE_OUTPUT = 2
VALUE_NAME = 1
_DEEPEST = 30
"""Graphs inside graphs that are read: protobuf itself reads 100 messages deep, and three make one such level."""
_TENSOR, _GRAPH, _TENSORS, _GRAPHS = 5, 6, 10, 11
_INT32_DATA, _FLOAT_DATA, _INT64_DATA, _RAW_DATA, _DOUBLE_DATA, _UINT64_DATA = 5, 4, 7, 9, 10, 11
_EXTERNAL = 1


class OnnxGraph:
    """One graph: the main one, or the body of a Loop or a branch of an If.

    Attributes:
        message: Its bytes.
        depth: How many graphs it lies in.
    """

    def __init__(self, message: Message, depth: int = 0) -> None:
        if depth > _DEEPEST:
            raise message.broken(f"graphs lie in one another more than {_DEEPEST} deep")
        self.message = message
        self.depth = depth

    @property
    def inputs(self) -> list[str]:
        """The names of its inputs, optional ones too."""
        return [value.text(VALUE_NAME) for value in self.message.messages(GRAPH_INPUT)]

    @property
    def outputs(self) -> list[str]:
        """The names of its outputs."""
        return [value.text(VALUE_NAME) for value in self.message.messages(GRAPH_OUTPUT)]

    @cached_property
    def nodes(self) -> tuple["Node", ...]:
        """Its own nodes in order, without those of graphs inside them."""
        return tuple(Node(message, self.depth) for message in self.message.messages(GRAPH_NODE))

    @cached_property
    def initializers(self) -> dict[str, Array]:
        """Its own initializers by name, read-only.

        Raises:
            FileError: One lies outside the file, is sparse or of an element type that is not read.
        """
        if self.message.chunks(15):
            raise self.message.broken("it has a sparse initializer, which is not read")
        return {tensor.text(8): read_tensor(tensor) for tensor in self.message.messages(GRAPH_INITIALIZER)}

    def walk(self) -> Iterator["OnnxGraph"]:
        """This graph, then all graphs inside its nodes, depth first."""
        yield self
        for node in self.nodes:
            for graph in node.graphs:
                yield from graph.walk()

    def tensors(self) -> Iterator[Message]:
        """All tensors of this graph's own initializers and its nodes' attributes, unread."""
        yield from self.message.messages(GRAPH_INITIALIZER)
        for node in self.nodes:
            for attribute in node.message.messages(5):
                yield from (*attribute.messages(_TENSOR), *attribute.messages(_TENSORS))


class Node:
    """One node.

    Attributes:
        message: Its bytes.
    """

    def __init__(self, message: Message, depth: int) -> None:
        self.message = message
        self._depth = depth

    @cached_property
    def op_type(self) -> str:
        """The operator: `Conv`."""
        return self.message.text(4)

    @cached_property
    def inputs(self) -> list[str]:
        """The names of its inputs; empty where one is left out."""
        return self.message.texts(1)

    @cached_property
    def outputs(self) -> list[str]:
        """The names of its outputs; empty where one is left out."""
        return self.message.texts(NODE_OUTPUT)

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """Its attributes: numbers, texts, arrays and graphs, or lists of these.

        Raises:
            FileError: One has a type that is not read.
        """
        return {attribute.text(1): self._value(attribute) for attribute in self.message.messages(5)}

    @cached_property
    def graphs(self) -> list[OnnxGraph]:
        """The graphs in its attributes: a Loop's body, an If's branches."""
        attributes = self.message.messages(5)
        return [graph for a in attributes for number in (_GRAPH, _GRAPHS) for graph in self._graphs(a, number)]

    def _value(self, attribute: Message) -> Any:
        """One value where the type is 1 to 5, a list of them where it is 6 to 10; type k is stored in field k + 1."""
        kind = attribute.integer(20)
        if not 1 <= kind <= 10:
            raise attribute.broken(f"an attribute has the type {kind}, which is not read")
        read = (_floats, Message.integers, Message.texts, _arrays, self._graphs)[(kind - 1) % 5]
        values = read(attribute, kind + 1)
        if kind > 5:
            return values
        if len(values) != 1:
            raise attribute.broken(f"an attribute has {len(values)} values, expected 1")
        return values[0]

    def _graphs(self, attribute: Message, number: int) -> list[OnnxGraph]:
        return [OnnxGraph(graph, self._depth + 1) for graph in attribute.messages(number)]


def read_tensor(tensor: Message) -> Array:
    """A tensor as a read-only array: a view of the file's bytes where they lie in a row.

    Raises:
        FileError: Its data lies outside the file, is too long or too short, or of a type that is not read.
    """
    refuse_external(tensor)
    kind, shape = tensor.integer(2), tensor.integers(1)
    if kind not in ELEMENTS:
        raise tensor.broken(f"a tensor has the element type {kind}, which is not read")
    array = _elements(tensor, np.dtype(ELEMENTS[kind]))
    array.flags.writeable = False
    if min(shape, default=0) >= 0:
        with contextlib.suppress(ValueError):
            return array.reshape(shape)
    raise tensor.broken(f"a tensor's shape {shape!s:.80} is not that of its {array.size} elements")


def refuse_external(tensor: Message) -> None:
    """Refuses a tensor whose data lies in another file.

    Raises:
        FileError: It does.
    """
    if tensor.integer(14) == _EXTERNAL or tensor.chunks(13):
        raise tensor.broken(f"the data of the tensor {tensor.text(8)!r} lies outside the file")


def _elements(tensor: Message, dtype: np.dtype[Any]) -> Array:
    """The elements of a tensor in a row: raw bytes, or the field that belongs to their type."""
    if raw := tensor.chunks(_RAW_DATA):
        return _in_a_row(tensor, raw[-1], dtype)
    if dtype in (np.float32, np.float64):
        number = _FLOAT_DATA if dtype == np.float32 else _DOUBLE_DATA
        return _in_a_row(tensor, b"".join(tensor.chunks(number, FIXED32, FIXED64)), dtype)
    wide = {"int64": _INT64_DATA, "uint32": _UINT64_DATA, "uint64": _UINT64_DATA}
    words = tensor.words(wide.get(dtype.name, _INT32_DATA))
    return words.astype(np.uint16).view(np.float16) if dtype == np.float16 else words.astype(dtype)


def _in_a_row(message: Message, data: bytes | memoryview, dtype: np.dtype[Any]) -> Array:
    """Little-endian elements, side by side."""
    if len(data) % dtype.itemsize:
        raise message.broken(f"{len(data)} bytes hold no whole number of {dtype}")
    return np.frombuffer(data, dtype.newbyteorder("<"))


def _floats(attribute: Message, number: int) -> list[float]:
    return _in_a_row(attribute, b"".join(attribute.chunks(number, FIXED32)), np.dtype(np.float32)).tolist()


def _arrays(attribute: Message, number: int) -> list[Array]:
    return [read_tensor(tensor) for tensor in attribute.messages(number)]
