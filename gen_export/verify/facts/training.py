"""Facts of ours about the file of a training step: its state, its optimiser, its noise, and that its slope is one."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gen_export.errors import NothingToCheckError
from gen_export.spec.optimizers import Moments, adamw, averaged
from gen_export.verify.fact import Finding, all_same_bits, fact, worst, worst_of
from gen_export.verify.files import Files
from gen_export.verify.inputs import random_inputs
from gen_export.verify.rounding import UNIT
from gen_runtime.inputs import Array

BATCH = 4
LR = 1e-3
NEW = "new_"
RISE = 0.02
"""How much of itself a loss is to change along a difference."""
LONG = 100_000
"""Steps after which the averages decay as slowly as they ever do."""
BENT = 0.05
"""Share of a slope by which differences may miss it, for they step over the bends of rectifiers: a margin (0.035 was
found)."""
TINY = 1e-30
"""Keeps bounds from being 0."""

_TRAINED = ("autoencoder", "mae", "vae", "vqvae", "gan", "diffusion", "classifier")
# A VQ-VAE's losses draw only what dead codes start from, and its gradient goes straight through the codes.
_UNQUANTIZED = tuple(name for name in _TRAINED if name != "vqvae")
_GRAPHS, _PORTS = ("train", "start"), ("grad_norm",)
_OURS = "gen_export.training.{}".format


def first_inputs(files: Files, purpose: str, lr: float = LR) -> dict[str, Array]:
    """A batch, and the state at first."""
    state = files.run("start", {})
    free = [port for port in files.probe("train").graph.card.inputs if port.name not in state]
    batch = random_inputs(free, BATCH, np.random.default_rng([len(purpose), 2026]))
    return {**batch, "lr": np.array(lr, np.float32), **state}


def later_inputs(files: Files, purpose: str) -> dict[str, Array]:
    """A batch, and a state after some steps: moments and averages of any size that they can have."""
    inputs, rng = first_inputs(files, purpose), np.random.default_rng([7, 2026])
    size = inputs["weights"].shape
    moments = rng.standard_normal(size) * 1e-3, rng.random(size) * 1e-6
    inputs |= dict(zip(("first_moments", "second_moments"), (m.astype(np.float32) for m in moments), strict=True))
    return inputs | {"averages": inputs["weights"] + np.float32(0.01), "step": np.array(5)}


def settings(files: Files) -> Mapping[str, Any]:
    """How the step moves weights, and whose they are, as its card says."""
    return files.probe("train").graph.card.state or {}


@fact(_OURS("no_rate_is_the_identity"), "exact", families=_TRAINED, graphs=_GRAPHS, ports=_PORTS)
def without_a_rate_the_weights_stay(files: Files) -> Finding:
    """With a learning rate of 0 the weights and their average keep their bits, and the step is counted."""
    inputs = first_inputs(files, "identity", lr=0.0)
    found = files.run("train", inputs)
    pairs = [(found["new_weights"], inputs["weights"]), (found["new_averages"], inputs["weights"])]
    return all_same_bits([*pairs, (found["new_step"], inputs["step"] + 1)])


@fact(_OURS("weights_move_by_adamw"), "tolerance", families=_TRAINED, graphs=_GRAPHS, ports=_PORTS)
def weights_are_moved_by_adamw(files: Files) -> Finding:
    """Second moments and weights are those of AdamW, bias corrections, epsilon and weight decay included.

    The gradient is taken from the first moments, and AdamW computed in float64.
    """
    findings = []
    for inputs in (first_inputs(files, "adamw"), later_inputs(files, "adamw")):
        found, known = files.run("train", inputs), settings(files)
        for player in known["players"]:
            findings += _adamw_apart(_segment(inputs, player), _segment(found, player, NEW), inputs, player, known)
    return worst_of(findings)


def _adamw_apart(
    old: dict[str, Array], new: dict[str, Array], inputs: dict[str, Array], player: Mapping[str, Any], known: Mapping
) -> list[Finding]:
    """How far second moments and weights are from AdamW's, in units of what rounding explains."""
    (first_beta, second_beta), weights = player["betas"], old["weights"]
    slope = old["first_moments"] + (new["first_moments"] - old["first_moments"]) / (1.0 - first_beta)
    unsure = 4 * UNIT * (np.abs(new["first_moments"]) + np.abs(old["first_moments"])) / (1.0 - first_beta)
    moments = Moments(old["first_moments"], old["second_moments"])
    count, lr = np.float64(inputs["step"] + 1), np.float64(inputs["lr"])
    expected, after = adamw(weights, slope, moments, count, lr, (first_beta, second_beta), known["weight_decay"])
    spread = (1.0 - second_beta) * (2 * np.abs(slope) * unsure + unsure**2) + 4 * UNIT * after.second
    move = np.abs(expected - weights)
    allowed = 16 * UNIT * (np.abs(weights) + move) + move * spread / (2 * after.second + TINY)
    return [
        _in_units(new["second_moments"], after.second, spread + TINY),
        _in_units(new["weights"], expected, allowed + TINY),
    ]


