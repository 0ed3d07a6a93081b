"""Images sampled with torch: what training shows, and what the exported sampler is compared with."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from gen_export.models.family import Family
from gen_export.models.recipes import Noise
from gen_export.spec.noise import sample_normals
from gen_export.spec.pixels import to_bytes

BATCH = 12


def seeded_noise(family: Family, seed: int, indices: np.ndarray) -> Noise:
    """The noise of these samples as the files draw it: from a draw's number to a tensor on the family's device."""
    shape = family.recipe().noise_shape
    device = next(family.parameters()).device

    def noise(draw: int) -> Tensor:
        return torch.from_numpy(sample_normals(seed, indices, draw, shape)).to(device)

    return noise


def batch_call(family: Family) -> Callable[..., Tensor]:
    """The recipe's graph as a function of arrays and of one state for the whole batch."""
    function = family.graph(family.recipe().graph).function

    def call(x: Tensor, *state: int) -> Tensor:
        return cast("Tensor", function(x, *(torch.tensor([t], device=x.device) for t in state)))

    return call


@torch.no_grad()
def sample(family: Family, seed: int, indices: np.ndarray, **options: Any) -> Tensor:
    """Images in [-1, 1] of these samples, (n, C, H, W), by the family's recipe and its default options."""
    recipe = family.recipe()
    return recipe.sample(batch_call(family), seeded_noise(family, seed, indices), **{**recipe.options, **options})


def picture(family: Family, seed: int, count: int, **options: Any) -> np.ndarray:
    """Samples 0..count-1 as bytes, uint8 (count, H, W, C), a few at a time to bound the memory."""
    batches = [np.arange(count)[at : at + BATCH] for at in range(0, count, BATCH)]
    images = [to_bytes(sample(family, seed, batch, **options)).permute(0, 2, 3, 1) for batch in batches]
    return torch.cat(images).cpu().numpy()
