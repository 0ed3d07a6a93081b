"""The log, TensorBoard's event files beside it, and what is noted of each start of a run."""

import importlib.metadata
import json
import shlex
import struct
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import torch

import gen_export
from gen_export.training import environment, run
from gen_export.training.environment import note_session, session
from gen_export.training.log import SESSIONS, Log, read_lines

CPU = torch.device("cpu")


def steps(path):
    return [json.loads(line)["step"] for line in read_lines(path)]


def test_a_resumed_log_keeps_the_entries_up_to_its_checkpoint(tmp_path):
    first = Log(tmp_path, 0)
    for step in (0, 20, 40, 60):
        first.write(step, loss=0.5)
    Log(tmp_path, 40).write(60, loss=0.25)

    assert steps(first.path) == [0, 20, 40, 60]
    assert json.loads(read_lines(first.path)[-1]) == {"step": 60, "loss": 0.25}


def test_a_run_that_starts_anew_forgets_the_log_of_the_one_that_never_saved(tmp_path):
    Log(tmp_path, 0).write(0, loss=1.0)
    again = Log(tmp_path, 0)
    again.write(0, loss=2.0)

    assert [json.loads(line)["loss"] for line in read_lines(again.path)] == [2.0]


def events(folder):
    """All events of the event files in a folder, in the order in which they were written.

    A record is its length, uint64, a checksum, the event and a checksum of it.
    """
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2", reason="needs tensorboardX")
    for path in sorted(folder.glob("events.out.tfevents.*"), key=lambda path: path.stat().st_mtime_ns):
        content = path.read_bytes()
        at = 0
        while at < len(content):
            (length,) = struct.unpack_from("<Q", content, at)
            yield event_pb2.Event.FromString(content[at + 12 : at + 12 + length])
            at += 16 + length


def scalars(folder):
    return [(e.step, v.tag, v.simple_value) for e in events(folder) for v in e.summary.value if not v.HasField("image")]


def test_tensorboard_is_told_the_entries_of_the_log_and_the_pictures(tmp_path):
    pytest.importorskip("tensorboardX")
    with Log(tmp_path, 0, tensorboard=True) as log:
        log.write(20, loss=0.5, lr=0.25)
        log.write(20, held_out={"loss": 0.75})
        log.picture(20, "samples", np.zeros((4, 6, 1), np.uint8))

    images = [(e.step, v.tag, v.image) for e in events(tmp_path) for v in e.summary.value if v.HasField("image")]
    assert scalars(tmp_path) == [(20, "train/loss", 0.5), (20, "train/lr", 0.25), (20, "held_out/loss", 0.75)]
    assert [(step, tag, image.height, image.width) for step, tag, image in images] == [(20, "samples", 4, 6)]


def test_a_resumed_run_hides_the_steps_after_its_checkpoint_from_tensorboard(tmp_path):
    pytest.importorskip("tensorboardX")
    for begin in (0, 40):
        with Log(tmp_path, begin, tensorboard=True) as log:
            log.write(begin + 20, loss=1.0)
    starts = [event.step for event in events(tmp_path) if event.HasField("session_log")]

    assert starts == [0, 41]  # TensorBoard drops what other files say of this step and later ones


def test_without_tensorboard_there_is_no_event_file(tmp_path):
    with Log(tmp_path, 0) as log:
        log.write(20, loss=1.0)
        log.picture(20, "samples", np.zeros((4, 6, 1), np.uint8))

    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


def test_a_run_with_tensorboard_writes_what_its_log_says(dots, tmp_path):
    pytest.importorskip("tensorboardX")
    settings = run.TrainSettings(steps=4, batch_size=4, save_every=2)
    run.start("vae", {"size": "tiny", "latent": 4}, settings, run.Source(str(dots)), tmp_path, CPU, tensorboard=True)
    logged = [entry for entry in map(json.loads, read_lines(tmp_path / "log.jsonl")) if "loss" in entry]

    found = [(step, value) for step, tag, value in scalars(tmp_path) if tag == "train/loss"]
    assert found == [(entry["step"], float(np.float32(entry["loss"]))) for entry in logged]
    assert {v.tag for e in events(tmp_path) for v in e.summary.value if v.HasField("image")} == {"samples", "rebuilt"}


def sessions(folder):
    return [json.loads(line) for line in read_lines(folder / SESSIONS)]


def test_every_start_is_noted_with_its_command_as_it_was_typed(tmp_path, monkeypatch):
    words = ["train", "vae", "--data", "my photos", "--out", "it's"]
    for step in (0, 500):
        monkeypatch.setattr(sys, "argv", ["/opt/env/bin/gen-export", *words])
        note_session(tmp_path, step, CPU)
    found = sessions(tmp_path)

    assert [entry["step"] for entry in found] == [0, 500]
    assert all(shlex.split(entry["command"]) == ["gen-export", *words] for entry in found)
    assert datetime.now(UTC) - datetime.fromisoformat(found[1]["date"]) < timedelta(minutes=5)


def test_a_run_that_starts_anew_forgets_the_starts_before_it(tmp_path):
    for step in (0, 500, 0):
        note_session(tmp_path, step, CPU)

    assert [entry["step"] for entry in sessions(tmp_path)] == [0]


def test_the_environment_is_this_one():
    found = session(0, "2026-01-02T03:04:05+00:00", ["gen-export"], CPU)

    assert found.versions["torch"] == torch.__version__
    assert found.versions["onnxruntime"] == importlib.metadata.version("onnxruntime")
    assert found.versions["gen-export"] == gen_export.__version__
    assert found.versions["python"] == sys.version.split()[0]
    assert found.threads == torch.get_num_threads()
    assert found.device == "cpu"


@pytest.mark.cuda
def test_a_gpu_is_noted_by_its_name():
    device = torch.device("cuda")

    assert session(0, "", [], device).device == torch.cuda.get_device_name(device)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("processor\t: 0\nmodel name\t: Threefold X: 1\nflags\t: fpu\n", "Threefold X: 1"),
        ("processor\t: 0\n", None),
        (None, None),
    ],
)
def test_the_processor_has_a_name_whatever_the_system_tells(tmp_path, monkeypatch, text, name):
    monkeypatch.setattr(environment, "CPU_INFO", tmp_path / "cpuinfo")
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "riscv64")

    assert environment.processor() == (name or "riscv64")
