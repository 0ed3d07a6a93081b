"""Facts of how far apart a sampler's step can take two points (reference sections 6.6 and 6.8).

The theorems move a hypothesis, a constant of a field or of one step, to a conclusion about a system. Here the
hypothesis truly holds: the noise prediction is K R x with R the rotation by (3/5, 4/5), one or minus one, so that every
step is a similarity of the plane with a constant known beforehand; R = -1 attains the constants of fields.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

import numpy as np

from gen_export.spec.diffusion import euler_step
from gen_export.spec.dynamics import (
    DynamicalSystem,
    euler_lipschitz,
    l2_norm,
    lipschitz_ratio,
    pf_ode_euler_system,
    pf_ode_rhs_lipschitz,
)
from gen_export.spec.schedules import ContinuousLinear
from gen_export.verify.fact import Finding, fact, same_bits, worst
from gen_export.verify.facts.reverse import GUARD
from gen_export.verify.files import random

CASES = 24
# Roundings of the few float64 operations of a step on the plane, and of the quotient of two distances.
SLACK = 2.0**-40
TURNS = tuple(np.array([[c, -s], [s, c]]) for c, s in ((0.6, 0.8), (1.0, 0.0), (-1.0, 0.0)))
SCHEDULE = ContinuousLinear(0.1, 20.0)
_FACT = "NN.MLTheory.Generative.Diffusion.{}".format
Norm = Callable[[np.ndarray], np.ndarray]


def points(purpose: str) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of points of the plane, (N, 2) each."""
    x, y = random(purpose).standard_normal((2, CASES, 2))
    return x, y


def turning(gain: float, turn: np.ndarray) -> Callable[[np.ndarray, object], np.ndarray]:
    """The noise prediction gain R x, for any time."""
    return lambda x, _: gain * (x @ turn.T)


def similarity(own: float, predicted: float, turn: np.ndarray) -> float:
    """The constant |own + predicted R| of x -> own x + predicted R x in the L2 norm, R as a complex number."""
    return abs(complex(own, 0.0) + predicted * complex(turn[0, 0], turn[1, 0]))


def excess(step: Callable[[np.ndarray], np.ndarray], constant: float, purpose: str, norm: Norm = l2_norm) -> float:
    """By how much the worst ratio of distances after and before a step exceeds a constant, relative to it."""
    x, y = points(purpose)
    ratios = [lipschitz_ratio(step, p, q, norm) for p, q in zip(x, y, strict=True)]
    return float(np.max(ratios)) / constant - 1.0


@fact(_FACT("sub_add_scaled_eq"), "exact", "6.6")
def differences_of_updates() -> Finding:
    """(x + dt f(x)) - (y + dt f(y)) = (x - y) + dt (f(x) - f(y)), of rational numbers."""
    wrong = 0
    for x, y, fx, fy, dt in _rationals("scaled differences", 5):
        found = euler_step(lambda *_, v=fx: v, x, 0, dt) - euler_step(lambda *_, v=fy: v, y, 0, dt)
        wrong += found != (x - y) + dt * (fx - fy)
    return Finding(float(wrong), 0.0, CASES)


def _rationals(purpose: str, columns: int) -> Iterator[list[Fraction]]:
    """Seeded rows of fractions."""
    rng = random(purpose)
    for row in rng.integers(-500, 501, (CASES, columns)).tolist():
        yield [Fraction(number, int(rng.integers(1, 100))) for number in row]


@fact(_FACT("eulerStep_l2_distance_bound"), "sampled", "6.6")
def euler_steps_move_apart_by_the_field_at_most() -> Finding:
    """|E(x) - E(y)| <= |x - y| + |dt| |f(x, t) - f(y, t)| of any field f; f = x attains it for dt > 0, f = -x below."""
    found, pairs = [], list(zip(*points("euler distance"), strict=True))
    for dt, field, (x, y) in product((-8.0, -0.02, 1.0), (np.square, np.exp, np.copy, np.negative), pairs):
        moved = [euler_step(lambda v, _, f=field: f(v), point, 0, dt) for point in (x, y)]
        most = l2_norm(x - y) + abs(dt) * l2_norm(field(x) - field(y))
        found.append(float(l2_norm(moved[0] - moved[1]) / most) - 1.0)
    return worst(found, SLACK, len(found), "share of the right side")


@fact(_FACT("eulerStep_l2_lipschitz_of_rhs_lipschitz"), "exact", "6.6", hypotheses="x -> f(x, t) has the L2 constant L")
def euler_steps_have_the_constant_of_their_field() -> Finding:
    """Euler's step has the L2 constant 1 + |dt| L, here of fields L R x on rational points; f = x attains it."""
    turns = [np.array([[Fraction(v).limit_denominator(5) for v in row] for row in turn.tolist()]) for turn in TURNS]
    found = []
    for row in _rationals("euler constant", 4):
        difference = np.array([row[0] - row[2], row[1] - row[3]])
        # Eighths: 1 + |dt| L is then no rounding.
        dt, constant = Fraction(int(row[0]), 8), Fraction(abs(int(row[1])), 8)
        for turn in turns:
            x, y = np.array(row[:2]), np.array(row[2:])
            moved = [euler_step(lambda v, _, m=constant * turn: m @ v, point, 0, dt) for point in (x, y)]
            limit = Fraction(float(euler_lipschitz(dt, constant))) ** 2 * (difference @ difference)
            found.append(float((moved[0] - moved[1]) @ (moved[0] - moved[1]) - limit))
            if turn[0, 0] == (1 if dt > 0 else -1):
                found.append(-found[-1])
    return worst(found, 0.0, len(found), "the field that goes along dt attains it")


