"""The graphs of a denoiser's flow beside the same lines of the spec in torch, with torch's own derivatives."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.functional import jvp

from gen_export.export import parity
from gen_export.export.flow import INVERT, LOG_LIKELIHOOD, SLOPE
from gen_export.export.sampler_graph import Built
from gen_export.models.family import Family, Graph
from gen_export.models.recipes import Denoising
from gen_export.spec.flow import Probing, angles, bits_per_dim, log_likelihood
from gen_export.spec.inversion import invert
from gen_export.spec.noise import sample_keys, seed_bits, signs
from gen_export.spec.schedules import SPACINGS
from gen_export.training.preview import batch_calls
from gen_runtime.graph import Graph as RuntimeGraph

# A run short enough that rounding has no room to grow in, whatever the network is.
TRIAL = {"steps": 2, "iterations": 1, "clip": 1}


class TorchFlow:
    """The functions that the graphs of a denoiser's flow compute.

    Args:
        family: Whose denoiser.
        recipe: How it samples.
    """

    def __init__(self, family: Family, recipe: Denoising) -> None:
        (self.denoise,), self.recipe = batch_calls(family, recipe), recipe
        self.abars = torch.from_numpy(recipe.alpha_bars)
        self.phis = torch.from_numpy(angles(recipe.alpha_bars).astype(np.float32))

    def slope(self, x: Tensor, t: Any, direction: Tensor, *label: Tensor) -> tuple[Tensor, Tensor]:
        """The predicted noise and its derivative along a direction; here and below for a class, where it knows any."""
        both: Any = jvp(lambda x: self.denoise(x, t, *label), x, direction)
        return both

    def invert(self, x: Tensor, steps: Tensor, iterations: Tensor, clip: Tensor, *label: Tensor) -> Tensor:
        """The noise of images."""
        bound = 1.0 if clip else math.inf

        def denoise(x: Tensor, t: Any) -> Tensor:
            return self.denoise(x, t, *label)

        return invert(denoise, x, self.abars, int(steps), self._state, int(iterations), bound)

    def log_likelihood(
        self, x: Tensor, steps: Tensor, probes: Tensor, seed: Tensor, *label: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The log density of images in nats and in bits a value, by at least one random direction."""
        count, size = int(probes), math.prod(self.recipe.noise_shape)
        keys = sample_keys(seed_bits(int(seed)), np.arange(len(x), dtype=np.uint64))

        def probe(j: int, k: int) -> Tensor:
            return torch.from_numpy(signs(keys, np.array([j * count + k], np.uint64), size)).reshape(x.shape)

        probing = Probing(probe, count, 1.0 / count)

        def slope(x: Tensor, t: Any, direction: Tensor) -> tuple[Tensor, Tensor]:
            return self.slope(x, t, direction, *label)

        nats = log_likelihood(slope, x, self.abars, self.phis, int(steps), self._state, probing)
        return nats, bits_per_dim(nats, size)

    def _state(self, j: int, steps: int) -> int:
        return SPACINGS[self.recipe.spacing](j, steps, self.recipe.states)


def flow_parity(family: Family, recipe: Denoising, built: Built, exported: RuntimeGraph) -> list[dict[str, Any]]:
    """The worst errors of a graph of the flow on a short run, one entry a batch size.

    Raises:
        ExportError: They are larger than rounding explains; a step from the last state divides it by sqrt(alpha_bar_T).
    """
    flow = TorchFlow(family, recipe)
    function = {SLOPE: flow.slope, INVERT: flow.invert, LOG_LIKELIHOOD: flow.log_likelihood}[built.name]
    trial = {**TRIAL, "steps": min(TRIAL["steps"], recipe.states)}
    ports = tuple(replace(port, default=trial.get(port.name, port.default)) for port in built.inputs)
    rounded = 2.0**-20 / math.sqrt(recipe.alpha_bars[-1]) if built.name == INVERT else 0.0
    within = parity.LARGEST_RELATIVE_ERROR + rounded
    return parity.call_parity(Graph(built.name, "", function, ports, built.outputs), exported, within)
