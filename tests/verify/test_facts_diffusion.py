"""The facts of schedules, steps, systems and noise reject wrong formulas in the place of the right ones."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gen_export.spec import diffusion, dynamics, noise, pixels, schedules
from gen_export.verify.fact import FACTS
from gen_export.verify.facts.forward_law import normality
from gen_export.verify.report import of_mathematics
from gen_export.verify.rounding import images_apart, in_units, levels_off

DIFFUSION = "NN.MLTheory.Generative.Diffusion."
SYSTEMS = "Generative.Diffusion."
LOOPS = "NN.Spec.Dynamics."
OURS = "gen_export."


def first_version_flow(x, eps_hat, beta, sigma):
    return -0.5 * beta * x + diffusion.safe_div(beta, sigma) * eps_hat


def ascending_flow(denoise, x, schedule, steps):
    def rhs(x, t):
        return diffusion.pf_ode_rhs(x, denoise(x, t), schedule.beta(t), schedule.sigma(t))

    for j in range(steps):
        x = diffusion.euler_step(rhs, x, np.asarray((j + 1) / steps), -1.0 / steps)
    return x


def image_sampler(previous: Callable[[np.ndarray, int], Any]) -> Callable[..., np.ndarray]:
    def sample(denoise, x, abars, floor=diffusion.FLOOR, postprocess=diffusion.clip_to_unit):
        for i in reversed(range(len(abars))):
            time = schedules.image_time(i, len(abars))
            x = diffusion.image_ddim_step(x, denoise(x, time), abars[i], previous(abars, i), floor, postprocess)
        return x

    return sample


def denoised_once(denoise, x, *rest):
    return denoise(x, 0.0)


def dividing_step(x, eps, abar_t, abar_s, floor=diffusion.FLOOR, postprocess=diffusion.clip_to_unit):
    root = diffusion.sqrt_nonneg(abar_t).clip(floor, None)
    clean = postprocess((x - diffusion.sqrt_nonneg(1.0 - abar_t) * eps) / root)
    return diffusion.forward_noising(clean, eps, abar_s)


def swapped_ddpm(x, eps_hat, z, beta, abar_t, abar_s):
    return diffusion.guarded_ddpm_step(x, eps_hat, z, beta, abar_s, abar_t)


def long_stride(f, x, t, dt):
    return x + 2 * dt * f(x, t)


def a_step_late(eps_model, alpha_bars, k):
    return dynamics.DynamicalSystem(
        lambda x: diffusion.guarded_ddim_step(
            x, eps_model(x, schedules.state_time(k, len(alpha_bars) - 1)), alpha_bars[k + 1], alpha_bars[k]
        )
    )


def first_version_system(eps_model, schedule, t, dt):
    def rhs(x, t):
        return first_version_flow(x, eps_model(x, t), schedule.beta(t), schedule.sigma(t))

    return dynamics.DynamicalSystem(lambda x: diffusion.euler_step(rhs, x, t, dt))


def lost_input(system, inputs, x):
    return dynamics.iterate_with_input(system, inputs[:-1], x)


def less(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *values: 0.99 * function(*values)


REPEATED = (
    lambda seed, i, draw, shape: noise.sample_normals(seed, i, 0, shape),
    lambda seed, i, draw, shape: noise.sample_normals(seed, i // np.uint64(2), draw, shape),
    lambda seed, i, draw, shape: noise.sample_normals(seed, i, draw, (shape[0] // 2,)).repeat(2, axis=1),
    lambda seed, i, draw, shape: np.tile(noise.sample_normals(seed, i, draw, (shape[0] // 2,)), 2),
)
"""The same numbers for two draws, samples, neighbouring positions and normals of one radius."""
STEPS_LATE = [
    ("iterate_zero", "iterate", lambda system, n, x: dynamics.iterate(system, n + 1, x)),
    ("iterate_succ", "iterate", lambda system, n, x: dynamics.iterate(system, max(n - 1, 0), x)),
    ("iterate_add", "iterate", lambda system, n, x: dynamics.iterate(system, n + 1, x)),
    ("trajectory_zero", "trajectory", lambda system, x, n: dynamics.trajectory(system, x, n + 1)[1:]),
    ("trajectory_succ", "trajectory", lambda system, x, n: dynamics.trajectory(system, x, n - 1)),
    ("iterateWithInput_zero", "iterate_with_input", lambda system, inputs, x: system.step(x, 1)),
    ("iterateWithInput_succ", "iterate_with_input", lost_input),
    ("drivenTrajectory_zero", "driven_trajectory", lambda s, x, u: dynamics.driven_trajectory(s, x, [*u, 1])[1:]),
    ("drivenTrajectory_succ", "driven_trajectory", lambda s, x, u: dynamics.driven_trajectory(s, x, u[::-1])),
    ("DrivenSystem.freeze_step", "freeze", lambda system, value: dynamics.freeze(system, value + 1)),
    ("iterateWithInput_const_eq_iterate", "iterate_with_input", lost_input),
    ("drivenTrajectory_const_eq_trajectory", "freeze", lambda system, value: dynamics.freeze(system, value + 1)),
    ("fixedPoint_iterate", "iterate", lambda system, n, x: dynamics.iterate(system, n, x) + np.uint64(1)),
    ("fixedPoint_iterate", "is_fixed_point", lambda system, x: True),
    ("fixedPoint_trajectory", "trajectory", lambda system, x, n: dynamics.trajectory(system, x, n)[1:]),
]
WRONG = [
    *((LOOPS + name, attribute, function) for name, attribute, function in STEPS_LATE),
    (OURS + "schedules.alpha_bar_is_a_product", "alpha_bars", lambda betas: np.cumprod(1.0 - betas)),
    (OURS + "schedules.state_time", "state_time", schedules.image_time),
    (OURS + "schedules.linear_betas", "linear_betas", lambda n, b0, b1: np.linspace(b0, b1, n)),
    (OURS + "schedules.linear_betas", "linear_betas", lambda n, b0, b1: b0 + np.arange(n) / max(n, 1) * (b1 - b0)),
    (OURS + "schedules.trailing_state", "trailing_state", lambda j, steps, states: states * (steps - j) // steps),
    ("VPSchedule.getScalar_noisyAlphaBars", "noisy_alpha_bars", lambda abars: abars[:-1]),
    ("ImageDDIM.alphaBar_zero", "image_ddim_sample", image_sampler(lambda abars, i: abars[max(i - 1, 0)])),
    ("ImageDDIM.alphaBar_succ", "image_ddim_sample", image_sampler(lambda abars, i: abars[i] if i else np.ones(()))),
    ("ImageDDIM.alphaBar_noisyAlphaBars", "noisy_alpha_bars", lambda abars: abars[:-1]),
    ("schedule_alphaBar_eq", "noisy_alpha_bars", lambda abars: abars[:-1]),
    ("schedule_normalizedTime_eq", "image_time", schedules.state_time),
    (DIFFUSION + "ddpmSample_zero_steps", "guarded_ddpm_sample", denoised_once),
    (DIFFUSION + "ddimSample_zero_steps", "guarded_ddim_sample", denoised_once),
    (DIFFUSION + "ddimSample_zero_steps", "image_ddim_sample", denoised_once),
    (DIFFUSION + "ddimSample_zero_steps", "ddim_sample", denoised_once),
    (DIFFUSION + "pfOdeSampleEuler_zero_steps", "pf_ode_euler_sample", denoised_once),
    (SYSTEMS + "ddimStep_eq_x0Pred", "guarded_ddim_step", diffusion.image_ddim_step),
    ("ddimPrev_eq_stepFromEps", "image_ddim_step", dividing_step),
    ("ddimPrev_eq_stepFromEps", "image_ddim_step", lambda x, e, t, s, *_: diffusion.image_ddim_step(x, e, t, s)),
    (OURS + "diffusion.guarded_and_image_steps_differ", "guarded_ddim_step", diffusion.image_ddim_step),
    (OURS + "diffusion.guarded_and_image_steps_differ", "image_ddim_step", diffusion.guarded_ddim_step),
    (OURS + "diffusion.image_step_of_the_sampler", "ddim_sigma", lambda t, s, eta: diffusion.ddim_sigma(t, s, 1.0)),
    (OURS + "diffusion.posterior_variance", "ddim_sigma", lambda t, s, eta: diffusion.ddim_sigma(t, s, eta) ** 2),
    (OURS + "diffusion.posterior_variance", "guarded_ddpm_step", swapped_ddpm),
    (OURS + "diffusion.ancestral_mean", "guarded_ddpm_step", swapped_ddpm),
    (OURS + "diffusion.probability_flow_keeps_the_normal_law", "pf_ode_rhs", first_version_flow),
    (OURS + "diffusion.probability_flow_known_answers", "pf_ode_rhs", first_version_flow),
    (OURS + "diffusion.probability_flow_known_answers", "pf_ode_euler_sample", ascending_flow),
    (OURS + "diffusion.probability_flow_times", "pf_ode_euler_sample", ascending_flow),
    (DIFFUSION + "sub_add_scaled_eq", "euler_step", long_stride),
    (DIFFUSION + "eulerStep_l2_distance_bound", "euler_step", long_stride),
    (DIFFUSION + "eulerStep_l2_lipschitz_of_rhs_lipschitz", "euler_step", long_stride),
    (DIFFUSION + "eulerStep_l2_lipschitz_of_rhs_lipschitz", "euler_lipschitz", lambda dt, constant: 1 + dt * constant),
    (DIFFUSION + "pfOdeEulerSystem_l2_lipschitz_of_rhs_lipschitz", "pf_ode_euler_system", first_version_system),
    (DIFFUSION + "pfOdeEulerSystem_l2_lipschitz_of_rhs_lipschitz", "pf_ode_rhs_lipschitz", lambda b, s, k: 0.5 * b),
    (DIFFUSION + "pfOdeEulerSystem_lipschitz_of_step_lipschitz", "pf_ode_euler_system", first_version_system),
    (DIFFUSION + "pfOdeEulerSystem_lipschitz_of_step_lipschitz", "l2_norm", lambda x: np.sum(x * x)),
    (DIFFUSION + "pfOdeEulerSystem_contracts_of_step_contracts", "pf_ode_euler_system", first_version_system),
    (SYSTEMS + "pfOdeEulerSystem_step", "pf_ode_euler_system", first_version_system),
    (SYSTEMS + "ddimStepSystem_step", "ddim_step_system", a_step_late),
    (DIFFUSION + "ddimStepSystem_lipschitz_of_step_lipschitz", "ddim_step_system", a_step_late),
    (DIFFUSION + "ddimStepSystem_contracts_of_step_contracts", "ddim_step_system", a_step_late),
    (OURS + "dynamics.guarded_ddim_lipschitz", "guarded_ddim_lipschitz", less(dynamics.guarded_ddim_lipschitz)),
    (OURS + "dynamics.guarded_ddim_lipschitz", "guarded_ddim_lipschitz", dynamics.image_ddim_lipschitz),
    (OURS + "dynamics.image_ddim_lipschitz", "image_ddim_lipschitz", less(dynamics.image_ddim_lipschitz)),
    (OURS + "dynamics.guarded_ddpm_lipschitz", "guarded_ddpm_lipschitz", less(dynamics.guarded_ddpm_lipschitz)),
    (OURS + "dynamics.pf_ode_euler_lipschitz", "pf_ode_euler_lipschitz", less(dynamics.pf_ode_euler_lipschitz)),
    (OURS + "noise.splitmix64", "splitmix64", lambda x: noise.splitmix64(x + np.uint64(1))),
    (OURS + "noise.keys", "sample_keys", lambda seed, index: noise.sample_keys(seed, index) - np.uint64(1)),
    (OURS + "noise.words", "squares_word", lambda counter, key: noise.squares_word(counter + np.uint64(1), key)),
    (OURS + "noise.normals", "sample_normals", lambda seed, i, draw, shape: noise.sample_normals(seed, i, 0, shape)),
    (OURS + "noise.uniforms", "uniforms", lambda keys, draw, size: noise.uniforms(keys, draw, size) - 2.0**-25),
    (OURS + "noise.uniform_pairs_make_normals", "normals", lambda k, d, size: noise.normals(k, d, size + 1)[:, 1:]),
    (OURS + "noise.law", "sample_normals", lambda *given: 1.1 * noise.sample_normals(*given)),
    *((OURS + "noise.law", "sample_normals", function) for function in REPEATED),
    (OURS + "noise.reference_normals", "counter_normals", lambda *given: noise.counter_normals(*given) + 1e-5),
    (OURS + "pixels.round_trip", "from_bytes", lambda pixels: pixels / 128.0 - 1.0),
    (OURS + "pixels.nearest_byte", "to_bytes", lambda x: ((x + 1.0) * 127.5).clip(0, 255).astype(np.uint8)),
    (OURS + "pixels.nearest_byte", "to_bytes", lambda x: np.floor((x + 1) * 127.5 + 0.5).clip(0, 255).astype(np.uint8)),
]
MODULES = {FACTS[name].check.__module__ for name, _, _ in WRONG}


def verdict(name: str) -> str:
    (outcome,) = of_mathematics(lambda known: known.name == name)
    return outcome.verdict


@pytest.mark.parametrize(("name", "attribute", "wrong"), WRONG)
def test_a_fact_rejects_a_wrong_formula(monkeypatch, name, attribute, wrong):
    assert verdict(name) == "passed"
    monkeypatch.setattr(sys.modules[FACTS[name].check.__module__], attribute, wrong)

    assert verdict(name) == "failed"


def test_every_mathematics_fact_of_these_files_has_a_wrong_formula():
    pure = {name for name, fact in FACTS.items() if fact.check.__module__ in MODULES and not fact.families}

    assert pure == {name for name, _, _ in WRONG}


@pytest.mark.parametrize(
    ("found", "allowed", "units"), [(1.5, 1.0, 0.5), (1.0, 0.0, 0.0), (1.5, 0.0, np.inf), (np.inf, 1.0, np.inf)]
)
def test_differences_are_counted_in_units_of_what_is_allowed(found, allowed, units):
    assert in_units(np.array([1.0, found]), np.ones(2), allowed, 2).error == units


def test_no_number_is_within_no_bound():
    assert not in_units(np.array([np.nan, 1.0]), np.ones(2), 1.0, 2).passed
    assert not in_units(np.ones(2), np.ones(2), np.nan, 2).passed


def test_images_are_apart_by_levels_and_by_the_share_that_differs():
    image = np.full((1, 10, 10, 1), 100, np.uint8)
    one, many = image.copy(), image + np.uint8(1)
    one[0, 0, 0, 0] += 2

    assert images_apart(image, image) == 0.0
    assert images_apart(one, image) == 1.0
    assert images_apart(many, image) > 1.0
    assert images_apart(image, image[:, :5]) == np.inf


def test_the_nearest_bytes_are_half_a_level_off_at_most():
    x = np.linspace(-1.2, 1.2, 300).reshape(1, 3, 10, 10)
    images = pixels.to_bytes(x).transpose(0, 2, 3, 1)

    assert levels_off(images, x) <= 0.5
    assert levels_off(images - np.uint8(1), x) > 0.5
    assert levels_off(images[:, :, :, :1], x) == np.inf


@pytest.mark.parametrize("law", [lambda rng: rng.uniform(-1.7, 1.7, 4096), lambda rng: 1.2 * rng.standard_normal(4096)])
def test_numbers_of_another_law_are_not_normal(law):
    assert normality(np.random.default_rng(0).standard_normal(4096)).passed
    assert not normality(law(np.random.default_rng(0))).passed
