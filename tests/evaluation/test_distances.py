"""Distances of feature sets: closed forms, double loops and the textbook's matrix root."""

import numpy as np
import pytest
from scipy import linalg

from gen_export.evaluation.distances import (
    Moments,
    frechet_distance,
    kernel_distance,
    moments,
    precision_and_recall,
)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def covariance(rng, d):
    root = rng.normal(size=(d, d))
    return root @ root.T / d


def test_the_moments_are_the_mean_and_the_unbiased_covariance(rng):
    features = rng.normal(size=(9, 4)).astype(np.float32)
    found = moments(features)
    centred = features.astype(np.float64) - features.astype(np.float64).mean(0)

    assert found.mean == pytest.approx(features.astype(np.float64).mean(0))
    assert found.covariance == pytest.approx(centred.T @ centred / 8)


def test_the_frechet_distance_of_independent_gaussians_is_that_of_their_means_and_deviations(rng):
    a, b = (Moments(rng.normal(size=5), np.diag(rng.random(5))) for _ in range(2))
    deviations = np.sqrt(np.diag(a.covariance)) - np.sqrt(np.diag(b.covariance))

    expected = ((a.mean - b.mean) ** 2).sum() + (deviations**2).sum()

    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-12)


def test_the_frechet_distance_has_the_trace_of_the_root_of_the_product(rng):
    a, b = (Moments(rng.normal(size=8), covariance(rng, 8)) for _ in range(2))
    root = linalg.sqrtm(a.covariance @ b.covariance)
    apart = a.mean - b.mean

    expected = apart @ apart + np.trace(a.covariance + b.covariance - 2 * root.real)

    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-9)


def test_the_frechet_distance_of_a_set_to_itself_is_zero_with_fewer_images_than_features(rng):
    own = moments(rng.normal(size=(10, 40)))
    rounding = np.finfo(float).eps * np.linalg.norm(own.covariance, 2) ** 2  # of each of the 31 that are 0

    assert abs(frechet_distance(own, own)) < 2 * 31 * np.sqrt(rounding)


def test_the_frechet_distance_of_a_shift_is_its_squared_length(rng):
    features, shift = rng.normal(size=(50, 6)), np.arange(6.0)

    assert frechet_distance(moments(features), moments(features + shift)) == pytest.approx(shift @ shift, rel=1e-9)


def kernel_by_loops(a, b):
    """The unbiased estimate, pair by pair."""

    def k(x, y):
        return (sum(x * y) / len(x) + 1) ** 3

    m = len(a)
    within = sum(k(s[i], s[j]) for s in (a, b) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within - 2 * sum(k(x, y) for x in a for y in b) / m**2


def test_the_kernel_distance_is_the_mean_over_blocks_of_the_sum_over_pairs(rng):
    a, b = rng.normal(size=(15, 4)), rng.normal(1, 1, size=(14, 4))
    blocks = [kernel_by_loops(a[at : at + 5], b[at : at + 5]) for at in (0, 5)]

    found = kernel_distance(a, b, block=5)

    assert found.value == pytest.approx(np.mean(blocks), rel=1e-12)
    assert found.error == pytest.approx(abs(blocks[0] - blocks[1]) / 2, rel=1e-9)


def test_the_kernel_distance_of_one_law_is_zero_on_average_and_its_error_says_by_how_much(rng):
    found = [kernel_distance(*rng.normal(size=(2, 200, 8)), block=50) for _ in range(400)]
    standardised = np.array([each.value / each.error for each in found])
    values = np.array([each.value for each in found])

    assert abs(values.mean()) < 4 * values.std() / np.sqrt(len(values))
    # Student's t with three degrees of freedom is beyond 3.18 once in 20.
    assert 0.02 < (abs(standardised) > 3.182).mean() < 0.09


def test_two_blocks_are_the_least(rng):
    assert kernel_distance(*rng.normal(size=(2, 7, 3))).error > 0


def test_precision_and_recall_of_points_on_a_line():
    real = np.array([[0.0], [1.0], [2.0], [10.0]])
    made = np.array([[0.5], [1.5], [4.1], [50.0]])

    # Radii to the nearest other point: of the real ones 1, 1, 1 and 8; of the made ones 1, 1, 2.6 and 45.9.
    assert precision_and_recall(real, made, k=1) == (0.75, 1.0)


def test_a_set_covers_itself_and_nothing_far_away(rng):
    a = rng.normal(size=(2000, 3))

    assert precision_and_recall(a, a) == (1.0, 1.0)
    assert precision_and_recall(a, a + 100) == (0.0, 0.0)


def test_a_collapsed_set_is_precise_and_recalls_little(rng):
    real, made = rng.normal(size=(500, 2)), 0.01 * rng.normal(size=(500, 2))
    precision, recall = precision_and_recall(real, made)

    assert precision > 0.9
    assert recall < 0.1
