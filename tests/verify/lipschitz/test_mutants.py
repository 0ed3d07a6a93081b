"""Wrong provers, each rejected by a norm, a slope or a range that is known exactly and that the right prover passes."""

import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from gen_export.verify.lipschitz import gains, network, norms, outward, symmetric
from gen_export.verify.lipschitz.jacobian import Jacobian
from gen_export.verify.lipschitz.network import bound
from gen_export.verify.lipschitz.norms import convolution_norm
from tests.verify.lipschitz.nets import net
from tests.verify.lipschitz.test_network import patched, with_constant
from tests.verify.lipschitz.test_norms import exact_norm
from tests.verify.lipschitz.test_symmetric import matrix

ROUNDING = 1e-12
"""Of singular values and eigenvalues in float64, a share of the largest; no mutant is off by so little."""
RNG = np.random.default_rng(0)
EDGE = np.tile(np.array([[0, 0, 0], [-0.5, 1, -0.5], [0, 0, 0]]), (1, 2, 1, 1))
KERNELS = {
    "dense": (RNG.standard_normal((3, 2, 3, 3)), (5, 6), (1, 1, 1, 1), (1, 1)),
    "strided": (RNG.standard_normal((2, 3, 3, 2)), (6, 5), (0, 1, 1, 0), (2, 2)),
    "one pixel": (EDGE, (1, 1), (1, 1, 1, 1), (1, 1)),
    "one row": (np.array([1.0, -1.0]).reshape(1, 1, 1, 2), (1, 8), (0, 0, 0, 0), (1, 1)),
    "one channel": (np.array([3.0, 0.1]).reshape(1, 2, 1, 1), (2, 2), (0, 0, 0, 0), (1, 1)),
    "large": (np.ones((1, 1, 1, 3)), (1, 40), (0, 1, 0, 1), (1, 1)),
    "columns apart": (np.array([[3.0, 0, 0, 1], [0, 3.0, 1, 0]]).reshape(1, 2, 2, 2), (4, 4), (0, 0, 0, 0), (2, 2)),
}
"""Kernels with the image, its pads and the strides."""
PATCHES = (np.ones((1, 1, 2, 2)), (4, 4), (0, 0, 0, 0), (2, 2))
"""Patches that do not overlap: the norm 2 must be found, not only bounded."""
W = {"w": RNG.standard_normal((2, 2, 2, 2))}
TWO = {"w": 2 * np.eye(2).reshape(2, 2, 1, 1)}
BACK = "h = Conv(x, w) r = {}(h) y = ConvTranspose(r, w)"
NETS = {
    "sum": ("y = Add(x, x)", {}, 0.0),
    "residual": ("h = Conv(x, w) y = Add(x, h)", {"w": np.eye(2).reshape(2, 2, 1, 1)}, 0.0),
    "joined": ("n = Neg(x) y = Concat<axis=1>(x, n)", {}, 0.0),
    "plane": (
        "c = Concat<axis=1>(p, x) y = Conv(c, w)",
        {"p": np.ones((1, 1, 4, 4)), "w": np.array([0.1, 2, 3]).reshape(1, 3, 1, 1)},
        0.0,
    ),
    "SiLU": ("h = Add(x, c) s = Sigmoid(h) y = Mul(h, s)", {"c": np.array(2.3994)}, 0.0),
    "sigmoid": ("y = Sigmoid(x)", {}, 0.0),
    "tanh": ("y = Tanh(x)", {}, 0.0),
}
"""Nets with a scale of x at which they are steepest."""
POTENTIALS = {
    "linear": ("h = Conv(x, w) y = ConvTranspose(h, w)", W, 1.0),
    "at its steepest": (BACK.format("Tanh"), TWO, 0.0),
    "flat": (BACK.format("Tanh"), TWO, 30.0),
    "sigmoid": (BACK.format("Sigmoid"), TWO, 0.0),
    "fewer rows": (
        "h = Conv(x, w) y = ConvTranspose(h, w)",
        {"w": np.array([1.0, 2.0]).reshape(1, 2, 1, 1)},
        1.0,
    ),
    "negative factor": (
        "h = Conv(x, w) n = Mul(h, c) y = ConvTranspose(n, w)",
        {**TWO, "c": np.array([1.0, -3.0]).reshape(1, 2, 1, 1)},
        1.0,
    ),
    "another kernel back": (
        "h = Conv(x, w) y = ConvTranspose(h, v)",
        {"w": np.eye(2).reshape(2, 2, 1, 1), "v": -np.eye(2).reshape(2, 2, 1, 1)},
        1.0,
    ),
    "subtracted": ("h = Conv(x, w) b = ConvTranspose(h, w) y = Sub(x, b)", W, 1.0),
}
"""Nets whose slopes are symmetric, with the scale of x where they are looked at."""


