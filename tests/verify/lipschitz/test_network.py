"""Certificates against slopes that are reached, known by hand or by trying all of them; refusals; wrong rules."""

import itertools
import math
from fractions import Fraction

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from gen_export.errors import GenExportError, NoCertificateError
from gen_export.verify.lipschitz import gains, network, norms, values
from gen_export.verify.lipschitz.elementwise import ACTIVATIONS
from gen_export.verify.lipschitz.jacobian import Jacobian, reached_slope
from gen_export.verify.lipschitz.network import bound
from gen_export.verify.lipschitz.norms import convolution_norm, matrix_norm
from gen_export.verify.onnx_file import OnnxFile
from tests.verify.lipschitz.nets import RandomNet, net, point

ROUNDING = 1e-12
"""Far more than float64 loses in slopes of these small nets, far less than any rule is off by."""
NETS = 1000
NEAREST = 'mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"'


BRANCHES = """b = Cast<to=9>(t)
    y = If(b) <then_branch = p () => (float[1] q) { q = Neg(x) }, else_branch = r () => (float[1] s) { s = Relu(x) }>"""


def constant(body, x=(1, 2, 4, 4), sizes=None, **weights):
    return bound(net(body, x, **weights), "x", "y", sizes or {}).value


def test_no_bound_is_below_a_slope_that_a_random_net_reaches():
    certified = 0
    for seed in range(NETS):
        random = RandomNet(seed)
        value = bound(random.file, "x", "y", {}).value
        points = [point(random.rng, random.shape, scale, t) for scale, t in ((0.1, 0), (3.0, 4))]
        reached = reached_slope(random.file.graph, "x", "y", points, rounds=4)
        assert reached <= value * (1 + ROUNDING), seed
        certified += reached > 0
    assert certified > NETS * 0.9


def all_slopes(first, second):
    """The Jacobians of a net with one hidden layer of ReLUs, one for each set of units that are on."""
    for active in itertools.product((0.0, 1.0), repeat=len(first)):
        yield np.linalg.norm(second @ np.diag(active) @ first, 2)


@pytest.mark.parametrize("seed", range(20))
def test_the_bound_of_a_small_net_is_above_all_its_slopes(seed):
    rng = np.random.default_rng(seed)
    first, second = (rng.standard_normal(shape).astype(np.float32) for shape in ((5, 3), (2, 5)))
    body = "h = Gemm<transB=1>(x, a) r = Relu(h) y = Gemm<transB=1>(r, b)"

    steepest = max(all_slopes(first.astype(float), second.astype(float)))

    assert steepest <= constant(body, (1, 3), a=first, b=second) <= 6 * steepest


def test_lipschitz_composition_certifies_the_residual_denoiser_layer_by_layer(residual):
    certificate = bound(residual, "x", "eps", {})

    stem, a, b, c, d, head = (layer.norm for layer in certificate.layers)
    weights = residual.graph.initializers
    kernel = weights["family.net.stem.weight"]
    assert stem == convolution_norm(kernel[:, :1], (10, 10), (1, 1)) < convolution_norm(kernel, (10, 10), (1, 1))
    assert [layer.name for layer in certificate.layers] == [name for name in weights if name.endswith("weight")]
    assert certificate.value == pytest.approx(stem * (1 + a * b) * (1 + c * d) * head, rel=1e-14)
    assert certificate.shape == (1, 1, 8, 8)
    rng = np.random.default_rng(0)
    points = [point(rng, (1, 1, 8, 8), scale, t) for scale, t in ((0.3, 1), (1.0, 30), (3.0, 60))]
    assert 0 < reached_slope(residual.graph, "x", "eps", points) <= certificate.value


def test_the_u_net_is_refused_by_name_and_reason(unet):
    with pytest.raises(NoCertificateError, match=r"^InstanceNormalization 'val_\d+': its slope grows to 1 / sqrt"):
        bound(unet, "x", "eps", {})


