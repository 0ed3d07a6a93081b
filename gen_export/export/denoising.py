"""The reverse process of diffusion as a Loop around the denoiser, as a row of steps, and as one step."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from gen_export.export.flow import flow_graphs
from gen_export.export.graph_arrays import NAMESPACE as xp  # noqa: N811 - the Array API's name for a namespace
from gen_export.export.graph_arrays import GraphArray, constant, zero_rows
from gen_export.export.guided import Guided
from gen_export.export.sampler_graph import Built, Inputs, NoiseSource, SamplerGraph, build
from gen_export.export.subgraphs import choose, either, loop
from gen_export.models.labels import label_ports
from gen_export.models.recipes import Denoising
from gen_export.spec.diffusion import image_ddim_law
from gen_export.spec.schedules import SPACINGS
from gen_export.spec.solvers import SOLVERS, Levels, moves, visited
from gen_runtime.ports import Port

STEP = "step"


class DenoisingGraph(SamplerGraph):
    """The recipe `Denoising`."""

    recipe: Denoising

    def images(self, noise: NoiseSource, inputs: Inputs) -> GraphArray:
        """Images after all steps."""
        return self._row(noise, inputs) if self.unroll else self._loop(noise, inputs)

    def _loop(self, noise: NoiseSource, inputs: Inputs) -> GraphArray:
        """The reverse process as a Loop over the moves of the solver that the input names."""
        solver, solvers = inputs["solver"], SOLVERS.values()
        each = constant([s.evaluations for s in solvers], np.int64)[solver]
        everywhere = constant([s.all_states for s in solvers], np.bool_)[solver]
        steps = xp.where(everywhere, constant(self.recipe.states, np.int64), inputs["steps"])
        network = self.guided(noise, inputs)

        def body(j: GraphArray, x: GraphArray, memory: GraphArray) -> list[GraphArray]:
            states, correcting = visited(j, steps, each, lambda i, n: xp.reshape(self._state(i, n), (1,)))
            at = xp.where(correcting, states[2], states[1])
            levels, eps_hat = self._evaluate(network, x, at, states, correcting, inputs["eta"])
            moved = [partial(s.move, levels, x, eps_hat, memory) for s in solvers]
            mean, sigma, memory = choose(solver, moved)
            return [_add_noise(mean, sigma, lambda: noise.fresh(xp.reshape(j + 1, (1,)))), memory]

        shape = ("count", *self.recipe.noise_shape)
        return loop(moves(steps, each), [noise.initial, 0.0 * noise.initial], [shape, shape], body)[0]

    def _row(self, noise: NoiseSource, inputs: Inputs) -> GraphArray:
        """The reverse process as copies of the default solver's move, without Loop or If."""
        solver, x = SOLVERS[self.recipe.solver], noise.initial
        steps, memory = solver.steps(self.unroll or 0, self.recipe.states), 0.0 * x
        eta = inputs["eta"] if "eta" in inputs else constant(0.0, np.float32)
        network = self.guided(noise, inputs)
        for j in range(moves(steps, solver.evaluations)):
            visits, correcting = visited(j, steps, solver.evaluations, self._state)
            states = [constant([state], np.int64) for state in visits]
            at = states[2] if correcting else states[1]
            levels, eps_hat = self._evaluate(network, x, at, states, constant(correcting, np.bool_), eta)
            x, sigma, memory = solver.move(levels, x, eps_hat, memory)
            if solver.noisy:
                x = x + sigma * noise.fresh(constant([j + 1], np.int64))
        return x

    def _state(self, j: Any, steps: Any) -> Any:
        """The state before step j of a run."""
        return SPACINGS[self.recipe.spacing](j, steps, self.recipe.states)

    def _evaluate(
        self,
        network: Guided,
        x: GraphArray,
        at: GraphArray,
        states: Sequence[GraphArray],
        correcting: GraphArray,
        eta: GraphArray,
    ) -> tuple[Levels, GraphArray]:
        """The levels of a move between states (1,), and the noise that the network finds in x at one of them."""
        table = constant(self.recipe.alpha_bars)
        before, t, s = (table[state] for state in states)
        (found,) = network.call(network.twice(x), at)
        return Levels(before, t, s, correcting, eta), network.guide(found)

    def option_ports(self) -> tuple[Port, ...]:
        """Steps, eta and solver; of an unrolled sampler eta alone, if its solver has one; and those of the classes."""
        steps, eta, solver = (self.recipe.options[name] for name in ("steps", "eta", "solver"))
        names = tuple(SOLVERS)
        free = Port("steps", "int64", (), "number of denoising steps", 1, self.recipe.states, steps, optional=True)
        fresh = Port("eta", "float32", (), "fresh noise of ddim: 0 none .. 1 ancestral", 0, 1, eta, optional=True)
        which = Port(
            "solver", "int64", (), "how steps are taken", 0, len(names) - 1, solver, optional=True, choices=names
        )
        if self.unroll:
            return (*((fresh,) if self.recipe.solver == "ddim" else ()), *super().option_ports())
        return free, fresh, which, *super().option_ports()

    def noise_ports(self) -> tuple[Port, ...]:
        """The given noise. Without an If, an unrolled sampler reads the noise of each step whatever eta is."""
        if self.unroll and not SOLVERS[self.recipe.solver].noisy:
            return (self.initial_noise_port(),)
        shape = (self.unroll or "draws", "count", *self.recipe.noise_shape)
        what = "standard normal noise of each step" + ("" if self.unroll else "; needed where steps add some")
        return self.initial_noise_port(), Port("step_noise", "float32", shape, what, optional=not self.unroll)

    def given(self, inputs: Inputs) -> NoiseSource:
        """The initial noise, and that of step j (1,), taken from the inputs."""

        def draw(number: GraphArray) -> GraphArray:
            return xp.reshape(inputs["step_noise"][number - 1], (-1, *self.recipe.noise_shape))

        return NoiseSource(inputs["noise"], draw)

    def extras(self) -> list[Built]:
        """One step of ddim as a graph of its own, x, t, s, eta and the noise z in, x_s out; and those of the flow."""
        shape, last = ("batch", *self.recipe.noise_shape), self.recipe.states
        ports = (
            Port("x", "float32", shape, "noised images"),
            Port("t", "int64", (), "noise level of x", 1, last),
            Port("s", "int64", (), "noise level to go to, below t", 0, last - 1),
            Port("eta", "float32", (), "fresh noise: 0 none .. 1 ancestral", 0, 1, 0.0, optional=True),
            Port("z", "float32", shape, "standard normal noise; needed when eta > 0", optional=True),
            *label_ports(self.recipe.classes),
            *self.guidance_ports(),
        )

        def compute(i: Inputs) -> tuple[GraphArray]:
            t, s = (xp.reshape(i[name], (1,)) for name in ("t", "s"))
            labels = zero_rows(i["x"], (), np.int64) + i["label"] if self.recipe.classes else None
            network = self.guided(NoiseSource(i["x"], lambda _: i["z"], labels), i)
            levels, eps_hat = self._evaluate(network, i["x"], t, (t, t, s), constant(False, np.bool_), i["eta"])
            mean, sigma = image_ddim_law(i["x"], eps_hat, levels.t, levels.s, levels.eta)
            return (_add_noise(mean, sigma, lambda: i["z"]),)

        output, network = Port("x_s", "float32", shape, "images at noise level s"), self.networks[0]
        return [build(STEP, ports, (output,), network, compute), *flow_graphs(self.recipe, network, self.unroll)]


def _add_noise(mean: GraphArray, sigma: GraphArray, fresh: Callable[[], GraphArray]) -> GraphArray:
    """Mean + sigma noise; the noise costs as much as a small layer, so it is not drawn where sigma (1,) is 0."""
    return either(sigma > 0.0, lambda: [mean + sigma * fresh()], lambda: [mean])[0]
