"""Facts of the VAE's reparameterized latents (reference section 3.2) on exported files: values, use and law."""

import math

import numpy as np

from gen_export.spec.noise import sample_normals
from gen_export.spec.vae import reparameterize
from gen_export.verify.fact import Finding, fact, same_bits, worst
from gen_export.verify.facts.agreement import APART, close
from gen_export.verify.facts.forward_law import FALSE_ALARM, normality
from gen_export.verify.facts.squared_error import mse_apart
from gen_export.verify.facts.vae import EXP, posterior
from gen_export.verify.files import Files, random
from gen_export.verify.rounding import UNIT
from gen_runtime.inputs import Array

BATCH = 3
SEED = 2026
NUMBERS = 4096
"""Latents whose law is tested, at least: Kolmogorov's distance from the law of any constant is then above its bound."""
PIXELS = 2**18
COORDINATES = 64
POINT_MASS = -300.0
"""A log-variance whose scale is 0 in float32."""

_VAE = ("vae",)
_OBJECTIVE = ("objective",)
_NAME = "NN.MLTheory.Generative.Latent.VAE.{}".format


@fact(_NAME("sampleLatent_eq_reparameterize"), "tolerance", "3.2", families=_VAE, graphs=("encode", "objective"))
def latent_is_the_reparameterized_posterior(files: Files) -> Finding:
    """z = mu + exp(logvar / 2) eps, where mu and logvar are what `encode` gives."""
    inputs = files.inputs("objective", BATCH, "vae latent")
    run = files.run("objective", inputs, inner=("mu", "logvar", "z"))
    encoded = files.run("encode", {"image": inputs["image"]})
    apart = [close(run[name], encoded[name], BATCH).error / APART for name in encoded]
    rounding = affine_error(run["z"], run["mu"], run["logvar"], inputs["eps"])
    return worst([*apart, rounding], 1.0, BATCH, "in units of what rounding explains")


def affine_error(z: Array, mu: Array, logvar: Array, eps: Array) -> float:
    """The largest error of z = mu + exp(logvar / 2) eps in float32, in units of its bound."""
    mu, logvar, eps = (value.astype(np.float64) for value in (mu, logvar, eps))
    noise = np.abs(np.exp(logvar / 2) * eps)
    scale = EXP * noise + 2 * UNIT * (np.abs(mu) + noise)  # the exponential, the product and the sum
    return float(np.max(np.abs(z - reparameterize(mu, logvar, eps)) / scale))


@fact(_NAME("forward_eq_decoder_sampleLatent"), "tolerance", "3.2", families=_VAE, graphs=("decode", "objective"))
def reconstruction_is_that_of_the_decoded_latent(files: Files) -> Finding:
    """reconstruction = mse(decode z, image), where z is the objective's latent."""
    inputs = files.inputs("objective", BATCH, "vae forward")
    run = files.run("objective", inputs, inner=("z",))
    return mse_apart(run["reconstruction"], files.run("decode", {"z": run["z"]})["image"], inputs["image"])


@fact(
    "Generative.VAE.forward_eq_decode_reparameterize",
    "tolerance",
    "3.2",
    families=_VAE,
    graphs=("decode", "objective"),
)
def reconstruction_is_that_of_the_decoded_reparameterization(files: Files) -> Finding:
    """reconstruction = mse(decode(mu + exp(logvar / 2) eps), image), for any posterior."""
    inputs, put = files.inputs("objective", BATCH, "vae reparameterized"), posterior(files, "vae reparameterized")
    z = reparameterize(put["mu"], put["logvar"], inputs["eps"])
    run = files.run("objective", inputs, put=put)
    return mse_apart(run["reconstruction"], files.run("decode", {"z": z})["image"], inputs["image"])


