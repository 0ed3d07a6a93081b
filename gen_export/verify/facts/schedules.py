"""Facts of noise schedules: states and image indices (reference sections 6.1, 6.6 and 6.7), and a file's own levels.

The exact ones use values of beta that are sixteenths, or roots that are powers of 1/2: then no product rounds.
"""

import math
from fractions import Fraction

import numpy as np

from gen_export.spec.samplers import image_ddim_sample
from gen_export.spec.schedules import (
    alpha_bars,
    image_time,
    linear_betas,
    noisy_alpha_bars,
    state_time,
    trailing_state,
)
from gen_export.verify import process
from gen_export.verify.fact import Finding, fact, same_bits, worst
from gen_export.verify.facts.forward_law import rate_errors
from gen_export.verify.files import Files, random
from gen_export.verify.process import DIFFUSION, image_shape, noised
from gen_export.verify.rounding import in_units

ROWS = 64
LENGTHS = range(13)


def _sixteenths(states: int) -> np.ndarray:
    """Seeded noise rates that are sixteenths, (T,)."""
    return random(f"betas {states}").integers(0, 16, states) / 16.0


def _products(betas: np.ndarray) -> list[Fraction]:
    """alpha_bar of the states in exact arithmetic."""
    return [math.prod((1 - Fraction(beta) for beta in betas[:t]), start=Fraction(1)) for t in range(len(betas) + 1)]


def _visited(roots: np.ndarray) -> list[float]:
    """sqrt(alpha_bar) of the states that the image sampler steps to, the last being the clean one.

    With clean images of ones and no noise, the state after a step is sqrt(alpha_bar_s), and its network sees it.
    """
    seen: list[float] = []

    def denoise(x: np.ndarray, time: float) -> np.ndarray:
        seen.append(float(x[0]))
        return np.zeros(1)

    last = image_ddim_sample(denoise, np.ones(1), roots * roots, postprocess=np.ones_like)
    return [*seen[1:], float(last[0])]


def _roots(states: int) -> np.ndarray:
    """Distinct powers of 1/2, (T,): their squares and the roots of these are exact."""
    return 0.5 ** np.arange(1, states + 1)


@fact("NN.MLTheory.Generative.Diffusion.alphaBar_zero", "exact", "6.6", families=DIFFUSION, graphs=("noising",))
def state_zero_is_clean(files: Files) -> Finding:
    """alpha_bar_0 = 1: the file noises at state 0 to the very image it is given."""
    inputs = files.inputs("noising", 8, "clean state")
    return same_bits(noised(files, inputs["x0"], 0, inputs["eps"]), inputs["x0"], 8)


@fact("gen_export.diffusion.levels", "tolerance", families=DIFFUSION, graphs=("noising",))
def levels_are_those_of_the_named_schedule(files: Files) -> Finding:
    """At every state t = 0..T the file's a and b are sqrt(alpha_bar_t) and sqrt(1 - alpha_bar_t) of its schedule."""
    abars, shape = process.alpha_bars(files), image_shape(files)
    states = np.arange(len(abars))
    rates = np.stack([np.sqrt(abars), np.sqrt(1.0 - abars)])
    found = [_rates(files, states[at : at + ROWS], shape) for at in range(0, len(states), ROWS)]
    # A cumulative product of T float64 factors in another order.
    allowed = np.stack(rate_errors(*rates)) + len(abars) * 2.0**-52
    extremes = np.concatenate(found, axis=1)
    return in_units(extremes, np.stack([rates] * 2, axis=2), np.stack([allowed] * 2, axis=2), len(states))


