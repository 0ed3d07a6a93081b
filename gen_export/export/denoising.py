"""The reverse process of diffusion as a Loop around the denoiser, as a row of steps, and as one step."""

from collections.abc import Callable

import numpy as np

from gen_export.export.graph_arrays import NAMESPACE as xp  # noqa: N811 - the Array API's name for a namespace
from gen_export.export.graph_arrays import GraphArray, constant, emit
from gen_export.export.sampler_graph import Built, Inputs, NoiseSource, SamplerGraph, build
from gen_export.export.subgraphs import either, inline, loop
from gen_export.models.recipes import Denoising
from gen_export.spec.diffusion import image_ddim_law
from gen_export.spec.schedules import trailing_state
from gen_runtime.ports import Port

STEP = "step"


class DenoisingGraph(SamplerGraph):
    """The recipe `Denoising`."""

    recipe: Denoising
    unrolls = True

    def images(self, noise: NoiseSource, inputs: Inputs) -> GraphArray:
        """Images after all steps."""
        return self._row(noise, inputs) if self.unroll else self._loop(noise, inputs)

    def _loop(self, noise: NoiseSource, inputs: Inputs) -> GraphArray:
        """The reverse process as a Loop over `steps`."""
        steps, eta = inputs["steps"], inputs["eta"]

        def body(j: GraphArray, x: GraphArray) -> list[GraphArray]:
            t, s = (xp.reshape(trailing_state(k, steps, self.recipe.states), (1,)) for k in (j, j + 1))
            mean, sigma = self._mean_and_sigma(x, t, s, eta)
            return [_add_noise(mean, sigma, eta, lambda: noise.fresh(xp.reshape(j + 1, (1,))))]

        return loop(steps, [noise.initial], [("count", *self.recipe.noise_shape)], body)[0]

    def _row(self, noise: NoiseSource, inputs: Inputs) -> GraphArray:
        """The reverse process as copies of the step, without Loop or If."""
        x, steps = noise.initial, self.unroll or 0
        for j in range(steps):
            t, s = (constant([trailing_state(k, steps, self.recipe.states)], np.int64) for k in (j, j + 1))
            mean, sigma = self._mean_and_sigma(x, t, s, inputs["eta"])
            x = mean + sigma * noise.fresh(constant([j + 1], np.int64))
        return x

    def _mean_and_sigma(
        self, x: GraphArray, t: GraphArray, s: GraphArray, eta: GraphArray
    ) -> tuple[GraphArray, GraphArray]:
        """Mean of the step from state t (1,) to s (1,), and the scale of its fresh noise."""
        table = constant(self.recipe.alpha_bars)
        abar_t, abar_s = table[t], table[s]
        (eps_hat,) = inline(self.networks[0], x, t)
        return image_ddim_law(x, eps_hat, abar_t, abar_s, eta)

    def option_ports(self) -> tuple[Port, ...]:
        """Steps, where they are not fixed, and eta."""
        steps, eta = self.recipe.options.values()
        free = Port("steps", "int64", (), "number of denoising steps", 1, self.recipe.states, steps, optional=True)
        fresh = Port("eta", "float32", (), "fresh noise: 0 none .. 1 ancestral", 0, 1, eta, optional=True)
        return (fresh,) if self.unroll else (free, fresh)

    def noise_ports(self) -> tuple[Port, ...]:
        """The given noise. Without an If, an unrolled sampler reads the noise of each step whatever eta is."""
        shape = (self.unroll or "draws", "count", *self.recipe.noise_shape)
        what = "standard normal noise of each step" + ("" if self.unroll else "; needed when eta > 0")
        return self.initial_noise_port(), Port("step_noise", "float32", shape, what, optional=not self.unroll)

    def given(self, inputs: Inputs) -> NoiseSource:
        """The initial noise, and that of step j (1,), taken from the inputs."""

        def draw(number: GraphArray) -> GraphArray:
            return xp.reshape(inputs["step_noise"][number - 1], (-1, *self.recipe.noise_shape))

        return NoiseSource(inputs["noise"], draw)

    def extras(self) -> list[Built]:
        """One step as a graph of its own: x, t, s, eta and the noise z in, x_s out."""
        shape, last = ("batch", *self.recipe.noise_shape), self.recipe.states
        ports = (
            Port("x", "float32", shape, "noised images"),
            Port("t", "int64", (), "noise level of x", 1, last),
            Port("s", "int64", (), "noise level to go to, below t", 0, last - 1),
            self.option_ports()[-1],
            Port("z", "float32", shape, "standard normal noise; needed when eta > 0", optional=True),
        )

        def compute(i: Inputs) -> GraphArray:
            t, s = (xp.reshape(i[name], (1,)) for name in ("t", "s"))
            mean, sigma = self._mean_and_sigma(i["x"], t, s, i["eta"])
            return _add_noise(mean, sigma, i["eta"], lambda: emit("Identity", i["z"]))

        output = Port("x_s", "float32", shape, "images at noise level s")
        return [build(STEP, ports, output, self.networks[0], compute)]


def _add_noise(mean: GraphArray, sigma: GraphArray, eta: GraphArray, fresh: Callable[[], GraphArray]) -> GraphArray:
    """Mean + sigma noise; the noise costs as much as a small layer, so it is not drawn where eta = 0."""
    return either(eta > 0.0, lambda: mean + sigma * fresh(), lambda: emit("Identity", mean))
