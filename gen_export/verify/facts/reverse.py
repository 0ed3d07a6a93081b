"""Facts of single reverse steps and of samplers without steps (reference sections 6.3, 6.4, 6.6 and 6.7).

Each right side is written out with NumPy alone, in the reference's order of operations, so that equality is of bits.
"""

import math
from collections.abc import Callable
from itertools import product

import numpy as np

from gen_export.spec.diffusion import (
    clip_to_unit,
    ddim_sigma,
    guarded_ddim_step,
    guarded_ddpm_step,
    image_ddim_mean,
    image_ddim_step,
    pf_ode_rhs,
)
from gen_export.spec.samplers import (
    ddim_sample,
    guarded_ddim_sample,
    guarded_ddpm_sample,
    image_ddim_sample,
    pf_ode_euler_sample,
)
from gen_export.spec.schedules import ContinuousLinear
from gen_export.verify.fact import Finding, fact, same_bits, worst
from gen_export.verify.files import random
from gen_export.verify.rounding import in_units

CASES = 200
GUARD = 1e-6
"""What the reference adds to a divisor; told here again, so that no fact takes it from the code that it checks."""
_FACT = "NN.MLTheory.Generative.Diffusion.{}".format
_OURS = "gen_export.diffusion.{}".format
_POSTPROCESSORS = (clip_to_unit, np.copy, np.negative)
_SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, 2.0, -3.5, 1e-300, -1e300, np.inf, -np.inf, np.nan])


