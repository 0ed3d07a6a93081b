"""The deterministic flow of a denoiser as graphs: its slope, from images to noise, and the density of images.

The equations are those of `gen_export.spec.inversion` and `gen_export.spec.flow`, recorded.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from gen_export.export.graph_arrays import NAMESPACE as xp  # noqa: N811 - the Array API's name for a namespace
from gen_export.export.graph_arrays import GraphArray, constant, emit
from gen_export.export.sampler_graph import Built, Inputs, build
from gen_export.export.subgraphs import either, inline, loop
from gen_export.export.tangents import directional
from gen_export.models.labels import label_ports
from gen_export.models.recipes import Denoising
from gen_export.spec.flow import Probing, angles, bits_per_dim, log_likelihood
from gen_export.spec.inversion import ITERATIONS, Body, Loop, invert
from gen_export.spec.noise import sample_keys, signs
from gen_export.spec.schedules import SPACINGS
from gen_runtime.ports import Port

FLOW = SLOPE, INVERT, LOG_LIKELIHOOD = "slope", "invert", "log_likelihood"


class FlowGraphs:
    """The graphs of the flow of a recipe's denoiser.

    Args:
        recipe: How it samples.
        network: It, as an ONNX model.
    """

    def __init__(self, recipe: Denoising, network: ir.Model) -> None:
        self.recipe, self.network = recipe, network
        self.shape = ("batch", *recipe.noise_shape)
        self.label = label_ports(recipe.classes)

    def slope(self) -> Built:
        """The predicted noise and its derivative along a direction."""
        ports = (
            Port("x", "float32", self.shape, "noised images"),
            Port("t", "int64", ("batch",), "noise level: 0 clean .. T noise", 0, self.recipe.states),
            Port("direction", "float32", self.shape, "how x moves"),
            *self.label,
        )
        outputs = (
            Port("eps", "float32", self.shape, "predicted noise"),
            Port("slope", "float32", self.shape, "how it moves: its derivative in x times the direction"),
        )
        return build(SLOPE, ports, outputs, self.network, lambda i: self._slope(i)(i["x"], i["t"], i["direction"]))

    def invert(self) -> Built:
        """Images to the noise that DDIM makes them of."""
        ports = (
            Port("x", "float32", self.shape, "images, pixels in [-1, 1]", -1.0, 1.0),
            self._steps(),
            Port("iterations", "int64", (), "evaluations of the network in a step", 1, 100, ITERATIONS, optional=True),
            Port("clip", "int64", (), "1 for steps that clip, as the sampler's do", 0, 1, 0, optional=True),
            *self.label,
        )

        def compute(i: Inputs) -> tuple[GraphArray]:
            levels, looping = constant(self.recipe.alpha_bars), self._looping(self.shape)
            bound = xp.where(i["clip"] > 0, constant(1.0, np.float32), math.inf)
            iterations, denoise = i["iterations"], self._denoise(i)
            return (invert(denoise, i["x"], levels, i["steps"], self._state, iterations, bound, looping),)

        output = Port("noise", "float32", self.shape, "noise from which as many steps of ddim, eta 0, return x")
        return build(INVERT, ports, (output,), self.network, compute)

    def log_likelihood(self) -> Built:
        """The density of images, in nats and in bits a value."""
        ports = (
            Port("x", "float32", self.shape, "images, pixels in [-1, 1]: bytes with noise of a level"),
            self._steps(),
            Port("probes", "int64", (), "random directions each time; 0: all", 0, 2**20, 1, optional=True),
            Port("seed", "int64", (), "of the random directions", default=0, optional=True),
            *self.label,
        )
        outputs = (
            Port("nats", "float32", ("batch",), "log density of x"),
            Port("bits_per_dim", "float32", ("batch",), "bits a value of images of bytes"),
        )

        def compute(i: Inputs) -> tuple[GraphArray, GraphArray]:
            abars, phis = constant(self.recipe.alpha_bars), constant(angles(self.recipe.alpha_bars), np.float32)
            probing, looping = self._probing(i), self._looping(self.shape, ("batch",))
            nats = log_likelihood(self._slope(i), i["x"], abars, phis, i["steps"], self._state, probing, looping)
            return nats, bits_per_dim(nats, math.prod(self.recipe.noise_shape))

        return build(LOG_LIKELIHOOD, ports, outputs, self.network, compute)

    def _steps(self) -> Port:
        return Port("steps", "int64", (), "number of steps", 1, self.recipe.states, self.recipe.steps, optional=True)

    def _state(self, j: Any, steps: Any) -> GraphArray:
        """The state before step j of a run, (1,)."""
        return xp.reshape(SPACINGS[self.recipe.spacing](j, steps, self.recipe.states), (1,))

    def _looping(self, *shapes: Sequence[int | str]) -> Loop:
        """Loop over states whose shapes are these, again and again."""

        def looping(trips: GraphArray, states: Sequence[GraphArray], body: Body) -> Sequence[GraphArray]:
            return loop(trips, states, [shapes[i % len(shapes)] for i in range(len(states))], body)

        return looping

    def _denoise(self, inputs: Inputs) -> Callable[[GraphArray, GraphArray], GraphArray]:
        """The network for the class that the inputs name."""
        return lambda x, t: inline(self.network, x, t, *self._known(inputs))[0]

    def _slope(self, inputs: Inputs) -> Callable[..., tuple[GraphArray, GraphArray]]:
        """Its output and derivative at x and t along a direction."""
        return lambda x, t, direction: directional(self.network, direction, x, t, *self._known(inputs))

    def _known(self, inputs: Inputs) -> list[GraphArray]:
        return [inputs[port.name] for port in self.label]

    def _probing(self, inputs: Inputs) -> Probing:
        """All unit vectors where no probes are asked for, else signs from the seed, other ones in each evaluation."""
        x, probes, size = inputs["x"], inputs["probes"], math.prod(self.recipe.noise_shape)
        exact = xp.equal(probes, 0)
        count = xp.where(exact, constant(size, np.int64), probes)
        rows = xp.reshape(emit("Shape", x, dtype=np.int64, start=0, end=1), ())
        seed = xp.astype(xp.reshape(inputs["seed"], (1,)), np.uint64)
        keys = sample_keys(seed, xp.astype(xp.arange(rows), np.uint64))

        def unit(k: GraphArray) -> GraphArray:
            z = xp.astype(xp.equal(xp.arange(size), k), np.float32)
            return 0.0 * x + xp.reshape(z, self.recipe.noise_shape)

        def drawn(number: GraphArray) -> GraphArray:
            z = signs(keys, xp.astype(xp.reshape(number, (1,)), np.uint64), size)
            return xp.reshape(z, (-1, *self.recipe.noise_shape))

        def probe(j: GraphArray, k: GraphArray) -> GraphArray:
            return either(exact, lambda: [unit(k)], lambda: [drawn(j * probes + k)])[0]

        return Probing(probe, count, xp.where(exact, constant(1.0, np.float32), 1.0 / xp.astype(probes, np.float32)))


def flow_graphs(recipe: Denoising, network: ir.Model, unroll: int | None) -> list[Built]:
    """The slope, and the graphs that loop unless a sampler without loops is asked for."""
    graphs = FlowGraphs(recipe, network)
    return [graphs.slope(), *([] if unroll else [graphs.invert(), graphs.log_likelihood()])]
