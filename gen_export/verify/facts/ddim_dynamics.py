"""Facts of the constants of DDIM steps, and of those derived for each kind of step (reference sections 6.6, 6.8)."""

import math
from collections.abc import Callable, Iterator

import numpy as np

from gen_export.spec.diffusion import guarded_ddim_step, guarded_ddpm_step, image_ddim_step
from gen_export.spec.dynamics import (
    DynamicalSystem,
    ddim_step_system,
    guarded_ddim_lipschitz,
    guarded_ddpm_lipschitz,
    image_ddim_lipschitz,
    pf_ode_euler_lipschitz,
)
from gen_export.verify.fact import Finding, fact, same_bits, worst
from gen_export.verify.facts.dynamics import (
    CASES,
    SLACK,
    TURNS,
    excess,
    flow_cases,
    points,
    similarity,
    transported,
    turning,
)
from gen_export.verify.facts.reverse import GUARD

LEVELS = [(np.asarray(t), np.asarray(s)) for t, s in ((0.9, 1.0), (0.437, 0.69), (0.0025, 0.04))]
GAINS = (0.0, 0.5, 2.0)
_FACT = "NN.MLTheory.Generative.Diffusion.{}".format
_OURS = "gen_export.dynamics.{}".format
Step = Callable[[np.ndarray], np.ndarray]


def _ddim_cases() -> Iterator[tuple[DynamicalSystem, float, np.ndarray]]:
    """Systems of the guarded DDIM step with the constant of the step itself, and the turn of eps_hat."""
    abars = np.array([1.0, 0.9, 0.69, 0.437, 0.2185])
    for k in range(4):
        own = math.sqrt(abars[k]) / (math.sqrt(abars[k + 1]) + GUARD)
        predicted = math.sqrt(1.0 - abars[k]) - own * math.sqrt(1.0 - abars[k + 1])
        for gain in (0.0, 0.5, 2.0):
            for turn in TURNS:
                # eps_hat depends on the time, k + 1 of 4, so that a system at another time has another constant.
                system = ddim_step_system(lambda x, time, g=gain, r=turn: 4 * time * g * (x @ r.T), abars, k)
                yield system, similarity(own, predicted * (k + 1) * gain, turn), turn


@fact("Generative.Diffusion.ddimStepSystem_step", "exact", "6.6", aliases=(_FACT("ddimStepSystem_eq_step"),))
def ddim_system_steps_by_ddim() -> Finding:
    """(ddimStepSystem sched model k).step x = ddimStep sched model k x: from state k + 1 to k, at time (k + 1) / T."""
    abars, (x, _) = np.linspace(1.0, 0.01, 9), points("ddim system")
    found, expected = [], []
    for k in range(8):
        eps_hat = np.cos(x + (k + 1) / 8)
        clean = (x - np.sqrt(1.0 - abars[k + 1]) * eps_hat) * (1.0 / (np.sqrt(abars[k + 1]) + GUARD))
        found.append(ddim_step_system(lambda x, time: np.cos(x + time), abars, k).step(x))
        expected.append(np.sqrt(abars[k]) * clean + np.sqrt(1.0 - abars[k]) * eps_hat)
    return same_bits(np.stack(found), np.stack(expected), 8 * CASES)


@fact(
    _FACT("ddimStepSystem_lipschitz_of_step_lipschitz"),
    "sampled",
    "6.6",
    hypotheses="ddimStep at k has the constant L in a norm, any function",
)
def ddim_systems_have_the_constant_of_their_step() -> Finding:
    """A step of ddimStepSystem has the constant of ddimStep, in L2 and for norm x = |x_1|."""
    return transported(_ddim_cases(), "ddim step")


@fact(
    _FACT("ddimStepSystem_contracts_of_step_contracts"),
    "sampled",
    "6.6",
    hypotheses="factor < 1, and ddimStep at k has it as its constant",
)
def ddim_systems_contract_where_their_step_does() -> Finding:
    """isContractive (ddimStepSystem sched model k) norm factor, of DDIM steps whose factor is below 1."""
    return transported((case for case in _ddim_cases() if 0.0 < case[1] < 1.0), "ddim contraction")


def _derived(cases: Iterator[tuple[Step, float]], purpose: str, attained: bool = True) -> Finding:
    """Derived constants against the ratios of steps, three turns in a row sharing one.

    No ratio is above it, and where it is `attained`, the worst of the three is not below it either.
    """
    over = np.array([excess(step, constant, purpose) for step, constant in cases]).reshape(-1, len(TURNS)).max(axis=1)
    return worst(np.abs(over) if attained else over, SLACK, over.size * len(TURNS) * CASES, "relative to the constant")


def _steps(
    step: Callable[..., np.ndarray], constant: Callable[..., np.ndarray], scale: float = 1.0
) -> Iterator[tuple[Step, float]]:
    """Steps between levels of points so far from 0, and their derived constants."""
    for abar_t, abar_s in LEVELS:
        for gain in GAINS:
            for turn in TURNS:
                predict, limit = turning(gain, turn), float(constant(abar_t, abar_s, (-gain, gain)))
                yield lambda x, t=abar_t, s=abar_s, p=predict: step(scale * x, p(scale * x, None), t, s) / scale, limit


@fact(_OURS("guarded_ddim_lipschitz"), "sampled", hypotheses="eps_hat has the L2 constant L")
def guarded_ddim_has_its_constant() -> Finding:
    """A guarded DDIM step has the L2 constant A + |sqrt(1 - abar_s) - A sqrt(1 - abar_t)| L, and -L x attains it."""
    return _derived(_steps(guarded_ddim_step, guarded_ddim_lipschitz), "guarded ddim")


@fact(_OURS("image_ddim_lipschitz"), "sampled", hypotheses="eps_hat has the L2 constant L")
def image_ddim_has_its_constant() -> Finding:
    """An image DDIM step has the L2 constant (sqrt(abar_s) / r) (1 + sqrt(1 - abar_t) L) + sqrt(1 - abar_s) L."""
    both = [*_steps(image_ddim_step, image_ddim_lipschitz), *_steps(image_ddim_step, image_ddim_lipschitz, 1e-3)]
    return _derived(iter(both), "image ddim", attained=False)


@fact(_OURS("guarded_ddpm_lipschitz"), "sampled", hypotheses="eps_hat has the L2 constant L")
def guarded_ddpm_has_its_constant() -> Finding:
    """At fixed noise ddpmStep has the L2 constant (1 + (beta / sqrt(1 - abar_t)) L) / sqrt(1 - beta), with guards."""

    def step(x: np.ndarray, eps_hat: np.ndarray, abar_t: np.ndarray, abar_s: np.ndarray) -> np.ndarray:
        return guarded_ddpm_step(x, eps_hat, np.ones(2), 1.0 - abar_t / abar_s, abar_t, abar_s)

    def constant(abar_t: np.ndarray, abar_s: np.ndarray, slopes: tuple[float, float]) -> np.ndarray:
        return guarded_ddpm_lipschitz(1.0 - abar_t / abar_s, abar_t, slopes)

    return _derived(_steps(step, constant), "guarded ddpm")


@fact(_OURS("pf_ode_euler_lipschitz"), "sampled", hypotheses="eps_hat has the L2 constant L")
def flow_steps_have_their_constant() -> Finding:
    """Euler's step of the flow has the L2 constant |1 - dt beta / 2| + |dt| (beta / (sigma + 1e-6)) L / 2."""
    cases = ((c.system.step, pf_ode_euler_lipschitz(c.beta, c.sigma, c.dt, (-c.gain, c.gain))) for c in flow_cases())
    return _derived(cases, "flow constant")
