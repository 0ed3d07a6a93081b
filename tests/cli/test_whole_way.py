"""Every family from the command line: trained, exported, run and verified in a folder of its own."""

import json

import numpy as np
import pytest
from PIL import Image

from gen_export.models import FAMILIES, family_class

OPTIONS = {
    "autoencoder": ("--latent", 8),
    "mae": (),
    "vae": ("--latent", 8),
    "vqvae": ("--codes", 8, "--code-dim", 4),
    "gan": ("--latent", 8),
    "diffusion": ("--states", 40),
    "classifier": ("--features", 8),
}
# The term of the held-out objective that a run must lower. The adversaries have no common objective: that the
# discriminator's loss falls, which starts near 1, is the least.
TERMS = {
    "autoencoder": "loss",
    "mae": "loss",
    "vae": "reconstruction",
    "vqvae": "reconstruction",
    "gan": "discriminator",
    "diffusion": "loss",
    "classifier": "loss",
}
SHORT = (
    "--size", "tiny", "--steps", 60, "--batch-size", 16, "--lr", 0.003, "--warmup", 5, "--ema", 0.8,
    "--preview-every", 20, "--device", "cpu",
)  # fmt: skip


def held_out(folder, term):
    """A held-out loss in the order of a run's log."""
    entries = map(json.loads, (folder / "log.jsonl").read_text(encoding="utf-8").splitlines())
    return [entry["held_out"][term] for entry in entries if term in entry.get("held_out", {})]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_trains_exports_runs_and_verifies(call, dots, tmp_path, name):
    assert call("train", name, "--data", dots, "--out", "run", *SHORT, *OPTIONS[name])[0] == 0
    losses = held_out(tmp_path / "run", TERMS[name])
    assert losses[-1] < 0.6 * losses[0]

    file = f"run/{name}.onnx"
    Image.fromarray(np.load(dots)[0]).save("photo.png")
    main = family_class(name).main
    picture = () if main == "classify" else ("--png", "out.png")
    assert call(main, file, *(("--count", 4) if main == "sample" else ("photo.png",)), *picture)[0] == 0
    assert not picture or (tmp_path / "out.png").stat().st_size > 100

    code, out, _ = call("verify", "run", "--stamp")
    assert code == 0, out
    assert "fits these files" in call("inspect", file)[1]
