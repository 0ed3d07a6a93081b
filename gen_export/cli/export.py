"""The command `export`: a checkpoint to checked ONNX files."""

from pathlib import Path
from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command()(export)


def export(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="A run's folder, or its checkpoint file.")],
    out: Annotated[Path | None, typer.Option(help="Folder for the files; by default the run's.")] = None,
    name: Annotated[
        str | None, typer.Option(help="Stem of the files; by default the family's name, with -N-steps when unrolled.")
    ] = None,
    opset: Annotated[int, typer.Option(help="ONNX opset, 18 to 23.")] = 18,
    unroll: Annotated[
        int | None,
        typer.Option(metavar="N", help="Write N fixed steps in a row, for runtimes without loops."),
    ] = None,
    solver: Annotated[
        str | None, typer.Option(help="The sampler's default solver, the only one when unrolled: ddim, heun, ...")
    ] = None,
    spacing: Annotated[
        str | None, typer.Option(help="Which noise levels few steps go through: trailing, leading or linspace.")
    ] = None,
    parts: Annotated[
        str | None, typer.Option(help="Graphs to keep beside the main one: encode,decode. By default all; '' none.")
    ] = None,
    train_step: Annotated[
        bool, typer.Option("--train-step", help="Write a step of training too, for fine-tuning without torch.")
    ] = False,
    freeze: Annotated[
        str | None, typer.Option(help="Parts of the model that stand still in it: encoder,decoder.label.")
    ] = None,
) -> None:
    """Write a trained model as ONNX files, each compared with torch before it is kept.

    Example: gen-export export runs/diffusion --out models --opset 21
    """
    from gen_export.errors import ExportError
    from gen_export.training.checkpoint import locate, restore_averaged

    if name is not None and (not name or name != Path(name).name):
        raise ExportError(f"--name: expected the stem of a file without folders, found {name!r}")

    record, model = restore_averaged(checkpoint)
    folder = out or locate(checkpoint).parent
    stem = name or (record.family if unroll is None else f"{record.family}-{unroll}-steps")
    if freeze is not None and not train_step:
        raise ExportError("--freeze: expected --train-step with it, found none")
    training = {"train": record.settings, "freeze": _listed(freeze or "")} if train_step else {}
    names = None if parts is None else _listed(parts)
    write(model, record, folder, stem, opset, unroll, solver=solver, spacing=spacing, parts=names, **training)


def _listed(text: str) -> list[str]:
    """The words between commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def write(model, record, folder: Path, stem: str, opset: int = 18, unroll: int | None = None, **options: Any) -> None:  # noqa: ANN001 - named in heavy modules
    """Export a model and say what was measured."""
    from gen_export.export.writer import export_family
    from gen_export.training.run import about

    paths = export_family(model, folder, stem, about(record), opset, unroll, typer.echo, **options)
    trial = f"sample {paths[0]} --seed 7" if model.recipe() is not None else f"{model.main} {paths[0]} IMAGE"
    typer.echo(f"{paths[0]}: try  gen-export {trial}")
