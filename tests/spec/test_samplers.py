import numpy as np
import pytest

from gen_export.spec.diffusion import ddim_sigma, image_ddim_step, pf_ode_rhs
from gen_export.spec.samplers import (
    ddim_sample,
    guarded_ddim_sample,
    guarded_ddpm_sample,
    image_ddim_sample,
    pf_ode_euler_sample,
)
from gen_export.spec.schedules import (
    ContinuousLinear,
    alpha_bars,
    cosine_betas,
    linear_betas,
    noisy_alpha_bars,
    trailing_state,
)

MEAN, VARIANCE = 0.1, 0.04  # of Gaussian data that no clean image leaves [-1, 1] for


def standard_deviations(x: np.ndarray, abar: float) -> np.ndarray:
    """How far x_t is from its mean, in its own standard deviations."""
    return (x - np.sqrt(abar) * MEAN) / np.sqrt(abar * VARIANCE + 1 - abar)


def exact_denoiser(abars: np.ndarray):
    """E[eps | x_t] of N(MEAN, VARIANCE) by state."""

    def denoise(x: np.ndarray, t: int) -> np.ndarray:
        a = abars[t]
        return np.sqrt(1 - a) * (x - np.sqrt(a) * MEAN) / (a * VARIANCE + 1 - a)

    return denoise


def no_noise(j: int) -> np.ndarray:
    raise AssertionError(f"noise {j} was drawn")


def slopes(errors: list[float]) -> np.ndarray:
    """Orders of convergence: by how much log2 of the error falls each time the steps double."""
    return -np.diff(np.log2(errors))


def test_the_image_sampler_runs_on_a_single_index_at_time_zero() -> None:
    """T = 1 is a step, not nothing."""
    times = []

    def zeros(x: np.ndarray, time: float) -> np.ndarray:
        times.append(time)
        return np.zeros_like(x)

    assert image_ddim_sample(zeros, np.array(0.25), np.array([0.25])) == 0.5
    assert times == [0.0]


def test_the_image_sampler_of_no_index_returns_the_noise() -> None:
    assert image_ddim_sample(no_noise, np.array(0.25), np.zeros(0)) == 0.25


def test_no_steps_return_the_noise() -> None:
    """`ddpmSample_zero_steps`, `ddimSample_zero_steps`, `pfOdeSampleEuler_zero_steps`."""
    x, abars = np.array([0.5, -3.0]), np.ones(1)

    assert guarded_ddpm_sample(no_noise, x, np.zeros((0, 2)), np.zeros(0), abars) is x
    assert guarded_ddim_sample(no_noise, x, abars) is x
    assert pf_ode_euler_sample(no_noise, x, ContinuousLinear(1.0, 2.0), 0) is x
    assert ddim_sample(no_noise, x, no_noise, alpha_bars(linear_betas(4, 0.1, 0.5)), 0, 1.0) is x


def test_without_fresh_noise_and_at_every_state_the_shipped_sampler_is_the_image_sampler() -> None:
    abars = alpha_bars(linear_betas(12, 1e-3, 0.4))
    x = np.linspace(-3.0, 3.0, 7)

    def by_state(x: np.ndarray, t: int) -> np.ndarray:
        return np.sin(3.0 * x) + t

    def by_time(x: np.ndarray, time: float) -> np.ndarray:
        return by_state(x, round(time * 11) + 1)

    shipped = ddim_sample(by_state, x, no_noise, abars, 12, 0.0)

    np.testing.assert_array_equal(shipped, image_ddim_sample(by_time, x, noisy_alpha_bars(abars)))
    assert abs(shipped - guarded_ddim_sample(lambda x, time: by_state(x, round(time * 12)), x, abars)).max() > 0.1


def test_at_eta_one_and_every_state_the_shipped_sampler_is_the_ancestral_one() -> None:
    """Up to the 1e-6 guards of `ddpmSample`, with the same noise: step j adds z_j, which is that of state T - j."""
    states = 20
    betas = linear_betas(states, 0.01, 0.3)
    abars = alpha_bars(betas)
    z = np.random.default_rng(0).standard_normal((states, 50))
    x = np.random.default_rng(1).standard_normal(50)
    denoise = exact_denoiser(abars)
    shipped = ddim_sample(denoise, x, lambda j: z[j - 1], abars, states, 1.0)
    ancestral = guarded_ddpm_sample(lambda x, time: denoise(x, round(time * states)), x, z[::-1], betas, abars)

    # Each of three guards takes 1e-6 / divisor of numbers below 4; no divisor of step k is below (k + 1) / 100.
    guards = sum(3e-6 * 4 * 100 / (k + 1) for k in range(states))
    np.testing.assert_allclose(shipped, ancestral, rtol=0, atol=guards)
    wrong = ddim_sample(denoise, x, lambda j: z[states - j], abars, states, 1.0)
    assert abs(wrong - ancestral).max() > 0.1  # the order of the draws matters


