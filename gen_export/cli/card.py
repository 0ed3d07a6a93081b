"""The command `card`: a model card from what a file says of itself, and the way to a model hub."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gen_export.cli.run import File, tell

if TYPE_CHECKING:
    from huggingface_hub import HfApi


def register(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command()(card)


def card(
    file: File,
    out: Annotated[Path | None, typer.Option(help="The Markdown file to write; README.md beside FILE.")] = None,
    licence: Annotated[str | None, typer.Option("--license", help="The weights' licence: mit, cc-by-4.0.")] = None,
    push: Annotated[str | None, typer.Option(metavar="OWNER/NAME", help="Upload card, picture and files.")] = None,
    public: Annotated[bool, typer.Option("--public", help="Make a new repository public instead of private.")] = False,
) -> None:
    """Write a model card: what the file is, how to call it, what it was trained on and what was measured.

    Example: gen-export card diffusion.onnx --license mit --push someone/fashion-diffusion
    """
    from gen_export.cards.card import write_card
    from gen_export.cards.hub import upload
    from gen_runtime import load

    api = _hub() if push else None  # where its package is missing, that is told before the model draws
    model = load(file)
    paths = write_card(model, out or file.with_name("README.md"), licence)
    tell(f"the card of {file.name}", paths)
    if push and api:
        typer.echo(upload(api, push, [*paths, *map(model.part_path, model.graphs)], private=not public))


def _hub() -> "HfApi":
    """The hub, which finds the user's token itself."""
    from huggingface_hub import HfApi

    return HfApi()
