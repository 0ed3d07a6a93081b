"""Jacobians against differences, their own transposes, and norms that are known; values against ONNX Runtime."""

import math

import numpy as np
import onnxruntime
import pytest

from gen_export.errors import NoCertificateError
from gen_export.verify.lipschitz.jacobian import Jacobian, reached_slope
from tests.verify.lipschitz.nets import RandomNet, net, point

FLOAT32 = 1e-4
"""The largest error of ONNX Runtime's float32 beside float64, a share of the largest value: a few hundred units of 6e-8
for each of up to eight layers."""


def run(file, inputs, output="y"):
    """An output as ONNX Runtime computes it."""
    session = onnxruntime.InferenceSession(file.data, providers=["CPUExecutionProvider"])
    names = {value.name for value in session.get_inputs()}
    return session.run([output], {name: array for name, array in inputs.items() if name in names})[0]


def require_close(found, expected):
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=FLOAT32 * max(1.0, np.abs(expected).max(initial=0)))


@pytest.mark.parametrize("seed", range(150))
def test_values_of_random_nets_are_those_of_onnx_runtime(seed):
    random = RandomNet(seed)
    inputs = point(random.rng, random.shape, t=2)

    require_close(Jacobian(random.file.graph, "x", "y", inputs).values["y"], run(random.file, inputs))


@pytest.mark.parametrize("t", [1, 30, 60])
def test_values_of_the_residual_denoiser_are_those_of_onnx_runtime(residual, t):
    inputs = point(np.random.default_rng(t), (2, 1, 8, 8)) | {"t": np.array([t])}

    found = Jacobian(residual.graph, "x", "eps", inputs).values["eps"]

    require_close(found, run(residual, inputs, "eps"))


