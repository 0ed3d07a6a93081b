"""Samples of every solver have the weights, means and covariances of a mixture whose score is exact."""

from dataclasses import replace

import numpy as np
import pytest

from gen_export.spec.samplers import solve
from gen_export.spec.solvers import SOLVERS
from tests.mixture import four_in_the_plane, levels_even_in_log_snr

COUNT = 4000
# The levels end below the smallest spread, 0.05, and begin where nothing is left of the means.
DATA = four_in_the_plane(levels_even_in_log_snr(800, 1 / 400, 200))
# What the steps leave, measured with COUNT = 60,000: at most 0.042 of a deviation and of a variance, 0.023 of a weight.
LEFT = 0.05
ALARM = 1e-6 / 9  # nine statistics a run: one that is right is rejected for about one seed in a million
RUNS = {
    "ddim": ("ddim", 0.0, 400),
    "ddim, half": ("ddim", 0.5, 400),
    "ddim, ancestral": ("ddim", 1.0, 400),
    "ddpm": ("ddpm", 0.0, 400),
    "euler": ("euler", 0.0, 800),
    "heun": ("heun", 0.0, 50),
    "dpmpp_2m": ("dpmpp_2m", 0.0, 100),
    "ddim_spec": ("ddim_spec", 0.0, 800),
    "ddim_image": ("ddim_image", 0.0, 800),
}


def samples(denoise=DATA.denoise, solver="dpmpp_2m", eta=0.0, steps=100, fresh=1.0):
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((COUNT, 2))
    return solve(denoise, noise, lambda _: fresh * rng.standard_normal(noise.shape), DATA.abars, steps, solver, eta)


def test_the_denoiser_is_the_slope_of_the_log_density():
    """By central differences of a density that is written out: a noisy mixture is one of wider components."""

    def log_density(x, t):
        abar = DATA.abars[t]
        wide = abar * DATA.covariances + (1 - abar) * np.eye(2)
        apart = x - np.sqrt(abar) * DATA.means
        exponents = [-0.5 * d @ np.linalg.solve(c, d) for d, c in zip(apart, wide, strict=True)]
        return np.log(np.sum(DATA.weights * np.exp(exponents) / np.sqrt(np.linalg.det(wide))))

    step = 1e-5
    for t in (50, 300, 500, 800):
        for x in np.random.default_rng(1).uniform(-0.7, 0.7, (5, 2)):
            slope = [(log_density(x + d, t) - log_density(x - d, t)) / (2 * step) for d in step * np.eye(2)]
            expected = -np.sqrt(1 - DATA.abars[t]) * np.array(slope)
            np.testing.assert_allclose(DATA.denoise(x[None], t)[0], expected, rtol=1e-5, atol=1e-5)


def test_samples_of_the_law_itself_have_its_statistics():
    exact = [DATA.chances(DATA.draw(np.random.default_rng(seed), COUNT)) for seed in range(200)]

    # The chances of right samples are uniform: below 1/10 a tenth of 1800, within five deviations of such a count.
    assert np.sum(np.array(exact) < 0.1) == pytest.approx(180, abs=5 * np.sqrt(1800 * 0.1 * 0.9))


def test_the_runs_are_of_all_solvers():
    assert {solver for solver, _, _ in RUNS.values()} == set(SOLVERS)


@pytest.mark.parametrize("run", RUNS)
def test_the_samples_have_the_weights_means_and_covariances_of_the_mixture(run):
    solver, eta, steps = RUNS[run]
    found = samples(DATA.denoise, solver, eta, steps)

    assert DATA.chances(found, LEFT).min() > ALARM
    assert abs(found).max() < 1.0  # clipping does not bind where samples are


WRONG = {
    "weights": replace(DATA, weights=np.array([0.35, 0.3, 0.2, 0.15])),
    "means": replace(DATA, means=DATA.means + 0.03),
    "covariances": replace(DATA, covariances=1.5 * DATA.covariances),
    "one shape turned": replace(DATA, covariances=DATA.covariances[[0, 1, 3, 2]]),
}


@pytest.mark.parametrize("fault", WRONG)
def test_samples_of_another_mixture_are_rejected(fault):
    assert DATA.chances(samples(WRONG[fault].denoise), LEFT).min() < ALARM


@pytest.mark.parametrize("factor", [0.97, 1.03])
def test_a_denoiser_that_is_wrong_by_three_percent_is_rejected(factor):
    assert DATA.chances(samples(lambda x, t: factor * DATA.denoise(x, t)), LEFT).min() < ALARM


def test_fresh_noise_that_is_too_small_by_a_tenth_is_rejected():
    assert DATA.chances(samples(solver="ddpm", steps=400, fresh=0.9), LEFT).min() < ALARM
