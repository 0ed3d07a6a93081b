"""Derivatives of networks along a direction, written as ONNX, beside torch's in float64."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
import torch.nn.functional as F
from onnx_ir.passes.common import NameFixPass
from torch import Tensor
from torch.autograd.functional import jvp

from gen_export.errors import ExportError
from gen_export.export.graph_arrays import graph_input, recording
from gen_export.export.tangents import RULES, directional
from gen_export.export.tracing import trace
from gen_export.models.lipschitz import plain
from tests.export.analytic import OPSETS, evaluate, parse

RNG = np.random.default_rng(0)
X, DIRECTION = RNG.standard_normal((2, 3, 4, 6, 6)).astype(np.float32)
KERNEL, SQUARE = RNG.standard_normal((4, 4, 3, 3)), RNG.standard_normal((6, 6))
POSITIVE, SHIFT = RNG.uniform(1.0, 2.0, (4, 6, 6)), RNG.standard_normal((3, 4, 6, 6))
SCALE, BIAS = RNG.standard_normal((2, 4))


def weight(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array.astype(np.float32)).double()


def pixels(x: Tensor) -> Tensor:
    """DepthToSpace as ONNX does it by default, depth first."""
    return x.reshape(3, 2, 2, 1, 6, 6).permute(0, 3, 4, 1, 5, 2).reshape(3, 1, 12, 12)


def scaled(x: Tensor) -> Tensor:
    return F.instance_norm(x, None, None, weight(SCALE), weight(BIAS), eps=1e-3)


OPERATORS = {
    "Conv": (
        "y = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (x, kernel, bias)",
        lambda x: F.conv2d(x, weight(KERNEL), stride=2, padding=1),
    ),
    "ConvTranspose": (
        "y = ConvTranspose <strides = [2, 2]> (x, kernel, bias)",
        lambda x: F.conv_transpose2d(x, weight(KERNEL), stride=2),
    ),
    "InstanceNormalization": ("y = InstanceNormalization <epsilon = 0.001> (x, scale, bias)", scaled),
    "Relu": ("y = Relu (x)", torch.relu),
    "Sigmoid": ("y = Sigmoid (x)", torch.sigmoid),
    "Tanh": ("y = Tanh (x)", torch.tanh),
    "Softmax": ("y = Softmax <axis = 2> (x)", lambda x: torch.softmax(x, 2)),
    "Mul": ("s = Sigmoid (x) y = Mul (s, x)", F.silu),
    "Mul, left alone": ("y = Mul (x, positive)", lambda x: x * weight(POSITIVE)),
    "Mul, right alone": ("y = Mul (positive, x)", lambda x: x * weight(POSITIVE)),
    "MatMul": ("h = Transpose <perm = [0, 1, 3, 2]> (x) y = MatMul (h, x)", lambda x: x.transpose(2, 3) @ x),
    "MatMul, right alone": ("y = MatMul (square, x)", lambda x: weight(SQUARE) @ x),
    "Div": ("h = Tanh (x) p = Add (positive, h) y = Div (x, p)", lambda x: x / (weight(POSITIVE) + torch.tanh(x))),
    "Div, below alone": (
        "h = Tanh (x) p = Add (positive, h) y = Div (shift, p)",
        lambda x: weight(SHIFT) / (weight(POSITIVE) + torch.tanh(x)),
    ),
    "Add": ("h = Tanh (x) y = Add (h, x)", lambda x: torch.tanh(x) + x),
    "Sub": ("h = Tanh (x) y = Sub (h, x)", lambda x: torch.tanh(x) - x),
    "Sub, right alone": ("y = Sub (positive, x)", lambda x: weight(POSITIVE) - x),
    "Sub, larger": ("m = Slice (x, zero, one, two) y = Sub (m, positive)", lambda x: x[:, :, :1] - weight(POSITIVE)),
    "Concat": (
        "h = Tanh (x) y = Concat <axis = 1> (h, shift, x)",
        lambda x: torch.cat([torch.tanh(x), weight(SHIFT), x], 1),
    ),
    "Shape": ("s = Shape (x) z = Expand (one_real, s) y = Mul (z, x)", lambda x: 2.0 * x),
    "Expand": ("m = Slice (x, zero, one, three) s = Shape (x) y = Expand (m, s)", lambda x: x[..., :1].expand(x.shape)),
    "Slice, Squeeze, Unsqueeze": (
        "m = Slice (x, zero, one, two) s = Squeeze (m, two) y = Unsqueeze (s, zero)",
        lambda x: x[:, :, 0][None],
    ),
    "CastLike": ("c = CastLike (square, x) y = Mul (c, x)", lambda x: weight(SQUARE) * x),
    "Reshape": ("y = Reshape (x, flat)", lambda x: x.reshape(3, -1)),
    "DepthToSpace": ("y = DepthToSpace <blocksize = 2> (x)", pixels),
    "Resize": (
        'y = Resize <coordinate_transformation_mode = "asymmetric", nearest_mode = "floor"> (x, , twice)',
        lambda x: F.interpolate(x, scale_factor=2),
    ),
}


def network(text: str) -> ir.Model:
    """A network of these nodes from x, (3, 4, 6, 6), to y; t is not read."""
    integers = {"zero": [0], "one": [1], "two": [2], "three": [3], "flat": [0, -1]}
    constants = " ".join(f"{name} = Constant <value_ints = {values}> ()" for name, values in integers.items())
    model = parse(
        f"""
            <ir_version: 8, opset_import: ["" : 18]>
            small (float[3, 4, 6, 6] x, int64[1] t) => (float y) {{ {constants} {text} }}
        """,
        kernel=KERNEL, bias=BIAS, scale=SCALE, square=SQUARE, positive=POSITIVE, shift=SHIFT,
        one_real=np.array([2.0]), twice=np.array([1.0, 1.0, 2.0, 2.0]),
    )  # fmt: skip
    model.graph.outputs[0].shape = None
    return inferred(model)


def inferred(model: ir.Model) -> ir.Model:
    """The model with the shapes of its values."""
    return ir.from_proto(onnx.shape_inference.infer_shapes(ir.to_proto(model), strict_mode=True))


def slope(model: ir.Model, opset: int = 18) -> ir.Model:
    """The model that gives the network's output and its derivative along a direction."""
    with recording("slope", opset) as graph:
        x, t = (graph_input(value.name, value.dtype.numpy(), value.shape) for value in model.graph.inputs)
        results = directional(model, graph_input("direction", np.float32, x.value.shape), x, t)
        graph.outputs.extend(result.value for result in results)
    built = ir.Model(graph, ir_version=OPSETS[opset])
    NameFixPass()(built)
    return inferred(built)


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    assert found.shape == expected.shape
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize("name", OPERATORS)
def test_the_derivative_of_each_operator_is_torchs(name):
    text, function = OPERATORS[name]
    inputs = {"x": X, "t": np.array([0]), "direction": DIRECTION}
    (_, found), (alone,) = (evaluate(m, {k: inputs[k] for k in keys}) for m, keys in (
        (slope(network(text)), inputs), (network(text), ("x", "t")))
    )  # fmt: skip
    x, direction = (torch.from_numpy(array).double() for array in (X, DIRECTION))
    expected = jvp(function, x, direction)[1].numpy()

    assert alone.shape == found.shape
    assert relative(found, expected) < 1e-6


