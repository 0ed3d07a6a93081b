"""Facts of ours about the deterministic flow of a diffusion model's files: its slope, its inverse and its density.

The parts are recomputed from the files `denoise` and `slope` with the lines of `gen_export.spec`. How far rounding may
take a run is measured: by what moving the network's outputs as much does to the same run.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gen_export.errors import NothingToCheckError
from gen_export.spec.diffusion import image_ddim_step
from gen_export.spec.flow import Probing, angles, bits_per_dim, log_likelihood
from gen_export.spec.inversion import invert
from gen_export.spec.noise import sample_keys, seed_bits, signs
from gen_export.spec.pixels import planes
from gen_export.spec.schedules import SPACINGS
from gen_export.verify.fact import Finding, fact, worst
from gen_export.verify.files import Files, random
from gen_export.verify.labels import told
from gen_export.verify.process import DIFFUSION, alpha_bars, denoised, image_shape
from gen_export.verify.rounding import NETWORK, UNIT, in_units

BATCH = 4
# Steps, iterations and clip: so few that no network leaves the range of float32.
INVERSIONS = ((2, 1, 0), (3, 2, 1), (4, 3, 0), (7, 1, 1))
# Steps, probes and seed; all unit vectors only of images so small.
LIKELIHOODS = ((2, 1, 0), (3, 2, -7), (7, 1, 2**62))
MOST_VALUES = 256
STEPS, ITERATIONS = 20, 20
# The step of a central difference, and an eighth of a grey level.
STEP, EIGHTH = 2.0**-6, 1e-3
_OURS = "gen_export.diffusion.{}".format
Move = Callable[[np.ndarray], np.ndarray]


def _state(files: Files) -> Callable[[Any, Any], int]:
    """From a step's number and the number of steps to the state before it."""
    schedule: Any = files.card.schedule
    return lambda j, steps: int(SPACINGS[schedule["spacing"]](j, steps, schedule["states"]))


