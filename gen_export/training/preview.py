"""Images sampled with torch: what training shows, and what the exported sampler is compared with."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gen_export.models.family import Family, Graph
from gen_export.models.recipes import Noise, Recipe
from gen_export.spec.pixels import pictures
from gen_runtime.images import grid

BATCH = 12


def seeded_noise(family: Family, recipe: Recipe, seed: int, indices: np.ndarray) -> Noise:
    """The noise of these samples as the files draw it: from a draw's number to a tensor on the family's device."""
    device = next(family.parameters()).device

    def noise(draw: int) -> Tensor:
        return torch.from_numpy(recipe.seeded(seed, indices, draw)).to(device)

    return noise


def batch_calls(family: Family, recipe: Recipe) -> list[Callable[..., Any]]:
    """The recipe's graphs as functions of arrays and of one whole number for the whole batch."""
    return [_batch_call(family, family.graph(name)) for name in recipe.graphs]


def _batch_call(family: Family, graph: Graph) -> Callable[..., Any]:
    device = next(family.parameters()).device

    def call(*inputs: Tensor | int) -> Any:
        return graph.function(*(torch.tensor([x], device=device) if isinstance(x, int) else x for x in inputs))

    return call


@torch.no_grad()
def sample(family: Family, recipe: Recipe, seed: int, indices: np.ndarray, **options: Any) -> Tensor:
    """Images in [-1, 1] of these samples, (n, C, H, W), by a recipe of the family and its default options."""
    noise, chosen = seeded_noise(family, recipe, seed, indices), {**recipe.options, **options}
    labels = None
    if recipe.classes:
        numbers = torch.from_numpy(np.asarray(indices, np.int64)).to(next(family.parameters()).device)
        labels = recipe.labels(numbers, torch.tensor(chosen.pop("label")))
    return recipe.sample(batch_calls(family, recipe), noise, labels, **chosen)


def picture(family: Family, recipe: Recipe, seed: int, count: int, **options: Any) -> np.ndarray:
    """Samples 0..count-1 as bytes, uint8 (count, H, W, C), a few at a time to bound the memory."""
    batches = [np.arange(count)[at : at + BATCH] for at in range(0, count, BATCH)]
    return np.concatenate([_bytes(sample(family, recipe, seed, batch, **options)) for batch in batches])


def sample_picture(family: Family, seed: int, count: int) -> np.ndarray | None:
    """A grid of samples, uint8 (H, W, C); None for a family that draws none."""
    recipe = family.recipe()
    return None if recipe is None else grid(picture(family, recipe, seed, count))


@torch.no_grad()
def rebuilt_picture(family: Family, x: Tensor) -> np.ndarray | None:
    """Images (n, C, H, W), one a column, over what the family makes of them; None where it makes nothing."""
    rows = family.rebuild(x)
    return grid(np.concatenate([_bytes(row) for row in (x, *rows)]), columns=len(x)) if rows else None


def _bytes(x: Tensor) -> np.ndarray:
    """Images in [-1, 1], (n, C, H, W), as uint8 (n, H, W, C)."""
    return pictures(x).cpu().numpy()