@pytest.mark.parametrize(
    ("body", "known", "weights"),
    [
        ("y = Identity(x)", 1, {}),
        ("y = Add(x, x)", 2, {}),
        ("n = Neg(x) y = Concat<axis=1>(x, n)", math.sqrt(2), {}),
        ("y = Concat<axis=1>(x, c)", 1, {"c": np.ones((1, 1, 4, 4))}),
        ("y = Mul(x, c)", 3, {"c": np.array([[1.0], [-3.0], [2.0], [0.0]])}),
        ("y = Div(x, c)", 4, {"c": np.array([0.25, 0.5, 2, 8])}),
        ("g = Gather(c, t) y = Mul(g, x)", 5, {"c": np.array([1.0, -5.0])}),
        (
            "g = Gather(c, t) one = Constant<value_float=1.0>() h = Sub(one, g) r = Sqrt(h) y = Mul(x, r)",
            3,
            {"c": np.array([1.0, -8.0])},
        ),
        (f"y = Resize<{NEAREST}>(x, , s)", math.sqrt(6), {"s": np.array([1.0, 1.0, 2.0, 3.0])}),
        ('y = Resize<mode="nearest">(x, , , s)', 4, {"s": np.array([1, 2, 16, 16])}),
        ("y = Expand(x, s)", math.sqrt(5), {"s": np.array([5, 1, 1, 1])}),
        ("y = Add(x, c)", math.sqrt(3), {"c": np.zeros((3, 1, 1, 1))}),
        ("y = Mul(x, c)", math.sqrt(3) * 2, {"c": np.full((3, 1, 1, 1), 2.0)}),
        ("y = Gather<axis=1>(x, i)", math.sqrt(3), {"i": np.array([0, 1, 1, 1])}),
        ("y = Slice(x, a, b)", 1, {"a": np.array([0]), "b": np.array([1])}),
        ("s = Shape(x) y = Reshape(x, s)", 1, {}),
        ("c = Concat<axis=1>(x, x) y = DepthToSpace<blocksize=2>(c)", math.sqrt(2), {}),
        ("y = Clip(x, low)", 1, {"low": np.array(-1.0)}),
        ("y = LeakyRelu<alpha=-3.0>(x)", 3, {}),
        ("y = Sigmoid(x)", 0.25, {}),
        ("s = Sigmoid(x) y = Mul(s, x)", 1.1, {}),
        ("s = Sigmoid(x) y = Mul(x, s)", 1.1, {}),
        ("z = Sub(x, x) y = Softplus(z)", 2, {}),
        ("s = Shape(x) f = Cast<to=1>(s) h = CastLike(f, x) y = Mul(x, h)", 4, {}),
        ("z = Sub(x, x) f = CastLike(x, z) y = Concat<axis=1>(f, c)", 1, {"c": np.ones((1, 1, 4, 4))}),
        (
            "i = Reshape(t, o) g = Gather(a, i) c = Concat<axis=0>(g, b) y = Mul(x, c)",
            7,
            {"o": np.array([1]), "a": np.array([1.0, -7]), "b": np.array([2.0, 3, 4])},
        ),
        ("y = Mul(c, c)", 0, {"c": np.ones(2)}),
        ("y = Conv(x, w)", 0, {"w": np.zeros((1, 2, 3, 3))}),
        ("y = ConvTranspose<strides=[3,2]>(x, w)", 2, {"w": 2 * np.eye(2).reshape(2, 2, 1, 1)}),
        ("y = ConvTranspose<strides=[2,2]>(x, w)", 6, {"w": np.full((2, 2, 2, 2), 1.5)}),
        ("y = MatMul(x, w)", 2, {"w": 2 * np.eye(4)}),
        ("y = MatMul(w, x)", 2, {"w": np.array([[2.0, 0, 0, 0]])}),
    ],
)
def test_a_rule_gives_the_constant_that_is_known(body, known, weights):
    assert known <= constant(body, **weights) <= known * (1 + ROUNDING)


