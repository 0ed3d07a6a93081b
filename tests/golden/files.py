"""The small files: denoisers in closed form, a graph that gives back what it takes, trained models, broken files."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import torch

import gen_export
from gen_export.data.sprites import SpriteSet
from gen_export.export import metadata
from gen_export.export.flow import SLOPE
from gen_export.export.sampler_graph import SEED_PORTS
from gen_export.export.samplers import SAMPLE, SUMMARIES, build_samplers
from gen_export.export.writer import export_family
from gen_export.models import family_class
from gen_export.models.recipes import Denoising
from gen_export.spec.noise import SCHEME
from gen_export.spec.schedules import alpha_bars, cosine_betas
from gen_export.training.checkpoint import restore_averaged
from gen_export.training.run import Source, about, start
from gen_export.training.settings import TrainSettings
from gen_runtime.ports import Port
from tests.export.analytic import ClassedData, GaussianData, mixture_network
from tests.mixture import four_in_the_plane, levels_even_in_log_snr
from tests.tiny import OPTIONS

GAUSSIAN = GaussianData(
    np.linspace(-0.95, 0.95, 3 * 4 * 5).reshape(3, 4, 5), 0.09, alpha_bars(cosine_betas(40)).astype(np.float32)
)
"""RGB images of 4 x 5 pixels whose means cross the whole range, so that clipping acts."""
CLASSED = ClassedData(
    ("dark", "bright", "steep"),
    np.stack([GAUSSIAN.mean * slope + level for slope, level in ((0.2, -0.5), (0.2, 0.5), (1.0, 0.0), (0.1, 0.0))]),
    0.09,
    GAUSSIAN.abars,
)
"""The same of three classes; the last mean is that of any."""
MIXTURE = four_in_the_plane(levels_even_in_log_snr(100, 1 / 100, 50).astype(np.float32).astype(np.float64))
"""Points in the plane as images of two grey pixels."""
FAMILIES = {
    "autoencoder": OPTIONS["autoencoder"],
    "mae": OPTIONS["mae"],
    "vae": OPTIONS["vae"],
    "vqvae": {**OPTIONS["vqvae"], "codes": 16},
    "gan": OPTIONS["gan"],
    # Few steps of training leave a network without a bound far too steep to run fifty times on its own results.
    "diffusion": {"size": "tiny", "net": "residual", "schedule": "torchlean", "lipschitz": 2.0},
}
SIDES = {"vqvae": 16}
"""Sides of the images in pixels where they are not 8: a grid of 4 x 4 codes needs 16."""
STEPS, BATCH = 400, 32

ECHO = """
    <ir_version: 8, opset_import: ["" : 18]>
    echo (bool[n] flags, uint8[n] bytes, int32[n] small, int64[n] big, float[n] single, double[n] wide,
          float scale, int64 mode)
        => (bool[n] flags_out, uint8[n] bytes_out, int32[n] small_out, int64[n] big_out, float[n] single_out,
            double[n] wide_out, float scale_out, int64 mode_out)
    <float scale = {1.5}, int64 mode = {1}>
    {
        flags_out = Identity(flags)
        bytes_out = Identity(bytes)
        small_out = Identity(small)
        big_out = Identity(big)
        single_out = Identity(single)
        wide_out = Identity(wide)
        scale_out = Identity(scale)
        mode_out = Identity(mode)
    }
