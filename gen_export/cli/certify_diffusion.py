"""Lipschitz constants of a diffusion file's denoiser and of the steps of a run, as tables, JSON and a picture."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gen_export.cli.certify import rounded_down, rounded_up
from gen_export.cli.progress import progress_bar
from gen_export.cli.tables import table
from gen_export.spec.solver_constants import STEP_CONSTANTS
from gen_export.verify.certificate import certify
from gen_export.verify.confrontation import Confrontation, confront
from gen_export.verify.files import Files

if TYPE_CHECKING:
    from rich.table import Table

SHOWN = tuple(name for name in STEP_CONSTANTS if name != "ddim_image")
"""The step of ddim_image is that of ddim."""
_ALL_STATES = "its own run takes all states (--steps)"


def certify_diffusion(files: Files, steps: int | None, pairs: int, plot: Path | None, as_json: bool) -> int:
    """Certifies a run and tries it; the exit code: 1 where the file goes beyond a bound.

    Raises:
        ConfigError: The plot is neither .png nor .svg, or cannot be drawn here.
    """
    from gen_export.cli import certificate_plot

    if plot is not None:
        certificate_plot.require(plot)
    certificate = certify(files, steps)
    with progress_bar("steps tried") as progress:
        found = confront(files, certificate, pairs, progress)
    if as_json:
        typer.echo(json.dumps({"file": str(files.path), **found.to_json()}, indent=2))
    else:
        _show(str(files.path), found)
    if plot is not None:
        certificate_plot.draw(found, SHOWN, plot)
        typer.echo(f"{plot}: constants, ratios and slopes of {len(found.steps)} steps", err=as_json)
    return 1 if found.violations() else 0


def _show(name: str, found: Confrontation) -> None:
    """Two tables, each with a line that sums it up, and the violations."""
    from rich.console import Console

    console, layers = Console(), found.certificate.network.layers
    rows = [(layer.name, layer.kind, rounded_up(layer.norm)) for layer in layers]
    console.print(table(f"{name}: the denoiser's layers", ("layer", "kind", "norm"), rows))
    for line in (*_denoiser(found), ""):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(_steps(found))
    for line in (*_summary(found), *(f"violated: {told}" for told in found.violations())):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _denoiser(found: Confrontation) -> list[str]:
    """The denoiser's constant, at the run's states and at all, and the slope that is reached."""
    certificate = found.certificate
    at = "all t" if certificate.network.uniform else "every t of the run"
    lines = [f"|denoise(x, t) - denoise(y, t)| <= {rounded_up(certificate.lipschitz)} |x - y| for all x, y and {at}"]
    if not certificate.network.uniform:
        lines.append(f"at other t the factor is at most {rounded_up(certificate.network.value)}")
    return [*lines, f"a slope of {found.slope:.4g} is reached"]


def _steps(found: Confrontation) -> "Table":
    """The steps of the run: slopes of the denoiser and the solvers' constants, and below these the worst ratios."""
    title = f"certified constant of each step t -> s (* below 1), and the worst ratio of {found.pairs} pairs"
    return table(title, ("t", "s", "slopes", *SHOWN), list(_rows(found)))


def _rows(found: Confrontation) -> Iterator[tuple[str, ...]]:
    for step, reached in zip(found.certificate.steps, found.steps, strict=True):
        low, high = step.slopes
        slopes = f"{rounded_down(low, 3)} .. {rounded_up(high, 3)}"
        yield f"{step.t}", f"{step.s}", slopes, *(_marked(step.constants[name]) for name in SHOWN)
        yield "", "", "reached", *(f"{reached.ratios[name]:.4g}" for name in SHOWN)


def _summary(found: Confrontation) -> list[str]:
    """The number of steps below 1 and the product of a whole run, a line a solver."""
    certificate, count = found.certificate, len(found.steps)
    lines = []
    for solver in SHOWN:
        known = solver in certificate.solvers
        run = f"the run's constant is at most 10^{rounded_up(certificate.log10(solver))}" if known else _ALL_STATES
        lines.append(f"{solver}: {certificate.contracting(solver)} of {count} steps are certified below 1; {run}")
    return lines


def _marked(constant: float) -> str:
    return f"{rounded_up(constant)}{'*' if constant < 1 else ''}"
