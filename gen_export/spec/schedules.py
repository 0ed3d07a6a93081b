"""Variance-preserving noise schedules (reference sections 6.1, 6.4 and 6.9).

Two conventions of the reference are different maps and have different names here:

* *states* 0..T, state 0 clean: `alpha_bars` has T + 1 values, `state_time(t) = t / T`. Ours throughout.
* *image indices* 0..T-1, all noisy: `noisy_alpha_bars` has T values, `image_time(i) = i / (T - 1)`.

Schedules are float64 NumPy arrays; cast them to the dtype of the data before use.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from gen_export.spec.diffusion import sqrt_nonneg

Array = Any


def linear_betas(states: int, beta_start: float, beta_end: float) -> np.ndarray:
    """beta_i from `beta_start` to `beta_end` in equal steps, shape (T,); [beta_end] when T = 1 (`linearBetas`)."""
    if states == 1:
        return np.array([beta_end])
    return beta_start + (np.arange(states) / max(states - 1, 1)) * (beta_end - beta_start)


def cosine_betas(states: int, offset: float = 0.008, largest: float = 0.999) -> np.ndarray:
    """beta_i of alpha_bar(u) = cos^2((u + offset) / (1 + offset) pi / 2), capped, shape (T,).

    Nichol & Dhariwal, *Improved Denoising Diffusion Probabilistic Models* (2021), arXiv:2102.09672, equation 17.
    """
    u = np.arange(states + 1) / states
    curve = np.cos((u + offset) / (1.0 + offset) * (math.pi / 2.0)) ** 2
    return np.minimum(1.0 - curve[1:] / curve[:-1], largest)


def scaled_linear_betas(states: int, beta_start: float, beta_end: float) -> np.ndarray:
    """beta_i whose square roots go from sqrt(beta_start) to sqrt(beta_end) in equal steps, shape (T,).

    Rombach et al., *High-Resolution Image Synthesis with Latent Diffusion Models* (2022), arXiv:2112.10752.
    """
    return linear_betas(states, math.sqrt(beta_start), math.sqrt(beta_end)) ** 2


def alpha_bars(betas: np.ndarray) -> np.ndarray:
    """alpha_bar_0 = 1 and alpha_bar_{t+1} = alpha_bar_t (1 - beta_t), shape (T + 1,) (`alphaBar`)."""
    return np.cumprod(np.concatenate([np.ones(1), 1.0 - betas]))


def _scaled(betas: Callable[[int, float, float], np.ndarray], states: int, first: float, last: float) -> np.ndarray:
    """Betas whose ends are chosen for 1000 states, times 1000 / T, so that any T ends at about the same noise."""
    return betas(states, first * 1000 / states, min(last * 1000 / states, 0.999))


SCHEDULES: dict[str, Callable[[int], np.ndarray]] = {
    "cosine": cosine_betas,
    "linear": lambda states: _scaled(linear_betas, states, 1e-4, 0.02),
    "scaled_linear": lambda states: _scaled(scaled_linear_betas, states, 8.5e-4, 0.012),
    "torchlean": lambda states: linear_betas(states, 1e-4, 0.12),
}
"""The betas that models offer by name, of T states: Nichol & Dhariwal's, Ho et al.'s, Rombach et al.'s, and the
reference's (section 6.10), which is made for T = 100."""


def named_alpha_bars(kind: str, states: int) -> np.ndarray:
    """alpha_bar of one of `SCHEDULES`, shape (T + 1,)."""
    return alpha_bars(SCHEDULES[kind](states))


def noisy_alpha_bars(abars: np.ndarray) -> np.ndarray:
    """alpha_bar_1..alpha_bar_T: the table of the image convention, shape (T,) (`noisyAlphaBars`)."""
    return abars[1:]


def state_time(t: Array, states: int) -> Array:
    """The time t / T of a state t in 0..T; 0 when T = 0 (`timeOfIndex`)."""
    return t / states if states else 0.0 * t


def image_time(i: int, states: int) -> float:
    """The time i / (T - 1) of an image index i in 0..T-1; 0 when T <= 1 (`ImageDDIM.timeOfIndex`)."""
    return i / (states - 1) if states > 1 else 0.0


def trailing_state(j: Array, steps: Array, states: int) -> Array:
    """The state before step j of a run of `steps`: T (steps - j) / steps, half up: T at first, 0 at the end.

    Lin et al., *Common Diffusion Noise Schedules and Sample Steps are Flawed* (2023), arXiv:2305.08891, table 2.
    """
    return (2 * states * (steps - j) + steps) // (2 * steps)


def leading_state(j: Array, steps: Array, states: int) -> Array:
    """The state before step j of a run of `steps`: 1 at the last, T // steps more at each before it; 0 at the end.

    Ho et al.'s and Song et al.'s choice (Lin et al., table 2), whose first state may lie below T.
    """
    return ((steps - 1 - j) * (states // steps) + 1) * _before_the_end(j, steps)


def linspace_state(j: Array, steps: Array, states: int) -> Array:
    """The state before step j of a run of `steps`: from T to 1 in equal parts, half down; 0 at the end.

    Nichol & Dhariwal (2021), arXiv:2102.09672 (Lin et al., table 2).
    """
    parts = steps - 1 + 1 // steps
    return (states - (2 * (states - 1) * j + parts) // (2 * parts)) * _before_the_end(j, steps)


def _before_the_end(j: Array, steps: Array) -> Array:
    """1 for j in 0..steps - 1, 0 for j = steps."""
    return (2 * steps - 1 - j) // steps


SPACINGS = {"trailing": trailing_state, "leading": leading_state, "linspace": linspace_state}
"""Which states a run of fewer steps than states goes through, by name."""


@dataclass(frozen=True, slots=True)
class ContinuousLinear:
    """beta(t) = beta0 + t (beta1 - beta0) on t in [0, 1] (`VPLinearSchedule`)."""

    beta0: float
    beta1: float

    def beta(self, t: Array) -> Array:
        """The noise rate at time t."""
        return self.beta0 + t * (self.beta1 - self.beta0)

    def alpha_bar(self, t: Array) -> Array:
        """exp(-(beta0 t + (beta1 - beta0) t^2 / 2)): the squared signal rate at time t."""
        return array_namespace(t).exp(-(self.beta0 * t + 0.5 * (self.beta1 - self.beta0) * t * t))

    def sigma(self, t: Array) -> Array:
        """sqrt(1 - alpha_bar(t)): the noise scale at time t."""
        return sqrt_nonneg(1.0 - self.alpha_bar(t))
