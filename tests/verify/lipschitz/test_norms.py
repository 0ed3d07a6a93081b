"""Bounds of norms against the singular values of whole matrices, and against norms that are known in closed form."""

import itertools
import math

import numpy as np
import pytest

from gen_export.verify.lipschitz import norms
from gen_export.verify.lipschitz.norms import convolution_norm, matrix_norm, perron_bound, schur_bound
from gen_export.verify.lipschitz.values import Value

ROUNDING = 1e-13
"""More than the relative error of the singular values of matrices of up to 300 rows: 300 u times a small factor."""


def assembled(kernel, image, pads, strides):
    """The matrix of a convolution, by definition: y_opq = sum K_oiab x_i(s p + a - top)(s q + b - left)."""
    (outputs, inputs, kh, kw), (height, width), (top, left, bottom, right) = kernel.shape, image, pads
    high = (height + top + bottom - kh) // strides[0] + 1
    wide = (width + left + right - kw) // strides[1] + 1
    matrix = np.zeros((outputs, high, wide, inputs, height, width))
    for p, q, a, b in itertools.product(range(high), range(wide), range(kh), range(kw)):
        row, column = strides[0] * p + a - top, strides[1] * q + b - left
        if 0 <= row < height and 0 <= column < width:
            matrix[:, p, q, :, row, column] = kernel[:, :, a, b]
    return matrix.reshape(outputs * high * wide, -1)


def exact_norm(*convolution):
    return np.linalg.norm(assembled(*convolution), 2)


def bound_of(kernel, image, pads, strides):
    padded = (image[0] + pads[0] + pads[2], image[1] + pads[1] + pads[3])
    return convolution_norm(kernel, padded, strides)


def random_kernel(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (1, 2), (3, 2)])
@pytest.mark.parametrize("size", [(1, 1), (3, 3), (4, 4), (5, 5), (3, 4), (1, 5)])
def test_no_bound_of_a_convolution_is_below_its_norm(size, strides):
    pads = [(0, 0, 0, 0), (1, 1, 1, 1), (0, 2, 1, 3), (5, 4, 0, 0)]
    for (image, edges), channels in itertools.product(
        itertools.product([(5, 7), (6, 5)], pads), [(1, 1), (3, 2), (1, 3)]
    ):
        convolution = (random_kernel(7, *channels, *size), image, edges, strides)
        assert bound_of(*convolution) >= exact_norm(*convolution) * (1 - ROUNDING)


@pytest.mark.parametrize("seed", range(10))
def test_the_bound_of_a_usual_convolution_is_tight(seed):
    convolution = (random_kernel(seed, 1 + seed % 4, 1 + seed % 3, 3, 3), (8, 8), (1, 1, 1, 1), (1, 1))

    assert 1 - ROUNDING <= bound_of(*convolution) / exact_norm(*convolution) <= 1.3


@pytest.mark.parametrize("size", [2, 5, 16])
def test_the_bound_is_above_the_known_norm_of_a_sum_of_neighbours(size):
    """A tridiagonal matrix of ones has the norm 1 + 2 cos(pi / (n + 1)); both axes have it; the limit is 9."""
    convolution = (np.ones((1, 1, 3, 3)), (size, size), (1, 1, 1, 1), (1, 1))
    known = (1 + 2 * math.cos(math.pi / (size + 1))) ** 2

    assert exact_norm(*convolution) == pytest.approx(known, rel=ROUNDING)
    assert known <= bound_of(*convolution) <= 9 * (1 + ROUNDING)


def circular_norm(kernel, grid):
    """The largest singular value over all frequencies, by NumPy's own transform."""
    symbols = np.fft.fft2(kernel, grid).transpose(2, 3, 0, 1)
    return np.linalg.norm(symbols, 2, axis=(2, 3)).max()


@pytest.mark.parametrize("grid", [(5, 4), (10, 13), (32, 32), (33, 7), (70, 45)])
@pytest.mark.parametrize("channels", [(2, 3), (4, 2)])
def test_the_fourier_bound_is_the_circular_norm_or_at_most_two_percent_above_on_large_images(grid, channels):
    kernel = random_kernel(1, *channels, 3, 3).astype(np.float64)
    allowed = 1.0 + 2**-30 if max(grid) <= 32 else 1.021

    found = norms._fourier_bound(kernel / np.abs(kernel).max(), grid) * np.abs(kernel).max()

    assert 1 - ROUNDING <= found / circular_norm(kernel, grid) <= allowed


def test_frequencies_between_those_that_are_looked_at_are_counted(monkeypatch):
    """The kernel's response is cos((theta +- pi / 16) / 2), so 1 halfway between two of 16 points and less at them."""
    shift = math.pi / 16
    kernel = np.zeros((2, 2, 1, 2))
    kernel[:, :, 0, 0] = np.eye(2) / 2
    kernel[:, :, 0, 1] = np.array([[math.cos(shift), -math.sin(shift)], [math.sin(shift), math.cos(shift)]]) / 2

    large = circular_norm(kernel, (1, 3200))

    assert large == pytest.approx(1, abs=1e-6)
    assert circular_norm(kernel, (1, 16)) == pytest.approx(math.cos(math.pi / 32), rel=ROUNDING)
    assert norms._fourier_bound(kernel, (1, 3200)) >= large
    monkeypatch.setattr(norms, "_BETWEEN", 1.0)
    assert norms._fourier_bound(kernel, (1, 3200)) < large