def test_fresh_noise_is_drawn_for_every_step_in_order_and_only_where_eta_asks() -> None:
    abars = alpha_bars(linear_betas(9, 0.01, 0.3))
    drawn, asked = [], []

    def noise(j: int) -> np.ndarray:
        drawn.append(j)
        return np.zeros(2)

    def denoise(x: np.ndarray, t: int) -> np.ndarray:
        asked.append(int(t))
        return np.zeros(2)

    ddim_sample(denoise, np.ones(2), noise, abars, 3, 0.5)
    assert (drawn, asked) == ([1, 2], [9, 6, 3])  # the last step ends in a clean image

    ddim_sample(denoise, np.ones(2), no_noise, abars, 3, 0.0)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_the_law_of_what_the_sampler_gives_converges_to_the_law_of_the_data(eta: float) -> None:
    """Without chance: the sampler of Gaussian data is affine, so its law follows from its answers to unit impulses.

    Row 0 of the batch gets no noise at all and gives the mean, row i only number i of the initial and fresh noise.
    """
    abars = alpha_bars(cosine_betas(2048))
    bias = []
    for n in (256, 512, 1024):
        impulses = np.vstack([np.zeros(n + 1), np.eye(n + 1)])
        found = ddim_sample(exact_denoiser(abars), impulses[:, 0], lambda j, z=impulses: z[:, j], abars, n, eta)
        assert found[0] == pytest.approx(MEAN, abs=1e-6)  # sqrt(abar_T) = 5e-6 of the mean stays in x_T
        bias.append(abs(np.sum((found[1:] - found[0]) ** 2) / VARIANCE - 1))

    # Measured: 1.9 % at most is left, and orders 0.88 to 0.96, rising towards 1.
    assert bias[-1] < 0.02
    np.testing.assert_allclose(slopes(bias), 1.0, atol=0.15)


@pytest.mark.parametrize("betas", [cosine_betas(4096), linear_betas(4096, 2.4e-5, 4.9e-3)], ids=["cosine", "linear"])
def test_ddim_converges_to_the_flow_of_gaussian_data_at_order_one(betas: np.ndarray) -> None:
    """The flow keeps the number of standard deviations; the data are narrow, so that nothing is clipped."""
    abars = alpha_bars(betas)
    x = np.linspace(-2.5, 2.5, 11)
    exact = MEAN + np.sqrt(VARIANCE) * standard_deviations(x, abars[-1])
    runs = [ddim_sample(exact_denoiser(abars), x, no_noise, abars, n, 0.0) for n in (64, 128, 256, 512)]

    assert abs(exact).max() < 0.7
    np.testing.assert_allclose(slopes([abs(run - exact).max() for run in runs]), 1.0, atol=0.1)
    # Teeth: a constant bias, here of the variance, stops converging.
    wrong = MEAN + np.sqrt(1.1 * VARIANCE) * standard_deviations(x, abars[-1])
    assert np.any(abs(slopes([abs(run - wrong).max() for run in runs]) - 1.0) > 0.1)


@pytest.mark.parametrize("variance", [0.04, 0.25])
def test_euler_converges_to_the_flow_of_gaussian_data_at_order_one(variance: float) -> None:
    schedule, x, one = ContinuousLinear(0.1, 8.0), np.linspace(-2.5, 2.5, 11), np.asarray(1.0)

    def denoise(x: np.ndarray, t: np.ndarray) -> np.ndarray:
        a = schedule.alpha_bar(t)
        return schedule.sigma(t) * (x - np.sqrt(a) * MEAN) / (a * variance + 1 - a)

    a = schedule.alpha_bar(one)
    exact = MEAN + np.sqrt(variance / (a * variance + 1 - a)) * (x - np.sqrt(a) * MEAN)
    runs = [pf_ode_euler_sample(denoise, x, schedule, n) for n in (64, 128, 256, 512)]

    # The guard of 1e-6 adds far less than the error of 1e-3 that is left at 512 steps.
    np.testing.assert_allclose(slopes([abs(run - exact).max() for run in runs]), 1.0, atol=0.1)


def test_the_defective_flow_does_not_converge_to_the_flow() -> None:
    """Twice the score: the order test above would see it, as its error stays."""
    schedule, one = ContinuousLinear(0.1, 8.0), np.asarray(1.0)
    a, x = schedule.alpha_bar(one), np.linspace(-2.5, 2.5, 11)
    exact = MEAN + np.sqrt(VARIANCE / (a * VARIANCE + 1 - a)) * (x - np.sqrt(a) * MEAN)

    def twice(x: np.ndarray, t: np.ndarray) -> np.ndarray:
        a = schedule.alpha_bar(t)
        return 2.0 * schedule.sigma(t) * (x - np.sqrt(a) * MEAN) / (a * VARIANCE + 1 - a)

    errors = [abs(pf_ode_euler_sample(twice, x, schedule, n) - exact).max() for n in (64, 128, 256, 512)]
    assert np.all(slopes(errors) < 0.2)


def test_one_shipped_step_is_the_image_step_between_its_states() -> None:
    abars = alpha_bars(linear_betas(10, 0.01, 0.3))
    x, eps = np.random.default_rng(2).standard_normal((2, 6))
    found = ddim_sample(lambda x, t: eps, x, no_noise, abars, 1, 0.0)

    assert [trailing_state(j, 1, 10) for j in (0, 1)] == [10, 0]
    np.testing.assert_array_equal(found, image_ddim_step(x, eps, abars[10], abars[0]))
    assert ddim_sigma(abars[10], abars[0], 0.0) == 0.0
    assert np.isfinite(pf_ode_rhs(x, eps, np.asarray(1.0), np.asarray(0.0))).all()  # the guard holds at sigma = 0
