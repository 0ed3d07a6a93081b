"""A whole run: data and options to a trained folder, or a stopped folder to its end."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import torch

from gen_export.data import ImageSet, open_data
from gen_export.data.image_set import count_classes
from gen_export.errors import CheckpointError
from gen_export.models import family_class
from gen_export.models.family import ImageShape, config_from
from gen_export.training import checkpoint
from gen_export.training.checkpoint import Record
from gen_export.training.loop import Trainer
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

    def open(self) -> tuple[ImageSet, ImageSet]:
        """The training images and those held out.

        Raises:
            DataError: The source cannot be read.
        """
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
) -> Record:
    """Train a family from fresh weights.

    Args:
        name: The family.
        config: Its options. True for `classes` stands for the number of classes in the data.
        settings: Those of the loop.
        source: The images.
        folder: A new one.
        device: Where to compute.

    Raises:
        CheckpointError: The folder already holds a run.
        DataError: The data cannot be read, or lacks the labels asked for.
        ConfigError: An option is refused.
        TrainingError: Training stopped early.
    """
    if (folder / checkpoint.FILE).exists():
        raise CheckpointError(f"{folder}: expected a new folder, found a run in it; --resume goes on with it")
    images, held_out = source.open()
    if config.get("classes") is True:
        config = {**config, "classes": count_classes(images)}
    config_from(family_class(name).Config, config)
    height, width, channels = images.image_shape
    shape = ImageShape(channels, height, width)
    record = Record(name, dict(config), shape, settings, source.describe(images))
    return Trainer(record, images, held_out, folder, device).run()


def resume(name: str, folder: Path, device: torch.device, moved: str | None = None) -> Record:
    """Go on with the run in a folder from its last checkpoint.

    Args:
        name: Its family.
        folder: The run's folder.
        device: Where to compute.
        moved: Where the same images are now, if not where they were.

    Raises:
        CheckpointError: There is no run, it is of another family, or its data has changed.
        DataError: The data cannot be read.
        TrainingError: Training stopped early.
    """
    record, tensors = checkpoint.load(folder)
    if record.family != name:
        raise CheckpointError(f"{folder}: expected a run of {name}, found one of {record.family}")
    source = Source(**{field.name: record.data[field.name] for field in fields(Source)})
    source = source if moved is None else replace(source, source=moved)
    images, held_out = source.open()
    if images.fingerprint() != record.data["fingerprint"]:
        raise CheckpointError(f"{folder}: expected the images it was trained on, found others at {source.source}")
    trainer = Trainer(record, images, held_out, folder, device)
    with checkpoint.fitting(folder, record):
        trainer.restore(tensors)
    return trainer.run()


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
