"""The command `web`, called as a user calls it."""

import signal
import subprocess
import sys
import urllib.request

import pytest

from tests.cli.conftest import call

__all__ = ["call"]


def test_it_writes_a_folder_and_says_what_threads_need(call, models, runtime, tmp_path):
    code, out, err = call("web", models, "--static", tmp_path / "out", "--onnxruntime-web", runtime)

    assert (code, err) == (0, "")
    assert "Cross-Origin-Opener-Policy: same-origin, Cross-Origin-Embedder-Policy: require-corp" in out
    assert (tmp_path / "out" / "models" / "tiny space" / "gaussian.onnx").is_file()


def test_files_that_are_left_out_are_told_on_standard_error(call, models, runtime, tmp_path):
    (models / "broken.onnx").write_text("no model")
    code, _, err = call("web", models, "--static", tmp_path / "out", "--onnxruntime-web", runtime)

    assert code == 0
    assert err.startswith(f"left out: {models / 'broken.onnx'}: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("nowhere",), "nowhere: expected a folder with exported .onnx files, found none"),
        ((".", "--onnxruntime-web", "nowhere"), "--onnxruntime-web: expected a folder with"),
    ],
)
def test_what_cannot_be_is_one_line(call, runtime, words, line):
    options = () if "--onnxruntime-web" in words else ("--onnxruntime-web", runtime)
    code, out, err = call("web", *words, *options)

    assert (code, out) == (2, "")
    assert err.startswith(f"gen-export: {line}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "shell", [(), ("sh", "-c", 'trap "" INT; exec "$@"', "sh")], ids=["at hand", "in the background"]
)
def test_it_serves_until_it_is_interrupted_and_ends_quietly(models, runtime, root, shell):
    command = [*shell, sys.executable, "cli.py", "web", models, "--port", "0", "--onnxruntime-web", runtime]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            address = process.stdout.readline().split()[0]
            with urllib.request.urlopen(f"{address}models.json", timeout=10) as response:
                assert b"vae" in response.read()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=10)
        finally:
            process.kill()

    assert (process.returncode, out, err) == (0, "", "")
