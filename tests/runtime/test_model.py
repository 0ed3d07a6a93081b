"""A model: sampling in batches, parts on demand, and many threads at once."""

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gen_runtime import FileError, GenRuntimeError, Graph, GraphError, PortError, load
from gen_runtime import model as model_module

INT64_MAX = 2**63 - 1


@pytest.mark.parametrize("seed", [0, 7, -1, INT64_MAX, -(2**63)])
def test_sample_returns_what_the_file_draws(model, files, seed):
    images = model.sample(count=3, seed=seed, first=2, steps=9, eta=0.25)

    assert images.dtype == np.uint8
    assert np.array_equal(images, files.expected(3, seed, first=2, steps=9, eta=0.25))


def test_inputs_bound_for_a_gpu_give_what_the_file_draws(model, files):
    graph = model.graph("sample")
    bound = Graph(graph.path, graph.card, graph._session, "cuda")  # the session is the CPU's: only the binding is tried

    assert np.array_equal(bound(5, 3, 2, eta=0.25), files.expected(3, 5, first=2, steps=50, eta=0.25))


def test_inputs_left_out_have_the_files_defaults(model, files):
    assert np.array_equal(model.sample(), files.expected(1, seed=0, steps=50))


@pytest.mark.parametrize("batch", [1, 3, 7, 8, 100])
def test_streaming_equals_one_batch(model, batch):
    batches = list(model.stream(7, seed=5, first=11, batch=batch, steps=3))

    assert [len(images) for images in batches[:-1]] == [batch] * (len(batches) - 1)
    assert np.array_equal(np.concatenate(batches), model.sample(7, seed=5, first=11, steps=3))


def test_image_i_depends_on_seed_and_index_alone(model):
    together = model.sample(count=8, seed=3)

    for i in range(8):
        assert np.array_equal(model.sample(count=1, seed=3, first=i), together[i : i + 1])


def test_progress_is_told_after_each_batch(model):
    told = []

    model.sample(5, batch=2, progress=lambda done, total: told.append((done, total)))

    assert told == [(2, 5), (4, 5), (5, 5)]


def test_the_last_index_there_is_can_be_drawn(model):
    assert len(model.sample(count=1, first=INT64_MAX - 1)) == 1
    with pytest.raises(PortError, match=r"first \+ count: expected at most 2\^63 - 1"):
        model.sample(count=2, first=INT64_MAX - 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "sample: count: expected at least 1, found 0"),
        ({"count": 2.0}, r"sample: count: expected a whole number, found 2\.0"),
        ({"batch": 0}, "sample: batch: expected at least 1, found 0"),
        ({"seed": 2**63}, "sample: seed: expected int64, found 9223372036854775808"),
        ({"first": -1}, "sample: first: expected at least 0, found -1"),
        ({"steps": 1001}, "sample: steps: expected at most 1000, found 1001"),
        ({"eta": 2}, "sample: eta: expected at most 1, found 2"),
        ({"stepz": 2}, "sample has no input 'stepz': it takes seed, count, first, steps, eta"),
    ],
)
def test_a_wrong_argument_is_refused_before_the_first_batch(model, arguments, message):
    with pytest.raises(PortError, match=f"^{message}"):
        model.stream(**arguments)


def test_a_graph_with_several_outputs_returns_them_by_name(model):
    image = np.linspace(-1, 1, 40, dtype=np.float32).reshape(2, 1, 4, 5)

    codes = model.encode(image)

    assert list(codes) == ["mu", "logvar"]
    assert np.array_equal(codes["mu"], image.reshape(2, 20)[:, :2])
    assert np.array_equal(codes["logvar"], -codes["mu"])


def test_a_graph_with_one_output_returns_the_array(model):
    assert np.array_equal(model.decode([[0.5, 1.5]]), np.ones((1, 1, 4, 5), np.float32))


def test_inputs_go_by_place_or_by_name(model):
    x, t = np.ones((2, 1, 4, 5), np.float32), np.array([3, 4])
    expected = x * t.reshape(2, 1, 1, 1)

    assert np.array_equal(model.denoise(x, t), expected)
    assert np.array_equal(model.denoise(x, t=t), expected)
    assert np.array_equal(model.run("denoise", {"t": t, "x": x}), expected)


def test_too_many_or_doubled_inputs_are_refused(model):
    z = np.zeros((1, 2), np.float32)

    with pytest.raises(PortError, match="decode takes 1 inputs, found 2"):
        model.decode(z, z)
    with pytest.raises(PortError, match="decode: z is given twice"):
        model.decode(z, z=z)


