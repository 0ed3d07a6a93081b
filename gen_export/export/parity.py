"""How far an exported file is from the torch model it came from: per call, and along the sampler's steps.

A call is compared at batch sizes other than the traced one. A trajectory is compared twice: *teacher-forced*, each
step from torch's state, which shows the error one step makes; and *free-running*, each from the file's own state,
which shows what becomes of it. Free-running errors of a network that is not contractive grow without bound, so a
file is refused for what a call or a short run shows, and a whole run is only recorded.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from gen_export.errors import ExportError
from gen_export.export.samplers import FROM_NOISE, SAMPLE
from gen_export.models.family import Family, Graph
from gen_export.models.recipes import Denoising, Recipe
from gen_export.spec.diffusion import image_ddim_law
from gen_export.spec.schedules import trailing_state
from gen_export.spec.solvers import SOLVERS
from gen_export.training.preview import batch_calls, picture
from gen_export.verify.inputs import random_inputs
from gen_runtime.graph import Graph as RuntimeGraph

BATCHES = (1, 3, 8)
LARGEST_RELATIVE_ERROR = 1e-5
# Rounding of numbers of order one: all that is left of a loss near zero, which is their difference squared.
ROUNDING = 1e-6
TRAJECTORY_SAMPLES = 4
SAMPLE_SEED = 7
LARGEST_LEVELS = 2
LARGEST_SHARE_APART = 0.03
LARGEST_STEP_ERROR = 1e-3  # a grey level is 2 / 255


def call_parity(graph: Graph, exported: RuntimeGraph, within: float = LARGEST_RELATIVE_ERROR) -> list[dict[str, Any]]:
    """The worst errors of a graph's outputs, one entry a batch size: largest absolute, and relative in L2.

    Raises:
        ExportError: An output's relative error is above `within`, and its absolute one above rounding.
    """
    rows = []
    for batch in BATCHES:
        inputs = random_inputs(graph.inputs, batch, np.random.default_rng(batch))
        inputs |= {port.name: np.array(batch % len(port.choices)) for port in graph.inputs if port.choices}
        with torch.no_grad():
            result = graph.function(*(torch.from_numpy(value) for value in inputs.values()))
        values = result if isinstance(result, tuple) else (result,)
        expected = [value.numpy() for value in values[: len(graph.outputs)]]  # inner values follow
        found = exported.execute(inputs)
        errors = [apart(found[port.name], value) for port, value in zip(graph.outputs, expected, strict=True)]
        for port, error in zip(graph.outputs, errors, strict=True):
            require_close(f"{graph.name}: {port.name}", batch, error, within)
        rows.append({"graph": graph.name, "batch": batch, **worst(errors, within)})
    return rows


def require_close(what: str, batch: int, error: dict[str, float], within: float) -> None:
    """Refuses an output that is further from torch's than `within`, relative, and than rounding, absolute.

    Raises:
        ExportError: It is.
    """
    if not (error["rel_l2"] <= within or error["max_abs"] <= ROUNDING):
        raise ExportError(
            f"{what}: expected torch's output within {within:g} relative at batch {batch},"
            f" found {error['rel_l2']:.2e}; the file is not kept"
        )


def worst(errors: Sequence[dict[str, float]], within: float) -> dict[str, float]:
    """The largest error of each kind; a number so near zero that only rounding is left has no relative one."""
    relative = [error["rel_l2"] for error in errors if error["rel_l2"] <= within]
    return {"max_abs": max(error["max_abs"] for error in errors), "rel_l2": max(relative, default=0.0)}


def apart(found: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """Largest absolute difference, and the norm of the difference over that of the expected values."""
    difference = found.astype(np.float64) - expected.astype(np.float64)
    norm = float(np.linalg.norm(expected.astype(np.float64)))
    return {"max_abs": float(np.abs(difference).max()), "rel_l2": float(np.linalg.norm(difference)) / (norm or 1.0)}


def sample_parity(family: Family, recipe: Recipe, sampler: RuntimeGraph, **options: float) -> dict[str, Any]:
    """Bytes of the sampler against torch's for the same seed and options."""
    expected = picture(family, recipe, SAMPLE_SEED, TRAJECTORY_SAMPLES, **options)
    found = _seeded_images(sampler, **options)
    return {"graph": SAMPLE, "batch": TRAJECTORY_SAMPLES, **_told(options), **bytes_apart(found, expected)}


