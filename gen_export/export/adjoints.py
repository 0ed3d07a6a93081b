"""Rules of reverse-mode differentiation: arithmetic, shapes, choices and sums.

A rule takes a node and the cotangent of its output, and gives those of its inputs, None where an input is no number
that moves. With g the cotangent of y = f(x), that of x is the transposed Jacobian of f applied to g. Read off the
operators' pages of ONNX, opset 18 and later.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from gen_export.export.graph_arrays import NAMESPACE as xp  # noqa: N811 - the Array API's name for a namespace
from gen_export.export.graph_arrays import GraphArray, constant, emit, emit_all
from gen_export.export.nodes import Applied, extents, known

LARGEST_EXTENT = 2**30
"""An end of a slice from here on means all of an axis."""


@dataclass(frozen=True, slots=True)
class Pulled(Applied):
    """A node whose output has a cotangent.

    Attributes:
        cotangent: That of its output.
    """

    cotangent: GraphArray


Shares = Sequence[GraphArray | None]
Rule = Callable[[Pulled], Shares]


def shape_of(x: GraphArray) -> GraphArray:
    """The shape of an array as it is when the graph runs."""
    return emit("Shape", x, dtype=np.int64)


def as_large(small: GraphArray, x: GraphArray) -> GraphArray:
    """An array repeated to the shape of x."""
    return emit("Expand", small, shape_of(x))


def total(x: GraphArray, axes: Iterable[int], keepdims: bool = False) -> GraphArray:
    """The sum along axes, x itself where there are none."""
    listed = list(axes)
    return emit("ReduceSum", x, constant(listed, np.int64), keepdims=int(keepdims)) if listed else x


def choose(condition: GraphArray, x: GraphArray, y: GraphArray | float) -> GraphArray:
    """X where the condition holds, else y."""
    return emit("Where", condition, x, x._operand(y), dtype=x.dtype)


def gathered(cotangent: GraphArray, x: GraphArray, output: GraphArray, matrices: bool = False) -> GraphArray:
    """The cotangent of x, summed along the axes by which x was repeated to the output's shape.

    Args:
        cotangent: Of the output's shape.
        x: An input that was broadcast.
        output: What came of it.
        matrices: Whether only the axes before the last two were broadcast.
    """
    last = -2 if matrices else None
    before, after = extents(x)[:last], extents(output)[:last]
    extra = len(after) - len(before)
    repeated = [axis for axis, extent in enumerate(before) if extent == 1 and after[extra + axis] != 1]
    return total(total(cotangent, range(extra)), repeated, keepdims=True)


def _both(a: Pulled, *shares: GraphArray) -> Shares:
    """The shares of a broadcast operator's inputs."""
    return [gathered(share, a.input(at), a.output) for at, share in enumerate(shares)]


def _add(a: Pulled) -> Shares:
    return _both(a, a.cotangent, a.cotangent)


def _sub(a: Pulled) -> Shares:
    return _both(a, a.cotangent, emit("Neg", a.cotangent))


def _mul(a: Pulled) -> Shares:
    """Of x y: g y and g x."""
    return _both(a, a.cotangent * a.input(1), a.cotangent * a.input(0))


def _div(a: Pulled) -> Shares:
    """Of q = x / y: g / y and -q g / y."""
    first = a.cotangent / a.input(1)
    return _both(a, first, emit("Neg", first * a.output))


def _pow(a: Pulled) -> Shares:
    """Of x^c: c x^(c - 1) g, for a constant c."""
    exponents = known(a.value(1))
    a.require(exponents.size == 1, "one exponent")
    base, exponent = a.input(0), float(exponents.reshape(()))
    power = base if exponent == 2 else emit("Pow", base, constant(exponent - 1.0, base.dtype))
    return [exponent * a.cotangent * power]


def _unary(derivative: Callable[[Pulled], GraphArray]) -> Rule:
    """The rule of a function of each number: g times its derivative."""
    return lambda a: [a.cotangent * derivative(a)]


def _erf(a: Pulled) -> GraphArray:
    x = a.input(0)
    return 2.0 / math.sqrt(math.pi) * xp.exp(emit("Neg", x * x))


