"""Run folders made by hand, as a stranger might make them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gen_export.report.folder import CHECKPOINT
from gen_export.training.log import FILE
from gen_runtime import save_png

Make = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that `make_run` fills."""
    return tmp_path / "run"


@pytest.fixture
def make_run(folder: Path) -> Make:
    """Makes a run: log entries, a checkpoint's record, and previews at these steps."""

    def make(entries: list[Any] = (), record: dict[str, Any] | None = None, previews: list[int] = ()) -> Path:
        folder.mkdir(exist_ok=True)
        (folder / FILE).write_text("".join(f"{json.dumps(entry)}\n" for entry in entries))
        if record is not None:
            header = json.dumps({"__metadata__": {"gen_export": json.dumps(record)}}).encode()
            (folder / CHECKPOINT).write_bytes(len(header).to_bytes(8, "little") + header)
        for step in previews:
            save_png(folder / "samples" / f"step-{step:07d}.png", np.full((4, 6, 1), step % 256, np.uint8))
        return folder

    return make
