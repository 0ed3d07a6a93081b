import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen_export.spec.anticollapse import (
    coordinate_spread,
    graph_alignment_energy,
    graph_ssl_objective,
    variance_floor_guard,
)
from gen_export.spec.self_supervised import PredictiveViewContract, predictive_loss
from gen_export.spec.vqvae import squared_l2

seeds, sizes, floors = st.integers(0, 2**31), st.integers(1, 6), st.floats(0, 100)


def graph(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, n, (9, 2))


@given(seeds, sizes, sizes)
def test_alignment_is_a_sum_of_squared_distances_over_edges(seed: int, n: int, d: int) -> None:
    """`graphAlignmentEnergy_nonneg`."""
    z, edges = np.random.default_rng(seed).standard_normal((n, d)), graph(seed, n)
    expected = sum(float(np.sum((z[i] - z[j]) ** 2)) for i, j in edges)

    assert graph_alignment_energy(z, edges) >= 0.0
    assert graph_alignment_energy(z, edges) == pytest.approx(expected, rel=1e-13)


@given(seeds, sizes, sizes)
def test_the_spread_of_a_coordinate_is_that_of_all_its_pairs(seed: int, n: int, d: int) -> None:
    """Twice n^2 times the variance, the known form of the sum over pairs."""
    z = np.random.default_rng(seed).standard_normal((n, d))

    np.testing.assert_allclose(coordinate_spread(z), 2 * n * n * z.var(axis=0), rtol=1e-12, atol=1e-13)


@given(seeds, sizes, sizes, floors)
def test_a_collapsed_representation_pays_the_floor_of_every_coordinate(seed: int, n: int, d: int, floor: float) -> None:
    """`graphAlignmentEnergy_eq_zero_of_collapsed`, `coordinateSpread_eq_zero_of_collapsed`,
    `realVarianceFloorGuard_zero_spread`, `graphSSLObjective_eq_guard_of_collapsed`.
    """  # noqa: D205
    z, edges = np.tile(np.random.default_rng(seed).standard_normal(d), (n, 1)), graph(seed, n)

    assert graph_alignment_energy(z, edges) == 0.0
    np.testing.assert_array_equal(coordinate_spread(z), np.zeros(d))
    guard = variance_floor_guard(z, floor)
    assert graph_ssl_objective(z, edges, floor) == guard
    assert guard == pytest.approx(d * floor, rel=1e-15)
    assert (guard > 0.0) == (floor > 0.0)  # `realVarianceFloorGuard_positive`, `graphSSLObjective_collapsed_positive`


@given(seeds, sizes, sizes, floors)
def test_the_guard_is_the_hinge_of_the_spread(seed: int, n: int, d: int, floor: float) -> None:
    z, edges = np.random.default_rng(seed).standard_normal((n, d)), graph(seed, n)
    expected = sum(max(0.0, floor - spread) for spread in coordinate_spread(z))

    assert variance_floor_guard(z, floor) == pytest.approx(expected, rel=1e-13)
    assert variance_floor_guard(z, 0.0) == 0.0
    assert graph_ssl_objective(z, edges, floor) == graph_alignment_energy(z, edges) + variance_floor_guard(z, floor)


@given(st.lists(st.lists(st.integers(-20, 20), min_size=3, max_size=3), min_size=1, max_size=6))
def test_predicting_every_view_by_the_anchor_is_the_energy_of_a_star(views: list[list[int]]) -> None:
    """`predictiveLoss_eq_viewGraphEnergy_from_anchor`: whole numbers, so that both sides are exact."""
    z, others = np.array(views, float), list(range(1, len(views)))
    star = np.array([[0, i] for i in others], int).reshape(-1, 2)
    contract = PredictiveViewContract(
        others, z[0], z, lambda i, view: view, lambda anchor, i: anchor, lambda a, b: int(squared_l2(a, b))
    )

    assert predictive_loss(contract) == graph_alignment_energy(z, star)
