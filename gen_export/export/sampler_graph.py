"""What the samplers of all recipes share: ports of the seed, the noise drawn inside, and a graph around a network."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import NameFixPass

from gen_export.export.graph_arrays import NAMESPACE as xp  # noqa: N811 - the Array API's name for a namespace
from gen_export.export.graph_arrays import GraphArray, constant, emit, graph_input, recording
from gen_export.export.guided import Guided
from gen_export.models.labels import label_ports
from gen_export.models.recipes import Recipe
from gen_export.spec.guidance import EACH
from gen_export.spec.noise import sample_keys
from gen_runtime.ports import Port

Inputs = dict[str, GraphArray]
Draw = Callable[[GraphArray], GraphArray]

SEED_PORTS = (
    Port("seed", "int64", (), "any number; the same seed gives the same images everywhere"),
    Port("count", "int64", (), "number of images", minimum=1),
    Port("first", "int64", (), "index of the first sample", minimum=0, default=0, optional=True),
)
GUIDANCE_PORT = Port("guidance", "float32", (), "how much of the class: 0 none, 1 as learned", 0, 100, 1, optional=True)


@dataclass(frozen=True, slots=True)
class Built:
    """A graph built around a family's networks.

    Attributes:
        name: `sample`, `sample_from_noise`, `step` or another of `SUMMARIES`.
        model: The ONNX model.
        inputs: Its input ports.
        outputs: Its output ports.
        inner: Ports of values on the way that keep their name, for checks.
    """

    name: str
    model: ir.Model
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    inner: tuple[Port, ...] = ()


class NoiseSource(NamedTuple):
    """Where a sampler's noise comes from.

    Attributes:
        initial: Draw 0.
        fresh: From j (1,), at least 1, to draw j.
        labels: The classes of the samples, int64 (count,), where they have some.
    """

    initial: GraphArray
    fresh: Draw
    labels: GraphArray | None = None


class SamplerGraph(ABC):
    """The images of a recipe as nodes, and the ports that they need.

    Args:
        recipe: How images come from noise.
        networks: The recipe's graphs as ONNX models.
        unroll: Fixed number of steps to write one after another instead of a Loop, for recipes that loop.
    """

    def __init__(self, recipe: Any, networks: Mapping[str, ir.Model], unroll: int | None = None) -> None:
        self.recipe, self.unroll = recipe, unroll
        self.networks = [networks[name] for name in recipe.graphs]

    @abstractmethod
    def images(self, noise: NoiseSource, inputs: Inputs) -> GraphArray:
        """Images in [-1, 1], (count, C, H, W)."""

    def option_ports(self) -> tuple[Port, ...]:
        """What the sampler takes beside the noise: with classes, that of the images and how much of it."""
        return (*label_ports(self.recipe.classes, EACH), *self.guidance_ports())

    def guidance_ports(self) -> tuple[Port, ...]:
        """The scale of the guidance, where there are classes to guide to."""
        return (GUIDANCE_PORT,) if self.recipe.classes and self.recipe.guided else ()

    def noise_ports(self) -> tuple[Port, ...]:
        """The noise as inputs, draw 0 first."""
        return (self.initial_noise_port(),)

    def given(self, inputs: Inputs) -> NoiseSource:
        """The noise taken from the inputs: here draw 0, and no other is asked for."""
        return NoiseSource(inputs["noise"], _no_more)

    def guided(self, noise: NoiseSource, inputs: Inputs, network: int = 0) -> Guided:
        """One of the recipe's networks, told the classes of the samples."""
        return Guided(self.networks[network], noise.labels, inputs.get("guidance"), len(self.recipe.classes))

    def extras(self) -> list[Built]:
        """Further graphs for hosts with a loop of their own, and for tests: none."""
        return []

    def initial_noise_port(self) -> Port:
        """Draw 0 as an input."""
        recipe: Recipe = self.recipe
        return Port("noise", recipe.dtype, ("count", *recipe.noise_shape), f"{recipe.law_name} initial noise")


def _no_more(_: GraphArray) -> GraphArray:
    raise AssertionError("a recipe without steps draws noise once")


def build(
    name: str,
    inputs: tuple[Port, ...],
    outputs: tuple[Port, ...],
    network: ir.Model,
    compute: Callable[[Inputs], Sequence[GraphArray]],
    inner: tuple[Port, ...] = (),
) -> Built:
    """A model with these ports, of the network's opset, whose outputs are what `compute` records.

    `compute` gives the values of `inner` their names (`named`).
    """
    with recording(name, network.opset_imports[""]) as graph:
        results = compute({port.name: _declare(port) for port in inputs})
        for port, result in zip(outputs, results, strict=True):
            named(port, result).value.shape = ir.Shape(port.shape)
            graph.outputs.append(result.value)
    model = ir.Model(graph, ir_version=network.ir_version)
    _name_apart(graph)
    NameFixPass()(model)
    return Built(name, model, inputs, outputs, inner)


def _name_apart(graph: ir.Graph) -> None:
    """Names that no other graph of the model has, for values that each graph has numbered for itself."""
    values = (value for node in ir.traversal.RecursiveGraphIterator(graph) for value in node.outputs)
    for number, value in enumerate(values):
        if (value.name or "").startswith("val_"):
            value.name = f"value_{number}"


def _declare(port: Port) -> GraphArray:
    """The graph input of a port; an optional one without a scalar default has an empty array as its initializer."""
    default: Any = port.default
    if port.optional and default is None:
        default = np.zeros([0 if isinstance(extent, str) else extent for extent in port.shape])
    return graph_input(port.name, port.dtype, port.shape, default)


def named(port: Port, array: GraphArray) -> GraphArray:
    """The array, its value known in the file by the port's name."""
    array.value.name = port.name
    return array


def seeded(recipe: Recipe, inputs: Inputs) -> NoiseSource:
    """The noise drawn from the seed, sample by sample."""
    seed_bits = xp.astype(xp.reshape(inputs["seed"], (1,)), np.uint64)
    # Not Range(first, first + count): ONNX Runtime counts it in float64 and loses rows from 2^53 on.
    index = inputs["first"] + xp.arange(inputs["count"])
    keys = sample_keys(seed_bits, xp.astype(index, np.uint64))
    labels = recipe.labels(index, inputs["label"]) if recipe.classes else None

    def draw(number: GraphArray) -> GraphArray:
        return recipe.draw(keys, xp.astype(number, np.uint64))

    return NoiseSource(draw(constant([0], np.int64)), draw, labels)


def given(sampler: SamplerGraph, inputs: Inputs) -> NoiseSource:
    """The noise taken from the inputs, for samples `first` and on of which only the classes depend."""
    source, recipe = sampler.given(inputs), sampler.recipe
    if not recipe.classes:
        return source
    count = xp.reshape(emit("Shape", source.initial, dtype=np.int64, start=0, end=1), ())
    return source._replace(labels=recipe.labels(inputs["first"] + xp.arange(count), inputs["label"]))
