"""A proven Lipschitz constant of what an ONNX file computes, by going through its nodes once.

L is a Lipschitz constant of a value v as a function of the source x where ||v(x) - v(y)|| <= L ||x - y|| for all x, y
and all other inputs of the graph, over the real numbers, in the L2 norm of all entries (`isLipschitzContinuous`); L = 0
says that v does not depend on x. A node multiplies L by a constant of its own (`lipschitz_composition`). Sums add up
the L of their terms, so that h + g(h) has L_h + L_g L_h, and joined values have the root of the sum of squares.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gen_export.errors import NoCertificateError
from gen_export.verify.lipschitz import gains
from gen_export.verify.lipschitz.affine import WEIGHTED
from gen_export.verify.lipschitz.operators import evaluate, is_read, needed_nodes, refusal
from gen_export.verify.lipschitz.outward import Array, Range, add_up, multiply_up, root_up
from gen_export.verify.lipschitz.symmetric import IDENTITY, through
from gen_export.verify.lipschitz.values import (
    Sizes,
    Value,
    Values,
    constants,
    data,
    independent,
    inputs_at_zero,
    samples,
)
from gen_export.verify.onnx_file import OnnxFile
from gen_export.verify.onnx_graph import Node

_FLAT = "its slope grows to 1 / sqrt(epsilon) where its input is nearly constant, so that a bound would say nothing"
_REASONS = {
    "InstanceNormalization": _FLAT,
    "GroupNormalization": _FLAT,
    "LayerNormalization": _FLAT,
    "BatchNormalization": "it is read only where it is folded into a convolution",
}


@dataclass(frozen=True)
class Layer:
    """One node's part in a certificate.

    Attributes:
        name: Its weights, else the value that it computes.
        kind: Its operator; SiLU for the product of a value and its sigmoid.
        norm: Its own Lipschitz constant, rounded up.
    """

    name: str
    kind: str
    norm: float


@dataclass(frozen=True)
class Certificate:
    """A proven Lipschitz constant.

    Attributes:
        value: It, rounded up.
        shape: The shape of the source that it holds for.
        layers: The nodes with a constant that is not 1, in order.
        slopes: The range of the slopes (`symmetric`): [-value, value] where no smaller one is known.
        uniform: Whether the other inputs do not matter to it.
    """

    value: float
    shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    slopes: Range
    uniform: bool


def bound(
    file: OnnxFile,
    source: str,
    target: str,
    sizes: Sizes,
    known: Mapping[str, Array] | None = None,
    weights: Mapping[str, Value] | None = None,
) -> Certificate:
    """The certificate of a value of the main graph as a function of one of its inputs.

    Args:
        file: The file.
        source: The input x.
        target: The value, an output for instance.
        sizes: Shapes of inputs by name; others are as declared, a batch of any size being 1.
        known: Inputs that have this value alone.
        weights: The file's `weights_of`, from one call to the next, so that no norm is proven twice.

    Raises:
        NoCertificateError: A node stands in the way, or a name or size is missing; the message says which.
    """
    # A weight that is an input too may be replaced: it is an input.
    values = {**(weights or weights_of(file)), **inputs_at_zero(file.graph, sizes), **constants(known or {})}
    start = values[source].sample if source in file.graph.inputs else None
    if start is None:
        raise NoCertificateError(f"{file.source}: expected an input {source!r} of a known size, found none")
    values[source] = Value(start, 1.0, form=IDENTITY)
    layers, uniform = [], True
    nodes = needed_nodes(file.graph, target)
    sigmoids = {node.outputs[0]: node.inputs[0] for node in nodes if node.op_type == "Sigmoid"}
    for node in nodes:
        inputs = _inputs(node, values)
        value, layer = _through(node, inputs, sigmoids)
        uniform &= not _is_scaled(node, inputs)
        values |= dict.fromkeys(node.outputs, value)
        if layer is not None and layer.norm != 1:
            layers.append(layer)
    if target not in values:
        raise NoCertificateError(f"{file.source}: expected its main graph to compute {target!r}, found no such value")
    return _certificate(values[target], start.shape, layers, uniform)


def weights_of(file: OnnxFile) -> dict[str, Value]:
    """The weights of a file's main graph."""
    return constants(file.graph.initializers)


