"""Solvers against the closed form of Gaussian data: orders of convergence, ends, laws, and where they coincide."""

import numpy as np
import pytest

from gen_export.spec.samplers import guarded_ddim_sample, image_ddim_sample, solve
from gen_export.spec.schedules import SPACINGS, alpha_bars, linear_betas, named_alpha_bars, noisy_alpha_bars
from gen_export.spec.solvers import SOLVERS

MEAN, SPREAD = 0.1, 0.2
ABARS = alpha_bars(linear_betas(60, 1e-3, 0.2))


def exact_denoiser(abars):
    """The noise that Gaussian data N(MEAN, SPREAD^2) has in expectation at a state."""

    def denoise(x, t):
        a, b = np.sqrt(abars[t]), np.sqrt(1 - abars[t])
        return b * (x - a * MEAN) / (a**2 * SPREAD**2 + b**2)

    return denoise


def exact_end(abars, x):
    """Where the probability flow takes x from the last state."""
    a, b = np.sqrt(abars[-1]), np.sqrt(1 - abars[-1])
    return MEAN + SPREAD * (x - a * MEAN) / np.sqrt(a**2 * SPREAD**2 + b**2)


def no_noise(_):
    raise AssertionError("this run adds no noise")


def smooth_in_sigma(states):
    """Levels whose b / a is linear in the state, down to 0."""
    return 1.0 / (1.0 + np.linspace(0.0, 4.0, states + 1) ** 2)


def smooth_in_log_snr(states):
    """Levels whose ln(a / b) is linear in the state, but for the clean one."""
    ratio = np.exp(np.linspace(-14.0, np.log(4.0), states))
    return np.concatenate([[1.0], 1.0 / (1.0 + ratio**2)])


@pytest.mark.parametrize(
    ("solver", "levels", "steps"),
    [
        ("ddim", smooth_in_sigma, (160, 320, 640, 1280)),
        ("euler", smooth_in_sigma, (160, 320, 640, 1280)),
        ("heun", smooth_in_log_snr, (160, 320, 640, 1280)),
        ("dpmpp_2m", smooth_in_log_snr, (160, 320, 640, 1280)),
    ],
)
def test_the_order_of_convergence_is_the_declared_one(solver, levels, steps):
    abars, x = levels(5120), np.linspace(-2.0, 2.0, 41)
    ends = [solve(exact_denoiser(abars), x, no_noise, abars, n, solver) for n in steps]
    errors = [np.abs(end - exact_end(abars, x)).max() for end in ends]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])

    assert orders[-1] == pytest.approx(SOLVERS[solver].order, abs=0.1)


def test_the_orders_are_declared_for_the_solvers_of_the_flow_alone():
    assert {name: s.order for name, s in SOLVERS.items() if s.order} == {
        "ddim": 1,
        "euler": 1,
        "heun": 2,
        "dpmpp_2m": 2,
    }


@pytest.mark.parametrize(("solver", "eta"), [("ddpm", 0.0), ("ddim", 1.0)])
def test_fresh_noise_ends_in_the_law_of_the_data(solver, eta):
    rng, abars = np.random.default_rng(0), named_alpha_bars("cosine", 400)
    x = rng.standard_normal(40_000)
    end = solve(exact_denoiser(abars), x, lambda j: rng.standard_normal(x.shape), abars, 400, solver, eta)

    # A mean of 40,000 numbers is within 5 / 200 of its spread but once in two million; the rest is the steps' error.
    assert end.mean() == pytest.approx(MEAN, abs=0.025 * SPREAD + 0.002)
    assert end.std() == pytest.approx(SPREAD, rel=0.05)


def test_the_full_samplers_go_through_all_states_whatever_the_steps():
    x, seen = np.linspace(-1.0, 1.0, 5), []

    def denoise(x, t):
        seen.append(t)
        return exact_denoiser(ABARS)(x, t)

    spec = solve(denoise, x, no_noise, ABARS, 3, "ddim_spec")
    assert seen == list(range(60, 0, -1))
    by_time = guarded_ddim_sample(lambda x, time: exact_denoiser(ABARS)(x, round(time * 60)), x, ABARS)
    np.testing.assert_array_equal(spec, by_time)

    image = solve(denoise, x, no_noise, ABARS, 3, "ddim_image")
    by_index = image_ddim_sample(
        lambda x, time: exact_denoiser(ABARS)(x, round(time * 59) + 1), x, noisy_alpha_bars(ABARS)
    )
    np.testing.assert_array_equal(image, by_index)
    np.testing.assert_allclose(image, solve(denoise, x, no_noise, ABARS, 60, "ddim"), rtol=1e-12)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("spacing", SPACINGS)
def test_a_run_takes_a_call_of_the_network_a_move(solver, spacing):
    calls = []

    def denoise(x, t):
        calls.append(t)
        return exact_denoiser(ABARS)(x, t)

    end = solve(denoise, np.ones(2), lambda j: np.zeros(2), ABARS, 7, solver, 0.0, spacing)

    assert np.isfinite(end).all()
    assert len(calls) == {"heun": 13, "ddim_spec": 60, "ddim_image": 60}.get(solver, 7)
    assert min(calls) >= 1


@pytest.mark.parametrize("solver", SOLVERS)
def test_no_steps_give_the_noise_back(solver):
    x = np.ones(3)
    assert solve(no_noise, x, no_noise, ABARS, 0, solver) is x


@pytest.mark.parametrize(
    ("spacing", "steps", "expected"),
    [
        ("trailing", 4, [10, 8, 5, 3, 0]),
        ("leading", 4, [7, 5, 3, 1, 0]),
        ("linspace", 4, [10, 7, 4, 1, 0]),
        ("trailing", 1, [10, 0]),
        ("leading", 1, [1, 0]),
        ("linspace", 1, [10, 0]),
    ],
)
def test_spacings_by_hand(spacing, steps, expected):
    assert [SPACINGS[spacing](j, steps, 10) for j in range(steps + 1)] == expected


@pytest.mark.parametrize("spacing", SPACINGS)
def test_all_states_are_visited_by_as_many_steps(spacing):
    assert [SPACINGS[spacing](j, 60, 60) for j in range(61)] == list(range(60, -1, -1))