@fact(_OURS("averages_follow"), "tolerance", families=_TRAINED, graphs=_GRAPHS, ports=_PORTS)
def averages_follow_the_weights(files: Files) -> Finding:
    """The averages are the first weights at first, and then a decaying part of what they were beside the new ones."""
    findings = []
    later = later_inputs(files, "averages")
    for inputs in (first_inputs(files, "averages"), later, {**later, "step": np.array(LONG)}):
        found, decay = files.run("train", inputs), settings(files)["ema"]
        old, new = inputs["averages"].astype(np.float64), found["new_weights"].astype(np.float64)
        expected = averaged(old, new, np.float64(inputs["step"]), decay)
        findings.append(_in_units(found["new_averages"], expected, 8 * UNIT * (np.abs(old) + np.abs(new)) + TINY))
    return worst_of(findings)


@fact(
    _OURS("noise_is_fresh"), "exact", hypotheses="losses that draw", families=_UNQUANTIZED, graphs=_GRAPHS, ports=_PORTS
)
def every_step_and_seed_draws_its_own_noise(files: Files) -> Finding:
    """The same seed and step give the same losses; another step or seed gives others, with the same weights."""
    known = settings(files)
    drawing = [player["loss"] for player in known["players"] if player["draws"]]
    if not drawing:
        raise NothingToCheckError("losses that draw nothing")
    inputs = first_inputs(files, "noise", lr=0.0)
    others = {"again": inputs, "step": {**inputs, "step": np.array(1)}, "seed": {**inputs, "seed": np.array(991)}}
    first, found = files.run("train", inputs), {name: files.run("train", each) for name, each in others.items()}
    wrong = [np.array_equal(found[name][loss], first[loss]) != (name == "again") for name in others for loss in drawing]
    return Finding(float(sum(wrong)), 0.0, len(wrong))


@fact(
    _OURS("gradient_is_the_slope"),
    "tolerance",
    hypotheses="losses without a stopped gradient",
    families=_UNQUANTIZED,
    graphs=_GRAPHS,
    ports=_PORTS,
)
def gradient_is_the_slope_of_the_loss(files: Files) -> Finding:
    """Along its gradient a player's loss rises by the gradient's length, which is clipped at its bound.

    By central differences of the file's own losses with the same noise. The bound is how much they change as the
    differences are halved, beside what rounding does to them.
    """
    inputs, known = first_inputs(files, "slope", lr=0.0), settings(files)
    found, findings = files.run("train", inputs), []
    for player in known["players"]:
        slope = _segment(found, player, NEW)["first_moments"] / (1.0 - player["betas"][0])
        length, loss = float(np.linalg.norm(slope)), float(found[player["loss"]])
        reach = RISE * abs(loss) / max(length, float(found["grad_norm"]), TINY)
        coarse, fine = (_rise(files, inputs, player, slope / length, reach * share) for share in (1.0, 0.5))
        allowed = 2 * abs(fine - coarse) + 64 * UNIT * abs(loss) / reach + BENT * length
        apart = abs(min((4 * fine - coarse) / 3, known["clip"]) - length)
        findings.append(worst([apart / allowed], 1.0, 2, "in units of what differences explain"))
    return worst_of(findings)


def _rise(files: Files, inputs: dict[str, Array], player: Mapping[str, Any], along: Array, reach: float) -> float:
    """How fast a player's loss rises along a direction of unit length, by its values at both ends of a way."""
    ends = []
    for sign in (1, -1):
        weights = inputs["weights"].astype(np.float64)
        weights[player["first"] : player["first"] + player["count"]] += sign * reach * along
        run = files.run("train", {**inputs, "weights": weights.astype(np.float32)})
        ends.append(float(run[player["loss"]]))
    return (ends[0] - ends[1]) / (2 * reach)


def _segment(values: Mapping[str, Array], player: Mapping[str, Any], prefix: str = "") -> dict[str, Array]:
    """A player's part of the weights and moments, float64."""
    part = slice(player["first"], player["first"] + player["count"])
    names = ("weights", "first_moments", "second_moments")
    return {name: values[prefix + name][part].astype(np.float64) for name in names}


def _in_units(found: Array, expected: Array, allowed: Array) -> Finding:
    return worst(np.abs(found - expected) / allowed, 1.0, 1, "in units of what rounding explains")
