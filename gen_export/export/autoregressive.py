"""Codes drawn one after another as a Loop around the network that predicts them, then one call of the decoder."""

import numpy as np

from gen_export.export.graph_arrays import NAMESPACE as xp  # noqa: N811 - the Array API's name for a namespace
from gen_export.export.graph_arrays import GraphArray, constant, zero_rows
from gen_export.export.guided import Guided
from gen_export.export.sampler_graph import Inputs, NoiseSource, SamplerGraph
from gen_export.export.subgraphs import inline, loop
from gen_export.models.recipes import Autoregressive
from gen_export.spec.categorical import next_code
from gen_runtime.ports import Port


class AutoregressiveGraph(SamplerGraph):
    """The recipe `Autoregressive`."""

    recipe: Autoregressive

    def images(self, noise: NoiseSource, inputs: Inputs) -> GraphArray:
        """The decoded grid of codes."""
        temperature = xp.astype(inputs["temperature"], np.float64)
        codes = self._codes(self.guided(noise, inputs), noise.initial, temperature, inputs["top_k"])
        return inline(self.networks[1], xp.reshape(codes, (-1, *self.recipe.grid)))[0]

    def _codes(self, prior: Guided, u: GraphArray, temperature: GraphArray, top_k: GraphArray) -> GraphArray:
        """Codes in row-major order, int64 (count, L), from as many uniform numbers u (count, L)."""
        (length,), cache_shape = self.recipe.noise_shape, self.recipe.cache_shape

        def body(j: GraphArray, codes: GraphArray, cache: GraphArray) -> tuple[GraphArray, GraphArray]:
            before = codes[:, j - 1]  # at position 0 the last, any code will do
            logits, cache = prior.call(prior.twice(before), xp.reshape(j, (1,)), cache)
            code = xp.reshape(next_code(prior.guide(logits), u[:, j], temperature, top_k), (-1, 1))
            return xp.where(xp.equal(xp.arange(length), j), code, codes), cache

        states = zero_rows(u, (length,), np.int64), zero_rows(prior.twice(u), cache_shape, np.float32)
        shapes = ("count", length), ("rows", *cache_shape)
        return loop(constant(length, np.int64), states, shapes, body)[0]

    def option_ports(self) -> tuple[Port, ...]:
        """Temperature and the number of codes to choose from."""
        temperature, codes = (self.recipe.options[name] for name in ("temperature", "top_k"))
        warmth = "spread of the codes: 0 the likeliest .. 1 as learned, and beyond"
        choice = "draw each code among so many likeliest"
        return (
            Port("temperature", "float32", (), warmth, 0, 100, temperature, optional=True),
            Port("top_k", "int64", (), choice, 1, codes, codes, optional=True),
            *super().option_ports(),
        )
