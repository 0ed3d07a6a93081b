"""The command `certify`: Lipschitz constants of a diffusion file's denoiser and steps, beside what is reached."""

import json
from decimal import ROUND_CEILING, Context
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gen_export.cli.tables import table

if TYPE_CHECKING:
    from rich.table import Table

    from gen_export.verify.certificate import RunCertificate

_TITLES = {"clipped": "ddim, clipped", "unclipped": "ddim, unclipped", "euler": "euler"}


def register(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command()(certify)


def certify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The main .onnx file of a diffusion model.")],
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Steps of the run; by default the file's.", show_default=False)
    ] = None,
    pairs: Annotated[int, typer.Option("--pairs", min=1, max=100_000, help="Pairs of images tried at each step.")] = 64,
    as_json: Annotated[bool, typer.Option("--json", help="Print the certificate as JSON.")] = False,
) -> None:
    """Bound how far apart the denoiser and each step of a run can take two images, and try it on the file.

    Exits with 1 where the file goes beyond a bound, 2 where there is no bound.

    Example: gen-export certify runs/diffusion/diffusion.onnx --steps 20
    """
    from gen_export.verify.certificate import certify as certified
    from gen_export.verify.report import open_files

    certificate = certified(open_files(file), steps, pairs)
    if as_json:
        typer.echo(json.dumps({"file": str(file), **certificate.to_json()}, indent=2))
    else:
        _show(str(file), certificate)
    raise typer.Exit(1 if certificate.violations() else 0)


def _show(name: str, certificate: "RunCertificate") -> None:
    """Two tables, each with a line that sums it up, and the violations."""
    from rich.console import Console

    console, network = Console(), certificate.network
    layers = [(layer.name, layer.kind, _up(layer.norm)) for layer in network.layers]
    console.print(table(f"{name}: the denoiser's layers", ("layer", "kind", "norm"), layers))
    lines = [f"|denoise(x, t) - denoise(y, t)| <= {_up(network.value)} |x - y| for all x, y, t"]
    lines += [f"a slope of {certificate.slope:.4g} is reached", ""]
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
    console.print(_steps(certificate))
    for line in (*_summary(certificate), *(f"violated: {told}" for told in certificate.violations())):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _steps(certificate: "RunCertificate") -> "Table":
    """The steps of the run; a constant below 1 is marked."""
    columns = ("t", "s", *_TITLES.values(), f"worst ratio of {certificate.pairs} pairs, ddim clipped")
    rows = [
        (f"{step.t}", f"{step.s}", *(_marked(getattr(step, form)) for form in _TITLES), f"{step.reached:.4g}")
        for step in certificate.steps
    ]
    return table("certified factor of each step t -> s", columns, rows)


def _summary(certificate: "RunCertificate") -> list[str]:
    """The product of a whole run and the number of steps below 1, a line a form."""
    count = len(certificate.steps)
    return [
        f"{title}: the run's factor is at most 10^{_up(certificate.log10(form))}; "
        f"{certificate.contracting(form)} of {count} steps are certified below 1"
        for form, title in _TITLES.items()
    ]


def _marked(factor: float) -> str:
    return f"{_up(factor)}{' < 1' if factor < 1 else ''}"


def _up(value: float) -> str:
    """Five digits, rounded up, so that what is shown is still a bound."""
    return f"{Context(prec=5, rounding=ROUND_CEILING).create_decimal_from_float(value):g}"
