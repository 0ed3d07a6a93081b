"""Slopes that a graph reaches: the Jacobian at a point, applied to vectors, and its norm by power iteration from below.

No Lipschitz constant is below the norm of a Jacobian, so that these slopes show how tight a certificate is. They are
calculated in float64 without outward rounding: they estimate, they prove nothing. At a kink the slope of one side is
taken.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from gen_export.verify.lipschitz.affine import convolution, correlate, gemm_matrix, pad, spread_shape, transposed
from gen_export.verify.lipschitz.elementwise import ACTIVATIONS, ARITHMETIC
from gen_export.verify.lipschitz.operators import (
    Arrays,
    entry_places,
    evaluate,
    exact,
    needed_nodes,
    refusal,
    taken_entries,
)
from gen_export.verify.lipschitz.outward import Array
from gen_export.verify.lipschitz.selections import SELECTIONS
from gen_export.verify.onnx_graph import Node, OnnxGraph

Linear = Callable[[Array], Array]


class Part(NamedTuple):
    """The derivative of one node by one of its inputs.

    Attributes:
        source: The input.
        target: What the node computes.
        push: Applies it.
        pull: Applies its transpose.
    """

    source: str
    target: str
    push: Linear
    pull: Linear


class Jacobian:
    """The derivative of a value of a graph by an input, at a point.

    Attributes:
        values: The graph's values at the point, those of real numbers in float64.

    Args:
        graph: The graph.
        source: The input.
        target: The value.
        inputs: The point: all inputs of the graph that are needed.

    Raises:
        NoCertificateError: A node is not read, or has no derivative that is.
    """

    def __init__(self, graph: OnnxGraph, source: str, target: str, inputs: Mapping[str, Array]) -> None:
        tensors = {**graph.initializers, **inputs}
        self.values = {name: exact(np.asarray(tensor)) for name, tensor in tensors.items()}
        self._source, self._target = source, target
        self._parts: list[Part] = []
        moving = {source}
        for node in needed_nodes(graph, target):
            arrays = [self.values[name] if name else None for name in node.inputs]
            result = self.values[node.outputs[0]] = evaluate(node, arrays)
            found = list(_parts(node, arrays, result, moving))
            self._parts += found
            moving.update(part.target for part in found)

    def push(self, tangent: Array) -> Array:
        """J v, of the target's shape."""
        tangents = {self._source: tangent}
        for part in self._parts:
            step = part.push(tangents[part.source])
            tangents[part.target] = tangents[part.target] + step if part.target in tangents else step
        return tangents.get(self._target, np.zeros_like(self.values[self._target]))

    def pull(self, gradient: Array) -> Array:
        """J^T u, of the source's shape."""
        gradients = {self._target: gradient}
        for part in reversed(self._parts):
            if part.target in gradients:
                step = part.pull(gradients[part.target])
                gradients[part.source] = gradients[part.source] + step if part.source in gradients else step
        return gradients.get(self._source, np.zeros_like(self.values[self._source]))

    def norm(self, rng: np.random.Generator, rounds: int) -> float:
        """The largest ||J v|| / ||v|| of a power iteration, at most the norm."""
        return power_iteration(self.push, self.pull, self.values[self._source].shape, rng, rounds)


def power_iteration(push: Linear, pull: Linear, shape: tuple[int, ...], rng: np.random.Generator, rounds: int) -> float:
    """The largest ||A v|| / ||v|| of a power iteration on A^T A from a random v, given A and A^T, at most the norm."""
    v = rng.standard_normal(shape)
    largest = 0.0
    for _ in range(rounds):
        image = push(v / np.linalg.norm(v))
        largest = max(largest, float(np.linalg.norm(image)))
        v = pull(image)
        if not v.any():
            break
    return largest


def reached_slope(
    graph: OnnxGraph, source: str, target: str, points: Iterable[Mapping[str, Array]], rounds: int = 30
) -> float:
    """The largest slope that power iterations find at these points, each from one random start.

    Raises:
        NoCertificateError: A node is not read, or has no derivative that is.
    """
    rng = np.random.default_rng(0)
    return max(Jacobian(graph, source, target, point).norm(rng, rounds) for point in points)


def _parts(node: Node, arrays: Arrays, result: Array, moving: set[str]) -> Iterator[Part]:
    """The derivatives of a node by its inputs that depend on the source."""
    for place in entry_places(node):
        if node.inputs[place] in moving:
            yield Part(node.inputs[place], node.outputs[0], *_derivative(node, arrays, result, place))


