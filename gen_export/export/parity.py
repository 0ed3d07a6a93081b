"""How far an exported file is from the torch model it came from: per call, and along the sampler's steps.

A call is compared at batch sizes other than the traced one. A trajectory is compared twice: *teacher-forced*, each
step from torch's state, which shows the error one step makes; and *free-running*, each from the file's own state,
which shows what becomes of it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from gen_export.errors import ExportError
from gen_export.export.samplers import SAMPLE
from gen_export.models.family import Family, Graph
from gen_export.models.recipes import Denoising
from gen_export.spec.diffusion import ddim_sigma, image_ddim_mean
from gen_export.spec.noise import sample_normals
from gen_export.spec.schedules import trailing_state
from gen_export.training.preview import batch_call, picture
from gen_runtime.graph import Graph as RuntimeGraph
from gen_runtime.ports import Port

BATCHES = (1, 3, 8)
LARGEST_RELATIVE_ERROR = 1e-5
# Rounding of numbers of order one: all that is left of a loss near zero, which is their difference squared.
ROUNDING = 1e-6
TRAJECTORY_SAMPLES = 4
SAMPLE_SEED = 7


def call_parity(family: Family, graph: Graph, exported: RuntimeGraph) -> list[dict[str, Any]]:
    """Errors of a graph's outputs together, one entry a batch size: largest absolute, and relative in L2.

    Raises:
        ExportError: The relative error is above 1e-5, and the absolute one above rounding.
    """
    rows = []
    for batch in BATCHES:
        inputs = random_inputs(graph.inputs, batch, seed=batch)
        with torch.no_grad():
            result = graph.function(*(torch.from_numpy(value) for value in inputs.values()))
        expected = [value.numpy() for value in (result if isinstance(result, tuple) else (result,))]
        found = exported.execute(inputs)
        apart = _apart([found[port.name] for port in graph.outputs], expected)
        if not (apart["rel_l2"] <= LARGEST_RELATIVE_ERROR or apart["max_abs"] <= ROUNDING):
            raise ExportError(
                f"{graph.name}: expected torch's outputs within {LARGEST_RELATIVE_ERROR:g} relative at batch {batch},"
                f" found {apart['rel_l2']:.2e}; the file is not kept"
            )
        rows.append({"graph": graph.name, "batch": batch, **apart})
    return rows


def random_inputs(ports: Sequence[Port], batch: int, seed: int) -> dict[str, np.ndarray]:
    """Inputs within each port's range: clipped normal or uniform whole numbers; defaults as they are."""
    rng = np.random.default_rng(seed)
    inputs = {}
    for port in ports:
        shape = [batch if isinstance(extent, str) else extent for extent in port.shape]
        if port.default is not None:
            value = np.full(shape, port.default)
        elif port.dtype == "int64":
            value = rng.integers(int(port.minimum or 0), int(port.maximum or 0), shape, endpoint=True)
        else:
            low = -np.inf if port.minimum is None else port.minimum
            value = rng.standard_normal(shape).clip(low, np.inf if port.maximum is None else port.maximum)
        inputs[port.name] = np.asarray(value, port.dtype)
    return inputs


def _apart(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> dict[str, float]:
    """Largest absolute difference, and the norm of the difference over that of the expected values."""
    a, b = (np.concatenate([np.ravel(array).astype(np.float64) for array in arrays]) for arrays in (found, expected))
    norm = np.linalg.norm(b)
    difference = np.linalg.norm(a - b)
    return {"max_abs": float(np.abs(a - b).max()), "rel_l2": float(difference / norm if norm else difference)}


def sample_parity(family: Family, exported: RuntimeGraph, **options: float) -> dict[str, Any]:
    """Bytes of the sampler against torch's for the same seed; `options` are those the file has fixed."""
    expected = picture(family, SAMPLE_SEED, TRAJECTORY_SAMPLES, **options)
    return {"graph": SAMPLE, "batch": TRAJECTORY_SAMPLES, **bytes_apart(_seeded_images(exported), expected)}


def unrolled_parity(exported: RuntimeGraph, loop: RuntimeGraph, steps: int) -> dict[str, Any]:
    """Bytes of an unrolled sampler against those of the loop it unrolls.

    Raises:
        ExportError: They are more than one level apart anywhere.
    """
    apart = bytes_apart(_seeded_images(exported), _seeded_images(loop, steps=np.array(steps)))
    if apart["max_levels"] > 1:
        raise ExportError(
            f"sample: expected the loop's images, found them {apart['max_levels']} levels apart; not kept"
        )
    return {"graph": SAMPLE, "against": "loop", "batch": TRAJECTORY_SAMPLES, **apart}


def _seeded_images(sampler: RuntimeGraph, **options: np.ndarray) -> np.ndarray:
    return sampler.execute({"seed": np.array(SAMPLE_SEED), "count": np.array(TRAJECTORY_SAMPLES), **options})["images"]


def bytes_apart(found: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """The most levels two sets of images differ by, and the share of values that differ at all."""
    apart = np.abs(found.astype(int) - expected.astype(int))
    return {"max_levels": int(apart.max()), "pixels_apart": float((apart > 0).mean())}


@torch.no_grad()
def trajectory_parity(family: Family, recipe: Denoising, step: RuntimeGraph) -> dict[str, Any]:
    """Largest absolute error of the state after each of the default steps, teacher-forced and free-running."""
    denoise, states = batch_call(family), recipe.states
    start = sample_normals(SAMPLE_SEED, np.arange(TRAJECTORY_SAMPLES), 0, recipe.noise_shape)
    table = torch.from_numpy(recipe.alpha_bars)
    x, own = torch.from_numpy(start), start
    forced, free = [], []
    for j in range(recipe.steps):
        t, s = (trailing_state(k, recipe.steps, states) for k in (j, j + 1))
        levels = {"t": np.array(t), "s": np.array(s)}
        taught = step.execute({"x": np.ascontiguousarray(x.numpy()), **levels})["x_s"]
        own = step.execute({"x": own, **levels})["x_s"]
        sigma = ddim_sigma(table[t], table[s], 0.0)
        x = image_ddim_mean(x, denoise(x, t), table[t], table[s], sigma)
        forced.append(float(np.abs(taught - x.numpy()).max()))
        free.append(float(np.abs(own - x.numpy()).max()))
    return {"steps": recipe.steps, "teacher_forced_max_abs": forced, "free_running_max_abs": free}
