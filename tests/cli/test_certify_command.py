"""The command `certify` of diffusion files: what it prints and draws, how it exits, and what it refuses."""

import builtins
import json
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from PIL import Image

from gen_export.spec.solver_constants import STEP_CONSTANTS
from gen_export.verify import certificate


@pytest.fixture(scope="module")
def residual(exported):
    """The main file of the tiny residual model."""
    return exported("diffusion", net="residual")


@pytest.fixture(scope="module")
def monotone(exported):
    """The main file of the tiny monotone model."""
    return exported("diffusion", net="monotone")


def test_a_file_is_certified_with_its_layers_steps_and_products(call, residual):
    code, out, err = call("certify", residual, "--steps", 3, "--pairs", 6)

    assert (code, err) == (0, "")
    assert "family.net.stem.weight" in out
    assert "|denoise(x, t) - denoise(y, t)| <= " in out
    assert "worst ratio of 6 pairs" in " ".join(out.split())
    for solver in ("ddim", "ddpm", "euler", "heun"):
        assert f"{solver}: 0 of 3 steps are certified below 1; the run's constant is at most 10^" in out
    assert "ddim_spec: 0 of 3 steps are certified below 1; its own run takes all states (--steps)" in out
    assert "violated" not in out


def test_steps_that_contract_are_marked(call, monotone):
    _, out, _ = call("certify", monotone, "--steps", 6, "--pairs", 1)
    _, document, _ = call("certify", monotone, "--steps", 6, "--pairs", 1, "--json")
    steps = json.loads(document)["steps"]
    below = sum(value < 1 for step in steps for name, value in step["constants"].items() if name != "ddim_image")

    assert below > 3
    assert out.count("* ") - out.count("(* ") == below


def test_json_has_all_of_it_in_one_object(call, residual):
    code, out, err = call("certify", residual, "--steps", 3, "--pairs", 5, "--json")
    document = json.loads(out)

    assert (code, err) == (0, "")
    assert document["file"] == str(residual)
    assert [(step["t"], step["s"]) for step in document["steps"]] == [(60, 40), (40, 20), (20, 0)]
    assert all(step["ratios"][name] <= step["constants"][name] for step in document["steps"] for name in STEP_CONSTANTS)
    assert document["slope"] <= document["network"]["value"]
    assert {layer["kind"] for layer in document["network"]["layers"]} == {"Conv"}
    assert set(document["log10"]) == {"ddim", "ddpm", "euler", "heun"}
    assert (document["pairs"], document["violations"]) == (6, [])


def test_a_bound_shown_is_rounded_up(call, residual):
    _, out, _ = call("certify", residual, "--steps", 2, "--pairs", 1)
    _, document, _ = call("certify", residual, "--steps", 2, "--pairs", 1, "--json")
    shown = float(out.partition("denoise(y, t)| <= ")[2].split()[0])

    assert 1 <= shown / json.loads(document)["network"]["value"] < 1 + 1e-4


def test_a_step_beyond_its_bound_exits_with_one_and_is_told(call, residual, monkeypatch):
    wrong = {**STEP_CONSTANTS, "ddim": lambda t, *_: 0.01 * t}
    monkeypatch.setattr(certificate, "STEP_CONSTANTS", wrong)
    code, out, err = call("certify", residual, "--steps", 2, "--pairs", 3)

    assert (code, err) == (1, "")
    assert "violated: step 60 -> 30 of ddim: ratio " in out
    assert "violated: step 30 -> 0 of ddim: ratio " in out
    assert "of euler: ratio" not in out


def test_a_denoiser_beyond_its_bound_exits_with_one_in_json_too(call, residual, monkeypatch):
    real = certificate.bound
    low = {"value": 0.01, "slopes": (-0.01, 0.01)}
    monkeypatch.setattr(certificate, "bound", lambda *given, **named: replace(real(*given, **named), **low))
    code, out, _ = call("certify", residual, "--steps", 2, "--pairs", 1, "--json")

    assert code == 1
    assert json.loads(out)["violations"][0].startswith("denoise: slope ")


