"""The command `certify` on a decoder: what it prints, how it exits, and what it refuses."""

import json

import pytest

from gen_export.verify import decoder


@pytest.mark.parametrize(("family", "graph"), [("vae", "decode"), ("gan", "generate"), ("autoencoder", "decode")])
def test_a_decoder_is_certified_in_five_lines(call, exported, family, graph):
    code, out, err = call("certify", exported(family), "--radius", 1e-5, "--seed", 2, "--points", 8)
    lines = out.splitlines()

    assert (code, err, len(lines)) == (0, "", 5)
    assert lines[0].endswith(f": {graph}, each of 6 numbers within 1e-05 of the latent of seed 2")
    assert lines[1].startswith("certified intervals of pixels: ")
    assert lines[2].startswith(
        "certified to move by less than a grey level: 100 % of pixels; all are within a radius of "
    )
    assert lines[3].startswith("no Lipschitz certificate: InstanceNormalization ")
    assert lines[4].startswith("reached by 8 latents of the box: a pixel moves by ")


def test_json_has_all_of_it(call, exported):
    code, out, _ = call("certify", exported("vae"), "--json", "--points", 8)
    found = json.loads(out)

    assert code == 0
    assert found["file"] == str(exported("vae"))
    assert (found["graph"], found["seed"], found["radius"], found["points"]) == ("decode", 0, 1e-5, 8)
    assert found["reached"] <= found["max_width"]
    assert found["violations"] == []


def test_what_is_shown_is_still_proven(call, exported):
    _, out, _ = call("certify", exported("vae"), "--points", 1)
    _, text, _ = call("certify", exported("vae"), "--points", 1, "--json")
    found, words = json.loads(text), out.split()

    assert float(words[words.index("pixels:") + 1]) >= found["mean_width"]
    assert float(words[words.index("radius") + 2]) <= found["largest"]


def test_a_file_beyond_its_intervals_exits_with_one_and_is_told(call, exported, monkeypatch):
    monkeypatch.setattr(decoder, "_tried", lambda *_: (1.0, 0.25))
    code, out, err = call("certify", exported("gan"))

    assert (code, err) == (1, "")
    assert "violated: generate: a pixel 0.25 outside its interval, at most 1e-05" in out


def test_options_of_the_other_families_are_refused(call, exported):
    for family, option in (
        ("vae", "--steps"),
        ("gan", "--pairs"),
        ("diffusion", "--radius"),
        ("diffusion", "--points"),
    ):
        code, out, err = call("certify", exported(family), option, 3)
        assert (code, out) == (2, "")
        assert err == f"gen-export: {option}: expected no such option for the family {family}, found it given\n"