def sibling_parity(
    recipe: Recipe, sampler: RuntimeGraph, sibling: RuntimeGraph, trial: Mapping[str, float], unroll: int | None
) -> dict[str, Any]:
    """Bytes of the sampler that is given the noise against those of the one that draws it, with a trial's options."""
    ports = [port.name for port in sibling.card.inputs]
    draws = (unroll or int(trial.get("steps", 0))) if "step_noise" in ports else 0
    options = {name: value for name, value in trial.items() if name in ports}
    noise = [recipe.seeded(SAMPLE_SEED, np.arange(TRAJECTORY_SAMPLES), draw) for draw in range(1 + draws)]
    given = {"noise": noise[0], "step_noise": np.stack(noise[1:])} if draws else {"noise": noise[0]}
    found = sibling.execute({**given, **_arrays(options)})["images"]
    errors = bytes_apart(found, _seeded_images(sampler, **options))
    return {"graph": FROM_NOISE, "against": SAMPLE, "batch": TRAJECTORY_SAMPLES, **_told(options), **errors}


def loop_parity(sampler: RuntimeGraph, loop: RuntimeGraph, steps: int) -> dict[str, Any]:
    """Bytes of an unrolled sampler against those of the loop it unrolls."""
    errors = bytes_apart(_seeded_images(sampler), _seeded_images(loop, steps=steps))
    return {"graph": SAMPLE, "against": "loop", "batch": TRAJECTORY_SAMPLES, **errors}


def require_same_images(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of comparisons in which rounding has had no room to grow.

    Raises:
        ExportError: The images are further apart than rounding explains.
    """
    for row in rows:
        if row["max_levels"] > LARGEST_LEVELS or row["pixels_apart"] > LARGEST_SHARE_APART:
            raise ExportError(
                f"{row['graph']}: expected the images of {row.get('against', 'torch')} within {LARGEST_LEVELS} levels,"
                f" found {row['pixels_apart']:.1%} of values apart, by up to {row['max_levels']}; the file is not kept"
            )
    return list(rows)


def _seeded_images(sampler: RuntimeGraph, **options: float) -> np.ndarray:
    return sampler.execute(_arrays({"seed": SAMPLE_SEED, "count": TRAJECTORY_SAMPLES, **options}))["images"]


def _told(options: Mapping[str, float]) -> dict[str, Any]:
    """Options as the metadata holds them: a solver by its name."""
    return {name: list(SOLVERS)[int(value)] if name == "solver" else value for name, value in options.items()}


def _arrays(options: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Options as a graph takes them: whole numbers int64, others float32."""
    kinds = {int: np.int64, float: np.float32}
    return {name: np.array(value, kinds[type(value)]) for name, value in options.items()}


def bytes_apart(found: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """The most levels two sets of images differ by, and the share of values that differ at all."""
    levels = np.abs(found.astype(int) - expected.astype(int))
    return {"max_levels": int(levels.max()), "pixels_apart": float((levels > 0).mean())}


@torch.no_grad()
def trajectory_parity(family: Family, recipe: Denoising, step: RuntimeGraph) -> dict[str, Any]:
    """Largest absolute error of the state after each of the default steps, teacher-forced and free-running."""
    (denoise,), states = batch_calls(family, recipe), recipe.states
    start = recipe.seeded(SAMPLE_SEED, np.arange(TRAJECTORY_SAMPLES), 0)
    table = torch.from_numpy(recipe.alpha_bars)
    x, own = torch.from_numpy(start), start
    forced, free = [], []
    for j in range(recipe.steps):
        t, s = (trailing_state(k, recipe.steps, states) for k in (j, j + 1))
        levels = {"t": np.array(t), "s": np.array(s)}
        taught = step.execute({"x": np.ascontiguousarray(x.numpy()), **levels})["x_s"]
        own = step.execute({"x": own, **levels})["x_s"]
        x, _ = image_ddim_law(x, denoise(x, t), table[t], table[s], 0.0)
        forced.append(float(np.abs(taught - x.numpy()).max()))
        free.append(float(np.abs(own - x.numpy()).max()))
    return {"steps": recipe.steps, "teacher_forced_max_abs": forced, "free_running_max_abs": free}


def require_small_steps(trajectory: dict[str, Any]) -> dict[str, Any]:
    """The trajectory, if every teacher-forced step is within an eighth of a grey level.

    Raises:
        ExportError: A step is further from torch's.
    """
    worst = max(trajectory["teacher_forced_max_abs"])
    if not worst <= LARGEST_STEP_ERROR:
        raise ExportError(
            f"step: expected torch's states within {LARGEST_STEP_ERROR:g}, found one {worst:.1e} off; it is not kept"
        )
    return trajectory
