import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gen_export.spec.gan import FAKE, REAL, discriminator_loss, fake_term, generator_loss, real_term
from gen_export.spec.objectives import mse, weighted_three_term, weighted_two_term

scores = st.lists(st.floats(-100, 100), min_size=1, max_size=9).map(np.array)
weights = st.floats(-1e6, 1e6)


def test_losses_are_means_of_squares_over_the_batch() -> None:
    real, fake = np.array([1.0, 3.0]), np.array([0.0, 2.0, -1.0])

    assert real_term(real) == (0 + 4) / 2
    assert fake_term(fake) == (0 + 4 + 1) / 3
    assert discriminator_loss(real, fake) == 2 + 5 / 3
    assert generator_loss(fake) == (1 + 1 + 4) / 3


@given(scores, scores, weights)
def test_losses_are_weighted_terms_with_a_regularizer_of_zero(real: np.ndarray, fake: np.ndarray, w: float) -> None:
    """`generatorLoss_eq_mse_fake_real`, `discriminatorLoss_eq`, `generatorLoss_eq_weightedTwoTerm`,
    `discriminatorLoss_eq_weightedThreeTerm`.
    """  # noqa: D205
    targets = np.full_like(real, REAL), np.full_like(fake, FAKE), np.full_like(fake, REAL)
    of_real, of_fake, fooled = mse(real, targets[0]), mse(fake, targets[1]), mse(fake, targets[2])

    assert generator_loss(fake) == fooled == weighted_two_term(w, fooled, 0.0)
    assert discriminator_loss(real, fake) == of_real + of_fake == weighted_three_term(w, of_real, of_fake, 0.0)


@given(st.integers(1, 50), st.integers(1, 50))
def test_perfect_scores_leave_no_loss(n: int, m: int) -> None:
    """`discriminatorLoss_zero_of_perfect_scores`, `generatorLoss_zero_of_fake_score_real`; never both at once."""
    real, fake = np.ones(n), np.zeros(m)

    assert discriminator_loss(real, fake) == 0.0
    assert generator_loss(fake) == 1.0
    assert generator_loss(np.ones(m)) == 0.0
    assert discriminator_loss(real, np.ones(m)) == 1.0


@given(st.floats(-10, 10))
def test_a_discriminator_that_cannot_tell_does_best_at_one_half(score: float) -> None:
    """Mao et al., equation 11 with equal densities: the minimum of (s - 1)^2 + s^2 is 1/2 at s = 1/2."""
    same = np.array([score])

    assert discriminator_loss(np.array([0.5]), np.array([0.5])) == 0.5
    # Three roundings of numbers below 121.
    assert abs(discriminator_loss(same, same) - (0.5 + 2 * (score - 0.5) ** 2)) <= 3 * 128 * 2.0**-52
