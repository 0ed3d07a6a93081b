"""Facts of iterated maps (reference section 6.6, `NN.Spec.Dynamics`): loops unrolled, in integer arithmetic."""

from collections.abc import Iterator

import numpy as np

from gen_export.spec.dynamics import (
    DrivenSystem,
    DynamicalSystem,
    driven_trajectory,
    freeze,
    is_fixed_point,
    iterate,
    iterate_with_input,
    trajectory,
)
from gen_export.verify.fact import Finding, fact, same_bits
from gen_export.verify.files import random

CASES = 100
LONGEST = 8
_NAME = "NN.Spec.Dynamics.{}".format
Case = tuple[DynamicalSystem, DrivenSystem, np.ndarray, list[int]]


def _cases(purpose: str) -> Iterator[Case]:
    """Affine maps of integers modulo 2^64, free and driven, with a state and 0 to 8 inputs."""
    rng = random(purpose)
    for case in range(CASES):
        a, b = rng.integers(0, 2**63, (2, 3), dtype=np.uint64)
        x = rng.integers(0, 2**63, 3, dtype=np.uint64)
        inputs = rng.integers(0, 1000, case % (LONGEST + 1)).tolist()
        free = DynamicalSystem(lambda x, a=a, b=b: a * x + b)
        driven = DrivenSystem(lambda x, u, a=a, b=b: a * x + b * np.uint64(u))
        yield free, driven, x, inputs


def _all_same(pairs: list[tuple[object, object]]) -> Finding:
    """The finding of pairs of states, or of trajectories."""
    found, expected = ([np.ravel(side) for side in sides] for sides in zip(*pairs, strict=True))
    return same_bits(np.concatenate(found), np.concatenate(expected), len(pairs))


@fact(_NAME("iterate_zero"), "exact", "6.6")
def no_steps_change_nothing() -> Finding:
    """iterate 0 x = x."""
    return _all_same([(iterate(free, 0, x), x) for free, _, x, _ in _cases("iterate zero")])


@fact(_NAME("iterate_succ"), "exact", "6.6")
def one_more_step_is_a_step() -> Finding:
    """iterate (n + 1) x = step (iterate n x)."""
    return _all_same(
        [(iterate(f, len(u) + 1, x), f.step(iterate(f, len(u), x))) for f, _, x, u in _cases("iterate succ")]
    )


@fact(_NAME("iterate_add"), "exact", "6.6")
def steps_add_up() -> Finding:
    """iterate (m + n) x = iterate m (iterate n x)."""
    return _all_same(
        [(iterate(f, len(u) + 3, x), iterate(f, 3, iterate(f, len(u), x))) for f, _, x, u in _cases("iterate add")]
    )


@fact(_NAME("trajectory_zero"), "exact", "6.6")
def a_trajectory_begins_at_its_state() -> Finding:
    """trajectory x 0 = x."""
    return _all_same([(trajectory(f, x, len(u))[0], x) for f, _, x, u in _cases("trajectory zero")])


@fact(_NAME("trajectory_succ"), "exact", "6.6")
def a_trajectory_goes_on_by_steps() -> Finding:
    """trajectory x (t + 1) = step (trajectory x t), at every t up to the last."""
    pairs = []
    for f, _, x, u in _cases("trajectory succ"):
        states = trajectory(f, x, len(u) + 1)
        pairs.append((states[1:], [f.step(state) for state in states[:-1]]))
        pairs.append((_count(len(states)), _count(len(u) + 2)))
    return _all_same(pairs)


@fact(_NAME("iterateWithInput_zero"), "exact", "6.6")
def no_inputs_change_nothing() -> Finding:
    """iterateWithInput 0 x = x."""
    return _all_same([(iterate_with_input(d, [], x), x) for _, d, x, _ in _cases("input zero")])


