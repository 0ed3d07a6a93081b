"""Reverse-mode rules of products of matrices, convolutions, normalisations and softmax beside torch's."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gen_export.export.layer_adjoints import LAYERS
from tests.export.gradients import Case, assert_torchs_gradient, operators, squared_gradient

IMAGES = (2, 3, 6, 5)
LABELS = torch.tensor([3, 0, 3])
SCALE, SHIFT = torch.tensor([1.0, 2.0, 0.5]).double(), torch.tensor([0.0, 1.0, -1.0]).double()
NORM = "y = InstanceNormalization <epsilon = 0.001> (a, [1.0, 2.0, 0.5], [0.0, 1.0, -1.0])"
ASYMMETRIC = 'coordinate_transformation_mode = "asymmetric", nearest_mode = "floor"'
KERNELS, STRIDES = [(1, 4), (2, 3), (3, 2), (4, 1)], [(1, 1), (2, 2), (1, 2)]
PADS = [(0, 0, 0, 0), (1, 1, 1, 1), (0, 1, 2, 1)]
"""Before the two axes, then after them."""


def gemm(across_a: int, across_b: int, bias: tuple[int, ...] | None) -> Case:
    """A product of two matrices, each as it is or transposed."""

    def function(a: Tensor, b: Tensor, c: Tensor | float = 0.0) -> Tensor:
        return (a.T if across_a else a) @ (b.T if across_b else b) + c

    shapes = [(3, 2) if across_a else (2, 3), (4, 3) if across_b else (3, 4)]
    text = f"y = Gemm <transA = {across_a}, transB = {across_b}>"
    return (f"{text} (a, b, c)", function, [*shapes, bias]) if bias else (f"{text} (a, b)", function, shapes)


def conv(kernel: tuple[int, int], strides: tuple[int, int], pads: tuple[int, ...]) -> Case:
    """A convolution, with a bias where it has pads."""
    top, left, bottom, right = pads

    def function(a: Tensor, *weights: Tensor) -> Tensor:
        return F.conv2d(F.pad(a, (left, right, top, bottom)), *weights, stride=strides)

    text, shapes = f"y = Conv <strides = {[*strides]}, pads = {[*pads]}>", [IMAGES, (4, 3, *kernel)]
    return (f"{text} (a, b, c)", function, [*shapes, (4,)]) if any(pads) else (f"{text} (a, b)", function, shapes)


def conv_transpose(kernel: tuple[int, int], strides: tuple[int, int], pads: tuple[int, ...]) -> Case:
    """A transposed convolution, likewise, with pixels more at the end where the strides leave room."""
    (top, left, bottom, right), more = pads, [stride - 1 for stride in strides]

    def function(*inputs: Tensor) -> Tensor:
        full = F.conv_transpose2d(*inputs, stride=strides, output_padding=more)
        return full[:, :, top : full.shape[2] - bottom, left : full.shape[3] - right]

    text = f"y = ConvTranspose <strides = {[*strides]}, pads = {[*pads]}, output_padding = {more}>"
    shapes = [IMAGES, (3, 4, *kernel)]
    return (f"{text} (a, b, c)", function, [*shapes, (4,)]) if any(pads) else (f"{text} (a, b)", function, shapes)


CASES: dict[str, Case] = {
    "MatMul": ("y = MatMul (a, b)", torch.matmul, [(3, 4), (4, 2)]),
    "MatMul, batches": ("y = MatMul (a, b)", torch.matmul, [(2, 5, 3, 4), (2, 5, 4, 2)]),
    "MatMul, one for all": ("y = MatMul (a, b)", torch.matmul, [(2, 5, 3, 4), (4, 2)]),
    "MatMul, all by one": ("y = MatMul (a, b)", torch.matmul, [(3, 4), (2, 4, 2)]),
    "MatMul, both broadcast": ("y = MatMul (a, b)", torch.matmul, [(2, 1, 3, 4), (5, 4, 2)]),
    "MatMul, rows of one": ("y = MatMul (a, b)", torch.matmul, [(5, 1, 4), (5, 4, 1)]),
    "MatMul, of rank one": ("y = MatMul (a, b)", torch.matmul, [(2, 3, 1), (1, 4)]),
    "MatMul, by itself": ("t = Transpose <perm = [0, 2, 1]> (a) y = MatMul (t, a)", lambda a: a.mT @ a, [(2, 3, 4)]),
    **{f"Gemm {a}{b}": gemm(a, b, None) for a, b in product((0, 1), repeat=2)},
    **{f"Gemm {a}{b}, bias {shape}": gemm(a, b, shape) for a, b, shape in product((0, 1), (0, 1), [(4,), (2, 1)])},
    **{f"Conv, {', '.join(map(str, how))}": conv(*how) for how in product(KERNELS, STRIDES, PADS)},
    **{f"ConvTranspose, {', '.join(map(str, how))}": conv_transpose(*how) for how in product(KERNELS, STRIDES, PADS)},
    "Conv": conv((3, 2), (1, 2), (0, 1, 2, 1)),
    "ConvTranspose": conv_transpose((3, 2), (2, 1), (0, 1, 2, 1)),
    "Resize, twice": (
        f"y = Resize <{ASYMMETRIC}> (a, , [1.0, 1.0, 2.0, 2.0])",
        lambda a: F.interpolate(a, scale_factor=2),
        [IMAGES],
    ),
    "Resize, three times and twice": (
        f"y = Resize <{ASYMMETRIC}> (a, , [1.0, 1.0, 3.0, 2.0])",
        lambda a: F.interpolate(a, scale_factor=(3, 2)),
        [IMAGES],
    ),
    "Resize, half pixels": (
        "y = Resize (a, , [1.0, 1.0, 3.0, 3.0])",
        lambda a: F.interpolate(a, scale_factor=3),
        [IMAGES],
    ),
    "DepthToSpace": (
        'y = DepthToSpace <blocksize = 2, mode = "CRD"> (a)',
        lambda a: F.pixel_shuffle(a, 2),
        [(2, 12, 3, 2)],
    ),
    "Softmax": ("y = Softmax (a)", lambda a: a.softmax(-1), [IMAGES]),
    "Softmax, of channels": ("y = Softmax <axis = 1> (a)", lambda a: a.softmax(1), [IMAGES]),
    "InstanceNormalization": (NORM, lambda a: F.instance_norm(a, None, None, SCALE, SHIFT, eps=1e-3), [IMAGES]),
    "InstanceNormalization, of rows": (
        NORM,
        lambda a: F.instance_norm(a, None, None, SCALE, SHIFT, eps=1e-3),
        [(2, 3, 7)],
    ),
    "LayerNormalization": (
        "y = LayerNormalization <axis = -1, epsilon = 0.001> (a, b, c)",
        lambda a, b, c: F.layer_norm(a, (5,), b, c, eps=1e-3),
        [(2, 3, 5), (5,), (5,)],
    ),
    "LayerNormalization, no shift": (
        "y = LayerNormalization <axis = 1> (a, b)",
        lambda a, b: F.layer_norm(a, (5,), b),
        [(3, 5), (5,)],
    ),
    "SoftmaxCrossEntropyLoss": (
        "y = SoftmaxCrossEntropyLoss (a, [3, 0, 3])",
        lambda a: F.cross_entropy(a, LABELS),
        [(3, 4)],
    ),
    "SoftmaxCrossEntropyLoss, of each": (
        'y = SoftmaxCrossEntropyLoss <reduction = "none"> (a, [3, 0, 3])',
        lambda a: F.cross_entropy(a, LABELS, reduction="none"),
        [(3, 4)],
    ),
    "SoftmaxCrossEntropyLoss, of each pixel": (
        'l = Reshape ([0, 2, 1, 1, 0, 2], [2, 3]) y = SoftmaxCrossEntropyLoss <reduction = "none"> (a, l)',
        lambda a: F.cross_entropy(a, torch.tensor([[0, 2, 1], [1, 0, 2]]), reduction="none"),
        [(2, 3, 3)],
    ),
    "GlobalAveragePool": ("y = GlobalAveragePool (a)", lambda a: a.mean((2, 3), keepdim=True), [IMAGES]),
}
TWICE = [name for name in CASES if "," not in name]


def test_every_rule_has_a_case():
    assert {*LAYERS} <= operators(CASES.values())


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_through_each_layer_is_torchs(name):
    assert_torchs_gradient(CASES[name])


@pytest.mark.parametrize("name", TWICE)
def test_the_derivative_of_a_gradient_through_each_layer_is_torchs(name):
    assert_torchs_gradient(squared_gradient(CASES[name]))
