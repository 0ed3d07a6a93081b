"""The operators that act on single entries: of one input, or of two that are broadcast."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gen_export.verify.lipschitz.outward import Array, Attributes


class Activation(NamedTuple):
    """A function of single numbers.

    Attributes:
        function: Of the attributes, an array and the other inputs.
        slope: Its derivative there; of one side where it has a kink.
        constant: The largest absolute slope, from the attributes.
    """

    function: Callable[..., Array]
    slope: Callable[..., Array]
    constant: Callable[[Attributes], float]


class Arithmetic(NamedTuple):
    """A function of two numbers.

    Attributes:
        function: Of two arrays.
        slopes: Its derivatives by the first and the second.
    """

    function: Callable[[Array, Array], Array]
    slopes: Callable[[Array, Array], tuple[Any, Any]]


def _divide(a: Array, b: Array) -> Array:
    """The quotient; of integers, rounded towards zero."""
    if a.dtype.kind == "f":
        return a / b
    floor = a // b
    return floor + ((floor < 0) & (a % b != 0))


def _sigmoid(x: Array) -> Array:
    return np.exp(-np.logaddexp(0.0, -x))


def _sigmoid_slope(x: Array) -> Array:
    return _sigmoid(x) * _sigmoid(-x)


def _clip(attributes: Attributes, x: Array, low: Array | None = None, high: Array | None = None) -> Array:
    return np.minimum(np.maximum(x, -np.inf if low is None else low), np.inf if high is None else high)


def _clip_slope(attributes: Attributes, x: Array, low: Array | None = None, high: Array | None = None) -> Array:
    inside = (x > (-np.inf if low is None else low)) & (x < (np.inf if high is None else high))
    return inside.astype(np.float64)


def _alpha(attributes: Attributes) -> float:
    return attributes.get("alpha", float(np.float32(0.01)))


def _at_most(constant: float) -> Callable[[Attributes], float]:
    return lambda attributes: constant


ACTIVATIONS = {
    "Relu": Activation(lambda _, x: np.maximum(x, 0), lambda _, x: (x > 0).astype(np.float64), _at_most(1.0)),
    "LeakyRelu": Activation(
        lambda attributes, x: np.where(x < 0, _alpha(attributes), 1.0) * x,
        lambda attributes, x: np.where(x < 0, _alpha(attributes), 1.0),
        lambda attributes: max(abs(_alpha(attributes)), 1.0),
    ),
    "Clip": Activation(_clip, _clip_slope, _at_most(1.0)),
    "Neg": Activation(lambda _, x: -x, lambda _, x: np.full(x.shape, -1.0), _at_most(1.0)),
    "Tanh": Activation(lambda _, x: np.tanh(x), lambda _, x: 1 - np.tanh(x) ** 2, _at_most(1.0)),
    "Sigmoid": Activation(lambda _, x: _sigmoid(x), lambda _, x: _sigmoid_slope(x), _at_most(0.25)),
    "Softplus": Activation(lambda _, x: np.logaddexp(0.0, x), lambda _, x: _sigmoid(x), _at_most(1.0)),
}
ARITHMETIC = {
    "Add": Arithmetic(np.add, lambda a, b: (1.0, 1.0)),
    "Sub": Arithmetic(np.subtract, lambda a, b: (1.0, -1.0)),
    "Mul": Arithmetic(np.multiply, lambda a, b: (b, a)),
    "Div": Arithmetic(_divide, lambda a, b: (1 / b, -a / b**2)),
}
