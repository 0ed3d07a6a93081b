"""The command line as a whole: help, errors in one line, exit codes."""

import re

import pytest
import typer

import gen_export
from gen_export import cli
from gen_export.errors import DataError, ExportError, RunStoppedError
from gen_export.models import FAMILIES
from gen_runtime import PortError

COMMANDS = [
    ("export",),
    ("sample",),
    ("encode",),
    ("decode",),
    ("reconstruct",),
    ("finetune",),
    ("inspect",),
    ("card",),
    ("verify",),
    ("certify",),
    ("classify",),
    ("eval",),
    ("report",),
    ("web",),
    ("data", "list"),
    ("data", "prepare"),
    ("data", "preview"),
    ("data", "shards"),
    ("train",),
    *(("train", name) for name in FAMILIES),
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_help_of_every_command_has_an_example_of_it(call, words):
    code, out, _ = call(*words, "--help")

    assert code == 0
    assert re.search(rf"Example:\s+gen-export {' '.join(words)}\b", out)


def test_the_help_names_every_command(call):
    code, out, _ = call("--help")

    assert code == 0
    assert all(re.search(rf"^\W*{words[0]}\s", out, re.MULTILINE) for words in COMMANDS)


def test_the_examples_of_every_registered_command_are_known_here():
    """A new command must be listed above, so that its help is tested."""
    command = typer.main.get_command(cli.app)
    found = set()
    for name, child in command.commands.items():
        found |= {(name, inner) for inner in getattr(child, "commands", {})} or {(name,)}

    assert found | {("train",), *(("train", name) for name in FAMILIES)} == set(COMMANDS)


def test_the_version_is_the_packages(call):
    assert call("--version") == (0, f"gen-export {gen_export.__version__}\n", "")


def test_the_script_in_the_checkout_does_the_same(run_python):
    result = run_python("-W", "error", "cli.py", "--version")

    assert (result.returncode, result.stdout) == (0, f"gen-export {gen_export.__version__}\n")


def failing(monkeypatch, error):
    """Makes every command end in an error."""

    def app():
        raise error

    monkeypatch.setattr(cli, "app", app)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DataError("photos: gone"), 2),
        (ExportError("decode: wrong"), 2),
        (PortError("steps: expected at most 50"), 2),
        (FileNotFoundError(2, "No such file or directory", "x.onnx"), 2),
        (RunStoppedError("runs/vae: stopped"), 130),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_a_user_can_mend_is_one_line_and_an_exit_code(call, monkeypatch, error, code):
    failing(monkeypatch, error)

    assert call() == (code, "", f"gen-export: {error}\n")


def test_an_error_of_several_lines_is_told_in_one(call, monkeypatch):
    failing(monkeypatch, DataError("a\n  b\tc"))

    assert call() == (2, "", "gen-export: a b c\n")


@pytest.mark.parametrize("error", [ZeroDivisionError("ours"), ModuleNotFoundError("no", name="gen_export.nothing")])
def test_an_error_of_ours_keeps_its_trace(call, monkeypatch, error):
    failing(monkeypatch, error)

    with pytest.raises(type(error)):
        call()


def test_an_error_has_no_trace_unless_debug_asks_for_it(run_python, tmp_path):
    missing = tmp_path / "missing.onnx"
    plain = run_python("cli.py", "sample", missing)
    debug = run_python("cli.py", "--debug", "sample", missing)

    assert (plain.returncode, plain.stdout) == (2, "")
    assert plain.stderr == f"gen-export: {missing}: no such file\n"
    assert debug.returncode != 0
    assert "Traceback" in debug.stderr
    assert f"{missing}: no such file" in debug.stderr


@pytest.mark.parametrize("words", [("train", "vae"), ("train", "vae", "--help"), ("export", "runs/vae")], ids=" ".join)
def test_a_missing_torch_is_told_with_the_extra_that_brings_it(run_python, words):
    code = f"""
import sys
sys.modules.update(torch=None)
sys.argv = ["gen-export", *{words!r}]
from gen_export.cli import main
main()
"""
    result = run_python("-c", code)

    assert result.returncode == 2
    assert result.stderr == "gen-export: torch is not installed: pip install 'gen-export[cpu,train]'\n"


@pytest.mark.parametrize(
    ("words", "told"), [(("smaple",), "smaple"), (("train", "flow"), "flow"), (("sample",), "FILE")]
)
def test_a_misspelt_command_line_names_what_is_wrong(call, words, told):
    code, _, err = call(*words)

    assert code == 2
    assert told in err
