"""The command `eval`: how good files are, beside what held-out images score, without PyTorch."""

import json
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gen_export.cli.progress import Progress, progress_bar
from gen_export.cli.run import Device, sampler_inputs
from gen_export.cli.tables import table

if TYPE_CHECKING:
    from rich.table import Table

    from gen_export.evaluation.evaluate import Score


_FILES_A_TABLE = 2


def register(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command("eval")(evaluate)


def evaluate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Exported .onnx files.")],
    data: Annotated[str, typer.Option(help="The images to compare with: see gen-export data list.")],
    features: Annotated[
        Path | None,
        typer.Option(help="ONNX file of a network that gives features; by default the one that comes for the set."),
    ] = None,
    count: Annotated[int, typer.Option(min=10, max=1_000_000, help="Images to draw or to rebuild.")] = 5000,
    seed: Annotated[int, typer.Option(help="Of the images drawn and of everything else that is random.")] = 0,
    image_size: Annotated[int | None, typer.Option(help="Side that a folder's images are cropped to.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Inputs of the samplers: steps=20.")
    ] = None,
    device: Annotated[Device, typer.Option(help="auto takes CUDA where it works.")] = Device.auto,
    stamp: Annotated[bool, typer.Option("--stamp", help="Write the scores into the files' metadata.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """Measure how good files are: distances of their images from real ones, reconstructions, likelihoods.

    Beside each distance stands its floor: what held-out images score in place of the file's.

    Example: gen-export eval runs/vae/vae.onnx runs/diffusion/diffusion.onnx --data fashion-mnist
    """
    from gen_export.data import open_data
    from gen_export.evaluation.evaluate import evaluate as scores_of
    from gen_export.evaluation.evaluate import section
    from gen_export.evaluation.reference import Reference
    from gen_export.verify.stamp import EVALUATION, write
    from gen_runtime import load

    train, test = (open_data(data, part, size=image_size) for part in ("train", "test"))
    found: dict[str, list[Score]] = {}
    with ExitStack() as bars:

        def bar(label: str) -> Progress | None:
            bars.close()  # the one before it: a terminal shows one at a time
            return bars.enter_context(progress_bar(label))

        reference = Reference(train, test, features, count, seed, bar)
        for path in files:
            model = load(path, device=device.value)
            inputs = sampler_inputs(model, {}, settings or []) if "sample" in model.graphs else {}
            found[str(path)] = scores_of(model, reference, **inputs)
            if stamp:
                write(path, EVALUATION, section(found[str(path)], reference, inputs))
    if as_json:
        typer.echo(json.dumps({path: [asdict(score) for score in scores] for path, scores in found.items()}, indent=2))
        return
    from rich.console import Console

    side_by_side = len(found) <= _FILES_A_TABLE
    for part in [found] if side_by_side else [{path: scores} for path, scores in found.items()]:
        Console().print(_table(part))


def _table(found: dict[str, list["Score"]]) -> "Table":
    """A line a score, a column a file."""
    scores = {path: {score.name: score for score in scores} for path, scores in found.items()}
    names = {score.name: score for of_file in scores.values() for score in of_file.values()}
    rows = [
        (name, *(_shown(of_file.get(name)) for of_file in scores.values()), _floor(score), score.unit)
        for name, score in names.items()
    ]
    return table("", ("score", *(Path(path).name for path in found), "floor", "unit"), rows)


def _shown(score: "Score | None") -> str:
    """A value with its error, where there are."""
    if score is None:
        return ""
    return f"{score.value:.4g}" if score.error is None else f"{score.value:.4g} ± {score.error:.2g}"


def _floor(score: "Score") -> str:
    return "" if score.floor is None else f"{score.floor:.4g}"
