"""A probe's answers against NumPy: outputs, values on the way, and other values in their place."""

import json
import subprocess
import sys

import numpy as np
import pytest

from gen_export.verify import probe as probe_module
from gen_export.verify.onnx_file import OnnxFile
from gen_export.verify.probe import Probe
from gen_runtime import FileError, PortError


@pytest.fixture
def probe(walk_path):
    return Probe(walk_path)


@pytest.fixture
def x():
    return np.random.default_rng(3).standard_normal((5, 3)).astype(np.float32)


def require_equal(found, expected):
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


def test_a_file_that_is_only_run_is_the_runtimes_own_graph(probe, walk, x, monkeypatch):
    monkeypatch.setattr(probe_module, "open_bytes", None)
    expected = walk(x, gain=2)

    require_equal(probe.run({"x": x, "gain": 2}), {name: expected[name] for name in ("y", "h")})
    require_equal(probe.run({"x": x, "gain": 2}), probe.graph.run({"x": x, "gain": 2}))


def test_values_on_the_way_come_with_the_outputs(probe, walk, x):
    require_equal(probe.run({"x": x}, inner=["w"]), walk(x))
    require_equal(probe.run({"x": x}, inner=("h", "w")), walk(x))


@pytest.mark.parametrize("names", ["w", "h", "hw"])
def test_the_rest_of_the_file_goes_on_with_what_is_put_in(probe, walk, x, names):
    put = {name: np.random.default_rng(9).standard_normal((5, 3)).astype(np.float32) for name in names}

    found = probe.run({"x": x}, put=put)

    outputs = ["y", "h"] if names == "w" else ["y"]
    require_equal(found, {name: walk(x, **put)[name] for name in outputs})


def test_one_value_is_put_in_and_another_read(probe, walk, x):
    h = 2 * x
    expected = walk(x, h=h)

    require_equal(probe.run({"x": x}, inner=["w"], put={"h": h}), {"y": expected["y"], "w": expected["w"]})


def test_a_value_that_is_put_in_and_read_comes_back(probe, x):
    np.testing.assert_array_equal(probe.run({"x": x}, inner=["h"], put={"h": 2 * x})["h"], 2 * x)


def test_putting_in_what_the_file_computes_changes_nothing(probe, x):
    computed = probe.run({"x": x}, inner=["h", "w"])

    found = probe.run({"x": x}, inner=["w"], put={"h": computed["h"]})

    require_equal(found, {name: computed[name] for name in ("y", "w")})


def test_each_set_of_values_is_opened_once(probe, x, monkeypatch):
    opened = []
    open_bytes = probe_module.open_bytes
    monkeypatch.setattr(probe_module, "open_bytes", lambda *a: opened.append(a) or open_bytes(*a))

    for _ in range(2):
        probe.run({"x": x}, inner=["w", "h"])
        probe.run({"x": x}, inner=["h", "w", "h"])
        probe.run({"x": x}, put={"h": x})
        probe.run({"x": -x}, put={"h": -x})

    assert len(opened) == 2


@pytest.mark.parametrize("use", [{"inner": ["k"]}, {"put": {"k": 1.0}}], ids=["read", "put"])
def test_a_value_that_the_card_does_not_declare_is_refused(probe, x, use):
    with pytest.raises(FileError, match=r"walk\.onnx: expected an inner value 'k', found h, w, gone"):
        probe.run({"x": x}, **use)


@pytest.mark.parametrize("use", [{"inner": ["gone"]}, {"put": {"gone": 1.0}}], ids=["read", "put"])
def test_a_value_that_is_declared_and_not_there_is_refused(probe, x, use):
    with pytest.raises(FileError, match="expected its main graph to compute 'gone', found no such value"):
        probe.run({"x": x}, **use)


def test_a_value_of_another_type_than_declared_is_refused(walk_path, document, x):
    wrong = {**document, "inner": [{"name": "w", "dtype": "int64", "shape": ["batch", 3]}]}
    walk_path.write_bytes(OnnxFile.read(walk_path).with_metadata("gen_export", json.dumps(wrong)).data)

    with pytest.raises(FileError, match=r"walk\.onnx: ONNX Runtime cannot load it: .*type"):
        Probe(walk_path).run({"x": x}, inner=["w"])


def test_a_value_of_another_shape_than_declared_is_refused(probe, x):
    with pytest.raises(PortError, match=r"walk: h: expected shape \[batch=5, 3\], found \[4, 3\]"):
        probe.run({"x": x}, put={"h": x[:4]})
    with pytest.raises(PortError, match="walk needs h"):
        probe._spliced(frozenset(), frozenset("h")).check({"x": x})


def test_what_is_read_and_what_is_run_are_the_same_bytes(walk_path, x, monkeypatch):
    """The file changes between the two: it is read once, and what was read is run."""
    whole, read = walk_path.read_bytes(), OnnxFile.read.__func__

    def read_and_change(cls, path):
        file = read(cls, path)
        path.write_bytes(b"changed")
        return file

    monkeypatch.setattr(OnnxFile, "read", classmethod(read_and_change))
    probe = Probe(walk_path)

    assert probe.file.data == whole
    assert list(probe.run({"x": x})) == ["y", "h"]


def test_a_file_of_strangers_is_refused(walk_path):
    walk_path.write_bytes(b"no model")

    with pytest.raises(FileError, match=r"walk\.onnx: ONNX Runtime cannot load it: "):
        Probe(walk_path)


@pytest.mark.parametrize("family", ["vae", "diffusion"])
def test_an_exported_objective_goes_on_from_each_of_its_own_inner_values(exported, family):
    probe = Probe(exported(family).with_name(f"{family}.objective.onnx"))
    rng = np.random.default_rng(0)
    shapes = {
        port.name: [2 if isinstance(axis, str) else axis for axis in port.shape] for port in probe.graph.card.inputs
    }
    inputs = {
        port.name: rng.uniform(0, 1, shapes[port.name]).astype(port.dtype) + np.array(port.minimum == 1, port.dtype)
        for port in probe.graph.card.inputs
    }
    names = [port.name for port in probe.graph.card.inner]
    whole = probe.run(inputs, inner=names)

    assert names
    for name in names:
        for output, value in probe.run(inputs, put={name: whole[name]}).items():
            # A cut keeps ONNX Runtime from fusing across it: float32 sums in another order.
            np.testing.assert_allclose(value, whole[output], rtol=1e-5)


QUIET = """
import sys
sys.modules.update(dict.fromkeys(("torch", "onnx", "onnx_ir", "onnxscript")))
import numpy as np
from pathlib import Path
from gen_export.verify.files import Files
from gen_export.verify.probe import Probe
from gen_export.verify.stamp import hashes, stamp_fits
path, x = Path(sys.argv[1]), np.ones((1, 3), np.float32)
assert Probe(path).run({"x": x}, inner=["w"], put={"h": x})["w"].tolist() == [[0.5, 0.5, 0.5]]
assert stamp_fits(path) is None and list(hashes(Files(path))) == ["walk"]
"""


def test_it_needs_neither_torch_nor_onnx_and_prints_no_warning(walk_path):
    command = [sys.executable, "-W", "error", "-c", QUIET, str(walk_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
