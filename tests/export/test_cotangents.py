"""Gradients of whole graphs: what adds up, what stops, what is refused, and that any number of images will do."""

import pytest
import torch
import torch.nn.functional as F

from gen_export.errors import ExportError
from gen_export.export.adjoints import ARITHMETIC
from gen_export.export.cotangents import RULES
from gen_export.export.layer_adjoints import LAYERS
from tests.export.analytic import session
from tests.export.gradients import Case, assert_alike, assert_torchs_gradient, gradients, torchs_gradients

X, IMAGES = (3, 4), (2, 3, 6, 5)
LABELS = "labels = Constant <value = int64[3] {0, 3, 1}> ()"
PLACES = "places = Constant <value = int64[3, 1] {2, 0, 3}> ()"
FLOW: dict[str, Case] = {
    "used twice": ("s = Sigmoid (a) y = Mul (s, a)", F.silu, [X]),
    "used by itself": ("y = Mul (a, a)", torch.square, [X]),
    "on two ways of different length": (
        "h = Tanh (a) d = Sub (h, a) e = Exp (d) y = Add (e, h)",
        lambda a: (a.tanh() - a).exp() + a.tanh(),
        [X],
    ),
    "not used": ("y = Exp (a)", lambda a, b: a.exp(), [X, (2, 5)]),
    "used for its shape alone": (
        "s = Shape (b) e = Exp (a) y = Expand (e, s)",
        lambda a, b: a.exp().expand(3, 4),
        [(4,), X],
    ),
    "used for its type alone": ("h = Exp (a) y = CastLike (h, b)", lambda a, b: a.exp(), [X, X]),
    "used to choose alone": ("c = Greater (b, a) y = Where (c, a, a)", lambda a, b: 1.0 * a, [X, X]),
    "rounded to whole numbers": (
        "i = Cast <to = 7> (a) f = Cast <to = 1> (i) y = Mul (f, a)",
        lambda a: a.detach().trunc() * a,
        [X],
    ),
    "stopped": ("s = gen_export.StopGradient (a) y = Mul (s, a)", lambda a: a.detach() * a, [X]),
    "stopped on one way": (
        "s = gen_export.StopGradient (a) e = Exp (s) d = Sub (e, a) y = Mul (d, e)",
        lambda a: (a.detach().exp() - a) * a.detach().exp(),
        [X],
    ),
    "a penalty of a gradient": (
        "h = MatMul (a, b) z = Tanh (h) g = gen_export.InputGradient (a, z) q = Mul (g, g) y = ReduceMean (q, [1])",
        lambda a, b: torch.autograd.grad((a @ b).tanh().sum(), a, create_graph=True)[0].square().mean(1, keepdim=True),
        [X, (4, 5)],
    ),
}
REFUSED = {
    "Sin": ("y = Sin (a)", [X]),
    "Split": ("s, t = Split <axis = 1, num_outputs = 2> (a) y = Neg (s)", [X]),
    "Split, its second output": ("s, t = Split <axis = 1, num_outputs = 2> (a) y = Neg (t)", [X]),
    "TopK": ("y, i = TopK (a, [2])", [X]),
    "Pow": ("y = Pow (a, [1.0, 2.0, 3.0, 4.0])", [X]),
    "Clip": ("m = ReduceMean <keepdims = 0> (b) y = Clip (a, m)", [X, X]),
    "Tile": ("y = Tile (a, [1, 2])", [("batch", 4)]),
    "Concat": ("y = Concat <axis = 0> (a, a)", [("batch", 4)]),
    "Slice": ("y = Slice (a, [0], [4], [1], [2])", [X]),
    "Slice, of a free axis": ("y = Slice (a, [1], [2], [0])", [("batch", 4)]),
    "Pad": ('y = Pad <mode = "edge"> (a, [0, 1, 0, 1])', [X]),
    "Pad, some axes": ("y = Pad (a, [1, 1], , [1])", [X]),
    "Gather": ("y = Gather <axis = 1> (a, [0, 2])", [X]),
    "GatherND": (f"{PLACES} y = GatherND <batch_dims = 1> (a, places)", [X]),
    "ScatterElements": (f'{PLACES} y = ScatterElements <axis = 1, reduction = "add"> (a, places, b)', [X, (3, 1)]),
    "ScatterElements, into what moves": (f"{PLACES} y = ScatterElements <axis = 1> (a, places, b)", [X, (3, 1)]),
    "MatMul": ("y = MatMul (a, b)", [X, (4,)]),
    "Gemm": ("y = Gemm <alpha = 2.0> (a, b)", [X, (4, 5)]),
    "Conv": ("y = Conv <group = 3> (a, b)", [IMAGES, (3, 1, 2, 2)]),
    "Conv, apart": ("y = Conv <dilations = [2, 1]> (a, b)", [IMAGES, (4, 3, 2, 2)]),
    "Conv, own pads": ('y = Conv <auto_pad = "SAME_UPPER"> (a, b)', [IMAGES, (4, 3, 2, 2)]),
    "Conv, of rows": ("y = Conv (a, b)", [(2, 3, 6), (4, 3, 2)]),
    "ConvTranspose": ("y = ConvTranspose <dilations = [2, 1]> (a, b)", [IMAGES, (3, 4, 2, 2)]),
    "ConvTranspose, to a shape": (
        "y = ConvTranspose <strides = [2, 2], output_shape = [10, 8]> (a, b)",
        [IMAGES, (3, 4, 2, 2)],
    ),
    "Resize": ('y = Resize <mode = "linear"> (a, , [1.0, 1.0, 2.0, 2.0])', [IMAGES]),
    "Resize, smaller": ("y = Resize (a, , [1.0, 1.0, 0.5, 0.5])", [IMAGES]),
    "Resize, of channels": ("y = Resize (a, , [1.0, 2.0, 2.0, 2.0])", [IMAGES]),
    "Resize, corners": (
        'y = Resize <coordinate_transformation_mode = "align_corners"> (a, , [1.0, 1.0, 3.0, 3.0])',
        [IMAGES],
    ),
    "DepthToSpace": ("y = DepthToSpace <blocksize = 2> (a)", [(2, 12, 3, 2)]),
    "InstanceNormalization": ("y = InstanceNormalization (a, b, b)", [IMAGES, (3,)]),
    "InstanceNormalization, computed": ("e = Exp (b) y = InstanceNormalization (a, e, e)", [IMAGES, (3,)]),
    "LayerNormalization": ("y = LayerNormalization <axis = 1> (a, b)", [IMAGES, IMAGES[1:]]),
    "SoftmaxCrossEntropyLoss": (f'{LABELS} y = SoftmaxCrossEntropyLoss <reduction = "sum"> (a, labels)', [X]),
    "SoftmaxCrossEntropyLoss, weighted": (f"{LABELS} y = SoftmaxCrossEntropyLoss (a, labels, b)", [X, (4,)]),
    "GlobalAveragePool": ("y = GlobalAveragePool (a)", [(2, 3, "height", 5)]),
}

