"""Each rule of first-order forms by itself: no member of a form is taken out of the form of the result."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gen_export.verify.intervals.box import Box, fixed
from gen_export.verify.intervals.first_order import Known, form_of, silu_form
from gen_export.verify.intervals.forms import Form, box_of
from gen_export.verify.lipschitz.operators import exact, needed_nodes
from tests.verify.intervals.nets import values_at
from tests.verify.lipschitz.nets import net

seeds = st.integers(0, 2**31)
SHAPE = (1, 4, 2, 2)
NEAREST = 'mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric"'
BODIES = {
    "Conv": "y = Conv<pads=[1,1,1,1], strides=[2,1]>(x, kernel, bias)",
    "wide Conv": "y = Conv(x, wide)",
    "Gemm": "f = Flatten(x) y = Gemm<transB=1, alpha=-1.5>(f, matrix, line)",
    "MatMul": "y = MatMul(x, square)",
    "Add": "y = Add(x, plane)",
    "Sub": "y = Sub(x, plane)",
    "Mul": "y = Mul(plane, x)",
    "Div": "y = Div(x, plane)",
    "Resize": f"s = Constant<value_floats=[1.0,1.0,2.0,3.0]>() y = Resize<{NEAREST}>(x, , s)",
    "DepthToSpace": "y = DepthToSpace<blocksize=2>(x)",
    "Transpose": "y = Transpose<perm=[0,3,2,1]>(x)",
    "residual": "t = Transpose<perm=[0,1,3,2]>(x) m = Mul(t, plane) y = Sub(x, m)",
    "InstanceNormalization": "y = InstanceNormalization<epsilon=0.01>(x, one, zero)",
    "SiLU": "s = Sigmoid(x) y = Mul(x, s)",
}
RNG = np.random.default_rng(5)
WEIGHTS = {
    "kernel": RNG.standard_normal((3, 4, 2, 2)), "wide": 3 * RNG.standard_normal((8, 4, 1, 1)),
    "bias": RNG.standard_normal(3), "matrix": RNG.standard_normal((5, 16)), "line": RNG.standard_normal(5),
    "square": RNG.standard_normal((2, 2)), "plane": RNG.standard_normal((4, 1, 1)), "one": np.ones(4),
    "zero": np.zeros(4),
}  # fmt: skip


def through(file, form):
    """The form of y where x has this one."""
    known = {name: Known(fixed(exact(tensor))) for name, tensor in file.graph.initializers.items()}
    known["x"] = Known(box_of(form), form)
    for node in needed_nodes(file.graph, "y"):
        inputs = [known[name] if name else None for name in node.inputs]
        if node.op_type == "Sigmoid":
            known[node.outputs[0]] = Known(Box(np.zeros(SHAPE), np.ones(SHAPE)))
        elif node.op_type == "Constant":
            known[node.outputs[0]] = Known(fixed(np.array(node.attributes["value_floats"])))
        elif "s" in node.inputs and node.op_type == "Mul":
            known["y"] = Known(known["x"].box, silu_form(form))
        else:
            result = form_of(node, inputs)
            assert result is not None, node.op_type
            known[node.outputs[0]] = Known(box_of(result), result)
    return known["y"].form


def outside(file, form, e, w):
    """How far the result of one member lies outside the ellipsoid of the result's form, whose size is 1."""
    found = through(file, form)
    left = values_at(file, form.centre + np.tensordot(e, form.slopes, 1) + form.rest * w)
    left = left - found.centre - np.tensordot(e, found.slopes, 1)
    rounding = 1e-13 * (1 + np.abs(found.centre))  # of the member's own result, in float64
    return np.linalg.norm(np.maximum(np.abs(left) - rounding, 0) / (found.rest + 1e-300))


