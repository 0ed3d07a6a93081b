"""Facts of the VAE's reparameterized latents (reference section 3.2) on exported files: values, use and law."""

import math

import numpy as np

from gen_export.spec.noise import sample_normals
from gen_export.spec.vae import reparameterize
from gen_export.verify.fact import Finding, fact, same_bits, worst
from gen_export.verify.facts.agreement import APART, close
from gen_export.verify.facts.rounding import UNIT
from gen_export.verify.facts.squared_error import mse_apart
from gen_export.verify.facts.vae import EXP, posterior
from gen_export.verify.files import Files
from gen_runtime.inputs import Array

BATCH = 3
SEED = 2026
FALSE_ALARM = 1e-6
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
    put, eps, z = seeded_latents(files, "vae scalar law")
    still = latents(files, eps * 0, put)
    flat = latents(files, eps, {**put, "logvar": np.full_like(eps, POINT_MASS)})
    affine = affine_error(z, put["mu"], put["logvar"], eps) <= 1
    if not (affine and same_bits([still, flat], [put["mu"]] * 2, 2).passed):
        return Finding(math.inf, 0.0, eps.size, "not affine in eps", FALSE_ALARM)
    return kolmogorov(standardized(z, put).reshape(-1, 1))


@fact(
    _NAME("diagonal_reparameterization_coordinate_law"),
    "statistical",
    "3.2",
    hypotheses="each eps_i has the law N(0, 1)",
    families=_VAE,
    graphs=_OBJECTIVE,
)
def each_latent_is_normal(files: Files) -> Finding:
    """mu_i + sigma_i eps_i has the law N(mu_i, sigma_i^2) for each i; coordinate i depends on eps_i alone, exactly."""
    put, eps, z = seeded_latents(files, "vae diagonal law")
    mixed = np.where(np.arange(eps.shape[1]) % 2, eps, -eps[::-1])
    kept = latents(files, mixed, put)[:, 1::2]
    if not same_bits(kept, z[:, 1::2], len(z)).passed:
        return Finding(math.inf, 0.0, eps.size, "a coordinate depends on another's noise", FALSE_ALARM)
    return kolmogorov(standardized(z, put))


def latents(files: Files, eps: Array, put: dict[str, Array]) -> Array:
    """The objective's z for this noise and posterior."""
    image = files.inputs("objective", len(eps), "vae latents")["image"]
    return files.run("objective", {"image": image, "eps": eps}, inner=("z",), put=put)["z"]


def seeded_latents(files: Files, purpose: str) -> tuple[dict[str, Array], Array, Array]:
    """One posterior for all rows, the project's own seeded noise for each, and their latents z, 32 to 256 rows."""
    image = files.card.image
    rows = min(max(32, 2**16 // (image.height * image.width * image.channels)), 256)
    put = {name: np.repeat(value, rows, axis=0) for name, value in posterior(files, purpose, 1).items()}
    eps = sample_normals(SEED, np.arange(rows), 0, put["mu"].shape[1:])
    return put, eps, latents(files, eps, put)


def standardized(z: Array, put: dict[str, Array]) -> Array:
    """(z - mu) / sigma in float64."""
    mu, logvar = (put[name].astype(np.float64) for name in ("mu", "logvar"))
    return (z - mu) / np.exp(logvar / 2)


def kolmogorov(samples: Array) -> Finding:
    """The finding of columns that should be standard normal: the largest distance of their cumulative laws from it.

    The bound is that of Dvoretzky, Kiefer, Wolfowitz and Massart: a right column of N samples is further away with
    probability at most 2 exp(-2 N d^2), which is the false alarm divided by the number of columns.
    """
    count, columns = samples.shape
    law = np.vectorize(lambda x: (1 + math.erf(x / math.sqrt(2))) / 2)(np.sort(samples, axis=0))
    steps = np.arange(count + 1)[:, None] / count
    distance = np.maximum(np.abs(law - steps[:-1]), np.abs(law - steps[1:])).max()
    bound = math.sqrt(math.log(2 * columns / FALSE_ALARM) / (2 * count))
    return Finding(float(distance), bound, samples.size, f"{count} samples of {columns} laws", FALSE_ALARM)