@fact(_NAME("iterateWithInput_succ"), "exact", "6.6")
def one_more_input_is_a_step_with_it() -> Finding:
    """iterateWithInput (n + 1) x = step (iterateWithInput n x) u_n."""
    return _all_same(
        [
            (iterate_with_input(d, [*u, 7], x), d.step(iterate_with_input(d, u, x), 7))
            for _, d, x, u in _cases("input succ")
        ]
    )


@fact(_NAME("drivenTrajectory_zero"), "exact", "6.6")
def a_driven_trajectory_begins_at_its_state() -> Finding:
    """drivenTrajectory x u 0 = x."""
    return _all_same([(driven_trajectory(d, x, u)[0], x) for _, d, x, u in _cases("driven zero")])


@fact(_NAME("drivenTrajectory_succ"), "exact", "6.6")
def a_driven_trajectory_goes_on_by_its_inputs() -> Finding:
    """drivenTrajectory x u (t + 1) = step (drivenTrajectory x u t) u_t, at every t."""
    pairs = []
    for _, d, x, u in _cases("driven succ"):
        states = driven_trajectory(d, x, [*u, 5])
        pairs.append((states[1:], [d.step(state, v) for state, v in zip(states[:-1], [*u, 5], strict=False)]))
        pairs.append((_count(len(states)), _count(len(u) + 2)))
    return _all_same(pairs)


@fact(_NAME("DrivenSystem.freeze_step"), "exact", "6.6")
def a_frozen_step_is_a_step_with_its_input() -> Finding:
    """(freeze u).step x = step x u."""
    return _all_same([(freeze(d, len(u)).step(x), d.step(x, len(u))) for _, d, x, u in _cases("freeze")])


@fact(_NAME("iterateWithInput_const_eq_iterate"), "exact", "6.6")
def constant_inputs_iterate_the_frozen_system() -> Finding:
    """iterateWithInput with all inputs u is iterate of freeze u."""
    return _all_same(
        [
            (iterate_with_input(d, [3] * len(u), x), iterate(freeze(d, 3), len(u), x))
            for _, d, x, u in _cases("constant input")
        ]
    )


@fact(_NAME("drivenTrajectory_const_eq_trajectory"), "exact", "6.6")
def constant_inputs_drive_the_frozen_trajectory() -> Finding:
    """drivenTrajectory with all inputs u is trajectory of freeze u."""
    return _all_same(
        [
            (driven_trajectory(d, x, [3] * len(u)), trajectory(freeze(d, 3), x, len(u)))
            for _, d, x, u in _cases("constant driven")
        ]
    )


def _count(number: int) -> np.ndarray:
    """A number beside states."""
    return np.array([number], np.uint64)


def _at_rest(purpose: str) -> Iterator[tuple[DynamicalSystem, np.ndarray, int]]:
    """Systems with a fixed point, the map moved so that it is one, and a number of steps."""
    for free, _, x, inputs in _cases(purpose):
        yield DynamicalSystem(lambda y, f=free, x=x: f.step(y) - f.step(x) + x), x, len(inputs)


@fact(_NAME("fixedPoint_iterate"), "exact", "6.6", hypotheses="step x = x")
def iterating_leaves_a_fixed_point() -> Finding:
    """iterate n x = x at a fixed point x."""
    cases = list(_at_rest("fixed iterate"))
    still = [(_count(is_fixed_point(system, x)), _count(1)) for system, x, _ in cases]
    moved = [(_count(is_fixed_point(DynamicalSystem(lambda x: x + np.uint64(1)), x)), _count(0)) for _, x, _ in cases]
    return _all_same([*((iterate(system, n, x), x) for system, x, n in cases), *still, *moved])


@fact(_NAME("fixedPoint_trajectory"), "exact", "6.6", hypotheses="step x = x")
def a_trajectory_stays_at_a_fixed_point() -> Finding:
    """trajectory x n = x at a fixed point x, for every n."""
    return _all_same([(trajectory(system, x, n), [x] * (n + 1)) for system, x, n in _at_rest("fixed trajectory")])
