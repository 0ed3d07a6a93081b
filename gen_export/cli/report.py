"""The command `report`: a run as one HTML page."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gen_export.data.image_set import ImageSet
    from gen_export.report.run import Run

NAME = "report.html"
GENERATED = "sprites"
"""The set that is made on the spot: a run of it needs no word of where its images are."""


def register(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command()(report)


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    out: Annotated[Path | None, typer.Option(help=f"The page to write; by default RUN/{NAME}.")] = None,
    data: Annotated[
        str | None,
        typer.Option(help="The images of the run, for what is shown on held-out ones: see gen-export data list."),
    ] = None,
) -> None:
    """Write a page about a run: what made it, how it learned, what it draws and what was checked on its files.

    The page is one file and asks for nothing outside it. What is not there is left out, with a line on how to get it.

    Example: gen-export report runs/vae --out vae.html
    """
    from gen_export.report.page import page
    from gen_export.report.run import read_run
    from gen_runtime.files import atomic

    found = read_run(run)
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    text = page(found, _held_out(found, data), date)
    path = out or run / NAME
    with atomic(path) as file:
        file.write(text.encode(errors="replace"))
    typer.echo(f"{path}: {len(text) / 1e6:.1f} MB")


def _held_out(run: "Run", data: str | None) -> "ImageSet | None":
    """Held-out images, where the user says they are: what a run's own files name may be anyone's."""
    from gen_export.data import open_data

    source = data or (GENERATED if run.section("data").get("name") == GENERATED else None)
    if source is None:
        return None
    size = run.model.card.image.height if run.model and Path(source).is_dir() else None
    return open_data(source, "test", size=size)
