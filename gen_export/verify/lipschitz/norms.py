"""Proven upper bounds of the L2 operator norms of convolutions and matrices.

A zero-padded convolution is a valid one, without padding, on the padded image of P_h x P_w pixels. Its outputs are
among those of the circular convolution on P_h x P_w, since none of them reaches around the edge, and padding with zeros
keeps the norm. The Fourier transform splits the circular convolution into one matrix a frequency,

    A(theta)_oi = sum_ab K_oiab exp(i (a theta_h + b theta_w)),   theta = 2 pi (k / P_h, l / P_w),

and its norm is the largest of theirs (Sedghi et al. 2019, arXiv:1805.10408). With strides s_h, s_w the image is first
cut into s_h s_w images, one an offset of its pixels: channels of a convolution with stride 1 that has the same norm.

Large images: u^H G(theta) u with G = A^H A is a trigonometric polynomial of degree d = taps - 1 in each angle. From its
maximum such a polynomial falls no faster than cos(d t) (M. Riesz), and the nearest of N points is at most pi / N away,
so that for N = 16 d its maximum over all angles is at most 1 / cos(pi / 16) = 1.0196 of that over the points.

Errors, with u = 2^-53 and gamma_k = k u / (1 - k u); A is m x n with n <= m, K has T taps a pair of channels and is
scaled by a power of two so that its largest entry is in [1/2, 1). Sums of products are taken in any order (Higham 2002,
section 3.1); that leaves out fast products such as Strassen's, which no BLAS of NumPy's uses.

1. Angles in [0, 2 pi] are off by 26 u, sines and cosines by 4 units in the last place (8 u): each phase by 128 u. An
   entry of G is the sum over up to 4 T lags of a phase times the sum of up to m T products of two entries of K, off by
   at most (2 (m + 5 T) + 136) u (S^T S)_ij, S = sum_ab |K_ab|. By Cauchy and Schwarz, and by Parseval, where ||K||_F^2
   is the mean of ||A||_F^2, G is off in norm by at most (2 (m + 5 T) + 136) u T n of the largest ||A||^2.
2. If Cholesky's factorization of M = mu I - G ends, R^H R = M + E with |E| <= c |R^H| |R|, c = sqrt 2 gamma_(2n+4),
   hence ||E|| <= tr(M) c / (1 - c) and lambda_max(G) <= mu (1 + 8 n (n + 4) u), the rounding of M's diagonal included
   (Higham 2002, section 3.6 and theorem 10.3; Rump 2006, doi:10.1007/s10543-006-0056-1). No eigenvalue solver is
   trusted: it only proposes mu.

Where twice the first and the second of these relative errors add up to s <= 1/8, the largest ||A||^2 is at most
mu (1 + 2 s). Results below 2^-1022 lose at most 2^-1022 each, far below u mu, as mu >= 1/4.
"""

import math
from collections.abc import Iterator

import numpy as np

from gen_export.verify.lipschitz.outward import UNIT, Array, multiply_up, root_up, sum_up, up

_START = 0.25
"""No more than the largest ||A||^2: an entry of K gives an entry of A that is as large at some frequency."""
_MARGIN = 2.0**-30
"""By how much mu is above the largest eigenvalue that is found, to begin with; twice that until it is proven."""
_ENTRIES = 2**20
"""Entries of the matrices that are made at a time, 16 bytes each."""
_ABOVE, _LEAST = 1e-7, 1e-12
"""By how much mu is above the eigenvalue where (mu - N) w = 1, and the least entry of w, in shares of the largest."""
_DENSITY = 16
"""Frequencies an axis and degree of the polynomial, where the image has more."""
_BETWEEN = 1.02
"""More than 1 / cos(pi / 16), as cos(x) >= 1 - x^2 / 2 and pi < 3.15."""


