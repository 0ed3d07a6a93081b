import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gen_export.spec.diffusion import (
    EPSILON,
    PREDICTIONS,
    clip_to_unit,
    ddim_sigma,
    eps_from_velocity,
    eps_from_x0,
    epsilon_loss,
    euler_step,
    forward_noising,
    guarded_ddim_step,
    guarded_ddpm_step,
    guarded_x0,
    image_ddim_mean,
    image_ddim_step,
    image_x0,
    pf_ode_rhs,
    safe_div,
    sqrt_nonneg,
)
from gen_export.spec.noise import sample_normals
from gen_export.spec.schedules import ContinuousLinear

X0, EPS = np.array([0.5, -0.25]), np.array([1.0, -1.0])
levels = st.floats(0.01, 0.999)


def test_the_root_is_that_of_the_nonnegative_part() -> None:
    np.testing.assert_array_equal(sqrt_nonneg(np.array([-4.0, -0.0, 0.0, 2.25])), [0.0, 0.0, 0.0, 1.5])


def test_the_guarded_division_adds_to_the_divisor() -> None:
    assert safe_div(1.0, 0.0) == 1e6
    assert safe_div(3.0, 2.0) == 3.0 / (2.0 + 1e-6)
    assert safe_div(1.0, 1.0) < 1.0  # not a floor: it biases every division


def test_noising_the_clean_state_is_the_identity() -> None:
    np.testing.assert_array_equal(forward_noising(X0, EPS, np.ones(())), X0)


@given(levels, st.integers(0, 2**31))
def test_noising_is_affine_in_the_noise_with_an_isotropic_slope(abar: float, seed: int) -> None:
    """`forwardGaussian_isGaussian`, `integral_id_forwardNoising`, `variance_dual_forwardNoising`, exactly.

    The mean is a x0; the slope in the noise is b I, so the variance of any functional L is b^2 |L|^2.
    """
    x0, e1, e2 = np.random.default_rng(seed).standard_normal((3, 6))
    a = np.asarray(abar)
    origin = forward_noising(x0, np.zeros(6), a)

    np.testing.assert_array_equal(origin, np.sqrt(abar) * x0)
    slope = np.stack([forward_noising(np.zeros(6), unit, a) for unit in np.eye(6)])
    np.testing.assert_array_equal(slope, np.sqrt(1.0 - abar) * np.eye(6))
    second = forward_noising(x0, e1 + e2, a) - forward_noising(x0, e1, a) - forward_noising(x0, e2, a) + origin
    # Ten roundings of numbers below 16.
    np.testing.assert_allclose(second, 0.0, atol=10 * 16 * 2.0**-53)


@pytest.mark.parametrize("abar", [0.9, 0.5, 0.2])
def test_noised_data_have_the_forward_law(abar: float) -> None:
    """`forwardNoising_eq_map`, for a linear functional, by Kolmogorov and Smirnov: false alarm 1e-6 for the three."""
    eps = sample_normals(3, np.arange(20_000), 0, (6,)).astype(np.float64)
    x0, functional = np.linspace(-1, 1, 6), np.array([1.0, -2.0, 0.5, 0.0, 3.0, -1.0])
    x_t = forward_noising(x0, eps, np.asarray(abar))
    law = stats.norm(np.sqrt(abar) * functional @ x0, np.sqrt(1 - abar) * np.linalg.norm(functional))

    assert stats.kstest(x_t @ functional, law.cdf).pvalue > 1e-6 / 3
    # Teeth: the law of a slip in the scale, abar for its root, is another.
    assert stats.kstest((x0 * abar + (1 - abar) * eps) @ functional, law.cdf).pvalue < 1e-12


def test_the_noise_loss_is_zero_for_the_noise_itself_and_a_mean() -> None:
    assert epsilon_loss(EPS, EPS) == 0.0
    assert epsilon_loss(EPS + 3.0, EPS) == 9.0


@given(st.floats(0.0, 1.0), st.integers(0, 2**31))
def test_a_velocity_gives_back_the_noise_it_was_made_of(abar: float, seed: int) -> None:
    """Velocity and x_t are eps and x_0 turned by one angle, so turning back gives eps, at both ends too."""
    x0, eps = np.random.default_rng(seed).standard_normal((2, 5))
    a = np.array(abar)
    v = np.sqrt(abar) * eps - np.sqrt(1.0 - abar) * x0

    # Six roundings of numbers below 8.
    np.testing.assert_allclose(eps_from_velocity(forward_noising(x0, eps, a), v, a), eps, rtol=0, atol=6 * 8 * 2.0**-53)


