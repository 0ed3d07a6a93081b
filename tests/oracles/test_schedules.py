"""Our schedules beside those of diffusers, which are float32, and of azula."""

import numpy as np
import pytest
import torch

from gen_export.spec.schedules import (
    ContinuousLinear,
    alpha_bars,
    cosine_betas,
    linear_betas,
    named_alpha_bars,
    scaled_linear_betas,
)

LIBRARY = "pip install 'gen-export[oracle]'"
BETAS = 1e-6  # 2^-24 = 6e-8 through each of a handful of operations of float32
LEVELS = 1e-4  # that of up to 1000 factors one after another, or of the one factor 1 - 0.999 of the cosine's cap


@pytest.mark.parametrize("number", [40, 1000])
@pytest.mark.parametrize(
    ("kind", "betas"),
    [
        ("squaredcos_cap_v2", lambda number, *_: cosine_betas(number)),
        ("linear", linear_betas),
        ("scaled_linear", scaled_linear_betas),
    ],
)
def test_the_betas_are_those_of_diffusers(number, kind, betas):
    diffusers = pytest.importorskip("diffusers", reason=f"needs diffusers: {LIBRARY}")
    theirs = diffusers.DDIMScheduler(number, beta_schedule=kind, beta_start=8.5e-4, beta_end=0.012)
    expected = betas(number, 8.5e-4, 0.012)

    np.testing.assert_allclose(theirs.betas.numpy(), expected, rtol=BETAS)
    np.testing.assert_allclose(theirs.alphas_cumprod.numpy(), alpha_bars(expected)[1:], rtol=LEVELS)


@pytest.mark.parametrize(("kind", "ends"), [("linear", (1e-4, 0.02)), ("scaled_linear", (8.5e-4, 0.012))])
def test_the_named_schedules_of_1000_states_are_those_that_checkpoints_are_trained_with(kind, ends):
    diffusers = pytest.importorskip("diffusers", reason=f"needs diffusers: {LIBRARY}")
    theirs = diffusers.DDPMScheduler(1000, beta_schedule=kind, beta_start=ends[0], beta_end=ends[1])

    np.testing.assert_allclose(theirs.alphas_cumprod.numpy(), named_alpha_bars(kind, 1000)[1:], rtol=LEVELS)


def test_the_continuous_schedule_from_zero_is_vp_schedule_without_its_least_noise():
    """Its signal rate is alpha_min at time 1, so that beta_1 = -4 ln alpha_min."""
    noise = pytest.importorskip("azula.noise", reason=f"needs azula: {LIBRARY}")
    times = torch.linspace(0.0, 1.0, 11, dtype=torch.float64)
    signal, rate = noise.VPSchedule(alpha_min=0.02, sigma_min=0.0)(times)
    ours = ContinuousLinear(0.0, -4.0 * np.log(0.02))

    np.testing.assert_allclose(signal.numpy(), np.sqrt(ours.alpha_bar(times.numpy())), rtol=1e-12)
    np.testing.assert_allclose(rate.numpy(), ours.sigma(times.numpy()), rtol=1e-12, atol=1e-12)
