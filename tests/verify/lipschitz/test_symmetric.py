"""Ranges of slopes against Jacobians written out as matrices, pairs of points, and what must have no range."""

import math

import numpy as np
import pytest

from gen_export.errors import NoCertificateError
from gen_export.verify.lipschitz.jacobian import Jacobian
from gen_export.verify.lipschitz.network import bound
from gen_export.verify.lipschitz.outward import UNIT
from tests.verify.lipschitz.nets import net, point

ROUNDING = 1e-11
"""Of eigenvalues and distances in float64, a share of the range's largest end: matrices of up to 75 rows."""
NETS = 300
GROWING = {"Relu": 1.0, "Tanh": 1.0, "Sigmoid": 0.25, "Softplus": 1.0}


class PotentialNet:
    """A random m x + sum of W^T D s(W x + c), D diagonal; `file` is its file and `shape` that of x."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.lines, self.weights = [], {"table": self.rng.uniform(-2, 2, 3)}
        self.shape = (1, int(self.rng.integers(1, 3)), *self.rng.integers(3, 6, 2).tolist())
        self.whole = self.weight(np.array([-1, *self.shape[1:]]))
        terms = [self.potential() for _ in range(self.rng.integers(1, 3))]
        if self.rng.random() < 0.6:
            terms.append(self.line(f"Mul({self.number()}, x)"))
        total = terms[0]
        for term in terms[1:]:
            total = self.line(f"{self.rng.choice(['Add', 'Sub'])}({total}, {term})")
        self.lines.append(f"y = Identity({total})")
        self.file = net("\n".join(self.lines), self.shape, **self.weights)

    def line(self, text):
        """A further value, computed so."""
        self.lines.append(f"v{len(self.lines)} = {text}")
        return f"v{len(self.lines) - 1}"

    def weight(self, values):
        """A further weight."""
        self.weights[f"w{len(self.weights)}"] = values
        return f"w{len(self.weights) - 1}"

    def potential(self):
        """W^T D s(W x + c), of x as an image or as a row of numbers."""
        flat = self.rng.random() < 0.3
        _, channels, height, width = (1, math.prod(self.shape), 1, 1) if flat else self.shape
        view = self.line(f"Reshape(x, {self.weight(np.array([-1, channels, 1, 1]))})") if flat else "x"
        (kh, down, top, bottom), (kw, right, left, end) = self.axis(height), self.axis(width)
        rows = int(self.rng.integers(1, 4))
        kernel = self.weight(self.rng.standard_normal((rows, channels, kh, kw)) * self.rng.choice([0.2, 1.0]))
        where = f"pads={[top, left, bottom, end]}, strides={[down, right]}"
        moved = self.line(f"Conv<{where}>({view}, {kernel}, {self.weight(self.rng.standard_normal(rows))})")
        h = self.between(self.between(moved, rows), rows)
        back = self.line(f"ConvTranspose<{where}>({h}, {kernel}, {self.weight(np.ones(channels))})")
        return self.line(f"Mul({self.line(f'Reshape({back}, {self.whole})')}, {self.number()})")

    def axis(self, size):
        """Kernel, stride and pads of an axis such that the last window ends where the padded image does."""
        before = int(self.rng.integers(0, 3))
        kernel = int(self.rng.integers(1, min(4, size + before) + 1))
        stride = int(self.rng.integers(1, 4))
        return kernel, stride, before, (kernel - size - before) % stride

    def between(self, h, rows):
        """An activation, or a factor before or behind one."""
        per_row = self.rng.uniform(0.3, 2.0, (1, rows, 1, 1)) * self.rng.choice([-1.0, 1.0])
        kind = self.rng.choice([*GROWING, "per row", "divided", "number", "shifted"])
        if kind in GROWING:
            return self.line(f"{kind}({h})")
        if kind == "number":
            return self.line(f"Mul({self.number()}, {h})")
        if kind == "shifted":
            return self.line(f"Sub({self.weight(per_row)}, {h})")
        if kind == "divided":
            return self.line(f"Div({h}, {self.weight(per_row)})")
        return self.line(f"Mul({self.weight(per_row * self.rng.choice([-1.0, 1.0], per_row.shape))}, {h})")

    def number(self):
        """A factor: a weight of one number, or one that the other input chooses."""
        fixed = self.rng.random() < 0.5
        return self.weight(np.array(self.rng.uniform(-2, 2))) if fixed else self.line("Gather(table, t)")


def slopes_of(body, x=(1, 2, 4, 4), known=None, **weights):
    return bound(net(body, x, **weights), "x", "y", {}, known or {}).slopes


def matrix(file, inputs):
    """The exact Jacobian at a point, all columns at once: those of the same image many times."""
    size, shape = inputs["x"].size, inputs["x"].shape[1:]
    many = {**inputs, "x": np.repeat(inputs["x"], size, axis=0)}
    return Jacobian(file.graph, "x", "y", many).push(np.eye(size).reshape(size, *shape)).reshape(size, -1).T


@pytest.mark.parametrize("part", range(10))
def test_the_eigenvalues_of_all_jacobians_of_random_potentials_lie_in_the_range(part):
    """With x -> y - c x, c the middle of the range, having half its length as a constant, on pairs near and far."""
    formed = 0
    for seed in range(part, NETS, 10):
        potential = PotentialNet(seed)
        found = bound(potential.file, "x", "y", {})
        low, high = found.slopes
        at = {t: bound(potential.file, "x", "y", {}, {"t": np.array(t)}).slopes for t in (0, 2)}
        slack = ROUNDING * max(1.0, abs(low), abs(high))
        for scale, t in ((0.1, 0), (1.0, 2), (5.0, 0)):
            inputs = point(potential.rng, potential.shape, scale, t)
            slope = matrix(potential.file, inputs)
            np.testing.assert_allclose(slope, slope.T, rtol=0, atol=slack)
            eigenvalues = np.linalg.eigvalsh(slope)
            assert low - slack <= at[t][0] - slack <= eigenvalues[0], seed
            assert eigenvalues[-1] <= at[t][1] + slack <= high + 2 * slack, seed
            require_pairs(potential, inputs, at[t], slack)
        formed += low != -high
    assert formed > NETS / 10 * 0.5  # else the ranges would be those of the constant alone


def require_pairs(potential, inputs, slopes, slack):
    """|v(x) - v(y) - c (x - y)| <= r |x - y|, c the middle of the range and r half its length.

    Points that are 1e-3 apart magnify the rounding of values a thousand times.
    """
    low, high = slopes
    x = inputs["x"].astype(np.float64)
    y = x + np.array([1e-3, 1.0, 10.0]).reshape(3, 1, 1, 1) * potential.rng.standard_normal((3, *x.shape[1:]))
    values = Jacobian(potential.file.graph, "x", "y", {**inputs, "x": np.concatenate([x, y])}).values["y"]
    apart = (x - y).reshape(3, -1)
    left = (values[:1] - values[1:]).reshape(3, -1) - (low + high) / 2 * apart
    distances = np.linalg.norm(apart, axis=1)
    assert (np.linalg.norm(left, axis=1) <= ((high - low) / 2 + 1e3 * slack) * distances).all()


def test_the_range_of_a_sum_of_neighbours_squared_is_the_one_known_in_closed_form():
    """On a stride of the kernel's size W W^T is 4 times the identity, so that W^T W has the eigenvalues 0 and 4."""
    kernel = np.ones((1, 1, 2, 2))
    body = "h = Conv<strides=[2,2]>(x, w) y = ConvTranspose<strides=[2,2]>(h, w)"
    file = net(body, (1, 1, 4, 4), w=kernel)

    low, high = bound(file, "x", "y", {}).slopes

    assert np.linalg.eigvalsh(matrix(file, point(np.random.default_rng(0), (1, 1, 4, 4))))[[0, -1]] == pytest.approx(
        [0, 4], abs=1e-12
    )
    assert low == pytest.approx(0, abs=1e-300)
    assert 4 <= high <= 4 * (1 + 1e-13)


