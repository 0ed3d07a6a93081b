"""The sampler as one graph: seed and count in, bytes out. Torch-free: the networks are any ONNX models.

Every equation comes from `gen_export.spec`, applied to `GraphArray`: noise, schedule, step and bytes.
"""

from collections.abc import Callable, Mapping
from functools import reduce

import onnx_ir as ir

from gen_export.export.autoregressive import AutoregressiveGraph
from gen_export.export.denoising import STEP, DenoisingGraph
from gen_export.export.flow import INVERT, LOG_LIKELIHOOD, SLOPE
from gen_export.export.graph_arrays import GraphArray
from gen_export.export.sampler_graph import (
    SEED_PORTS,
    Built,
    Inputs,
    NoiseSource,
    SamplerGraph,
    build,
    given,
    named,
    seeded,
)
from gen_export.models.recipes import Autoregressive, Denoising, OneShot, Recipe
from gen_export.spec.pixels import pictures
from gen_runtime.ports import Port

SAMPLE, FROM_NOISE = "sample", "sample_from_noise"
TRAIN, START = "train", "start"
SUMMARIES = {
    SAMPLE: "Images from a seed: noise, network and bytes in one call.",
    FROM_NOISE: "Images from given noise, for runtimes whose integers are wrong and for tests.",
    STEP: "One step of the sampler from noise level t to s.",
    SLOPE: "The predicted noise in images, and its derivative along a direction.",
    INVERT: "The noise from which ddim returns given images.",
    LOG_LIKELIHOOD: "The log density of images under the probability flow.",
    TRAIN: "One step of training: from the state before it to the state after it.",
    START: "The state of training at first.",
}


class OneShotGraph(SamplerGraph):
    """The recipe `OneShot`."""

    def images(self, noise: NoiseSource, inputs: Inputs) -> GraphArray:
        """The noise through every network in turn."""
        networks = range(len(self.networks))
        return reduce(lambda x, network: self.guided(noise, inputs, network).call(x)[0], networks, noise.initial)


KINDS: dict[type[Recipe], type[SamplerGraph]] = {
    OneShot: OneShotGraph,
    Denoising: DenoisingGraph,
    Autoregressive: AutoregressiveGraph,
}


def build_samplers(
    recipe: Recipe, networks: Mapping[str, ir.Model], image: tuple[int, int, int], unroll: int | None = None
) -> list[Built]:
    """The sampler that draws its noise from a seed, its sibling that takes the noise, and further graphs.

    Args:
        recipe: How images come from noise.
        networks: The recipe's graphs as ONNX models; their opset and IR version become the samplers'.
        image: (C, H, W).
        unroll: Write this fixed number of steps one after another instead of a Loop.
    """
    channels, height, width = image
    images = Port("images", "uint8", ("count", height, width, channels), "pixels, sample `first` first")
    pixels = Port("pixels", "float32", ("count", *image), "images in [-1, 1], before they are bytes")
    sampler = KINDS[type(recipe)](recipe, networks, unroll)
    options, network, drawn = sampler.option_ports(), sampler.networks[0], sampler.initial_noise_port()
    taken = (*sampler.noise_ports(), *(SEED_PORTS[-1:] if recipe.classes else ()), *options)

    def from_seed(inputs: Inputs) -> NoiseSource:
        source = seeded(recipe, inputs)
        return source._replace(initial=named(drawn, source.initial))

    def to_images(noise: Callable[[Inputs], NoiseSource]) -> Callable[[Inputs], tuple[GraphArray]]:
        return lambda i: (pictures(named(pixels, sampler.images(noise(i), i))),)

    return [
        build(SAMPLE, (*SEED_PORTS, *options), (images,), network, to_images(from_seed), (drawn, pixels)),
        build(FROM_NOISE, taken, (images,), network, to_images(lambda i: given(sampler, i)), (pixels,)),
        *sampler.extras(),
    ]
