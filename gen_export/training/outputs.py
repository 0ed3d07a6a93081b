"""What a run shows and leaves beside its checkpoint: its log, its pictures, a bar. One of its processes does."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch

from gen_export.errors import TrainingError
from gen_export.training.checkpoint import Record
from gen_export.training.environment import note_session
from gen_export.training.log import Log
from gen_export.training.progress import TrainProgress
from gen_runtime.images import save_png


class Outputs:
    """The log, the pictures and the bar of a run, from a step on.

    Args:
        record: The run.
        folder: Its folder.
        device: What it computes on.
        tensorboard: Whether to write TensorBoard's event files beside the log.

    Raises:
        TrainingError: The folder cannot be written to.
    """

    def __init__(self, record: Record, folder: Path, device: torch.device, tensorboard: bool) -> None:
        self.folder = folder
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self.log = Log(folder, record.step, tensorboard)
            note_session(folder, record.step, device)
        self.progress = TrainProgress(record.family, record.settings.steps, record.step)

    def __enter__(self) -> Self:
        self.log.__enter__()
        self.progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.__exit__(kind, error, trace)
        self.log.__exit__(kind, error, trace)

    def write(self, step: int, **values: Any) -> None:
        """Append an entry to the log.

        Raises:
            TrainingError: It cannot be written.
        """
        with _writing(self.log.path):
            self.log.write(step, **values)

    def losses(self, step: int, losses: dict[str, float], lr: float, rate: float, seconds: float) -> None:
        """Log and show the losses of the steps before, the rate in images a second, and the seconds in all."""
        self.write(step, **losses, lr=lr, images_per_second=round(rate, 1), seconds=round(seconds, 1))
        self.progress.update(step, next(iter(losses.items())), rate)

    def pictures(self, step: int, pictures: dict[str, np.ndarray | None], held_out: dict[str, float]) -> None:
        """Log and show the losses on held-out images, and write each picture into its folder, where there is one."""
        self.write(step, held_out=held_out)
        paths = [self._picture(step, name, picture) for name, picture in pictures.items() if picture is not None]
        shown = "  ".join(f"{name} {value:.4f}" for name, value in held_out.items())
        self.progress.say(f"step {step}: held out {shown}  {'  '.join(map(str, paths))}")

    def _picture(self, step: int, name: str, picture: np.ndarray) -> Path:
        path = self.folder / name / f"step-{step:07d}.png"
        save_png(path, picture)
        self.log.picture(step, name, picture)
        return path


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Names what cannot be written.

    Raises:
        TrainingError: The disk is full, or the like.
    """
    try:
        yield
    except OSError as error:
        raise TrainingError(
            f"{path}: cannot be written ({error.strerror or error}); free space, then --resume"
        ) from error
