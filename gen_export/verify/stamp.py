"""Stamps: what was checked or measured on a file, written into it with the hashes of the files it was done on."""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import gen_export
from gen_export.verify.files import Files
from gen_export.verify.onnx_file import OnnxFile
from gen_runtime.card import KEY, Card
from gen_runtime.errors import FileError
from gen_runtime.files import atomic
from gen_runtime.model import part_file

VERIFIED, EVALUATION = "verified", "evaluation"
STAMPS = (VERIFIED, EVALUATION)
"""Sections that speak of the rest of a file, and so are not of what their hashes are of."""
Hashes = dict[str, str]
"""SHA-256 in hexadecimal by the name of the graph: of the file, and of each of its parts."""


def hashes(files: Files) -> Hashes:
    """The hashes of the files as they were opened.

    Raises:
        FileError: A tensor lies outside a file.
    """
    return {name: _hash(files.probe(name).file) for name in files.graphs}


def stamp(path: Path, facts: Mapping[str, Mapping[str, Any]], checked: Hashes) -> None:
    """Writes the section `verified` into a file's card.

    Args:
        path: The file, `<name>.onnx` or a part; its parts are not written.
        facts: What came of each fact, by name: `kind`, `verdict` (`passed` or `skipped`), `error`, `bound`.
        checked: `hashes` of the files that were checked. Of files changed since, the stamp does not fit.

    Raises:
        FileError: The file is missing, broken, not one of ours, or cannot be written, or its card grows too long.
    """
    verdicts = [fact["verdict"] for fact in facts.values()]
    verified = {
        "files": checked,
        "facts": {name: dict(fact) for name, fact in facts.items()},
        "passed": verdicts.count("passed"),
        "skipped": verdicts.count("skipped"),
        "tool": gen_export.__version__,
    }
    write(path, VERIFIED, verified)


def write(path: Path, section: str, contents: Mapping[str, Any]) -> None:
    """Writes a section into a file's card; every other byte of the file stays.

    Raises:
        FileError: The file is missing, broken, not one of ours, or cannot be written, or its card grows too long.
    """
    file = OnnxFile.read(path)
    text = json.dumps({**json.loads(_card(file).text), section: contents}, allow_nan=False)
    Card.parse(text, str(path))
    with atomic(path) as draft:
        draft.write(file.with_metadata(KEY, text).data)


def fits(files: Files) -> bool | None:
    """Whether all of these files are among those that the stamp is of; None where there is none."""
    return _covers(files.card, hashes(files))


def stamp_fits(path: Path) -> bool | None:
    """Whether the stamp of a file is of it and its parts as they are now; None where there is none.

    It may be of more: what was found of a model's files stays true where some of them are not shipped.
    A part that is broken was whole when it was checked, so the stamp does not fit.

    Raises:
        FileError: The file itself is missing, broken, or not one of ours.
    """
    file = OnnxFile.read(path)
    card = _card(file)
    if card.verified is None:
        return None
    parts = {name: part for name in card.parts if (part := part_file(path, name)).is_file()}
    try:
        found = {name: _hash(OnnxFile.read(part)) for name, part in parts.items()}
    except FileError:
        return False
    return _covers(card, {card.graph: _hash(file), **found})


def _covers(card: Card, found: Hashes) -> bool | None:
    """Whether a card's stamp is of files with these hashes, and maybe more; None where there is none."""
    if card.verified is None:
        return None
    checked = card.verified.get("files")
    return isinstance(checked, Mapping) and found.items() <= checked.items()


def _hash(file: OnnxFile) -> str:
    """The hash of what the file computes and of all that its card says, but for the stamps themselves."""
    document = {name: value for name, value in json.loads(_card(file).text).items() if name not in STAMPS}
    return sha256(f"{file.weights_hash()} {json.dumps(document, sort_keys=True)}".encode()).hexdigest()


def _card(file: OnnxFile) -> Card:
    """What the file says of itself."""
    return Card.of_metadata(file.metadata, str(file.source))