@pytest.mark.parametrize(
    ("body", "complaint", "weights"),
    [
        ("y = Softmax(x)", "Softmax 'y': no rule bounds this operator", {}),
        ("y = LayerNormalization(x, s)", "LayerNormalization 'y': its slope grows to", {"s": np.ones(4)}),
        ("h = com.example.Relu(x) y = Neg(h)", "Relu 'h': no rule bounds this operator", {}),
        (
            "y = Conv<group=2>(x, w)",
            "Conv 'y': cannot be computed: only 2-D convolutions",
            {"w": np.ones((2, 1, 1, 1))},
        ),
        ("y = Conv<dilations=[2,2]>(x, w)", "only 2-D convolutions", {"w": np.ones((1, 2, 2, 2))}),
        ('y = Conv<auto_pad="SAME_UPPER">(x, w)', "only 2-D convolutions", {"w": np.ones((1, 2, 2, 2))}),
        ("y = Conv<fused=1>(x, w)", "Conv 'y': no rule bounds this operator with", {"w": np.ones((1, 2, 2, 2))}),
        ("y = Conv(x, w)", "Conv 'y': its weights are not all finite", {"w": np.full((1, 2, 1, 1), np.nan)}),
        ("y = Conv(w, x)", "Conv 'y': its weights are no constants", {"w": np.ones((1, 2, 4, 4))}),
        (
            "b = Reshape(x, s) y = Conv(w, v, b)",
            "Conv 'y': its weights are no constants",
            {"s": np.array([32]), "w": np.ones((1, 2, 4, 4)), "v": np.ones((32, 2, 1, 1))},
        ),
        (
            "f = Cast<to=1>(t) w = Mul(v, f) y = Conv(x, w)",
            "Conv 'y': its weights are no constants",
            {"v": np.ones((1, 2, 1, 1))},
        ),
        ("y = MatMul(x, x)", "MatMul 'y': two of its inputs depend on the source", {}),
        ("y = MatMul(x, w)", "MatMul 'y': expected weights of 2 axes, found 4", {"w": np.ones((1, 2, 4, 4))}),
        ("h = Flatten(x) y = Gemm(h, w)", "Gemm 'y': expected weights of 2 axes, found 1", {"w": np.ones(32)}),
        ("y = LeakyRelu<alpha=nan>(x)", "LeakyRelu 'y': a factor has no bound", {}),
        ("y = Mul(x, x)", "Mul 'y': two of its inputs depend on the source", {}),
        ("s = Sigmoid(x) n = Neg(x) y = Mul(n, s)", "Mul 'y': two of its inputs depend on the source", {}),
        ("y = Div(c, x)", "Div 'y': it divides by what depends on the source", {"c": np.ones(1)}),
        ("y = Div(x, c)", "Div 'y': a factor has no bound", {"c": np.array([1.0, -1, 2, 3])}),
        ("y = Div(x, c)", "Div 'y': a factor has no bound", {"c": np.array([0.0, 1, 2, 3])}),
        ("f = Cast<to=1>(t) y = Mul(x, f)", "Mul 'y': a factor has no bound", {}),
        (
            "s = Add(t, o) c = ConstantOfShape(s) y = Mul(x, c)",
            "Mul 'y': the shape of its input 'c' is not known",
            {"o": np.array([4])},
        ),
        ("f = Exp(c) y = Mul(x, f)", "Mul 'y': the shape of its input 'f' is not known", {"c": np.ones(1)}),
        ("y = Cast<to=7>(x)", "Cast 'y': it rounds its input to integers", {}),
        ("y = Clip(c, x)", "Clip 'y': its limits depend on the source", {"c": np.ones(1)}),
        ("y = Gather<axis=1>(x, t)", "Gather 'y': which entries it takes is not the same", {}),
        ("s = Add(t, o) y = Expand(x, s)", "Expand 'y': which entries it takes is not the same", {"o": np.array([1])}),
        ('y = Resize<mode="linear">(x, , s)', "Resize 'y': cannot be computed: only nearest", {"s": np.ones(4)}),
        ('y = Resize<mode="nearest">(x, , s)', "only nearest", {"s": np.array([1, 1, 1.5, 1])}),
        ('y = Resize<mode="nearest">(x, , s)', "only nearest", {"s": np.array([1, 1, 0.5, 1])}),
        ("y = Reshape(x, s)", "Reshape 'y': cannot be computed", {"s": np.array([7])}),
        (
            BRANCHES,
            "If 'y': it holds graphs of its own",
            {},
        ),
        ("y = Add(x, gone)", "Add 'y': nothing before it computes its input 'gone'", {}),
    ],
)
def test_what_has_no_bound_is_refused_by_node_and_reason(body, complaint, weights):
    with pytest.raises(NoCertificateError) as refusal:
        constant(body, **weights)

    assert complaint in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert isinstance(refusal.value, GenExportError)