@dataclass(frozen=True, slots=True)
class FlowCase:
    """Euler's step on the probability flow of eps_hat = gain R x at a time, as a system.

    Attributes:
        system: The system.
        beta: The noise rate.
        sigma: The noise scale.
        dt: The stride.
        gain: That of eps_hat.
        turn: R.
    """

    system: DynamicalSystem
    beta: float
    sigma: float
    dt: float
    gain: float
    turn: np.ndarray

    @property
    def constant(self) -> float:
        """That of the step x + dt (-beta x / 2 + (beta / (sigma + 1e-6)) eps_hat / 2) in the L2 norm."""
        predicted = 0.5 * self.dt * self.beta / (self.sigma + GUARD) * self.gain
        return similarity(1.0 - 0.5 * self.dt * self.beta, predicted, self.turn)


def flow_cases() -> Iterator[FlowCase]:
    """Three times, strides, gains and turns each."""
    for t, dt, gain, turn in product((1.0, 0.5, 0.05), (-0.25, -0.01, 0.125), (0.0, 0.5, 3.0), TURNS):
        time = np.asarray(t)
        system = pf_ode_euler_system(turning(gain, turn), SCHEDULE, time, dt)
        yield FlowCase(system, float(SCHEDULE.beta(time)), float(SCHEDULE.sigma(time)), dt, gain, turn)


@fact("Generative.Diffusion.pfOdeEulerSystem_step", "exact", "6.6", aliases=(_FACT("pfOdeEulerSystem_eq_step"),))
def flow_system_steps_by_euler() -> Finding:
    """(pfOdeEulerSystem sch model t dt).step x = eulerStep (pfOdeRhs sch model) x t dt."""
    x, _ = points("flow system")
    found, expected = [], []
    for case in flow_cases():
        pull = 0.5 * (case.beta / (case.sigma + GUARD)) * turning(case.gain, case.turn)(x, None)
        found.append(case.system.step(x))
        expected.append(x + case.dt * (-0.5 * case.beta * x + pull))
    return same_bits(np.stack(found), np.stack(expected), len(found))


@fact(
    _FACT("pfOdeEulerSystem_l2_lipschitz_of_rhs_lipschitz"),
    "sampled",
    "6.6",
    hypotheses="x -> pfOdeRhs sch model x t has the L2 constant L",
)
def flow_systems_have_the_constant_of_their_field() -> Finding:
    """A step of pfOdeEulerSystem has the L2 constant 1 + |dt| L; eps_hat = -K x attains it for dt < 0."""
    found = []
    for case in flow_cases():
        constant = float(euler_lipschitz(case.dt, pf_ode_rhs_lipschitz(case.beta, case.sigma, (-case.gain, case.gain))))
        found.append(excess(case.system.step, constant, "flow constant"))
        if case.dt < 0 and case.turn[0, 0] == -1:
            found.append(-found[-1])
    return worst(found, SLACK, len(found))


@fact(
    _FACT("pfOdeEulerSystem_lipschitz_of_step_lipschitz"),
    "sampled",
    "6.6",
    hypotheses="the Euler update has the constant L in a norm, any function",
    replaces=(_FACT("pfOdeEulerSystem_contracts_of_step_lipschitz"),),
)
def flow_systems_have_the_constant_of_their_step() -> Finding:
    """A step of pfOdeEulerSystem has the constant of the Euler update, in L2 and for norm x = |x_1|."""
    return transported(((case.system, case.constant, case.turn) for case in flow_cases()), "flow step")


def transported(cases: Iterator[tuple[DynamicalSystem, float, np.ndarray]], purpose: str) -> Finding:
    """Systems whose steps are similarities against their constants: no ratio is above or below them.

    Without a turn, the first coordinate alone has the same constant, though its absolute value is no norm.
    """
    found = []
    for system, constant, turn in cases:
        norms = [l2_norm] if turn[1, 0] else [l2_norm, lambda v: np.abs(v[0])]
        found += [abs(excess(system.step, constant, purpose, norm)) for norm in norms]
    return worst(found, SLACK, len(found) * CASES, "relative to the constant, which every pair attains")


@fact(
    _FACT("pfOdeEulerSystem_contracts_of_step_contracts"),
    "sampled",
    "6.6",
    hypotheses="factor < 1, and the Euler update has it as its constant",
)
def flow_systems_contract_where_their_step_does() -> Finding:
    """isContractive (pfOdeEulerSystem sch model t dt) norm factor, of Euler updates whose factor is below 1."""
    cases = (case for case in flow_cases() if 0.0 < case.constant < 1.0)
    return transported(((case.system, case.constant, case.turn) for case in cases), "flow contraction")
