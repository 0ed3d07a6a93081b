"""Facts of ours about the parts of an exported VAE: they agree, and their bounds of log p(image) are those of the spec.

Burda et al., *Importance Weighted Autoencoders* (2016), arXiv:1509.00519.
"""

import math
from dataclasses import dataclass

import numpy as np

from gen_export.errors import NothingToCheckError
from gen_export.spec.vae import gaussian_log_density, importance_weighted_bound, log_importance_weights, reparameterize
from gen_export.verify.fact import Finding, fact, same_bits, worst
from gen_export.verify.facts.agreement import APART, close, close_bytes
from gen_export.verify.facts.squared_error import mse_slack
from gen_export.verify.files import Files, random
from gen_export.verify.labels import told
from gen_export.verify.rounding import UNIT
from gen_runtime.inputs import Array

BATCH = 3
IMAGES, SAMPLES = 2, 3
VARIANCE = 0.37
_VAE = ("vae",)
_BOUND = ("encode", "decode", "bound")


@fact(
    "gen_export.vae.reconstruct_is_decode_of_mu", "tolerance", families=_VAE, graphs=("encode", "decode", "reconstruct")
)
def reconstruction_is_the_decoded_mean(files: Files) -> Finding:
    """reconstruct(image) = decode(mu) where mu is that of encode(image)."""
    inputs = files.inputs("reconstruct", BATCH, "vae reconstruct")
    expected = files.run("decode", {"z": files.run("encode", inputs)["mu"]})["image"]
    return close(files.run("reconstruct", inputs)["reconstruction"], expected, BATCH)


@fact("gen_export.vae.images_in_range", "sampled", families=_VAE, graphs=("decode",))
def images_are_in_range(files: Files) -> Finding:
    """Every value of decode(z) is in [-1, 1], for standard normal z and for z ten times as large."""
    z = files.inputs("decode", BATCH, "vae range")["z"]
    images = files.run("decode", {"z": np.concatenate([z, 10 * z])})["image"]
    return worst(np.abs(images) - 1.0, 0.0, len(images))


@fact("gen_export.vae.sampled_bytes", "tolerance", families=_VAE, graphs=("decode", "sample_from_noise"))
def sampler_rounds_the_decoded_noise(files: Files) -> Finding:
    """sample_from_noise(u) = round((decode(z) + 1) 255 / 2), channels last: each byte is within half a level.

    z is what the graph `latent` makes of u, or u itself without a learned prior. With classes they are of the first.
    """
    u = files.inputs("decode", BATCH, "vae bytes")["z"]
    given = {"noise": u, **told(files, "sample_from_noise", 0)}
    z = files.run("latent", {"u": u, **told(files, "latent", 0)})["z"] if _learned(files, "latent") else u
    decoded = files.run("decode", {"z": z, **told(files, "decode", 0)})
    return close_bytes(files.run("sample_from_noise", given)["images"], decoded["image"])


@dataclass(frozen=True, slots=True)
class Weighed:
    """Log importance weights of the spec in float64, from the outputs of `encode` and `decode`.

    Attributes:
        inputs: Those of the graph `bound`.
        log_w: (samples, images).
        slack: How far the file's may be from them.
    """

    inputs: dict[str, Array]
    log_w: Array
    slack: float


def weighed(files: Files, purpose: str) -> Weighed:
    """Seeded inputs of the graph `bound`, and what the spec makes of them."""
    inputs = files.inputs("bound", IMAGES, purpose)
    eps = random(purpose).standard_normal((SAMPLES, *inputs["eps"].shape[1:])).astype(np.float32)
    encoded = files.run("encode", {"image": inputs["image"]})
    mu, logvar = (np.tile(encoded[name], (SAMPLES, 1)) for name in ("mu", "logvar"))
    z = reparameterize(mu, logvar, eps.reshape(mu.shape))
    x_hat, x = files.run("decode", {"z": z})["image"], np.tile(inputs["image"], (SAMPLES, 1, 1, 1))
    u, log_prior = normalized(files, z)
    rows = [value.astype(np.float64) for value in (x, x_hat, u, z, mu, logvar)]
    x, x_hat, _, z, mu, logvar = rows
    log_w = log_importance_weights(x, x_hat, VARIANCE, log_prior, z, mu, logvar).reshape(SAMPLES, IMAGES)
    slack = max(log_weight_slack(*row) for row in zip(*rows, strict=True))
    return Weighed({"image": inputs["image"], "eps": eps, "variance": np.array(VARIANCE, np.float32)}, log_w, slack)


