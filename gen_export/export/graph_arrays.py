"""Arrays that record ONNX nodes: the equations of `gen_export.spec` applied to them *are* the exported graph.

`GraphArray` has the operators and `array_namespace(graph_array)` the functions of the Array API that the spec
uses, so `normals(keys, draw, size)` or `ddim_sigma(...)` written once for NumPy also writes the sampler's nodes.
Nodes go to the innermost `recording()` graph, so a Loop body is whatever was called while it was recorded.
"""

import contextvars
from collections.abc import Iterator, Sequence
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


def innermost() -> ir.Graph:
    """The graph being recorded."""
    return _recording.get()


def emit(op_type: str, *inputs: "GraphArray | None", dtype: Any = None, **attributes: Any) -> "GraphArray":
    """One node with one output in the graph being recorded, of the first input's element type unless given."""
    source = cast("GraphArray", inputs[0]).dtype if dtype is None else dtype
    return emit_all(op_type, inputs, [source], **attributes)[0]


def emit_all(
    op_type: str, inputs: Sequence["GraphArray | None"], dtypes: Sequence[Any], **attributes: Any
) -> list["GraphArray"]:
    """One node in the graph being recorded, with an output of each of these element types."""
    node = ir.node(op_type, [array and array.value for array in inputs], attributes, num_outputs=len(dtypes))
    innermost().append(node)
    for output, dtype in zip(node.outputs, dtypes, strict=True):
        output.type = ir.TensorType(ir.DataType.from_numpy(np.dtype(dtype)))
    return [GraphArray(output) for output in node.outputs]


def constant(value: Any, dtype: Any = None) -> "GraphArray":
    """An initializer of the graph being recorded."""
    graph = innermost()
    array = np.asarray(value, dtype)
    tensor = ir.tensor(array)
    name = f"constant_{len(graph.initializers)}_{graph.name}"
    initializer = ir.Value(name=name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)
    graph.register_initializer(initializer)
    return GraphArray(initializer)


def graph_input(name: str, dtype: Any, shape: Sequence[int | str], default: Any = None) -> "GraphArray":
    """An input of the graph being recorded; with a default it also has an initializer, so callers may omit it."""
    graph = innermost()
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

    def __rfloordiv__(self, other: Operand) -> "GraphArray":
        return emit("Div", self._operand(other), self)

    def __mod__(self, other: Operand) -> "GraphArray":
        """Integer Mod, the remainder of operands that are not negative."""
        return emit("Mod", self, self._operand(other))

    def __xor__(self, other: Operand) -> "GraphArray":
        return emit("BitwiseXor", self, self._operand(other))

    def __or__(self, other: Operand) -> "GraphArray":
        return emit("BitwiseOr", self, self._operand(other))

    def __rshift__(self, bits: int) -> "GraphArray":
        return emit("BitShift", self, self._operand(bits), direction="RIGHT")

    def __gt__(self, other: Operand) -> "GraphArray":
        return emit("Greater", self, self._operand(other), dtype=np.bool_)

    def __ge__(self, other: Operand) -> "GraphArray":
        return emit("GreaterOrEqual", self, self._operand(other), dtype=np.bool_)

    def __le__(self, other: Operand) -> "GraphArray":
        return emit("LessOrEqual", self, self._operand(other), dtype=np.bool_)

    def __getitem__(self, key: Any) -> "GraphArray":
        """A row `[i]` or a column `[:, i]` by a GraphArray index, or `[:, :stop]`."""
        if isinstance(key, GraphArray):
            return emit("Gather", self, key, axis=0)
        if isinstance(key[1], GraphArray):
            return emit("Gather", self, key[1], axis=1)
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
    def where(condition: GraphArray, x: GraphArray, y: Operand) -> GraphArray:
        """Elements of x where the condition holds, of y elsewhere."""
        return emit("Where", condition, x, x._operand(y), dtype=x.dtype)

    @staticmethod
    def equal(x: GraphArray, y: Operand) -> GraphArray:
        """Where elements are the same."""
        return emit("Equal", x, x._operand(y), dtype=np.bool_)

    @staticmethod
    def logical_or(x: GraphArray, y: GraphArray) -> GraphArray:
        """Where either holds."""
        return emit("Or", x, y)

    @staticmethod
    def max(x: GraphArray, axis: int, keepdims: bool = False) -> GraphArray:
        """Greatest element along an axis."""
        return emit("ReduceMax", x, constant([axis], np.int64), keepdims=int(keepdims))

    @staticmethod
    def sum(x: GraphArray, axis: int | Sequence[int], keepdims: bool = False) -> GraphArray:
        """Sum along an axis or several, of floats: ONNX Runtime's sum of whole numbers saturates."""
        return emit("ReduceSum", x, constant(np.atleast_1d(axis), np.int64), keepdims=int(keepdims))

    @staticmethod
    def cumulative_sum(x: GraphArray, axis: int) -> GraphArray:
        """Sums of the elements up to each along an axis."""
        return emit("CumSum", x, constant(axis, np.int64))

    @staticmethod
    def sort(x: GraphArray, axis: int = -1, descending: bool = False) -> GraphArray:
        """The elements along an axis in order; its extent may be known only when the graph runs."""
        extent = emit("Gather", emit("Shape", x, dtype=np.int64), constant([axis], np.int64))
        order, _ = emit_all("TopK", [x, extent], [x.dtype, np.int64], axis=axis, largest=int(descending))
        return order

    @staticmethod
    def exp(x: GraphArray) -> GraphArray:
        """Exponential."""
        return emit("Exp", x)

    @staticmethod
    def sqrt(x: GraphArray) -> GraphArray:
        """Square root."""
        return emit("Sqrt", x)

    @staticmethod
    def log(x: GraphArray) -> GraphArray:
        """Natural logarithm."""
        return emit("Log", x)

    @staticmethod
    def sin(x: GraphArray) -> GraphArray:
        """Sine."""
        return emit("Sin", x)

    @staticmethod
    def round(x: GraphArray) -> GraphArray:
        """Nearest integer, half to even."""
        return emit("Round", x)


NAMESPACE = GraphNamespace("graph_arrays")


def zero_rows(x: GraphArray, shape: Sequence[int], dtype: Any) -> GraphArray:
    """Zeros of this shape for every row of x, (len(x), *shape)."""
    rows = emit("Shape", x, dtype=np.int64, start=0, end=1)
    extents = emit("Concat", rows, constant(list(shape), np.int64), axis=0) if shape else rows
    return emit("ConstantOfShape", extents, dtype=dtype, value=ir.tensor(np.zeros(1, dtype)))