def _levels(purpose: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images and noise (N, 4), and pairs of levels abar_t < abar_s, (N, 1)."""
    rng = random(purpose)
    x, eps = 2.0 * rng.standard_normal((2, CASES, 4))
    abar_t, abar_s = np.sort(rng.uniform(0.001, 1.0, (2, CASES, 1)), axis=0)
    return x, eps, abar_t, abar_s


def _untouched(x: np.ndarray, _: object) -> np.ndarray:
    """A denoiser that a sampler without steps must not notice."""
    return np.full_like(x, math.nan)


def _start() -> np.ndarray:
    return random("no steps").standard_normal((5, 3))


@fact(_FACT("ddpmSample_zero_steps"), "exact", "6.6", hypotheses="T = 0")
def ancestral_sampling_without_steps() -> Finding:
    """ddpmSample = x_T when T = 0."""
    found = guarded_ddpm_sample(_untouched, _start(), np.zeros((0, 5, 3)), np.zeros(0), np.ones(1))
    return same_bits(found, _start(), 15)


@fact(_FACT("ddimSample_zero_steps"), "exact", "6.6", hypotheses="T = 0")
def deterministic_sampling_without_steps() -> Finding:
    """ddimSample = x_T when T = 0; so are the image sampler and the one that ships."""
    one = np.ones(1)
    found = [
        guarded_ddim_sample(_untouched, _start(), one),
        image_ddim_sample(_untouched, _start(), one[1:]),
        ddim_sample(_untouched, _start(), lambda j: _start(), one, 0, 1.0),
    ]
    return same_bits(np.stack(found), np.stack([_start()] * 3), 45)


@fact(_FACT("pfOdeSampleEuler_zero_steps"), "exact", "6.6", hypotheses="steps = 0")
def flow_without_steps() -> Finding:
    """pfOdeSampleEuler = x1 with 0 steps."""
    return same_bits(pf_ode_euler_sample(_untouched, _start(), ContinuousLinear(0.1, 20.0), 0), _start(), 15)


@fact("Generative.Diffusion.ddimStep_eq_x0Pred", "exact", "6.6")
def guarded_step_remixes_the_clean_image() -> Finding:
    """ddimStep = sqrt(abar_s) x0Pred + sqrt(1 - abar_s) eps_hat, with one shared eps_hat."""
    x, eps, abar_t, abar_s = _levels("guarded step")
    x0 = (x - np.sqrt(1.0 - abar_t) * eps) * (1.0 / (np.sqrt(abar_t) + GUARD))
    expected = np.sqrt(abar_s) * x0 + np.sqrt(1.0 - abar_s) * eps
    return same_bits(guarded_ddim_step(x, eps, abar_t, abar_s), expected, CASES)


@fact("ddimPrev_eq_stepFromEps", "exact", "6.7")
def interface_step_is_the_specified_one() -> Finding:
    """ddimPrev = stepFromEps for every floor and postprocessor, infinities, signed zeros and NaN included."""
    x, eps = (grid.ravel() for grid in np.meshgrid(_SPECIAL, _SPECIAL))
    found, expected = [], []
    ways = product((np.float32, np.float64), (0.0, 1e-30, 0.25, 0.504, 1.0), (1e-12, 0.5, 2.0), _POSTPROCESSORS)
    with np.errstate(all="ignore"):
        for dtype, abar_t, floor, post in ways:
            case = x.astype(dtype), eps.astype(dtype), dtype(abar_t), dtype(0.81), floor, post
            found.append(_known(image_ddim_step(*case)))
            expected.append(_known(_previous(*case)))
    return same_bits(np.stack(found, dtype=np.float64), np.stack(expected, dtype=np.float64), x.size * len(found))


def _previous(
    x: np.ndarray,
    eps: np.ndarray,
    abar_t: np.floating,
    abar_s: np.floating,
    floor: float,
    postprocess: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """The step as the interface writes it: branches where the specification clips."""
    root = np.sqrt(abar_t)
    reciprocal = 1 / np.where(root > floor, root, floor)
    clean = (x - np.sqrt(1 - abar_t) * eps) * reciprocal
    if postprocess is clip_to_unit:
        clean = np.where(clean > 1, np.ones_like(clean), np.where(clean < -1, -np.ones_like(clean), clean))
    else:
        clean = postprocess(clean)
    return np.sqrt(abar_s) * clean + np.sqrt(1 - abar_s) * eps


def _known(values: np.ndarray) -> np.ndarray:
    """The values with one NaN for all: its sign and payload are no part of IEEE arithmetic's promise."""
    return np.where(np.isnan(values), np.nan, values).astype(values.dtype)


@fact(_OURS("guarded_and_image_steps_differ"), "sampled", hypotheses="the clean image lies 1/4 outside [-1, 1]")
def guarded_and_image_steps_differ() -> Finding:
    """Where clipping acts, by c, the two steps are sqrt(abar_s) c apart but for the guard, of 1e-6 / sqrt(abar_t)."""
    x, eps, abar_t, abar_s = _levels("two forms")
    clean = (x - np.sqrt(1.0 - abar_t) * eps) / np.sqrt(abar_t)
    cut = np.maximum(np.abs(clean) - 1.0, 0.0)
    apart = np.abs(guarded_ddim_step(x, eps, abar_t, abar_s) - image_ddim_step(x, eps, abar_t, abar_s))
    # The guard scales the clean image by 1 - g / (r + g); float64 rounding is far below it.
    least = np.sqrt(abar_s) * (cut - 1.01 * np.abs(clean) * GUARD / np.sqrt(abar_t))
    acts = cut > 0.25
    return worst((least - apart)[acts], 0.0, int(acts.sum()))


@fact(_OURS("image_step_of_the_sampler"), "tolerance")
def sampler_without_noise_takes_image_steps() -> Finding:
    """With eta = 0 the step that ships is the image form's."""
    x, eps, abar_t, abar_s = _levels("eta zero")
    found = image_ddim_mean(x, eps, abar_t, abar_s, ddim_sigma(abar_t, abar_s, 0.0))
    # The same operations but for 1 - abar_s - 0, which rounds as 1 - abar_s does: one unit is given for the root.
    expected = image_ddim_step(x, eps, abar_t, abar_s)
    return in_units(found, expected, 2.0**-52 * (1.0 + np.abs(eps)), CASES)


@fact(_OURS("posterior_variance"), "tolerance")
def ancestral_noise_has_the_posterior_variance() -> Finding:
    """With eta = 1 the noise has the posterior's variance (1 - abar_s) / (1 - abar_t) beta, as that of ddpmStep."""
    x, eps, abar_t, abar_s = _levels("posterior")
    beta = 1.0 - abar_t / abar_s
    expected = np.sqrt((1.0 - abar_s) / (1.0 - abar_t) * beta)
    with_noise, without = (guarded_ddpm_step(x, eps, z, beta, abar_t, abar_s) for z in (1.0, 0.0))
    found = np.stack([ddim_sigma(abar_t, abar_s, 1.0) + 0.0 * x, with_noise - without])
    # The guard takes 1e-6 of a variance's share; x and eps are cancelled from sums below 2^8.
    allowed = expected * GUARD / (1.0 - abar_t) + 2.0**-44
    return in_units(found, np.stack([expected + 0.0 * x] * 2), allowed, 2 * CASES)


@fact(_OURS("ancestral_mean"), "tolerance")
def ancestral_mean_is_that_of_the_posterior() -> Finding:
    """The mean of ddpmStep is the posterior's of x_t and the clean image that eps_hat implies.

    It is (sqrt(abar_s) beta x_0 + sqrt(1 - beta) (1 - abar_s) x_t) / (1 - abar_t): Ho et al., equation 7.
    """
    x, eps, abar_t, abar_s = _levels("posterior mean")
    alpha = abar_t / abar_s
    clean = (x - np.sqrt(1.0 - abar_t) * eps) / np.sqrt(abar_t)
    mean = (np.sqrt(abar_s) * (1.0 - alpha) * clean + np.sqrt(alpha) * (1.0 - abar_s) * x) / (1.0 - abar_t)
    found = guarded_ddpm_step(x, eps, 0.0, 1.0 - alpha, abar_t, abar_s)
    # Two guards, each a share 1e-6 / divisor of what it divides.
    part = np.abs(eps) * (1.0 - alpha) / np.sqrt(1.0 - abar_t)
    guards = GUARD / np.sqrt(1.0 - abar_t) * part + GUARD / np.sqrt(alpha) * (np.abs(x) + part)
    return in_units(found, mean, guards / np.sqrt(alpha) + 2.0**-40 / (1.0 - abar_t), CASES)


@fact(_OURS("probability_flow_keeps_the_normal_law"), "tolerance")
def flow_keeps_the_normal_law() -> Finding:
    """On standard normal data, where eps_hat = sigma x, nothing flows: dx/dt = 0 but for the guard."""
    x, _, beta, _ = _levels("flow")
    schedule, t = ContinuousLinear(0.1, 20.0), random("flow times").uniform(0.01, 1.0, beta.shape)
    rate, sigma = schedule.beta(t), schedule.sigma(t)
    # The guard leaves beta |x| / 2 times its share 1e-6 / (sigma + 1e-6); 2^-50 is for float64 rounding.
    allowed = 0.5 * rate * np.abs(x) * (GUARD / (sigma + GUARD) + 2.0**-50)
    return in_units(pf_ode_rhs(x, sigma * x, rate, sigma), 0.0 * x, allowed, CASES)


@fact(_OURS("probability_flow_known_answers"), "tolerance")
def flow_known_answers() -> Finding:
    """For beta from 1 to 2 and eps_hat = 1: dx/dt(2, 3/4) = -0.659178, and two steps take 2 to 2.794913."""
    schedule, t = ContinuousLinear(1.0, 2.0), np.asarray(0.75)
    slope = pf_ode_rhs(np.asarray(2.0), np.asarray(1.0), schedule.beta(t), schedule.sigma(t))
    end = pf_ode_euler_sample(lambda x, t: np.ones_like(x), np.array([2.0]), schedule, 2)
    return worst(np.abs([slope + 0.659178, end[0] - 2.794913]), 5.1e-7, 2, "printed to 6 digits")


@fact(_OURS("probability_flow_times"), "exact")
def flow_times_descend_from_one() -> Finding:
    """Euler's method looks at the times 1, (n - 1) / n, ..., 1 / n, in this order."""
    found: list[float] = []

    def denoise(x: np.ndarray, t: np.ndarray) -> np.ndarray:
        found.append(float(t))
        return x

    for steps in range(1, 9):
        pf_ode_euler_sample(denoise, np.ones(1), ContinuousLinear(0.1, 1.0), steps)
    expected = [(n - j) / n for n in range(1, 9) for j in range(n)]
    return same_bits(np.array(found), np.array(expected), len(expected))