def members(rng):
    """Numbers e and arrays w: corners, and whole or spread over the entries."""
    spread = rng.standard_normal(SHAPE)
    single = np.zeros(SHAPE)
    single.flat[rng.integers(16)] = rng.choice([-1.0, 1.0])
    return rng.choice([-1.0, 1.0], 3), single if rng.random() < 0.5 else spread / np.linalg.norm(spread)


@pytest.mark.parametrize("name", BODIES)
@settings(max_examples=60)
@given(seed=seeds, slope=st.sampled_from([0.0, 1e-4, 0.1, 1.0]), rest=st.sampled_from([0.0, 1e-4, 0.1, 2.0]))
def test_no_member_of_a_form_leaves_the_form_of_the_result(name, seed, slope, rest):
    rng = np.random.default_rng(seed)
    scale = rng.choice([1.0, rng.random()], SHAPE)
    form = Form(3 * rng.standard_normal(SHAPE), slope * rng.standard_normal((3, *SHAPE)), rest * scale)

    assert outside(net(BODIES[name], SHAPE, **WEIGHTS), form, *members(rng)) <= 1 + 1e-9


@pytest.mark.parametrize(
    ("name", "centre", "slopes", "rest", "e", "w"),
    [
        ("SiLU", 2.4, 0.0, 1e-3, 0, 1),  # where SiLU is steepest
        ("SiLU", 0.0, 1e-3, 0.0, 1, 0),  # where it bends most
        ("Resize", 1.0, 0.0, 1.0, 0, 1),  # six times the same entry
    ],
)
def test_bounds_are_nearly_reached(name, centre, slopes, rest, e, w):
    entry = np.zeros(SHAPE)
    entry[0, 1, 1, 0] = 1.0
    form = Form(np.full(SHAPE, centre), slopes * entry[None], rest * entry + 1e-30)

    assert 0.97 < outside(net(BODIES[name], SHAPE, **WEIGHTS), form, np.array([e]), w * entry) <= 1 + 1e-9


def test_normalisation_is_nearly_as_steep_and_bent_as_its_bounds_say():
    file = net(BODIES["InstanceNormalization"], SHAPE, **WEIGHTS)
    centre = np.zeros(SHAPE)
    centre[0, 0] = [[1.0, -1.0], [2.0, -2.0]]
    way = np.zeros(SHAPE)
    way[0, 1] = [[0.5, -0.5], [0.5, -0.5]]  # in a channel without variance, where the slope is 1 / sqrt(epsilon)
    rng = np.random.default_rng(0)
    bent = [
        outside(file, Form(centre, (1e-3 * ways)[None], np.zeros(SHAPE)), np.array([1.0]), np.zeros(SHAPE))
        for ways in centre / 6 + rng.standard_normal((300, *SHAPE)) * (centre != 0)
    ]

    assert 0.99 < outside(file, Form(centre, np.zeros((1, *SHAPE)), 1e-5 * np.ones(SHAPE)), np.zeros(1), way) <= 1
    assert 0.4 < max(bent) <= 1


def test_normalisation_knows_how_far_the_deviation_may_fall():
    """The slopes take nine tenths of the deviation away, after which what is left counts ten times as much."""
    file = net(BODIES["InstanceNormalization"], SHAPE, **WEIGHTS)
    centre, way = np.zeros((2, *SHAPE))
    centre[0, 0], way[0, 0] = [[1.0, -1.0], [2.0, -2.0]], [[0.5, 0.5], [-0.5, -0.5]]
    form = Form(centre, 0.9 * centre[None], 0.3 * (centre != 0))

    assert outside(file, form, np.array([-1.0]), way) <= 1


def test_a_rule_that_has_no_form_says_so():
    file = net("y = Tanh(x)", SHAPE)
    (node,) = needed_nodes(file.graph, "y")
    form = Form(np.zeros(SHAPE), np.zeros((1, *SHAPE)), np.zeros(SHAPE))

    assert form_of(node, [Known(box_of(form), form)]) is None
    assert form_of(node, [Known(fixed(np.zeros(SHAPE)))]) is None