def test_what_the_value_does_not_need_is_not_refused():
    assert constant("h = Softmax(x) y = Relu(x)") == 1


def test_a_weight_that_a_caller_may_replace_is_no_constant():
    file = net("y = Mul(x, w)", w=np.ones(1))
    assert bound(file, "x", "y", {}).value == 1
    model = onnx.load_from_string(file.data)
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [1]))

    with pytest.raises(NoCertificateError, match="Mul 'y': a factor has no bound"):
        bound(OnnxFile(model.SerializeToString(), file.source), "x", "y", {})


def test_names_and_sizes_that_are_missing_are_named():
    free = net("y = Conv<pads=[1,1,1,1]>(x, w)", x=("batch", 2, "height", 4), w=np.ones((1, 2, 3, 3)))

    with pytest.raises(NoCertificateError, match="expected an input 'x' of a known size, found none"):
        bound(free, "x", "y", {})
    with pytest.raises(NoCertificateError, match="expected an input 'w' of a known size, found none"):
        bound(free, "w", "y", {})
    with pytest.raises(NoCertificateError, match="expected its main graph to compute 'z', found no such value"):
        bound(free, "x", "z", {"x": (1, 2, 4, 4)})


def test_a_larger_image_has_a_larger_bound():
    """The norm of a sum of neighbours grows with the image: towards 9 for each of two channels, sqrt 2 times 9."""
    free = net("y = Conv<pads=[1,1,1,1]>(x, w)", x=("batch", 2, "height", "width"), w=np.ones((1, 2, 3, 3)))
    kernel = np.ones((1, 2, 3, 3)) - 1.5 * np.eye(3)

    certificate = bound(free, "x", "y", {"x": (1, 2, 4, 5)})

    assert certificate.shape == (1, 2, 4, 5)
    assert certificate.value == convolution_norm(np.ones((1, 2, 3, 3)), (6, 7), (1, 1))
    assert convolution_norm(kernel, (3, 3), (1, 1)) < convolution_norm(kernel, (64, 64), (1, 1))


def patched(where, name, wrong):
    """Replaces an attribute of a module, or an entry of one of the tables of rules."""
    return lambda patch: (
        patch.setitem(where, name, wrong) if isinstance(where, dict) else patch.setattr(where, name, wrong)
    )


def with_constant(name, constant):
    return patched(ACTIVATIONS, name, ACTIVATIONS[name]._replace(constant=lambda attributes: constant))


