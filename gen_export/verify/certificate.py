"""The certificate of a diffusion file: how far apart its denoiser and the steps of a run can take two images.

Constants are proven over the real numbers, for the weights in the file and its schedule's float32 alpha_bar, and
rounded up. Beside each stands what is reached: slopes of the denoiser, and ratios of the file's own steps.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gen_export.errors import ConfigError, NoCertificateError
from gen_export.spec.dynamics import guarded_ddim_lipschitz, image_ddim_lipschitz, pf_ode_euler_lipschitz
from gen_export.spec.schedules import SPACINGS
from gen_export.verify.facts.process import alpha_bars, image_shape, stepped
from gen_export.verify.facts.rounding import NETWORK
from gen_export.verify.files import Files, random
from gen_export.verify.lipschitz.jacobian import reached_slope
from gen_export.verify.lipschitz.network import Certificate, bound
from gen_export.verify.lipschitz.outward import UNIT
from gen_runtime.errors import FileError

Array = np.ndarray

FORMS = ("clipped", "unclipped", "euler")
"""DDIM through the clipped clean image, guarded DDIM without clipping, Euler's method in the time -ln alpha_bar."""
ROUNDINGS = 64 * UNIT
"""More than the relative error of any formula here: fewer than 20 operations, none off by more than 3 u."""
SHARES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Distances |x - y| of the pairs, in shares of |x|."""
STEP_ROUNDING = 10 * NETWORK
"""The share by which float32 may lift a step's ratio above its constant K.

