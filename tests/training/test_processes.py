"""Several processes train what one does: real ones, two of them, that speak through gloo.

Sums in another order round differently, and Adam divides each gradient by its own size: of a gradient that is all
rounding it makes a step as large as any. So losses are compared entry by entry, and weights by how far they have come.
"""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gen_export.data import ArraySet, batch_indices
from gen_export.errors import ConfigError, MissingToolError, TrainingError
from gen_export.models.family import ImageShape
from gen_export.training import checkpoint, launch, run
from gen_export.training.checkpoint import Record
from gen_export.training.loop import Trainer
from gen_export.training.processes import Processes
from gen_export.training.settings import TrainSettings
from tests.training.pair import start_pair

CPU = torch.device("cpu")
SHORT = {"steps": 8, "batch_size": 8, "warmup": 2, "save_every": 4, "preview_every": 1000}
CASES = {
    "vae": ("vae", {"size": "tiny", "latent": 4}, SHORT),
    "diffusion": ("diffusion", {"size": "tiny", "net": "residual", "states": 50}, SHORT),
    "gan": ("gan", {"size": "tiny", "latent": 8, "spectral": True}, {**SHORT, "accumulate": 2}),
    "vqvae": ("vqvae", {"size": "tiny", "codes": 16}, SHORT),
    "vqvae by gradient": ("vqvae", {"size": "tiny", "codes": 16, "codebook": "gradient"}, SHORT),
    "classifier": ("classifier", {"size": "tiny", "classes": 2}, SHORT),
    "mae": ("mae", {"size": "tiny"}, SHORT),
    "classes": ("vae", {"size": "tiny", "latent": 4, "classes": True}, SHORT),
}
SHARED = [name for name in CASES if name != "vqvae by gradient"]
ROUNDING = 2e-5
"""Of a loss: a hundred times float32's, for the weights that it is computed from have their own by then."""
STRAY = 1e-3
"""Of the distance that the weights have come: what steps along gradients of rounding add up to."""


def source(name: str, dots: Path) -> str:
    """The data of a case: a VQ-VAE's has no latents so alike that rounding gives them other codes."""
    return "sprites" if name.startswith("vqvae") else str(dots)


def alone(folder: Path, dots: Path, name: str, **changes: int) -> Path:
    """A case trained by this process alone, on the whole batch at once."""
    family, config, settings = CASES[name]
    settings = {**settings, "accumulate": 1, **changes}
    run.start(family, config, TrainSettings(**settings), run.Source(source(name, dots)), folder, CPU)
    return folder


def losses(folder: Path) -> list[dict[str, float]]:
    """The log without times."""
    entries = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    flat = [{**entry, **entry.get("held_out", {})} for entry in entries]
    timed = ("images_per_second", "seconds", "held_out")
    return [{name: value for name, value in entry.items() if name not in timed} for entry in flat]


def assert_same_run(found: Path, expected: Path) -> None:
    """Same losses and weights within rounding."""
    for one, other in zip(losses(found), losses(expected), strict=True):
        assert one == pytest.approx(other, rel=ROUNDING)
    record, ours = checkpoint.load(found)
    theirs = checkpoint.load(expected)[1]
    assert ours.keys() == theirs.keys()
    start = record.build().state_dict()
    come = torch.stack([(theirs[f"model.{name}"] - value).norm() for name, value in start.items()]).norm()
    apart = torch.stack([(theirs[f"model.{name}"] - ours[f"model.{name}"]).norm() for name in start]).norm()
    assert come > 0.01
    assert apart < STRAY * come


@pytest.fixture(scope="module")
def shared(dots, tmp_path_factory) -> Path:
    """A folder with every case trained by two processes; `vae` was begun by one that was stopped after four steps."""
    folder = tmp_path_factory.mktemp("shared")
    half_way(folder / "vae", dots)
    cases = {name: (*CASES[name], source(name, dots)) for name in SHARED}
    ended = start_pair("train", folder, json.dumps(cases))
    assert [child.returncode for child in ended] == [0, 0], ended
    assert all(name in ended[0].stderr for name in ("vqvae/samples", "gan/samples"))
    assert ended[1].stderr == ""
    return folder


def half_way(folder: Path, dots: Path) -> None:
    """The case `vae` stopped after four of its eight steps."""
    learn = Trainer._report
    with pytest.MonkeyPatch.context() as patch:

        def stop(self, *arguments):
            if self.state.step == 4:
                os.kill(os.getpid(), signal.SIGTERM)
            learn(self, *arguments)

        patch.setattr(Trainer, "_report", stop)
        with pytest.raises(TrainingError, match="stopped after step 5"):
            alone(folder, dots, "vae")


@pytest.mark.parametrize("name", [name for name in SHARED if name != "vae"])
def test_two_processes_train_what_one_does_on_the_same_batches(shared, dots, tmp_path, name):
    assert_same_run(shared / name, alone(tmp_path, dots, name))


def test_two_processes_go_on_with_a_run_that_one_began(shared, dots, tmp_path):
    half_way(tmp_path, dots)
    run.resume("vae", tmp_path, CPU)

    assert_same_run(shared / "vae", tmp_path)


@pytest.mark.parametrize("name", ["vae", "diffusion", "gan", "vqvae", "vqvae by gradient"])
def test_a_batch_in_parts_takes_the_step_of_the_whole(dots, tmp_path, name):
    assert_same_run(alone(tmp_path / "parts", dots, name, accumulate=4), alone(tmp_path / "whole", dots, name))


