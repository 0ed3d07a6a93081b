"""The files of an export, as they ship: what they hold, what they say, and that a wrong one is not kept."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
import torch

from gen_export.errors import ExportError
from gen_export.export import parity, writer
from gen_export.models import FAMILIES, family_class
from gen_export.spec.diffusion import forward_noising
from gen_export.spec.noise import SCHEME, sample_normals
from gen_export.spec.pixels import to_bytes
from gen_export.training.preview import picture
from gen_runtime import load
from gen_runtime.card import KEY

PARTS = {
    "autoencoder": ["encode", "decode", "objective"],
    "mae": ["encode", "objective"],
    "vae": ["sample_from_noise", "encode", "decode", "reconstruct", "objective", "bound", "normalize", "latent"],
    "vqvae": [
        "sample_from_noise", "encode", "decode", "reconstruct", "lookup", "quantize", "objective", "nll", "predict",
    ],
    "gan": ["sample_from_noise", "generate", "discriminate", "objective"],
    "classifier": ["objective"],
    "diffusion": [
        "sample_from_noise", "step", "slope", "invert", "log_likelihood", "denoise", "noising", "objective",
    ],
}  # fmt: skip
OPTIONS = {"diffusion": {"steps": 5, "eta": 0.5}}
SAMPLERS = [name for name in FAMILIES if family_class(name).main == "sample"]
NORMAL, UNIFORM = ({"scheme": SCHEME, "law": law} for law in ("standard normal", "uniform on (0, 1)"))
NOISE = {"vae": NORMAL, "vqvae": UNIFORM, "gan": NORMAL, "diffusion": NORMAL}
every_family = pytest.mark.parametrize("name", FAMILIES)
every_sampler = pytest.mark.parametrize("name", SAMPLERS)


def document(path: Path) -> dict:
    """The metadata document of a file."""
    (entry,) = [entry for entry in onnx.load(path).metadata_props if entry.key == KEY]
    return json.loads(entry.value)


def nodes(graph: onnx.GraphProto):
    """All nodes of a graph and of the graphs inside them."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            yield from nodes(attribute.g)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def export(tmp_path, tiny_family, traced, about, monkeypatch):
    """Exports a family into `tmp_path / "out"` from graphs that were traced before."""
    monkeypatch.setattr(writer, "trace", traced)

    def run(name="vae", **options):
        return writer.export_family(tiny_family(name), tmp_path / "out", "model", about, **options)

    return run


@pytest.fixture
def model(exported):
    """The loaded files of a family."""
    return lambda name: load(exported(name), device="cpu")


def assert_alike(found: np.ndarray, expected: np.ndarray) -> None:
    """The same bytes, but for rounding on the other side of a half, which a diffusion's first step enlarges."""
    assert found.shape == expected.shape
    assert (found != expected).mean() <= 0.03
    assert expected.std() > 1


# The files


@every_family
def test_an_export_writes_the_sampler_and_its_parts_and_nothing_else(exported, name):
    path = exported(name)

    assert path.name == f"{name}.onnx"
    assert {file.name for file in path.parent.iterdir()} == {
        path.name,
        *(f"{name}.{part}.onnx" for part in PARTS[name]),
    }


@every_family
def test_every_file_is_valid_onnx_of_opset_18_that_runtimes_read(exported, name):
    for path in exported(name).parent.iterdir():
        proto = onnx.load(path)
        onnx.checker.check_model(proto, full_check=True)
        assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", 18)], path.name
        assert proto.ir_version <= 11


@every_family
def test_every_card_follows_the_schema(exported, root, name):
    schema_file = root / "docs" / "metadata.schema.json"
    if not schema_file.is_file():
        pytest.skip(f"{schema_file} is not there")
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(json.loads(schema_file.read_text(encoding="utf-8")))

    for path in exported(name).parent.iterdir():
        assert [error.message for error in validator.iter_errors(document(path))] == [], path.name


@every_family
def test_the_sampler_names_its_parts_and_each_part_is_the_graph_it_says(exported, model, name):
    loaded = model(name)

    assert list(loaded.card.parts) == PARTS[name]
    for part in PARTS[name]:
        card = loaded.graph(part).card
        assert (card.family, card.graph, card.parts) == (name, part, ())
        assert (card.image.height, card.image.width, card.image.channels) == (8, 8, 1)
        assert card.summary.endswith(".")


@every_family
def test_only_files_that_draw_noise_name_its_scheme(exported, name):
    schemes = {document(path)["graph"]: document(path)["noise"] for path in exported(name).parent.iterdir()}

    assert schemes.get("sample") == NOISE.get(name)
    assert schemes["objective"] is None