def test_outputs_are_the_callers_own(model):
    first = model.decode([[1.0, 1.0]])
    first[:] = 7

    assert model.decode([[1.0, 1.0]]).max() == 1


def test_an_unknown_graph_is_refused_with_the_declared_ones(model):
    with pytest.raises(GraphError, match=r"tiny\.onnx has no graph 'dance': it has sample, encode, decode, denoise"):
        model.dance()

    assert not hasattr(model, "dance")
    assert issubclass(GraphError, AttributeError)


def test_declared_graphs_are_listed(model):
    assert {"sample", "stream", "encode", "decode", "denoise"} <= set(dir(model))
    assert model.graphs == ("sample", "encode", "decode", "denoise")
    assert "diffusion: sample, encode" in repr(model)


def test_a_model_can_be_asked_for_attributes_while_it_is_empty():
    empty = object.__new__(model_module.Model)

    assert not hasattr(empty, "_main")
    assert isinstance(copy.copy(empty), model_module.Model)


def test_a_part_is_a_model_of_its_own(tiny):
    part = load(tiny.with_name("tiny.encode.onnx"), device="cpu")

    assert part.graphs == ("encode",)
    assert set(part.encode(np.zeros((1, 1, 4, 5), np.float32))) == {"mu", "logvar"}
    with pytest.raises(GraphError, match="no graph 'sample': it has encode"):
        part.sample()


def test_a_missing_part_is_refused_when_called_and_not_before(files, tmp_path):
    path = files.write_model(tmp_path)
    (tmp_path / "tiny.decode.onnx").unlink()
    model = load(path, device="cpu")

    assert hasattr(model, "decode")
    with pytest.raises(FileError, match=r"needs its part decode: expected the file .*tiny\.decode\.onnx"):
        model.decode([[0.0, 0.0]])


def test_a_part_that_holds_another_graph_is_refused(files, tmp_path):
    path = files.write_model(tmp_path)
    (tmp_path / "tiny.encode.onnx").replace(tmp_path / "tiny.decode.onnx")

    with pytest.raises(FileError, match="expected diffusion decode, found diffusion encode"):
        load(path, device="cpu").decode([[0.0, 0.0]])


def test_a_part_is_opened_once_by_many_threads(tiny, monkeypatch):
    model = load(tiny, device="cpu", threads=1)
    opened = []
    real = model_module.open_graph
    monkeypatch.setattr(model_module, "open_graph", lambda path, *rest: opened.append(path) or real(path, *rest))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: model.decode([[0.0, 0.0]]), range(16)))

    assert len(opened) == 1


def test_many_threads_draw_what_one_draws(model, files):
    def draw(i):
        return model.sample(count=5, seed=i, first=i, batch=2)

    with ThreadPoolExecutor(8) as pool:
        drawn = list(pool.map(draw, range(64)))

    for i, images in enumerate(drawn):
        assert np.array_equal(images, files.expected(5, seed=i, first=i))


def test_streaming_holds_one_batch_at_a_time(model):
    stream = model.stream(count=10**15, batch=4)

    assert [next(stream).shape for _ in range(3)] == [(4, 4, 5, 1)] * 3


def test_a_sampler_that_draws_too_few_is_refused(files, tmp_path):
    source = files.text("sample").replace("Range(zero, count, one)", "Range(zero, one, one)")
    path = files.write(tmp_path / "a.onnx", source, files.card("sample"))

    with pytest.raises(FileError, match=r"images: its port says \[count=3, 4, 5, 1\], found \[1, 4, 5, 1\]"):
        load(path, device="cpu").sample(3)


def test_a_graph_that_fails_is_named_in_one_line(files, tmp_path, capfd):
    source = files.text("decode").replace("int64[4] cell = {-1, 1, 1, 1}", "int64[4] cell = {3, 1, 1, 1}")
    model = load(files.write(tmp_path / "a.onnx", source, files.card("decode")), device="cpu")

    with pytest.raises(GenRuntimeError, match=r"a\.onnx: ONNX Runtime failed: ") as error:
        model.decode([[0.0, 0.0]])

    assert "\n" not in str(error.value)
    assert "/onnxruntime_src" not in str(error.value)


def test_more_images_than_memory_are_refused_before_the_first_is_drawn(model):
    with pytest.raises(PortError, match=r"sample: count: expected at most \d+, found 1000000000000: draw more with"):
        model.sample(count=10**12)