ROWS = "h = Conv(x, w) "
BACK = "y = ConvTranspose(h, w)"
TWO = {"w": 2 * np.eye(2).reshape(2, 2, 1, 1)}
TABLE = {"table": np.array([-1.0, 3.0])}


@pytest.mark.parametrize(
    ("body", "known", "weights"),
    [
        ("y = Identity(x)", (1, 1), {}),
        ("y = Sub(c, x)", (-1, -1), {"c": np.ones((1, 2, 4, 4))}),
        ("y = Mul(x, c)", (-3, -3), {"c": np.array(-3.0)}),
        ("y = Div(x, c)", (-0.25, -0.25), {"c": np.array([-4.0])}),
        ("g = Gather(table, t) y = Mul(g, x)", (-1, 3), TABLE),
        ("g = Gather(table, t) h = Mul(g, x) y = Add(h, x)", (0, 4), TABLE),
        ("f = Flatten(x) h = Mul(f, c) y = Reshape(h, s)", (3, 3), {"c": np.array(3.0), "s": np.array([2, 1, 16])}),
        ("u = Unsqueeze(x, s) y = Squeeze(u, s)", (1, 1), {"s": np.array([0])}),
        (f"{ROWS}{BACK}", (0, 4), TWO),
        (f"{ROWS} r = Relu(h) y = ConvTranspose(r, w)", (0, 4), TWO),
        (f"{ROWS} r = Sigmoid(h) y = ConvTranspose(r, w)", (0, 1), TWO),
        (f"{ROWS} r = Sigmoid(h) n = Sub(c, r) y = ConvTranspose(n, w)", (-1, 0), {**TWO, "c": np.array(1.0)}),
        (
            f"{ROWS} r = Tanh(h) n = Mul(r, c) y = ConvTranspose(n, w)",
            (-12, 8),
            {**TWO, "c": np.array([2.0, -3.0]).reshape(1, 2, 1, 1)},
        ),
        (
            f"{ROWS} n = Div(h, c) r = Tanh(n) p = Mul(r, c) y = ConvTranspose(p, w)",
            (0, 4),
            {**TWO, "c": np.array([-0.3, -0.7]).reshape(1, 2, 1, 1)},
        ),
        (f"g = Gather(table, t) {ROWS} r = Relu(h) n = Mul(r, g) y = ConvTranspose(n, w)", (-4, 12), {**TWO, **TABLE}),
        (f"{ROWS} r = Tanh(h) b = ConvTranspose(r, w) y = Sub(x, b)", (-3, 1), TWO),
        (f"{ROWS} r = Tanh(h) b = ConvTranspose(r, w) y = Sub(b, x)", (-1, 3), TWO),
        (f"{ROWS} b = ConvTranspose(h, w) f = Flatten(b) g = Flatten(x) y = Add(f, g)", (1, 5), TWO),
    ],
)
def test_a_rule_gives_the_range_that_is_known(body, known, weights):
    """W = 2 I, so that W^T D W = 4 D; a few dozen roundings outward."""
    found = slopes_of(body, **weights)

    assert found[0] <= known[0]
    assert known[1] <= found[1]
    np.testing.assert_allclose(found, known, rtol=100 * UNIT, atol=100 * UNIT)


