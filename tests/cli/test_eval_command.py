"""The commands `eval` and `classify`."""

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from gen_export.verify.stamp import stamp_fits
from gen_runtime import load
from tests.evaluation.networks import write_network


@pytest.fixture
def words(exported, dots, tmp_path):
    def make(*names):
        files = [exported(name) for name in names]
        return ("eval", *files, "--data", dots, "--features", write_network(tmp_path), "--count", 10)

    return make


def test_files_stand_side_by_side_with_the_floor(call, words):
    code, out, err = call(*words("vae", "autoencoder"))

    assert (code, err) == (0, "")
    assert re.search(r"score +vae.onnx +autoencoder.onnx +floor +unit", out)
    assert re.search(r"peak signal to noise +[\d.]+ ± [\d.]+ +[\d.]+ ± [\d.]+ +dB", out)
    assert re.search(r"frechet distance +[\d.]+(e-\d+)? +[\d.]+(e-\d+)?\s*\n", out)


def test_json_has_every_score_of_every_file(call, words, exported):
    code, out, _ = call(*words("vqvae"), "--json")
    scores = json.loads(out)[str(exported("vqvae"))]

    assert code == 0
    assert [set(score) for score in scores] == [{"name", "value", "unit", "error", "floor"}] * len(scores)
    assert {"codes in use", "prior's surprise", "recall"} <= {score["name"] for score in scores}


def test_inputs_of_the_sampler_are_passed_on(call, words):
    one, other = (json.loads(call(*words("diffusion"), "--set", f"steps={n}", "--json")[1]) for n in (1, 9))
    (first,), (second,) = one.values(), other.values()

    assert first[0]["value"] != second[0]["value"]
    assert first[0]["floor"] == second[0]["floor"]


def test_an_input_that_the_file_has_not_is_refused_by_name(call, words):
    code, _, err = call(*words("vae"), "--set", "steps=3")

    assert code == 2
    assert "sample has no input 'steps'" in err


def test_a_set_without_features_says_how_to_get_some(call, exported, dots):
    code, _, err = call("eval", exported("gan"), "--data", dots)

    assert code == 2
    assert err.startswith("gen-export: --features: expected a file for dots")
    assert err.count("\n") == 1


def test_an_image_has_its_likeliest_classes_first(call, exported, tmp_path):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "dark.png")
    code, out, _ = call("classify", exported("classifier"), "dark.png")
    shares = [int(word.rstrip("%,")) for word in out.split() if "%" in word]

    assert code == 0
    assert out.startswith("dark.png: class ")
    assert shares == sorted(shares, reverse=True)
    assert len(shares) == 3


def test_three_files_have_a_table_each(call, words):
    code, out, _ = call(*words("vae", "autoencoder", "mae"))

    assert code == 0
    assert [line.split()[1] for line in out.splitlines() if "score" in line] == [
        "vae.onnx",
        "autoencoder.onnx",
        "mae.onnx",
    ]


def test_scores_are_stamped_into_the_file_and_what_was_verified_still_holds(call, words, exported, tmp_path):
    for file in exported("labelled_vae").parent.glob("*.onnx"):
        shutil.copy(file, tmp_path)
    path = tmp_path / "labelled_vae.onnx"
    assert call("verify", path, "--stamp")[0] == 0
    command, _, *options = words("vae")
    code, out, _ = call(command, path, *options, "--stamp", "--json", "--set", "label=red")
    section = json.loads(load(path).card.text)["evaluation"]
    printed = {score["name"]: score for score in json.loads(out)[str(path)]}

    assert code == 0
    assert {name: score["value"] for name, score in section["scores"].items()} == {
        name: score["value"] for name, score in printed.items()
    }
    assert section["floor"]["recall"] == printed["recall"]["floor"]
    assert (section["data"], section["images"], section["inputs"]) == ("dots", 10, {"label": "red"})
    assert stamp_fits(path)
    assert call("card", path, "--out", tmp_path / "README.md")[0] == 0
    assert "recall" in (tmp_path / "README.md").read_text()
