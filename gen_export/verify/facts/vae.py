"""Facts of the (beta-)VAE's loss and KL (reference section 3.2) on exported files."""

import math
from typing import Any

import numpy as np

from gen_export.spec.objectives import weighted_two_term
from gen_export.spec.vae import beta_vae_loss, kl_sum
from gen_export.verify.fact import Finding, fact, same_bits, worst
from gen_export.verify.files import Files, random
from gen_export.verify.rounding import UNIT
from gen_runtime.inputs import Array

BATCH = 3
BETAS = (0.0, 0.005, 1.0, 37.5)
EXP = 4 * UNIT
"""The largest relative error of a float32 exponential: two units in the last place."""

_VAE = ("vae",)
_OBJECTIVE = ("objective",)
_NAME = "NN.MLTheory.Generative.Latent.VAE.{}".format


def posterior(files: Files, purpose: str, batch: int = BATCH) -> dict[str, Array]:
    """Seeded posteriors to put into the objective in place of the encoder's: mu and logvar, (batch, n) each."""
    rng, shape = random(purpose), files.inputs("objective", batch, purpose)["eps"].shape
    return {name: (scale * rng.standard_normal(shape)).astype(np.float32) for name, scale in (("mu", 2), ("logvar", 1))}


def swept(files: Files, purpose: str, put: dict[str, Array] | None = None) -> list[dict[str, Any]]:
    """The objective's outputs for each beta, on one batch."""
    inputs = files.inputs("objective", BATCH, purpose)
    return [files.run("objective", {**inputs, "beta": np.array(beta, np.float32)}, put=put) for beta in BETAS]


def stacked(runs: list[dict[str, Any]], name: str) -> Array:
    """One output of several runs."""
    return np.stack([run[name] for run in runs])


@fact(
    "Generative.VAE.loss_eq_reconstruction_add_kl",
    "exact",
    "3.2",
    families=_VAE,
    graphs=_OBJECTIVE,
    aliases=(_NAME("betaVae_loss_decomposition"),),
)
def loss_is_reconstruction_plus_beta_kl(files: Files) -> Finding:
    """loss = reconstruction + beta * kl, in the file's own outputs."""
    runs = swept(files, "vae decomposition")
    terms = zip(runs, BETAS, strict=True)
    expected = [beta_vae_loss(run["reconstruction"], run["kl"], np.float32(beta)) for run, beta in terms]
    return same_bits(stacked(runs, "loss"), np.stack(expected), len(runs))


@fact(_NAME("betaVae_loss_eq_weightedTwoTerm"), "exact", "3.2", families=_VAE, graphs=_OBJECTIVE)
def loss_is_the_weighted_two_term(files: Files) -> Finding:
    """loss = weightedTwoTerm beta (base := reconstruction, regularizer := kl), for any posterior."""
    runs = swept(files, "vae two terms", posterior(files, "vae two terms"))
    terms = zip(runs, BETAS, strict=True)
    expected = [weighted_two_term(np.float32(beta), run["reconstruction"], run["kl"]) for run, beta in terms]
    return same_bits(stacked(runs, "loss"), np.stack(expected), len(runs))


@fact(_NAME("betaVae_loss_zero_beta"), "exact", "3.2", families=_VAE, graphs=_OBJECTIVE)
def loss_without_beta_is_the_reconstruction(files: Files) -> Finding:
    """loss = reconstruction where beta = 0."""
    inputs = files.inputs("objective", BATCH, "vae zero beta")
    run = files.run("objective", {**inputs, "beta": np.array(0, np.float32)})
    return same_bits(run["loss"], run["reconstruction"], BATCH)


@fact(
    _NAME("betaVae_loss_eq_reconstruction_of_zero_kl"),
    "exact",
    "3.2",
    hypotheses="kl = 0: mu = logvar = 0 are put in place of the encoder's",
    families=_VAE,
    graphs=_OBJECTIVE,
)
def loss_at_the_prior_is_the_reconstruction(files: Files) -> Finding:
    """kl = 0 where mu = logvar = 0, and then loss = reconstruction for every beta."""
    zero = {name: 0 * value for name, value in posterior(files, "vae zero kl").items()}
    runs = swept(files, "vae zero kl", zero)
    found, expected = (stacked(runs, name) for name in ("loss", "reconstruction"))
    return same_bits([found, stacked(runs, "kl")], [expected, 0 * expected], len(runs))


