"""The command line, called as a user calls it."""

import sys

import pytest

from gen_export import cli


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Runs `main` with these words in an empty folder; returns the exit code, the output and the error output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["gen-export", *map(str, words)])
        monkeypatch.setattr(cli, "_debug", False)
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return run
