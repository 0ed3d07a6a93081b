"""The command `classify`: the class of each image, without PyTorch."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gen_export.cli.run import File, read_pictures
from gen_export.cli.tables import printable

_SHOWN = 3


def register(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command()(classify)


def classify(
    file: File,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Images; cropped to the file's size.")],
) -> None:
    """Say what is in images: the likeliest classes of each, with their probabilities.

    Example: gen-export classify classifier.onnx photo.png
    """
    import numpy as np

    from gen_export.spec.categorical import log_softmax
    from gen_export.spec.pixels import planes
    from gen_runtime import load

    graph = load(file).graph("classify")
    pictures = read_pictures(images, graph.card.image)
    outputs = graph.execute(graph.check({"image": planes(pictures)}))
    names = (graph.card.data or {}).get("label_names") or []
    for path, row in zip(images, np.exp(log_softmax(outputs["logits"])), strict=True):
        best = np.argsort(-row, kind="stable")[:_SHOWN]
        said = (f"{_name(names, int(label))} {row[label]:.0%}" for label in best)
        typer.echo(f"{path}: {', '.join(said)}")


def _name(names: Any, label: int) -> str:
    """The class as the file calls it, or its number."""
    known = isinstance(names, list) and label < len(names) and isinstance(names[label], str)
    return printable(names[label]) if known else f"class {label}"