def _relu(a: Pulled) -> Shares:
    return [choose(a.output > 0.0, a.cotangent, 0.0)]


def _leaky_relu(a: Pulled) -> Shares:
    slope = a.node.attributes.get_float("alpha", 0.01)
    return [choose(a.input(0) > 0.0, a.cotangent, slope * a.cotangent)]


def _clip(a: Pulled) -> Shares:
    """As torch has it, the derivative is 1 on the bounds too."""
    return [choose(xp.equal(a.output, a.input(0)), a.cotangent, 0.0)]


def _where(a: Pulled) -> Shares:
    condition, zero = a.choice(0), constant(0.0, a.cotangent.dtype)
    pair = choose(condition, a.cotangent, zero), choose(condition, zero, a.cotangent)
    return [None, *(gathered(share, a.input(at), a.output) for at, share in enumerate(pair, start=1))]


def _cast(a: Pulled) -> Shares:
    """Of real numbers; whole ones do not move."""
    if a.input(0).dtype.kind != "f":
        return [None]
    return [a.cotangent if a.input(0).dtype == a.cotangent.dtype else xp.astype(a.cotangent, a.input(0).dtype)]


def _reshaped(a: Pulled) -> Shares:
    """Of any operator that only names the axes anew."""
    return [emit("Reshape", a.cotangent, shape_of(a.input(0)))]


def _transpose(a: Pulled) -> Shares:
    axes = a.integers("perm", range(len(extents(a.input(0))))[::-1])
    return [xp.permute_dims(a.cotangent, np.argsort(axes).tolist())]


def _expand(a: Pulled) -> Shares:
    return [gathered(a.cotangent, a.input(0), a.output)]


def _tile(a: Pulled) -> Shares:
    """The sum over the copies, each of which is an axis of its own beside the one that it repeats."""
    pairs = [[copies, extent] for copies, extent in zip(a.constant(1), extents(a.input(0)), strict=True)]
    a.require(all(isinstance(extent, int) for _, extent in pairs), "extents that are known")
    split = emit("Reshape", a.cotangent, constant(np.ravel(pairs), np.int64))
    return [total(split, range(0, 2 * len(pairs), 2))]


def _slice(a: Pulled) -> Shares:
    """Zeros around the cotangent."""
    sizes = extents(a.input(0))
    axes = [axis % len(sizes) for axis in (a.constant(3) if a.has(3) else range(len(a.constant(1))))]
    a.require(not a.has(4) or set(a.constant(4)) == {1}, "steps of 1")
    margins = np.zeros((2, len(sizes)), np.int64)
    for axis, start, end in zip(axes, a.constant(1), a.constant(2), strict=True):
        size = sizes[axis]
        if start == 0 and end >= LARGEST_EXTENT:
            continue
        a.require(isinstance(size, int), "an axis whose extent is known")
        kept = range(int(size or 0))[start:end]
        margins[:, axis] = kept.start, int(size or 0) - kept.stop
    return [emit("Pad", a.cotangent, constant(margins.reshape(-1), np.int64)) if margins.any() else a.cotangent]


def _pad(a: Pulled) -> Shares:
    """What lies within the margins, which may be negative."""
    margins = np.reshape(a.constant(1), (2, -1))
    a.require(a.node.attributes.get_string("mode", "constant") == "constant", "constant margins")
    a.require(margins.shape[1] == len(extents(a.input(0))) and not a.has(3), "a margin for each axis")
    inner = [-min(before, 0) for before in margins[0]], [-min(after, 0) for after in margins[1]]
    outer = np.maximum(margins, 0)
    widened = emit("Pad", a.cotangent, constant(np.ravel(inner), np.int64)) if np.any(inner) else a.cotangent
    ends = [-after or np.iinfo(np.int64).max for after in outer[1]]
    axes = constant(list(range(len(ends))), np.int64)
    return [emit("Slice", widened, constant(outer[0], np.int64), constant(ends, np.int64), axes)]