def _sloped(files: Files, x: np.ndarray, t: Any, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The noise that the file predicts, and its derivative along a direction."""
    levels = np.array(np.broadcast_to(t, len(x)), np.int64)
    run = files.run("slope", {"x": x, "t": levels, "direction": direction})
    return run["eps"], run["slope"]


def _moves(size: float) -> Iterator[Move]:
    """Nothing, and noise of this share of an array's largest number."""
    yield lambda array: array
    rng = random("moved outputs")
    yield lambda array: array + np.float32(size * np.abs(array).max()) * rng.standard_normal(array.shape, np.float32)


@fact(_OURS("slope_is_the_derivative"), "tolerance", families=DIFFUSION, graphs=("slope", "denoise"))
def slope_is_the_derivative(files: Files) -> Finding:
    """The slope is how denoise(x, t) changes along the direction: a central difference, in root mean square.

    The bound is four times what halving its step changes, and the rounding of the outputs over the step.
    """
    inputs = files.inputs("slope", BATCH, "slope")
    x, t, direction = inputs["x"], inputs["t"].clip(1, None), inputs["direction"]
    eps, found = _sloped(files, x, t, direction)

    def difference(h: float) -> np.ndarray:
        ahead, behind = (denoised(files, x + np.float32(way * h) * direction, t) for way in (1, -1))
        return (ahead.astype(np.float64) - behind) / (2.0 * h)

    whole, half = difference(STEP), difference(STEP / 2.0)
    rounding = 2.0 * NETWORK * np.abs(eps).max() / STEP
    allowed = rounding + 4.0 * np.sqrt(np.square(whole - half).mean())
    return worst([np.sqrt(np.square(found - half).mean()) / allowed], 1.0, BATCH, "in units of the bound")


@fact(_OURS("slope_predicts_as_denoise_does"), "tolerance", families=DIFFUSION, graphs=("slope", "denoise"))
def slope_predicts_as_denoise_does(files: Files) -> Finding:
    """The noise that the file `slope` predicts is that of `denoise`."""
    inputs = files.inputs("slope", BATCH, "slope prediction")
    expected = denoised(files, inputs["x"], inputs["t"])
    eps, _ = _sloped(files, inputs["x"], inputs["t"], inputs["direction"])
    return in_units(eps, expected, NETWORK * float(np.abs(expected).max()), BATCH, "in units of a network's error")


def _inverted(files: Files, x: np.ndarray, steps: int, iterations: int, clip: int) -> np.ndarray:
    """The noise that the file finds."""
    options = {"steps": np.array(steps), "iterations": np.array(iterations), "clip": np.array(clip)}
    return files.run("invert", {"x": x, **options})["noise"]


@fact(_OURS("inversion_is_its_steps"), "tolerance", families=DIFFUSION, graphs=("invert", "denoise"))
def inversion_is_its_steps(files: Files) -> Finding:
    """The noise of images is what the iterations over `denoise` find, step by step, for steps that clip or do not.

    The bound is measured: eight times what moving the network's outputs by 2^-22 of their largest does, in root mean
    square.
    """
    abars, found = alpha_bars(files).astype(np.float32), []
    x = random("images to invert").uniform(-1.0, 1.0, (2, *image_shape(files))).astype(np.float32)
    for most, iterations, clip in INVERSIONS:
        steps = min(most, len(abars) - 1)
        how = steps, _state(files), iterations, np.float32(1.0 if clip else math.inf)
        runs = (move for move in _moves(4.0 * UNIT))
        noise, moved = (invert(lambda x, t, move=m: move(denoised(files, x, t)), x, abars, *how) for m in runs)
        apart = _root_mean_square(_inverted(files, x, steps, iterations, clip) - noise)
        found.append(apart / (8.0 * _root_mean_square(moved - noise) + 4.0 * UNIT * _root_mean_square(noise)))
    return worst(found, 1.0, len(found), "in units of the bound")


def _root_mean_square(x: np.ndarray) -> float:
    return float(np.sqrt(np.square(x, dtype=np.float64).mean()))


@fact(
    _OURS("inversion_returns_the_image"),
    "sampled",
    hypotheses="twice as many iterations find the same noise",
    families=DIFFUSION,
    graphs=("invert", "denoise", "sample"),
)
def inversion_returns_the_image(files: Files) -> Finding:
    """From the noise of a sampled image, as many unclipped steps of ddim return it within an eighth of a grey level."""
    abars, state = alpha_bars(files).astype(np.float32), _state(files)
    steps = min(STEPS, len(abars) - 1)
    given = {"seed": np.array(42), "count": np.array(2), "steps": np.array(steps), **told(files, "sample")}
    drawn = files.run("sample", given)["images"]
    image = planes(drawn)
    noise, x = (_inverted(files, image, steps, more * ITERATIONS, 0) for more in (1, 2))
    if not np.abs(noise - x).max() <= 1e-2:
        raise NothingToCheckError(f"after {ITERATIONS} iterations the noise is not yet found")
    for j in range(steps):
        t, s = state(j, steps), state(j + 1, steps)
        x = image_ddim_step(x, denoised(files, x, t), abars[t], abars[s], postprocess=lambda clean: clean)
    return worst(np.abs(x - image), EIGHTH, len(image), "of a range of 2")


def _likelihood(files: Files, x: np.ndarray, steps: int, probes: int, seed: int) -> dict[str, np.ndarray]:
    """What the file says of images."""
    options = {"steps": np.array(steps), "probes": np.array(probes), "seed": np.array(seed)}
    return files.run("log_likelihood", {"x": x, **options})


def _probing(files: Files, batch: int, probes: int, seed: int) -> Probing:
    """The directions that the file should take."""
    shape = image_shape(files)
    size, keys = math.prod(shape), sample_keys(seed_bits(seed), np.arange(batch, dtype=np.uint64))

    def unit(_: int, k: int) -> np.ndarray:
        return np.tile(np.eye(size, dtype=np.float32)[k].reshape(shape), (batch, 1, 1, 1))

    def drawn(j: int, k: int) -> np.ndarray:
        return signs(keys, np.array([j * probes + k], np.uint64), size).reshape(batch, *shape)

    return Probing(drawn, probes, np.float32(1.0 / probes)) if probes else Probing(unit, size, np.float32(1.0))


@fact(_OURS("likelihood_is_its_steps"), "tolerance", families=DIFFUSION, graphs=("log_likelihood", "slope"))
def likelihood_is_its_steps(files: Files) -> Finding:
    """The nats are those of Heun's method over `slope`, with the directions of the seed or, of small images, all.

    The bound is measured: four times what moving the network's outputs by as much as export allows does to the nats.
    """
    abars, found = alpha_bars(files).astype(np.float32), []
    phis = angles(abars).astype(np.float32)
    x = random("images to rate").uniform(-1.0, 1.0, (2, *image_shape(files))).astype(np.float32)
    exact = ((2, 0, 0),) if x[0].size <= MOST_VALUES else ()
    for most, *how in LIKELIHOODS + exact:
        steps, rated = min(most, len(abars) - 1), []
        for move in _moves(NETWORK):
            slope = lambda x, t, z, move=move: [move(y) for y in _sloped(files, x, t, z)]  # noqa: E731
            rated.append(log_likelihood(slope, x, abars, phis, steps, _state(files), _probing(files, 2, *how)))
        nats, moved = rated
        apart = np.abs(_likelihood(files, x, steps, *how)["nats"] - nats).max()
        found.append(apart / (4.0 * np.abs(moved - nats).max() + 16.0 * UNIT * x[0].size))
    return worst(found, 1.0, len(found), "in units of the bound")


@fact(_OURS("bits_are_those_of_the_nats"), "tolerance", families=DIFFUSION, graphs=("log_likelihood",))
def bits_are_those_of_the_nats(files: Files) -> Finding:
    """The bits a value are log2(127.5) - nats / (D ln 2), of D values: the density of bytes, 255 / 2 levels to 1."""
    x = random("images in bits").uniform(-1.0, 1.0, (BATCH, *image_shape(files))).astype(np.float32)
    run = _likelihood(files, x, min(2, len(alpha_bars(files)) - 1), 1, 0)
    expected = bits_per_dim(run["nats"].astype(np.float64), x[0].size)
    return in_units(run["bits_per_dim"], expected, 8.0 * UNIT * (np.abs(expected) + math.log2(127.5)), BATCH)