@every_family
def test_the_recorded_parity_is_within_1e_5_at_batches_other_than_the_traced_one(exported, name):
    rows = document(exported(name))["parity"]
    calls = [row for row in rows if "rel_l2" in row]
    sampled = [row for row in rows if "max_levels" in row]

    assert {row["batch"] for row in calls} == {1, 3, 8}
    main = document(exported(name))["graph"]
    assert {row["graph"] for row in calls} == {main, *PARTS[name]} - {"sample", "sample_from_noise", "step"}
    # The first step of a run divides rounding by sqrt(alpha_bar_60) = 1e-3, and so does what inverts it.
    within = {"invert": 1e-3}
    assert all(0 <= row["rel_l2"] <= within.get(row["graph"], 1e-5) or row["max_abs"] <= 1e-6 for row in calls)
    assert {row["graph"] for row in sampled} == ({"sample", "sample_from_noise"} if main == "sample" else set())
    assert all(row["max_levels"] <= 1 for row in sampled)
    for row in calls:
        part = exported(name) if row["graph"] == main else exported(name).with_name(f"{name}.{row['graph']}.onnx")
        assert row in document(part)["parity"]


@every_family
def test_the_metadata_tells_the_data_and_the_training_but_no_path(exported, about, name):
    for path in exported(name).parent.iterdir():
        found = document(path)
        assert {key: found[key] for key in ("data", "training")} == about
        assert "private" not in json.dumps(found)
        assert found["tool"]["torch"] == torch.__version__


def test_the_weights_are_initializers_of_the_loops_body(exported, tiny_family):
    """From the outer graph ONNX Runtime would not pre-pack them."""
    graph = onnx.load(exported("diffusion")).graph
    (loop,) = [node for node in graph.node if node.op_type == "Loop"]
    (body,) = [attribute.g for attribute in loop.attribute if attribute.name == "body"]
    weights = sum(value.numel() for value in tiny_family("diffusion").parameters())

    def elements(initializers):
        return sum(int(np.prod(tensor.dims)) for tensor in initializers)

    assert elements(body.initializer) > weights
    assert elements(graph.initializer) < 200


@every_family
def test_optional_inputs_have_their_defaults_and_the_others_none(exported, name):
    for path in exported(name).parent.iterdir():
        graph = onnx.load(path).graph
        initialised = {tensor.name for tensor in graph.initializer}
        for value, port in zip(graph.input, document(path)["inputs"], strict=True):
            assert value.name == port["name"]
            assert (value.name in initialised) == port["optional"], (path.name, value.name)


# What the files compute


@every_sampler
def test_an_image_does_not_depend_on_the_batch_it_is_drawn_in(model, name):
    loaded = model(name)
    options = OPTIONS.get(name, {})
    together = loaded.sample(8, seed=11, **options)
    alone = np.concatenate([loaded.sample(1, seed=11, first=i, **options) for i in range(8)])
    streamed = np.concatenate(list(loaded.stream(8, seed=11, batch=3, **options)))

    assert together.dtype == np.uint8
    assert together.shape == (8, 8, 8, 1)
    assert np.array_equal(together, alone)
    assert np.array_equal(together, streamed)
    assert not np.array_equal(together[0], together[1])


@every_sampler
def test_other_seeds_draw_other_images_and_the_same_seed_the_same(model, name):
    loaded = model(name)
    options = OPTIONS.get(name, {})
    first, again, other = (loaded.sample(2, seed=seed, **options) for seed in (-1, -1, 2**63 - 1))

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@every_sampler
def test_the_sampler_draws_torchs_images(model, tiny_family, name):
    options, family = {} if name != "diffusion" else {"steps": 3}, tiny_family(name)

    assert_alike(model(name).sample(6, seed=21, **options), picture(family, family.recipe(), 21, 6, **options))


@every_sampler
def test_the_sampler_and_its_sibling_agree_on_the_same_noise(model, tiny_family, name):
    loaded = model(name)
    draws = [tiny_family(name).recipe().seeded(5, np.arange(4), draw) for draw in range(4)]
    loops = name == "diffusion"
    given = {"noise": draws[0]} | ({"step_noise": np.stack(draws[1:])} if loops else {})
    options = {"steps": 3, "eta": 1.0} if loops else {}

    assert_alike(loaded.sample(4, seed=5, **options), loaded.sample_from_noise(**given, **options))


