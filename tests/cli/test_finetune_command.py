"""The command `finetune`: an exported model learns on, without torch."""

import json

import numpy as np
import pytest

from gen_runtime import load


@pytest.fixture
def vae(trainable):
    """An exported VAE with a step of training."""
    return trainable("vae")


def test_a_model_learns_images_and_its_new_files_draw(call, vae, dots, tmp_path):
    words = ("--data", dots, "--steps", 40, "--batch-size", 8, "--lr", 3e-3, "--save-every", 10)
    code, out, err = call("finetune", vae, "--out", "tuned", *words)
    losses = [float(line.split("loss ")[1].split()[0]) for line in err.splitlines() if line.startswith("step ")]

    assert code == 0
    assert out.startswith("40 steps of 8 images: tuned/vae.onnx, ")
    assert losses[-1] < 0.5 * losses[0]
    assert load(tmp_path / "tuned" / "vae.onnx", device="cpu").sample(3).shape == (3, 8, 8, 1)


def test_a_resumed_run_ends_as_a_whole_one(call, vae, dots, tmp_path):
    words = ("--data", dots, "--batch-size", 4, "--seed", 5)
    assert call("finetune", vae, "--out", "whole", "--steps", 6, *words)[0] == 0
    assert call("finetune", vae, "--out", "parts", "--steps", 3, *words)[0] == 0
    assert call("finetune", vae, "--out", "parts", "--steps", 6, "--resume", *words)[0] == 0
    files = [path.name for path in (tmp_path / "whole").iterdir() if path.suffix == ".onnx"]

    assert len(files) == 9
    for name in files:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--steps", 0), "--steps: expected at least 1, found 0"),
        (("--lr", "nan"), "--lr: expected a number, at least 0, found nan"),
        (("--resume",), "expected a saved state"),
        (("--data", "nothing.npy"), "nothing.npy: expected a file or folder"),
        (("--lr", "1e30", "--steps", 5), "expected finite losses, found loss"),
    ],
)
def test_what_cannot_be_is_one_line(call, vae, dots, words, message):
    code, _, err = call("finetune", vae, "--data", dots, "--out", "tuned", *words)

    assert (code, err.strip().splitlines()[-1].startswith("gen-export: ")) == (2, True)
    assert message in err


def test_images_of_another_size_and_the_models_own_folder_are_refused(call, vae, dots, tmp_path):
    np.save(tmp_path / "large.npy", np.zeros((4, 12, 12), np.uint8))

    assert (
        "expected images of (8, 8, 1), found (12, 12, 1)"
        in call("finetune", vae, "--data", "large.npy", "--out", "tuned")[2]
    )
    assert "--out: expected another folder" in call("finetune", vae, "--data", dots, "--out", vae.parent)[2]


def test_it_brings_no_torch(vae, dots, tmp_path, run_python):
    code = (
        "import sys; from gen_export.cli import app; "
        "app(sys.argv[1:], standalone_mode=False); "
        "print([name for name in ('torch', 'onnx', 'onnx_ir') if name in sys.modules])"
    )
    words = ("--data", dots, "--out", tmp_path / "tuned", "--steps", 2, "--batch-size", 2)
    result = run_python("-c", code, "finetune", vae, *words)

    assert result.stdout.splitlines()[-1] == json.dumps([])
