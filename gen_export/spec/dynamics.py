"""Samplers as dynamical systems, and how far apart their steps can take two points (reference sections 1.4, 6.6, 6.8).

A Lipschitz constant L of f bounds |f(x) - f(y)| by L |x - y| in the L2 norm. `eps_lipschitz` is that of the noise
prediction in x; a whole sampler's is the product of its steps'.
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


def pf_ode_rhs_lipschitz(beta: Array, sigma: Array, eps_lipschitz: Array) -> Array:
    """Constant beta / 2 + (beta / (sigma + 1e-6)) L / 2 of the probability flow's field, for beta >= 0."""
    return 0.5 * beta + 0.5 * safe_div(beta, sigma) * eps_lipschitz


def pf_ode_euler_lipschitz(beta: Array, sigma: Array, dt: Array, eps_lipschitz: Array) -> Array:
    """Constant |1 - dt beta / 2| + |dt| (beta / (sigma + 1e-6)) L / 2 of Euler's step: at most `euler_lipschitz`."""
    return abs(1.0 - 0.5 * dt * beta) + 0.5 * abs(dt) * safe_div(beta, sigma) * eps_lipschitz


def guarded_ddim_lipschitz(abar_t: Array, abar_s: Array, eps_lipschitz: Array) -> Array:
    """Constant A + |sqrt(1 - abar_s) - A sqrt(1 - abar_t)| L, where A = sqrt(abar_s) / (sqrt(abar_t) + 1e-6)."""
    gain = sqrt_nonneg(abar_s) * safe_div(1.0, sqrt_nonneg(abar_t))
    return gain + abs(sqrt_nonneg(1.0 - abar_s) - gain * sqrt_nonneg(1.0 - abar_t)) * eps_lipschitz


def image_ddim_lipschitz(abar_t: Array, abar_s: Array, eps_lipschitz: Array, floor: float = FLOOR) -> Array:
    """Constant (sqrt(abar_s) / r) (1 + sqrt(1 - abar_t) L) + sqrt(1 - abar_s) L, where r = max(sqrt(abar_t), floor).

    The clean image is clipped, a map of constant 1, so that the two terms in L do not cancel.
    """
    gain = sqrt_nonneg(abar_s) / sqrt_nonneg(abar_t).clip(floor, None)
    return gain * (1.0 + sqrt_nonneg(1.0 - abar_t) * eps_lipschitz) + sqrt_nonneg(1.0 - abar_s) * eps_lipschitz


def guarded_ddpm_lipschitz(beta: Array, abar_t: Array, eps_lipschitz: Array) -> Array:
    """Constant (1 + (beta / (sqrt(1 - abar_t) + 1e-6)) L) / (sqrt(1 - beta) + 1e-6), at fixed noise."""
    return safe_div(1.0 + safe_div(beta, sqrt_nonneg(1.0 - abar_t)) * eps_lipschitz, sqrt_nonneg(1.0 - beta))
