"""Devices and broken files: never silently elsewhere, never a stack trace for a message."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from gen_runtime import DeviceError, FileError, GenRuntimeError, load
from gen_runtime import session as session_module

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


class FakeRuntime:
    """ONNX Runtime with CUDA built in; `works` says whether CUDA loads, `starts` whether it raises."""

    SessionOptions = SimpleNamespace

    def __init__(self, built=True, works=True, starts=True, printed=""):
        self.built, self.works, self.starts, self.printed = built, works, starts, printed

    def get_available_providers(self):
        return [CUDA, CPU] if self.built else [CPU]

    def preload_dlls(self):
        print(self.printed)

    def InferenceSession(self, path, options, providers, enable_fallback):  # noqa: N802
        assert enable_fallback == 0
        if CUDA in providers and not self.starts:
            raise RuntimeError("[ONNXRuntimeError] : 1 : FAIL : CUDA failure 100: no device\nstack\nstack")
        used = providers if self.works else [CPU]
        return SimpleNamespace(get_providers=lambda: used, options=options)


@pytest.fixture
def opened(monkeypatch, tiny):
    def open_with(device, **runtime):
        monkeypatch.setattr(session_module, "import_onnxruntime", lambda: FakeRuntime(**runtime))
        return session_module.open_session(tiny, device, None)

    return open_with


def test_auto_takes_cuda_where_it_loads(opened):
    session, device = opened("auto")

    assert device == "cuda"
    assert session.get_providers() == [CUDA, CPU]


@pytest.mark.parametrize("runtime", [{"built": False}, {"works": False}, {"starts": False}], ids=str)
def test_auto_takes_the_cpu_where_cuda_does_not_load(opened, runtime):
    session, device = opened("auto", **runtime)

    assert device == "cpu"
    assert session.get_providers() == [CPU]


@pytest.mark.parametrize(
    ("runtime", "message"),
    [
        ({"built": False}, "built without CUDA: uninstall onnxruntime and install 'gen-export\\[gpu\\]'"),
        ({"works": False}, "cannot load CUDA: check the NVIDIA driver with nvidia-smi"),
        ({"works": False, "printed": "no libcublas\nmore"}, "cannot load CUDA \\(no libcublas\\): check"),
        ({"starts": False}, "CUDA does not start: .*CUDA failure 100: no device$"),
    ],
)
def test_cuda_is_never_silently_the_cpu(opened, runtime, message, capsys):
    with pytest.raises(DeviceError, match=f"^device 'cuda': .*{message}") as error:
        opened("cuda", **runtime)

    assert "\n" not in str(error.value)
    assert capsys.readouterr().out == ""


def test_errors_alone_are_logged(opened):
    session, _ = opened("cpu")

    assert session.options.log_severity_level == 3


def test_optional_inputs_load_without_a_word(tiny, capfd):
    load(tiny, device="cpu")

    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"device": "gpu"}, "device: expected auto, cpu, cuda, found 'gpu'"),
        ({"threads": 0}, "threads: expected at least 1, found 0"),
    ],
)
def test_a_choice_that_is_none_is_refused(tiny, arguments, message):
    with pytest.raises(DeviceError, match=message):
        load(tiny, **arguments)


def test_this_build_says_on_which_device_it_runs(tiny):
    assert load(tiny, device="cpu").device == "cpu"


@pytest.mark.cuda
def test_cuda_draws_what_the_cpu_draws(tiny, model):
    """Integer arithmetic: the same bits."""
    if shutil.which("nvidia-smi") is None:
        pytest.skip("no NVIDIA driver here")

    on_gpu = load(tiny, device="cuda")

    assert on_gpu.device == "cuda"
    assert np.array_equal(on_gpu.sample(9, seed=4, batch=4), model.sample(9, seed=4))


@pytest.fixture
def broken(files, tiny, tmp_path):
    """The path of a file that is broken in the way named."""
    whole = tiny.read_bytes()

    def make(how):
        path = tmp_path / f"{how}.onnx"
        if how in ("empty", "truncated", "text", "latin"):
            content = {
                "empty": b"",
                "truncated": whole[: len(whole) // 2],
                "text": b"PK not a model",
                "latin": whole.replace(b"unet", b"un\xff\xff"),
            }
            path.write_bytes(content[how])
        elif how == "foreign":
            files.write(path, files.text("sample"), None)
        elif how == "newer":
            files.write(path, files.text("sample"), files.card("sample", version=2))
        elif how == "folder":
            path.mkdir()
        return path

    return make


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("absent", "no such file"),
        ("folder", "expected an .onnx file, found a folder"),
        ("empty", "ONNX Runtime cannot load it: "),
        ("truncated", "ONNX Runtime cannot load it: "),
        ("text", "ONNX Runtime cannot load it: Protobuf parsing failed"),
        ("latin", "its metadata is not UTF-8 text"),
        ("foreign", "without the metadata key 'gen_export': gen-export did not write it"),
        ("newer", "version 2, this package reads up to 1"),
    ],
)
def test_a_file_that_is_not_ours_is_refused_in_one_line(broken, how, message):
    with pytest.raises(FileError, match=rf"{how}\.onnx: .*{message}") as error:
        load(broken(how), device="cpu")

    assert isinstance(error.value, GenRuntimeError)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("field", "change", "message"),
    [
        ("inputs", {"name": "sead"}, "required inputs"),
        ("inputs", {"optional": True}, "required inputs"),
        ("inputs", {"dtype": "float32"}, "required inputs"),
        ("outputs", {"dtype": "float64"}, "outputs"),
    ],
)
def test_a_card_that_contradicts_its_graph_is_refused(files, tmp_path, field, change, message):
    document = files.card("sample")
    document[field][0] |= change
    path = files.write(tmp_path / "a.onnx", files.text("sample"), document)

    with pytest.raises(FileError, match=f"its card declares the {message}"):
        load(path, device="cpu")


@pytest.mark.parametrize(
    ("graph", "field", "shape", "complaint"),
    [
        ("decode", "inputs", ["batch", 700_000_000], r"z with the shape \[batch, 700000000\], its graph \[batch, 2\]"),
        ("decode", "inputs", ["batch", "width"], r"z with the shape \[batch, width\], its graph \[batch, 2\]"),
        ("decode", "inputs", [9, 2], r"z with the shape \[9, 2\], its graph \[batch, 2\]"),
        ("decode", "inputs", ["batch"], r"z with the shape \[batch\], its graph \[batch, 2\]"),
        ("sample", "inputs", [1], r"seed with the shape \[1\], its graph \[\]"),
        ("encode", "outputs", ["batch", 3], r"mu with the shape \[batch, 3\], its graph \[batch, 2\]"),
        ("encode", "outputs", ["batch", 2, 1], r"mu with the shape \[batch, 2, 1\], its graph \[batch, 2\]"),
    ],
)
def test_a_card_with_other_shapes_than_its_graph_is_refused(files, tmp_path, graph, field, shape, complaint):
    document = files.card(graph)
    document[field][0]["shape"] = shape
    path = files.write(tmp_path / "a.onnx", files.text(graph), document)

    with pytest.raises(FileError, match=rf"a\.onnx: its card declares {complaint}"):
        load(path, device="cpu")


@pytest.mark.parametrize("declared", ["float[batch, 2]", "float[rows, 2]", "float[a, b]"])
def test_a_graph_may_know_less_of_an_output_than_its_card(files, tmp_path, declared):
    source = files.text("encode").replace("float[batch, 2] logvar", f"{declared} logvar")
    path = files.write(tmp_path / "a.onnx", source, files.card("encode"))

    assert load(path, device="cpu").encode(np.zeros((3, 1, 4, 5), np.float32))["logvar"].shape == (3, 2)


def test_an_onnx_version_that_is_too_new_is_told_without_source_lines(files, tmp_path, tiny):
    path = files.write(tmp_path / "a.onnx", files.text("sample"), files.card("sample"))
    path.write_bytes(path.read_bytes().replace(b"\x08\x0a", b"\x08\x7f", 1))

    with pytest.raises(FileError, match="cannot load it: Unsupported model IR version: 127"):
        load(path, device="cpu")


def test_a_path_may_be_text(tiny):
    assert load(str(tiny), device="cpu").path == Path(tiny)