@given(st.floats(0.0, 0.999), st.integers(0, 2**31))
def test_a_clean_image_gives_back_the_noise_it_was_mixed_with(abar: float, seed: int) -> None:
    x0, eps = np.random.default_rng(seed).standard_normal((2, 5))
    a = np.array(abar)

    # Three roundings of numbers below 16, over a noise rate of at least 0.03.
    np.testing.assert_allclose(
        eps_from_x0(forward_noising(x0, eps, a), x0, a), eps, rtol=0, atol=3 * 16 * 2.0**-53 / np.sqrt(1 - abar)
    )


def test_the_noise_that_a_clean_image_implies_in_an_image_without_noise_is_finite() -> None:
    np.testing.assert_array_equal(eps_from_x0(X0, X0, np.ones(())), [0.0, 0.0])
    np.testing.assert_allclose(eps_from_x0(X0 + 3e-13, X0, np.ones(())), 0.3, rtol=1e-3)


def test_each_kind_of_prediction_implies_the_same_noise() -> None:
    abar = np.array(0.36)
    x_t = forward_noising(X0, EPS, abar)
    outputs = {"eps": EPS, "v": 0.6 * EPS - 0.8 * X0, "x0": X0}

    assert set(PREDICTIONS) == set(outputs)
    for name, implied in PREDICTIONS.items():
        np.testing.assert_allclose(implied(x_t, outputs[name], abar), EPS, rtol=1e-14)


@given(levels, levels, st.integers(0, 2**31))
def test_the_image_step_scales_by_the_reciprocal_and_clips_before_it_remixes(
    abar_t: float, abar_s: float, seed: int
) -> None:
    """`ddimPrev_eq_stepFromEps`, bit for bit: a quotient in the place of the reciprocal would round differently."""
    x, eps = np.random.default_rng(seed).standard_normal((2, 20))
    t, s = np.array(abar_t), np.array(abar_s)
    x0 = np.clip((x - np.sqrt(1 - t) * eps) * (1.0 / np.sqrt(t)), -1.0, 1.0)

    np.testing.assert_array_equal(image_ddim_step(x, eps, t, s), np.sqrt(s) * x0 + np.sqrt(1 - s) * eps)


def test_the_floor_holds_where_no_signal_is_left() -> None:
    clean = image_x0(np.array([3e-13]), np.zeros(1), np.zeros(()))

    np.testing.assert_allclose(clean, [0.3], rtol=1e-15)


@given(levels, levels, st.integers(0, 2**31))
def test_the_guarded_step_remixes_the_guarded_clean_image(abar_t: float, abar_s: float, seed: int) -> None:
    """`ddimStep_eq_x0Pred`, bit for bit."""
    x, eps = np.random.default_rng(seed).standard_normal((2, 5))
    t, s = np.array(abar_t), np.array(abar_s)
    x0 = (x - np.sqrt(1 - t) * eps) * (1.0 / (np.sqrt(t) + 1e-6))

    np.testing.assert_array_equal(guarded_x0(x, eps, t), x0)
    np.testing.assert_array_equal(guarded_ddim_step(x, eps, t, s), np.sqrt(s) * x0 + np.sqrt(1 - s) * eps)


def test_the_guarded_and_the_image_step_are_different_maps() -> None:
    x, eps, t, s = np.array([3.0, 0.1]), np.zeros(2), np.array(0.25), np.array(1.0)

    np.testing.assert_allclose(guarded_ddim_step(x, eps, t, s), [6.0, 0.2], rtol=3e-6)
    np.testing.assert_allclose(image_ddim_step(x, eps, t, s), [1.0, 0.2], rtol=1e-15)


def test_a_perfect_prediction_shrinks_by_the_guard() -> None:
    """The clean image comes back as a / (a + 1e-6) of itself."""
    abar = np.array(0.01)
    found = guarded_x0(forward_noising(X0, EPS, abar), EPS, abar)

    np.testing.assert_allclose(found, X0 * 0.1 / (0.1 + EPSILON), rtol=1e-13)