OPERATORS = {
    "Slice with steps": (
        "y = Slice(x, a, b, c, d)",
        {"a": np.array([-1, 0]), "b": np.array([-9, 3]), "c": np.array([3, -2]), "d": np.array([-2, 2])},
    ),
    "Reshape that keeps axes": ("y = Reshape(x, s)", {"s": np.array([0, -1, 2])}),
    "Squeeze": ("a = Squeeze(x, s) y = Neg(a)", {"s": np.array([0])}),
    "Squeeze of all": ("y = Squeeze(x)", {}),
    "Unsqueeze": ("y = Unsqueeze(x, s)", {"s": np.array([-1, 0])}),
    "Flatten": ("y = Flatten<axis=2>(x)", {}),
    "Flatten of all": ("y = Flatten<axis=0>(x)", {}),
    "Expand": ("y = Expand(x, s)", {"s": np.array([2, 1, 1, 4, 1])}),
    "Gather": ("y = Gather<axis=2>(x, s)", {"s": np.array([[0, -1], [2, 2]])}),
    "DepthToSpace": ("y = DepthToSpace<blocksize=2>(x)", {}),
    "DepthToSpace by columns and rows": ('y = DepthToSpace<blocksize=2, mode="CRD">(x)', {}),
    "Transpose": ("y = Transpose(x)", {}),
    "Clip": ("y = Clip(x, a, b)", {"a": np.array(-0.5), "b": np.array(0.25)}),
    "Clip from above": ("y = Clip(x, , b)", {"b": np.array(0.25)}),
    "LeakyRelu": ("y = LeakyRelu(x)", {}),
    "Gemm": (
        "h = Flatten<axis=2>(x) y = Gemm<alpha=2.0, beta=0.5, transA=1, transB=1>(h, b, c)",
        {"b": np.arange(8.0).reshape(2, 4) / 9, "c": np.array([1.0, -1])},
    ),
    "Gemm of the rows as they are": (
        "h = Flatten<axis=2>(x) y = Gemm(h, b)",
        {"b": np.arange(32.0).reshape(16, 2) / 9},
    ),
    "MatMul from the left": ("y = MatMul(b, x)", {"b": np.arange(12.0).reshape(3, 4) / 9}),
    "ConstantOfShape": ("c = ConstantOfShape<value=float[1]{2.5}>(s) y = Mul(x, c)", {"s": np.array([4, 1])}),
    "Shape": (
        "s = Shape<start=1, end=-1>(x) p = Concat<axis=0>(one, s, four) y = Expand(x, p)",
        {"one": np.array([1]), "four": np.array([4])},
    ),
    "division of integers": (
        "q = Div(a, b) f = Cast<to=1>(q) y = Mul(x, f)",
        {"a": np.array([7, -7, 7, -7]), "b": np.array([2, 2, -2, -2])},
    ),
    "division by a value": ("d = Add(x, c) y = Div(c, d)", {"c": np.array(6.0)}),
    "Resize to sizes": ('y = Resize<mode="nearest">(x, , , s)', {"s": np.array([1, 8, 12, 4])}),
    "Resize by four": ('y = Resize<mode="nearest">(x, , s)', {"s": np.array([1.0, 1, 4, 5])}),
    "ConvTranspose": (
        "y = ConvTranspose<pads=[1,0,2,1], strides=[2,3]>(x, w, b)",
        {"w": np.arange(72.0).reshape(4, 2, 3, 3) / 40, "b": np.array([1.0, -1])},
    ),
    "ConvTranspose with strides beyond its kernel": (
        "y = ConvTranspose<strides=[3,2]>(x, w)",
        {"w": np.arange(24.0).reshape(4, 3, 2, 1) / 9},
    ),
    "padding on one side": (
        "y = Conv<pads=[2,0,1,3], strides=[2,3]>(x, w)",
        {"w": np.arange(72.0).reshape(2, 4, 3, 3) / 40},
    ),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_computes_what_onnx_runtime_does_and_has_its_transpose(name):
    body, weights = OPERATORS[name]
    file, rng = net(body, (1, 4, 4, 4), **weights), np.random.default_rng(1)
    inputs = point(rng, (1, 4, 4, 4))

    jacobian = Jacobian(file.graph, "x", "y", inputs)

    require_close(jacobian.values["y"], run(file, inputs))
    require_transpose(jacobian, rng)
    require_derivative(file, jacobian, inputs, rng)


def require_transpose(jacobian, rng):
    """<J v, u> = <v, J^T u>; exact but for float64."""
    v, u = (rng.standard_normal(jacobian.values[name].shape) for name in "xy")
    image, back = jacobian.push(v), jacobian.pull(u)
    scale = np.linalg.norm(image) * np.linalg.norm(u) + np.linalg.norm(back) * np.linalg.norm(v)
    assert abs(np.vdot(image, u) - np.vdot(v, back)) <= 1e-12 * scale


def require_derivative(file, jacobian, inputs, rng, step=1e-6):
    """J v is the slope of a central difference, to h^2 of the third derivative and 1e-16 / h of rounding."""
    v = rng.standard_normal(inputs["x"].shape)
    ahead, behind = (
        Jacobian(file.graph, "x", "y", {**inputs, "x": inputs["x"] + h * v}).values["y"] for h in (step, -step)
    )
    found = jacobian.push(v)
    np.testing.assert_allclose(found, (ahead - behind) / (2 * step), rtol=0, atol=1e-7 * max(1.0, np.abs(found).max()))


@pytest.mark.parametrize("seed", range(150))
def test_random_nets_have_their_derivative_and_its_transpose(seed):
    random = RandomNet(seed)
    inputs = point(random.rng, random.shape, t=1)
    inputs["x"] = inputs["x"].astype(np.float64)

    jacobian = Jacobian(random.file.graph, "x", "y", inputs)

    require_transpose(jacobian, random.rng)
    require_derivative(random.file, jacobian, inputs, random.rng)


def test_power_iteration_reaches_a_norm_that_is_known():
    """The sum of 3 x 3 neighbours on 6 x 6 pixels has the norm (1 + 2 cos(pi / 7))^2."""
    file = net("y = Conv<pads=[1,1,1,1]>(x, w)", (1, 1, 6, 6), w=np.ones((1, 1, 3, 3)))
    known = (1 + 2 * math.cos(math.pi / 7)) ** 2

    reached = reached_slope(file.graph, "x", "y", [point(np.random.default_rng(0), (1, 1, 6, 6))], rounds=60)

    assert reached == pytest.approx(known, rel=1e-9)
    assert reached <= known * (1 + 1e-12)


def test_a_value_that_does_not_depend_on_the_input_has_the_slope_0():
    file = net("y = Relu(c)", c=np.ones(3))

    assert reached_slope(file.graph, "x", "y", [point(np.random.default_rng(0), (1, 2, 4, 4))]) == 0


def test_what_has_no_derivative_is_refused():
    file = net("y = Sqrt(x)")

    with pytest.raises(NoCertificateError, match="Sqrt 'y': its derivative by this input is not read"):
        Jacobian(file.graph, "x", "y", point(np.random.default_rng(0), (1, 2, 4, 4)))
