"""The example for Ray, run as a user runs it: a cluster of this machine with two workers."""

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gen_export.shards.sample import sample_shards
from gen_runtime import load

SEED, COUNT, SIZE, INPUTS = 7, 1200, 300, {"steps": 20}

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="needs Ray: pip install -c constraints.txt -e '.[ray]'"
)


@pytest.fixture(scope="module")
def file(root):
    return root / "models_onnx" / "golden" / "diffusion.onnx"


@pytest.fixture(scope="module")
def whole(file, tmp_path_factory):
    """What one run of this process writes, by file name."""
    folder = tmp_path_factory.mktemp("whole")
    sample_shards(load(file, device="cpu", threads=1), folder, SEED, 0, COUNT, SIZE, **INPUTS)
    return contents(folder)


@pytest.fixture
def start(root, file, tmp_path):
    """Starts the script; Ray keeps what it writes for a user in a home of its own."""
    started = []

    def run(count):
        options = ["--seed", SEED, "--count", count, "--shard-size", SIZE, "--workers", 2, "--set", "steps=20"]
        command = [sys.executable, root / "examples" / "ray_sample.py", file, "--shards", tmp_path / "out", *options]
        started.append(
            subprocess.Popen(
                list(map(str, command)),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=os.environ | {"HOME": str(tmp_path), "RAY_USAGE_STATS_ENABLED": "0"},
            )
        )
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def writer_of(draft):
    """The process that has a file open; None where none has."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if link.readlink() == draft:
                return int(link.parts[2])
        except OSError:  # it ended, or is not ours
            continue
    return None


def kill_a_worker(folder, process):
    """Kills the first process that is seen in the middle of a shard."""
    while process.poll() is None:
        for draft in folder.glob("*.tar.*.draft"):
            if pid := writer_of(draft):
                os.kill(pid, 9)
                return draft
        time.sleep(0.01)
    return None


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc, which tells who writes a file")
def test_a_run_that_loses_a_worker_in_the_middle_of_a_shard_equals_one_run_byte_for_byte(start, whole, tmp_path):
    process = start(COUNT)
    draft = kill_a_worker(tmp_path / "out", process)
    out, err = process.communicate(timeout=100)

    assert draft is not None, err
    assert process.returncode == 0, err
    assert contents(tmp_path / "out") == whole
    assert out.endswith(f"4 shards, 4 of them new: {tmp_path / 'out'}\n")


def test_a_count_of_no_whole_shards_is_refused_in_one_line(start, tmp_path):
    process = start(COUNT - 1)
    _, err = process.communicate(timeout=100)

    assert process.returncode == 1
    assert err.endswith(f"ray_sample: sample: count: expected a multiple of the shard size {SIZE}, found {COUNT - 1}\n")
    assert not (tmp_path / "out").exists()


def test_an_error_of_the_tasks_is_told_once(start, tmp_path):
    (tmp_path / "out").write_text("mine")
    process = start(COUNT)
    _, err = process.communicate(timeout=100)

    assert process.returncode == 1
    assert err.endswith(f"\nray_sample: {tmp_path}/out: expected a folder, found a file\n")
    assert err.count("expected a folder") == 1
