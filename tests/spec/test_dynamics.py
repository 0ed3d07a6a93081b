import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gen_export.spec.diffusion import (
    euler_step,
    guarded_ddim_step,
    guarded_ddpm_step,
    image_ddim_step,
    pf_ode_rhs,
)
from gen_export.spec.dynamics import (
    DrivenSystem,
    DynamicalSystem,
    ddim_step_system,
    driven_trajectory,
    euler_lipschitz,
    freeze,
    guarded_ddim_lipschitz,
    guarded_ddpm_lipschitz,
    image_ddim_lipschitz,
    is_fixed_point,
    iterate,
    iterate_with_input,
    l2_norm,
    lipschitz_ratio,
    pf_ode_euler_lipschitz,
    pf_ode_euler_system,
    pf_ode_rhs_lipschitz,
    trajectory,
)
from gen_export.spec.samplers import guarded_ddim_sample, pf_ode_euler_sample
from gen_export.spec.schedules import ContinuousLinear, alpha_bars, linear_betas

SYSTEM = DynamicalSystem(lambda x: np.cos(3.0 * x) - 0.5 * x)
DRIVEN = DrivenSystem(lambda x, u: 0.5 * x + u)
FLOW, ABARS = ContinuousLinear(0.1, 8.0), alpha_bars(linear_betas(6, 0.05, 0.4))
ROUNDING = 1 + 1e-10  # a ratio of differences of numbers near 1 that are at least 1e-4 apart keeps ten digits
counts, seeds, levels = st.integers(0, 8), st.integers(0, 2**31), st.floats(0.01, 0.999)
constants = st.floats(0, 20)


