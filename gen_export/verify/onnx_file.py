"""An ONNX file without the package onnx: what it holds, a hash of what it computes, and edits for a probe."""

import hashlib
from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from pathlib import Path

from gen_export.verify.onnx_graph import (
    ELEMENTS,
    GRAPH_INPUT,
    GRAPH_NODE,
    GRAPH_OUTPUT,
    NODE_OUTPUT,
    VALUE_NAME,
    OnnxGraph,
    refuse_external,
)
from gen_export.verify.wire import Message, header, written
from gen_runtime.errors import FileError
from gen_runtime.ports import Port

LARGEST = 2**31 - 1
"""Bytes of the largest file read: protobuf's own limit."""

_GRAPH, _METADATA, _TRAINING, _FUNCTION = 7, 14, 20, 25
_PRODUCER, _PRODUCER_VERSION, _DOC_STRING = 2, 3, 6
_REPLACED = "/replaced"
_SILENT = {_PRODUCER, _PRODUCER_VERSION, _DOC_STRING, _METADATA}
_ELEMENT_NUMBERS = {name: number for number, name in ELEMENTS.items()}


class OnnxFile:
    """A model in memory, never changed: an edit gives a new one.

    Attributes:
        data: The model's bytes.
        source: The file it came from.
    """

    def __init__(self, data: bytes, source: Path) -> None:
        self.data = data
        self.source = source
        self._model = Message(data, str(source))

    @classmethod
    def read(cls, path: Path) -> "OnnxFile":
        """The model of a file.

        Raises:
            FileError: It cannot be read or is larger than 2 GiB.
        """
        try:
            size = path.stat().st_size
            if size > LARGEST:
                raise FileError(f"{path}: expected at most {LARGEST} bytes, found {size}")
            return cls(path.read_bytes(), path)
        except OSError as error:
            raise FileError(f"{path}: cannot be read: {error.strerror or error}") from error

    @property
    def metadata(self) -> dict[str, str]:
        """The model's metadata."""
        return {entry.text(1): entry.text(2) for entry in self._model.messages(_METADATA)}

    def with_metadata(self, key: str, value: str) -> "OnnxFile":
        """The model with one entry of its metadata set; every other field is byte for byte what it was."""
        entry = written(1, key.encode()) + written(2, value.encode())
        kept = [
            field.raw
            for field in self._model.fields
            if field.number != _METADATA or self._model.child(field).text(1) != key
        ]
        return self._of(*kept, written(_METADATA, entry))

    def weights_hash(self) -> str:
        """SHA-256 in hexadecimal of all that decides what the file computes.

        That is every field of the model but its metadata, producer and documentation, so it stays when the
        metadata is changed and goes when a weight, node, attribute, opset or port is.

        Raises:
            FileError: A tensor lies outside the file.
        """
        for graph in self.graphs():
            for tensor in graph.tensors():
                refuse_external(tensor)
        digest = hashlib.sha256()
        for field in self._model.fields:
            if field.number not in _SILENT:
                digest.update(field.raw)
        return digest.hexdigest()

    @cached_property
    def graph(self) -> OnnxGraph:
        """The main graph.

        Raises:
            FileError: There is none, or nodes may lie elsewhere: in functions of the file or a training graph.
        """
        for number, what in ((_FUNCTION, "functions of its own"), (_TRAINING, "a training graph")):
            if self._model.chunks(number):
                raise self._model.broken(f"it has {what}, which is not read")
        if not self._model.chunks(_GRAPH):
            raise self._model.broken("it has no graph")
        return OnnxGraph(self._model.message(_GRAPH))

    def graphs(self) -> Iterator[OnnxGraph]:
        """The main graph and all graphs inside it, depth first.

        Raises:
            FileError: They lie in one another too deep.
        """
        return self.graph.walk()

    def expose(self, ports: Iterable[Port]) -> "OnnxFile":
        """The model with values of its main graph as further outputs; one that is an output stays one.

        Raises:
            FileError: The main graph has no such value.
        """
        new = [port for port in ports if port.name not in self.graph.outputs]
        graph = self.graph
        self._require(new, {*graph.inputs, *graph.initializers, *_computed(graph)})
        # A second message of a single field merges with the first, so its outputs follow the graph's own.
        return self._of(self.data, written(_GRAPH, _declared(GRAPH_OUTPUT, new)))

    def substitute(self, ports: Collection[Port]) -> "OnnxFile":
        """The model with values of its main graph as inputs, in place of what its nodes compute.

        A value that was also an output of the graph is one no longer.

        Raises:
            FileError: No node of the main graph computes such a value.
        """
        self._require(ports, _computed(self.graph))
        kept = [*self._without_sources({port.name for port in ports}), _declared(GRAPH_INPUT, ports)]
        others = [field.raw for field in self._model.fields if field.number != _GRAPH]
        return self._of(*others, header(_GRAPH, sum(map(len, kept))), *kept)

    def _require(self, ports: Iterable[Port], values: set[str]) -> None:
        for port in ports:
            if port.name not in values:
                raise FileError(f"{self.source}: expected its main graph to compute {port.name!r}, found no such value")

    def _without_sources(self, names: set[str]) -> Iterator[bytes | memoryview]:
        """The fields of the main graph, where the nodes of these values give them names that nothing reads."""
        message = self.graph.message
        for field in message.fields:
            if field.number == GRAPH_NODE:
                yield _renamed(message.child(field), names)
            elif field.number != GRAPH_OUTPUT or message.child(field).text(VALUE_NAME) not in names:
                yield field.raw

    def _of(self, *chunks: bytes | memoryview) -> "OnnxFile":
        return OnnxFile(b"".join(chunks), self.source)


def _computed(graph: OnnxGraph) -> set[str]:
    """The names of the values that the graph's nodes compute."""
    return {name for node in graph.nodes for name in node.outputs}


def _renamed(node: Message, names: set[str]) -> bytes:
    """The field of a node, its outputs of these names renamed."""
    fields = [
        written(NODE_OUTPUT, f"{name}{_REPLACED}".encode())
        if field.number == NODE_OUTPUT and (name := str(node.child(field).data, "utf-8")) in names
        else field.raw
        for field in node.fields
    ]
    return written(GRAPH_NODE, b"".join(fields))


def _declared(number: int, ports: Iterable[Port]) -> bytes:
    """The ports as inputs or outputs of a graph."""
    return b"".join(written(number, _value_info(port)) for port in ports)


def _value_info(port: Port) -> bytes:
    """The name, element type and shape of a port, a free axis by its name."""
    axes = (written(2, axis.encode()) if isinstance(axis, str) else written(1, axis) for axis in port.shape)
    shape = b"".join(written(1, axis) for axis in axes)
    tensor = written(1, _ELEMENT_NUMBERS[port.dtype]) + written(2, shape)
    return written(VALUE_NAME, port.name.encode()) + written(2, written(1, tensor))