def test_at_a_known_state_the_range_is_that_of_its_own_factor():
    body = "g = Gather(table, t) y = Mul(g, x)"
    known = {"t": np.array(1)}
    found = bound(net(body, **TABLE), "x", "y", {}, known)

    np.testing.assert_allclose(found.slopes, (3, 3), rtol=10 * UNIT)
    assert found.value == pytest.approx(3, rel=10 * UNIT)
    assert found.uniform
    assert not bound(net(body, **TABLE), "x", "y", {}).uniform


STRIDED = "h = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w) "
SQUARE = {"w": np.random.default_rng(0).standard_normal((2, 2, 3, 3))}
MIXED = {"w": np.array([[1.0, 0.5], [-2.0, 1.0]]).reshape(2, 2, 1, 1)}


@pytest.mark.parametrize(
    ("body", "weights"),
    [
        (f"{ROWS} y = ConvTranspose(h, v)", {**MIXED, "v": -MIXED["w"]}),
        (f"{ROWS} y = Conv(h, w)", MIXED),
        (f"{STRIDED} y = ConvTranspose<pads=[1,1,0,0], strides=[2,2]>(h, w)", SQUARE),
        (f"{STRIDED} y = ConvTranspose<pads=[1,1,1,1], strides=[1,1]>(h, w)", SQUARE),
        (f"{ROWS} n = Mul(h, c) y = ConvTranspose(n, w)", {**MIXED, "c": np.array([[1.0], [2], [-3], [4]])}),
        (f"{ROWS} n = Mul(h, c) y = ConvTranspose(n, w)", {**MIXED, "c": np.array([1.0, 2, -3, 4])}),
        (f"{ROWS} n = Mul(h, c) y = ConvTranspose(n, w)", {**MIXED, "c": np.ones((1, 2, 4, 1))}),
        (f"{ROWS} n = Mul(h, c) y = ConvTranspose(n, w)", {**MIXED, "c": np.array([[[1.0]], [[2.0]]])}),
        (f"{ROWS} n = LeakyRelu<alpha=-0.5>(h) y = ConvTranspose(n, w)", MIXED),
        (f"{ROWS} s = Sigmoid(h) n = Mul(h, s) y = ConvTranspose(n, w)", MIXED),
        (f"{ROWS} n = Add(h, x) y = ConvTranspose(n, w)", MIXED),
        (f"{ROWS} n = Add(h, h) y = ConvTranspose(n, w)", MIXED),
        (f"{ROWS} n = Transpose<perm=[0,1,3,2]>(h) y = ConvTranspose(n, w)", MIXED),
        (f"{ROWS} n = Reshape(h, s) y = ConvTranspose(n, w)", {**MIXED, "s": np.array([1, 2, 4, 4])}),
        (f"f = Transpose<perm=[0,1,3,2]>(x) h = Conv(f, w) {BACK}", MIXED),
        (f"f = Mul(x, c) h = Conv(f, w) {BACK}", {**MIXED, "c": np.array(2.0)}),
        (f"f = Relu(x) h = Conv(f, w) {BACK}", MIXED),
        ("y = Relu(x)", {}),
        ("y = Transpose<perm=[0,1,3,2]>(x)", {}),
        ("y = Mul(x, c)", {"c": np.array([[[1.0]], [[2.0]]])}),
        ("y = Concat<axis=1>(x, x)", {}),
        ("r = Relu(x) y = Add(x, r)", {}),
        ("y = Add(x, c)", {"c": np.ones((3, 1, 1, 1))}),
        ("f = Flatten(x) m = MatMul(f, w) y = Add(f, m)", {"w": np.ones((32, 32))}),
    ],
)
def test_what_is_no_gradient_by_these_rules_has_the_range_of_its_constant_alone(body, weights):
    found = bound(net(body, **weights), "x", "y", {})

    assert found.slopes == (-found.value, found.value)


