"""`samples.json`: what drew the images of a folder, so that nothing else is ever mixed into it."""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from gen_runtime import FileError, Model, Port

NAME = "samples.json"
VERSION = 1
_RANGE = ("seed", "count", "first")

Manifest = dict[str, Any]


def manifest_of(model: Model, size: int, inputs: Mapping[str, Any]) -> Manifest:
    """What decides the images beside their seed and range.

    Args:
        model: The file that draws them.
        size: Images a shard.
        inputs: The file's further inputs that were given; the others have their defaults, which are written as well.

    Raises:
        PortError: An input is unknown or not what its port says.
    """
    graph = model.graph("sample")
    given = graph.check({"seed": 0, "count": 1, **inputs})
    ports = [port for port in graph.card.inputs if port.name not in _RANGE]
    return {
        "version": VERSION,
        "family": model.card.family,
        "sha256": _sha256(graph.path),
        "shard_size": size,
        "inputs": {port.name: _value(port, given.get(port.name, port.default)) for port in ports},
    }


def settle(folder: Path, manifest: Manifest) -> None:
    """Makes the folder with its manifest; whoever comes first writes it, the others must bring an equal one.

    Raises:
        FileError: The folder holds what was drawn otherwise, or cannot be made or read.
    """
    path = folder / NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _place(path, manifest)
        found = json.loads(path.read_bytes())
    except FileExistsError:
        raise FileError(f"{folder}: expected a folder, found a file") from None
    except OSError as error:
        raise FileError(f"{path}: cannot be written or read: {error.strerror or error}") from error
    except ValueError as error:
        raise FileError(f"{path}: expected what drew the images here, found no JSON: {error}") from error
    _require_same(path, found, manifest)


def _require_same(path: Path, there: Any, ours: Manifest) -> None:
    """Refuses a folder whose images were drawn otherwise, by the first difference."""
    if not (isinstance(there, dict) and isinstance(there.get("inputs"), dict)):
        raise FileError(f"{path}: expected what drew the images here, found {json.dumps(there):.80}")
    before, now = ({**manifest.pop("inputs"), **manifest} for manifest in (dict(there), dict(ours)))
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            said, found = (json.dumps(manifest.get(name)) for manifest in (before, now))
            raise FileError(f"{path}: the images here have {name} {said:.80}, found {found:.80}: take another folder")


def _place(path: Path, manifest: Manifest) -> None:
    """Writes the file whole, unless it is there by now: a link, unlike a rename, never replaces one."""
    draft = path.with_name(f"{path.name}.{uuid4().hex}.draft")
    try:
        draft.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _value(port: Port, value: Any) -> Any:
    """An input as JSON: the name of a choice, or the shortest number that is the port's."""
    if value is None:
        return None
    number = np.asarray(value, port.dtype)[()]
    if port.choices:
        return dict(enumerate(port.choices)).get(int(number), int(number))
    return float(str(number)) if number.dtype.kind == "f" else number.item()


def _sha256(path: Path) -> str:
    """The hash of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