def _learned(files: Files, part: str) -> bool:
    """Whether the prior is learned.

    Raises:
        NothingToCheckError: It is, and the part of it that the check needs is not at hand.
    """
    learned = (files.card.config or {}).get("prior") == "flow"
    if learned and part not in files.graphs:
        raise NothingToCheckError(f"needs the graph {part}, which is not at hand")
    return learned


def normalized(files: Files, z: Array) -> tuple[Array, Array]:
    """The normal numbers of latents z (B, n), which are z itself without a learned prior, and log p(z) (B,)."""
    if not _learned(files, "normalize"):
        return z, gaussian_log_density(z.astype(np.float64), 0.0, 1.0)
    found = files.run("normalize", {"z": z})
    return found["u"], found["log_density"].astype(np.float64)


def log_weight_slack(x: Array, x_hat: Array, u: Array, z: Array, mu: Array, logvar: Array) -> float:
    """How far a log weight in float32, from networks in another file, may be from the exact one.

    Sums of N terms are wrong by N roundings of their sizes, a few more for each term; the networks by APART. The
    term (z - mu)^2 / sigma^2 is of a difference, which is as wrong as z and mu are.
    """
    sigma = np.exp(logvar / 2)
    eps = (z - mu) / sigma
    pixels = mse_slack(x_hat, x) / VARIANCE + (x.size + 8) * UNIT * (abs(math.log(VARIANCE)) + 2)
    sizes, lost = u**2 + eps**2 + mu**2 + abs(logvar) + 2, abs(eps) * (abs(mu) / sigma + abs(eps))
    return float(x.size * pixels / 2 + (APART + (z.size + 8) * UNIT) * sizes.sum() + 4 * UNIT * lost.sum())


@fact("gen_export.vae.bounds_recomputed", "tolerance", families=_VAE, graphs=_BOUND)
def bounds_are_those_of_the_spec(files: Files) -> Finding:
    """elbo = mean_k log w_k, bound = log mean_k w_k, where w = p(x | z) p(z) / q(z | x), each from its own file."""
    case = weighed(files, "vae bounds")
    run = files.run("bound", case.inputs)
    expected = np.stack([case.log_w.mean(axis=0), importance_weighted_bound(case.log_w)])
    return worst(abs(np.stack([run["elbo"], run["bound"]]) - expected), case.slack, IMAGES)


@fact("gen_export.vae.elbo_below_bound", "sampled", families=_VAE, graphs=("bound",))
def elbo_is_below_the_bound(files: Files) -> Finding:
    """elbo <= bound (Jensen), up to the rounding of a mean."""
    run = files.run("bound", files.inputs("bound", SAMPLES, "vae jensen"))
    elbo, bound = (run[name].astype(np.float64) for name in ("elbo", "bound"))
    # The K numbers log w are at most bound + log K each, so they sum in size to at most 3 K times this.
    size = np.maximum(abs(elbo), abs(bound)) + math.log(SAMPLES)
    return worst((elbo - bound) / size, 3 * SAMPLES * (SAMPLES + 3) * UNIT, SAMPLES)


@fact("gen_export.vae.one_sample_bound", "exact", families=_VAE, graphs=("bound",))
def one_sample_bounds_as_the_elbo_does(files: Files) -> Finding:
    """bound = elbo where there is one sample of each image."""
    inputs = files.inputs("bound", IMAGES, "vae one sample")
    run = files.run("bound", {**inputs, "eps": inputs["eps"][:1]})
    return same_bits(run["bound"], run["elbo"], IMAGES)


@fact("gen_export.vae.default_variance", "exact", families=_VAE, graphs=("bound",))
def default_variance_is_what_beta_stands_for(files: Files) -> Finding:
    """The default variance is beta D / (2 n), of D pixel values and n latents, or 1 where beta = 0."""
    inputs, image = files.inputs("bound", IMAGES, "vae variance"), files.card.image
    beta = (files.card.config or {}).get("beta", math.nan)
    size, latents = image.channels * image.height * image.width, inputs["eps"].shape[-1]
    variance = np.array(beta * size / (2 * latents) or 1.0, np.float32)
    others = {name: value for name, value in inputs.items() if name != "variance"}
    left_out, given = (files.run("bound", {**others, **more})["elbo"] for more in ({}, {"variance": variance}))
    return same_bits([*left_out, inputs["variance"]], [*given, variance], IMAGES)
