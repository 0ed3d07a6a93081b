"""Our solvers beside diffusers' schedulers: the same state at every evaluation, or the change of variable between them.

docs/solvers.md says which setting equals which solver. DDIM and DDPM compute in the dtype of their levels, here
float64; Euler, Heun and DPM-Solver keep their levels in float32, and but for Heun the state too: hence FLOAT32.
"""

import functools

import numpy as np
import pytest
import torch

from gen_export.spec.diffusion import euler_step, pf_ode_rhs
from gen_export.spec.schedules import SPACINGS, ContinuousLinear
from tests.oracles.drivers import (
    ABARS,
    AT_THE_ENDS,
    EVERYWHERE,
    INSIDE,
    MIXTURE,
    NOISE,
    STATES,
    apart,
    by_diffusers,
    no_value_is_clipped,
    ours,
    score,
    states,
    with_levels,
)

diffusers = pytest.importorskip("diffusers", reason="needs diffusers: pip install 'gen-export[oracle]'")
# Theirs, of how it reads its own levels.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning:diffusers.*")
EXACT = 1e-12  # of float64 through at most 60 steps
FLOAT32 = 1e-5  # 2^-24 of x / a, which begins 23 times as large as x, is 1.4e-6; over at most 20 steps 3e-6, measured


def timesteps(steps, spacing="trailing"):
    """The states of a run in their numbering."""
    return [t - 1 for t in states(steps, spacing)]


def ddim(steps, spacing="trailing", data=AT_THE_ENDS, **options):
    scheduler = with_levels(diffusers.DDIMScheduler(STATES, timestep_spacing=spacing, **options), data)
    scheduler.set_timesteps(steps)
    return scheduler


def custom(kind, steps, data, spacing="trailing", **options):
    """A scheduler that goes through the states of our run."""
    scheduler = with_levels(kind(num_train_timesteps=STATES, **options), data)
    scheduler.set_timesteps(timesteps=timesteps(steps, spacing))
    return scheduler


@pytest.mark.parametrize("data", EVERYWHERE.values(), ids=EVERYWHERE)
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("spacing", ["trailing", "leading"])
def test_ddim_is_ddim_scheduler_that_clips(data, eta, spacing):
    run = by_diffusers(ddim(12, spacing, data), data, eta=eta)

    assert apart(run, ours(data, 12, "ddim", eta, spacing)) < EXACT


def test_the_full_samplers_are_ddim_scheduler_of_all_states_with_and_without_clipping():
    """`ddim_spec` adds 1e-6 to a divisor of at least 0.04, and its clean images are below 4."""
    clipped, free = ddim(STATES), ddim(STATES, clip_sample=False)

    assert apart(by_diffusers(clipped, AT_THE_ENDS), ours(AT_THE_ENDS, 3, "ddim_image")) < EXACT
    assert apart(by_diffusers(free, AT_THE_ENDS), ours(AT_THE_ENDS, 3, "ddim_spec")) < 4 * 1e-6 / 0.04
    assert apart(ours(AT_THE_ENDS, 3, "ddim_image"), ours(AT_THE_ENDS, 3, "ddim_spec")) > 0.1


@pytest.mark.parametrize("data", EVERYWHERE.values(), ids=EVERYWHERE)
@pytest.mark.parametrize(
    ("steps", "spacing"), [(12, "trailing"), (7, "trailing"), (7, "leading"), (7, "linspace"), (60, "trailing")]
)
def test_ddpm_is_ddpm_scheduler_of_small_variance(data, steps, spacing):
    """In a last step from above state 1 it adds noise of scale 1e-10, which ours has not."""
    scheduler = custom(diffusers.DDPMScheduler, steps, data, spacing, variance_type="fixed_small")

    assert apart(by_diffusers(scheduler, data), ours(data, steps, "ddpm", spacing=spacing)) < 1e-9


@pytest.mark.parametrize("data", INSIDE.values(), ids=INSIDE)
@pytest.mark.parametrize("spacing", SPACINGS)
def test_ddim_without_fresh_noise_is_euler_discrete_scheduler(data, spacing):
    """Euler's method on x / a as a function of b / a; it does not clip."""
    scheduler = custom(diffusers.EulerDiscreteScheduler, 7, data, spacing)
    expected = ours(data, 7, "ddim", spacing=spacing)

    assert no_value_is_clipped(data, expected, states(7, spacing))
    assert apart(by_diffusers(scheduler, data), expected) < FLOAT32


