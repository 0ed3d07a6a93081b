"""The sampler as one graph: seed and count in, bytes out. Torch-free: the network is any ONNX model.

Every equation comes from `gen_export.spec`, applied to `GraphArray`: noise, schedule, step and bytes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import NameFixPass

from gen_export.export.graph_arrays import NAMESPACE as xp  # noqa: N811 - the Array API's name for a namespace
from gen_export.export.graph_arrays import (
    GraphArray,
    constant,
    either,
    emit,
    graph_input,
    inline,
    loop,
    recording,
)
from gen_export.models.recipes import Denoising, OneShot, Recipe
from gen_export.spec.diffusion import image_ddim_law
from gen_export.spec.noise import normals, sample_keys
from gen_export.spec.pixels import to_bytes
from gen_export.spec.schedules import trailing_state
from gen_runtime.ports import Port

SAMPLE, FROM_NOISE, STEP = "sample", "sample_from_noise", "step"
SUMMARIES = {
    SAMPLE: "Images from a seed: noise, network and bytes in one call.",
    FROM_NOISE: "Images from given noise, for runtimes whose integers are wrong and for tests.",
    STEP: "One step of the sampler from noise level t to s.",
}
Inputs = dict[str, GraphArray]
Draw = Callable[[GraphArray], GraphArray]


@dataclass(frozen=True, slots=True)
class Built:
    """A graph built around a family's network.

    Attributes:
        name: `sample`, `sample_from_noise` or `step`.
        model: The ONNX model.
        inputs: Its input ports.
        outputs: Its output ports.
    """

    name: str
    model: ir.Model
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


def build_samplers(
    recipe: Recipe, network: ir.Model, image: tuple[int, int, int], unroll: int | None = None
) -> list[Built]:
    """The sampler that draws its noise from a seed, its sibling that takes the noise, and a loop's single step.

    Args:
        recipe: How images come from noise.
        network: The recipe's graph as an ONNX model; its opset and IR version become the samplers'.
        image: (C, H, W).
        unroll: Write this fixed number of steps one after another instead of a Loop.
    """
    channels, height, width = image
    images = Port("images", "uint8", ("count", height, width, channels), "pixels, sample `first` first")
    options = tuple(port for port in _option_ports(recipe) if not (unroll and port.name == "steps"))
    reverse = partial(_reverse, recipe, network, unroll)
    samplers = [
        _build(SAMPLE, (*_SEED_PORTS, *options), images, network, lambda i: reverse(*_seeded(recipe, i), i)),
        _build(
            FROM_NOISE,
            (*_noise_ports(recipe, unroll), *options),
            images,
            network,
            lambda i: reverse(*_given(recipe, i), i),
        ),
    ]
    return [*samplers, _build_step(recipe, network)] if isinstance(recipe, Denoising) else samplers


def _build(
    name: str,
    inputs: tuple[Port, ...],
    output: Port,
    network: ir.Model,
    compute: Callable[[Inputs], GraphArray],
) -> Built:
    """A model with these ports whose output is what `compute` records."""
    with recording(name, network.opset_imports[""]) as graph:
        result = compute({port.name: _declare(port) for port in inputs}).value
        result.name, result.shape = output.name, ir.Shape(output.shape)
        graph.outputs.append(result)
    model = ir.Model(graph, ir_version=network.ir_version)
    NameFixPass()(model)
    return Built(name, model, inputs, (output,))


def _reverse(
    recipe: Recipe, network: ir.Model, unroll: int | None, initial: GraphArray, fresh: Draw, inputs: Inputs
) -> GraphArray:
    """From noise to bytes (count, H, W, C)."""
    if isinstance(recipe, OneShot):
        (x,) = inline(network, initial)
    elif unroll is None:
        x = _loop(recipe, network, initial, fresh, inputs)
    else:
        x = _row(recipe, network, initial, fresh, inputs["eta"], unroll)
    return xp.permute_dims(to_bytes(x), (0, 2, 3, 1))


def _loop(recipe: Denoising, network: ir.Model, initial: GraphArray, fresh: Draw, inputs: Inputs) -> GraphArray:
    """The reverse process as a Loop over `steps`."""
    steps, eta = inputs["steps"], inputs["eta"]

    def body(j: GraphArray, x: GraphArray) -> GraphArray:
        t, s = (xp.reshape(trailing_state(k, steps, recipe.states), (1,)) for k in (j, j + 1))
        mean, sigma = _mean_and_sigma(recipe, network, x, t, s, eta)
        return _add_noise(mean, sigma, eta, lambda: fresh(xp.reshape(j + 1, (1,))))

    return loop(steps, initial, ("count", *recipe.noise_shape), body)


def _row(recipe: Denoising, network: ir.Model, x: GraphArray, fresh: Draw, eta: GraphArray, steps: int) -> GraphArray:
    """The reverse process as `steps` copies of the step, without Loop or If."""
    for j in range(steps):
        t, s = (constant([trailing_state(k, steps, recipe.states)], np.int64) for k in (j, j + 1))
        mean, sigma = _mean_and_sigma(recipe, network, x, t, s, eta)
        x = mean + sigma * fresh(constant([j + 1], np.int64))
    return x


def _mean_and_sigma(
    recipe: Denoising, network: ir.Model, x: GraphArray, t: GraphArray, s: GraphArray, eta: GraphArray
) -> tuple[GraphArray, GraphArray]:
    """Mean of the step from state t (1,) to s (1,), and the scale of its fresh noise."""
    table = constant(recipe.alpha_bars)
    abar_t, abar_s = table[t], table[s]
    (eps_hat,) = inline(network, x, t)
    return image_ddim_law(x, eps_hat, abar_t, abar_s, eta)


def _add_noise(mean: GraphArray, sigma: GraphArray, eta: GraphArray, fresh: Callable[[], GraphArray]) -> GraphArray:
    """Mean + sigma noise; the noise costs as much as a small layer, so it is not drawn where eta = 0."""
    return either(eta > 0.0, lambda: mean + sigma * fresh(), lambda: emit("Identity", mean))


def _build_step(recipe: Denoising, network: ir.Model) -> Built:
    """One step as a graph of its own: x, t, s, eta and the noise z in, x_s out."""
    shape = ("batch", *recipe.noise_shape)
    states = (
        Port("t", "int64", (), "noise level of x", 1, recipe.states),
        Port("s", "int64", (), "noise level to go to, below t", 0, recipe.states - 1),
    )
    ports = (
        Port("x", "float32", shape, "noised images"),
        *states,
        _option_ports(recipe)[1],
        Port("z", "float32", shape, "standard normal noise; needed when eta > 0", optional=True),
    )

    def compute(i: Inputs) -> GraphArray:
        t, s = (xp.reshape(i[name], (1,)) for name in ("t", "s"))
        mean, sigma = _mean_and_sigma(recipe, network, i["x"], t, s, i["eta"])
        return _add_noise(mean, sigma, i["eta"], lambda: emit("Identity", i["z"]))

    return _build(STEP, ports, Port("x_s", "float32", shape, "images at noise level s"), network, compute)


def _seeded(recipe: Recipe, inputs: Inputs) -> tuple[GraphArray, Draw]:
    """The initial noise, and that of step j (1,), drawn from the seed."""
    seed_bits = xp.astype(xp.reshape(inputs["seed"], (1,)), np.uint64)
    # Not Range(first, first + count): ONNX Runtime counts it in float64 and loses rows from 2^53 on.
    index = inputs["first"] + xp.arange(inputs["count"])
    keys = sample_keys(seed_bits, xp.astype(index, np.uint64))

    def draw(index: GraphArray) -> GraphArray:
        z = normals(keys, xp.astype(index, np.uint64), math.prod(recipe.noise_shape))
        return xp.reshape(xp.astype(z, np.float32), (-1, *recipe.noise_shape))

    return draw(constant([0], np.int64)), draw


def _given(recipe: Recipe, inputs: Inputs) -> tuple[GraphArray, Draw]:
    """The initial noise, and that of step j (1,), taken from the inputs."""

    def draw(index: GraphArray) -> GraphArray:
        return xp.reshape(inputs["step_noise"][index - 1], (-1, *recipe.noise_shape))

    return inputs["noise"], draw


def _declare(port: Port) -> GraphArray:
    """The graph input of a port; an optional one without a scalar default has an empty array as its initializer."""
    default: Any = port.default
    if port.optional and default is None:
        default = np.zeros([0 if isinstance(extent, str) else extent for extent in port.shape])
    return graph_input(port.name, port.dtype, port.shape, default)


_SEED_PORTS = (
    Port("seed", "int64", (), "any number; the same seed gives the same images everywhere"),
    Port("count", "int64", (), "number of images", minimum=1),
    Port("first", "int64", (), "index of the first sample", minimum=0, default=0, optional=True),
)


def _noise_ports(recipe: Recipe, unroll: int | None) -> tuple[Port, ...]:
    """The given noise. Without an If, an unrolled sampler reads the noise of each step whatever eta is."""
    initial = Port("noise", "float32", ("count", *recipe.noise_shape), "standard normal initial noise")
    if isinstance(recipe, OneShot):
        return (initial,)
    shape = (unroll or "draws", "count", *recipe.noise_shape)
    what = "standard normal noise of each step" + ("" if unroll else "; needed when eta > 0")
    return initial, Port("step_noise", "float32", shape, what, optional=not unroll)


def _option_ports(recipe: Recipe) -> tuple[Port, ...]:
    if isinstance(recipe, OneShot):
        return ()
    steps, eta = recipe.options.values()
    return (
        Port("steps", "int64", (), "number of denoising steps", 1, recipe.states, default=steps, optional=True),
        Port("eta", "float32", (), "fresh noise: 0 none .. 1 ancestral", 0, 1, default=eta, optional=True),
    )