def test_the_vaes_sampler_is_the_decoder_on_seeded_noise(model):
    loaded = model("vae")
    z = sample_normals(3, np.arange(5), 0, (6,))
    expected = to_bytes(loaded.decode(loaded.latent(z))).transpose(0, 2, 3, 1)

    assert np.abs(loaded.sample(5, seed=3).astype(int) - expected).max() <= 1


def image_batch(batch=4):
    return np.random.default_rng(0).uniform(-1, 1, (batch, 1, 8, 8)).astype(np.float32)


def test_reconstruct_is_decode_of_the_encoded_mean(model):
    loaded = model("vae")

    assert np.allclose(loaded.reconstruct(image_batch()), loaded.decode(loaded.encode(image_batch())["mu"]), atol=1e-6)


@pytest.mark.parametrize("beta", [None, 0.0, 1.0, 0.37])
def test_the_objective_of_the_file_is_reconstruction_plus_beta_kl(model, beta):
    """With the same float32 operations, so bit for bit; without beta, with the trained one."""
    eps = np.random.default_rng(1).standard_normal((4, 6)).astype(np.float32)
    given = {} if beta is None else {"beta": beta}
    terms = model("vae").objective(image=image_batch(), eps=eps, **given)
    weight = np.float32(0.005 if beta is None else beta)

    assert terms["loss"] == terms["reconstruction"] + weight * terms["kl"]
    assert terms["kl"] > 0


def test_the_terms_of_the_file_are_those_of_its_other_graphs(model):
    loaded = model("vae")
    eps = np.random.default_rng(1).standard_normal((4, 6)).astype(np.float32)
    mu, logvar = (value.astype(np.float64) for value in loaded.encode(image_batch()).values())
    z = (mu + np.exp(logvar / 2) * eps).astype(np.float32)
    terms = loaded.objective(image=image_batch(), eps=eps)

    assert terms["kl"] == pytest.approx(0.5 * np.mean(np.exp(logvar) + mu**2 - 1 - logvar), rel=1e-4)
    assert terms["reconstruction"] == pytest.approx(np.mean((loaded.decode(z) - image_batch()) ** 2), rel=1e-5)


def test_the_noising_file_is_the_specs_line(model, tiny_family):
    x0, t = image_batch(), np.array([0, 1, 30, 60])
    eps = np.random.default_rng(1).standard_normal(x0.shape).astype(np.float32)
    abar = tiny_family("diffusion").config.alpha_bars().astype(np.float64)[t].reshape(-1, 1, 1, 1)
    expected = forward_noising(x0.astype(np.float64), eps.astype(np.float64), abar)

    assert np.abs(model("diffusion").noising(x0, t, eps) - expected).max() <= 1e-6


def test_the_objective_file_is_the_error_of_the_denoise_file_on_noised_images(model):
    loaded = model("diffusion")
    x0, t = image_batch(), np.array([1, 20, 40, 60])
    eps = np.random.default_rng(1).standard_normal(x0.shape).astype(np.float32)
    error = loaded.denoise(loaded.noising(x0, t, eps), t).astype(np.float64) - eps

    assert loaded.objective(x0, t, eps)["epsilon_loss"] == pytest.approx(np.mean(error**2), rel=1e-5)


def test_only_the_parts_that_are_asked_for_are_kept_and_named(tiny_family, tmp_path):
    paths = writer.export_family(tiny_family("autoencoder"), tmp_path, "small", {}, parts=["decode"])

    assert [path.name for path in paths] == ["small.onnx", "small.decode.onnx"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in paths)
    assert load(paths[0], device="cpu").graphs == ("reconstruct", "decode")


def test_a_part_that_is_none_is_refused_with_those_that_are(tiny_family, tmp_path):
    with pytest.raises(ExportError, match="--parts: expected some of encode, decode, objective, found 'sample'"):
        writer.export_family(tiny_family("autoencoder"), tmp_path, "small", {}, parts=["sample"])
    assert not any(tmp_path.iterdir())


def test_both_curves_of_the_trajectory_are_recorded(exported):
    trajectory = document(exported("diffusion"))["trajectory"]

    assert trajectory["steps"] == 50
    assert len(trajectory["teacher_forced_max_abs"]) == len(trajectory["free_running_max_abs"]) == 50
    assert max(trajectory["teacher_forced_max_abs"]) <= 1e-4
    assert trajectory["free_running_max_abs"][0] == trajectory["teacher_forced_max_abs"][0]
    assert document(exported("vae"))["trajectory"] is None


# Options


