"""The command `certify`: what it prints, how it exits, and what it refuses."""

import json
from dataclasses import replace

import pytest

from gen_export.verify import certificate
from tests import tiny


@pytest.fixture(scope="module")
def residual(tmp_path_factory):
    """The main file of the tiny residual model."""
    from gen_export.export.writer import export_family

    folder = tmp_path_factory.mktemp("residual")
    return export_family(tiny.build_family("diffusion", net="residual"), folder, "ours", tiny.about_dots())[0]


def test_a_file_is_certified_with_its_layers_steps_and_products(call, residual):
    code, out, err = call("certify", residual, "--steps", 3, "--pairs", 4)

    assert (code, err) == (0, "")
    assert "family.net.stem.weight" in out
    assert "|denoise(x, t) - denoise(y, t)| <= " in out
    assert "worst ratio of 4 pairs" in out
    assert "ddim, clipped: the run's factor is at most 10^" in out
    assert "violated" not in out


def test_json_has_all_of_it_in_one_object(call, residual):
    code, out, _ = call("certify", residual, "--steps", 3, "--json")
    document = json.loads(out)

    assert code == 0
    assert document["file"] == str(residual)
    assert [(step["t"], step["s"]) for step in document["steps"]] == [(60, 40), (40, 20), (20, 0)]
    assert all(step["reached"] <= step["clipped"] for step in document["steps"])
    assert document["steps"][0]["contracts"] == {"clipped": False, "unclipped": False, "euler": False}
    assert document["slope"] <= document["network"]["value"]
    assert {layer["kind"] for layer in document["network"]["layers"]} == {"Conv"}
    assert set(document["log10"]) == {"clipped", "unclipped", "euler"}
    assert (document["pairs"], document["violations"]) == (64, [])


def test_a_bound_shown_is_rounded_up(call, residual):
    _, out, _ = call("certify", residual, "--steps", 2, "--pairs", 1)
    _, document, _ = call("certify", residual, "--steps", 2, "--pairs", 1, "--json")
    shown = float(out.partition("denoise(y, t)| <= ")[2].split()[0])

    assert 1 <= shown / json.loads(document)["network"]["value"] < 1 + 1e-4


def test_a_step_beyond_its_bound_exits_with_one_and_is_told(call, residual, monkeypatch):
    monkeypatch.setattr(certificate, "image_ddim_lipschitz", lambda abar_t, *_: 0.01 * abar_t)
    code, out, err = call("certify", residual, "--steps", 2)

    assert (code, err) == (1, "")
    assert "violated: step 60 -> 30: ratio " in out
    assert "violated: step 30 -> 0: ratio " in out


def test_a_denoiser_beyond_its_bound_exits_with_one_in_json_too(call, residual, monkeypatch):
    real = certificate.bound
    monkeypatch.setattr(certificate, "bound", lambda *given: replace(real(*given), value=0.01))
    code, out, _ = call("certify", residual, "--steps", 2, "--json")

    assert code == 1
    assert json.loads(out)["violations"][0].startswith("denoise: slope ")


def test_a_u_net_is_one_line_that_says_why_it_has_no_certificate(call, exported):
    code, out, err = call("certify", exported("diffusion"))

    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "no certificate: InstanceNormalization" in err


@pytest.mark.parametrize("part", ["denoise", "step"])
def test_a_part_alone_is_refused(call, residual, part):
    code, out, err = call("certify", residual.with_name(f"ours.{part}.onnx"))

    assert (code, out) == (2, "")
    assert err.endswith(f"expected a main file with the parts denoise and step, found {part}\n")


def test_another_family_is_refused(call, exported):
    code, out, err = call("certify", exported("vae"))

    assert (code, out) == (2, "")
    assert err.endswith("vae.onnx: expected a diffusion model, found the family vae\n")


def test_a_missing_file_and_too_many_steps_are_one_line(call, residual, tmp_path):
    assert call("certify", tmp_path / "no.onnx")[::2] == (
        2,
        f"gen-export: {tmp_path / 'no.onnx'}: cannot be read: No such file or directory\n",
    )
    assert call("certify", residual, "--steps", 61)[::2] == (2, "gen-export: steps: expected 1 to 60, found 61\n")