Rounding moves eps(x) by at most `NETWORK` of its norm (|eps(0)| + L |x| at most), and the rest of the step by a few
2^-24 of |x|, so that the step is off by at most NETWORK K (|x| + |eps(0)| / L). The ratio of a pair is then off by
NETWORK K (|x| + |y| + 2 |eps(0)| / L) / |x - y|: with |y| <= |x| + |x - y|, |x - y| >= |x| / 4, the least of `SHARES`,
and |eps(0)| <= L |x| / 8, by at most 10 NETWORK K.
"""
SLOPE_ROUNDING = 1e-9
"""The share by which float64 may lift a reached slope: far more than it loses, far less than a wrong rule."""
BATCH = 64
"""Pairs that are stepped at once."""


@dataclass(frozen=True, slots=True)
class CertifiedStep:
    """A step of a run from state t to s.

    Attributes:
        t: The state that it leaves.
        s: The state that it goes to.
        clipped: The certified constant of the clipped DDIM step.
        unclipped: That of the guarded DDIM step.
        euler: That of Euler's step.
        reached: The largest ratio |step(x) - step(y)| / |x - y| of the file's clipped step.
    """

    t: int
    s: int
    clipped: float
    unclipped: float
    euler: float
    reached: float


@dataclass(frozen=True, slots=True)
class RunCertificate:
    """What is proven and what is reached.

    Attributes:
        network: The certificate of x -> denoise(x, t) for all t.
        slope: The largest slope of it that is reached.
        steps: The steps of the run, in order.
        pairs: The number of pairs tried at each.
    """

    network: Certificate
    slope: float
    steps: tuple[CertifiedStep, ...]
    pairs: int

    def log10(self, form: str) -> float:
        """The decimal logarithm of the run's constant, the product of its steps', rounded up."""
        logs = [math.log10(getattr(step, form)) for step in self.steps]
        return math.fsum(logs) + ROUNDINGS * math.fsum(map(abs, logs))

    def contracting(self, form: str) -> int:
        """The number of steps whose constant is below 1."""
        return sum(getattr(step, form) < 1 for step in self.steps)

    def violations(self) -> list[str]:
        """What is reached above what is certified, a line each; NaN is above everything."""
        found = [("denoise: slope", self.slope, self.network.value, SLOPE_ROUNDING)]
        found += [
            (f"step {step.t} -> {step.s}: ratio", step.reached, step.clipped, STEP_ROUNDING) for step in self.steps
        ]
        return [
            f"{what} {reached:.6g} above the bound {most:.6g}"
            for what, reached, most, rounding in found
            if not reached <= most * (1 + rounding)
        ]

    def to_json(self) -> dict[str, Any]:
        """All of it as `--json` prints it; numbers that JSON has not are text."""
        steps = [
            {name: _number(value) for name, value in asdict(step).items()}
            | {"contracts": {form: getattr(step, form) < 1 for form in FORMS}}
            for step in self.steps
        ]
        return {
            "network": asdict(self.network),
            "slope": _number(self.slope),
            "pairs": self.pairs,
            "steps": steps,
            "log10": {form: _number(self.log10(form)) for form in FORMS},
            "rounding": STEP_ROUNDING,
            "violations": self.violations(),
        }


def certify(files: Files, steps: int | None, pairs: int) -> RunCertificate:
    """The certificate of a diffusion model's denoiser and of a run.

    Args:
        files: A main file with its parts.
        steps: Of the run, 1..T; None for the file's own number.
        pairs: Pairs tried at each step, at least 1.

    Raises:
        FileError: The file is of another family, a part, or its card lacks what is needed.
        ConfigError: There are fewer states than steps.
        NoCertificateError: A node of the denoiser stands in the way; the message names it and says why.
    """
    _require_diffusion(files)
    t, s = run_states(files, steps)
    network = certify_denoiser(files)
    abars = alpha_bars(files).astype(np.float32).astype(np.float64)  # the file's own numbers
    factors = step_factors(abars[t], abars[s], network.value)
    reached = [worst_ratio(files, int(a), int(b), pairs) for a, b in zip(t, s, strict=True)]
    columns = [t.tolist(), s.tolist(), *(factors[form].tolist() for form in FORMS), reached]
    rows = tuple(CertifiedStep(*row) for row in zip(*columns, strict=True))
    return RunCertificate(network, denoiser_slope(files, t), rows, pairs)


def run_states(files: Files, steps: int | None) -> tuple[Array, Array]:
    """The states t that the steps of a run leave and s that they go to, each (steps,).

    Raises:
        FileError: The card has no usable schedule.
        ConfigError: The number of steps is not in 1..T.
    """
    try:
        schedule: Any = files.card.schedule
        ports = {port.name: port for port in files.card.inputs}
        states, spacing = len(alpha_bars(files)) - 1, SPACINGS[schedule["spacing"]]
        count = int(steps or schedule["unrolled"] or ports["steps"].default)  # pyright: ignore[reportArgumentType]
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(f"{files.path}: expected a card with a schedule and its steps, found none to read") from error
    if not 1 <= count <= states:
        raise ConfigError(f"steps: expected 1 to {states}, found {count}")
    run = np.array([spacing(j, count, states) for j in range(count + 1)])
    return run[:-1], run[1:]


def certify_denoiser(files: Files) -> Certificate:
    """The certificate of x -> denoise(x, t), for one image and all t.

    Raises:
        NoCertificateError: A node stands in the way, or the constant is too large for a float64.
    """
    file = files.probe("denoise").file
    try:
        found = bound(file, "x", "eps", {})
    except NoCertificateError as error:
        raise NoCertificateError(f"{file.source}: no certificate: {error}") from error
    if not math.isfinite(found.value):
        raise NoCertificateError(f"{file.source}: no certificate: expected a finite constant, found {found.value}")
    return found


def denoiser_slope(files: Files, t: Array) -> float:
    """The largest slope of the denoiser that power iterations reach at noise, at the first, middle and last of t."""
    rng, shape = random("slope of the denoiser"), (1, *image_shape(files))
    points = [
        {"x": rng.standard_normal(shape).astype(np.float32), "t": np.array([state])}
        for state in {int(t[0]), int(t[len(t) // 2]), int(t[-1])}
    ]
    return reached_slope(files.probe("denoise").file.graph, "x", "eps", points)


def step_factors(abar_t: Array, abar_s: Array, lipschitz: float) -> dict[str, Array]:
    """Constants of the three forms of steps between levels, each (steps,), for a denoiser of this constant; rounded up.

    A formula is off by at most `ROUNDINGS` of its terms' sizes, which differences among them leave as they are.
    """
    length, sigma = np.log(abar_s / abar_t), np.sqrt(1.0 - abar_t)
    image_terms = (1.0 + np.sqrt(abar_s / abar_t)) * (1.0 + lipschitz)
    flow_terms = (1.0 + length) * (1.0 + lipschitz / sigma)
    return {
        "clipped": image_ddim_lipschitz(abar_t, abar_s, lipschitz) + ROUNDINGS * image_terms,
        "unclipped": guarded_ddim_lipschitz(abar_t, abar_s, lipschitz) + ROUNDINGS * image_terms,
        "euler": pf_ode_euler_lipschitz(1.0, sigma, -length, lipschitz) + ROUNDINGS * flow_terms,
    }


def worst_ratio(files: Files, t: int, s: int, pairs: int) -> float:
    """The largest |step(x) - step(y)| / |x - y| of the file's step with eta = 0; NaN where it gives one."""
    ratios = []
    for x, y in _pairs(f"pairs {t} {s}", image_shape(files), pairs):
        ends = stepped(files, np.concatenate([x, y]), t, s, 0.0, np.zeros((2 * len(x), *x.shape[1:]), np.float32))
        ratios.append(_norms(ends[: len(x)], ends[len(x) :]) / _norms(x, y))
    return float(np.concatenate(ratios).max())


def _pairs(purpose: str, shape: tuple[int, ...], count: int) -> Iterator[tuple[Array, Array]]:
    """Batches of noise x and of y in random directions from it, at each of `SHARES` in turn, float32."""
    rng = random(purpose)
    for first in range(0, count, BATCH):
        size = min(BATCH, count - first)
        x, way = rng.standard_normal((2, size, *shape))
        share = np.resize(np.roll(SHARES, -first), size) * _norms(x, 0 * x) / _norms(way, 0 * way)
        yield x.astype(np.float32), (x + share.reshape(-1, 1, 1, 1) * way).astype(np.float32)


def _norms(x: Array, y: Array) -> Array:
    """|x - y| of each pair, (B,)."""
    return np.sqrt(((x.astype(np.float64) - y) ** 2).sum((1, 2, 3)))


def _require_diffusion(files: Files) -> None:
    """Refuses what is not the main file of a diffusion model."""
    if files.card.family != "diffusion":
        raise FileError(f"{files.path}: expected a diffusion model, found the family {files.card.family}")
    missing = {"denoise", "step"} - set(files.card.parts)
    if missing:
        raise FileError(f"{files.path}: expected a main file with the parts denoise and step, found {files.card.graph}")


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