def _rates(files: Files, t: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """The file's a and b at states t, the least and the greatest of all pixels, (2, len(t), 2)."""
    ones = np.ones((len(t), *shape), np.float32)
    both = [noised(files, x0, t, eps) for x0, eps in ((ones, 0 * ones), (0 * ones, ones))]
    pixels = np.stack(both).reshape(2, len(t), -1)
    return np.stack([pixels.min(axis=2), pixels.max(axis=2)], axis=2)


@fact("gen_export.diffusion.card", "exact", families=DIFFUSION, graphs=("noising", "denoise", "step", "objective"))
def card_agrees_with_itself(files: Files) -> Finding:
    """The card's schedule is that of its options, and every port of a state ends at T (error: disagreements)."""
    config, schedule = dict(files.card.config or {}), dict(files.card.schedule or {})
    states = schedule["states"]
    ends = {("noising", "t"): (0, states), ("denoise", "t"): (0, states), ("objective", "t"): (0, states)}
    ends |= {("step", "t"): (1, states), ("step", "s"): (0, states - 1)}
    network = config.get("predict") or ("v" if config.get("net") == "unet" else "eps")
    expected = {"kind": config.get("schedule"), "states": config.get("states"), "predicts": "eps", "network": network}
    wrong = sum(schedule[name] != value for name, value in expected.items())
    for (graph, name), ends_expected in ends.items():
        ports = {port.name: port for port in files.probe(graph).graph.card.inputs}
        wrong += (ports[name].minimum, ports[name].maximum) != ends_expected
    return Finding(float(wrong), 0.0, len(ends) + len(expected))


@fact("gen_export.schedules.alpha_bar_is_a_product", "exact")
def alpha_bar_is_a_product() -> Finding:
    """alpha_bar_0 = 1 and alpha_bar_{t+1} = alpha_bar_t (1 - beta_t)."""
    pairs = [(alpha_bars(_sixteenths(n)), _products(_sixteenths(n))) for n in LENGTHS]
    return _same([Fraction(value) for found, _ in pairs for value in found], [v for _, exact in pairs for v in exact])


@fact("VPSchedule.getScalar_noisyAlphaBars", "exact", "6.7")
def noisy_entries_are_those_after_the_clean_one() -> Finding:
    """Entry i of the image table is alpha_bar_{i+1}."""
    tables = [(noisy_alpha_bars(alpha_bars(_sixteenths(n))), _products(_sixteenths(n))) for n in LENGTHS]
    return _same([Fraction(v) for found, _ in tables for v in found], [v for _, exact in tables for v in exact[1:]])


@fact("ImageDDIM.alphaBar_zero", "exact", "6.7")
def image_state_zero_is_clean() -> Finding:
    """The image sampler's alpha_bar of state 0 is 1: there its last step goes."""
    return _same([_visited(_roots(n))[-1] for n in LENGTHS if n], [1.0] * (len(LENGTHS) - 1))


@fact("ImageDDIM.alphaBar_succ", "exact", "6.7")
def image_state_after_is_the_entry() -> Finding:
    """The image sampler's alpha_bar of state i + 1 is entry i of its table."""
    visited = [root for n in LENGTHS if n for root in _visited(_roots(n))[:-1][::-1]]
    return _same(visited, [root for n in LENGTHS if n for root in _roots(n)[:-1]])


@fact("ImageDDIM.alphaBar_noisyAlphaBars", "exact", "6.7")
def dropping_and_restoring_the_clean_entry_changes_nothing() -> Finding:
    """The alpha_bar that the image sampler uses, given the noisy entries of a schedule, are the schedule's own."""
    found, expected = [], []
    for n in LENGTHS[1:]:
        roots = np.concatenate([np.ones(1), _roots(n)])
        found += _visited(np.sqrt(noisy_alpha_bars(roots * roots)))[::-1]
        expected += roots[:-1].tolist()
    return _same(found, expected)


@fact("schedule_alphaBar_eq", "exact", "6.7")
def cyclic_index_is_the_state_after() -> Finding:
    """Training step k has the level of entry k mod T of the running products from 1 - beta_0: of that state + 1."""
    found, expected = [], []
    for n in LENGTHS[1:]:
        running, table = Fraction(1), []
        for beta in _sixteenths(n):
            running *= 1 - Fraction(beta)
            table.append(running)
        abars = alpha_bars(_sixteenths(n))
        found += [Fraction(noisy_alpha_bars(abars)[k % n]) for k in range(3 * n)]
        expected += [table[k % n] for k in range(3 * n)]
    return _same(found, expected)


@fact("schedule_normalizedTime_eq", "exact", "6.7")
def image_time_is_a_share_of_the_indices() -> Finding:
    """The time of index i is i / (T - 1), and 0 when T <= 1, for the interface and the specification alike."""
    expected = [0.0, 0.0, 1.0, 0.0, 0.5, 1.0, 0.0, 0.25, 0.5, 0.75, 1.0]
    return _same([image_time(i, n) for n in (1, 2, 3, 5) for i in range(n)], expected)


@fact("gen_export.schedules.state_time", "exact")
def state_time_is_a_share_of_the_states() -> Finding:
    """The time of state t is t / T, and 0 when T = 0: not that of the image convention."""
    expected = [0.0, 0.0, 1.0, 0.0, 0.5, 1.0, 0.0, 0.25, 0.5, 0.75, 1.0]
    return _same([state_time(t, n) for n in (0, 1, 2, 4) for t in range(n + 1)], expected)


@fact("gen_export.schedules.linear_betas", "tolerance")
def linear_betas_are_evenly_spaced() -> Finding:
    """beta_i = b0 + i / (T - 1) (b1 - b0), [b1] when T = 1 and none when T = 0."""
    exact = [
        [],
        [Fraction(1, 2)],
        *([Fraction(1, 10) + Fraction(2 * i, 5 * (n - 1)) for i in range(n)] for n in (2, 5)),
    ]
    found = np.concatenate([linear_betas(len(values), 0.1, 0.5) for values in exact])
    # Five float64 operations on numbers below 1.
    return worst(np.abs(found - [float(v) for values in exact for v in values]), 5 * 2.0**-53, len(found))


@fact("gen_export.schedules.trailing_state", "exact")
def trailing_states_are_rounded_half_up() -> Finding:
    """State T (steps - j) / steps, half up: T before the first step, 0 after the last."""
    found, expected = [], []
    for states, steps in [(60, 7), (1000, 50), (10, 4), (3, 2), (1, 1), (60, 60), (999, 2)]:
        found += [trailing_state(j, steps, states) for j in range(steps + 1)]
        expected += [math.floor(Fraction(states * (steps - j), steps) + Fraction(1, 2)) for j in range(steps + 1)]
    return _same(found, expected)


def _same(found: list, expected: list) -> Finding:
    """The number of entries that are not equal."""
    if len(found) != len(expected):
        return Finding(math.inf, 0.0, len(expected), f"{len(found)} numbers for {len(expected)}")
    return Finding(float(sum(a != b for a, b in zip(found, expected, strict=True))), 0.0, len(expected))
