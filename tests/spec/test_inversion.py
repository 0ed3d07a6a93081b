"""DDIM backwards: a run from the noise that it finds goes to the image that it was given."""

import numpy as np
import pytest
import torch

from gen_export.spec.diffusion import image_ddim_step
from gen_export.spec.inversion import invert, residual, secant
from gen_export.spec.samplers import solve
from gen_export.spec.schedules import SPACINGS, alpha_bars, cosine_betas
from tests.export.analytic import GaussianData

STATES = 40
SHAPE = (2, 3, 4)
LEVELS = np.array([0.2, 0.6])
RNG = np.random.default_rng(0)


def data(mean: float = 0.5) -> GaussianData:
    means = np.linspace(-mean, mean, 24).reshape(SHAPE)
    return GaussianData(means, 0.01, alpha_bars(cosine_betas(STATES)))


def images(gaussian: GaussianData, count: int = 5) -> np.ndarray:
    return gaussian.mean + 0.1 * np.random.default_rng(1).standard_normal((count, *SHAPE))


def states(spacing: str = "trailing"):
    return lambda j, steps: SPACINGS[spacing](j, steps, STATES)


def turn(abar_t: float, abar_s: float) -> float:
    """phi_t - phi_s."""
    return float(np.arccos(np.sqrt(abar_t)) - np.arccos(np.sqrt(abar_s)))


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("steps", [1, 2, 7, 40])
def test_a_run_of_as_many_steps_from_the_noise_returns_the_image(spacing, steps):
    """In float64; one step divides by sqrt(alpha_bar_T) = 1e-3 what two levels of rounding leave."""
    gaussian = data()
    x = images(gaussian)
    noise = invert(gaussian.denoise, x, gaussian.abars, steps, states(spacing))

    back = solve(gaussian.denoise, noise, None, gaussian.abars, steps, spacing=spacing)
    np.testing.assert_allclose(back, x, atol=1e-6 if steps == 1 else 1e-11)


def test_the_noise_of_gaussian_data_is_what_each_affine_step_says_solved_by_hand():
    gaussian, steps = data(), 3
    x = expected = images(gaussian)
    gain, shift = gaussian.tables()
    for j in range(steps):
        s, t = (states()(steps - j - i, steps) for i in (0, 1))
        (a_s, b_s), (a_t, b_t) = ((np.sqrt(gaussian.abars[k]), np.sqrt(1 - gaussian.abars[k])) for k in (s, t))
        slope, offset = (
            a_s / a_t,
            (b_s - a_s * b_t / a_t),
        )  # x_s = slope x_t + offset eps, eps = gain (x_t - shift mean)
        expected = (expected + offset * gain[t] * shift[t] * gaussian.mean) / (slope + offset * gain[t])

    np.testing.assert_allclose(invert(gaussian.denoise, x, gaussian.abars, steps, states()), expected, atol=1e-10)


def test_steps_that_clip_return_images_that_clipping_would_change():
    """Means outside the range, which clean images on the way are drawn to."""
    gaussian = data(mean=1.5)
    x = images(gaussian).clip(-1.0, 1.0)

    def back(bound: float) -> float:
        noise = invert(gaussian.denoise, x, gaussian.abars, 20, states(), 30, bound)
        return float(np.abs(solve(gaussian.denoise, noise, None, gaussian.abars, 20) - x).max())

    assert back(1.0) < 1e-6 < 0.01 < back(np.inf)


def test_nothing_is_lacking_where_the_step_goes_to_x_s():
    x_t, eps = RNG.standard_normal((2, 3, *SHAPE))
    for bound in (1.0, np.inf):
        x_s = image_ddim_step(x_t, eps, *LEVELS, postprocess=lambda x, bound=bound: x.clip(-bound, bound))
        np.testing.assert_allclose(residual(x_t, x_s, eps, *LEVELS, bound), 0.0, atol=1e-14)


@pytest.mark.parametrize("slope", [0.0, 0.4, -0.8, 1.6, -3.0])
def test_adding_residuals_multiplies_the_error_by_tan_of_the_turn_times_the_slope_of_the_velocity(slope):
    """So it converges exactly where that is below 1."""
    abar_t, abar_s = LEVELS
    (a, b), x = (np.sqrt(abar_t), np.sqrt(1 - abar_t)), RNG.standard_normal((1, *SHAPE))
    x_s = image_ddim_step(x, a * slope * x + b * x, abar_t, abar_s, postprocess=lambda x: x)
    guess = x + 1.0
    lack = residual(guess, x_s, a * slope * guess + b * guess, abar_t, abar_s, np.inf)

    np.testing.assert_allclose(guess + lack - x, np.tan(turn(abar_t, abar_s)) * slope * (guess - x), atol=1e-13)


@pytest.mark.parametrize("slope", [0.9, -5.0, 1.001])
def test_where_the_slope_is_a_multiple_of_the_identity_two_residuals_are_enough(slope):
    """Each image has a slope of its own, which iterating alone would take long for or diverge with."""
    slopes = slope + 0.03 * np.arange(3).reshape(3, 1, 1, 1)
    goal = RNG.standard_normal((3, *SHAPE))

    def lack(x):
        return (slopes - 1.0) * (x - goal)

    x = np.zeros_like(goal)
    after = secant(x, lack(x), x, 0.0 * x)
    np.testing.assert_allclose(after, x + lack(x))
    np.testing.assert_allclose(secant(after, lack(after), x, lack(x)), goal, atol=1e-9)


def test_more_iterations_come_nearer():
    """A denoiser whose slope is no multiple of the identity."""
    gaussian = data()
    bent = 0.3 * np.linspace(-1, 1, 24).reshape(SHAPE)

    def denoise(x, t):
        return gaussian.denoise(x, t) + gaussian.abars[t] * np.sin(3.0 * x) * bent

    x = images(gaussian)
    errors = []
    for iterations in (1, 4, 16):
        noise = invert(denoise, x, gaussian.abars, 10, states(), iterations)
        errors.append(np.abs(solve(denoise, noise, None, gaussian.abars, 10) - x).max())
    assert errors[0] > 4 * errors[1] > 16 * errors[2]


def test_torch_finds_the_noise_that_numpy_finds():
    gaussian = data()
    x = images(gaussian)
    gain, shift = map(torch.from_numpy, gaussian.tables())
    mean = torch.from_numpy(gaussian.mean)

    def denoise(x, t):
        return gain[t] * (x - shift[t] * mean)

    found = invert(denoise, torch.from_numpy(x), torch.from_numpy(gaussian.abars), 6, states())
    expected = invert(gaussian.denoise, x, gaussian.abars, 6, states())
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)
