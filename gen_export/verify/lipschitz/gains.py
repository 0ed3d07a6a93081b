"""Lipschitz constants of single nodes, as functions of the one input that depends on the source."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gen_export.verify.lipschitz.affine import convolution, spread_shape
from gen_export.verify.lipschitz.elementwise import ACTIVATIONS
from gen_export.verify.lipschitz.operators import refusal, taken_entries
from gen_export.verify.lipschitz.outward import Array, divide, largest, multiply_up, root_up
from gen_export.verify.lipschitz.selections import SELECTIONS
from gen_export.verify.lipschitz.values import Value, Values, data, samples
from gen_export.verify.onnx_graph import Node

SILU = 1.1
"""A Lipschitz constant of v sigmoid(v), whose largest slope is 1.09984.

With s = sigmoid(v) the slope is s (1 + v (1 - s)). It is extreme where s (1 - s) (2 + v (1 - 2 s)) = 0, that is
v tanh(v / 2) = 2, and there s = 1/2 + 1/v gives it the value v / 4 + 1 / 2. As v tanh(v / 2) grows for v > 0 and is
2.0008 at v = 2.4, the root is below 2.4 and the slope below 1.1. At -v the slope is 1 less that at v: above -0.1.
"""


class Step(NamedTuple):
    """A node that is read, with its inputs.

    Attributes:
        node: It.
        inputs: What is known of them.
        sample: What it computes of their samples.
        place: The input that depends on the source.
    """

    node: Node
    inputs: Values
    sample: Array
    place: int

    @property
    def moving(self) -> Value:
        """The input that depends on the source."""
        value = self.inputs[self.place]
        assert value is not None
        return value


def gain(step: Step) -> float:
    """A node's Lipschitz constant.

    Raises:
        NoCertificateError: It has none, or none that can be proven.
    """
    found = _GAINS[step.node.op_type](step)
    if not math.isfinite(found):
        raise refusal(step.node, "a factor has no bound, or is too large to be calculated with")
    return found


def repetition(value: Value, result: Array) -> float:
    """The norm of repeating a value to the shape of a result."""
    assert value.sample is not None
    return root_up(result.size // max(value.sample.size, 1))


def _slope(step: Step) -> float:
    """The constant of an activation."""
    if step.place:
        raise refusal(step.node, "its limits depend on the source")
    return ACTIVATIONS[step.node.op_type].constant(step.node.attributes)


def _copying(step: Step) -> float:
    """The norm of a selection: the root of how often it takes the same entry."""
    if step.place or not all(value.fixed for value in data(step.node, step.inputs)[1:]):
        raise refusal(step.node, "which entries it takes is not the same for all inputs")
    taken = taken_entries(step.node, samples(step.inputs))
    return root_up(int(np.bincount(taken.ravel()).max(initial=0)))


def _scaling(step: Step) -> float:
    """The norm of multiplying by, or dividing by, what does not depend on the source."""
    factor = step.inputs[1 - step.place]
    assert factor is not None
    if step.node.op_type == "Mul":
        return multiply_up(largest(factor.range), repetition(step.moving, step.sample))
    if step.place:
        raise refusal(step.node, "it divides by what depends on the source")
    return multiply_up(largest(divide((1.0, 1.0), factor.range)), repetition(step.moving, step.sample))


def _convolution(step: Step) -> float:
    """The norm of a convolution, without the channels of its image that do not depend on the source."""
    weights, image = _weights(step, places=1), step.moving.sample
    assert image is not None
    assert weights.sample is not None
    (top, left, bottom, right), strides = convolution(step.node.attributes, weights.sample)
    padded = image.shape[2] + top + bottom, image.shape[3] + left + right
    return weights.convolution_norm(padded, strides, step.moving.live)


def _transposed_convolution(step: Step) -> float:
    """The norm of the transpose of a convolution: that of the convolution."""
    weights, image = _weights(step, places=1), step.moving.sample
    assert image is not None
    assert weights.sample is not None
    _, strides = convolution(step.node.attributes, weights.sample)
    height, width = spread_shape(image, weights.sample, (0, 0, 0, 0), strides)[2:]
    return weights.convolution_norm((height, width), strides)


def _gemm(step: Step) -> float:
    """The norm of multiplying by alpha B."""
    return multiply_up(abs(step.node.attributes.get("alpha", 1.0)), _matrix(step, places=1).matrix_norm())


def _matmul(step: Step) -> float:
    """The norm of multiplying by a matrix, from the left or the right."""
    return _matrix(step, places=2).matrix_norm()


def _matrix(step: Step, places: int) -> Value:
    """Constant weights that are a matrix."""
    matrix = _weights(step, places)
    axes = len(matrix.sample.shape) if matrix.sample is not None else 0
    if axes != 2:
        raise refusal(step.node, f"expected weights of 2 axes, found {axes}")
    return matrix


def _weights(step: Step, places: int) -> Value:
    """The constant weights of a node, where its image is one of so many first inputs."""
    weights = step.inputs[1 - step.place] if step.place < places else None
    if weights is None or weights.sample is None or not weights.fixed:
        raise refusal(step.node, "its weights are no constants of the file")
    if not np.isfinite(weights.sample).all():
        raise refusal(step.node, "its weights are not all finite")
    return weights


_GAINS: dict[str, Callable[[Step], float]] = {
    **dict.fromkeys(SELECTIONS, _copying),
    **dict.fromkeys(ACTIVATIONS, _slope),
    "Mul": _scaling,
    "Div": _scaling,
    "Conv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "Gemm": _gemm,
    "MatMul": _matmul,
}