def test_a_picture_is_drawn_as_a_png(call, monotone, tmp_path):
    code, out, err = call("certify", monotone, "--steps", 4, "--pairs", 1, "--plot", "steps.png")

    assert (code, err) == (0, "")
    assert "steps.png: constants, ratios and slopes of 4 steps" in out
    with Image.open(tmp_path / "steps.png") as picture:
        picture.load()
        assert picture.format == "PNG"
        assert picture.width > picture.height > 300
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 3
    assert [path.name for path in tmp_path.iterdir()] == ["steps.png"]


def test_a_picture_is_drawn_as_an_svg_that_names_each_solver_and_json_stays_alone(call, residual, tmp_path):
    code, out, err = call("certify", residual, "--steps", 3, "--pairs", 1, "--json", "--plot", "steps.SVG")
    drawn = (tmp_path / "steps.SVG").read_text(encoding="utf-8")

    assert code == 0
    assert json.loads(out)["pairs"] == 1
    assert err == "steps.SVG: constants, ratios and slopes of 3 steps\n"
    assert ET.fromstring(drawn).tag == "{http://www.w3.org/2000/svg}svg"
    for words in ("certified constant", "worst ratio of 1 pairs", "state t", *STEP_CONSTANTS):
        assert (f"<!-- {words} -->" in drawn) == (words != "ddim_image")


@pytest.mark.parametrize(
    ("plot", "complaint"),
    [
        ("steps.pdf", "expected a file that ends in .png or .svg, found steps.pdf"),
        ("steps", "expected a file that ends in .png or .svg, found steps"),
        ("none/steps.png", "expected a folder none, found none"),
    ],
)
def test_a_picture_that_cannot_be_drawn_is_refused_before_any_work(call, residual, monkeypatch, plot, complaint):
    monkeypatch.setattr(certificate, "bound", None)

    assert call("certify", residual, "--plot", plot) == (2, "", f"gen-export: --plot: {complaint}\n")


def test_without_matplotlib_a_picture_is_refused_and_how_to_install_it_told(call, residual, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **named):
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setattr(certificate, "bound", None)
    code, out, err = call("certify", residual, "--plot", "steps.png")

    assert (code, out) == (2, "")
    assert err == "gen-export: --plot: expected matplotlib, found none: pip install 'gen-export[plot]'\n"


def test_a_u_net_is_one_line_that_says_why_it_has_no_certificate(call, exported):
    code, out, err = call("certify", exported("diffusion"))

    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "no certificate: InstanceNormalization" in err


@pytest.mark.parametrize("part", ["denoise", "step"])
def test_a_part_alone_is_refused(call, residual, part):
    code, out, err = call("certify", residual.with_name(f"diffusion.{part}.onnx"))

    assert (code, out) == (2, "")
    assert err.endswith(f"expected a main file with the parts denoise and step, found {part}\n")


@pytest.mark.parametrize("option", ["radius", "seed", "points"])
def test_an_option_of_decoders_is_refused(call, residual, option):
    code, out, err = call("certify", residual, f"--{option}", 1)

    assert (code, out) == (2, "")
    assert err == f"gen-export: --{option}: expected no such option for the family diffusion, found it given\n"


def test_a_missing_file_and_too_many_steps_are_one_line(call, residual, tmp_path):
    assert call("certify", tmp_path / "no.onnx")[::2] == (
        2,
        f"gen-export: {tmp_path / 'no.onnx'}: cannot be read: No such file or directory\n",
    )
    assert call("certify", residual, "--steps", 61)[::2] == (2, "gen-export: steps: expected 1 to 60, found 61\n")


def test_inspect_shows_the_certificate_of_a_card(call, monotone, exported):
    _, out, _ = call("inspect", monotone)
    _, refused, _ = call("inspect", exported("diffusion"))

    assert "certificate" in out
    assert "lipschitz" in out
    assert "InstanceNormalization" in refused