@given(st.floats(0.05, 0.95), st.floats(0.01, 0.9), st.integers(0, 2**31))
def test_the_ancestral_step_is_the_posterior_up_to_its_guards(abar_s: float, beta: float, seed: int) -> None:
    """`ddpmStep` against q(x_s | x_t, x_0) of Ho et al. (2020), equations 6 and 7, from x_0."""
    abar_t = abar_s * (1 - beta)
    x0, eps, z = np.random.default_rng(seed).standard_normal((3, 4))
    x_t = forward_noising(x0, eps, np.array(abar_t))
    mean = (np.sqrt(abar_s) * beta * x0 + np.sqrt(1 - beta) * (1 - abar_s) * x_t) / (1 - abar_t)
    scale = np.sqrt((1 - abar_s) / (1 - abar_t) * beta)
    found = guarded_ddpm_step(x_t, eps, z, np.array(beta), np.array(abar_t), np.array(abar_s))

    # Divisors: sqrt(1 - abar_t), sqrt(1 - beta), 1 - abar_t. Each quotient shrinks by at most 1e-6 / divisor.
    guards = EPSILON * (1 / np.sqrt(1 - abar_t) + 1 / np.sqrt(1 - beta) + 1 / (1 - abar_t))
    size = (abs(x_t) + abs(eps) * beta / np.sqrt(1 - abar_t)) / np.sqrt(1 - beta) + abs(z) * scale
    assert np.all(abs(found - (mean + scale * z)) <= guards * size + 1e-12)


@given(st.floats(0.05, 0.95), st.floats(0.01, 0.9), st.integers(0, 2**31))
def test_at_eta_one_the_shipped_step_is_the_posterior(abar_s: float, beta: float, seed: int) -> None:
    """The unclipped DDIM mean with the posterior's scale is the posterior's mean (Song et al. 2021, section 4.1)."""
    s, t = np.array(abar_s), np.array(abar_s * (1 - beta))
    x0 = np.random.default_rng(seed).uniform(-0.99, 0.99, 4)
    eps, z = np.random.default_rng(seed + 1).standard_normal((2, 4))
    x_t = forward_noising(x0, eps, t)
    mean = (np.sqrt(s) * beta * x0 + np.sqrt(1 - beta) * (1 - s) * x_t) / (1 - t)
    sigma = ddim_sigma(t, s, 1.0)

    assert sigma == pytest.approx(np.sqrt((1 - s) / (1 - t) * beta), rel=1e-12)
    # Roundings grow by 1 / sqrt(abar_t) <= 15 and 1 / beta <= 100 (1 - abar_t / abar_s cancels).
    np.testing.assert_allclose(image_ddim_mean(x_t, eps, t, s, sigma), mean, atol=1e-12, rtol=0)
    ancestral = guarded_ddpm_step(x_t, eps, z, np.array(beta), t, s)
    # The guards' share: 1e-6 (1 / sqrt(1 - abar_t) + 1 / sqrt(1 - beta) + 1 / (1 - abar_t)) < 3e-5 of numbers below 13.
    np.testing.assert_allclose(mean + sigma * z, ancestral, atol=1e-6 * 400, rtol=0)


@given(st.floats(0.05, 0.9), st.floats(1.01, 20), st.floats(0, 1), st.integers(0, 2**31))
def test_the_shipped_step_keeps_the_forward_marginal_at_any_eta(
    abar_t: float, ratio: float, eta: float, seed: int
) -> None:
    """Direction^2 + sigma^2 = 1 - abar_s (Song et al. 2021, lemma 1), so noise level s has the variance it should."""
    s, t = np.array(min(abar_t * ratio, 1.0)), np.array(abar_t)
    sigma = ddim_sigma(t, s, eta)
    x0, eps = np.zeros(1), np.ones(1)
    direction = image_ddim_mean(forward_noising(x0, eps, t), eps, t, s, sigma)

    assert direction[0] ** 2 + sigma**2 == pytest.approx(1 - s, abs=1e-14)


