"""What a diffusion file reaches, beside what its certificate allows: slopes of the denoiser and of steps, and ratios.

Slopes come from power iterations on Jacobians, from below; ratios |step(x) - step(y)| / |x - y| from sampled pairs.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gen_export.spec.solver_constants import STEP_CONSTANTS
from gen_export.spec.solvers import SOLVERS, Levels
from gen_export.verify.certificate import CertifiedStep, RunCertificate, file_alpha_bars, json_number
from gen_export.verify.files import Files, random
from gen_export.verify.lipschitz.jacobian import Jacobian, power_iteration
from gen_export.verify.process import denoised, image_shape, stepped
from gen_export.verify.rounding import NETWORK

Array = np.ndarray
Map = Callable[[Array], Array]

SHARES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Distances from the first image of a group to the others, in shares of its norm."""
GROUP = 141
"""The most images of a group beside its first: every two of a group are a pair."""
STEP_ROUNDING = 10 * NETWORK
"""The share of a step's size K by which float32 may lift its ratio: K is its constant for slopes in [-L, L].

Rounding moves eps(x) by at most `NETWORK` of its norm (|eps(0)| + L |x| at most), and the rest of the step by a few
2^-24 of |x|, so that the step is off by at most NETWORK K (|x| + |eps(0)| / L). The ratio of a pair is then off by
NETWORK K (|y| + |z| + 2 |eps(0)| / L) / |y - z|. Images y, z of a group around x are x plus orthogonal differences of
at least |x| / 4, so that |y| + |z| <= 2 |x| + |y - x| + |z - x| and |y - z|^2 = |y - x|^2 + |z - x|^2; with
|eps(0)| <= L |x| / 8 the quotient is largest for y = x, |z - x| = |x| / 4, where it is 10.
"""
SLOPE_ROUNDING = 1e-9
"""The share of the same size by which float64 may lift a reached slope: far more than it loses."""
ROUNDS = 10
"""Of the power iteration on a step."""


@dataclass(frozen=True, slots=True)
class Reached:
    """What a step reaches.

    Attributes:
        ratios: The worst ratio of the pairs, by solver; of ddim the file's own step, else the denoiser is the file's.
        slopes: The largest slope at one noise image, by solver; heun's, of two evaluations, is left out.
    """

    ratios: Mapping[str, float]
    slopes: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Confrontation:
    """A certificate and what is reached.

    Attributes:
        certificate: What is proven.
        slope: The largest slope of the denoiser that is reached.
        steps: What each step reaches.
        pairs: The number of pairs tried at each.
    """

    certificate: RunCertificate
    slope: float
    steps: tuple[Reached, ...]
    pairs: int

    def violations(self) -> list[str]:
        """What is reached above what is certified, a line each; NaN is above everything."""
        most = self.certificate.lipschitz
        found = [("denoise: slope", self.slope, most, SLOPE_ROUNDING * most)]
        for step, reached in zip(self.certificate.steps, self.steps, strict=True):
            name = f"step {step.t} -> {step.s} of"
            for kind, numbers, rounding in (
                ("ratio", reached.ratios, STEP_ROUNDING),
                ("slope", reached.slopes, SLOPE_ROUNDING),
            ):
                found += [
                    (f"{name} {solver}: {kind}", number, step.constants[solver], rounding * step.sizes[solver])
                    for solver, number in numbers.items()
                ]
        return [
            f"{what} {reached:.6g} above the bound {most:.6g}"
            for what, reached, most, rounding in found
            if not reached <= most + rounding
        ]

    def to_json(self) -> dict[str, Any]:
        """The certificate as JSON, and beside it what is reached."""
        document = self.certificate.to_json()
        for step, reached in zip(document["steps"], self.steps, strict=True):
            step["ratios"] = {solver: json_number(value) for solver, value in reached.ratios.items()}
            step["reached_slopes"] = {solver: json_number(value) for solver, value in reached.slopes.items()}
        return {
            **document,
            "slope": json_number(self.slope),
            "pairs": self.pairs,
            "rounding": STEP_ROUNDING,
            "violations": self.violations(),
        }


