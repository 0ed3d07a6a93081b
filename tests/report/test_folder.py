"""Reading a run's folder that a stranger may have made."""

import base64
import json
import struct
from pathlib import Path

import pytest
import torch

from gen_export.errors import DataError
from gen_export.report import folder as limits
from gen_export.report import pictures
from gen_export.report.folder import CHECKPOINT, RunFolder
from gen_export.training import checkpoint
from gen_export.training.log import FILE


def test_a_checkpoints_record_is_read_without_its_tensors(build_family, tmp_path):
    family = build_family("vae")
    record = checkpoint.Record("vae", {"size": "tiny"}, family.image, checkpoint.TrainSettings(), {"name": "dots"}, 7)
    path = checkpoint.save(tmp_path, record, {"weight": torch.zeros(1000)})
    path.write_bytes(path.read_bytes()[:-4000])
    found = RunFolder(tmp_path).record()

    assert path.name == CHECKPOINT
    assert (found["family"], found["step"], found["data"]) == ("vae", 7, {"name": "dots"})
    assert found["settings"]["batch_size"] == 64


def test_lines_that_are_no_entries_are_left_out(make_run):
    path = make_run() / FILE
    lines = [
        '{"step": 20, "loss": 1.0}',
        "no json",
        '{"loss": 1.0}',
        "[20]",
        '{"step": "20"}',
        '{"step": true}',
        "[" * 9999,
    ]
    path.write_bytes("\n".join([*lines, '{"step": 40}', "\udcff", '{"step": 60, "lo']).encode(errors="surrogateescape"))

    assert RunFolder(path.parent).entries() == [{"step": 20, "loss": 1.0}, {"step": 40}]


def test_of_a_log_that_is_too_long_the_beginning_is_read(make_run, monkeypatch):
    folder = make_run([{"step": step} for step in range(1000)])
    monkeypatch.setattr(limits, "LARGEST_LOG", 100)

    assert RunFolder(folder).entries() == [{"step": step} for step in range(8)]


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff" * 100, struct.pack("<Q", 2**60), struct.pack("<Q", 4) + b"nope", struct.pack("<Q", 2) + b"[]"],
)
def test_a_checkpoint_that_is_none_says_nothing(make_run, content):
    folder = make_run()
    (folder / CHECKPOINT).write_bytes(content)

    assert RunFolder(folder).record() == {}


def test_no_link_leads_out_of_the_folder(make_run, tmp_path):
    other = tmp_path / "other"
    (other / "samples").mkdir(parents=True)
    secret = make_run([{"step": 1}], {"family": "vae"}, previews=[20]).rename(other / "run")
    folder = make_run()
    for name in (FILE, CHECKPOINT):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(secret / name)
    (folder / "samples").symlink_to(secret / "samples")
    (folder / "vae.onnx").symlink_to(secret / FILE)
    (folder / "sessions.jsonl").write_text("")
    (folder / "rebuilt").mkdir()
    (folder / "rebuilt" / "step-0000020.png").symlink_to(secret / "samples" / "step-0000020.png")
    (folder / "diffusion.onnx").write_bytes(b"")
    found = RunFolder(folder)

    assert (found.entries(), found.record(), found.previews("samples"), found.previews("rebuilt")) == ([], {}, [], [])
    assert found.main_file() == folder / "diffusion.onnx"


def test_a_link_within_the_folder_is_followed(make_run):
    folder = make_run([{"step": 1}])
    (folder / FILE).rename(folder / "kept.jsonl")
    (folder / FILE).symlink_to("kept.jsonl")

    assert RunFolder(folder).entries() == [{"step": 1}]


def test_some_pictures_are_shown_from_the_first_to_the_last(make_run):
    folder = make_run(previews=list(range(100, 2100, 100)))
    (folder / "samples" / "step-0000500.txt").write_text("")
    (folder / "samples" / "step-last.png").write_text("")
    shown = RunFolder(folder).previews("samples")

    assert [picture.caption for picture in shown] == [
        "step 100", "step 500", "step 900", "step 1,200", "step 1,600", "step 2,000",
    ]  # fmt: skip
    assert {(picture.width, picture.height) for picture in shown} == {(6, 4)}
    content = base64.b64decode(shown[0].uri.removeprefix("data:image/png;base64,"))
    assert content == (folder / "samples" / "step-0000100.png").read_bytes()


@pytest.mark.parametrize("width", [0, 5000])
def test_a_picture_that_says_it_is_large_or_empty_is_left_out(make_run, width):
    folder = make_run(previews=[20, 40])
    path = folder / "samples" / "step-0000020.png"
    path.write_bytes(path.read_bytes()[:16] + struct.pack(">I", width) + path.read_bytes()[20:])

    assert [picture.caption for picture in RunFolder(folder).previews("samples")] == ["step 40"]


def test_a_picture_of_too_many_bytes_or_of_another_kind_is_left_out(make_run):
    folder = make_run(previews=[20, 40, 60])
    paths = [folder / "samples" / f"step-00000{step}.png" for step in (20, 40)]
    paths[0].write_bytes(paths[0].read_bytes() + b"\0" * pictures.LARGEST)
    paths[1].write_text("<svg onload='alert(1)'></svg>" * 9)

    assert [picture.caption for picture in RunFolder(folder).previews("samples")] == ["step 60"]


def test_the_main_file_is_the_one_that_is_no_part(make_run):
    folder = make_run()
    for name in ("vae.encode.onnx", "vae.onnx", "vae.decode.onnx", "vae-10-steps.onnx", "vae-10-steps.encode.onnx"):
        (folder / name).touch()

    assert RunFolder(folder).main_file() == folder / "vae.onnx"


def test_a_folder_without_a_run_is_refused_by_name(tmp_path):
    with pytest.raises(
        DataError, match=r"expected a run's log.jsonl, checkpoint.safetensors or .onnx files, found none"
    ):
        RunFolder(tmp_path)
    with pytest.raises(DataError, match="nowhere: expected the folder of a run, found none"):
        RunFolder(Path("nowhere"))


def test_numbers_that_cannot_be_drawn_are_none(make_run):
    folder = make_run([{"step": 10**400}, {"step": float("nan")}, {"step": float("inf")}, {"step": 5}])
    (folder / FILE).write_text((folder / FILE).read_text() + json.dumps({"step": None}) + "\n")

    assert [entry["step"] for entry in RunFolder(folder).entries()] == [5]
