"""Changes of an ONNX model that a wrong export could have made, and the register of mutants.

A mutant is one change in one file of an exported family. Each change says what it looked for when it does not find
it, so that a mutant never is the right file by accident.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from gen_runtime.card import KEY

Change = Callable[[onnx.ModelProto], None]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One wrong file.

    Attributes:
        name: What is wrong, in one phrase.
        family: Whose export.
        graph: Which file: `sample`, `objective`, ...
        change: Makes it wrong.
    """

    name: str
    family: str
    graph: str
    change: Change


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and those inside it."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from graphs(attribute.g)


def find(model: onnx.ModelProto, op_type: str, at: int = 0, output: str | None = None) -> onnx.NodeProto:
    """The node of this type, counted over all graphs in order; or the one that computes `output`."""
    found = [
        node
        for graph in graphs(model.graph)
        for node in graph.node
        if node.op_type == op_type and (output is None or output in node.output)
    ]
    assert found, f"no {op_type} {output or ''}"
    return found[at]


def retype(op_type: str, becomes: str, at: int = 0, output: str | None = None) -> Change:
    """One operator for another: ReduceMean by ReduceSum, ArgMin by ArgMax."""

    def change(model: onnx.ModelProto) -> None:
        find(model, op_type, at, output).op_type = becomes

    return change


def swap(op_type: str, at: int = 0, output: str | None = None) -> Change:
    """The two inputs of a node exchanged: a sign, a quotient upside down."""

    def change(model: onnx.ModelProto) -> None:
        node = find(model, op_type, at, output)
        node.input[0], node.input[1] = node.input[1], node.input[0]

    return change


def bypass(op_type: str, at: int = 0, output: str | None = None, operand: int = 0) -> Change:
    """A node left out: what used its output uses its input."""

    def change(model: onnx.ModelProto) -> None:
        node = find(model, op_type, at, output)
        kept = node.input[operand]
        node.op_type = "Identity"
        del node.attribute[:]
        del node.input[:]
        node.input.append(kept)

    return change


def rewire(op_type: str, operand: int, source: str, at: int = 0, output: str | None = None) -> Change:
    """An input of a node taken from another value of its graph."""

    def change(model: onnx.ModelProto) -> None:
        node = find(model, op_type, at, output)
        assert node.input[operand] != source, f"{op_type} reads {source} already"
        node.input[operand] = source

    return change


def attribute(op_type: str, name: str, value: Any, at: int = 0, output: str | None = None) -> Change:
    """An attribute of a node set: an axis, a mode, an epsilon."""

    def change(model: onnx.ModelProto) -> None:
        node = find(model, op_type, at, output)
        (old,) = [each for each in node.attribute if each.name == name]
        assert onnx.helper.get_attribute_value(old) != value, f"{op_type}.{name} is {value} already"
        old.CopyFrom(onnx.helper.make_attribute(name, value))

    return change


def card(function: Callable[[dict[str, Any]], None]) -> Change:
    """The card changed by a function of its document."""

    def change(model: onnx.ModelProto) -> None:
        (entry,) = [each for each in model.metadata_props if each.key == KEY]
        document = json.loads(entry.value)
        function(document)
        assert document != json.loads(entry.value), "the card is as it was"
        entry.value = json.dumps(document)

    return change


def put(value: float, becomes: float, at: int = 0) -> Change:
    """Another number in the place of a scalar constant."""

    def change(model: onnx.ModelProto) -> None:
        tensors = [tensor for tensor in constants(model) if _is(tensor, value)]
        assert tensors, f"no constant {value}"
        _replace(tensors[at], np.full_like(numpy_helper.to_array(tensors[at]), becomes))

    return change


def scale(value: float, by: float, at: int = 0) -> Change:
    """A scalar constant of this value multiplied by a factor."""
    return put(value, value * by, at)


def edit(suffix: str, function: Callable[[np.ndarray], np.ndarray]) -> Change:
    """An initializer, by the end of its name, changed by a function of its array; in every graph that holds it."""

    def change(model: onnx.ModelProto) -> None:
        tensors = [tensor for tensor in constants(model) if tensor.name.endswith(suffix)]
        assert tensors, f"no initializer named ..{suffix}"
        for tensor in tensors:
            _replace(tensor, function(numpy_helper.to_array(tensor)))

    return change


def constants(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Initializers, and the values of Constant nodes, of all graphs."""
    for graph in graphs(model.graph):
        yield from graph.initializer
        for node in graph.node:
            for attribute in node.attribute:
                if node.op_type == "Constant" and attribute.name == "value":
                    yield attribute.t


def _is(tensor: onnx.TensorProto, value: float) -> bool:
    array = numpy_helper.to_array(tensor)
    return array.size == 1 and bool(np.isclose(float(array.ravel()[0]), value, rtol=1e-6, atol=0.0))


def _replace(tensor: onnx.TensorProto, array: np.ndarray) -> None:
    dtype = numpy_helper.to_array(tensor).dtype
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(array, dtype), tensor.name))