def start(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(4)


def pairs(seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Points far from each other and, at the end, near."""
    rng = np.random.default_rng(seed)
    x, steps = rng.standard_normal((2, 20, 8))
    return [(a, a + s * scale) for a, s, scale in zip(x, steps, [1.0] * 10 + [1e-3] * 10, strict=True)]


def wave(constant: float):
    """A noise prediction of this Lipschitz constant, and none smaller."""
    return lambda x: constant * np.sin(x)


@given(counts, counts, seeds)
def test_steps_compose(m: int, n: int, seed: int) -> None:
    """`iterate_zero`, `iterate_succ`, `iterate_add`, bit for bit."""
    x = start(seed)

    assert iterate(SYSTEM, 0, x) is x
    np.testing.assert_array_equal(iterate(SYSTEM, n + 1, x), SYSTEM.step(iterate(SYSTEM, n, x)))
    np.testing.assert_array_equal(iterate(SYSTEM, m + n, x), iterate(SYSTEM, m, iterate(SYSTEM, n, x)))


@given(counts, seeds)
def test_a_trajectory_is_every_iterate(n: int, seed: int) -> None:
    """`trajectory_zero`, `trajectory_succ`."""
    x = start(seed)
    states = trajectory(SYSTEM, x, n)

    assert len(states) == n + 1
    for t, state in enumerate(states):
        np.testing.assert_array_equal(state, iterate(SYSTEM, t, x))


@given(st.lists(st.floats(-2, 2), max_size=8), seeds)
def test_a_driven_trajectory_takes_its_inputs_in_order(inputs: list[float], seed: int) -> None:
    """`iterateWithInput_zero`, `iterateWithInput_succ`, `drivenTrajectory_zero`, `drivenTrajectory_succ`."""
    x = start(seed)
    states = driven_trajectory(DRIVEN, x, inputs)

    assert iterate_with_input(DRIVEN, [], x) is x
    assert states[0] is x
    for t, u in enumerate(inputs):
        np.testing.assert_array_equal(states[t + 1], DRIVEN.step(states[t], u))
        np.testing.assert_array_equal(states[t + 1], iterate_with_input(DRIVEN, inputs[: t + 1], x))


@given(st.floats(-2, 2), counts, seeds)
def test_a_constant_input_is_a_frozen_system(u: float, n: int, seed: int) -> None:
    """`DrivenSystem.freeze_step`, `iterateWithInput_const_eq_iterate`, `drivenTrajectory_const_eq_trajectory`."""
    x, frozen = start(seed), freeze(DRIVEN, u)

    np.testing.assert_array_equal(frozen.step(x), DRIVEN.step(x, u))
    np.testing.assert_array_equal(iterate_with_input(DRIVEN, [u] * n, x), iterate(frozen, n, x))
    np.testing.assert_array_equal(driven_trajectory(DRIVEN, x, [u] * n), trajectory(frozen, x, n))


@given(counts)
def test_a_fixed_point_stays(n: int) -> None:
    """`fixedPoint_iterate`, `fixedPoint_trajectory`: x / 2 + 1 keeps 2."""
    system, x = freeze(DRIVEN, 1.0), np.array([2.0, 2.0])

    assert is_fixed_point(system, x) is True
    assert is_fixed_point(system, torch.from_numpy(x)) is True
    assert is_fixed_point(system, np.array([2.0, np.nextafter(2.0, 3.0)])) is False
    np.testing.assert_array_equal(trajectory(system, x, n), [x] * (n + 1))


def test_the_norm_is_that_of_all_entries() -> None:
    """`tensorL2Norm`."""
    assert l2_norm(np.array([[3.0, 0.0], [0.0, -4.0]])) == 5.0
    assert lipschitz_ratio(lambda x: -3.0 * x, np.array([1.0, 2.0]), np.zeros(2)) == 3.0
    assert lipschitz_ratio(np.square, np.array([1.0, 2.0]), np.zeros(2), norm=lambda x: abs(x).max()) == 2.0


@given(seeds)
def test_the_guarded_sampler_iterates_its_step_systems(seed: int) -> None:
    """`ddimStepSystem_step`, bit for bit, and at the times of the sampler."""
    x = start(seed)

    def eps_model(x: np.ndarray, time: float) -> np.ndarray:
        return np.sin(x) * time

    step = ddim_step_system(eps_model, ABARS, 3).step(x)
    np.testing.assert_array_equal(step, guarded_ddim_step(x, eps_model(x, 4 / 6), ABARS[4], ABARS[3]))
    sampled = guarded_ddim_sample(eps_model, x, ABARS)
    for k in reversed(range(6)):
        x = ddim_step_system(eps_model, ABARS, k).step(x)
    np.testing.assert_array_equal(sampled, x)


@given(seeds)
def test_the_flow_sampler_iterates_its_euler_systems(seed: int) -> None:
    """`pfOdeEulerSystem_step`, bit for bit."""
    x = start(seed)

    def eps_model(x: np.ndarray, t: np.ndarray) -> np.ndarray:
        return np.sin(x) * t

    sampled = pf_ode_euler_sample(eps_model, x, FLOW, 4)
    for t in (1.0, 0.75, 0.5, 0.25):
        x = pf_ode_euler_system(eps_model, FLOW, np.asarray(t), -0.25).step(x)
    np.testing.assert_array_equal(sampled, x)


@given(levels, levels, constants, seeds)
def test_no_step_spreads_two_points_by_more_than_its_constant(a: float, b: float, constant: float, seed: int) -> None:
    """The constants of reference section 6.8, against the ratios of a prediction that reaches its own."""
    eps_hat, beta, z = wave(constant), 1.0 - min(a, b) / max(a, b), start(seed)[0]
    t, s, beta, ball = np.array(min(a, b)), np.array(max(a, b)), np.array(beta), (-constant, constant)
    steps = [
        (guarded_ddim_lipschitz(t, s, ball), lambda x: guarded_ddim_step(x, eps_hat(x), t, s)),
        (image_ddim_lipschitz(t, s, ball), lambda x: image_ddim_step(x, eps_hat(x), t, s)),
        (image_ddim_lipschitz(t, s, ball, 0.5), lambda x: image_ddim_step(x, eps_hat(x), t, s, 0.5)),
        (guarded_ddpm_lipschitz(beta, t, ball), lambda x: guarded_ddpm_step(x, eps_hat(x), z, beta, t, s)),
    ]
    for bound, step in steps:
        assert max(lipschitz_ratio(step, x, y) for x, y in pairs(seed)) <= bound * ROUNDING


@given(st.floats(0, 1), st.floats(-1, 1), constants, seeds)
def test_no_step_of_the_flow_spreads_two_points_by_more_than_its_constant(
    time: float, dt: float, constant: float, seed: int
) -> None:
    """`pfOdeEulerSystem_l2_lipschitz_of_rhs_lipschitz` with the constant of its field, and the tighter one."""
    eps_hat, t, ball = wave(constant), np.array(time), (-constant, constant)
    beta, sigma = FLOW.beta(t), FLOW.sigma(t)
    field = pf_ode_rhs_lipschitz(beta, sigma, ball)
    tight, loose = pf_ode_euler_lipschitz(beta, sigma, dt, ball), euler_lipschitz(dt, field)
    step = pf_ode_euler_system(lambda x, t: eps_hat(x), FLOW, t, dt).step

    assert tight <= loose * ROUNDING
    for x, y in pairs(seed):
        assert lipschitz_ratio(lambda x: pf_ode_rhs(x, eps_hat(x), beta, sigma), x, y) <= field * ROUNDING
        assert lipschitz_ratio(step, x, y) <= tight * ROUNDING


@given(levels, levels, constants)
def test_the_constants_are_reached_by_linear_predictions(a: float, b: float, constant: float) -> None:
    """Teeth: the better of L x and -L x reaches each constant but that of the clipped step."""
    t, s, x, y = np.array(min(a, b)), np.array(max(a, b)), np.array([3.0, 4.0]), np.zeros(2)
    beta, sigma, ball = 1.0 - t / s, np.sqrt(1.0 - t), (-constant, constant)

    def reached(step) -> float:
        return max(lipschitz_ratio(lambda x, c=sign * constant: step(x, c * x), x, y) for sign in (-1.0, 1.0))

    def euler(x: np.ndarray, eps_hat: np.ndarray) -> np.ndarray:
        return euler_step(lambda x, t: pf_ode_rhs(x, eps_hat, beta, sigma), x, t, -0.3)

    found = [
        (guarded_ddim_lipschitz(t, s, ball), reached(lambda x, e: guarded_ddim_step(x, e, t, s))),
        (guarded_ddpm_lipschitz(beta, t, ball), reached(lambda x, e: guarded_ddpm_step(x, e, 0.0, beta, t, s))),
        (pf_ode_rhs_lipschitz(beta, sigma, ball), reached(lambda x, e: pf_ode_rhs(x, e, beta, sigma))),
        (pf_ode_euler_lipschitz(beta, sigma, -0.3, ball), reached(euler)),
    ]
    for bound, ratio in found:
        assert ratio == pytest.approx(bound, rel=1e-12)


@given(levels, levels, constants)
def test_the_clipped_step_has_at_most_the_constant_of_its_terms_one_by_one(a: float, b: float, constant: float) -> None:
    """Reference section 6.8: A + A b L + sqrt(1 - abar_s) L; and at least what is left where nothing is clipped."""
    t, s, ball = np.array(min(a, b)), np.array(max(a, b)), (-constant, constant)
    gain = np.sqrt(s / t)
    found = image_ddim_lipschitz(t, s, ball)

    assert found <= (gain + gain * np.sqrt(1 - t) * constant + np.sqrt(1 - s) * constant) * ROUNDING
    assert found >= gain + abs(np.sqrt(1 - s) - gain * np.sqrt(1 - t)) * constant - 1e-12 * gain * (1 + constant)


def test_the_clipped_step_loses_what_cancels_in_it_by_half() -> None:
    """A = 1.6, b_t = sqrt(0.75), b_s = 0.6, L = 2: A / 2 + |b_s - A b_t / 2| L + A / 2 + A b_t L / 2."""
    t, s, ball = np.array(0.25), np.array(0.64), (-2.0, 2.0)
    half = 0.8 * np.sqrt(0.75)

    assert image_ddim_lipschitz(t, s, ball) == pytest.approx(1.6 + 2 * (half - 0.6) + 2 * half)
    assert image_ddim_lipschitz(t, s, ball, floor=0.8) == pytest.approx(1 + 2 * (0.6 - 0.5 * half / 0.8) + half / 0.8)
    assert image_ddim_lipschitz(t, s, ball) > guarded_ddim_lipschitz(t, s, ball)


def test_a_euler_step_of_the_theorem_never_contracts() -> None:
    """`eulerStep_l2_lipschitz_of_rhs_lipschitz` gives at least 1; the tighter constant of the flow can be less."""
    assert euler_lipschitz(-0.1, 0.0) == 1.0
    assert euler_lipschitz(-0.5, 3.0) == euler_lipschitz(0.5, 3.0) == 2.5
    assert pf_ode_euler_lipschitz(1.0, 1.0, 0.5, (0.0, 0.0)) == 0.75
