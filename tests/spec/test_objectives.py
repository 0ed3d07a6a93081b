import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from gen_export.spec.objectives import mse, mse_gradient, weighted_three_term, weighted_two_term

finite = st.floats(allow_nan=False, allow_infinity=False, width=32)
nonneg = st.floats(min_value=0.0, max_value=2.0**100)


def test_mse_is_the_mean_of_squares_without_a_half() -> None:
    predicted, target = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.0, 0.0], [0.0, 2.0]])

    assert mse(predicted, target) == (1 + 4 + 9 + 4) / 4


@given(st.lists(st.tuples(finite, finite), min_size=1, max_size=9))
def test_mse_is_symmetric_in_its_arguments(pairs: list[tuple[float, float]]) -> None:
    a, b = np.array(pairs).T

    assert mse(a, b) == mse(b, a)


def test_the_gradient_of_the_mean_square_is_that_of_autograd() -> None:
    """`mseDerivSpec`."""
    predicted, target = np.random.default_rng(0).standard_normal((2, 3, 5))
    traced = torch.from_numpy(predicted).requires_grad_()
    mse(traced, torch.from_numpy(target)).backward()

    assert traced.grad is not None
    np.testing.assert_allclose(mse_gradient(predicted, target), traced.grad.numpy(), rtol=1e-15)


@given(finite, finite)
def test_two_terms_are_the_base_without_a_regularizer(weight: float, base: float) -> None:
    """`weightedTwoTerm_zero_regularizer`."""
    assert weighted_two_term(weight, base, 0.0) == base


@given(finite, finite)
def test_two_terms_are_the_base_at_weight_zero(base: float, regularizer: float) -> None:
    """`weightedTwoTerm_zero_weight`."""
    assert weighted_two_term(0.0, base, regularizer) == base


@given(nonneg, finite, nonneg, nonneg)
def test_two_terms_grow_with_the_weight(weight: float, base: float, regularizer: float, more: float) -> None:
    """`weightedTwoTerm_mono_weight`: rounding is monotone, so it holds in floats without a tolerance."""
    assert weighted_two_term(weight, base, regularizer) <= weighted_two_term(weight + more, base, regularizer)


def test_two_terms_add_the_weighted_regularizer() -> None:
    assert weighted_two_term(3.0, 5.0, 7.0) == 26.0


@given(finite, finite, finite)
def test_three_terms_are_base_plus_middle_without_a_regularizer(weight: float, base: float, middle: float) -> None:
    """`weightedThreeTerm_zero_regularizer`."""
    assert weighted_three_term(weight, base, middle, 0.0) == base + middle


@given(finite, finite)
def test_three_terms_are_the_base_without_the_others(weight: float, base: float) -> None:
    """`weightedThreeTerm_zero_middle_zero_regularizer`."""
    assert weighted_three_term(weight, base, 0.0, 0.0) == base


@given(finite, finite, finite)
def test_three_terms_are_base_plus_middle_at_weight_zero(base: float, middle: float, regularizer: float) -> None:
    """`weightedThreeTerm_zero_weight`."""
    assert weighted_three_term(0.0, base, middle, regularizer) == base + middle


@given(nonneg, finite, finite, nonneg, nonneg)
def test_three_terms_grow_with_the_weight(
    weight: float, base: float, middle: float, regularizer: float, more: float
) -> None:
    """`weightedThreeTerm_mono_weight`, without a tolerance as for two."""
    lighter = weighted_three_term(weight, base, middle, regularizer)

    assert lighter <= weighted_three_term(weight + more, base, middle, regularizer)


def test_three_terms_are_added_from_the_left() -> None:
    assert weighted_three_term(1.0, 1e16, -1e16, 1.0) == 1.0
    assert weighted_three_term(1.0, -1e16, 1.0, 1e16) == 0.0  # 1 is lost before the regularizer comes
