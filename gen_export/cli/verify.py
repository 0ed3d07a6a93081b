"""The command `verify`: the named facts of the mathematics, checked on exported files without PyTorch."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gen_export.cli.tables import table

if TYPE_CHECKING:
    from rich.text import Text

    from gen_export.verify.files import Files
    from gen_export.verify.report import Outcome

_COLUMNS = ("fact", "evidence", "error", "bound", "cases", "verdict")
_STYLES = {"passed": "green", "failed": "bold red", "skipped": "yellow"}


def register(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command()(verify)


def verify(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE|FOLDER...", help="Exported .onnx files, or folders of them.")
    ] = None,
    mathematics: Annotated[
        bool, typer.Option("--mathematics", help="Check the facts that are about no file as well.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcomes as JSON.")] = False,
    stamp: Annotated[
        bool, typer.Option("--stamp", help="Write the outcome into each file whose facts all hold.")
    ] = False,
    statements: Annotated[bool, typer.Option("--statements", help="Show what each fact states.")] = False,
) -> None:
    """Check the named facts on exported files; exit with 1 where one fails, 2 where a file is not what it should be.

    Example: gen-export verify runs/vae --stamp
    """
    from gen_export.verify.report import of_mathematics

    if not files and not mathematics:
        raise typer.BadParameter("expected a file, a folder or --mathematics, found nothing", param_hint="FILE|FOLDER")
    models = _opened(files or [], stamp)
    results = {"mathematics": list(of_mathematics())} if mathematics else {}
    results |= {str(model.path): _checked(model, stamp) for model in models}
    if as_json:
        typer.echo(json.dumps({name: [o.to_json() for o in found] for name, found in results.items()}, indent=2))
    else:
        _show(results, statements)
    raise typer.Exit(1 if any(map(_failed, results.values())) else 0)


def _opened(paths: list[Path], stamp: bool) -> list["Files"]:
    """The models of these files and folders, all opened before one is checked, so that a broken one comes first.

    Raises:
        FileError: A file is not what it should be, or lacks what a stamp needs.
    """
    from gen_export.verify.report import main_files, open_files, require_main

    models = [open_files(main, stale=stamp) for path in paths for main in main_files(path)]
    if stamp:
        for model in models:
            require_main(model)
    return models


def _checked(model: "Files", stamp: bool) -> list["Outcome"]:
    """What came of each fact about a model; written into its file where that is asked for and none failed.

    Raises:
        FileError: The file cannot be written.
    """
    from gen_export.verify.report import of_files
    from gen_export.verify.stamp import hashes
    from gen_export.verify.stamp import stamp as write_stamp

    outcomes = list(of_files(model))
    if stamp and not _failed(outcomes):
        write_stamp(model.path, {outcome.fact.name: _stamped(outcome) for outcome in outcomes}, hashes(model))
    return outcomes


def _failed(outcomes: Iterable["Outcome"]) -> bool:
    return any(outcome.verdict == "failed" for outcome in outcomes)


def _stamped(outcome: "Outcome") -> dict[str, object]:
    """What of an outcome goes into the file."""
    return {name: outcome.to_json()[name] for name in ("kind", "verdict", "error", "bound")}


def _show(results: dict[str, list["Outcome"]], statements: bool) -> None:
    """A table a file, and a line that counts."""
    from rich.console import Console

    console = Console()
    for name, outcomes in results.items():
        columns = (*_COLUMNS, *(("statement",) if statements else ()))
        console.print(table(name, columns, (_row(outcome, statements) for outcome in outcomes)))
        for outcome in outcomes:
            if outcome.verdict != "passed":
                console.print(f"{outcome.verdict}: {_why(outcome)}", markup=False, highlight=False, soft_wrap=True)
        counts = {kind: sum(o.verdict == kind for o in outcomes) for kind in _STYLES}
        told = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
        console.print(f"{name}: {told or 'no facts'}", markup=False, highlight=False, soft_wrap=True)


def _why(outcome: "Outcome") -> str:
    """A fact that did not pass in a line: what it states, and what was found."""
    found = outcome.finding
    measured = outcome.reason if found is None else f"error {found.error:.3g} above {found.bound:.3g} {found.note}"
    return f"{outcome.fact.name}: {outcome.fact.statement} ({measured.strip()})"


def _row(outcome: "Outcome", statements: bool) -> "tuple[str | Text, ...]":
    """An outcome as the columns of the table."""
    from rich.text import Text

    found = outcome.finding
    numbers = ("", "", "") if found is None else (f"{found.error:.2g}", f"{found.bound:.2g}", f"{found.cases}")
    verdict = Text(outcome.verdict, style=_STYLES[outcome.verdict])
    extra = (outcome.fact.statement,) if statements else ()
    return _short(outcome.fact.name), outcome.fact.kind, *numbers, verdict, *extra


def _short(name: str) -> str:
    """The name without the namespaces that the reference's names share."""
    return name.removeprefix("NN.MLTheory.").removeprefix("Generative.")