@pytest.mark.parametrize("data", INSIDE.values(), ids=INSIDE)
@pytest.mark.parametrize(("solver", "eta"), [("ddim", 1.0), ("ddpm", 0.0)])
def test_ancestral_sampling_is_euler_ancestral_discrete_scheduler(data, solver, eta):
    scheduler = diffusers.EulerAncestralDiscreteScheduler(STATES, timestep_spacing="trailing")
    with_levels(scheduler, data).set_timesteps(12)
    expected = ours(data, 12, solver, eta)

    assert no_value_is_clipped(data, expected, states(12))
    assert apart(by_diffusers(scheduler, data), expected) < FLOAT32


@pytest.mark.parametrize("data", INSIDE.values(), ids=INSIDE)
@pytest.mark.parametrize("spacing", SPACINGS)
def test_euler_is_a_plain_integrator_of_the_flow_of_the_score_in_minus_ln_alpha_bar(data, spacing):
    """The flow is dx / dtau = -(x + score) / 2; the score is the density's derivative, the steps are theirs."""
    at = states(7, spacing)
    integrator = diffusers.FlowMatchEulerDiscreteScheduler()
    integrator.set_timesteps(sigmas=[-np.log(ABARS[t]) for t in at])
    x, seen = torch.from_numpy(NOISE), [NOISE]
    for t, time in zip(at, integrator.timesteps, strict=True):
        x = integrator.step(-0.5 * (x + score(data, x, t)), time, x).prev_sample
        seen.append(x.numpy())

    # The guard of 1e-6 on the noise rate is most of it: 6e-6, measured.
    assert apart(np.stack(seen), ours(data, 7, "euler", spacing=spacing)) < FLOAT32


@pytest.mark.parametrize("data", EVERYWHERE.values(), ids=EVERYWHERE)
def test_heun_is_heun_discrete_scheduler_with_image_and_noise_swapped(data):
    """It integrates x / a over b / a with the noise as slope; ours x / b over a / b with the clipped clean image.

    With alpha_bar in the place of 1 - alpha_bar these are one; only the last step of ours, to b = 0, has no such place.
    """
    scheduler = diffusers.HeunDiscreteScheduler(STATES)
    scheduler.alphas_cumprod = torch.from_numpy(1.0 - data.abars[1:])
    scheduler.set_timesteps(timesteps=timesteps(7))
    found, x = [], torch.from_numpy(NOISE) / np.sqrt(1.0 - data.abars[STATES])
    for time in scheduler.timesteps:
        t = int(time) + 1
        found.append(x.numpy() * np.sqrt(1.0 - data.abars[t]))
        x = scheduler.step(torch.from_numpy(data.clean(found[-1], t).clip(-1, 1)), time, x).prev_sample

    assert apart(np.stack(found), ours(data, 7, "heun")[:-1]) < FLOAT32


@pytest.mark.parametrize("data", INSIDE.values(), ids=INSIDE)
@pytest.mark.parametrize(
    ("steps", "spacing"),
    [(1, "trailing"), (2, "trailing"), (7, "trailing"), (7, "leading"), (7, "linspace"), (20, "trailing")],
)
def test_dpmpp_2m_is_dpm_solver_multistep_scheduler(data, spacing, steps):
    """`midpoint`, ending in zero noise, for which it takes one prediction in the last step whatever the steps."""
    scheduler = custom(diffusers.DPMSolverMultistepScheduler, steps, data, spacing)

    assert apart(by_diffusers(scheduler, data), ours(data, steps, "dpmpp_2m", spacing=spacing)) < FLOAT32


def test_dpmpp_2m_clips_as_thresholding_at_one_does():
    scheduler = custom(diffusers.DPMSolverMultistepScheduler, 12, AT_THE_ENDS, thresholding=True, sample_max_value=1.0)

    assert apart(by_diffusers(scheduler, AT_THE_ENDS), ours(AT_THE_ENDS, 12, "dpmpp_2m")) < FLOAT32


BETAS = (1.0 - ABARS[1:] / ABARS[:-1]).tolist()
# Settings that are not ours, as scheduler, options, data and solver, and the largest distance in 12 steps.
OTHERS = {
    "no clipping": ("DDIMScheduler", {"clip_sample": False}, AT_THE_ENDS, "ddim", 0.56),
    "ends at state 1": ("DDIMScheduler", {"set_alpha_to_one": False, "trained_betas": BETAS}, MIXTURE, "ddim", 0.052),
    "large variance": ("DDPMScheduler", {"variance_type": "fixed_large"}, AT_THE_ENDS, "ddpm", 0.56),
    "slopes in b / a": ("HeunDiscreteScheduler", {}, MIXTURE, "heun", 0.045),
    "exact line": ("DPMSolverMultistepScheduler", {"solver_type": "heun"}, MIXTURE, "dpmpp_2m", 0.0066),
    "ends at sigma_min": (
        "DPMSolverMultistepScheduler",
        {"final_sigmas_type": "sigma_min"},
        MIXTURE,
        "dpmpp_2m",
        0.054,
    ),
    "no thresholding": ("DPMSolverMultistepScheduler", {}, AT_THE_ENDS, "dpmpp_2m", 0.47),
}