@fact(
    _NAME("betaVae_loss_mono_beta_of_kl_nonneg"),
    "sampled",
    "3.2",
    hypotheses="beta1 <= beta2, 0 <= kl",
    families=_VAE,
    graphs=_OBJECTIVE,
)
def loss_grows_with_beta(files: Files) -> Finding:
    """loss(beta1) <= loss(beta2), without a tolerance: rounding to nearest keeps the order."""
    losses = stacked(swept(files, "vae monotone"), "loss").astype(np.float64)
    return worst(losses[:-1] - losses[1:], 0.0, len(losses) - 1)


@fact("gen_export.vae.kl_is_the_mean", "tolerance", families=_VAE, graphs=_OBJECTIVE)
def kl_is_the_mean_over_coordinates(files: Files) -> Finding:
    """kl = sum_i (e^logvar_i + mu_i^2 - 1 - logvar_i) / 2 / n, n coordinates of the whole batch: a mean, not a sum."""
    put = posterior(files, "vae kl")
    kl = files.run("objective", files.inputs("objective", BATCH, "vae kl"), put=put)["kl"]
    mu, logvar = (value.astype(np.float64) for value in put.values())
    expected = kl_sum(mu, logvar).sum() / mu.size
    return worst(abs(kl - expected), kl_slack(mu, logvar), BATCH)


@fact("gen_export.vae.kl_of_unit_means", "exact", families=_VAE, graphs=_OBJECTIVE)
def kl_of_unit_means_is_half_a_nat(files: Files) -> Finding:
    """kl = 1 / 2 where every mu_i = 1 and logvar_i = 0, whatever the number of coordinates."""
    ones = {name: np.full_like(value, name == "mu") for name, value in posterior(files, "vae unit").items()}
    kl = files.run("objective", files.inputs("objective", BATCH, "vae unit"), put=ones)["kl"]
    return same_bits(kl, np.float32(0.5), 1)


@fact("gen_export.vae.kl_nonneg", "sampled", families=_VAE, graphs=_OBJECTIVE)
def kl_is_nonnegative(files: Files) -> Finding:
    """0 <= kl, up to the rounding of its cancelling terms, for posteriors near the prior and far from it."""
    inputs, put = files.inputs("objective", BATCH, "vae kl sign"), posterior(files, "vae kl sign")
    excess = []
    for power in range(-12, 3, 2):
        near = {name: np.float32(2.0**power) * value for name, value in put.items()}
        kl = files.run("objective", inputs, put=near)["kl"]
        excess.append(-float(kl) / kl_slack(*(value.astype(np.float64) for value in near.values())))
    return worst(excess, 1.0, len(excess), "in units of what rounding explains")


def kl_slack(mu: Array, logvar: Array) -> float:
    """How far a float32 mean of the KL may be from the exact one.

    Its terms ((e^l + m^2) - 1) - l are rounded 4 times, beside the exponential; their sum of N by N roundings.
    """
    scale = np.exp(logvar) + mu * mu + 1 + np.abs(logvar)
    return float((mu.size + 6) * UNIT * scale.mean() + EXP * np.exp(logvar).mean())


@fact("gen_export.vae.default_beta", "exact", families=_VAE, graphs=_OBJECTIVE)
def default_beta_is_that_of_the_card(files: Files) -> Finding:
    """The default beta, that of the port and that of the file when it is left out, is the one it was trained with."""
    inputs, put = files.inputs("objective", BATCH, "vae default"), posterior(files, "vae default")
    beta = np.array((files.card.config or {}).get("beta", math.nan), np.float32)
    others = {name: value for name, value in inputs.items() if name != "beta"}
    left_out, given = (files.run("objective", {**others, **more}, put=put)["loss"] for more in ({}, {"beta": beta}))
    return same_bits([left_out, inputs["beta"]], [given, beta], BATCH)
