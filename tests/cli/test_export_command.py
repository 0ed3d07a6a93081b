"""The command `export`: a checkpoint to checked files."""

import json

import numpy as np
import onnx
import pytest
import torch

from gen_export.training import checkpoint, run
from gen_export.training.settings import TrainSettings
from gen_runtime import Trainer, load


@pytest.fixture(scope="module")
def trained(dots, tmp_path_factory):
    """The folder of a short run of the diffusion family."""
    folder = tmp_path_factory.mktemp("trained")
    settings = TrainSettings(steps=4, batch_size=4, preview_every=4)
    config = {"size": "tiny", "net": "residual", "states": 20}
    run.start("diffusion", config, settings, run.Source(str(dots)), folder, torch.device("cpu"))
    return folder


def test_a_checkpoint_is_exported_where_and_as_told(call, trained, tmp_path):
    words = ("--out", tmp_path / "models", "--name", "tiny", "--opset", 21, "--unroll", 2)
    code, out, _ = call("export", trained / checkpoint.FILE, *words)
    path = tmp_path / "models" / "tiny.onnx"

    assert code == 0
    assert out.endswith(f"{path}: try  gen-export sample {path} --seed 7\n")
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "tiny.denoise.onnx",
        "tiny.noising.onnx",
        "tiny.objective.onnx",
        "tiny.onnx",
        "tiny.sample_from_noise.onnx",
        "tiny.slope.onnx",
        "tiny.step.onnx",
    ]
    assert onnx.load(path).opset_import[0].version == 21
    assert "Loop" not in [node.op_type for node in onnx.load(path).graph.node]
    card = load(path, device="cpu").card
    assert (card.training["steps"], card.data["name"]) == (4, "dots")
    assert str(trained) not in json.dumps(card.text)


def test_a_solver_is_chosen_at_export_and_at_sampling(call, trained, tmp_path):
    assert call("export", trained, "--out", "models", "--solver", "heun", "--spacing", "linspace")[0] == 0
    file = "models/diffusion.onnx"
    assert "ddim, ddpm, euler" in " ".join(call("inspect", file)[1].split())

    for name, words in {"default": (), "heun": ("--solver", "heun"), "ddpm": ("--solver", "ddpm")}.items():
        assert call("sample", file, "--count", 2, "--steps", 3, *words, "--npy", f"{name}.npy")[0] == 0
    drawn = {name: np.load(tmp_path / f"{name}.npy") for name in ("default", "heun", "ddpm")}
    assert (drawn["default"] == drawn["heun"]).all()
    assert (drawn["default"] != drawn["ddpm"]).any()
    code, _, err = call("sample", file, "--solver", "rk4")
    assert (code, err.count("\n")) == (2, 1)
    assert "solver: expected one of ddim, ddpm, euler, heun" in err


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--opset", "17"), "--opset: expected 18 to 23, found 17"),
        (("--unroll", "21"), "--unroll: expected 1 to 20 steps, found 21"),
    ],
)
def test_an_option_out_of_range_is_one_line(call, trained, words, line):
    assert call("export", trained, *words) == (2, "", f"gen-export: {line}\n")


def test_a_folder_without_a_run_is_one_line_that_names_the_file(call, tmp_path):
    code, _, err = call("export", tmp_path)

    assert code == 2
    assert err.startswith(f"gen-export: {tmp_path / checkpoint.FILE}: expected a checkpoint")
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", ["", "../outside", "a/b"])
def test_a_name_that_is_no_stem_is_refused(call, name, tmp_path):
    code, _, error = call("export", tmp_path, "--name", name)

    assert (code, error) == (2, f"gen-export: --name: expected the stem of a file without folders, found {name!r}\n")


def test_a_step_of_training_is_written_beside_the_model(call, trained, tmp_path, dots):
    code, out, _ = call("export", trained, "--out", "models", "--train-step", "--freeze", "net.stem")
    trainer = Trainer(tmp_path / "models" / "diffusion.onnx")

    assert code == 0
    assert "diffusion.train.onnx: within" in out
    assert not any(name.startswith("net.stem") for name in trainer.card.state["tensors"]["averages"])
    assert trainer.step(np.load(dots)[:4, :, :, None])["loss"] > 0
    assert trainer.export(tmp_path / "again")[0] == tmp_path / "again" / "diffusion.onnx"


def test_what_cannot_be_frozen_is_refused(call, trained):
    code, _, err = call("export", trained, "--out", "models", "--train-step", "--freeze", "encoder")
    assert (code, err) == (2, "gen-export: --freeze: expected some of net, or a part of them, found 'encoder'\n")

    code, _, err = call("export", trained, "--out", "models", "--freeze", "net")
    assert (code, err) == (2, "gen-export: --freeze: expected --train-step with it, found none\n")
