"""The commands that run files, on small files whose every output is known."""

import importlib.util
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from gen_export.cli import inspect as inspect_module
from gen_export.cli import run as run_module
from gen_export.cli import sample as sample_module
from gen_export.cli.progress import progress_bar
from gen_export.errors import DataError
from gen_export.verify.files import Files
from gen_export.verify.stamp import hashes, stamp
from gen_runtime import DeviceError, FileError, GraphError, Port, PortError, load


def load_files():
    """The module of small exported files that the runtime's tests use."""
    path = Path(__file__).parents[1] / "runtime" / "files.py"
    spec = importlib.util.spec_from_file_location("runtime_files", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


files = load_files()


@pytest.fixture
def app():
    app = typer.Typer()
    sample_module.register(app)
    run_module.register(app)
    inspect_module.register(app)
    return app


@pytest.fixture
def invoke(app, tmp_path, monkeypatch):
    """Runs a command line in an empty folder and returns its output; an error is raised as it is."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return files.write_model(tmp_path_factory.mktemp("cli"))


@pytest.fixture(scope="module")
def colour(tmp_path_factory):
    return files.write_model(tmp_path_factory.mktemp("cli"), name="colour", channels=3)


def read(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_sample_writes_a_png_named_after_the_file_and_says_where(invoke, tiny, tmp_path):
    output = invoke("sample", tiny)

    assert output == "16 images of 4x5, seed 0: tiny.png\n"
    assert read(tmp_path / "tiny.png").shape == (4 * 4 + 3 * 2, 4 * 5 + 3 * 2)


def test_sample_writes_every_file_asked_for_and_no_other(invoke, tiny, tmp_path):
    output = invoke("sample", tiny, "--count", 3, "--seed", -7, "--ppm", "a.ppm", "--png", "b/b.png", "--npy", "c.npy")

    assert output == "3 images of 4x5, seed -7: a.ppm, b/b.png, c.npy\n"
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["a.ppm", "b.png", "c.npy"]
    assert (tmp_path / "a.ppm").read_bytes()[:2] == b"P6"
    assert np.array_equal(np.load(tmp_path / "c.npy"), files.expected(3, seed=-7))


def test_sample_writes_text_ppm_on_request(invoke, tiny, tmp_path):
    invoke("sample", tiny, "--ppm", "a.ppm", "--ascii")

    assert (tmp_path / "a.ppm").read_bytes()[:2] == b"P3"


def test_sample_passes_the_files_own_inputs_on(invoke, tiny, tmp_path):
    invoke(
        "sample",
        tiny,
        "--count",
        5,
        "--first",
        9,
        "--steps",
        3,
        "--eta",
        0.25,
        "--batch",
        2,
        "--npy",
        "a.npy",
    )
    invoke("sample", tiny, "--count", 5, "--first", 9, "--set", "steps=3", "--set", "eta=0.25", "--npy", "b.npy")

    expected = files.expected(5, seed=0, first=9, steps=3, eta=0.25)
    assert np.array_equal(np.load(tmp_path / "a.npy"), expected)
    assert np.array_equal(np.load(tmp_path / "b.npy"), expected)


@pytest.mark.parametrize("name", ["batch", "progress", "colour"])
def test_sample_refuses_an_input_that_the_file_has_not(invoke, tiny, name):
    with pytest.raises(PortError, match=f"sample has no input '{name}': it takes seed, count, first, steps, eta"):
        invoke("sample", tiny, "--set", f"{name}=1")


def test_sample_refuses_steps_where_the_file_has_none(invoke, tmp_path):
    document = files.card("sample")
    document["inputs"] = [port for port in document["inputs"] if port["name"] != "steps"]
    source = files.text("sample").replace(", int64 steps, float eta)", ", float eta)")
    path = files.write(tmp_path / "plain.onnx", source, document)

    with pytest.raises(PortError, match="no input 'steps': it takes seed, count, first, eta"):
        invoke("sample", path, "--steps", 5)


@pytest.mark.parametrize(
    ("setting", "message"),
    [("steps", "expected NAME=VALUE, found 'steps'"), ("steps=", "NAME=VALUE"), ("seed=1", "--seed")],
)
def test_a_malformed_setting_is_a_usage_error(app, tiny, setting, message):
    result = CliRunner().invoke(app, ["sample", str(tiny), "--set", setting], env={"COLUMNS": "200"})

    assert result.exit_code == 2
    assert message in result.output


def test_a_word_is_a_setting_and_no_number_of_steps(invoke, tiny):
    with pytest.raises(PortError, match="steps: expected int64, found 'x'"):
        invoke("sample", tiny, "--set", "steps=x")


def test_sample_draws_the_class_that_is_asked_for(call, exported, tmp_path):
    path = exported("labelled_diffusion")
    many = ("--count", 2, "--steps", 2)
    names = [("--label", "blue", "--guidance", 2), ("--set", "label=2", "--set", "guidance=2"), ()]
    for number, options in enumerate(names):
        assert call("sample", path, *many, *options, "--npy", tmp_path / f"{number}.npy")[0] == 0
    by_name, by_number, each = (np.load(tmp_path / f"{number}.npy") for number in range(3))

    np.testing.assert_array_equal(by_name, by_number)
    assert (by_name != each).any()


def test_cuda_is_never_silently_the_cpu(invoke, tiny, monkeypatch):
    asked = []
    monkeypatch.setattr("gen_runtime.load", lambda path, device: asked.append(device) or refuse())

    def refuse():
        raise DeviceError("no CUDA")

    for words in (["--cuda"], ["--device", "cuda"], ["--device", "cpu"], []):
        with pytest.raises(DeviceError):
            invoke("sample", tiny, *words)
    assert asked == ["cuda", "cuda", "cpu", "auto"]


def test_a_bar_is_shown_on_a_terminal_for_more_than_one_batch(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress_bar("images") as progress:
        progress(1, 2)
        progress(2, 2)
    with progress_bar("images", shown=False) as none:
        assert none is None
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    with progress_bar("images") as none:
        assert none is None

    captured = capsys.readouterr()
    assert captured.out == ""
    assert "100%" in captured.err


def test_encode_writes_every_output_by_name(invoke, tiny, tmp_path):
    Image.fromarray(np.full((8, 10), 255, np.uint8)).save(tmp_path / "white.png")
    Image.fromarray(np.zeros((40, 30, 3), np.uint8)).save(tmp_path / "black.png")

    output = invoke("encode", tiny, "white.png", "black.png", "--out", "x/codes.npz")

    assert output == "mu, logvar of 2 images of 4x5: x/codes.npz\n"
    with np.load(tmp_path / "x" / "codes.npz") as codes:
        assert codes["mu"].tolist() == [[1, 1], [-1, -1]]
        assert codes["logvar"].tolist() == [[-1, -1], [1, 1]]


def test_encode_keeps_the_middle_of_an_image_and_its_colours(invoke, colour, tmp_path):
    picture = np.zeros((4, 15, 3), np.uint8)
    picture[:, 5:10] = (255, 0, 0)
    Image.fromarray(picture).save(tmp_path / "wide.png")

    invoke("encode", colour, "wide.png", "--out", "codes.npz")

    with np.load(tmp_path / "codes.npz") as codes:
        assert codes["mu"].tolist() == [[1, 1]]


def test_encode_takes_the_part_itself(invoke, tiny, tmp_path):
    Image.new("L", (5, 4), 255).save(tmp_path / "a.png")

    invoke("encode", tiny.with_name("tiny.encode.onnx"), "a.png", "--out", "codes.npz")

    with np.load(tmp_path / "codes.npz") as codes:
        assert codes["mu"].tolist() == [[1, 1]]


def test_encode_in_batches_equals_one_batch(invoke, tiny, tmp_path, monkeypatch):
    for i in range(5):
        Image.new("L", (5, 4), 50 * i).save(tmp_path / f"{i}.png")
    names = [f"{i}.png" for i in range(5)]
    invoke("encode", tiny, *names, "--out", "one.npz")
    monkeypatch.setattr(run_module, "BATCH", 2)

    invoke("encode", tiny, *names, "--out", "many.npz")

    with np.load(tmp_path / "one.npz") as one, np.load(tmp_path / "many.npz") as many:
        assert one["mu"].shape == (5, 2)
        assert np.array_equal(one["mu"], many["mu"])


@pytest.mark.parametrize("content", [None, b"no image"])
def test_encode_names_an_image_that_cannot_be_read(invoke, tiny, tmp_path, content):
    if content is not None:
        (tmp_path / "a.png").write_bytes(content)

    with pytest.raises(DataError, match=r"^a\.png: expected an image"):
        invoke("encode", tiny, "a.png", "--out", "codes.npz")

    assert not (tmp_path / "codes.npz").exists()


def test_a_file_without_an_encoder_is_refused_with_what_it_has(invoke, tiny):
    with pytest.raises(GraphError, match="has no graph 'encode': it has decode"):
        invoke("encode", tiny.with_name("tiny.decode.onnx"), "a.png", "--out", "codes.npz")


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_decode_turns_codes_into_pictures(invoke, tiny, tmp_path, suffix):
    codes = np.array([[-1, -1], [0, 0], [1, 1], [3, 3]], np.float32)
    save = {".npy": np.save, ".npz": lambda path, array: np.savez(path, z=array)}[suffix]
    save(tmp_path / f"codes{suffix}", codes)

    output = invoke("decode", tiny, f"codes{suffix}", "--npy", "a.npy")

    images = np.load(tmp_path / "a.npy")
    assert output == "4 images of 4x5: a.npy\n"
    assert (images.dtype, images.shape) == (np.uint8, (4, 4, 5, 1))
    assert images[:, 0, 0, 0].tolist() == [0, 128, 255, 255]


def test_decode_takes_what_encode_wrote(invoke, tiny, tmp_path):
    Image.new("L", (5, 4), 204).save(tmp_path / "a.png")
    invoke("encode", tiny, "a.png", "--out", "codes.npz")

    assert invoke("decode", tiny, "codes.npz") == "1 image of 4x5: codes.png\n"
    assert np.array_equal(read(tmp_path / "codes.png"), np.full((4, 5), 204))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: None, r"codes\.npz: cannot be read: No such file"),
        (lambda path: path.write_bytes(b""), r"codes\.npz: expected a \.npy or \.npz file of numbers"),
        (lambda path: path.write_bytes(b"junk"), r"codes\.npz: expected a \.npy or \.npz file of numbers"),
        (
            lambda path: path.write_bytes(b"PK\x03\x04junk"),
            r"codes\.npz: expected a \.npy or \.npz file of numbers",
        ),
        (lambda path: np.savez(path, a=1, b=2), r"expected an array named z, found a, b"),
        (np.savez, r"expected an array named z, found none"),
        (lambda path: np.savez(path, z=np.array([{}], object)), r"expected a \.npy or \.npz file of numbers"),
    ],
)
def test_decode_names_codes_that_cannot_be_read(invoke, tiny, tmp_path, write, message):
    write(tmp_path / "codes.npz")

    with pytest.raises(DataError, match=message):
        invoke("decode", tiny, "codes.npz")


@pytest.mark.parametrize("codes", [np.zeros((0, 2)), np.zeros((3, 4)), np.zeros(()), np.zeros((2, 2), np.int64)])
def test_decode_refuses_codes_of_another_kind(invoke, tiny, tmp_path, codes):
    np.save(tmp_path / "codes.npy", codes)

    with pytest.raises(PortError, match="decode: z: expected "):
        invoke("decode", tiny, "codes.npy")


def test_decode_refuses_a_file_whose_output_is_no_image(invoke, tmp_path):
    source = '<ir_version: 10, opset_import: ["": 18]> g (float[batch, 2] z) => (float[batch, 2] out) {out = Neg(z)}'
    outputs = [files.port("out", "float32", ["batch", 2])]
    path = files.write(tmp_path / "flat.onnx", source, files.card("decode", outputs=outputs))
    np.save(tmp_path / "codes.npy", np.zeros((3, 2), np.float32))

    with pytest.raises(
        FileError, match=r"flat\.onnx: out: expected images of the shape \[3, 1, 4, 5\], found \[3, 2\]"
    ):
        invoke("decode", path, "codes.npy")


def test_inspect_refuses_a_card_of_very_deep_objects_in_one_line(invoke, tmp_path):
    config = {}
    for _ in range(300):
        config = {"more": config}
    path = files.write(tmp_path / "a.onnx", files.text("sample"), files.card("sample", config=config))

    with pytest.raises(FileError, match=r"a\.onnx: expected a card at most 32 levels deep, found a deeper one"):
        invoke("inspect", path)


def test_inspect_shows_ports_parts_and_measurements(invoke, tiny):
    output = invoke("inspect", tiny)

    for word in (
        "diffusion",
        "sample",
        "eta",
        "0 to 1",
        "any whole number",
        "squares",
        "linear",
        "sprites",
        "1.25e-07",
    ):
        assert word in output, word
    assert "missing" not in output


def test_inspect_tells_which_parts_are_missing(invoke, tiny, tmp_path):
    (tmp_path / tiny.name).write_bytes(tiny.read_bytes())

    assert "encode (missing)" in invoke("inspect", tiny.name)


def test_inspect_tells_what_was_verified_and_whether_the_files_are_still_those(invoke, tmp_path):
    path = files.write_model(tmp_path)
    assert "verified" not in invoke("inspect", path)

    fact = {"kind": "exact", "verdict": "passed", "error": 0, "bound": 0}
    stamp(path, {"one": fact, "two": fact}, hashes(Files(path)))
    assert "2 facts passed, fits these files" in invoke("inspect", path)

    stamp(path, {"one": fact, "two": fact | {"verdict": "skipped"}}, hashes(Files(path)))
    assert "1 facts passed, 1 skipped, fits these files" in invoke("inspect", path)

    (tmp_path / "tiny.encode.onnx").write_bytes((tmp_path / "tiny.decode.onnx").read_bytes())
    output = " ".join(invoke("inspect", path).split())
    assert "stamp does not fit: the file was changed after it was verified" in output


def test_inspect_shows_a_hostile_stamp_as_plain_text(invoke, tmp_path):
    path = files.write(tmp_path / "a.onnx", files.text("sample"), files.card("sample"))
    hostile = {"files": hashes(Files(path)), "passed": "\x1b[31m", "skipped": [{}]}
    path = files.write(tmp_path / "a.onnx", files.text("sample"), files.card("sample", verified=hostile))

    assert "?[31m facts passed, [{}] skipped, fits these files" in invoke("inspect", path)


def test_inspect_gives_the_raw_document(invoke, tiny):
    assert json.loads(invoke("inspect", tiny, "--json")) == files.card("sample", ("encode", "decode", "denoise"))


def test_inspect_shows_a_hostile_summary_as_plain_text(invoke, tmp_path):
    summary = "[bold]x[/bold] \x1b[31mred\x1b[0m [/oops]"
    path = files.write(tmp_path / "a.onnx", files.text("sample"), files.card("sample", summary=summary, parity=[]))

    output = invoke("inspect", path)

    assert "[bold]x[/bold] ?[31mred?[0m [/oops]" in output
    assert "\x1b" not in output


def test_a_file_that_is_not_ours_is_refused(invoke, tmp_path):
    with pytest.raises(FileError, match="no such file"):
        invoke("inspect", tmp_path / "none.onnx")


def test_long_lists_and_nested_values_are_shortened():
    section = {"betas": list(range(20)), "lr": 0.000123456, "range": {"low": 0, "high": 1.0}, "name": None}

    assert inspect_module._line(section) == (
        "betas [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...], lr 0.0001235, range {low 0, high 1}, name None"
    )


def test_the_commands_import_nothing_heavy_until_they_run():
    code = "import sys, gen_export.cli.run, gen_export.cli.sample, gen_export.cli.inspect; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert not {name.partition(".")[0] for name in modules} & {"onnxruntime", "numpy", "PIL", "torch", "onnx"}


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        ({}, ""),
        ({"minimum": 0}, "at least 0"),
        ({"maximum": 1}, "at most 1"),
        ({"minimum": 0, "maximum": 1}, "0 to 1"),
        ({"minimum": 0, "maximum": 1, "choices": ("ddim", "heun")}, "ddim, heun"),
    ],
)
def test_a_ports_range_reads_well(bounds, text):
    assert inspect_module._span(Port("x", "float32", (), **bounds)) == text


def test_tables_fit_a_narrow_terminal(tiny):
    console = Console(file=io.StringIO(), width=60)
    console.print(inspect_module._overview(load(tiny, device="cpu")))

    assert max(map(len, console.file.getvalue().splitlines())) <= 60