def test_a_stride_of_the_kernels_size_leaves_only_its_own_norm():
    """Patches that do not overlap: the norm is that of the matrix from a patch to its outputs."""
    kernel = random_kernel(3, 4, 2, 2, 2)
    known = np.linalg.norm(kernel.reshape(4, -1).astype(np.float64), 2)

    assert 1 - ROUNDING <= convolution_norm(kernel, (8, 8), (2, 2)) / known <= 1 + 2**-30
    assert convolution_norm(kernel, (8, 8), (1, 1)) > 1.05 * known


@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (3, 7), (40, 40), (200, 3)])
def test_the_bound_of_a_matrix_is_its_largest_singular_value(shape):
    matrix = random_kernel(5, *shape)

    assert 1 - ROUNDING <= matrix_norm(matrix) / np.linalg.norm(matrix.astype(np.float64), 2) <= 1 + 2**-30


def test_known_matrices_have_their_known_norms():
    """Schur's bound is these norms, but for the slack of its sums: a few units in the last place a term."""
    assert 1 <= matrix_norm(np.eye(5)) <= 1 + 1e-14
    assert 3 <= matrix_norm(np.diag([1.0, -3.0, 2.0])) <= 3 * (1 + 1e-14)
    assert math.sqrt(6) <= matrix_norm(np.ones((2, 3))) <= math.sqrt(6) * (1 + 1e-14)
    assert matrix_norm(np.zeros((3, 2))) == 0


@pytest.mark.parametrize("exponent", [-140, -60, 60, 120])
def test_a_power_of_two_carries_over_exactly(exponent):
    kernel = random_kernel(2, 2, 3, 3, 3)
    scaled = np.ldexp(kernel.astype(np.float64), exponent)

    assert convolution_norm(scaled, (8, 8), (1, 1)) == math.ldexp(convolution_norm(kernel, (8, 8), (1, 1)), exponent)


@pytest.mark.parametrize("seed", range(5))
def test_schurs_bound_is_above_the_norm(seed):
    kernel = random_kernel(seed, 3, 2, 3, 3)

    assert exact_norm(kernel, (8, 8), (1, 1, 1, 1), (1, 1)) < schur_bound(kernel)


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (2, 4), (5, 1)])
@pytest.mark.parametrize("channels", [(1, 1), (3, 2), (2, 5), (4, 4)])
def test_perrons_bound_is_above_the_norm_on_images_of_any_size(channels, size):
    """Of dense kernels, and of ones with a channel that is 0 and one a thousand times the others."""
    for seed, (image, edges) in enumerate([((5, 7), (0, 2, 1, 3)), ((8, 6), (4, 4, 4, 4)), ((6, 6), (0, 0, 0, 0))]):
        kernel = random_kernel(seed, *channels, *size).astype(np.float64)
        for scale in (1.0, np.array([0.0, 1000.0, 1.0, 1.0])[: channels[0], None, None, None]):
            assert perron_bound(scale * kernel + 1e-9) >= exact_norm(scale * kernel + 1e-9, image, edges, (1, 1)) * (
                1 - ROUNDING
            )


def test_perrons_bound_of_a_turn_of_two_channels_is_1():
    """G is the identity; the bound is off by half of 1e-7."""
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])[:, :, None, None]

    assert 1 <= perron_bound(turn) <= 1 + 1e-6


def test_a_proven_norm_is_not_mistaken_for_that_of_another_use():
    """The same weights on another image, with other strides, of other channels, and as a matrix."""
    kernel = random_kernel(9, 2, 3, 4, 4).astype(np.float64)
    uses = [
        ((6, 6), (1, 1), None),
        ((6, 9), (1, 1), None),
        ((9, 6), (1, 1), None),
        ((6, 9), (2, 1), None),
        ((6, 9), (1, 2), None),
        ((6, 6), (1, 1), np.array([True, False, True])),
        ((6, 6), (1, 1), np.array([True, True, False])),
        ((6, 6), (1, 1), np.array([False, False, True])),
    ]
    weights, matrix = Value(kernel, fixed=True), Value(kernel[0, 0], fixed=True)

    for _ in range(2):
        for padded, strides, live in uses:
            own = kernel if live is None else kernel[:, live]
            assert weights.convolution_norm(padded, strides, live) == convolution_norm(own, padded, strides)
        assert matrix.matrix_norm() == matrix_norm(kernel[0, 0])
    assert len({weights.convolution_norm(*use) for use in uses}) > len(uses) / 2


def forget_a_channel(kernel, *rest):
    return convolution_norm(kernel[:, 1:], *rest)


def forget_the_padding(kernel, padded, strides):
    return convolution_norm(kernel, (padded[0] - 2, padded[1] - 2), strides)


def forget_taps(kernel, *rest):
    return convolution_norm(kernel[:, :, 1:], *rest)


@pytest.mark.parametrize("wrong", [forget_a_channel, forget_the_padding, forget_taps])
def test_a_bound_that_forgets_something_is_below_a_norm(wrong):
    """On an image of one pixel only the middle of the kernel acts, which the sums over its taps hide: they are 0."""
    kernel = np.tile(np.array([[0, 0, 0], [-0.5, 1, -0.5], [0, 0, 0]]), (1, 2, 1, 1))
    if wrong is forget_taps:
        kernel[0, 0, 0] = 3.0
    convolution = (kernel, (1, 1) if wrong is forget_the_padding else (4, 4), (1, 1, 1, 1), (1, 1))
    padded = tuple(size + 2 for size in convolution[1])

    assert wrong(kernel, padded, (1, 1)) < exact_norm(*convolution) <= convolution_norm(kernel, padded, (1, 1))
