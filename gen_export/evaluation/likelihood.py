"""How likely a file finds images: bounds from the graphs of its family, in nats an image and bits a pixel value."""

import math
from typing import NamedTuple

import numpy as np

from gen_export.evaluation.distances import Estimate
from gen_export.spec import diffusion_bound
from gen_export.spec.diffusion import forward_noising, image_x0
from gen_export.spec.flow import bits_per_dim
from gen_export.spec.pixels import from_bytes, planes
from gen_export.spec.schedules import SCHEDULES, named_alpha_bars
from gen_export.spec.vqvae import perplexity
from gen_export.verify.files import MOST_STATES
from gen_runtime import FileError, Model
from gen_runtime.inputs import Array

LATENTS = 64
"""K of the importance-weighted bound."""
STATES = 20
"""Noise levels an image is tried at for the bound of a diffusion model."""
_BATCH = 32


class Bounds(NamedTuple):
    """Means over images of two lower bounds of the log density of images in [-1, 1], in nats an image."""

    elbo: Estimate
    weighted: Estimate


def mean_estimate(values: Array) -> Estimate:
    """The mean of independent values (n,), n at least 2, and its standard error."""
    return Estimate(float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values))))


def bits_of_density(nats: Estimate, image_shape: tuple[int, ...]) -> Estimate:
    """Bits a pixel value from a bound of the log density of `dequantized` images."""
    dims = math.prod(image_shape)
    return Estimate(bits_per_dim(nats.value, dims), nats.error / (dims * math.log(2)))


def dequantized(images: Array, rng: np.random.Generator) -> Array:
    """Images with uniform noise of one level added, float32 (n, C, H, W): what `bits_per_dim` is a bound for."""
    levels = images.transpose(0, 3, 1, 2)
    return from_bytes(levels + rng.random(levels.shape) - 0.5).astype(np.float32)


def latent_bounds(model: Model, train: Array, images: Array, rng: np.random.Generator) -> Bounds:
    """Of a file with a graph `bound`: the evidence lower bound and the importance-weighted one of `dequantized` images.

    The variance of the likelihood is the mean squared error of the training images' reconstructions.
    """
    graph = model.graph("bound")
    points = dequantized(train, rng)
    rebuilt = model.graph("reconstruct").execute({"image": points})["reconstruction"]
    variance = np.array(np.mean((rebuilt - points) ** 2), np.float32)
    latent = next(int(port.shape[-1]) for port in graph.card.inputs if port.name == "eps")
    found: list[dict[str, Array]] = []
    for at in range(0, len(images), _BATCH):
        points = dequantized(images[at : at + _BATCH], rng)
        eps = rng.standard_normal((LATENTS, len(points), latent), np.float32)
        inputs = {"image": points, "eps": eps, "variance": variance}
        found.append(graph.execute(inputs))
    elbo, weighted = (np.concatenate([each[name] for each in found]).astype(np.float64) for name in ("elbo", "bound"))
    return Bounds(mean_estimate(elbo), mean_estimate(weighted))


def code_use(model: Model, images: Array) -> tuple[float, Estimate]:
    """Of a file with graphs `encode` and `nll`: perplexity of its codes over images, and its prior's nats a code."""
    encode, nll = model.graph("encode"), model.graph("nll")
    indices, nats = [], []
    for at in range(0, len(images), _BATCH):
        image = planes(images[at : at + _BATCH])
        indices.append(encode.execute({"image": image})["indices"])
        nats.append(nll.execute({"indices": indices[-1]})["nats"])
    codes = np.concatenate(indices)
    each = np.concatenate(nats).astype(np.float64) / codes[0].size
    return float(perplexity(np.bincount(codes.ravel()).astype(np.float64))), mean_estimate(each)


class Denoised:
    """A file's clean images, those that `sample` would clip and go on with, and where they are tried.

    Attributes:
        abars: alpha_bar of the states 0..T.
        rng: Of the noise and the states.
        chances: p_t of the states 2..T, in proportion to what they lower the logarithm of SNR by.
    """

    def __init__(self, model: Model, rng: np.random.Generator) -> None:
        self.abars, self.rng = _alpha_bars(model), rng
        lowered = -np.diff(np.log(diffusion_bound.signal_to_noise(self.abars[1:])))
        self.chances = lowered / lowered.sum()
        self._graph = model.graph("denoise")

    def __call__(self, x_0: Array, t: Array) -> Array:
        """The clean images predicted in x_0 (n, C, H, W) noised at states t (n,), float64."""
        abar = self.abars[t].reshape(-1, 1, 1, 1)
        x_t = forward_noising(x_0, self.rng.standard_normal(x_0.shape), abar)
        eps_hat = self._graph.execute({"x": x_t.astype(np.float32), "t": t})["eps"]
        return image_x0(x_t, eps_hat.astype(np.float64), abar)


def diffusion_bits(model: Model, train: Array, images: Array, rng: np.random.Generator) -> Estimate:
    """Of a file with a graph `denoise`: the variational bound on -log P(image), in bits a pixel value.

    It is that of the chain of all its states.

    Args:
        model: The file.
        train: A few training images, which decide the variance of the levels at state 1.
        images: Others, uint8 (n, H, W, C).
        rng: Of the noise and the states.
    """
    denoised = Denoised(model, rng)
    x_0 = from_bytes(train.transpose(0, 3, 1, 2).astype(np.float64))
    variance = float(np.mean((denoised(x_0, np.ones(len(x_0), np.int64)) - x_0) ** 2))
    batches = [images[at : at + _BATCH] for at in range(0, len(images), _BATCH)]
    nats = np.concatenate([_bound_of(denoised, batch, variance) for batch in batches])
    return mean_estimate(nats / (x_0[0].size * math.log(2)))


def _bound_of(denoised: Denoised, images: Array, variance: float) -> Array:
    """The estimate of each image of a batch, (n,).

    Each image is tried at `STATES` of the states 2..T, drawn with the chances p_t, one in each of as many equal parts;
    the mean of term / p_t has the expectation of their sum.
    """
    levels, abars = images.transpose(0, 3, 1, 2), denoised.abars
    x_0 = from_bytes(levels.astype(np.float64))
    chances = denoised.chances
    borders = np.cumsum(chances)[:-1]
    total = diffusion_bound.prior_term(x_0, abars[-1])
    total = total + diffusion_bound.level_term(levels, denoised(x_0, np.ones(len(x_0), np.int64)), variance)
    for part in range(STATES):
        place = (part + denoised.rng.random(len(x_0))) / STATES
        drawn = np.searchsorted(borders, place, side="right")
        abar_t, abar_s = (abars[state].reshape(-1, 1, 1, 1) for state in (drawn + 2, drawn + 1))
        term = diffusion_bound.transition_term(x_0, denoised(x_0, drawn + 2), abar_t, abar_s)
        total = total + term / (STATES * chances[drawn])
    return total


def _alpha_bars(model: Model) -> Array:
    """alpha_bar of the states 0..T, float64, as the card describes them.

    Raises:
        FileError: The card names no schedule of ours.
    """
    schedule = model.card.schedule or {}
    kind, states = schedule.get("kind"), schedule.get("states")
    if kind not in SCHEDULES or not isinstance(states, int) or not 2 <= states <= MOST_STATES:
        expected = f"a schedule of 2 to {MOST_STATES} states, one of {', '.join(SCHEDULES)}"
        raise FileError(f"{model.path}: expected {expected}, found {kind!r:.40} of {states!r:.40}")
    return named_alpha_bars(kind, states)
