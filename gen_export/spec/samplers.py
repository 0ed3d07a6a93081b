"""Whole samplers: the steps of `gen_export.spec.diffusion` in their order (reference sections 6.3, 6.4, 6.7, 6.9)."""

from collections.abc import Callable
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from gen_export.spec.diffusion import (
    FLOOR,
    clip_to_unit,
    euler_step,
    guarded_ddim_step,
    guarded_ddpm_step,
    image_ddim_step,
    pf_ode_rhs,
)
from gen_export.spec.schedules import SPACINGS, ContinuousLinear, image_time, state_time
from gen_export.spec.solvers import SOLVERS, Levels, moves, visited

Array = Any
Denoiser = Callable[[Array, Any], Array]


def guarded_ddpm_sample(denoise: Denoiser, x: Array, noise: Array, betas: Array, abars: Array) -> Array:
    """Ancestral sampling over all states (`ddpmSample`); `noise[k]` is for the step to k, `denoise` takes t / T."""
    states = len(betas)
    for k in reversed(range(states)):
        eps_hat = denoise(x, state_time(k + 1, states))
        x = guarded_ddpm_step(x, eps_hat, noise[k], betas[k], abars[k + 1], abars[k])
    return x


def guarded_ddim_sample(denoise: Denoiser, x: Array, abars: Array) -> Array:
    """Deterministic sampling over all states, unclipped; `denoise` takes the time t / T (`ddimSample`)."""
    states = len(abars) - 1
    for k in reversed(range(states)):
        x = guarded_ddim_step(x, denoise(x, state_time(k + 1, states)), abars[k + 1], abars[k])
    return x


def image_ddim_sample(
    denoise: Denoiser,
    x: Array,
    noisy_abars: Array,
    floor: float = FLOOR,
    postprocess: Callable[[Array], Array] = clip_to_unit,
    start: int | None = None,
) -> Array:
    """Deterministic clipped sampling from index `start` (default T - 1) to 0 (`reverseDdim`, `reverseDdimFrom`)."""
    states = len(noisy_abars)
    for i in reversed(range(states if start is None else start + 1)):
        abar_s = noisy_abars[i - 1] if i else array_namespace(noisy_abars).ones_like(noisy_abars[0])
        x = image_ddim_step(x, denoise(x, image_time(i, states)), noisy_abars[i], abar_s, floor, postprocess)
    return x


def pf_ode_euler_sample(denoise: Denoiser, x: Array, schedule: ContinuousLinear, steps: int) -> Array:
    """Euler's method on the probability flow at times 1, (n-1)/n, ..., 1/n with dt = -1/n (`pfOdeSampleEuler`, V3)."""

    def rhs(x: Array, t: Array) -> Array:
        return pf_ode_rhs(x, denoise(x, t), schedule.beta(t), schedule.sigma(t))

    for j in range(steps):
        x = euler_step(rhs, x, np.asarray((steps - j) / steps), -1.0 / steps)
    return x


def solve(
    denoise: Denoiser,
    x: Array,
    noise: Callable[[int], Array],
    abars: Array,
    steps: int,
    solver: str = "ddim",
    eta: float = 0.0,
    spacing: str = "trailing",
) -> Array:
    """The sampler that ships: a solver of `gen_export.spec.solvers` over `steps` states; `denoise` takes the state t.

    Args:
        denoise: Maps x_t (B, ...) and the state t to the predicted noise.
        x: Initial noise, shape (B, ...).
        noise: Maps j in 1..steps to that step's noise, shape (B, ...); called only where the step adds some.
        abars: alpha_bar of the states 0..T, in the dtype of x.
        steps: Number of steps, 0..T; 0 returns x (`ddimSample_zero_steps`).
        solver: One of `SOLVERS`.
        eta: Of `ddim`: 0 deterministic .. 1 ancestral.
        spacing: One of `SPACINGS`.
    """
    chosen, states, memory = SOLVERS[solver], len(abars) - 1, 0.0 * x
    xp = array_namespace(abars)

    def between(j: int, steps: int) -> int:
        return SPACINGS[spacing](j, steps, states)

    run = chosen.steps(steps, states) if steps else 0
    for j in range(moves(run, chosen.evaluations)):
        (r, t, s), correcting = visited(j, run, chosen.evaluations, between)
        levels = Levels(abars[r], abars[t], abars[s], xp.asarray(correcting), eta)
        x, sigma, memory = chosen.move(levels, x, denoise(x, s if correcting else t), memory)
        if sigma > 0:
            x = x + sigma * noise(j + 1)
    return x


def ddim_sample(
    denoise: Denoiser, x: Array, noise: Callable[[int], Array], abars: Array, steps: int, eta: float
) -> Array:
    """The default of what ships: DDIM over trailing states, clipped, fresh noise of scale eta (see `solve`)."""
    return solve(denoise, x, noise, abars, steps, "ddim", eta)
