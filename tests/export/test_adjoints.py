"""Reverse-mode rules of arithmetic, shapes, choices and sums beside torch's."""

import pytest
import torch
import torch.nn.functional as F

from gen_export.errors import ExportError
from gen_export.export.adjoints import ARITHMETIC
from tests.export.gradients import Case, assert_torchs_gradient, operators, squared_gradient

X, COLUMN = (2, 3, 4), (3, 1)
BOUNDS = "low = Constant <value_float = -0.5> () high = Constant <value_float = 0.75> ()"
ROWS = torch.tensor([0, 2, 0, -1])
PLACES = torch.tensor([[0, 1], [2, 0], [0, 1]])
TAKEN = torch.tensor([[0, 0, 1], [2, 0, 2]])
APART = torch.tensor([[3, 0, 1], [2, 4, 0]])
ELEMENTS = "i = Constant <value = int64[2, 3] {{{}}}> ()"

CASES: dict[str, Case] = {
    "Reshape": ("y = Reshape (a, [0, -1])", lambda a: a.reshape(2, -1), [X]),
    "Squeeze": ("y = Squeeze (a, [1])", lambda a: a[:, 0], [(2, 1, 3)]),
    "Unsqueeze": ("y = Unsqueeze (a, [0, -1])", lambda a: a[None, ..., None], [X]),
    "Flatten": ("y = Flatten <axis = 2> (a)", lambda a: a.reshape(6, 4), [X]),
    "Identity": ("y = Identity (a)", lambda a: 1.0 * a, [X]),
    "Cast": ("h = Cast <to = 11> (a) e = Exp (h) y = Cast <to = 1> (e)", torch.exp, [X]),
    "CastLike": ("h = CastLike (a, a) y = Exp (h)", torch.exp, [X]),
    "Add": ("y = Add (a, b)", torch.add, [X, X]),
    "Add, both broadcast": ("y = Add (a, b)", torch.add, [(2, 1, 4), COLUMN]),
    "Sub": ("y = Sub (a, b)", torch.sub, [X, X]),
    "Sub, broadcast": ("y = Sub (a, b)", torch.sub, [COLUMN, X]),
    "Mul": ("y = Mul (a, b)", torch.mul, [X, X]),
    "Mul, broadcast": ("y = Mul (a, b)", torch.mul, [X, ()]),
    "Mul, both broadcast": ("y = Mul (a, b)", torch.mul, [(2, 1, 4), COLUMN]),
    "Div": ("p = Exp (b) y = Div (a, p)", lambda a, b: a / b.exp(), [X, X]),
    "Div, broadcast": ("p = Exp (b) y = Div (a, p)", lambda a, b: a / b.exp(), [COLUMN, X]),
    "Div, both broadcast": ("p = Exp (b) y = Div (a, p)", lambda a, b: a / b.exp(), [(2, 1, 4), COLUMN]),
    "Pow, squared": ("y = Pow (a, [2.0])", torch.square, [X]),
    "Pow, cubed": ("y = Pow (a, [3.0])", lambda a: a**3, [X]),
    "Neg": ("y = Neg (a)", torch.neg, [X]),
    "Reciprocal": ("p = Exp (a) y = Reciprocal (p)", lambda a: 1.0 / a.exp(), [X]),
    "Abs": ("y = Abs (a)", torch.abs, [X]),
    "Exp": ("y = Exp (a)", torch.exp, [X]),
    "Log": ("e = Exp (a) p = Add (e, [1.0]) y = Log (p)", F.softplus, [X]),
    "Sqrt": ("e = Exp (a) y = Sqrt (e)", lambda a: a.exp().sqrt(), [X]),
    "Sigmoid": ("y = Sigmoid (a)", torch.sigmoid, [X]),
    "Tanh": ("y = Tanh (a)", torch.tanh, [X]),
    "Erf": ("y = Erf (a)", torch.erf, [X]),
    "Relu": ("y = Relu (a)", torch.relu, [X]),
    "LeakyRelu": ("y = LeakyRelu <alpha = 0.25> (a)", lambda a: F.leaky_relu(a, 0.25), [X]),
    "LeakyRelu, its usual slope": ("y = LeakyRelu (a)", F.leaky_relu, [X]),
    "Clip": (f"{BOUNDS} y = Clip (a, low, high)", lambda a: a.clamp(-0.5, 0.75), [X]),
    "Clip, from below": (f"{BOUNDS} y = Clip (a, low)", lambda a: a.clamp(-0.5), [X]),
    "Clip, from above": (f"{BOUNDS} y = Clip (a, , high)", lambda a: a.clamp(max=0.75), [X]),
    "Where": ("c = Greater (a, b) y = Where (c, a, b)", lambda a, b: torch.where(a > b, a, b), [X, COLUMN]),
    "Transpose": ("y = Transpose <perm = [1, 2, 0]> (a)", lambda a: a.permute(1, 2, 0), [X]),
    "Transpose, turned around": ("y = Transpose (a)", lambda a: a.permute(2, 1, 0), [X]),
    "Expand": ("y = Expand (a, [5, 2, 1, 4])", lambda a: a.expand(5, 2, 3, 4), [(2, 3, 1)]),
    "Tile": ("y = Tile (a, [3, 1, 2])", lambda a: a.repeat(3, 1, 2), [X]),
    "Slice": ("y = Slice (a, [1, 0], [3, 9], [2, 0])", lambda a: a[:, :, 1:3], [X]),
    "Slice, from the end": ("y = Slice (a, [-3], [-1], [-1])", lambda a: a[..., 1:3], [X]),
    "Slice, of all axes": ("y = Slice (a, [0, 1, -2], [1, 9, 9])", lambda a: a[:1, 1:, 2:], [X]),
    "Slice, of all": ("y = Slice (a, [0], [9223372036854775807], [1])", lambda a: 1.0 * a, [X]),
    "Pad": ("y = Pad (a, [0, 1, 2, 0, 0, 3])", lambda a: F.pad(a, (2, 3, 1, 0)), [X]),
    "Pad, negative": ("y = Pad (a, [0, -1, 2, 0, 1, -3])", lambda a: F.pad(a, (2, -3, -1, 1)), [X]),
    "Concat": ("y = Concat <axis = 1> (a, b, a)", lambda a, b: torch.cat([a, b, a], 1), [X, (2, 5, 4)]),
    "Concat, last": ("y = Concat <axis = -1> (a, b)", lambda a, b: torch.cat([a, b], -1), [X, (2, 3, 1)]),
    "ReduceMean": ("y = ReduceMean (a, [1, -1])", lambda a: a.mean((1, 2), keepdim=True), [X]),
    "ReduceMean, no axis left": ("y = ReduceMean <keepdims = 0> (a)", torch.mean, [X]),
    "ReduceMean, one axis": ("y = ReduceMean <keepdims = 0> (a, [-2])", lambda a: a.mean(1), [X]),
    "ReduceSum": ("y = ReduceSum (a, [0])", lambda a: a.sum(0, keepdim=True), [X]),
    "ReduceSum, of all": ("y = ReduceSum (a)", lambda a: a.sum((0, 1, 2), keepdim=True), [X]),
    "ReduceSum, two axes": ("y = ReduceSum <keepdims = 0> (a, [2, 0])", lambda a: a.sum((0, 2)), [X]),
    "Gather": ("y = Gather (a, [0, 2, 0, -1])", lambda a: a[ROWS], [(3, 4)]),
    "Gather, a scalar": ("i = Constant <value_int = 1> () y = Gather (a, i)", lambda a: a[1], [X]),
    "GatherND": (
        "i = Constant <value = int64[3, 2] {0, 1, 2, 0, 0, 1}> () y = GatherND (a, i)",
        lambda a: a[PLACES[:, 0], PLACES[:, 1]],
        [(3, 2, 4)],
    ),
    "GatherElements": (
        f"{ELEMENTS.format('0, 0, 1, 2, 0, 2')} y = GatherElements <axis = 1> (a, i)",
        lambda a: a.gather(1, TAKEN),
        [(2, 3)],
    ),
    "GatherElements, along the first": (
        f"{ELEMENTS.format('0, 0, 1, 2, 0, 2')} y = GatherElements (a, i)",
        lambda a: a.gather(0, TAKEN),
        [(3, 3)],
    ),
    "ScatterElements": (
        f"{ELEMENTS.format('3, 0, 1, 2, 4, 0')} z = Expand ([0.0], [2, 5]) y = ScatterElements <axis = -1> (z, i, a)",
        lambda a: a.new_zeros(2, 5).scatter(1, APART, a),
        [(2, 3)],
    ),
}
ONCE = {"Abs", "Concat", "Gather", "GatherND", "GatherElements"}
"""Whose rules hold operators that have none."""
TWICE = [name for name in CASES if "," not in name and name not in ONCE]


def test_every_rule_has_a_case():
    assert {*ARITHMETIC} <= operators(CASES.values())


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_through_each_operator_is_torchs(name):
    assert_torchs_gradient(CASES[name])


@pytest.mark.parametrize("name", TWICE)
def test_the_derivative_of_a_gradient_through_each_operator_is_torchs(name):
    assert_torchs_gradient(squared_gradient(CASES[name]))


@pytest.mark.parametrize("name", sorted(ONCE))
def test_a_gradient_that_cannot_be_derived_again_is_refused(name):
    with pytest.raises(ExportError, match=r"^derivative of ScatterElements: |, found (Sign|Split|ScatterND)$"):
        assert_torchs_gradient(squared_gradient(CASES[name]))
