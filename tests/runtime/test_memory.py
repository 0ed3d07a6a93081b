"""Memory of a process that calls one model, or loads models, again and again."""

import subprocess
import sys

import pytest

from tests.golden.suite import FOLDER

PROGRAM = """
import sys
from pathlib import Path

import numpy as np
import gen_runtime

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

def call():
    model.sample(2, 7)
    model.encode(image)

def load():
    gen_runtime.load(path, "cpu", 1).sample(2, 7)

path, what, count = sys.argv[1:]
turn = {"call": call, "load": load}[what]
model = gen_runtime.load(path, "cpu", 1)
image = np.zeros((8, *model.graph("encode").card.inputs[0].shape[1:]), np.float32)
for half in range(2):  # in the first, arenas and caches grow to what a turn needs
    before = resident()
    for _ in range(int(count)):
        turn()
print(resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the resident memory of a process from /proc")
@pytest.mark.parametrize(("what", "count", "allowed"), [("call", 1000, 512), ("load", 100, 20_000)])
def test_memory_stays_flat(what, count, allowed):
    """At most `allowed` bytes a turn: less than the images of a call, and than the weights of a loaded model."""
    command = [sys.executable, "-c", PROGRAM, FOLDER / "vae.onnx", what, str(count)]
    grown = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert grown <= count * allowed
