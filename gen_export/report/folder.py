"""A run's folder, read as one of a stranger: in limits, and through no link that leads out of it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gen_export.errors import DataError
from gen_export.report.blocks import mapping, number
from gen_export.report.pictures import LARGEST, Picture, of_png
from gen_export.training.log import FILE, SESSIONS
from gen_runtime.card import KEY

CHECKPOINT = "checkpoint.safetensors"
LARGEST_LOG = 2**25
LARGEST_HEADER = 2**24
MOST_PICTURES = 6
_PREVIEW = re.compile(r"step-(\d{1,12})\.png")

Entry = dict[str, Any]


class RunFolder:
    """The files of one run.

    Raises:
        DataError: There is no folder, or nothing of a run in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_dir():
            raise DataError(f"{path}: expected the folder of a run, found none")
        if not (self.file(FILE) or self.file(CHECKPOINT) or self.main_file()):
            raise DataError(f"{path}: expected a run's {FILE}, {CHECKPOINT} or .onnx files, found none of them")

    def file(self, name: str) -> Path | None:
        """A file in the folder; None where it is not there, no regular file, or a link that leads out."""
        path = self.path / name
        inside = path.resolve().is_relative_to(self.path.resolve())
        return path if inside and path.is_file() else None

    def entries(self, name: str = FILE) -> list[Entry]:
        """The entries of a log with a step; of a log that is too long its beginning. Other lines are left out."""
        path = self.file(name)
        if path is None:
            return []
        with path.open("rb") as file:
            *lines, _ = file.read(LARGEST_LOG).split(b"\n")
        return [entry for entry in map(_parsed, lines) if number(entry.get("step")) is not None]

    def sessions(self) -> list[Entry]:
        """What started the run, and each resumption."""
        return self.entries(SESSIONS)

    def record(self) -> Entry:
        """What the checkpoint says of itself, its header alone being read; empty where there is none."""
        path = self.file(CHECKPOINT)
        if path is None:
            return {}
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = _parsed(file.read(size)) if size <= LARGEST_HEADER else {}
        return _parsed(mapping(header.get("__metadata__")).get(KEY))

    def previews(self, kind: str) -> list[Picture]:
        """Some of the pictures that training left in a folder, evenly spaced from the first to the last."""
        found = sorted(_previews(self.path / kind))
        last = len(found) - 1
        chosen = sorted({round(i * last / (MOST_PICTURES - 1)) for i in range(MOST_PICTURES)}) if found else []
        pictures = (self._picture(f"{kind}/{found[i][1]}", f"step {found[i][0]:,}") for i in chosen)
        return [picture for picture in pictures if picture is not None]

    def main_file(self) -> Path | None:
        """The exported file that has the others as parts, the one with the shortest name where there are several."""
        names = {path.name for path in self.path.glob("*.onnx") if self.file(path.name)}
        mains = [name for name in names if f"{name.removesuffix('.onnx').rpartition('.')[0]}.onnx" not in names]
        return self.path / min(mains, key=lambda name: (len(name), name)) if mains else None

    def _picture(self, name: str, caption: str) -> Picture | None:
        path = self.file(name)
        if path is None or path.stat().st_size > LARGEST:
            return None
        return of_png(path.read_bytes(), caption)


def _previews(folder: Path) -> Iterator[tuple[int, str]]:
    """The step and the name of each picture in a folder."""
    for path in folder.glob("step-*.png"):
        if match := _PREVIEW.fullmatch(path.name):
            yield int(match[1]), path.name


def _parsed(text: Any) -> Entry:
    """A JSON object; an empty one in the place of anything else."""
    try:
        return dict(mapping(json.loads(text)))
    except (RecursionError, TypeError, ValueError):
        return {}