"""


def write_analytic(folder: Path) -> None:
    """The samplers of the denoisers in closed form, and what is made of these beside."""
    mixture = Denoising((1, 1, 2), MIXTURE.abars.astype(np.float32), 20)
    _write_samplers(folder, "gaussian", GAUSSIAN.recipe(), GAUSSIAN.network())
    _write_samplers(folder, "classed", CLASSED.recipe(), CLASSED.network())
    _write_samplers(folder, "mixture", mixture, mixture_network(MIXTURE))


def _write_samplers(folder: Path, family: str, recipe: Denoising, network: ir.Model) -> None:
    """All graphs but the slope, whose port takes a noise level an image: these networks take one for all."""
    channels, height, width = recipe.noise_shape
    graphs = build_samplers(recipe, {"denoise": network}, (channels, height, width))
    built = {graph.name: graph for graph in graphs if graph.name != SLOPE}
    common = _common(family, recipe.noise_shape) | {"noise": {"scheme": SCHEME, "law": recipe.law_name}}
    for name, graph in built.items():
        contents = metadata.document(name, SUMMARIES[name], graph.inputs, graph.outputs, graph.inner, common)
        main = name == SAMPLE
        contents["parts"] = [part for part in built if part != SAMPLE] if main else []
        _save(folder / (f"{family}.onnx" if main else f"{family}.{name}.onnx"), graph.model, contents)


def write_echo(folder: Path) -> None:
    """A graph that gives back inputs of every dtype, so that no host loses a digit on the way."""
    of = {"flags": "bool", "bytes": "uint8", "small": "int32", "big": "int64", "single": "float32", "wide": "float64"}
    inputs = [Port(name, dtype, ("n",), f"{dtype} numbers") for name, dtype in of.items()]
    inputs[2] = Port("small", "int32", ("n",), "int32 numbers", minimum=-1000, maximum=1000)
    inputs += [
        Port("scale", "float32", (), "a number with a default", minimum=0.5, maximum=2.5, default=1.5, optional=True),
        Port("mode", "int64", (), "a choice", 0, 2, 1, optional=True, choices=("low", "middle", "high")),
    ]
    outputs = [Port(f"{port.name}_out", port.dtype, port.shape, "the same numbers") for port in inputs]
    contents = metadata.document("echo", "Gives back what it takes.", inputs, outputs, (), _common("echo", (1, 1, 1)))
    _save(folder / "echo.onnx", ir.from_proto(onnx.parser.parse_model(ECHO)), contents)


def write_trained(folder: Path) -> None:
    """A tiny model of every family, trained for seconds on sprites made small and grey."""
    for name, options in FAMILIES.items():
        with tempfile.TemporaryDirectory() as work:
            run, images = Path(work, "run"), Path(work, "sprites.npy")
            np.save(images, small_sprites(SIDES.get(name, 8)))
            given = {"steps": STEPS, "batch_size": BATCH, "warmup": 20, "ema": 0.98, "save_every": STEPS}
            settings = TrainSettings(**{**family_class(name).defaults, **given, "preview_every": STEPS})
            start(name, options, settings, Source(str(images)), run, torch.device("cpu"))
            record, model = restore_averaged(run)
            export_family(model, folder, name, about(record))


def small_sprites(side: int) -> np.ndarray:
    """Sprites as means over squares of their pixels and colours, uint8 (2000, side, side, 1)."""
    images = SpriteSet(2000).images(np.arange(2000))
    cells = images.reshape(len(images), side, images.shape[1] // side, side, images.shape[2] // side, -1)
    return np.round(cells.mean((2, 4, 5)))[..., None].astype(np.uint8)


def _common(family: str, image: Sequence[int]) -> dict[str, Any]:
    """What the files of a family that nobody trained say."""
    channels, height, width = image
    sections = dict.fromkeys(("schedule", "noise", "data", "training"))
    tool = {"gen_export": gen_export.__version__, "onnxruntime": onnxruntime.__version__}
    size = {"height": height, "width": width, "channels": channels}
    return {"family": family, "image": size, "config": {}, **sections, "tool": tool}


def _save(path: Path, model: ir.Model, contents: Mapping[str, Any] | str | None) -> None:
    """A checked model with a card, with this text in its place, or without one."""
    if contents is not None:
        model.metadata_props[metadata.KEY] = contents if isinstance(contents, str) else json.dumps(contents)
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(proto.SerializeToString())


DOUBLE = """
    <ir_version: 8, opset_import: ["" : 18]>
    double (float[batch, 2] x) => (float[batch, 2] y) { y = Add(x, x) }
"""


FLOATS = """
    <ir_version: 8, opset_import: ["" : 18]>
    sample (int64 seed, int64 count) => (float[count, 1, 2, 1] images)
    <int64[1] one = {1}, int64[3] pixels = {1, 2, 1}, float[1, 1, 1, 1] grey = {0.5}> {
        size = Reshape(count, one)
        shape = Concat<axis = 0>(size, pixels)
        images = Expand(grey, shape)
    }
"""


def write_broken(folder: Path) -> None:
    """Files that every host refuses, by name what is wrong with them."""
    ports = [Port("x", "float32", ("batch", 2), "numbers")], [Port("y", "float32", ("batch", 2), "twice as much")]
    card = metadata.document("double", "Twice as much.", *ports, (), _common("double", (1, 1, 2)))
    x = card["inputs"][0]
    cards: dict[str, Mapping[str, Any] | str | None] = {
        "whole": card,
        "foreign": None,
        "newer": card | {"version": 2},
        "no_version": {name: value for name, value in card.items() if name != "version"},
        "no_outputs": {name: value for name, value in card.items() if name != "outputs"},
        "no_json": json.dumps(card)[:-1],
        "not_a_number": json.dumps(card | {"summary": float("nan")}),
        "infinite": json.dumps(card | {"config": {"beta": 12345}}).replace("12345", "1e999"),
        "deep": json.dumps(card | {"config": {"a": 12345}}).replace("12345", "[" * 40 + "]" * 40),
        "path_as_part": card | {"parts": ["../whole"]},
        "other_dtype": card | {"inputs": [x | {"dtype": "float64"}]},
        "other_input": card | {"inputs": [x | {"name": "z"}]},
        "other_shape": card | {"inputs": [x | {"shape": ["batch", 3]}]},
        "unknown_field": card | {"inputs": [x | {"colour": "red"}]},
        "missing_part": card | {"parts": ["encode"]},
        "swapped_part": card | {"parts": ["encode"]},
        "swapped_part.encode": card,
    }
    for name, contents in cards.items():
        _save(folder / f"{name}.onnx", ir.from_proto(onnx.parser.parse_model(DOUBLE)), contents)
    floats = Port("images", "float32", ("count", 1, 2, 1), "pixels")
    contents = metadata.document(SAMPLE, "Grey.", SEED_PORTS[:2], [floats], (), _common("double", (1, 1, 2)))
    _save(folder / "float_images.onnx", ir.from_proto(onnx.parser.parse_model(FLOATS)), contents)
    data = (folder / "whole.onnx").read_bytes()
    (folder / "truncated.onnx").write_bytes(data[: len(data) // 2])
    (folder / "empty.onnx").write_bytes(b"")
    (folder / "text.onnx").write_text("This is no ONNX file.\n", encoding="utf-8")
    (folder / "folder.onnx").mkdir(exist_ok=True)
    (folder / "folder.onnx" / ".keep").touch()
