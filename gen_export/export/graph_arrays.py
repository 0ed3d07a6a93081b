"""Arrays that record ONNX nodes: the equations of `gen_export.spec` applied to them *are* the exported graph.

`GraphArray` has the operators and `array_namespace(graph_array)` the functions of the Array API that the spec
uses, so `normals(keys, draw, size)` or `ddim_sigma(...)` written once for NumPy also writes the sampler's nodes.
Nodes go to the innermost `recording()` graph, so a Loop body is whatever was called while it was recorded.
"""

import contextvars
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any, cast

import numpy as np
import onnx_ir as ir

Operand = Any  # a GraphArray or a Python number

_recording: contextvars.ContextVar[ir.Graph] = contextvars.ContextVar("recording")


@contextmanager
def recording(name: str, opset: int) -> Iterator[ir.Graph]:
    """An empty graph that collects the nodes made inside the block."""
    graph = ir.Graph([], [], nodes=[], opset_imports={"": opset}, name=name)
    token = _recording.set(graph)
    try:
        yield graph
    finally:
        _recording.reset(token)


def emit(op_type: str, *inputs: "GraphArray | None", dtype: Any = None, **attributes: Any) -> "GraphArray":
    """One node with one output in the graph being recorded, of the first input's element type unless given."""
    node = ir.node(op_type, [array and array.value for array in inputs], attributes)
    _recording.get().append(node)
    source = cast("GraphArray", inputs[0]).dtype if dtype is None else dtype
    node.outputs[0].type = ir.TensorType(ir.DataType.from_numpy(np.dtype(source)))
    return GraphArray(node.outputs[0])


def constant(value: Any, dtype: Any = None) -> "GraphArray":
    """An initializer of the graph being recorded."""
    graph = _recording.get()
    array = np.asarray(value, dtype)
    tensor = ir.tensor(array)
    name = f"constant_{len(graph.initializers)}_{graph.name}"
    initializer = ir.Value(name=name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)
    graph.register_initializer(initializer)
    return GraphArray(initializer)


def graph_input(name: str, dtype: Any, shape: Sequence[int | str], default: Any = None) -> "GraphArray":
    """An input of the graph being recorded; with a default it also has an initializer, so callers may omit it."""
    graph = _recording.get()
    kind = ir.TensorType(ir.DataType.from_numpy(np.dtype(dtype)))
    value = ir.Value(name=name, shape=ir.Shape(shape), type=kind)
    graph.inputs.append(value)
    if default is not None:
        value.const_value = ir.tensor(np.asarray(default, dtype), name=name)
        graph.register_initializer(value)
    return GraphArray(value)


class GraphArray:
    """A typed value of a graph being built, with the operators of an array."""

    def __init__(self, value: ir.Value) -> None:
        self.value = value

    def __array_namespace__(self, api_version: str | None = None) -> "GraphNamespace":
        return NAMESPACE

    @property
    def dtype(self) -> np.dtype:
        """The element type."""
        return cast("ir.DataType", self.value.dtype).numpy()

    def _operand(self, other: Operand) -> "GraphArray":
        return other if isinstance(other, GraphArray) else constant(other, self.dtype)

    def __add__(self, other: Operand) -> "GraphArray":
        return emit("Add", self, self._operand(other))

    def __radd__(self, other: Operand) -> "GraphArray":
        return emit("Add", self._operand(other), self)

    def __sub__(self, other: Operand) -> "GraphArray":
        return emit("Sub", self, self._operand(other))

    def __rsub__(self, other: Operand) -> "GraphArray":
        return emit("Sub", self._operand(other), self)

    def __mul__(self, other: Operand) -> "GraphArray":
        return emit("Mul", self, self._operand(other))

    def __rmul__(self, other: Operand) -> "GraphArray":
        return emit("Mul", self._operand(other), self)

    def __truediv__(self, other: Operand) -> "GraphArray":
        return emit("Div", self, self._operand(other))

    def __rtruediv__(self, other: Operand) -> "GraphArray":
        return emit("Div", self._operand(other), self)

    def __floordiv__(self, other: Operand) -> "GraphArray":
        """Integer Div, which rounds towards zero: the floor of operands that are not negative."""
        return emit("Div", self, self._operand(other))

    def __xor__(self, other: Operand) -> "GraphArray":
        return emit("BitwiseXor", self, self._operand(other))

    def __or__(self, other: Operand) -> "GraphArray":
        return emit("BitwiseOr", self, self._operand(other))

    def __rshift__(self, bits: int) -> "GraphArray":
        return emit("BitShift", self, self._operand(bits), direction="RIGHT")

    def __gt__(self, other: Operand) -> "GraphArray":
        return emit("Greater", self, self._operand(other), dtype=np.bool_)

    def __getitem__(self, key: Any) -> "GraphArray":
        """A row by a GraphArray index, or `[:, :stop]`."""
        if isinstance(key, GraphArray):
            return emit("Gather", self, key, axis=0)
        return emit("Slice", self, constant([0], np.int64), constant([key[1].stop], np.int64), constant([1], np.int64))

    def clip(self, low: Operand | None, high: Operand | None) -> "GraphArray":
        """Values limited to [low, high]; None for no limit."""
        limits = [None if bound is None else self._operand(bound) for bound in (low, high)]
        return emit("Clip", self, *limits)


