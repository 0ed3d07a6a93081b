"""A whole run: data and options to a trained folder, or a stopped folder to its end."""

import io
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, redirect_stderr
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import torch

from gen_export.data import ImageSet, open_data
from gen_export.data.classes import class_names
from gen_export.errors import CheckpointError
from gen_export.models import family_class
from gen_export.models.family import ImageShape, config_from
from gen_export.training import checkpoint
from gen_export.training.checkpoint import Record
from gen_export.training.lock import locked
from gen_export.training.loop import Trainer
from gen_export.training.processes import ALONE, Processes
from gen_export.training.settings import TrainSettings

PARTS: tuple[Literal["train"], Literal["test"]] = ("train", "test")


@dataclass(frozen=True, slots=True)
class Source:
    """How to open the images to train on, again when a run is resumed.

    Attributes:
        source: A set's name, a file or a folder.
        image_size: Side that a folder's images are cropped to.
        strict: Whether a bad image is an error.
    """

    source: str
    image_size: int | None = None
    strict: bool = False

    def open(self, processes: Processes = ALONE) -> tuple[ImageSet, ImageSet]:
        """The training images and those held out; of several processes one downloads, and tells of bad images.

        Raises:
            DataError: The source cannot be read.
        """
        with processes.first_goes_first(), nullcontext() if processes.first else redirect_stderr(io.StringIO()):
            train, test = (open_data(self.source, p, size=self.image_size, strict=self.strict) for p in PARTS)
        return train, test

    def describe(self, images: ImageSet) -> dict[str, Any]:
        """The section `data` of a record: how to open the set again, and how to know it."""
        return {
            **asdict(self),
            "name": images.name,
            "images": len(images),
            "image_shape": list(images.image_shape),
            "label_names": list(images.label_names),
            "fingerprint": images.fingerprint(),
        }


def start(
    name: str,
    config: Mapping[str, Any],
    settings: TrainSettings,
    source: Source,
    folder: Path,
    device: torch.device,
    tensorboard: bool = False,
    processes: Processes = ALONE,
) -> Record:
    """Train a family from fresh weights.

    Args:
        name: The family.
        config: Its options. True for `classes` stands for the names of the classes in the data, False for none.
        settings: Those of the loop.
        source: The images.
        folder: A new one.
        device: Where to compute.
        tensorboard: Whether to write TensorBoard's event files beside the log.
        processes: Who trains.

    Raises:
        CheckpointError: The folder already holds a run, or another one is training in it.
        DataError: The data cannot be read, or lacks the labels asked for.
        ConfigError: An option is refused.
        TrainingError: Training stopped early.
    """
    _refuse_run(folder)
    images, held_out = source.open(processes)
    if "classes" in config:
        config = {**config, "classes": class_names(images) if config["classes"] else ()}
    config_from(family_class(name).Config, config)
    height, width, channels = images.image_shape
    shape = ImageShape(channels, height, width)
    record = Record(name, dict(config), shape, settings, source.describe(images))
    trainer = Trainer(record, images, held_out, folder, device, tensorboard, processes)
    with _locked(folder, processes):
        _refuse_run(folder)
        return trainer.run()


def resume(
    name: str,
    folder: Path,
    device: torch.device,
    moved: str | None = None,
    tensorboard: bool = False,
    processes: Processes = ALONE,
) -> Record:
    """Go on with the run in a folder from its last checkpoint.

    Args:
        name: Its family.
        folder: The run's folder.
        device: Where to compute.
        moved: Where the same images are now, if not where they were.
        tensorboard: Whether to write TensorBoard's event files beside the log.
        processes: Who trains: as many as suit the batch, whatever their number was before.

    Raises:
        CheckpointError: There is no run, it is of another family, its data has changed, or it is training already.
        ConfigError: The batch cannot be shared out evenly.
        DataError: The data cannot be read.
        TrainingError: Training stopped early.
    """
    checkpoint.locate(folder)
    with _locked(folder, processes):
        return _restored(name, folder, device, moved, tensorboard, processes).run()


def _restored(
    name: str, folder: Path, device: torch.device, moved: str | None, tensorboard: bool, processes: Processes
) -> Trainer:
    """The trainer of the run in a folder, where its checkpoint stands."""
    record, tensors = checkpoint.load(folder)
    if record.family != name:
        raise CheckpointError(f"{folder}: expected a run of {name}, found one of {record.family}")
    source = Source(**{field.name: record.data[field.name] for field in fields(Source)})
    source = source if moved is None else replace(source, source=moved)
    images, held_out = source.open(processes)
    if images.fingerprint() != record.data["fingerprint"]:
        expected = f"the images it was trained on ({record.data['images']:,})"
        raise CheckpointError(f"{folder}: expected {expected}, found others ({len(images):,}) at {source.source}")
    trainer = Trainer(record, images, held_out, folder, device, tensorboard, processes)
    with checkpoint.fitting(folder, record):
        trainer.restore(tensors)
    return trainer


def _refuse_run(folder: Path) -> None:
    if (folder / checkpoint.FILE).exists():
        raise CheckpointError(f"{folder}: expected a new folder, found a run in it; --resume goes on with it")


def _locked(folder: Path, processes: Processes) -> AbstractContextManager[None]:
    """The folder's lock, for all processes held by the first."""
    return locked(folder) if processes.first else nullcontext()


def about(record: Record) -> dict[str, Any]:
    """The sections `data` and `training` of an exported file: nothing that names the trainer's machine."""
    known = ("name", "images", "image_shape", "label_names", "fingerprint")
    settings = record.settings
    training = {
        "steps": record.step,
        "batch_size": settings.batch_size,
        "images_seen": record.step * settings.batch_size,
        "seconds": round(record.seconds, 1),
        "lr": settings.lr,
        "ema": settings.ema,
        "seed": settings.seed,
        "held_out": record.held_out,
    }
    return {"data": {name: record.data[name] for name in known}, "training": training}
