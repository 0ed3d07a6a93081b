"""Small exported files whose every output is known, from ONNX text."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import parser

HEIGHT, WIDTH = 4, 5

SAMPLE = """
<ir_version: 10, opset_import: ["": 18]>
sampler (int64 seed, int64 count, int64 first, int64 steps, float eta) => (uint8[count, 4, 5, C] images)
<int64 first = {0}, int64 steps = {50}, float eta = {0.0},
 int64 zero = {0}, int64 one = {1}, int64 levels = {256},
 int64 a = {31}, int64 b = {7}, float hundred = {100.0}>
{
    offset = Range(zero, count, one)
    row = Add(first, offset)
    from_seed = Mul(seed, a)
    from_row = Mul(row, b)
    scaled = Mul(eta, hundred)
    from_eta = Cast<to = 7>(scaled)
    total = Sum_(from_seed, from_row, steps, from_eta)
    cell = Constant<value_ints = [-1, 1, 1, 1]>()
    image = Reshape(total, cell)
    pixels = Constant<value_ints = [PIXELS]>()
    shape = Constant<value_ints = [1, 4, 5, C]>()
    pattern = Reshape(pixels, shape)
    sum = Add(image, pattern)
    level = Mod(sum, levels)
    images = Cast<to = 2>(level)
}
"""

ENCODE = """
<ir_version: 10, opset_import: ["": 18]>
encoder (float[batch, C, 4, 5] image) => (float[batch, 2] mu, float[batch, 2] logvar)
<int64[1] zero = {0}, int64[1] two = {2}, int64[1] axis = {1}>
{
    flat = Flatten(image)
    mu = Slice(flat, zero, two, axis)
    logvar = Neg(mu)
}
"""

DECODE = """
<ir_version: 10, opset_import: ["": 18]>
decoder (float[batch, 2] z) => (float[batch, C, 4, 5] image)
<int64[1] axis = {1}, int64[4] shape = {1, C, 4, 5}, int64[4] cell = {-1, 1, 1, 1}>
{
    mean = ReduceMean(z, axis)
    column = Reshape(mean, cell)
    ones = ConstantOfShape<value = float[1] {1.0}>(shape)
    image = Mul(column, ones)
}
"""

DENOISE = """
<ir_version: 10, opset_import: ["": 18]>
denoiser (float[batch, C, 4, 5] x, int64[batch] t) => (float[batch, C, 4, 5] eps)
<int64[4] cell = {-1, 1, 1, 1}>
{
    time = Cast<to = 1>(t)
    factor = Reshape(time, cell)
    eps = Mul(x, factor)
}
"""


def port(name, dtype, shape, **rest):
    """A port of the metadata document."""
    return {"name": name, "dtype": dtype, "shape": list(shape), **rest}


def ports(graph, channels=1):
    """The inputs and outputs of one of the graphs here."""
    image = ["batch", channels, HEIGHT, WIDTH]
    codes = ["batch", 2]
    return {
        "sample": (
            [
                port("seed", "int64", [], description="any whole number"),
                port("count", "int64", [], minimum=1),
                port("first", "int64", [], minimum=0, default=0, optional=True),
                port("steps", "int64", [], minimum=1, maximum=1000, default=50, optional=True),
                port("eta", "float32", [], minimum=0, maximum=1, default=0, optional=True),
            ],
            [port("images", "uint8", ["count", HEIGHT, WIDTH, channels], minimum=0, maximum=255)],
        ),
        "encode": (
            [port("image", "float32", image, minimum=-1, maximum=1)],
            [port("mu", "float32", codes), port("logvar", "float32", codes)],
        ),
        "decode": ([port("z", "float32", codes)], [port("image", "float32", image)]),
        "denoise": (
            [port("x", "float32", image), port("t", "int64", ["batch"], minimum=1)],
            [port("eps", "float32", image)],
        ),
    }[graph]


def card(graph, parts=(), channels=1, **changes):
    """The metadata document of one of the graphs here, with some fields changed or (None) as they are."""
    inputs, outputs = ports(graph, channels)
    document = {
        "version": 1,
        "family": "diffusion",
        "graph": graph,
        "summary": "Draws images from a seed.",
        "image": {"height": HEIGHT, "width": WIDTH, "channels": channels},
        "inputs": inputs,
        "outputs": outputs,
        "parts": list(parts),
        "config": {"net": "unet", "widths": [8, 16]},
        "schedule": {"kind": "linear", "T": 1000, "betas": list(range(20))},
        "noise": {"scheme": "squares", "law": "standard normal"},
        "data": {"name": "sprites", "images": 100, "image_shape": [4, 5, 1], "label_names": []},
        "training": None,
        "parity": [{"graph": graph, "batch": 3, "max_abs": 1.25e-7, "rel_l2": 2e-7}],
        "trajectory": None,
        "tool": {"gen_export": "0.1.0", "torch": "2.13.0"},
    }
    return document | changes


def text(graph, channels=1):
    """The ONNX text of a graph for images with this many channels."""
    source = {"sample": SAMPLE, "encode": ENCODE, "decode": DECODE, "denoise": DENOISE}[graph]
    pixels = ", ".join(str(i) for i in range(HEIGHT * WIDTH * channels))
    summed = "s1 = Add(from_seed, from_row)\n s2 = Add(s1, steps)\n total = Add(s2, from_eta)"
    source = source.replace("total = Sum_(from_seed, from_row, steps, from_eta)", summed)
    return source.replace("PIXELS", pixels).replace(", C", f", {channels}")


def write(path, source, document):
    """Writes an ONNX file from text, with a card as a dict or as raw text, or None for no card."""
    model = parser.parse_model(source)
    if document is not None:
        raw = document if isinstance(document, str) else json.dumps(document)
        onnx.helper.set_model_props(model, {"gen_export": raw})
    onnx.checker.check_model(model, full_check=True)
    Path(path).write_bytes(model.SerializeToString())
    return Path(path)


def write_model(folder, name="tiny", parts=("encode", "decode", "denoise"), channels=1):
    """Writes `<name>.onnx`, a sampler, and its parts; returns the sampler's path."""
    for part in parts:
        write(folder / f"{name}.{part}.onnx", text(part, channels), card(part, channels=channels))
    return write(folder / f"{name}.onnx", text("sample", channels), card("sample", parts, channels))


def expected(count, seed, first=0, steps=50, eta=0.0, channels=1):
    """The images that the sampler here draws, by NumPy, uint8 [count, 4, 5, channels]."""
    with np.errstate(over="ignore"):
        rows = np.arange(count, dtype=np.int64) + np.int64(first)
        total = np.int64(seed) * np.int64(31) + rows * np.int64(7) + np.int64(steps) + np.int64(eta * 100)
    pattern = np.arange(HEIGHT * WIDTH * channels).reshape(1, HEIGHT, WIDTH, channels)
    return ((total.reshape(-1, 1, 1, 1) + pattern) % 256).astype(np.uint8)
