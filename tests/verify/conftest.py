"""Two tiny models with certificates; a small file with a Loop, an If in it and named values, and what it computes."""

import json

import numpy as np
import onnx
import pytest
from onnx import parser

from gen_export.verify.files import Files

WALK = """
<ir_version: 10, opset_import: ["": 18], producer_name: "hand", producer_version: "1">
walk (float[batch, 3] x, float gain) => (float[batch, 3] y, float[batch, 3] h)
<float gain = {0.5}, int64 steps = {2}, bool go = {1}, float[3] shift = {1.0, -2.0, 3.0}>
{
    h = Add(x, shift)
    w = Mul(h, gain)
    y = Loop(steps, go, w) <body = step (int64 i, bool c, float[batch, 3] v) => (bool c_out, float[batch, 3] u)
        <float zero = {0.0}> {
            c_out = Identity(c)
            moved = Add(v, h)
            total = ReduceSum<keepdims = 0>(moved)
            positive = Greater(total, zero)
            u = If(positive) <
                then_branch = down () => (float[batch, 3] d) <float half = {0.5}> { d = Mul(moved, half) },
                else_branch = up () => (float[batch, 3] e) <float two = {2.0}> { e = Mul(moved, two) }
            >
        }
    >
}
"""


def port(name, shape=("batch", 3), **rest):
    return {"name": name, "dtype": "float32", "shape": list(shape), **rest}


@pytest.fixture(scope="module")
def residual(exported):
    """The tiny residual model's files."""
    return Files(exported("diffusion", net="residual"))


@pytest.fixture(scope="module")
def monotone(exported):
    """The tiny monotone model's files."""
    return Files(exported("diffusion", net="monotone"))


@pytest.fixture(scope="session")
def document():
    """The card of the file."""
    return {
        "version": 1,
        "family": "vae",
        "graph": "walk",
        "summary": "",
        "image": {"height": 1, "width": 3, "channels": 1},
        "inputs": [port("x"), port("gain", (), default=0.5, optional=True)],
        "outputs": [port("y"), port("h")],
        "inner": [port("h"), port("w"), port("gone")],
    }


@pytest.fixture(scope="session")
def walk_bytes(document):
    """The file's bytes."""
    model = parser.parse_model(WALK)
    onnx.helper.set_model_props(model, {"author": "me", "gen_export": json.dumps(document)})
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


@pytest.fixture
def walk_model(walk_bytes):
    """The file as the package onnx reads it."""
    return onnx.load_from_string(walk_bytes)


@pytest.fixture
def walk_path(walk_bytes, tmp_path):
    """A file of its own for each test."""
    path = tmp_path / "walk.onnx"
    path.write_bytes(walk_bytes)
    return path


@pytest.fixture(scope="session")
def walk():
    """What the file computes, by NumPy: y from x, with other values in place of h or w where they are given."""

    def compute(x, gain=0.5, h=None, w=None):
        h = x + np.array([1, -2, 3], np.float32) if h is None else h
        v = h * np.float32(gain) if w is None else w
        for _ in range(2):
            moved = v + h
            v = moved * np.float32(0.5 if moved.sum() > 0 else 2)
        return {"y": v, "h": h, "w": h * np.float32(gain)}

    return compute