JOINED = "n = Neg(x) y = Concat<axis=1>(x, n)"
PLANE = "c = Concat<axis=1>(p, x) y = Conv(c, w)"
MUTANTS = {
    "a sum has the larger constant": (
        patched(network, "_sum", lambda terms, total: max(term.lipschitz for term in terms)),
        "y = Add(x, x)",
        {},
    ),
    "joined values have the larger constant": (
        patched(network, "_joined", lambda parts: max(part.lipschitz for part in parts)),
        JOINED,
        {},
    ),
    "the constant channels are kept and the others dropped": (
        patched(network, "_live_channels", lambda node, inputs: np.array([True, False, False])),
        PLANE,
        {"p": np.ones((1, 1, 4, 4)), "w": np.array([0.1, 2, 3]).reshape(1, 3, 1, 1)},
    ),
    "a channel is forgotten": (
        patched(norms, "convolution_norm", lambda kernel, *rest: convolution_norm(kernel[:, 1:], *rest)),
        "y = Conv(x, w)",
        {"w": np.array([3.0, 0.1]).reshape(1, 2, 1, 1)},
    ),
    "upsampling repeats nothing": (
        patched(gains._GAINS, "Resize", lambda step: 1.0),
        'y = Resize<mode="nearest">(x, , s)',
        {"s": np.array([1.0, 1, 2, 2])},
    ),
    "the axes of upsampling count once": (
        patched(gains._GAINS, "Resize", lambda step: 2.0),
        'y = Resize<mode="nearest">(x, , s)',
        {"s": np.array([1.0, 1, 4, 4])},
    ),
    "repeated entries count once": (
        patched(gains._GAINS, "Gather", lambda step: 1.0),
        "y = Gather<axis=1>(x, i)",
        {"i": np.array([0, 0])},
    ),
    "broadcasting repeats nothing in a product": (
        patched(gains, "repetition", lambda value, result: 1.0),
        "y = Mul(x, c)",
        {"c": np.ones((3, 1, 1, 1))},
    ),
    "a table counts by its first entry": (
        patched(values, "_range", lambda node, inputs: (1.0, 1.0)),
        "g = Gather(c, t) y = Mul(x, g)",
        {"c": np.array([1.0, 5])},
    ),
    "dividing by a range counts as multiplying": (
        patched(gains._GAINS, "Div", lambda step: 2.0),
        "y = Div(x, c)",
        {"c": np.array([0.25, 0.5, 1, 2])},
    ),
    "alpha is forgotten": (
        patched(gains._GAINS, "Gemm", lambda step: matrix_norm(step.inputs[1].sample)),
        "h = Flatten(x) y = Gemm<alpha=3.0>(h, w)",
        {"w": np.eye(32)},
    ),
    "SiLU has the constant 1": (
        patched(gains, "SILU", 1.0),
        "h = Add(x, c) s = Sigmoid(h) y = Mul(h, s)",
        {"c": np.array(2.4)},
    ),
    "SiLU has the constant 1.0998": (
        patched(gains, "SILU", 1.0998),
        "h = Add(x, c) s = Sigmoid(h) y = Mul(h, s)",
        {"c": np.array(2.3994)},
    ),
    "the sigmoid has the constant 0.24": (with_constant("Sigmoid", 0.24), "y = Sigmoid(x)", {}),
    "tanh has the constant 0.9": (with_constant("Tanh", 0.9), "y = Tanh(x)", {}),
    "the softplus has the constant 0.5": (
        with_constant("Softplus", 0.5),
        "h = Add(x, c) y = Softplus(h)",
        {"c": np.array(1.0)},
    ),
    "a leak is never steep": (with_constant("LeakyRelu", 1.0), "y = LeakyRelu<alpha=-2.0>(x)", {}),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_wrong_rule_gives_less_than_a_slope_that_is_reached(mutant, monkeypatch):
    wrong, body, weights = MUTANTS[mutant]
    file, rng = net(body, **weights), np.random.default_rng(0)
    points = [point(rng, (1, 2, 4, 4), 0.01, t) for t in (0, 1)]
    reached = reached_slope(file.graph, "x", "y", points, rounds=40)
    assert bound(file, "x", "y", {}).value >= reached * (1 - ROUNDING)

    wrong(monkeypatch)

    assert bound(file, "x", "y", {}).value < reached * (1 - ROUNDING)


@pytest.mark.parametrize("count", [n for n in range(2, 30) if Fraction(math.sqrt(n)) ** 2 < n])
def test_a_constant_is_rounded_up_where_the_nearest_float_is_below_it(count, monkeypatch):
    weights = {"s": np.array([count, 1, 1, 1])}
    assert Fraction(constant("y = Expand(x, s)", **weights)) ** 2 >= count

    monkeypatch.setattr(gains, "root_up", math.sqrt)

    assert Fraction(constant("y = Expand(x, s)", **weights)) ** 2 < count


@pytest.mark.parametrize("seed", range(10))
def test_the_constant_of_a_transposed_convolution_is_that_of_the_convolution_it_transposes(seed):
    """Above the exact norm, also where padding cuts what comes back, and close to it where it does not."""
    rng = np.random.default_rng(seed)
    kernel = rng.standard_normal((2, int(rng.integers(1, 4)), *rng.integers(1, 4, 2))).astype(np.float32)
    strides, pads = (
        rng.integers(1, 4, 2).tolist(),
        np.minimum(rng.integers(0, 2, 4), min(kernel.shape[2:]) // 2).tolist(),
    )
    file = net(f"y = ConvTranspose<pads={pads}, strides={strides}>(x, w)", (1, 2, 4, 5), w=kernel)
    jacobian = Jacobian(file.graph, "x", "y", point(rng, (1, 2, 4, 5)))

    exact = np.linalg.norm([jacobian.push(unit.reshape(1, 2, 4, 5)).ravel() for unit in np.eye(40)], 2)

    assert exact <= bound(file, "x", "y", {}).value * (1 + ROUNDING)
    assert bound(file, "x", "y", {}).value <= 1.5 * exact
