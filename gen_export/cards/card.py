"""A model's card: one Markdown file, with a picture that the model draws itself."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gen_export.cards import sections
from gen_export.cards.front_matter import OPENING, front_matter
from gen_export.cards.markdown import plain, shown
from gen_runtime import FileError, Model, grid, save_png
from gen_runtime.files import atomic

PICTURE = "samples.png"
PICTURED = 36


def write_card(model: Model, out: Path, licence: str | None = None) -> list[Path]:
    """Writes the card, and beside it a picture if the file draws images; returns what was written.

    Args:
        model: The file; of its parts, the card lists those beside it.
        out: The Markdown file; a card that is there is replaced.
        licence: The licence of the weights; None leaves it open.

    Raises:
        FileError: A part is broken, something else than a card is at `out`, or it cannot be written.
    """
    _require_card_or_nothing(out)
    text = card_text(model, licence)
    picture = out.with_name(PICTURE)
    if model.card.graph == "sample":
        save_png(picture, grid(model.sample(PICTURED)))
    with atomic(out) as file:
        file.write(text.encode())
    return [out, picture] if model.card.graph == "sample" else [out]


def card_text(model: Model, licence: str | None = None) -> str:
    """The card of a file, Markdown with front matter.

    Raises:
        FileError: A part is broken, or a section of its metadata is not what the schema says.
    """
    card = model.card
    scores = json.loads(card.text).get("evaluation")
    title = f"{card.family} of {plain(str((card.data or {}).get('name', 'unknown images')))}"
    try:
        opening = front_matter(card, title, scores, licence)
        body = "\n\n".join((f"# {title}", *_introduction(model), *_sections(model, scores)))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FileError(f"{model.path}: its card has a malformed section: {error!r}") from error
    return f"{opening}\n{body}\n"


def _introduction(model: Model) -> Iterator[str]:
    """What it is, for those who meet such a file for the first time."""
    yield plain(model.card.summary)
    yield (
        f"`{model.path.name}` runs in stock ONNX Runtime: everything from its inputs to its outputs is in the graph, "
        f"and its metadata holds what this card says. Written by {shown(model.card.tool or 'an unknown version')}."
    )
    if model.card.graph == "sample":
        yield f"![{PICTURED} images that the file drew, seed 0]({PICTURE})"


def _sections(model: Model, scores: Mapping[str, Any] | None) -> Iterator[str]:
    """Each part that the file says something of, under its heading."""
    texts = {
        "Use": sections.calls(model),
        "Inputs and outputs": sections.ports(model),
        "Training": sections.training(model.card),
        "Agreement with PyTorch": sections.parity(model.card),
        "Scores": sections.evaluation(scores),
        "Facts checked": sections.facts(model),
        "Certificate": sections.certificate(model.card),
        "Limits": sections.limits(model.card, scores),
    }
    return (f"## {heading}\n\n{text}" for heading, text in texts.items() if text)


def _require_card_or_nothing(out: Path) -> None:
    """Refuses to write over something that is no card."""
    try:
        opening = out.read_bytes()[: len(OPENING)] if out.exists() else OPENING.encode()
    except OSError as error:
        raise FileError(f"{out}: cannot be written: {error.strerror or error}") from error
    if opening != OPENING.encode():
        raise FileError(f"{out}: expected no file or a model card, found another file: choose a place with --out")