def command(folder: Path, *more: str) -> list[str]:
    options = ["--size=tiny", "--batch-size=4", "--steps=100000", "--save-every=2", "--preview-every=100000"]
    return [sys.executable, "-m", "gen_export", "train", "vae", f"--out={folder}", "--device=cpu", *options, *more]


def launched(folder: Path) -> subprocess.Popen[str]:
    """A run in two processes, once its first checkpoint is there."""
    root = Path(__file__).parents[2]
    started = subprocess.Popen(command(folder, "--processes=2"), cwd=root, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (folder / checkpoint.FILE).exists():
        assert started.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return started


def children(process: subprocess.Popen[str]) -> list[int]:
    """The processes that it has started."""
    return [int(word) for word in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def test_a_request_to_stop_ends_all_after_the_same_step_and_one_process_can_go_on(tmp_path):
    started = launched(tmp_path)
    os.kill(children(started)[1], signal.SIGTERM)  # one of them, and not the one that writes
    _, said = started.communicate(timeout=60)
    record, tensors = checkpoint.load(tmp_path)

    assert started.returncode == 130
    assert said == f"gen-export: {tmp_path}: stopped after step {record.step}, saved; go on with --resume\n"
    one_more = replace(record, settings=replace(record.settings, steps=record.step + 1))
    checkpoint.save(tmp_path, one_more, tensors)
    assert run.resume("vae", tmp_path, CPU).step == record.step + 1


@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc")
def test_when_one_process_is_killed_the_others_end_in_one_line_and_the_checkpoint_is_whole(tmp_path):
    started = launched(tmp_path)
    os.kill(children(started)[1], signal.SIGKILL)
    _, said = started.communicate(timeout=60)

    assert started.returncode != 0
    assert said.startswith("gen-export: expected all processes of the run, lost one (")
    assert said.count("\n") == 1
    assert checkpoint.load(tmp_path)[0].step >= 2


def test_an_error_in_one_process_ends_all_and_only_it_tells(tmp_path, dots):
    first, second = start_pair("fail", tmp_path / "run", dots)

    assert "image 7: gone" in second.stderr
    assert first.returncode != 0
    assert "lost one" not in first.stderr


def test_an_error_that_all_processes_meet_is_told_once(run_python, tmp_path):
    ended = run_python(*command(tmp_path / "run", "--processes=2", "--data=nowhere")[1:])

    assert ended.returncode == 2
    assert ended.stderr.startswith("gen-export: nowhere: expected a file or folder")
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_another_number_of_processes_than_were_launched_is_refused(run_python, tmp_path):
    launched = {**os.environ, "WORLD_SIZE": "2"}
    ended = run_python(*command(tmp_path / "run", "--processes=3")[1:], env=launched)

    assert ended.returncode == 2
    assert ended.stderr == "gen-export: --processes: expected 2, as launched, found 3\n"


def test_one_process_never_imports_accelerate(run_python, tmp_path, dots):
    code = """
import sys
from gen_export.training import run
from gen_export.training.processes import joined
from gen_export.training.settings import TrainSettings
from pathlib import Path
import torch
with joined(torch.device("cpu")) as (processes, device):
    run.start("vae", {"size": "tiny"}, TrainSettings(steps=1, batch_size=2), run.Source(sys.argv[1]),
              Path(sys.argv[2]), device, processes=processes)
print("accelerate" in sys.modules)
"""
    ended = run_python("-c", code, dots, tmp_path / "run")

    assert ended.stdout == "False\n", ended.stderr


def trainer(folder: Path, processes: Processes, **settings: int) -> Trainer:
    """A trainer of 10 images in batches of 4, as one of several processes."""
    options = TrainSettings(**{"steps": 5, "batch_size": 4, **settings})
    pixels = np.arange(10, dtype=np.uint8)[:, None, None] * np.ones((8, 8), np.uint8)
    images = ArraySet("numbered", pixels)
    record = Record("vae", {"size": "tiny", "latent": 4}, ImageShape(1, 8, 8), options, {})
    return Trainer(record, images, images, folder, CPU, processes=processes)


def test_the_processes_see_the_images_of_one_process_in_its_order(tmp_path):
    seen = [
        [((batch.images[:, 0, 0, 0] + 1) * 127.5).round().long() for batch in trainer(tmp_path, processes).batches()]
        for processes in (Processes(0, 2), Processes(1, 2))
    ]

    for step, shares in enumerate(zip(*seen, strict=True)):
        assert torch.cat(shares).tolist() == batch_indices(10, 4, 0, step).tolist()


@pytest.mark.parametrize(("count", "parts"), [(3, 1), (1, 3), (2, 4)])
def test_a_batch_that_cannot_be_shared_out_evenly_is_refused(tmp_path, count, parts):
    expected = rf"^batch_size: expected a multiple of {count * parts}, the number of processes x accumulate, found 4$"
    with pytest.raises(ConfigError, match=expected):
        trainer(tmp_path / "run", Processes(0, count), accumulate=parts)
    assert not (tmp_path / "run").exists()


def test_several_processes_without_accelerate_are_refused_with_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)

    with pytest.raises(MissingToolError, match=r"^--processes: expected accelerate: pip install 'gen-export\[distri"):
        launch.launch(2, [], CPU)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_more_processes_than_gpus_are_refused():
    with pytest.raises(TrainingError, match=r"^--processes: expected at most 0, one a GPU, found 2$"):
        launch.launch(2, [], torch.device("cuda"))