def _is_scaled(node: Node, inputs: Values) -> bool:
    """Whether a node multiplies what depends on the source by what other inputs of the graph may change."""
    factors = [value for value in data(node, inputs) if not value.lipschitz]
    return node.op_type in ("Mul", "Div") and 0 < len(factors) < len(inputs) and not factors[0].fixed


def _certificate(value: Value, shape: tuple[int, ...], layers: list[Layer], uniform: bool) -> Certificate:
    """What is known of a value in the end: the smaller of its constants."""
    slopes = value.form if isinstance(value.form, tuple) else (-value.lipschitz, value.lipschitz)
    return Certificate(min(value.lipschitz, max(map(abs, slopes))), shape, tuple(layers), slopes, uniform)


def _inputs(node: Node, values: Mapping[str, Value]) -> Values:
    """The inputs of a node, None where one is left out."""
    for name in node.inputs:
        if name and name not in values:
            raise refusal(node, f"nothing before it computes its input {name!r}")
    return [values[name] if name else None for name in node.inputs]


def _through(node: Node, inputs: Values, sigmoids: Mapping[str, str]) -> tuple[Value, Layer | None]:
    """What a node makes of its inputs, and its part in the certificate where it has one of its own."""
    if node.graphs:
        raise refusal(node, "it holds graphs of its own, which are not followed")
    moving = [value for value in data(node, inputs) if value.lipschitz]
    if not moving:
        return independent(node, inputs), None
    _require_known(node, inputs)
    sample = evaluate(node, samples(inputs))
    if sample.dtype.kind != "f":
        raise refusal(node, "it rounds its input to integers, and so jumps")
    form = through(node, inputs, sample)
    if node.op_type in ("Add", "Sub"):
        return Value(sample, _sum(moving, sample), form=form), None
    if node.op_type == "Concat":
        return Value(sample, _joined(moving), live=_live_channels(node, inputs)), None
    layer = _layer(node, inputs, sample, sigmoids)
    # Two only for SiLU: v and its sigmoid, whose constant is the smaller one.
    return Value(sample, multiply_up(layer.norm, max(value.lipschitz for value in moving)), form=form), layer


def _require_known(node: Node, inputs: Values) -> None:
    """Refuses a node that depends on the source and is not read, or reads what is not known."""
    if not is_read(node):
        raise refusal(node, _REASONS.get(node.op_type, "no rule bounds this operator with these attributes"))
    for name, value in zip(node.inputs, inputs, strict=True):
        if value is not None and value.sample is None:
            raise refusal(node, f"the shape of its input {name!r} is not known")


def _sum(terms: list[Value], total: Array) -> float:
    """The Lipschitz constant of a sum, for which small terms are repeated."""
    lipschitz = 0.0
    for term in terms:
        lipschitz = add_up(lipschitz, multiply_up(term.lipschitz, gains.repetition(term, total)))
    return lipschitz


def _joined(parts: list[Value]) -> float:
    """The Lipschitz constant of values side by side."""
    square = 0.0
    for part in parts:
        square = add_up(square, multiply_up(part.lipschitz, part.lipschitz))
    return parts[0].lipschitz if len(parts) == 1 else root_up(square)


def _live_channels(node: Node, inputs: Values) -> Array | None:
    """Which channels of joined values depend on the source, where channels are what is joined."""
    parts = data(node, inputs)
    shapes = [value.sample.shape for value in parts if value.sample is not None]
    if node.attributes["axis"] % len(shapes[0]) != 1:
        return None
    return np.repeat([value.lipschitz > 0 for value in parts], [shape[1] for shape in shapes])


def _layer(node: Node, inputs: Values, sample: Array, sigmoids: Mapping[str, str]) -> Layer:
    """A node's own constant."""
    if node.op_type == "Mul" and any(sigmoids.get(a) == b for a, b in (node.inputs, node.inputs[::-1])):
        return Layer(node.outputs[0], "SiLU", gains.SILU)
    places = [place for place, value in enumerate(inputs) if value is not None and value.lipschitz]
    if len(places) > 1 and node.op_type != "CastLike":
        raise refusal(node, "two of its inputs depend on the source, and it does more than add them")
    norm = gains.gain(gains.Step(node, inputs, sample, places[0]))
    name = node.inputs[1 - places[0]] if node.op_type in WEIGHTED else node.outputs[0]
    return Layer(name, node.op_type, norm)