@given(levels, st.floats(0.01, 1.0), st.integers(0, 2**31))
def test_at_eta_zero_the_shipped_step_is_the_image_step(abar_t: float, abar_s: float, seed: int) -> None:
    x, eps = np.random.default_rng(seed).standard_normal((2, 5))
    t, s = np.array(min(abar_t, abar_s)), np.array(abar_s)
    sigma = ddim_sigma(t, s, 0.0)

    assert sigma == 0.0
    np.testing.assert_array_equal(image_ddim_mean(x, eps, t, s, sigma), image_ddim_step(x, eps, t, s))


def test_the_last_step_adds_no_noise_at_any_eta() -> None:
    assert ddim_sigma(np.array(0.9), np.array(1.0), 1.0) == 0.0


def test_clipping_is_to_the_range_of_pixels() -> None:
    np.testing.assert_array_equal(clip_to_unit(np.array([-1.5, -1.0, 0.25, 1.0, 7.0])), [-1, -1, 0.25, 1, 1])


def test_the_probability_flow_moves_gaussian_data_along_their_quantiles() -> None:
    """d/dt of the exact flow of N(m, v) by a central difference, which is good to h^2 = 1e-10."""
    schedule, m, v, h = ContinuousLinear(0.1, 8.0), 0.3, 0.25, 1e-5
    t = np.array(0.4)

    def at(t: np.ndarray) -> np.ndarray:
        a = schedule.alpha_bar(t)
        return np.sqrt(a) * m + np.sqrt(a * v + 1 - a) * np.array([-2.0, 0.0, 1.5])

    a, x = schedule.alpha_bar(t), at(t)
    eps_hat = schedule.sigma(t) * (x - np.sqrt(a) * m) / (a * v + 1 - a)
    slope = (at(t + h) - at(t - h)) / (2 * h)

    # The guard takes 1e-6 / sigma of a score term below 10.
    np.testing.assert_allclose(pf_ode_rhs(x, eps_hat, schedule.beta(t), schedule.sigma(t)), slope, atol=2e-5)


def test_an_euler_step_moves_along_the_field() -> None:
    np.testing.assert_array_equal(euler_step(lambda x, t: x * t, np.array([1.0, -2.0]), 3.0, -0.5), [-0.5, 1.0])


@given(st.integers(0, 2**31), st.floats(-10, 10), st.floats(0, 1))
def test_eulers_step_spreads_two_points_by_at_most_the_field(seed: int, dt: float, t: float) -> None:
    """`eulerStep_l2_distance_bound`, for a field without any bound of its own."""
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((2, 8)) * 10.0 ** rng.integers(-3, 3)
    w = rng.standard_normal((8, 8))

    def field(x: np.ndarray, t: float) -> np.ndarray:
        return np.sin(5 * w @ x) * x + t * x**2

    spread = np.linalg.norm(euler_step(field, x, t, dt) - euler_step(field, y, t, dt))
    bound = np.linalg.norm(x - y) + abs(dt) * np.linalg.norm(field(x, t) - field(y, t))
    scale = np.linalg.norm(np.abs([x, y, dt * field(x, t), dt * field(y, t)]))
    assert spread <= bound + 16 * 2.0**-53 * scale


def test_eulers_bound_is_reached_where_the_field_points_apart() -> None:
    """`eulerStep_l2_distance_bound` is sharp: f(x) = x pushes two points straight apart."""
    x, y = np.array([3.0, 4.0]), np.zeros(2)

    assert np.linalg.norm(euler_step(lambda x, t: x, x, 0.0, 2.0) - euler_step(lambda x, t: x, y, 0.0, 2.0)) == 15.0


@given(st.floats(-3, 3), st.floats(-2, 2), st.integers(0, 2**31))
def test_eulers_step_is_lipschitz_where_the_field_is(slope: float, dt: float, seed: int) -> None:
    """`eulerStep_l2_lipschitz_of_rhs_lipschitz`: 1 + |dt| L for a field of constant L = 2 |slope|."""
    x, y = np.random.default_rng(seed).standard_normal((2, 8))

    def field(x: np.ndarray, t: float) -> np.ndarray:
        return slope * (x + np.sin(x))

    spread = np.linalg.norm(euler_step(field, x, 0.0, dt) - euler_step(field, y, 0.0, dt))
    assert spread <= (1 + abs(dt) * 2 * abs(slope)) * np.linalg.norm(x - y) + 1e-13
