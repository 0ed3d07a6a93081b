"""Distances between two sets of features, an array (n, d) each, one row an image.

Frechet distance: Heusel et al., *GANs Trained by a Two Time-Scale Update Rule* (2017), arXiv:1706.08500, equation 6.
Kernel distance: Binkowski et al., *Demystifying MMD GANs* (2018), arXiv:1801.01401, section 4.
Precision and recall: Kynkaanniemi et al. (2019), arXiv:1904.06991, equations 1 and 2.
"""

from typing import NamedTuple

import numpy as np

from gen_runtime.inputs import Array

NEIGHBOUR = 3
"""Which nearest neighbour's distance is the radius of a point's ball: k of the paper's section 3."""
KERNEL_BLOCK = 1000
"""Images of each set in one estimate of the kernel distance."""
_ROWS = 1024  # of a matrix of distances held at once


class Moments(NamedTuple):
    """Mean (d,) and covariance (d, d) of a set of features, float64; the covariance divides by n - 1."""

    mean: Array
    covariance: Array


class Estimate(NamedTuple):
    """A number and the standard error of it."""

    value: float
    error: float


def moments(features: Array) -> Moments:
    """The moments of features (n, d), n at least 2."""
    wide = features.astype(np.float64)
    return Moments(wide.mean(0), np.atleast_2d(np.cov(wide, rowvar=False)))


def frechet_distance(a: Moments, b: Moments) -> float:
    """Squared 2-Wasserstein distance of the two Gaussians: |m_a - m_b|^2 + tr(A + B - 2 (A B)^1/2).

    The root's trace is the sum of the roots of the eigenvalues of A^1/2 B A^1/2, which are real and not negative even
    where a set has fewer images than features.
    """
    root = _root(a.covariance)
    shared = np.linalg.eigvalsh(root @ b.covariance @ root)
    apart = a.mean - b.mean
    traces = np.trace(a.covariance) + np.trace(b.covariance)
    return float(apart @ apart + traces - 2 * np.sqrt(np.maximum(shared, 0)).sum())


def kernel_distance(a: Array, b: Array, block: int = KERNEL_BLOCK) -> Estimate:
    """Squared maximum mean discrepancy of the kernel (x . y / d + 1)^3: the mean of unbiased estimates.

    Each estimate has `block` rows of both sets, or half the rows where that is less, that no other one has; so they
    are independent, and their spread gives the error.

    Args:
        a: Features (n, d), n at least 4, in an order that says nothing.
        b: Features (m, d), m at least 4.
        block: Rows of an estimate.
    """
    size = min(block, len(a) // 2, len(b) // 2)
    starts = range(0, min(len(a), len(b)) // size * size, size)
    values = np.array([_unbiased_mmd(a[at : at + size], b[at : at + size]) for at in starts])
    return Estimate(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))))


def precision_and_recall(real: Array, made: Array, k: int = NEIGHBOUR) -> tuple[float, float]:
    """Share of made images within the support of the real ones, and of real ones within that of the made.

    A set's support is the union of balls around its rows, each as wide as the distance to the k-th nearest other row.
    """
    return _share_within(made, real, _radii(real, k)), _share_within(real, made, _radii(made, k))


def _root(covariance: Array) -> Array:
    """The symmetric square root of a covariance, rounding errors below 0 taken for 0."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def _unbiased_mmd(a: Array, b: Array) -> float:
    """The unbiased estimate of one block, (m, d) each: no image is compared with itself."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    m = len(a)
    within = sum(np.sum(kernel) - np.trace(kernel) for kernel in (_kernel(a, a), _kernel(b, b)))
    return float(within / (m * (m - 1)) - 2 * _kernel(a, b).mean())


def _kernel(a: Array, b: Array) -> Array:
    """The cubic kernel of all pairs."""
    return (a @ b.T / a.shape[1] + 1) ** 3


def _squared_distances(a: Array, b: Array) -> Array:
    """Of all pairs, float64 (len a, len b)."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return np.maximum((a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * a @ b.T, 0)


def _radii(points: Array, k: int) -> Array:
    """Squared distance of each row to the k-th nearest other one, (n,)."""
    chunks = [points[at : at + _ROWS] for at in range(0, len(points), _ROWS)]
    # Column k, for the nearest row is the row itself.
    return np.concatenate([np.partition(_squared_distances(chunk, points), k, axis=1)[:, k] for chunk in chunks])


def _share_within(points: Array, centres: Array, radii: Array) -> float:
    """Share of points (n, d) in at least one ball of squared radii (m,)."""
    chunks = [points[at : at + _ROWS] for at in range(0, len(points), _ROWS)]
    return float(np.concatenate([(_squared_distances(chunk, centres) <= radii).any(1) for chunk in chunks]).mean())
