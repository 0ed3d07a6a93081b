"""Checkpoints: whole or not at all, read back to the bit, refused in one line that names the file."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from gen_export.errors import CheckpointError
from gen_export.models.family import ImageShape
from gen_export.training import checkpoint, run
from gen_export.training.checkpoint import FILE, KEY, Record
from gen_export.training.settings import TrainSettings

CPU = torch.device("cpu")


def record(**changes):
    fields = {
        "family": "vae",
        "config": {"size": "tiny", "latent": 4},
        "image": ImageShape(1, 8, 8),
        "settings": TrainSettings(steps=5, lr=0.1 + 0.2, seed=-3),
        "data": {"source": "somewhere", "label_names": ["a", "b"]},
        "step": 2,
        "seconds": 1.5,
        "held_out": {"loss": 0.1},
    }
    return Record(**{**fields, **changes})


def tensors():
    rng = torch.Generator().manual_seed(0)
    subnormal = torch.tensor([1e-40, -0.0])
    return {
        "model.a": torch.randn(3, 4, generator=rng),
        "ema.a": subnormal,
        "optimizer.model.0.step": torch.tensor(2.0),
    }


def rewrite(path: Path, **metadata: str) -> None:
    """The same tensors under another header."""
    save_file(load_file(path), path, metadata=metadata)


def refused(path: Path) -> str:
    """The one line with which a checkpoint is refused."""
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture
def saved(tmp_path):
    return checkpoint.save(tmp_path / "run", record(), tensors())


def test_what_was_saved_is_loaded_to_the_bit(saved):
    found, loaded = checkpoint.load(saved)

    assert found == record()
    assert loaded.keys() == tensors().keys()
    for name, value in tensors().items():
        assert torch.equal(loaded[name].view(torch.int32), value.view(torch.int32)), name


def test_a_folder_stands_for_the_checkpoint_in_it(saved):
    assert checkpoint.load(saved.parent)[0] == checkpoint.load(saved)[0]


def test_a_missing_checkpoint_is_refused_with_its_path_and_the_command_that_writes_one(tmp_path):
    message = refused(tmp_path)

    assert message.startswith(f"{tmp_path / FILE}: expected a checkpoint")
    assert "gen-export train" in message


@pytest.mark.parametrize("size", [0, 7, 100, -1])
def test_a_truncated_checkpoint_is_refused_by_name(saved, size):
    content = saved.read_bytes()
    saved.write_bytes(content[:size])

    assert refused(saved).startswith(f"{saved}: expected a safetensors file")


def test_a_file_of_another_format_is_refused_by_name(saved):
    saved.write_bytes(b"PK\x03\x04" + bytes(200))

    assert refused(saved).startswith(f"{saved}: expected a safetensors file")


@pytest.mark.parametrize(
    "text",
    ["", "not json", "[]", '"text"', "3", "{}", '{"version": 2}', '{"version": 2, "image": 3, "settings": {}}'],
)
def test_safetensors_with_another_header_are_refused_by_name(saved, text):
    rewrite(saved, **{KEY: text})

    assert refused(saved).startswith(f"{saved}: expected a checkpoint of gen-export, found other contents")


def test_foreign_safetensors_are_refused_by_name(tmp_path):
    path = tmp_path / "theirs.safetensors"
    save_file({"weight": torch.zeros(2)}, path)

    assert refused(path).startswith(f"{path}: expected a checkpoint of gen-export")


def header(path):
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()[KEY])


def test_a_newer_version_is_refused_with_both_numbers(saved):
    rewrite(saved, **{KEY: json.dumps({**header(saved), "version": 3})})

    assert refused(saved) == f"{saved}: expected checkpoint version 2, found 3"


@pytest.mark.parametrize(
    "changes", [{"image": {"channels": 2, "height": 8, "width": 8}}, {"settings": {"steps": 0}}, {"colour": "red"}]
)
def test_a_record_with_impossible_values_is_refused_by_name(saved, changes):
    rewrite(saved, **{KEY: json.dumps({**header(saved), **changes})})

    assert refused(saved).startswith(f"{saved}: expected a checkpoint of gen-export, found other contents")


@pytest.mark.parametrize("at", ["save_file", "replace"])
def test_a_crash_while_saving_leaves_the_old_checkpoint(saved, monkeypatch, at):
    before = saved.read_bytes()

    def crash(*arguments, **options):
        if at == "save_file":
            Path(arguments[1]).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(*((checkpoint, "save_file") if at == "save_file" else (Path, "replace")), crash)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(saved.parent, record(step=3), tensors())

    assert saved.read_bytes() == before
    assert checkpoint.load(saved)[0].step == 2


def test_a_save_after_a_crash_replaces_the_draft_it_left(saved):
    (saved.parent / f"{FILE}.draft").write_bytes(b"half")
    checkpoint.save(saved.parent, record(step=3), tensors())

    assert checkpoint.load(saved)[0].step == 3
    assert [path.name for path in saved.parent.iterdir()] == [FILE]


def test_building_from_a_record_gives_the_same_fresh_weights_each_time():
    first, again, other = record().build(), record().build(), record(settings=TrainSettings(seed=1)).build()
    weights = [next(family.parameters()) for family in (first, again, other)]

    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_averaged_weights_are_the_ones_restored_for_export(train, folder):
    train("vae")
    found, model = checkpoint.restore_averaged(folder)
    stored = load_file(folder / FILE)

    assert found.family == "vae"
    assert not model.training
    assert all(torch.equal(value, stored[f"ema.{name}"]) for name, value in model.state_dict().items())
    assert any(not torch.equal(stored[f"ema.{name}"], stored[f"model.{name}"]) for name in model.state_dict())


@pytest.mark.parametrize("action", ["export", "resume"])
def test_weights_that_do_not_fit_the_record_are_refused_by_name(train, folder, action):
    train("vae")
    found, loaded = checkpoint.load(folder)
    del loaded["ema.decoder.features.weight"], loaded["model.decoder.features.weight"]
    checkpoint.save(folder, found, loaded)

    with pytest.raises(CheckpointError, match=r"checkpoint\.safetensors: expected the weights of its vae") as caught:
        checkpoint.restore_averaged(folder) if action == "export" else run.resume("vae", folder, CPU)
    assert "\n" not in str(caught.value)


def test_a_disk_that_is_full_is_one_line_and_the_last_checkpoint_stays(train, folder, monkeypatch):
    saved = train()
    before = (folder / checkpoint.FILE).read_bytes()

    def full(tensors, path, metadata):
        Path(path).write_bytes(b"half")
        raise SafetensorError("I/O error: No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(CheckpointError, match=r"checkpoint\.safetensors: cannot be written .*the last one is kept"):
        checkpoint.save(folder, saved, {})

    assert (folder / checkpoint.FILE).read_bytes() == before
    assert not list(folder.glob("*.draft"))