def test_opset_23_is_written_and_draws_torchs_images(build_family, about, tmp_path):
    family = build_family("diffusion", net="residual")
    path = writer.export_family(family, tmp_path, "new", about, opset=23)[0]

    for file in tmp_path.iterdir():
        proto = onnx.load(file)
        assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", 23)]
        assert proto.ir_version <= 11
    assert_alike(load(path, device="cpu").sample(4, seed=3, steps=3), picture(family, family.recipe(), 3, 4, steps=3))


def test_an_unrolled_sampler_has_no_loop_and_draws_the_loops_images(export, model):
    path = export("diffusion", unroll=3)[0]
    (row,) = [row for row in document(path)["parity"] if row.get("against") == "loop"]

    for file in (path, path.with_name("model.sample_from_noise.onnx")):
        assert {"Loop", "If", "Scan"}.isdisjoint(node.op_type for node in nodes(onnx.load(file).graph))
        assert "steps" not in [port["name"] for port in document(file)["inputs"]]
    assert not path.with_name("model.loop.onnx").exists()
    assert row["graph"] == "sample"
    assert row["max_levels"] <= 1
    unrolled = load(path, device="cpu")
    for eta in (0.0, 1.0):
        assert_alike(unrolled.sample(6, seed=2, eta=eta), model("diffusion").sample(6, seed=2, steps=3, eta=eta))


def test_an_unrolled_sampler_holds_its_weights_once(export, exported):
    unrolled = export("diffusion", unroll=8)[0].stat().st_size

    assert unrolled < 1.5 * exported("diffusion").stat().st_size


def test_an_unrolled_sampler_of_given_noise_asks_for_the_noise_of_each_step(export, model):
    """Without an If it reads that noise even where eta is 0: left out, it would be read out of bounds."""
    loaded = load(export("diffusion", unroll=3)[0], device="cpu")
    draws = np.stack([sample_normals(5, np.arange(2), draw, (1, 8, 8)) for draw in range(4)])
    port = loaded.graph("sample_from_noise").card.inputs[1]

    assert (port.shape, port.optional) == ((3, "count", 1, 8, 8), False)
    for eta in (0.0, 1.0):
        found = loaded.sample_from_noise(noise=draws[0], step_noise=draws[1:], eta=eta)
        assert_alike(found, loaded.sample(2, seed=5, eta=eta))
    with pytest.raises(ValueError, match="step_noise"):
        loaded.sample_from_noise(noise=draws[0])


def test_a_default_solver_and_a_spacing_are_in_the_file_and_its_card(export):
    loaded = load(export("diffusion", solver="heun", spacing="leading")[0], device="cpu")
    told = {name: loaded.card.schedule[name] for name in ("solver", "spacing", "unrolled")}

    assert told == {"solver": "heun", "spacing": "leading", "unrolled": None}
    np.testing.assert_array_equal(loaded.sample(2, steps=4), loaded.sample(2, steps=4, solver="heun"))
    assert (loaded.sample(2, steps=4) != loaded.sample(2, steps=4, solver="ddpm")).any()


def test_an_unrolled_solver_without_noise_asks_for_none(export):
    loaded = load(export("diffusion", unroll=3, solver="dpmpp_2m")[0], device="cpu")

    assert [port.name for port in loaded.card.inputs] == ["seed", "count", "first"]
    assert [port.name for port in loaded.graph("sample_from_noise").card.inputs] == ["noise"]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("vae", {"opset": 17}, r"^--opset: expected 18 to 23, found 17$"),
        ("vae", {"opset": 24}, r"^--opset: expected 18 to 23, found 24$"),
        ("vae", {"unroll": 4}, r"^--unroll: expected a family that samples in a loop, found vae$"),
        ("vae", {"solver": "heun"}, r"^--solver: expected a family that samples in a loop, found vae$"),
        ("diffusion", {"solver": "rk4"}, r"^--solver: expected one of ddim, .*, found 'rk4'$"),
        ("diffusion", {"spacing": "even"}, r"^--spacing: expected one of trailing, leading, linspace, found 'even'$"),
        ("diffusion", {"unroll": 0}, r"^--unroll: expected 1 to 60 steps, found 0$"),
        ("diffusion", {"unroll": 61}, r"^--unroll: expected 1 to 60 steps, found 61$"),
    ],
)
def test_an_option_out_of_range_is_refused_by_name_before_anything_is_written(export, tmp_path, name, options, message):
    with pytest.raises(ExportError, match=message):
        export(name, **options)
    assert not (tmp_path / "out").exists()


def test_progress_is_told_a_line_a_file(export):
    lines = []
    export("vae", say=lines.append)

    assert [line.partition(":")[0] for line in lines] == [
        *(
            f"model.{part}.onnx"
            for part in ("encode", "decode", "reconstruct", "objective", "bound", "normalize", "latent")
        ),
        "model.onnx",
    ]