def _derivative(node: Node, arrays: Arrays, result: Array, place: int) -> tuple[Linear, Linear]:
    """The derivative by one input and its transpose."""
    if node.op_type in ARITHMETIC:
        return _of_arithmetic(node, arrays, result, place)
    if node.op_type == "Concat":
        return _of_concat(node, arrays, result, place)
    if node.op_type == "MatMul":
        return _of_matmul(node, arrays, place)
    if place == 0 and node.op_type in _FIRST:
        return _FIRST[node.op_type](node, arrays)
    raise refusal(node, "its derivative by this input is not read")


def _of_arithmetic(node: Node, arrays: Arrays, result: Array, place: int) -> tuple[Linear, Linear]:
    slope = ARITHMETIC[node.op_type].slopes(*arrays)[place]
    shape = arrays[place].shape
    return lambda v: np.broadcast_to(v, result.shape) * slope, lambda u: _summed(u * slope, shape)


def _summed(u: Array, shape: tuple[int, ...]) -> Array:
    """The transpose of broadcasting from a shape."""
    padded = (1,) * (u.ndim - len(shape)) + shape
    repeated = tuple(axis for axis, size in enumerate(padded) if size == 1)
    return u.sum(axis=repeated, keepdims=True).reshape(shape)


def _of_concat(node: Node, arrays: Arrays, result: Array, place: int) -> tuple[Linear, Linear]:
    axis = node.attributes["axis"]
    sizes = [array.shape[axis] for array in arrays]
    where = [slice(None)] * result.ndim
    where[axis] = slice(sum(sizes[:place]), sum(sizes[: place + 1]))

    def push(v: Array) -> Array:
        whole = np.zeros_like(result)
        whole[tuple(where)] = v
        return whole

    return push, lambda u: u[tuple(where)]


def _of_selection(node: Node, arrays: Arrays) -> tuple[Linear, Linear]:
    taken, shape = taken_entries(node, arrays), arrays[0].shape

    def pull(u: Array) -> Array:
        return np.bincount(taken.ravel(), u.ravel(), math.prod(shape)).reshape(shape)

    return lambda v: v.ravel()[taken], pull


def _of_activation(node: Node, arrays: Arrays) -> tuple[Linear, Linear]:
    slope = ACTIVATIONS[node.op_type].slope(node.attributes, *arrays)
    return lambda v: slope * v, lambda u: slope * u


def _of_convolution(node: Node, arrays: Arrays) -> tuple[Linear, Linear]:
    image, kernel = arrays[0], arrays[1]
    assert image is not None
    assert kernel is not None
    pads, strides = convolution(node.attributes, kernel)
    return lambda v: correlate(pad(v, pads), kernel, strides), lambda u: transposed(
        u, kernel, image.shape, pads, strides
    )


def _of_transposed_convolution(node: Node, arrays: Arrays) -> tuple[Linear, Linear]:
    image, kernel = arrays[0], arrays[1]
    assert image is not None
    assert kernel is not None
    pads, strides = convolution(node.attributes, kernel)
    shape = spread_shape(image, kernel, pads, strides)
    return lambda v: transposed(v, kernel, shape, pads, strides), lambda u: correlate(pad(u, pads), kernel, strides)


def _of_gemm(node: Node, arrays: Arrays) -> tuple[Linear, Linear]:
    matrix = gemm_matrix(node.attributes, arrays[1])
    if node.attributes.get("transA", 0):
        return lambda v: v.T @ matrix, lambda u: matrix @ u.T
    return lambda v: v @ matrix, lambda u: u @ matrix.T


def _of_matmul(node: Node, arrays: Arrays, place: int) -> tuple[Linear, Linear]:
    matrix = arrays[1 - place]
    if matrix is None or matrix.ndim != 2:
        raise refusal(node, "only products with a matrix are read")
    if place:
        return lambda v: matrix @ v, lambda u: matrix.T @ u
    return lambda v: v @ matrix, lambda u: u @ matrix.T


_FIRST: dict[str, Callable[[Node, Arrays], tuple[Linear, Linear]]] = {
    **dict.fromkeys(SELECTIONS, _of_selection),
    **dict.fromkeys(ACTIVATIONS, _of_activation),
    "Conv": _of_convolution,
    "ConvTranspose": _of_transposed_convolution,
    "Gemm": _of_gemm,
}
"""Of the operators whose first input alone has a derivative."""
