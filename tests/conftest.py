"""What the tests of models, training, export and the command line share.

Two cores are often busy, and torch's threads wait for one another at every small operator: one thread is both
faster there and needed for runs that are compared bit for bit.
"""

import functools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import tiny

os.environ["OMP_NUM_THREADS"] = "1"

ROOT = Path(__file__).parents[1]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("cuda"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs an NVIDIA GPU and a torch with CUDA; neither is here")


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a fresh interpreter with these arguments; its text output is captured."""

    def run(*arguments: object, cwd: Path = ROOT, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False, **options)

    return run


@pytest.fixture(scope="session")
def build_family() -> Callable[..., Any]:
    """Builds a tiny family by name."""
    return tiny.build_family


@pytest.fixture(scope="session")
def about() -> dict[str, Any]:
    """The sections `data` and `training` of a file's metadata."""
    return tiny.about_dots()


@pytest.fixture(scope="session")
def tiny_family(build_family) -> Callable[..., Any]:
    """The family that `exported` exports, by name and options; do not change it."""
    return functools.cache(build_family)


@pytest.fixture(scope="session")
def traced() -> Callable[..., Any]:
    """`trace`, remembering what it traced: torch's exporter takes most of an export's time."""
    from gen_export.export.tracing import trace

    known: dict[tuple[int, str, int], tuple[Any, Any]] = {}

    def remembered(family: Any, graph: Any, opset: int) -> Any:
        key = id(family), graph.name, opset
        if key not in known:
            known[key] = family, trace(family, graph, opset)  # holding the family keeps its id its own
        return known[key][1].clone()

    return remembered


@pytest.fixture(scope="session")
def exported(tiny_family, traced, about, tmp_path_factory) -> Callable[..., Path]:
    """The sampler's path of a family's exported folder; each family is exported once a session and set of options."""
    from gen_export.export import writer

    @functools.cache
    def sampler(name: str, **options: str | float) -> Path:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(writer, "trace", traced)
            return writer.export_family(tiny_family(name, **options), tmp_path_factory.mktemp(name), name, about)[0]

    return sampler


@pytest.fixture(scope="session")
def trainable(tiny_family, traced, about, tmp_path_factory) -> Callable[[str], Path]:
    """The main file of a family that is exported with a step of training; each once a session."""
    from gen_export.export import writer
    from gen_export.training.settings import TrainSettings

    @functools.cache
    def main(name: str) -> Path:
        folder, settings = tmp_path_factory.mktemp(f"trainable_{name}"), TrainSettings()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(writer, "trace", traced)
            return writer.export_family(tiny_family(name), folder, name, about, train=settings)[0]

    return main


@pytest.fixture(scope="session")
def dots(tmp_path_factory) -> Path:
    """An .npy file of 64 grey 8x8 images of two classes, bright and dark, smooth enough to learn from."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 120, 8)
    images = ramp[None, :, None] * rng.random((64, 1, 1)) + ramp[None, None, :] * rng.random((64, 1, 1))
    path = tmp_path_factory.mktemp("dots") / "dots.npy"
    np.save(path, images.astype(np.uint8))
    brightness = images.mean((1, 2))
    np.save(path.with_suffix(".labels.npy"), (brightness > np.median(brightness)).astype(np.int64))
    return path