@pytest.mark.parametrize(
    ("body", "complaint", "weights"),
    [
        (
            "m = Slice(x, a, b, a) v = Flatten(m) z = Squeeze(v) h = Conv(x, w, z) y = ConvTranspose(h, w)",
            "Conv 'h'",
            {"a": np.array([2]), "b": np.array([1]), "w": np.ones((4, 2, 1, 1))},
        ),
        ("h = Conv(x, w) y = Mul(h, h)", "Mul 'y': two of its inputs", TWO),
        (
            "f = Cast<to=1>(t) h = Conv(x, w) r = Relu(h) n = Mul(r, f) y = ConvTranspose(n, w)",
            "Mul 'n': a factor",
            TWO,
        ),
        ("h = Conv(x, w) n = Div(h, c) y = ConvTranspose(n, w)", "Div 'n'", {**TWO, "c": np.zeros((1, 2, 1, 1))}),
        ("y = ConvTranspose<output_padding=[1,1], strides=[2,2]>(x, w)", "without output padding", TWO),
        ("y = ConvTranspose<output_shape=[9,9], strides=[2,2]>(x, w)", "ConvTranspose 'y': no rule bounds", TWO),
        ("y = ConvTranspose<group=2>(x, w)", "only 2-D convolutions", TWO),
    ],
)
def test_what_has_no_bound_is_refused_by_name(body, complaint, weights):
    with pytest.raises(NoCertificateError, match=complaint):
        slopes_of(body, **weights)


def test_a_transpose_that_loses_pixels_still_has_its_constant():
    """A stride of 3 leaves a column of 5 pixels out, so that what comes back is smaller than x."""
    kernel = np.random.default_rng(1).standard_normal((2, 1, 2, 2)).astype(np.float32)
    file = net(
        "h = Conv<strides=[3,3]>(x, w) r = Tanh(h) y = ConvTranspose<strides=[3,3]>(r, w)", (1, 1, 6, 6), w=kernel
    )
    inputs = point(np.random.default_rng(2), (1, 1, 6, 6), 0.01)

    slope = matrix(file, inputs)

    assert slope.shape == (25, 36)
    assert np.linalg.norm(slope, 2) <= bound(file, "x", "y", {}).value
