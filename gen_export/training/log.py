"""The log of a run: one JSON object a line, in `log.jsonl` beside the checkpoint; for TensorBoard too where asked."""

import json
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from gen_runtime.files import atomic

if TYPE_CHECKING:
    import numpy as np

FILE = "log.jsonl"
SESSIONS = "sessions.jsonl"
"""What started the run, beside the log: gen_export/training/environment.py writes it."""


class Log:
    """Appends entries; a resumed run first drops the lines that its checkpoint does not know.

    Args:
        folder: The run's folder.
        step: Finished steps: entries after it are dropped.
        tensorboard: Whether to write event files beside the log.

    Raises:
        ModuleNotFoundError: Event files need tensorboardX.
    """

    def __init__(self, folder: Path, step: int, tensorboard: bool = False) -> None:
        self.path = folder / FILE
        self._events = _event_writer(folder, step) if tensorboard else None
        kept = [line for line in read_lines(self.path) if _step(line) <= step] if step else []
        with atomic(self.path) as file:
            file.write("".join(f"{line}\n" for line in kept).encode())

    def __enter__(self) -> Self:
        """The log, open."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close the event file."""
        if self._events is not None:
            self._events.close()

    def write(self, step: int, **values: Any) -> None:
        """Append one entry."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        if self._events is not None:
            for tag, value in _scalars(values):
                self._events.add_scalar(tag, value, step)
            self._events.flush()

    def picture(self, step: int, name: str, picture: "np.ndarray") -> None:
        """Show TensorBoard a picture, uint8 (H, W, C); the run's folder has it already."""
        if self._events is not None:
            self._events.add_image(name, picture, step, dataformats="HWC")


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


def _event_writer(folder: Path, step: int) -> Any:
    """What writes an event file, whose name tells its first step; older events from that step on are hidden."""
    from tensorboardX import SummaryWriter

    first = step + 1 if step else 0
    return SummaryWriter(str(folder), purge_step=first, filename_suffix=f".{first}")


def _scalars(values: dict[str, Any]) -> list[tuple[str, float]]:
    """An entry as tags and numbers: `train/loss`, `held_out/loss`."""
    held_out = values.get("held_out", {})
    training = {f"train/{name}": value for name, value in values.items() if name != "held_out"}
    return [*training.items(), *((f"held_out/{name}", value) for name, value in held_out.items())]
