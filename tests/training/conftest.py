"""What the tests of training share: a short run in a folder."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from gen_export.training import run
from gen_export.training.checkpoint import Record
from gen_export.training.settings import TrainSettings

CPU = torch.device("cpu")
OPTIONS = {"vae": {"size": "tiny", "latent": 4}, "diffusion": {"size": "tiny", "net": "residual", "states": 50}}
SHORT = {"steps": 12, "batch_size": 4, "warmup": 3, "save_every": 4, "preview_every": 1000}


@pytest.fixture
def train(dots: Path, tmp_path: Path) -> Callable[..., Record]:
    """Trains a tiny family on 8x8 images, into `folder` unless told another; `settings` replace the short ones."""

    def start(
        name: str = "diffusion", folder: Path | None = None, options: Mapping[str, Any] = {}, **settings: Any
    ) -> Record:
        options, settings = {**OPTIONS[name], **options}, {**SHORT, **settings}
        return run.start(
            name, options, TrainSettings(**settings), run.Source(str(dots)), folder or tmp_path / "run", CPU
        )

    return start


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that `train` writes to."""
    return tmp_path / "run"
