"""The stamp: what was checked on a file, written into it with the hash of the weights it was checked on."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gen_export
from gen_export.verify.onnx_file import OnnxFile
from gen_runtime.card import KEY, Card
from gen_runtime.errors import FileError
from gen_runtime.files import atomic
from gen_runtime.model import part_file

PASSED = "passed"
Weights = dict[str, str]
"""Hashes by the name of the graph: of the file, and of each of its parts."""


def weights(path: Path) -> Weights:
    """The hashes of a file and its parts, to be taken before they are checked.

    Raises:
        FileError: A file is missing, broken, or not one of ours.
    """
    file = OnnxFile.read(path)
    card = _card(file)
    parts = {name: OnnxFile.read(part_file(path, name)).weights_hash() for name in card.parts}
    return {card.graph: file.weights_hash(), **parts}


def stamp(path: Path, facts: Mapping[str, Mapping[str, Any]], checked: Weights) -> None:
    """Writes the section `verified` into a file's card; every other byte of the file stays.

    Args:
        path: The file, `<name>.onnx` or a part; its parts are not written.
        facts: What came of each fact, by name: `kind`, `verdict` (`passed` or another word), `error`, `bound`.
        checked: `weights(path)` as it was when the facts were checked. Of files changed since, the stamp
            does not fit.

    Raises:
        FileError: The file is missing, broken, not one of ours, or cannot be written, or its card grows too long.
    """
    file = OnnxFile.read(path)
    passed = sum(fact["verdict"] == PASSED for fact in facts.values())
    verified = {
        "weights": checked,
        "facts": {name: dict(fact) for name, fact in facts.items()},
        "passed": passed,
        "failed": len(facts) - passed,
        "tool": gen_export.__version__,
    }
    text = json.dumps({**json.loads(_card(file).text), "verified": verified}, allow_nan=False)
    Card.parse(text, str(path))
    with atomic(path) as draft:
        draft.write(file.with_metadata(KEY, text).data)


def stamp_fits(path: Path) -> bool | None:
    """Whether the stamp is of these weights; None where there is none.

    A part that is missing or broken was whole when it was checked, so the stamp does not fit.

    Raises:
        FileError: The file itself is missing, broken, or not one of ours.
    """
    verified = _card(OnnxFile.read(path)).verified
    if verified is None:
        return None
    try:
        return verified.get("weights") == weights(path)
    except FileError:
        return False


def _card(file: OnnxFile) -> Card:
    """What the file says of itself."""
    return Card.of_metadata(file.metadata, str(file.source))