class GraphNamespace(ModuleType):
    """The functions of the Array API that the spec calls, for `GraphArray`."""

    uint8, uint64, float32, float64, int64 = np.uint8, np.uint64, np.float32, np.float64, np.int64

    @staticmethod
    def astype(x: GraphArray, dtype: Any) -> GraphArray:
        """The values cast to another element type."""
        return emit("Cast", x, dtype=dtype, to=int(ir.DataType.from_numpy(np.dtype(dtype))))

    @staticmethod
    def arange(stop: Operand, dtype: Any = np.int64) -> GraphArray:
        """0..stop-1."""
        end = stop if isinstance(stop, GraphArray) else constant(stop, np.int64)
        numbers = emit("Range", constant(0, np.int64), end, constant(1, np.int64))
        return numbers if np.dtype(dtype) == np.int64 else NAMESPACE.astype(numbers, dtype)

    @staticmethod
    def reshape(x: GraphArray, shape: Sequence[int]) -> GraphArray:
        """The values in another shape; one extent may be -1."""
        return emit("Reshape", x, constant(list(shape), np.int64))

    @staticmethod
    def concat(arrays: Sequence[GraphArray], axis: int = 0) -> GraphArray:
        """Arrays joined along an axis."""
        return emit("Concat", *arrays, axis=axis)

    @staticmethod
    def permute_dims(x: GraphArray, axes: Sequence[int]) -> GraphArray:
        """The axes in another order."""
        return emit("Transpose", x, perm=list(axes))

    @staticmethod
    def sqrt(x: GraphArray) -> GraphArray:
        """Square root."""
        return emit("Sqrt", x)

    @staticmethod
    def log(x: GraphArray) -> GraphArray:
        """Natural logarithm."""
        return emit("Log", x)

    @staticmethod
    def cos(x: GraphArray) -> GraphArray:
        """Cosine."""
        return emit("Cos", x)

    @staticmethod
    def sin(x: GraphArray) -> GraphArray:
        """Sine."""
        return emit("Sin", x)

    @staticmethod
    def round(x: GraphArray) -> GraphArray:
        """Nearest integer, half to even."""
        return emit("Round", x)


NAMESPACE = GraphNamespace("graph_arrays")


def _subgraph(name: str, build: Callable[[], GraphArray]) -> ir.Graph:
    """A graph without inputs whose one output is what `build` returns."""
    with recording(name, _recording.get().opset_imports[""]) as graph:
        graph.outputs.append(emit("Identity", build()).value)
    return graph


def either(condition: GraphArray, then: Callable[[], GraphArray], otherwise: Callable[[], GraphArray]) -> GraphArray:
    """If: only the chosen branch is computed."""
    branches = {"then_branch": _subgraph("then", then), "else_branch": _subgraph("else", otherwise)}
    dtype = GraphArray(branches["else_branch"].outputs[0]).dtype
    return emit("If", condition, dtype=dtype, **branches)


def loop(
    trips: GraphArray,
    state: GraphArray,
    shape: Sequence[int | str],
    body: Callable[[GraphArray, GraphArray], GraphArray],
) -> GraphArray:
    """Loop: `state = body(j, state)` for j = 0..trips-1, the state always of `shape`.

    Constants and weights recorded in the body stay in it: from the outer graph ONNX Runtime would not pre-pack them.
    """
    with recording("step", _recording.get().opset_imports[""]) as graph:
        j = graph_input("j", np.int64, ())
        go_on = graph_input("go_on", np.bool_, ())
        x = graph_input("x_t", state.dtype, shape)
        result = emit("Identity", body(j, x))
        graph.outputs.extend([emit("Identity", go_on).value, result.value])
    always = constant(True, np.bool_)
    return emit("Loop", trips, always, state, dtype=state.dtype, body=graph)


def inline(model: ir.Model, *inputs: GraphArray) -> list[GraphArray]:
    """The nodes of a model applied to these inputs, its weights as initializers of the graph being recorded.

    A model that is inlined again into the same graph shares the weights that are already there.
    """
    target, source = _recording.get(), model.clone().graph
    for port, array in zip(source.inputs, inputs, strict=True):
        ir.convenience.replace_all_uses_with(port, array.value)
    prefix = f"{source.name}_{target.num_nodes()}"
    for name, weight in list(source.initializers.items()):
        del source.initializers[name]
        shared = target.initializers.get(f"{source.name}/{name}")
        if shared is not None and shared.const_value is weight.const_value:
            ir.convenience.replace_all_uses_with(weight, shared)
        else:
            weight.name = f"{source.name}/{name}" if shared is None else f"{prefix}/{name}"
            target.register_initializer(weight)
    outputs = list(source.outputs)
    source.outputs.clear()
    nodes = list(source)
    source.remove(nodes)
    for node in nodes:
        node.name = None
        for output in node.outputs:
            output.name = f"{prefix}/{output.name}"
    target.extend(nodes)
    return [GraphArray(output) for output in outputs]
