"""The variational bound of diffusion: its terms against the laws they come from, and the entropy it bounds."""

import numpy as np
import pytest

from gen_export.spec.diffusion import eps_from_x0, forward_noising, image_ddim_law
from gen_export.spec.diffusion_bound import level_term, prior_term, transition_term
from gen_export.spec.pixels import from_bytes
from gen_export.spec.schedules import named_alpha_bars
from gen_export.spec.vae import gaussian_log_density

ABARS = named_alpha_bars("cosine", 1000)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_the_prior_term_is_the_divergence_from_the_standard_normal(rng):
    x_0, abar = rng.uniform(-1, 1, (3, 2, 2)), 0.4
    z = np.sqrt(abar) * x_0 + np.sqrt(1 - abar) * rng.standard_normal((200_000, 3, 2, 2))
    mean = np.broadcast_to(np.sqrt(abar) * x_0, z.shape).reshape(-1, 2, 2)
    ratio = gaussian_log_density(z.reshape(-1, 2, 2), mean, 1 - abar) - gaussian_log_density(z.reshape(-1, 2, 2), 0, 1)
    drawn = ratio.reshape(-1, 3)

    assert abs(drawn.mean(0) - prior_term(x_0, abar)).max() < 5 * drawn.std(0).max() / np.sqrt(len(drawn))


@pytest.mark.parametrize("t", [2, 10, 500, 1000])
def test_a_transition_term_is_the_divergence_of_two_ancestral_steps(rng, t):
    abar_t, abar_s = ABARS[t], ABARS[t - 1]
    x_0, x0_hat = rng.uniform(-1, 1, (2, 4, 3, 3, 1))
    x_t = forward_noising(x_0, rng.standard_normal(x_0.shape), abar_t)

    def law(clean):
        return image_ddim_law(x_t, eps_from_x0(x_t, clean, abar_t), abar_t, abar_s, 1.0)

    (mean, sigma), (guess, _) = law(x_0), law(x0_hat)
    expected = ((mean - guess) ** 2).sum((1, 2, 3)) / (2 * sigma**2)

    np.testing.assert_allclose(transition_term(x_0, x0_hat, abar_t, abar_s), expected, rtol=1e-6)


def test_the_levels_of_a_pixel_have_the_shares_of_a_normal_law_and_all_of_it():
    shares = np.exp(-level_term(np.arange(256)[:, None], np.full((256, 1), 0.2), 0.1))
    weights = np.exp(-((0.2 - from_bytes(np.arange(256.0))) ** 2) / (2 * 0.1))

    np.testing.assert_allclose(shares, weights / weights.sum(), rtol=1e-9)


def test_the_level_term_is_finite_where_the_variance_is_tiny():
    found = level_term(np.array([[0, 255]]), from_bytes(np.array([[0.0, 254.0]])), 1e-9)

    assert found[0] == pytest.approx((1 / 127.5) ** 2 / 2e-9, rel=1e-3)


def test_the_bound_of_the_best_denoiser_is_the_entropy_of_the_data_and_a_little_more(rng):
    """One pixel of two levels: the entropy is -0.3 log 0.3 - 0.7 log 0.7, and a denoiser cannot be better."""
    values, shares = np.array([100, 180]), np.array([0.3, 0.7])
    clean, count = from_bytes(values.astype(float)), 20_000

    def best(x_t, abar):
        odds = shares * np.exp(-((x_t - np.sqrt(abar) * clean) ** 2) / (2 * (1 - abar)))
        return (odds * clean).sum(-1, keepdims=True) / odds.sum(-1, keepdims=True)

    drawn = rng.choice(values, (count, 1), p=shares)
    x_0 = from_bytes(drawn.astype(float))
    x_1 = forward_noising(x_0, rng.standard_normal(x_0.shape), ABARS[1])
    total = prior_term(x_0, ABARS[-1]) + level_term(drawn, best(x_1, ABARS[1]), 1e-6)
    for t in range(2, len(ABARS)):
        x_t = forward_noising(x_0, rng.standard_normal(x_0.shape), ABARS[t])
        total += transition_term(x_0, best(x_t, ABARS[t]), ABARS[t], ABARS[t - 1])
    entropy, error = -(shares * np.log(shares)).sum(), total.std() / np.sqrt(count)

    assert entropy - 4 * error < total.mean() < entropy + 0.02 + 4 * error
