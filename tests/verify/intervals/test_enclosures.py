"""Boxes of what nets compute: never left by what they do, exact where they are affine, known by hand, refusals."""

import itertools

import numpy as np
import pytest

from gen_export.errors import NoCertificateError
from gen_export.verify.intervals import first_order, network, rules
from gen_export.verify.intervals.network import Enclosure
from gen_export.verify.lipschitz.operators import needed_nodes
from tests.verify.intervals.nets import RandomDecoder, points_of, values_at
from tests.verify.lipschitz.nets import net

NETS = 400
ROUNDING = 1e-12
"""Far more than float64 loses at a point of these small nets, in shares of their values."""

UPSAMPLING = """s = Constant<value_floats=[1.0,1.0,2.0,2.0]>()
    y = Resize<mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric">(x, , s)"""


def box_of(body, low, high, **weights):
    """The ends of y's box while x lies between two arrays."""
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    return Enclosure(net(body, low.shape, **weights), "x", "y").box(low, high)


def excess(decoder, middle, radius):
    """By how much points of a box of this radius leave the certified box, and how wide that is beside theirs."""
    low, high = middle - radius, middle + radius
    box = Enclosure(decoder.file, "x", "y").box(low, high)
    found = np.stack([values_at(decoder.file, x) for x in points_of(decoder.rng, low, high)])
    allowed = ROUNDING * (1 + np.abs(found).max())
    outside = np.maximum(box.low - found, found - box.high).max() - allowed
    return outside, (box.high - box.low).max(), np.ptp(found, axis=0).max()


@pytest.mark.parametrize("radius", [1e-4, 0.1, 3.0])
def test_no_point_of_a_random_net_leaves_its_box(radius):
    moved = 0
    for seed in range(NETS):
        decoder = RandomDecoder(seed)
        outside, _, reached = excess(decoder, decoder.rng.standard_normal(decoder.shape), radius)
        assert outside <= 0, seed
        moved += reached > 0
    assert moved > 0.9 * NETS


def test_small_boxes_are_nearly_as_wide_as_what_is_reached():
    """First-order forms at work: plain intervals are wider by the cancellation that they do not see."""
    ratios = []
    for seed in range(100):
        decoder = RandomDecoder(seed)
        _, width, reached = excess(decoder, decoder.rng.standard_normal(decoder.shape), 1e-7)
        ratios.append(width / max(reached, 1e-12))

    assert np.median(ratios) < 3


@pytest.mark.parametrize("seed", range(20))
def test_the_box_of_an_affine_net_is_its_exact_image(seed):
    rng = np.random.default_rng(seed)
    first, second = (rng.standard_normal(shape).astype(np.float32) for shape in ((6, 4), (5, 6)))
    bias, z, radius = rng.standard_normal(6).astype(np.float32), rng.standard_normal((1, 4)), rng.random((1, 4))
    body = "h = Gemm<transB=1, alpha=-0.5, beta=2.0>(x, a, c) s = Add(h, h) y = Gemm<transB=1>(s, b)"
    low, high = box_of(body, z - radius, z + radius, a=first, b=second, c=bias)

    matrix = -second.astype(np.float64) @ first
    middle, reach = (
        z @ matrix.T + 4.0 * bias.astype(np.float64) @ second.T.astype(np.float64),
        radius @ np.abs(matrix).T,
    )
    # Some ten roundings of numbers below 100.
    np.testing.assert_allclose([low, high], [middle - reach, middle + reach], rtol=0, atol=1e-12)
    assert np.all(low <= middle - reach + 1e-14)
    assert np.all(high >= middle + reach - 1e-14)


@pytest.mark.parametrize("seed", range(10))
def test_the_box_of_one_hidden_layer_holds_all_its_corners_and_those_alone_where_it_is_small(seed):
    """ReLUs that keep their sign in the whole box leave the net affine there, where corners are extreme."""
    rng = np.random.default_rng(seed)
    first, second = (rng.standard_normal(shape).astype(np.float32) for shape in ((4, 3), (2, 4)))
    body = "h = Gemm<transB=1>(x, a) r = Relu(h) y = Gemm<transB=1>(r, b)"
    z = rng.standard_normal((1, 3))
    low, high = box_of(body, z - 1.0, z + 1.0, a=first, b=second)
    file = net(body, (1, 3), a=first, b=second)
    corners = np.concatenate([values_at(file, z + np.array([c])) for c in itertools.product((-1, 1), repeat=3)])

    assert np.all(low <= corners.min(0) + 1e-12)
    assert np.all(high >= corners.max(0) - 1e-12)


