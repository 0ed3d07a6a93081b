"""Samplers as dynamical systems, and how far apart their steps can take two points (reference sections 1.4, 6.6, 6.8).

A Lipschitz constant L of f bounds |f(x) - f(y)| by L |x - y| in the L2 norm; a whole sampler's is the product of its
steps'. What is known of the noise prediction eps_hat are its `slopes`, a range [l, h]: x -> eps_hat(x) - (l + h) / 2 x
has the constant (h - l) / 2. Any function of constant L has the slopes [-L, L]; a differentiable one whose slopes are
symmetric matrices with eigenvalues in [l, h] has the slopes [l, h].
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate
from typing import Any

from array_api_compat import array_namespace

from gen_export.spec.diffusion import FLOOR, euler_step, guarded_ddim_step, pf_ode_rhs, safe_div, sqrt_nonneg
from gen_export.spec.schedules import ContinuousLinear, state_time

Array = Any
Map = Callable[[Array], Array]
EpsModel = Callable[[Array, Any], Array]
Slopes = tuple[Array, Array]


@dataclass(frozen=True, slots=True)
class DynamicalSystem:
    """A map from a state to the next (`DynamicalSystem`)."""

    step: Map


@dataclass(frozen=True, slots=True)
class DrivenSystem:
    """A map from a state and an input to the next state (`DrivenSystem`)."""

    step: Callable[[Array, Any], Array]


def iterate(system: DynamicalSystem, n: int, x: Array) -> Array:
    """The state after n steps from x (`iterate`)."""
    return reduce(lambda state, _: system.step(state), range(n), x)


def trajectory(system: DynamicalSystem, x: Array, n: int) -> list[Array]:
    """The states after 0, 1, ..., n steps from x (`trajectory`)."""
    return list(accumulate(range(n), lambda state, _: system.step(state), initial=x))


def iterate_with_input(system: DrivenSystem, inputs: Sequence[Any], x: Array) -> Array:
    """The state after one step from x for each input (`iterateWithInput`)."""
    return reduce(system.step, inputs, x)


def driven_trajectory(system: DrivenSystem, x: Array, inputs: Sequence[Any]) -> list[Array]:
    """The states: x, then that after each input (`drivenTrajectory`)."""
    return list(accumulate(inputs, system.step, initial=x))


def freeze(system: DrivenSystem, value: Any) -> DynamicalSystem:
    """The system with its input held at one value (`DrivenSystem.freeze`)."""
    return DynamicalSystem(lambda x: system.step(x, value))


def is_fixed_point(system: DynamicalSystem, x: Array) -> bool:
    """Whether a step leaves x exactly as it is (`IsFixedPoint`)."""
    return bool(array_namespace(x).all(system.step(x) == x))


def l2_norm(x: Array) -> Array:
    """The square root of the sum of squares of all entries (`tensorL2Norm`)."""
    xp = array_namespace(x)
    return xp.sqrt(xp.sum(x * x))


def lipschitz_ratio(f: Map, x: Array, y: Array, norm: Map = l2_norm) -> Array:
    """The quotient norm(f(x) - f(y)) / norm(x - y), for x other than y: no Lipschitz constant of f is smaller."""
    return norm(f(x) - f(y)) / norm(x - y)


def ddim_step_system(eps_model: EpsModel, alpha_bars: Array, k: int) -> DynamicalSystem:
    """The guarded DDIM step from state k + 1 to k, of states 0..T (`ddimStepSystem`)."""
    time = state_time(k + 1, len(alpha_bars) - 1)
    return DynamicalSystem(lambda x: guarded_ddim_step(x, eps_model(x, time), alpha_bars[k + 1], alpha_bars[k]))


def pf_ode_euler_system(eps_model: EpsModel, schedule: ContinuousLinear, t: Array, dt: Array) -> DynamicalSystem:
    """Euler's step of the probability flow at time t, an array (`pfOdeEulerSystem`)."""

    def rhs(x: Array, t: Array) -> Array:
        return pf_ode_rhs(x, eps_model(x, t), schedule.beta(t), schedule.sigma(t))

    return DynamicalSystem(lambda x: euler_step(rhs, x, t, dt))


