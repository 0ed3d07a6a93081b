"""The command `report`: a trained run as one HTML page."""

import json

import pytest

from gen_export.cli.report import NAME

SHORT = ("--size", "tiny", "--steps", 6, "--batch-size", 4, "--save-every", 3, "--preview-every", 3, "--device", "cpu")


def test_a_trained_run_becomes_a_page(call, dots, tmp_path):
    pytest.importorskip("jinja2")
    code, _, err = call("train", "vae", "--data", dots, "--out", "run", *SHORT)
    assert code == 0, err
    code, out, err = call("report", "run")
    text = (tmp_path / "run" / NAME).read_text(encoding="utf-8")

    assert (code, err) == (0, "")
    assert out.startswith(f"run/{NAME}: ")
    assert f"gen-export train vae --data {dots} --out run" in text
    assert all(f"step {step}" in text for step in (3, 6))
    assert json.loads((tmp_path / "run" / "sessions.jsonl").read_text())["command"] in text
    assert str(dots).encode() not in (tmp_path / "run" / "vae.onnx").read_bytes()


def test_the_page_goes_where_it_is_told(call, exported, tmp_path):
    pytest.importorskip("jinja2")
    code, out, _ = call("report", exported("vae").parent, "--out", "pages/vae.html")

    assert (code, out.split(":")[0]) == (0, "pages/vae.html")
    assert (tmp_path / "pages" / "vae.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize("given", [True, False])
def test_held_out_images_come_from_where_the_user_says(call, exported, dots, tmp_path, given):
    """`dots` has 64 images, of which six are held out."""
    pytest.importorskip("jinja2")
    code, _, _ = call("report", exported("vqvae").parent, "--out", "page.html", *(("--data", dots) if given else ()))

    assert code == 0
    assert ("codes occur in 6 held-out images" in (tmp_path / "page.html").read_text()) == given


def test_a_folder_without_a_run_is_one_line(call, tmp_path):
    (tmp_path / "empty").mkdir()

    assert call("report", "empty")[0] == 2
    assert call("report", "nowhere") == (2, "", "gen-export: nowhere: expected the folder of a run, found none\n")


def test_without_jinja2_it_says_what_brings_it(run_python, exported):
    code = f"""
import sys
sys.modules.update(jinja2=None)
sys.argv = ["gen-export", "report", {str(exported("vae").parent)!r}]
from gen_export.cli import main
main()
"""
    result = run_python("-c", code)

    assert result.returncode == 2
    assert result.stderr == "gen-export: jinja2 is not installed: pip install 'gen-export[cpu,report]'\n"