@pytest.mark.parametrize(
    ("body", "low", "high", "expected"),
    [
        ("y = Sub(x, x)", [[-2.0]], [[3.0]], (0, 0)),  # what a box alone puts between -5 and 5
        ("y = Relu(x)", [[-2.0]], [[3.0]], (0, 3)),
        ("y = Neg(x)", [[-2.0]], [[3.0]], (-3, 2)),
        ("y = LeakyRelu<alpha=0.5>(x)", [[-2.0]], [[3.0]], (-1, 3)),
        ("y = Tanh(x)", [[-1.0]], [[0.5]], (np.tanh(-1), np.tanh(0.5))),
        ("y = Sigmoid(x)", [[-1000.0]], [[0.0]], (0, 0.5)),
        ("y = Softplus(x)", [[0.0]], [[1000.0]], (np.log(2), 1000)),
        ("s = Sigmoid(x) y = Mul(s, x)", [[-2.0]], [[1.0]], (-0.27846454, 1 / (1 + np.exp(-1)))),
        ("s = Sigmoid(x) y = Mul(x, s)", [[-9.0]], [[-3.0]], (-3 / (1 + np.exp(3)), -9 / (1 + np.exp(9)))),
        ("s = Sigmoid(x) y = Mul(x, s)", [[1.0]], [[2.0]], (1 / (1 + np.exp(-1)), 2 / (1 + np.exp(-2)))),
        ("y = Mul(x, x)", [[-2.0]], [[3.0]], (-6, 9)),
        ("o = Constant<value_float=2.0>() y = Div(o, x)", [[1.0]], [[4.0]], (0.5, 2)),
        ("o = Constant<value_float=2.0>() y = Div(o, x)", [[-1.0]], [[4.0]], (-np.inf, np.inf)),
        ("o = Constant<value_float=2.0>() y = Div(x, o)", [[-1.0]], [[4.0]], (-0.5, 2)),
        ("l = Constant<value_float=-1.0>() y = Clip(x, l)", [[-3.0]], [[4.0]], (-1, 4)),
        ("y = Sqrt(x)", [[4.0]], [[9.0]], (2, 3)),
    ],
)
def test_boxes_of_single_nodes_are_those_known_by_hand(body, low, high, expected):
    found = box_of(body, low, high)

    np.testing.assert_allclose([found.low.item(), found.high.item()], expected, rtol=1e-6, atol=1e-9)
    assert found.low.item() <= expected[0] + 1e-12
    assert found.high.item() >= expected[1] - 1e-12


@pytest.mark.parametrize(
    "body",
    [
        "y = Transpose<perm=[0,1,3,2]>(x)",
        "y = DepthToSpace<blocksize=2>(x)",
        UPSAMPLING,
        "s = Constant<value_ints=[2,8]>() y = Reshape(x, s)",
        "y = Concat<axis=1>(x, x)",
    ],
)
def test_selections_take_the_ends_as_they_are(body):
    rng = np.random.default_rng(0)
    low = rng.standard_normal((1, 4, 2, 2))
    high = low + rng.random(low.shape)
    file, found = net(body, low.shape), box_of(body, low, high)

    np.testing.assert_array_equal(values_at(file, low), found.low)
    np.testing.assert_array_equal(values_at(file, high), found.high)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("y = MaxPool<kernel_shape=[2,2]>(x)", "MaxPool 'y': no rule bounds this operator with these attributes"),
        ("y = Softmax(x)", "Softmax 'y': no rule bounds this operator with these attributes"),
        ("h = Cast<to=7>(x) y = Cast<to=1>(h)", "Cast 'h': it rounds its input to integers, and so jumps"),
        ("y = Gather(w, t)", "Gather 'y': nothing before it computes its input 't'"),
        ("i = Cast<to=7>(x) y = Gather(w, i)", "Cast 'i': it rounds"),
        ("y = LeakyRelu<alpha=-0.5>(x)", "LeakyRelu 'y': it falls and grows"),
        ("y = Clip(x, x)", "Clip 'y': its limits are not the same for all inputs"),
        ("y = Conv(w, x)", "Conv 'y': its weights are no constants of the file"),
        ("y = MatMul(x, x)", "MatMul 'y': its weights are no constants of the file"),
        ("y = InstanceNormalization<epsilon=0.0>(x, one, one)", "expected an epsilon above 0, found 0"),
        ("y = com.example.Relu(x)", "Relu 'y': no rule bounds this operator with these attributes"),
        ("y = Conv<group=2>(x, w)", "Conv 'y': cannot be computed: only 2-D convolutions without groups"),
        ("y = MatMul(x, broken)", "MatMul 'y': its weights are not all finite"),
    ],
)
def test_a_node_without_a_bound_is_refused_by_name_and_reason(body, told):
    weights = {"w": np.ones((2, 2, 1, 1)), "one": np.ones(2), "broken": np.full((4, 4), np.nan)}

    with pytest.raises(NoCertificateError, match=told.replace("(", r"\(")):
        box_of(body, np.zeros((1, 2, 4, 4)), np.ones((1, 2, 4, 4)), **weights)


def test_a_graph_without_the_input_or_the_value_is_refused():
    file = net("y = Relu(x)")

    for source, target in (("z", "y"), ("x", "z")):
        with pytest.raises(NoCertificateError, match=f"net.onnx: expected its main graph to compute '{target}'"):
            Enclosure(file, source, target)


@pytest.mark.parametrize(
    ("module", "name", "wrong"),
    [
        (rules, "silu", lambda x: rules.Box(x.low * rules.sigmoid(x.low), x.high * rules.sigmoid(x.high))),
        (network, "silu", lambda x: rules.Box(x.low * rules.sigmoid(x.low), x.high * rules.sigmoid(x.high))),
        (first_order, "joined", np.minimum),
        (first_order, "_gain", lambda *_: 0.0),
        (first_order, "norm_up", lambda _: 0.0),
    ],
)
def test_a_wrong_rule_is_found_by_random_nets(monkeypatch, module, name, wrong):
    """What the first test of this file is worth."""
    monkeypatch.setattr(module, name, wrong)
    if module is rules:
        monkeypatch.setattr(network, name, wrong)
    decoders = [RandomDecoder(seed) for seed in range(NETS)]

    assert any(
        excess(decoder, decoder.rng.standard_normal(decoder.shape), radius)[0] > 0
        for decoder in decoders
        for radius in (0.1, 1.0)
    )


def test_random_nets_hold_every_rule():
    """Which operators the soundness test goes through."""
    seen = {node.op_type for seed in range(NETS) for node in needed_nodes(RandomDecoder(seed).file.graph, "y")}

    assert seen >= {
        "Add", "Concat", "Conv", "Div", "InstanceNormalization", "LeakyRelu", "Mul", "Neg", "Relu", "Resize",
        "Sigmoid", "Softplus", "Sub", "Tanh", "Transpose",
    }  # fmt: skip
