"""The command `train`: options from what a family declares, training, resuming and exporting."""

import re
from dataclasses import fields

import pytest

from gen_export.cli.train import FROM_DATA, RUN_OPTIONS, WITH_RESUME
from gen_export.export import writer
from gen_export.models import FAMILIES, family_class
from gen_export.training import checkpoint
from gen_export.training.checkpoint import FILE
from gen_export.training.settings import TrainSettings
from gen_runtime import load

SHORT = ("--size", "tiny", "--steps", 6, "--batch-size", 4, "--save-every", 3, "--device", "cpu")


@pytest.fixture
def no_export(monkeypatch):
    """Leaves the export out, which takes most of the time; notes what it was asked for."""
    asked = []

    def export(family, folder, stem, about, opset, unroll, say):
        asked.append((family.name, folder, stem, opset, unroll))
        return [folder / f"{stem}.onnx"]

    monkeypatch.setattr(writer, "export_family", export)
    return asked


def options(name):
    """The options of a family and of the loop; a classifier's classes are always those of the data."""
    own = [field for field in fields(family_class(name).Config) if field.name != FROM_DATA or name != "classifier"]
    return [field.name for field in (*own, *fields(TrainSettings))]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_familys_help_lists_its_options_and_the_loops_with_their_defaults(call, name):
    code, out, _ = call("train", name, "--help")

    assert code == 0
    for option in options(name):
        assert f"--{option.replace('_', '-')}" in out
    assert re.search(r"--steps .*10000", out)
    assert all(heading in out for heading in ("Model", "Training"))


def test_a_model_with_classes_is_told_those_of_the_data_and_draws_them_by_name(call, dots, tmp_path):
    code, _, _ = call("train", "vae", "--data", dots, "--out", "here", *SHORT, "--classes")
    drawn = load(tmp_path / "here" / "vae.onnx", device="cpu").sample(2, label="class_1")

    assert code == 0
    assert checkpoint.load(tmp_path / "here")[0].config["classes"] == ["class_0", "class_1"]
    assert drawn.shape == (2, 8, 8, 1)


def test_options_reach_the_model_the_loop_and_the_data(call, no_export, dots, tmp_path):
    options = ("--latent", 5, "--beta", 0.5, "--lr", 0.01, "--seed", -9)
    code, out, _ = call("train", "vae", "--data", dots, "--out", "here", *SHORT, *options)
    record, _ = checkpoint.load(tmp_path / "here")

    assert code == 0
    assert record.config == {"size": "tiny", "latent": 5, "beta": 0.5, "prior": "flow", "classes": []}
    assert (record.settings.steps, record.settings.lr, record.settings.seed) == (6, 0.01, -9)
    assert record.data["source"] == str(dots)
    assert (tmp_path / "here" / FILE).is_file()
    assert no_export[0][0] == "vae"
    assert [str(value) for value in no_export[0][1:]] == ["here", "vae", "18", "None"]
    assert "try  gen-export sample here/vae.onnx --seed 7" in out


def test_a_run_goes_to_runs_and_its_familys_name_unless_told(call, no_export, dots, tmp_path):
    code, _, _ = call("train", "diffusion", "--data", dots, "--net", "residual", "--states", 20, *SHORT)

    assert code == 0
    assert (tmp_path / "runs" / "diffusion" / FILE).is_file()


def test_resume_goes_on_with_the_options_of_the_run(call, no_export, dots, tmp_path):
    call("train", "vae", "--data", dots, "--out", "run", "--latent", 3, *SHORT)
    before = checkpoint.load(tmp_path / "run")[0]
    code, _, _ = call("train", "vae", "--resume", "--out", "run", "--device", "cpu")

    assert code == 0
    assert checkpoint.load(tmp_path / "run")[0] == before
    assert len(no_export) == 2


def given(option):
    """An option on the command line with a value it may have."""
    values = {
        "size": "tiny",
        "net": "unet",
        "schedule": "linear",
        "precision": "float32",
        "data": "sprites",
        "predict": "v",
        "loss": "eps",
        "codebook": "gradient",
        "prior": "normal",
    }
    switch = option in ("strict", "compile", "spectral", "classes")
    return [f"--{option.replace('_', '-')}", *([] if switch else [values.get(option, "1")])]


@pytest.mark.parametrize(
    ("name", "option"),
    [
        (name, option)
        for name in FAMILIES
        for option in (
            *options(name),
            *(option for option in RUN_OPTIONS if option not in WITH_RESUME),
        )
    ],
)
def test_resume_refuses_any_other_option_by_name(call, name, option):
    code, _, err = call("train", name, "--resume", *given(option))

    assert code == 2
    flag = given(option)[0]
    assert err == f"gen-export: {flag}: a resumed run keeps its options; leave it out, or start a new run\n"


def test_resume_without_a_run_names_the_folder_it_looked_in(call):
    code, _, err = call("train", "vae", "--resume")

    assert code == 2
    assert err.startswith("gen-export: runs/vae: expected a checkpoint, found nothing there")


def test_cuda_without_a_gpu_is_one_clear_line(call):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    code, out, err = call("train", "vae", "--cuda")

    assert (code, out) == (2, "")
    assert re.fullmatch(
        r"gen-export: --cuda: expected an NVIDIA GPU, but .*; leave --cuda out to train on the CPU\n", err
    )


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--latent", "0"), "latent: expected 1 to 65536, found 0"),
        (("--steps", "0"), "steps: expected at least 1, found 0"),
        (("--data", "nowhere"), "nowhere: expected a file or folder"),
    ],
)
def test_a_refused_option_is_one_line_that_names_it_and_leaves_no_folder(call, tmp_path, words, line):
    code, _, err = call("train", "vae", *words)

    assert code == 2
    assert err.startswith(f"gen-export: {line}")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.cuda
@pytest.mark.parametrize("name", FAMILIES)
def test_training_on_cuda_ends_with_files_that_sample(call, dots, tmp_path, name):
    code, _, err = call("train", name, "--cuda", "--data", dots, "--out", "run", *SHORT[:-2])

    assert code == 0, err
    assert load(tmp_path / "run" / f"{name}.onnx", device="cpu").sample(2).shape == (2, 8, 8, 1)
