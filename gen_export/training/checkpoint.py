"""Checkpoints: one safetensors file whose header holds a JSON document. Nothing is ever unpickled.

The file is written beside its place and renamed, so that a run that is killed leaves the last whole one.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from gen_export.errors import CheckpointError, ConfigError
from gen_export.models import family_class
from gen_export.models.family import Family, ImageShape, config_from
from gen_export.training.settings import TrainSettings

FILE = "checkpoint.safetensors"
KEY = "gen_export"
VERSION = 2


@dataclass(frozen=True, slots=True)
class Record:
    """What a checkpoint says of itself.

    Attributes:
        family: Name of the family.
        config: Its options.
        image: The image's shape.
        settings: How it is trained.
        data: Source, name, number of images, image shape, label names and fingerprint of the training data.
        step: Finished steps.
        seconds: Time spent training, in all.
        held_out: Last losses on held-out images.
        scaler: State of the loss scale, with float16.
    """

    family: str
    config: dict[str, Any]
    image: ImageShape
    settings: TrainSettings
    data: dict[str, Any]
    step: int = 0
    seconds: float = 0.0
    held_out: dict[str, float] | None = None
    scaler: dict[str, float] | None = None

    def build(self) -> Family:
        """A model of this record's family with fresh weights, seeded by its settings."""
        cls = family_class(self.family)
        torch.manual_seed(self.settings.seed)
        return cls(config_from(cls.Config, self.config), self.image)


def save(folder: Path, record: Record, tensors: dict[str, Tensor]) -> Path:
    """Write the folder's checkpoint, whole or not at all.

    Raises:
        CheckpointError: It cannot be written; the one before it is still there.
    """
    path, draft = folder / FILE, folder / f"{FILE}.draft"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors, draft, metadata={KEY: json.dumps({"version": VERSION, **asdict(record)})})
        with draft.open("rb") as file:
            os.fsync(file.fileno())  # or a power cut may leave the new name on contents that never reached the disk
        draft.replace(path)
    except (SafetensorError, OSError) as error:
        draft.unlink(missing_ok=True)
        raise CheckpointError(f"{path}: cannot be written ({error}); the last one is kept") from error
    return path


def locate(path: Path) -> Path:
    """The checkpoint file that a path means: the file itself, or the one in a run's folder.

    Raises:
        CheckpointError: It is not there.
    """
    path = path / FILE if path.is_dir() else path
    if not path.is_file():
        raise CheckpointError(f"{path}: expected a checkpoint, found nothing there (gen-export train writes one)")
    return path


def load(path: Path) -> tuple[Record, dict[str, Tensor]]:
    """The record and tensors of a checkpoint file or of the one in a run's folder.

    Raises:
        CheckpointError: There is none, it is broken, or this version cannot read it.
    """
    path = locate(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        return _record(path, metadata), load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: expected a safetensors file, found one that cannot be read ({error})"
        ) from error


def _record(path: Path, metadata: dict[str, str]) -> Record:
    try:
        document = json.loads(metadata[KEY])
        version = document.pop("version")
        if version != VERSION:
            raise CheckpointError(f"{path}: expected checkpoint version {VERSION}, found {version}")
        document["image"] = ImageShape(**document["image"])
        document["settings"] = TrainSettings(**document["settings"])
        return Record(**document)
    except (AttributeError, KeyError, TypeError, ValueError, ConfigError) as error:
        raise CheckpointError(f"{path}: expected a checkpoint of gen-export, found other contents ({error})") from error


def restore_averaged(path: Path) -> tuple[Record, Family]:
    """The record and the averaged model of a checkpoint, ready to export.

    Raises:
        CheckpointError: The checkpoint cannot be read or does not fit its own record.
    """
    record, tensors = load(path)
    model = record.build().eval()
    weights = {name.removeprefix("ema."): value for name, value in tensors.items() if name.startswith("ema.")}
    with fitting(path, record):
        model.load_state_dict(weights)
    return record, model


@contextmanager
def fitting(path: Path, record: Record) -> Iterator[None]:
    """Where the tensors of a checkpoint are put into the model of its record.

    Raises:
        CheckpointError: They do not fit it.
    """
    try:
        yield
    except (RuntimeError, ValueError) as error:
        detail = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"{locate(path)}: expected the weights of its {record.family}, found others ({detail})"
        ) from error