def test_every_rule_is_tried():
    tried = {node.op_type for text, _ in OPERATORS.values() for node in network(text).graph}

    assert {*RULES} <= tried


@pytest.mark.parametrize(
    ("net", "predict", "opset"),
    [("unet", "v", 18), ("unet", "v", 23), ("residual", "eps", 23), ("residual", "x0", 18), ("monotone", "eps", 18)],
)
def test_the_derivative_of_every_network_is_torchs_at_rounding_level(build_family, net, predict, opset):
    """Float32 beside float64, the images of a batch at different states."""
    family = plain(build_family("diffusion", net=net, predict=predict))
    model = trace(family, family.graph("denoise"), opset)
    x, direction = RNG.standard_normal((2, 5, 1, 8, 8)).astype(np.float32)
    t = np.array([1, 2, 30, 59, 60])
    eps, found = evaluate(slope(model, opset), {"x": x, "t": t, "direction": direction})

    (alone,) = evaluate(model, {"x": x, "t": t})
    np.testing.assert_array_equal(eps, alone)
    double = family.double()
    point, along = (torch.from_numpy(array).double() for array in (x, direction))
    _, expected = jvp(lambda x: double.denoise(x, torch.from_numpy(t)), point, along)
    assert relative(found, expected.numpy()) < 3e-6


def test_the_derivative_is_what_the_network_changes_by(tiny_family, traced):
    """A central difference of the file's own output, whose rounding over twice the step is 1e-4 of it."""
    family = tiny_family("diffusion")
    model = traced(family, family.graph("denoise"), 18)
    x, direction = RNG.standard_normal((2, 2, 1, 8, 8)).astype(np.float32)
    t, h = np.array([20, 40]), np.float32(0.01)
    _, found = evaluate(slope(model), {"x": x, "t": t, "direction": direction})
    (above,), (below,) = (evaluate(model, {"x": x + way * h * direction, "t": t}) for way in (1, -1))

    assert relative(found, (above - below) / (2 * h)) < 3e-4


def test_what_does_not_depend_on_the_image_has_a_derivative_of_zero():
    _, found = evaluate(slope(network("y = Sigmoid (shift)")), {"x": X, "t": np.array([0]), "direction": DIRECTION})

    assert found.shape == SHIFT.shape
    assert not found.any()


def test_an_operator_without_a_rule_is_refused_by_name():
    with pytest.raises(ExportError, match=r"^slope: expected operators with a derivative \(.*\), found Erf$"):
        slope(network("y = Erf (x)"))