# Failing


def perturbed(traced, graph_name):
    """`trace` with the numbers of the largest weight of one graph off by a hundredth, each its own way."""

    def trace(family, graph, opset):
        model = traced(family, graph, opset)
        if graph.name == graph_name:
            weight = max(model.graph.initializers.values(), key=lambda value: value.const_value.size)
            array = weight.const_value.numpy().copy()
            array *= 1.0 + 0.01 * np.random.default_rng(0).standard_normal(array.shape).astype(array.dtype)
            weight.const_value = ir.tensor(array, name=weight.name)
        return model

    return trace


@pytest.mark.parametrize(
    ("name", "part"),
    [("vae", "encode"), ("vae", "decode"), ("vae", "objective"), ("diffusion", "denoise"), ("diffusion", "noising")],
)
def test_a_graph_with_other_weights_than_torchs_is_refused_and_nothing_is_kept(
    export, traced, tmp_path, monkeypatch, name, part
):
    monkeypatch.setattr(writer, "trace", perturbed(traced, part))
    with pytest.raises(ExportError, match=f"^{part}: .*: expected torch's output within 1e-05 relative"):
        export(name)

    assert list((tmp_path / "out").iterdir()) == []


def corrupted(build, wrong):
    """`build_samplers` whose sampler of this name draws normals of half the variance."""

    def built(recipe, network, image, unroll=None):
        samplers = build(recipe, network, image, unroll)
        for sampler in samplers:
            if sampler.name == wrong:
                scale = next(v for v in sampler.model.graph.initializers.values() if near(v, -2.0))
                scale.const_value = ir.tensor(np.asarray(-1.0, scale.dtype.numpy()), name=scale.name)
        return samplers

    return built


def near(value, number):
    return value.const_value.size == 1 and value.const_value.numpy().item() == number


@pytest.mark.parametrize("name", ["vae", "diffusion"])
def test_a_sampler_with_other_noise_than_its_sibling_is_refused(export, tmp_path, monkeypatch, name):
    monkeypatch.setattr(writer, "build_samplers", corrupted(writer.build_samplers, "sample"))
    with pytest.raises(ExportError, match="sample_from_noise: expected the images of sample within 2 levels"):
        export(name)

    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("cause", ["parity", "checker", "disk", "interrupt"])
def test_a_failed_export_leaves_the_files_that_were_there_as_they_were(export, tmp_path, monkeypatch, traced, cause):
    export("vae")
    before = contents(tmp_path / "out")
    if cause == "parity":
        monkeypatch.setattr(writer, "trace", perturbed(traced, "decode"))
    elif cause == "checker":
        monkeypatch.setattr(onnx.checker, "check_model", raising(onnx.checker.ValidationError("no")))
    elif cause == "disk":
        monkeypatch.setattr(Path, "write_bytes", half_written)
    else:
        monkeypatch.setattr(parity, "sample_parity", raising(KeyboardInterrupt()))

    with pytest.raises((ExportError, onnx.checker.ValidationError, OSError, KeyboardInterrupt)):
        export("vae")

    assert contents(tmp_path / "out") == before


def raising(error):
    def call(*arguments, **options):
        raise error

    return call


def half_written(self, content):
    """A disk that fills up half-way through a file."""
    with self.open("wb") as file:
        file.write(content[: len(content) // 2])
    raise OSError(28, "No space left on device")


def test_a_second_export_replaces_the_files(export, tmp_path):
    paths = export("vae")
    before = contents(tmp_path / "out")
    paths[0].write_bytes(b"old")
    export("vae")

    assert contents(tmp_path / "out") == before


def test_the_files_open_in_plain_onnx_runtime_with_one_call(exported):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    for name in SAMPLERS:
        session = onnxruntime.InferenceSession(exported(name), options, providers=["CPUExecutionProvider"])
        (images,) = session.run(None, {"seed": np.array(7), "count": np.array(2)})
        assert (images.dtype, images.shape) == (np.uint8, (2, 8, 8, 1))


@pytest.mark.cuda
@every_family
def test_a_model_on_cuda_exports_the_files_of_the_cpu(build_family, tiny_family, traced, about, tmp_path, name):
    on_cpu, on_cuda = (
        writer.export_family(family, tmp_path / place, name, about)[0]
        for place, family in (("cpu", tiny_family(name)), ("cuda", build_family(name).cuda()))
    )
    cpu, cuda = (load(path, device="cpu").sample(2) for path in (on_cpu, on_cuda))

    assert np.array_equal(cpu, cuda)
