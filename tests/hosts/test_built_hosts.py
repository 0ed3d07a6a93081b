"""The other languages' hosts on the conformance suite as it is now, where `make hosts` has built them."""

import os
import shutil
import subprocess

import pytest

from tests.golden.suite import FOLDER

HOSTS = {
    "cpp": ("ctest", "build/cpp/release/tests/test_golden"),
    "csharp": ("mono", "build/csharp/GenTests.exe"),
    "web": ("node", "runtime/web/node_modules/onnxruntime-node/package.json"),
}
"""The tool that runs each host's tests, and what is there once it is built."""


def command(host, folder):
    """The host's own tests of the suite."""
    return {
        "cpp": ["ctest", "--test-dir", "build/cpp/release", "-R", "^(answers|refusals)$", "--output-on-failure"],
        "csharp": ["mono", "build/csharp/GenTests.exe", FOLDER, folder, "build/csharp/GenSample.exe"],
        "web": ["node", "--test", "runtime/web/tests/golden.test.js"],
    }[host]


@pytest.mark.parametrize("host", HOSTS)
def test_the_host_gives_the_answers_and_refusals_of_the_suite(host, root, tmp_path):
    tool, built = HOSTS[host]
    if shutil.which(tool) is None:
        pytest.skip(f"needs {tool}, which is not here: make hosts-{host} says how to get it")
    if not (root / built).is_file():
        pytest.skip(f"needs {built}, which is not built: make hosts-{host}")
    sources = [path for ending in ("*.hpp", "*.cs") for path in (root / "runtime" / host).rglob(ending)]
    if any(path.stat().st_mtime > (root / built).stat().st_mtime for path in sources):
        pytest.skip(f"needs {built} of these sources, which are newer: make hosts-{host}")
    environment = {**os.environ, "LD_LIBRARY_PATH": str(root / "build" / "csharp" / "native")}
    result = subprocess.run(
        command(host, tmp_path), cwd=root, capture_output=True, text=True, check=False, env=environment
    )

    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