def convolution_norm(kernel: Array, padded: tuple[int, int], strides: tuple[int, int]) -> float:
    """At least the norm of a 2-D convolution of images.

    Args:
        kernel: Finite, (out, in, kh, kw).
        padded: Height and width of the image with its padding.
        strides: Steps down and to the right.
    """
    split = _space_to_depth(kernel, strides)
    height, width = (-(-size // stride) for size, stride in zip(padded, strides, strict=True))
    return _norm(split, (height, width))


def matrix_norm(matrix: Array) -> float:
    """At least the largest singular value of a finite matrix."""
    return _norm(matrix[:, :, None, None], (1, 1))


def schur_bound(kernel: Array) -> float:
    """At least the norm of the convolution with stride 1: sqrt(r q), Schur's test.

    r is the largest sum of |K| over what an output channel reads, q over what an input channel feeds.
    """
    size = np.abs(kernel)
    rows, columns = (float(sum_up(size, axes).max()) for axes in ((1, 2, 3), (0, 2, 3)))
    return root_up(multiply_up(rows, columns))


def perron_bound(kernel: Array) -> float:
    """At least the norm of the convolution with stride 1, on images of any size.

    With G = A^H A and N_ij the sum of |G_ij| over all lags, ||A||^2 is at most the largest eigenvalue of N: at most the
    largest (N w)_i / w_i for any w > 0 (Collatz and Wielandt). With mu above the eigenvalue, w = (mu - N)^-1 (1, .., 1)
    is positive and its quotients are below mu. The bound is 1 where N was used to scale the channels to that (Prach &
    Lampert 2022, arXiv:2208.03160, theorem 2).
    """
    if kernel.shape[0] < kernel.shape[1]:
        kernel = kernel.swapaxes(0, 1)
    outputs, inputs, kh, kw = kernel.shape
    # A lag's sum of up to out kh kw products is off by so many u of what it would be of absolute values.
    size = np.abs(_lags(kernel)) + 2 * outputs * kh * kw * UNIT * _lags(np.abs(kernel))
    sums = sum_up(size, (0, 1))
    above = (1.0 + _ABOVE) * float(np.linalg.eigvalsh(sums)[-1])
    weights = np.linalg.solve(above * np.eye(inputs) - sums, np.ones(inputs))
    weights = np.maximum(weights / weights.max(), _LEAST)
    quotients = sum_up(np.nextafter(sums * weights, math.inf), (1,)) / weights
    return root_up(up(float(quotients.max())))


def _norm(kernel: Array, grid: tuple[int, int]) -> float:
    """At least the norm of the circular convolution on a grid, by the best of two or three bounds."""
    kernel = kernel.astype(np.float64)
    if not kernel.any():
        return 0.0
    exponent = np.frexp(np.abs(kernel).max())[1]
    scaled = np.ldexp(kernel, -exponent)
    with np.errstate(over="ignore"):
        bounds = [schur_bound(scaled), _fourier_bound(scaled, grid)]
        if any(_points(*axis)[1] > 1 for axis in zip(grid, kernel.shape[2:], strict=True)):
            bounds.append(perron_bound(scaled))
        return up(float(np.ldexp(min(bounds), exponent)))


def _fourier_bound(kernel: Array, grid: tuple[int, int]) -> float:
    """At least the norm of the circular convolution on a grid."""
    if kernel.shape[0] < kernel.shape[1]:
        kernel = kernel.swapaxes(0, 1)
    error = _relative_error(kernel.shape[0], kernel.shape[1], math.prod(kernel.shape[2:]))
    assert error <= 1 / 8  # reached by kernels of 2^47 entries
    (height, tall), (width, wide) = map(_points, grid, kernel.shape[2:])
    square = _START
    for gram in _grams(kernel, (height, width)):
        square = _raised(square, gram)
    return root_up(multiply_up(multiply_up(square, multiply_up(tall, wide)), 1.0 + 2 * error))


def _relative_error(m: int, n: int, taps: int) -> float:
    """The sum s of the relative errors of ||A||^2, of an m x n matrix, n <= m."""
    return (2 * (2 * (m + 5 * taps) + 136) * taps * n + 8 * n * (n + 4)) * UNIT


def _points(size: int, taps: int) -> tuple[int, float]:
    """How many frequencies of an axis are looked at, and the factor by which the largest square may be above theirs.

    All of them where they are few, and a single one where they are alike.
    """
    enough = _DENSITY * (taps - 1)
    return (enough, _BETWEEN) if size > enough > 0 else (size if enough else 1, 1.0)


def _raised(square: float, gram: Array) -> float:
    """A bound, raised where needed until it is above the eigenvalues of a Hermitian matrix too."""
    if not _is_above(square, gram):
        largest, margin = max(square, float(np.linalg.eigvalsh(gram)[-1])), _MARGIN
        while not _is_above(square := largest * (1.0 + margin), gram):
            margin *= 2.0
    return square


def _is_above(square: float, gram: Array) -> bool:
    """Whether Cholesky's factorization of square I - gram ends."""
    shifted = -gram
    shifted.flat[:: len(gram) + 1] += square
    try:
        np.linalg.cholesky(shifted)
    except np.linalg.LinAlgError:
        return False
    return True


def _grams(kernel: Array, grid: tuple[int, int]) -> Iterator[Array]:
    """A(theta)^H A(theta) for half of the frequencies: those of the other half are their conjugates."""
    lags = _lags(kernel)
    rows, columns = (_phases(size, count) for size, count in zip(grid, kernel.shape[2:], strict=True))
    entries = lags.reshape(-1, kernel.shape[1] ** 2)
    step = max(1, _ENTRIES // entries.shape[1])
    for row in rows[: len(rows) // 2 + 1]:
        for start in range(0, len(columns), step):
            phases = (row[None, :, None] * columns[start : start + step, None, :]).reshape(-1, len(entries))
            real, imaginary = (part @ entries for part in (phases.real, phases.imag))
            yield from (real + 1j * imaginary if imaginary.any() else real).reshape(-1, *lags.shape[2:])


def _lags(kernel: Array) -> Array:
    """sum_ab K_ab^T K_(a + d)(b + e) for all lags d and e, (2 kh - 1, 2 kw - 1, in, in)."""
    inputs, kh, kw = kernel.shape[1:]
    lags = np.zeros((2 * kh - 1, 2 * kw - 1, inputs, inputs))
    taps = kernel.transpose(2, 3, 0, 1)
    for a, b in np.ndindex(kh, kw):
        lags[kh - 1 - a : 2 * kh - 1 - a, kw - 1 - b : 2 * kw - 1 - b] += taps[a, b].T @ taps
    return lags


def _phases(size: int, taps: int) -> Array:
    """exp(2 pi i k d / size) of each frequency k < size and lag d, |d| < taps."""
    angles = 2 * np.pi * (np.outer(np.arange(size), np.arange(1 - taps, taps)) % size) / size
    return np.cos(angles) + 1j * np.sin(angles)


def _space_to_depth(kernel: Array, strides: tuple[int, int]) -> Array:
    """The kernel (out, in s_h s_w, ..) that acts with stride 1 on the image's pixels sorted by their offset."""
    outputs, inputs, kh, kw = kernel.shape
    down, right = strides
    whole = np.pad(kernel, ((0, 0), (0, 0), (0, -kh % down), (0, -kw % right)))
    split = whole.reshape(outputs, inputs, -(-kh // down), down, -(-kw // right), right)
    return split.transpose(0, 1, 3, 5, 2, 4).reshape(outputs, inputs * down * right, -(-kh // down), -(-kw // right))