def euler_lipschitz(dt: Array, rhs_lipschitz: Array) -> Array:
    """Constant 1 + |dt| L of Euler's step over a field of constant L (`eulerStep_l2_lipschitz_of_rhs_lipschitz`)."""
    return 1.0 + abs(dt) * rhs_lipschitz


def mixed_lipschitz(own: Array, predicted: Array, slopes: Slopes) -> Array:
    """Constant |own + predicted (l + h) / 2| + |predicted| (h - l) / 2 of x -> own x + predicted eps_hat(x).

    It is the larger of |own + predicted l| and |own + predicted h|; for slopes [-L, L] it is |own| + |predicted| L.
    """
    low, high = slopes
    return abs(own + predicted * (0.5 * (low + high))) + abs(predicted) * (0.5 * (high - low))


def clipped_lipschitz(
    own: Array, clean: Array, predicted: Array, abar_t: Array, slopes: Slopes, floor: float = FLOOR
) -> Array:
    """Constant of x -> own x + clean clip(x0) + predicted eps_hat(x), where x0 = (x - sqrt(1 - abar_t) eps_hat(x)) / r.

    r = max(sqrt(abar_t), floor). Clipping projects, so that 2 clip(x0) - x0 has no larger constant than x0
    (Bauschke & Combettes, *Convex Analysis and Monotone Operator Theory*, 2017, corollary 4.18): half of it is x0
    itself, in which the terms of eps_hat still cancel.
    """
    gain = 0.5 * clean / sqrt_nonneg(abar_t).clip(floor, None)
    noise = gain * sqrt_nonneg(1.0 - abar_t)
    return mixed_lipschitz(own + gain, predicted - noise, slopes) + mixed_lipschitz(gain, -noise, slopes)


def pf_ode_rhs_lipschitz(beta: Array, sigma: Array, slopes: Slopes) -> Array:
    """Constant of the probability flow's field: beta / 2 + (beta / (sigma + 1e-6)) L / 2 for slopes [-L, L]."""
    return mixed_lipschitz(-0.5 * beta, 0.5 * safe_div(beta, sigma), slopes)


def pf_ode_euler_lipschitz(beta: Array, sigma: Array, dt: Array, slopes: Slopes) -> Array:
    """Constant of Euler's step: |1 - dt beta / 2| + |dt| (beta / (sigma + 1e-6)) L / 2 for [-L, L].

    At most `euler_lipschitz`.
    """
    return mixed_lipschitz(1.0 - 0.5 * dt * beta, 0.5 * dt * safe_div(beta, sigma), slopes)


def guarded_ddim_lipschitz(abar_t: Array, abar_s: Array, slopes: Slopes) -> Array:
    """Constant, for [-L, L] A + |sqrt(1 - abar_s) - A sqrt(1 - abar_t)| L, A = sqrt(abar_s) / (sqrt(abar_t) + 1e-6)."""
    gain = sqrt_nonneg(abar_s) * safe_div(1.0, sqrt_nonneg(abar_t))
    return mixed_lipschitz(gain, sqrt_nonneg(1.0 - abar_s) - gain * sqrt_nonneg(1.0 - abar_t), slopes)


def image_ddim_lipschitz(abar_t: Array, abar_s: Array, slopes: Slopes, floor: float = FLOOR) -> Array:
    """Constant of the clipped step; for [-L, L] at most A + A b L + sqrt(1 - abar_s) L (section 6.8).

    A = sqrt(abar_s) / max(sqrt(abar_t), floor) and b = sqrt(1 - abar_t).
    """
    return clipped_lipschitz(0.0, sqrt_nonneg(abar_s), sqrt_nonneg(1.0 - abar_s), abar_t, slopes, floor)


def guarded_ddpm_lipschitz(beta: Array, abar_t: Array, slopes: Slopes) -> Array:
    """Constant, for [-L, L] (1 + (beta / (sqrt(1 - abar_t) + 1e-6)) L) / (sqrt(1 - beta) + 1e-6), at fixed noise."""
    own = safe_div(1.0, sqrt_nonneg(1.0 - beta))
    return mixed_lipschitz(own, -own * safe_div(beta, sqrt_nonneg(1.0 - abar_t)), slopes)
