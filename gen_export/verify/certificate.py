"""The certificate of a diffusion file: how far apart its denoiser and the steps of a run can take two images.

Constants are proven over the real numbers, for the weights in the file and its schedule's float32 alpha_bar, and
rounded up.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from gen_export.errors import ConfigError, NoCertificateError
from gen_export.spec.schedules import SPACINGS
from gen_export.spec.solver_constants import STEP_CONSTANTS
from gen_export.spec.solvers import SOLVERS
from gen_export.verify.files import Files
from gen_export.verify.lipschitz.network import Certificate, bound, weights_of
from gen_export.verify.lipschitz.outward import UNIT, Range
from gen_export.verify.lipschitz.values import Value
from gen_export.verify.onnx_file import OnnxFile
from gen_export.verify.process import alpha_bars
from gen_runtime.errors import FileError

Array = np.ndarray

ROUNDINGS = 64 * UNIT
"""More than the relative error of any formula here: fewer than 40 operations, none off by more than a unit or two."""


@dataclass(frozen=True, slots=True)
class CertifiedStep:
    """A step of a run from state t to s.

    Attributes:
        t: The state that it leaves.
        s: The state that it goes to.
        slopes: The range of the denoiser's slopes at t (`lipschitz.symmetric`).
        constants: The Lipschitz constant of each solver's step.
        sizes: The same were the slopes in [-L, L], L the largest of them: what rounding is a share of.
    """

    t: int
    s: int
    slopes: Range
    constants: Mapping[str, float]
    sizes: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class RunCertificate:
    """What is proven.

    Attributes:
        network: The certificate of x -> denoise(x, t) for all t.
        states: T.
        steps: The steps of the run, in order.
    """

    network: Certificate
    states: int
    steps: tuple[CertifiedStep, ...]

    @property
    def lipschitz(self) -> float:
        """The constant of x -> denoise(x, t) at the states that the run asks it at."""
        return max(abs(end) for step in self.steps for end in step.slopes)

    @property
    def solvers(self) -> tuple[str, ...]:
        """The solvers that run through these steps: those that take all states only where these are all."""
        whole = len(self.steps) == self.states
        return tuple(name for name in STEP_CONSTANTS if whole or not SOLVERS[name].all_states)

    def log10(self, solver: str) -> float:
        """The decimal logarithm of the run's constant, the product of its steps', rounded up."""
        logs = [math.log10(step.constants[solver]) for step in self.steps]
        return math.fsum(logs) + ROUNDINGS * math.fsum(map(abs, logs))

    def contracting(self, solver: str) -> int:
        """The number of steps whose constant is below 1."""
        return sum(step.constants[solver] < 1 for step in self.steps)

    def section(self) -> dict[str, Any]:
        """What a card says of it: numbers of any size as decimal logarithms."""
        return {
            "lipschitz": self.lipschitz,
            "steps": [[step.t, step.s] for step in self.steps],
            "slopes": [list(step.slopes) for step in self.steps],
            "log10": {solver: [math.log10(step.constants[solver]) for step in self.steps] for solver in STEP_CONSTANTS},
            "run_log10": {solver: self.log10(solver) for solver in self.solvers},
        }

    def to_json(self) -> dict[str, Any]:
        """All of it as `--json` prints it; numbers that JSON has not are text."""
        steps = [
            {
                "t": step.t,
                "s": step.s,
                "slopes": list(step.slopes),
                "constants": {solver: json_number(value) for solver, value in step.constants.items()},
            }
            for step in self.steps
        ]
        log10 = {solver: json_number(self.log10(solver)) for solver in self.solvers}
        return {"network": asdict(self.network), "lipschitz": self.lipschitz, "steps": steps, "log10": log10}


def certify(files: Files, steps: int | None) -> RunCertificate:
    """The certificate of a diffusion model's denoiser and of a run.

    Args:
        files: A main file with its parts.
        steps: Of the run, 1..T; None for the file's own number.

    Raises:
        FileError: The file is of another family, a part, or its card lacks what is needed.
        ConfigError: There are fewer states than steps.
        NoCertificateError: A node of the denoiser stands in the way; the message names it and says why.
    """
    _require_diffusion(files)
    t, s = run_states(files, steps)
    denoiser = files.probe("denoise").file
    try:
        return certify_run(denoiser, file_alpha_bars(files), t, s)
    except NoCertificateError as error:
        raise NoCertificateError(f"{denoiser.source}: no certificate: {error}") from error


def file_alpha_bars(files: Files) -> Array:
    """alpha_bar of the states 0..T as the file has it, rounded to float32, as float64 (T + 1,)."""
    return alpha_bars(files).astype(np.float32).astype(np.float64)


def certify_run(denoiser: OnnxFile, abars: Array, t: Array, s: Array) -> RunCertificate:
    """The certificate of a denoiser and of steps between states.

    Args:
        denoiser: The file of the graph `denoise`.
        abars: alpha_bar of the states 0..T, float64 (T + 1,).
        t: The states that the steps leave, each at least 1, (steps,).
        s: The states that they go to.

    Raises:
        NoCertificateError: A node stands in the way, or the constant is too large for a float64.
    """
    prove = partial(_bound, denoiser, weights_of(denoiser))
    network = prove({})
    states = {*t.tolist(), *s.tolist()} - {0}
    at = {state: network.slopes if network.uniform else prove({"t": np.array([state])}).slopes for state in states}
    low, high = np.array([at[state] for state in t.tolist()]).T
    low_s, high_s = np.array([at.get(state, (0.0, 0.0)) for state in s.tolist()]).T
    largest, largest_s = np.maximum(-low, high), np.maximum(-low_s, high_s)
    with np.errstate(over="ignore"):
        constants = step_constants(abars[t], abars[s], (low, high), (low_s, high_s))
        sizes = step_constants(abars[t], abars[s], (-largest, largest), (-largest_s, largest_s))
    if not np.isfinite(list(sizes.values())).all():
        raise NoCertificateError(f"expected finite constants of steps, found more: the denoiser's is {network.value:g}")
    found = [
        CertifiedStep(a, b, at[a], _row(constants, row), _row(sizes, row))
        for row, (a, b) in enumerate(zip(t.tolist(), s.tolist(), strict=True))
    ]
    return RunCertificate(network, len(abars) - 1, tuple(found))


def _row(columns: Mapping[str, Array], row: int) -> dict[str, float]:
    return {name: float(column[row]) for name, column in columns.items()}


def run_states(files: Files, steps: int | None) -> tuple[Array, Array]:
    """The states t that the steps of a run leave and s that they go to, each (steps,).

    Raises:
        FileError: The card has no usable schedule, or a number of steps that is not in 1..T.
        ConfigError: The number of steps that is asked for is not.
    """
    try:
        schedule: Any = files.card.schedule
        ports = {port.name: port for port in files.card.inputs}
        states, spacing = len(alpha_bars(files)) - 1, schedule["spacing"]
        count = int(steps or schedule["unrolled"] or ports["steps"].default)  # pyright: ignore[reportArgumentType]
        if not 1 <= count <= states:
            told = f"steps: expected 1 to {states}, found {count}"
            raise ConfigError(told) if steps else FileError(f"{files.path}: {told}")
        return visited_states(count, states, spacing)
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(f"{files.path}: expected a card with a schedule and its steps, found none to read") from error


def visited_states(steps: int, states: int, spacing: str) -> tuple[Array, Array]:
    """The states t and s of the steps of a run, each (steps,)."""
    run = np.array([SPACINGS[spacing](j, steps, states) for j in range(steps + 1)])
    return run[:-1], run[1:]


def _bound(denoiser: OnnxFile, weights: Mapping[str, Value], known: Mapping[str, Array]) -> Certificate:
    """The certificate of x -> denoise(x, t), for one image, and all t or a known one."""
    found = bound(denoiser, "x", "eps", {}, known, weights)
    if not math.isfinite(found.value):
        raise NoCertificateError(f"expected a finite constant, found {found.value}")
    return found


def step_constants(
    abar_t: Array, abar_s: Array, slopes: tuple[Array, Array], slopes_s: tuple[Array, Array]
) -> dict[str, Array]:
    """Constants of the solvers' steps between levels, each (steps,), for slopes at t and at s; rounded up.

    A formula is off by at most `ROUNDINGS` of its terms' sizes, which differences among them leave as they are.
    """
    largest = np.max(np.abs([*slopes, *slopes_s]), axis=0)
    image = (1.0 + np.sqrt(abar_s / abar_t)) * (1.0 + largest)
    flow = (1.0 + np.log(abar_s / abar_t)) * (1.0 + largest / np.sqrt(1.0 - abar_t))
    sizes = {"ddpm": image / (1.0 - abar_t), "euler": flow, "heun": image**2}
    return {
        solver: constant(abar_t, abar_s, slopes, slopes_s) + ROUNDINGS * sizes.get(solver, image)
        for solver, constant in STEP_CONSTANTS.items()
    }


def _require_diffusion(files: Files) -> None:
    """Refuses what is not the main file of a diffusion model."""
    if files.card.family != "diffusion":
        raise FileError(f"{files.path}: expected a diffusion model, found the family {files.card.family}")
    missing = {"denoise", "step"} - set(files.graphs)
    if missing:
        raise FileError(f"{files.path}: expected a main file with the parts denoise and step, found {files.card.graph}")


def json_number(value: float) -> float | str:
    """A number as JSON has it, or its name."""
    return value if math.isfinite(value) else str(value)
