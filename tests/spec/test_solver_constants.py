"""Constants of the solvers' steps, against steps of noise predictions whose slopes are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen_export.spec.solver_constants import STEP_CONSTANTS
from gen_export.spec.solvers import SOLVERS, Levels

ROUNDING = 1 + 1e-9
levels, seeds = st.floats(0.001, 0.999), st.integers(0, 2**31)


def step(name, eps_hat, t, s):
    """One whole step from level t to s, of fixed noise."""
    solver, still = SOLVERS[name], np.array(0.0)

    def moved(x):
        levels = Levels(t, t, s, np.array(False), still)
        after, _, memory = solver.move(levels, x, eps_hat(x, t), 0.0 * x)
        if solver.evaluations == 1 or s == 1.0:
            return after
        return solver.move(levels._replace(correcting=np.array(True)), after, eps_hat(after, s), memory)[0]

    return moved


def gradient(low, high, rng, size=6):
    """A nonlinear prediction whose slopes are symmetric with eigenvalues in [low, high], ends that are reached."""
    basis = np.linalg.qr(rng.standard_normal((size, size)))[0]

    def eps_hat(x, _):
        rows = x @ basis
        bent = np.concatenate([rows[..., :1], np.sin(2.0 * rows[..., 1:]) / 2.0], axis=-1)
        return (low + high) / 2 * x + (high - low) / 2 * bent @ basis.T

    return eps_hat


def ratios(move, rng, size=6, count=400):
    x, way = rng.standard_normal((2, count, size))
    y = x + way * rng.choice([1e-4, 0.1, 1.0, 4.0], (count, 1))
    return np.linalg.norm(move(x) - move(y), axis=1) / np.linalg.norm(x - y, axis=1)


@pytest.mark.parametrize("name", STEP_CONSTANTS)
@given(levels, levels, st.booleans(), st.floats(-3, 8), st.floats(0, 5), seeds)
def test_no_step_of_a_solver_goes_beyond_its_constant(name, a, b, last, low, width, seed):
    rng, t, s = np.random.default_rng(seed), np.array(min(a, b)), np.array(1.0 if last else max(a, b))
    slopes = (low, low + width)
    bound = STEP_CONSTANTS[name](t, s, slopes, slopes)

    assert ratios(step(name, gradient(*slopes, rng), t, s), rng).max() <= bound * ROUNDING + 1e-9


@pytest.mark.parametrize("name", STEP_CONSTANTS)
def test_a_constant_is_reached_by_a_linear_prediction_where_nothing_is_clipped(name):
    """Teeth: of slopes [k, k] the constant is the factor itself, but for the half that clipping may keep apart."""
    t, s, x, y = np.array(0.5), np.array(0.8), np.full(6, 0.01), np.full(6, -0.01)
    for k in (0.3, 0.7, 1.4):
        reached = np.linalg.norm(
            step(name, lambda x, _, k=k: k * x, t, s)(x) - step(name, lambda x, _, k=k: k * x, t, s)(y)
        )
        bound = STEP_CONSTANTS[name](t, s, (k, k), (k, k))

        assert reached / np.linalg.norm(x - y) == pytest.approx(bound, rel=1e-9)


@given(levels, levels)
def test_a_step_whose_slopes_are_at_least_the_noise_rate_contracts_by_the_cosine_of_its_angle(a, b):
    """With slopes in [b_t, 1 / b_t] the unclipped step has the constant a_s a_t + b_s b_t, up to its guard of 1e-6."""
    t, s = np.array(min(a, b)), np.array(max(a, b))
    rate = np.sqrt(1 - t)
    found = STEP_CONSTANTS["ddim_spec"](t, s, (rate, 1 / rate), (rate, 1 / rate))

    assert found == pytest.approx(np.sqrt(t * s) + np.sqrt((1 - t) * (1 - s)), abs=1e-4)
    assert found <= 1.0 + 1e-12


def test_every_solver_whose_step_has_no_memory_has_a_constant():
    assert set(SOLVERS) - set(STEP_CONSTANTS) == {"dpmpp_2m"}
