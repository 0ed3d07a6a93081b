"""Fine-tuning of an exported model on new images, without torch: steps of its own file, with checkpoints."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gen_export.data import ImageSet, batch_indices
from gen_export.data.classes import class_names
from gen_export.errors import ConfigError, DataError, RunStoppedError, TrainingError
from gen_export.training.signals import stop_requests
from gen_runtime import Trainer

STATE = "state.npz"
Watch = Callable[[int, dict[str, float]], None]
"""Told the number of finished steps and the losses of the last one."""


@dataclass(frozen=True, slots=True)
class FinetuneSettings:
    """How to fine-tune.

    Attributes:
        steps: Steps in all.
        batch_size: Images a step.
        lr: Learning rate, the same in every step.
        seed: Decides the order of the images and all noise.
        save_every: Steps between checkpoints.
        weights: Of the terms of the loss.

    Raises:
        ConfigError: A number out of its range.
    """

    steps: int
    batch_size: int
    lr: float
    seed: int = 0
    save_every: int = 100
    weights: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "save_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"--{name.replace('_', '-')}: expected at least 1, found {getattr(self, name)}")
        if not (math.isfinite(self.lr) and self.lr >= 0):
            raise ConfigError(f"--lr: expected a number, at least 0, found {self.lr}")
        if self.seed not in range(-(2**63), 2**63):
            raise ConfigError(f"--seed: expected int64, found {self.seed}")


def finetune(
    file: Path,
    images: ImageSet,
    out: Path,
    settings: FinetuneSettings,
    resume: bool = False,
    watch: Watch | None = None,
) -> list[Path]:
    """Takes steps from an exported model on, and writes its files anew into a folder; the main one first.

    A run that is stopped leaves its state in the folder; resumed, it ends as it would have.

    Args:
        file: The model, or its file of the step.
        images: What to learn; with labels for a model that knows classes.
        out: The folder.
        settings: How.
        resume: Go on from the state in the folder.
        watch: Told of every step.

    Raises:
        FileError: The model has no file of the step, or the state is of another model.
        DataError: The images are not of the model's size, or of other classes.
        TrainingError: A loss is no number; the state of the last checkpoint is kept.
        RunStoppedError: Interrupted; the state is saved.
    """
    trainer = Trainer(file, settings.seed)
    if out.resolve() == trainer.path.parent.resolve():
        raise ConfigError(f"--out: expected another folder than the model's, found {out}")
    labelled = _require_images(trainer, images)
    if resume:
        trainer.restore(out / STATE)
    with stop_requests() as stop:
        while trainer.steps < settings.steps:
            chosen = batch_indices(len(images), settings.batch_size, settings.seed, trainer.steps)
            labels = images.labels[chosen] if labelled and images.labels is not None else None
            losses = trainer.step(images.images(chosen), labels, settings.lr, **settings.weights)
            _require_finite(trainer.steps, losses)
            if watch is not None:
                watch(trainer.steps, losses)
            if stop.is_set() or trainer.steps % settings.save_every == 0:
                trainer.save(out / STATE)
            if stop.is_set():
                raise RunStoppedError(f"stopped after step {trainer.steps}, saved; go on with --resume")
    trainer.save(out / STATE)
    return trainer.export(out)


def _require_images(trainer: Trainer, images: ImageSet) -> bool:
    """Refuses images that the model does not learn; whether it learns their classes too."""
    size = trainer.card.image
    expected, found = (size.height, size.width, size.channels), images.image_shape
    if found != expected:
        raise DataError(f"{images.name}: expected images of {expected}, found {found} (height, width, channels)")
    if all(port.name != "label" for port in trainer.card.inputs):
        return False
    known, named = list((trainer.card.config or {}).get("classes", ())), list(class_names(images))
    if known != named:
        raise DataError(f"{images.name}: expected the classes {', '.join(known)}, found {', '.join(named)}")
    return True


def _require_finite(step: int, losses: dict[str, float]) -> None:
    """Stops where a loss is no number, before it reaches a checkpoint."""
    if not all(map(np.isfinite, losses.values())):
        told = ", ".join(f"{name} {value}" for name, value in losses.items())
        raise TrainingError(f"step {step}: expected finite losses, found {told}: try a smaller --lr")