@pytest.mark.parametrize("setting", OTHERS)
def test_other_settings_are_as_far_from_ours_as_the_document_says(setting):
    name, options, data, solver, distance = OTHERS[setting]
    make = ddim if name == "DDIMScheduler" else functools.partial(custom, getattr(diffusers, name))
    theirs = by_diffusers(make(12, data=data, **options), data)

    assert apart(theirs, ours(data, 12, solver)) == pytest.approx(distance, rel=0.02)


def test_noise_seen_again_through_the_clipped_image_is_another_direction():
    """`use_clipped_model_output`: ours keeps the denoiser's noise, as their default does."""
    theirs = by_diffusers(ddim(12), AT_THE_ENDS, use_clipped_model_output=True)

    assert apart(theirs, ours(AT_THE_ENDS, 12, "ddim")) == pytest.approx(0.35, rel=0.02)


def test_ddim_scheduler_goes_to_fixed_distances_and_not_to_the_next_state():
    """Its level after a step is T // steps below, so that spacings of other distances mix two levels."""
    theirs = by_diffusers(ddim(12, "linspace"), AT_THE_ENDS)

    assert timesteps(12, "linspace") == ddim(12, "linspace").timesteps.tolist()
    assert apart(theirs, ours(AT_THE_ENDS, 12, "ddim", spacing="linspace")) == pytest.approx(0.091, rel=0.02)


def test_a_step_of_the_flow_is_one_of_the_sde_scheduler_with_half_the_score():
    """The flow has half the score of the reverse equation with noise (Song et al. 2021, equation 13)."""
    module = pytest.importorskip(
        "diffusers.schedulers.deprecated.scheduling_sde_vp", reason="diffusers has dropped its deprecated schedulers"
    )
    scheduler = module.ScoreSdeVpScheduler(beta_min=0.1, beta_max=8.0)
    scheduler.set_timesteps(10)
    schedule, x = ContinuousLinear(0.1, 8.0), torch.from_numpy(NOISE)
    for t in (1.0, 0.6, 0.1):
        eps = torch.sin(3.0 * x + t)
        _, found = scheduler.step_pred(0.5 * eps, x, torch.tensor(t, dtype=torch.float64))
        time = np.asarray(t)
        expected = euler_step(
            lambda x, t, eps=eps: pf_ode_rhs(x, eps.numpy(), schedule.beta(t), schedule.sigma(t)), NOISE, time, -0.1
        )

        assert apart(found.numpy(), expected) < 5e-6  # the guard: 1e-6 of a noise rate of at least 0.2


@pytest.mark.parametrize("number", [60, 1000])
@pytest.mark.parametrize(("spacing", "fewer", "direction"), [("trailing", 0, 1), ("linspace", 1, -1)])
def test_spacings_are_those_of_ddim_scheduler_one_state_higher(number, spacing, fewer, direction):
    """Equal but for halves, which theirs rounds to even, ours up (trailing) or down (linspace)."""
    for steps in range(2, 51):
        scheduler = diffusers.DDIMScheduler(number, timestep_spacing=spacing)
        scheduler.set_timesteps(steps)
        found, expected = scheduler.timesteps.numpy()[:steps] + 1, np.array(states(steps, spacing, number))
        parts = steps - fewer
        halves = 2 * (number - fewer) * np.arange(steps) % (2 * parts) == parts

        np.testing.assert_array_equal(found[~halves], expected[~halves])
        assert set((expected - found)[halves]) <= {0, direction}


def test_leading_is_theirs_one_state_higher_without_an_offset():
    for steps in range(1, 51):
        assert ddim(steps, "leading").timesteps.tolist() == timesteps(steps, "leading")
        assert ddim(steps, "leading", steps_offset=1).timesteps.tolist() == states(steps, "leading")


def test_trailing_may_hold_a_state_too_many_there():
    """60 / 13 added up 13 times in float64 falls short of 60, and the rest is a step from index -1."""
    assert ddim(13).timesteps.tolist() == [*timesteps(13), -1]


def test_one_step_of_linspace_begins_at_the_last_state_and_theirs_at_the_first():
    assert states(1, "linspace") == [STATES]
    assert ddim(1, "linspace").timesteps.tolist() == [0]


def test_dpm_solver_multistep_scheduler_divides_leading_and_linspace_by_one_more():
    scheduler = diffusers.DPMSolverMultistepScheduler(STATES, timestep_spacing="linspace")
    scheduler.set_timesteps(11)

    assert (scheduler.timesteps + 1).tolist() == states(12, "linspace")[:-1]