def _concat(a: Pulled) -> Shares:
    axis = a.integer("axis", 0)
    sizes = [extents(a.input(at))[axis] for at in range(len(a.node.inputs))]
    a.require(all(isinstance(size, int) for size in sizes), "extents that are known along its axis")
    dtypes = [a.cotangent.dtype] * len(sizes)
    return emit_all("Split", [a.cotangent, constant(sizes, np.int64)], dtypes, axis=axis)


def _reduced(a: Pulled, mean: bool) -> Shares:
    x, cotangent = a.input(0), a.cotangent
    rank = len(extents(x))
    axes = sorted(axis % rank for axis in (a.constant(1) if a.has(1) else range(rank)))
    if not a.integer("keepdims", 1) and len(axes) < rank:
        cotangent = emit("Unsqueeze", cotangent, constant(axes, np.int64))
    if mean:
        cotangent = cotangent / (_count(x) / _count(a.output))
    return [as_large(cotangent, x)]


def _count(x: GraphArray) -> GraphArray:
    """How many numbers an array has, as one of them."""
    return xp.astype(emit("Size", x, dtype=np.int64), x.dtype)


def _gather(a: Pulled) -> Shares:
    """Rows of a table: each row's cotangent is the sum of those of its copies."""
    a.require(a.integer("axis", 0) == 0, "axis 0")
    return [_scattered(a, emit("Unsqueeze", a.choice(1), constant([-1], np.int64)))]


def _gather_nd(a: Pulled) -> Shares:
    a.require(a.integer("batch_dims", 0) == 0, "no batch axes")
    return [_scattered(a, a.choice(1))]


def _scattered(a: Pulled, indices: GraphArray) -> GraphArray:
    zeros = as_large(constant(0.0, a.cotangent.dtype), a.input(0))
    return emit("ScatterND", zeros, indices, a.cotangent, reduction="add")


def _gather_elements(a: Pulled) -> Shares:
    zeros = as_large(constant(0.0, a.cotangent.dtype), a.input(0))
    return [emit("ScatterElements", zeros, a.choice(1), a.cotangent, axis=a.integer("axis", 0), reduction="add")]


def _scatter_elements(a: Pulled) -> Shares:
    """Of what is put into zeros, each number in a place of its own: what stands there."""
    a.require(a.node.attributes.get_string("reduction", "none") == "none", "no reduction")
    return [None, None, emit("GatherElements", a.cotangent, a.choice(1), axis=a.integer("axis", 0))]


ARITHMETIC: dict[str, Rule] = {
    **dict.fromkeys(("Reshape", "Squeeze", "Unsqueeze", "Flatten"), _reshaped),
    "Identity": lambda a: [a.cotangent],
    **dict.fromkeys(("Cast", "CastLike"), _cast),
    "Add": _add,
    "Sub": _sub,
    "Mul": _mul,
    "Div": _div,
    "Pow": _pow,
    "Neg": lambda a: [emit("Neg", a.cotangent)],
    "Reciprocal": lambda a: [emit("Neg", a.cotangent * a.output * a.output)],
    "Abs": lambda a: [a.cotangent * emit("Sign", a.input(0))],
    "Exp": _unary(lambda a: a.output),
    "Log": lambda a: [a.cotangent / a.input(0)],
    "Sqrt": lambda a: [a.cotangent / (2.0 * a.output)],
    "Sigmoid": _unary(lambda a: a.output * (1.0 - a.output)),
    "Tanh": _unary(lambda a: 1.0 - a.output * a.output),
    "Erf": _unary(_erf),
    "Relu": _relu,
    "LeakyRelu": _leaky_relu,
    "Clip": _clip,
    "Where": _where,
    "Transpose": _transpose,
    "Expand": _expand,
    "Tile": _tile,
    "Slice": _slice,
    "Pad": _pad,
    "Concat": _concat,
    "ReduceMean": lambda a: _reduced(a, mean=True),
    "ReduceSum": lambda a: _reduced(a, mean=False),
    "Gather": _gather,
    "GatherND": _gather_nd,
    "GatherElements": _gather_elements,
    "ScatterElements": _scatter_elements,
}
