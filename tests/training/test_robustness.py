"""A full disk, a kill in the middle of a write, two trainings in one folder, images that go: nothing is left broken."""

import json
import resource
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gen_export.errors import CheckpointError, GenExportError, TrainingError
from gen_export.export import writer
from gen_export.training import checkpoint, run
from gen_export.training.checkpoint import FILE
from gen_export.training.lock import locked
from gen_export.training.log import read_lines
from gen_export.training.settings import TrainSettings
from gen_export.training.step import Learner
from gen_runtime import GenRuntimeError

CPU = torch.device("cpu")
ONE_LINE = (GenExportError, GenRuntimeError, OSError)
"""What the command line tells in one line."""


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """While it lasts, the system refuses to write beyond so many bytes of any file, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def full_at(step: int, size: int) -> Iterator[None]:
    """While it lasts, the disk is full for files beyond a size once a run has reached a step."""
    learn = Learner.step
    with pytest.MonkeyPatch.context() as patch, ExitStack() as full:

        def until(self, batch):
            if self.state.step == step:
                full.enter_context(largest_file(size))
            return learn(self, batch)

        patch.setattr(Learner, "step", until)
        yield


@pytest.mark.parametrize(
    ("which", "line"),
    [
        (FILE, r"checkpoint\.safetensors: cannot be written \(.*\); the last one is kept"),
        ("log.jsonl", r"log\.jsonl: cannot be written \(File too large\); free space, then --resume"),
        ("samples/step-0000006.png", r"samples/step-0000006\.png: cannot be written: File too large"),
    ],
)
def test_a_full_disk_ends_the_run_in_one_line_and_it_goes_on_once_there_is_space(train, tmp_path, which, line):
    train("vae", folder=tmp_path / "free", preview_every=6)
    begun = sum(len(text) + 1 for text in read_lines(tmp_path / "free" / "log.jsonl")[:2])
    sizes = {FILE: 20_000, "log.jsonl": begun + 10, "samples/step-0000006.png": 1000}
    whole = tmp_path / "free" / which
    assert whole.stat().st_size > sizes[which]

    folder = tmp_path / "full"
    with full_at(5, sizes[which]), pytest.raises(ONE_LINE, match=line) as caught:
        train("vae", folder=folder, preview_every=6)

    assert "\n" not in str(caught.value)
    assert checkpoint.load(folder)[0].step == 4
    assert not list(folder.rglob("*.draft"))
    assert run.resume("vae", folder, CPU).step == 12
    assert [json.loads(text)["step"] for text in read_lines(folder / "log.jsonl")][-1] == 12
    expected = checkpoint.load(tmp_path / "free")[1]
    assert all(torch.equal(value, expected[name]) for name, value in checkpoint.load(folder)[1].items())


def test_a_full_disk_at_the_start_is_one_line_that_names_the_folder(train, folder):
    folder.mkdir()
    with largest_file(10), pytest.raises(ONE_LINE, match=f"{folder}.*: cannot be written") as caught:
        train("vae")

    assert "\n" not in str(caught.value)


def test_a_full_disk_while_exporting_leaves_no_file_that_is_cut(tiny_family, traced, about, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "trace", traced)
    with largest_file(4096), pytest.raises(ONE_LINE) as caught:
        writer.export_family(tiny_family("autoencoder"), tmp_path / "out", "autoencoder", about)

    assert "\n" not in str(caught.value)
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from gen_export.training import checkpoint, run
from gen_export.training.settings import TrainSettings
save = checkpoint.save_file
def half(tensors, path, metadata):
    save(tensors, path, metadata=metadata)
    if '"step": 8' in metadata["gen_export"]:
        os.truncate(path, path.stat().st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)
checkpoint.save_file = half
settings = TrainSettings(steps=12, batch_size=4, warmup=3, save_every=4, preview_every=1000)
run.start("vae", {"size": "tiny", "latent": 4}, settings, run.Source(sys.argv[1]), Path(sys.argv[2]),
          torch.device("cpu"))
"""


def test_a_kill_in_the_middle_of_a_checkpoint_leaves_the_one_before_and_no_lock(run_python, train, dots, tmp_path):
    folder = tmp_path / "killed"
    ended = run_python("-c", KILLED, dots, folder)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert (folder / f"{FILE}.draft").exists()
    assert checkpoint.load(folder)[0].step == 4

    assert run.resume("vae", folder, CPU).step == 12
    train("vae", folder=tmp_path / "straight")
    expected = checkpoint.load(tmp_path / "straight")[1]
    assert all(torch.equal(value, expected[name]) for name, value in checkpoint.load(folder)[1].items())
    assert not list(folder.glob("*.draft"))


def test_a_second_training_in_a_folder_is_refused_in_one_line(train, folder):
    expected = f"^{folder}: expected no other training in it, found one that is running$"
    with locked(folder), pytest.raises(CheckpointError, match=expected):
        train("vae")
    train("vae")
    with locked(folder), pytest.raises(CheckpointError, match=expected):
        run.resume("vae", folder, CPU)

    assert run.resume("vae", folder, CPU).step == 12


def test_a_folder_that_is_a_file_is_refused_in_one_line(train, folder):
    folder.write_text("not a folder")

    with pytest.raises(CheckpointError, match=f"^{folder}: cannot be written to \\(File exists\\)$"):
        train("vae")


@pytest.fixture
def photos(tmp_path) -> Path:
    """Thirty grey images of 8x8 pixels."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(30):
        Image.fromarray(np.full((8, 8), 8 * i, np.uint8)).save(folder / f"{i:02}.png")
    return folder


def on_photos(photos: Path, folder: Path, steps: int = 6) -> None:
    settings = TrainSettings(steps=steps, batch_size=10, save_every=2)
    run.start("vae", {"size": "tiny", "latent": 4}, settings, run.Source(str(photos)), folder, CPU)


def test_images_that_go_while_it_trains_are_told_and_others_stand_in(photos, folder, monkeypatch, capsys):
    learn = Learner.step

    def until(self, batch):
        if self.state.step == 3:
            for path in sorted(photos.iterdir())[:10]:
                path.unlink()
        return learn(self, batch)

    monkeypatch.setattr(Learner, "step", until)
    on_photos(photos, folder)

    assert checkpoint.load(folder)[0].step == 6
    assert "expected an image, found No such file or directory" in capsys.readouterr().err


def test_a_set_that_shrank_between_two_runs_is_refused_with_both_numbers(photos, folder):
    on_photos(photos, folder)
    for path in sorted(photos.iterdir())[:10]:
        path.unlink()

    expected = rf"expected the images it was trained on \(27\), found others \(18\) at {photos}$"
    with pytest.raises(CheckpointError, match=expected):
        run.resume("vae", folder, CPU)


def test_when_all_images_are_gone_the_run_ends_in_one_line(photos, folder, monkeypatch):
    learn = Learner.step

    def until(self, batch):
        for path in photos.iterdir():
            path.unlink()
        return learn(self, batch)

    monkeypatch.setattr(Learner, "step", until)
    with pytest.raises(GenExportError, match="expected an image that can be decoded, found none in 27 files"):
        on_photos(photos, folder, steps=20)


def test_a_process_of_the_run_that_is_gone_is_one_line(train, monkeypatch):
    from gen_export.training import processes

    def broken(*_):
        raise RuntimeError("Connection closed by peer\nat some line")

    monkeypatch.setattr("accelerate.utils.reduce", broken)
    with pytest.raises(
        TrainingError, match=r"lost one \(Connection closed by peer at some line\); go on with --resume"
    ):
        processes.Processes(0, 2).any(False)
