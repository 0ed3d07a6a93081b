"""The command `inspect`: what a file says of itself, for people or as JSON."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gen_export.cli.tables import table

if TYPE_CHECKING:
    from rich.table import Table

    from gen_runtime import Card, Model, Port

_SECTIONS = ("config", "schedule", "noise", "training", "data", "trajectory", "tool")
_PORT_COLUMNS = ("port", "dtype", "shape", "range", "default", "description")


def register(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command()(inspect)


def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An exported .onnx file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the file's own JSON document.")] = False,
) -> None:
    """Show what a file is: its ports, parts, schedule, training and measured parity.

    Example: gen-export inspect diffusion.onnx
    """
    from gen_runtime import load

    model = load(file, device="cpu")
    if as_json:
        typer.echo(json.dumps(json.loads(model.card.text), indent=2))
        return
    from rich.console import Console

    console = Console()
    console.print(_overview(model))
    for title, ports in (("inputs", model.card.inputs), ("outputs", model.card.outputs)):
        console.print(table(title, _PORT_COLUMNS, map(_port_row, ports)))
    if model.card.parity:
        console.print(_parity(model.card))


def _overview(model: "Model") -> "Table":
    """Everything but ports and parity, a line a field."""
    card, size = model.card, model.card.image
    rows = [
        ("family", card.family),
        ("graph", card.graph),
        ("summary", card.summary),
        ("image", f"{size.height} x {size.width}, {size.channels} channel{'s' * (size.channels > 1)}"),
        ("parts", ", ".join(_part(model, name) for name in card.parts) or "none"),
        *((name, _line(section)) for name in _SECTIONS if (section := getattr(card, name))),
        *([("certificate", _certified(card.certificate))] if card.certificate else []),
        *([("verified", _verified(model))] if card.verified else []),
    ]
    return table(str(model.path), ("", ""), rows, show_header=False)


def _part(model: "Model", name: str) -> str:
    """A part's name, and a word where its file is not beside the main one."""
    return name if model.part_path(name).is_file() else f"{name} (missing)"


def _certified(section: Mapping[str, Any]) -> str:
    """The denoiser's constant and the runs', or which node has none."""
    if "refused" in section:
        return f"none: {_text(section['refused'])}"
    runs = section.get("run_log10") or {}
    each = ", ".join(f"{solver} 10^{_text(value)}" for solver, value in runs.items())
    return f"Lipschitz constant of the denoiser {_text(section.get('lipschitz'))}, of a run {each}"


def _verified(model: "Model") -> str:
    """What was checked, and whether on these files."""
    from gen_export.verify.stamp import stamp_fits

    if not stamp_fits(model.path):
        return "stamp does not fit: the file was changed after it was verified"
    counts = model.card.verified or {}
    skipped = f", {_text(counts['skipped'])} skipped" if counts.get("skipped") else ""
    return f"{_text(counts.get('passed'))} facts passed{skipped}, fits these files"


def _port_row(port: "Port") -> tuple[str, ...]:
    """A port as the columns of its table."""
    default = "optional" * port.optional if port.default is None else f"{port.default:g}"
    shape = f"[{', '.join(map(str, port.shape))}]"
    return port.name, port.dtype, shape, _span(port), default, port.description


def _span(port: "Port") -> str:
    """The allowed values: `0 to 1`, `at least 1`, or their names."""
    if port.choices:
        return ", ".join(port.choices)
    if port.minimum is None:
        return "" if port.maximum is None else f"at most {port.maximum:g}"
    return f"at least {port.minimum:g}" if port.maximum is None else f"{port.minimum:g} to {port.maximum:g}"


def _parity(card: "Card") -> "Table":
    """The measured differences from the model that was exported."""
    names = list(dict.fromkeys(name for row in card.parity for name in row))
    return table(
        "parity with the trained model",
        names,
        ([_text(row.get(n, "")) for n in names] for row in card.parity),
    )


def _line(section: Mapping[str, Any]) -> str:
    """A section in a line: `kind linear, T 1000`."""
    return ", ".join(f"{name} {_text(value)}" for name, value in section.items())


def _text(value: Any) -> str:
    """A JSON value: numbers short, lists by their first items."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        more = ", ..." if len(value) > 10 else ""
        return f"[{', '.join(map(_text, value[:10]))}{more}]"
    return f"{{{_line(value)}}}" if isinstance(value, Mapping) else str(value)