CRITIC = (
    "h = Conv <strides = [2, 2], pads = [1, 1, 1, 1]> (a, b) n = InstanceNormalization (h, [1.0, 1.0], [0.0, 0.0])"
    " r = LeakyRelu <alpha = 0.25> (n) f = Flatten (r) p = MatMul (f, c) y = Softmax (p)"
)


def critic(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    h = F.instance_norm(F.conv2d(a, b, stride=2, padding=1))
    return (F.leaky_relu(h, 0.25).flatten(1) @ c).softmax(-1)


def test_the_rules_are_those_of_arithmetic_and_of_layers():
    assert {*RULES} == {*ARITHMETIC, *LAYERS}


@pytest.mark.parametrize("name", FLOW)
def test_the_gradient_by_an_input(name):
    assert_torchs_gradient(FLOW[name])


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_rule_is_refused_by_name(name):
    text, shapes = REFUSED[name]
    operator = name.split(",")[0]

    with pytest.raises(ExportError, match=rf"^derivative of {operator}: expected |^gradient: .* found {operator}$"):
        gradients(text, shapes, ())


def test_a_power_that_is_not_constant_is_refused():
    with pytest.raises(ExportError, match=r"^b: expected a constant, found an input$"):
        gradients("y = Pow (a, b)", [X, X], ())


def test_one_graph_serves_batches_of_any_size():
    kernel, matrix = (2, 3, 3, 3), (18, 4)
    graph = session(gradients(CRITIC, [("batch", 3, 6, 6), kernel, matrix], ("batch", 4)))

    for batch in (1, 2, 5):
        inputs, expected = torchs_gradients(critic, [(batch, 3, 6, 6), kernel, matrix])
        assert_alike(graph.run(None, inputs), expected)