def failures() -> Iterator[str]:
    """What a prover gets wrong: a bound below what is reached, or not at what it must find."""
    for name, (kernel, image, pads, strides) in KERNELS.items():
        padded = image[0] + pads[0] + pads[2], image[1] + pads[1] + pads[3]
        found = norms.convolution_norm(kernel, padded, strides)
        if not found >= exact_norm(kernel, image, pads, strides) * (1 - ROUNDING):
            yield f"norm of {name}"
    if norms.convolution_norm(PATCHES[0], PATCHES[1], PATCHES[3]) > exact_norm(*PATCHES) * (1 + 1e-6):
        yield "norm of patches is not tight"
    for name, (body, weights, scale) in NETS.items():
        slope, found = at(body, weights, scale)
        if not np.linalg.norm(slope, 2) <= found.value * (1 + ROUNDING):
            yield f"constant of {name}"
    for name, (body, weights, scale) in POTENTIALS.items():
        slope, found = at(body, weights, scale)
        eigenvalues, slack = np.linalg.eigvalsh(slope), ROUNDING * max(map(abs, found.slopes))
        if not found.slopes[0] - slack <= eigenvalues[0] <= eigenvalues[-1] <= found.slopes[1] + slack:
            yield f"range of {name}"
    tripled = bound(net("y = Expand(x, s)", s=np.array([3, 1, 1, 1])), "x", "y", {}).value
    if not Fraction(tripled) ** 2 >= 3:
        yield "rounding"


def at(body, weights, scale):
    """The Jacobian of a net at a random point of a scale, and its certificate."""
    file = net(body, **weights)
    x = (scale * np.random.default_rng(1).standard_normal((1, 2, 4, 4))).astype(np.float32)
    inputs = {"x": x, "t": np.array(0)}
    slope = matrix(file, inputs) if "Concat<axis=1>(p" not in body else whole(file, inputs)
    return slope, bound(file, "x", "y", {})


def whole(file, inputs):
    """The Jacobian column by column, where images do not come in batches."""
    jacobian = Jacobian(file.graph, "x", "y", inputs)
    return np.stack([jacobian.push(unit.reshape(1, 2, 4, 4)).ravel() for unit in np.eye(32)], axis=1)


def on_kernel(change):
    """The norm of a changed kernel, image or stride."""
    return patched(norms, "convolution_norm", lambda *given: convolution_norm(*change(*given)))


def wrapped(name, wrong):
    """A function of `symmetric` with its result, or what it is given, made wrong."""
    real = getattr(symmetric, name)
    return patched(symmetric, name, lambda *given: wrong(real, *given))


def any_kernel(real, node, inputs, result):
    """Rows as if they were made by the kernel that brings them back."""
    image = inputs[0]
    if node.op_type == "ConvTranspose" and isinstance(image.form, symmetric.Rows):
        image = replace(image, form=replace(image.form, kernel=node.inputs[1]))
    return real(node, [image, *inputs[1:]], result)


def half_the_range(real, *given):
    """A range whose lower end is halfway up."""
    form = real(*given)
    return (0.5 * form[1], form[1]) if isinstance(form, tuple) else form


MUTANTS = {
    "outputs and inputs are exchanged": on_kernel(lambda k, *rest: (k.swapaxes(0, 1), *rest)),
    "rows and columns are exchanged": on_kernel(lambda k, *rest: (k.swapaxes(2, 3), *rest)),
    "a channel is forgotten": on_kernel(lambda k, *rest: (k[:, 1:] if k.shape[1] > 1 else k, *rest)),
    "the stride is ignored": on_kernel(lambda k, padded, strides: (k, padded, (1, 1))),
    "the padding is ignored": on_kernel(
        lambda k, padded, strides: (k, (max(padded[0] - 2, 1), max(padded[1] - 2, 1)), strides)
    ),
    "only the last row of taps counts": on_kernel(lambda k, *rest: (k[:, :, -1:], *rest)),
    "frequencies between those looked at count for nothing": patched(norms, "_BETWEEN", 0.99),
    "Perron's bound forgets all lags but 0": patched(
        norms, "perron_bound", lambda k: np.linalg.norm(k.transpose(0, 2, 3, 1).reshape(-1, k.shape[1]), 2)
    ),
    "Schur's test takes the smaller sum": patched(
        norms, "schur_bound", lambda k: min(np.abs(k).sum((1, 2, 3)).max(), np.abs(k).sum((0, 2, 3)).max())
    ),
    "norms are rounded down": patched(gains, "root_up", lambda a: outward.down(math.sqrt(a))),
    "SiLU has the constant 1": patched(gains, "SILU", 1.0),
    "the sigmoid has the constant 0.2": with_constant("Sigmoid", 0.2),
    "tanh has the constant 0.9": with_constant("Tanh", 0.9),
    "a sum has the larger constant": patched(
        network, "_sum", lambda terms, total: max(term.lipschitz for term in terms)
    ),
    "joined values have the larger constant": patched(
        network, "_joined", lambda parts: max(part.lipschitz for part in parts)
    ),
    "the live channels are the others": patched(
        network, "_live_channels", lambda node, inputs: np.array([True, False, False])
    ),
    "the square of the norm is forgotten": patched(symmetric, "multiply_up", lambda a, b: a),
    "an activation is half as steep": wrapped("_bent", lambda real, rows, steepest: real(rows, steepest / 2)),
    "the range begins halfway": wrapped("_across", half_the_range),
    "factors are positive": wrapped("_times", lambda real, form, low, high: real(form, abs(low), abs(high))),
    "any kernel brings rows back": wrapped("_across", any_kernel),
    "what is subtracted is added": patched(symmetric.outward, "subtract", outward.add),
}


def test_the_right_prover_gets_nothing_wrong():
    assert list(failures()) == []


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_wrong_prover_is_rejected(mutant, monkeypatch):
    MUTANTS[mutant](monkeypatch)

    assert list(failures()) != []
