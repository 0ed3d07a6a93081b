"""The command line: one file a group of commands. Nothing heavy is imported before a command needs it."""

import sys
from typing import Annotated

import typer

import gen_export
from gen_export.cli import (
    card,
    certify,
    classify,
    evaluate,
    export,
    finetune,
    inspect,
    reconstruct,
    report,
    run,
    sample,
    train,
    verify,
    web,
)
from gen_export.cli.data import data
from gen_export.errors import GenExportError

EXTRAS = {
    "torch": "train",
    "onnx": "train",
    "onnx_ir": "train",
    "onnxscript": "train",
    "safetensors": "train",
    "pooch": "train",
    "accelerate": "distributed",
    "huggingface_hub": "hub",
    "jinja2": "report",
    "tensorboardX": "tensorboard",
}

app = typer.Typer(
    name="gen-export",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Train small generative models, ship each as one ONNX file, run it anywhere.",
)
app.add_typer(train.app, name="train")
export.register(app)
finetune.register(app)
sample.register(app)
run.register(app)
reconstruct.register(app)
classify.register(app)
inspect.register(app)
card.register(app)
verify.register(app)
certify.register(app)
evaluate.register(app)
report.register(app)
web.register(app)
app.add_typer(data, name="data")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gen-export {gen_export.__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of every command."""
    global _debug  # noqa: PLW0603 - read by main after the command has failed
    _debug = debug


_debug = False


def main() -> None:
    """Run the command line; an error that a user can mend is one line on standard error."""
    try:
        app()
    except Exception as error:
        line = _line(error)
        if _debug or line is None:
            raise
        typer.echo(f"gen-export: {line}", err=True)
        sys.exit(getattr(error, "exit_code", GenExportError.exit_code))


def _line(error: Exception) -> str | None:
    """What to tell a user; None for an error that is a fault of ours."""
    from gen_runtime import GenRuntimeError  # not at the top: it imports NumPy

    if isinstance(error, ModuleNotFoundError):
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        return extra and f"{error.name} is not installed: pip install 'gen-export[cpu,{extra}]'"
    if isinstance(error, GenExportError | GenRuntimeError | OSError | MemoryError):
        return " ".join(str(error).split()) or "out of memory"
    return None