def confront(
    files: Files, certificate: RunCertificate, pairs: int, progress: Callable[[int, int], None] | None = None
) -> Confrontation:
    """Try the file's steps on so many pairs each, and climb to large slopes of them.

    Args:
        files: The files that the certificate is of.
        certificate: It.
        pairs: At least 1; as many more as fill a group.
        progress: Told after each step how many are done, and of how many.
    """
    abars = file_alpha_bars(files)
    reached, tried = [], 0
    for step in certificate.steps:
        ratios, tried = worst_ratios(files, step, abars, pairs)
        reached.append(Reached(ratios, step_slopes(files, step, abars)))
        if progress is not None:
            progress(len(reached), len(certificate.steps))
    states = [step.t for step in certificate.steps]
    slope = max(denoiser_slope(files, state) for state in {states[0], states[len(states) // 2], states[-1]})
    return Confrontation(certificate, slope, tuple(reached), tried)


def denoiser_slope(files: Files, state: int) -> float:
    """The largest slope of the denoiser that a power iteration reaches at noise."""
    rng = random("slope of the denoiser")
    return _jacobian(files, state, rng).norm(rng, 30)


def step_slopes(files: Files, step: CertifiedStep, abars: Array) -> dict[str, float]:
    """The largest slopes of the solvers' steps that power iterations reach at a noise image, but heun's."""
    rng = random(f"slope of step {step.t} {step.s}")
    jacobian = _jacobian(files, step.t, rng)
    x, eps_hat = jacobian.values["x"], jacobian.values["eps"]
    levels = _levels(abars, step)

    def climbed(solver: str) -> float:
        """By the derivative of the move and that of the denoiser."""
        own, predicted = _partial_slopes(solver, levels, x, eps_hat)
        return power_iteration(
            lambda v: own * v + predicted * jacobian.push(v),
            lambda u: own * u + jacobian.pull(predicted * u),
            x.shape,
            rng,
            ROUNDS,
        )

    found = {solver: climbed(solver) for solver in STEP_CONSTANTS if solver not in ("heun", "ddim_image")}
    return {**found, "ddim_image": found["ddim"]}


def _partial_slopes(solver: str, levels: Levels, x: Array, eps_hat: Array) -> tuple[Array, Array]:
    """The derivatives of a move by each entry of the image and of eps_hat, which no other entry of it moves.

    A move is linear in the two where the clean image (x - b eps_hat) / a is inside [-1, 1], and otherwise where it is
    clipped: both maps are read off at points that are far from the ends.
    """
    a, b, zero = np.sqrt(levels.t), np.sqrt(1.0 - levels.t), np.array(0.0)

    def moved(own: float, predicted: float) -> Array:
        return SOLVERS[solver].move(levels, own + zero, predicted + zero, zero)[0]

    free = moved(a / 2, 0.0) / (a / 2), moved(0.0, a / 2) / (a / 2)
    far = 2.0 * a / b
    clipped = (moved(4 * a, 0.0) - moved(2 * a, 0.0)) / (2 * a), (moved(0.0, 2 * far) - moved(0.0, far)) / far
    inside = abs(x - b * eps_hat) < a
    return np.where(inside, free[0], clipped[0]), np.where(inside, free[1], clipped[1])


def worst_ratios(files: Files, step: CertifiedStep, abars: Array, pairs: int) -> tuple[dict[str, float], int]:
    """The worst ratio of each solver's step over pairs, NaN where one gives NaN, and the number of pairs."""
    worst = dict.fromkeys(STEP_CONSTANTS, 0.0)
    tried = 0
    for x in _groups(f"pairs {step.t} {step.s}", image_shape(files), pairs):
        before = _distances(x)
        for solver, after in _moved(files, step, _levels(abars, step), x).items():
            worst[solver] = float(np.maximum(worst[solver], (_distances(after) / before).max()))
        tried += before.size
    return worst, tried


def _moved(files: Files, step: CertifiedStep, levels: Levels, x: Array) -> dict[str, Array]:
    """Images after the step of each solver."""
    eps_hat = denoised(files, x, step.t).astype(np.float64)
    moved = {}
    for name in STEP_CONSTANTS:
        solver = SOLVERS[name]
        if name == "ddim":
            moved[name] = stepped(files, x, step.t, step.s, 0.0, np.zeros_like(x)).astype(np.float64)
            continue
        moved[name], _, memory = solver.move(levels, x.astype(np.float64), eps_hat, np.zeros(x.shape))
        if solver.evaluations == 2 and step.s > 0:
            seen = denoised(files, moved[name].astype(np.float32), step.s).astype(np.float64)
            correcting = levels._replace(correcting=np.array(True))
            moved[name] = solver.move(correcting, moved[name], seen, memory)[0]
    return moved


def _levels(abars: Array, step: CertifiedStep) -> Levels:
    t, s = abars[step.t], abars[step.s]
    return Levels(t, t, s, np.array(False), np.array(0.0))


def _jacobian(files: Files, state: int, rng: np.random.Generator) -> Jacobian:
    """The derivative of the denoiser at a noise image."""
    x = rng.standard_normal((1, *image_shape(files))).astype(np.float32)
    return Jacobian(files.probe("denoise").file.graph, "x", "eps", {"x": x, "t": np.array([state])})


def _groups(purpose: str, shape: tuple[int, ...], pairs: int) -> Iterator[Array]:
    """Groups of images (N, C, H, W), float32: noise, and others in orthogonal directions from it at `SHARES`."""
    rng, size = random(purpose), math.prod(shape)
    most = min(GROUP, size)
    while pairs > 0:
        count = min(most, math.ceil((math.sqrt(8 * pairs + 1) - 1) / 2))
        centre = rng.standard_normal(size)
        directions = np.linalg.qr(rng.standard_normal((size, count)))[0].T
        shares = np.resize(SHARES, count)[:, None] * np.linalg.norm(centre)
        group = np.concatenate([centre[None], centre + shares * directions])
        yield group.reshape(-1, *shape).astype(np.float32)
        pairs -= count * (count + 1) // 2


def _distances(x: Array) -> Array:
    """|x_i - x_j| of every pair i < j of a group, in float64, from the products of all images with each other."""
    flat = x.reshape(len(x), -1).astype(np.float64)
    products = flat @ flat.T
    squares = np.diag(products)
    apart = squares[:, None] + squares - 2.0 * products
    return np.sqrt(apart[np.triu_indices(len(flat), 1)].clip(0.0, None))
