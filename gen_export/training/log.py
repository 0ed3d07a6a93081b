"""The log of a run: one JSON object a line, in `log.jsonl` beside the checkpoint."""

import json
from pathlib import Path
from typing import Any

from gen_runtime.files import atomic

FILE = "log.jsonl"


class Log:
    """Appends entries; a resumed run first drops the lines that its checkpoint does not know.

    Args:
        folder: The run's folder.
        step: Finished steps: entries after it are dropped.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self.path = folder / FILE
        kept = [line for line in read_lines(self.path) if _step(line) <= step]
        with atomic(self.path) as file:
            file.write("".join(f"{line}\n" for line in kept).encode())

    def write(self, step: int, **values: Any) -> None:
        """Append one entry."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")


def read_lines(path: Path) -> list[str]:
    """The whole lines of a log; none when there is no log. A line cut short by a kill is left out."""
    if not path.exists():
        return []
    return path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]


def _step(line: str) -> float:
    """The step of an entry; infinite for a line that is none, so that it is dropped."""
    try:
        return float(json.loads(line)["step"])
    except (KeyError, TypeError, ValueError):
        return float("inf")