@fact(
    _NAME("scalar_reparameterization_law"),
    "statistical",
    "3.2",
    hypotheses="eps has the law N(0, 1); sigma = 0 gives a point mass",
    families=_VAE,
    graphs=_OBJECTIVE,
)
def latents_are_normal(files: Files) -> Finding:
    """mu + sigma eps has the law N(mu, sigma^2); it is affine in eps, exactly mu where eps = 0 or sigma = 0."""
    put, eps = posterior(files, "vae scalar law", 1), seeded_noise(files)
    z, few = latents(files, eps, put), eps[:BATCH]
    still = latents(files, few * 0, put)
    flat = latents(files, few, {**put, "logvar": np.full_like(put["logvar"], POINT_MASS)})
    mean = np.broadcast_to(put["mu"], few.shape)
    if not (affine_error(z, put["mu"], put["logvar"], eps) <= 1 and same_bits([still, flat], [mean] * 2, 2).passed):
        return Finding(math.inf, 0.0, eps.size, "not affine in eps", FALSE_ALARM)
    return normality(standardized(z, put))


@fact(
    _NAME("diagonal_reparameterization_coordinate_law"),
    "statistical",
    "3.2",
    hypotheses="each eps_i has the law N(0, 1)",
    families=_VAE,
    graphs=_OBJECTIVE,
)
def each_latent_is_normal(files: Files) -> Finding:
    """mu_i + sigma_i eps_i has the law N(mu_i, sigma_i^2) for each i; it depends on eps_i alone, exactly.

    The law is that of all coordinates together, each of which is mu_i + sigma_i eps_i but for rounding. Up to 64
    coordinates have their noise changed, one at a time.
    """
    put, eps = posterior(files, "vae diagonal law", 1), seeded_noise(files)
    z = latents(files, eps, put)
    if not affine_error(z, put["mu"], put["logvar"], eps) <= 1:
        return Finding(math.inf, 0.0, eps.size, "a coordinate is not that of its noise", FALSE_ALARM)
    if not others_stay(files, put).passed:
        return Finding(math.inf, 0.0, eps.size, "a coordinate depends on another's noise", FALSE_ALARM)
    return normality(standardized(z, put))


def others_stay(files: Files, put: dict[str, Array]) -> Finding:
    """The finding of rows of latents whose noise changes in one coordinate, in all other coordinates."""
    count = put["mu"].shape[1]
    changed = random("vae coordinates").permutation(count)[:COORDINATES]
    eps = np.repeat(seeded_noise(files)[:1], len(changed), axis=0)
    here = np.arange(count) == changed[:, None]
    base, moved = latents(files, eps, put), latents(files, np.where(here, -eps, eps), put)
    return same_bits(np.where(here, base, moved), base, len(changed))


def seeded_noise(files: Files) -> Array:
    """The project's own noise, as many rows as hold `NUMBERS` of it, (N, n)."""
    count = files.inputs("objective", 1, "vae noise")["eps"].shape[1]
    return sample_normals(SEED, np.arange(-(-NUMBERS // count)), 0, (count,))


def latents(files: Files, eps: Array, put: dict[str, Array]) -> Array:
    """The objective's z for noise (N, n) and one posterior, in batches that hold `PIXELS` or one image."""
    image = files.card.image
    rows = max(1, PIXELS // (image.height * image.width * image.channels))
    return np.concatenate([_latents(files, eps[row : row + rows], put) for row in range(0, len(eps), rows)])


def _latents(files: Files, eps: Array, put: dict[str, Array]) -> Array:
    """The objective's z for one batch."""
    image = files.inputs("objective", len(eps), "vae latents")["image"]
    every = {name: np.repeat(value, len(eps), axis=0) for name, value in put.items()}
    return files.run("objective", {"image": image, "eps": eps}, inner=("z",), put=every)["z"]


def standardized(z: Array, put: dict[str, Array]) -> Array:
    """(z - mu) / sigma in float64."""
    mu, logvar = (put[name].astype(np.float64) for name in ("mu", "logvar"))
    return (z - mu) / np.exp(logvar / 2)
