"""Facts of the KL to the standard normal, and of the bounds built on it (reference section 3.2): pure mathematics.

The checked lines are those of `gen_export.spec.vae`. That the KL is positive is proved by ball arithmetic where
|mu| <= 8 and |logvar| <= 16. It is so beyond: (exp(l) + m^2 - 1 - l) / 2 is convex and 0 at 0, so along a ray from 0
it does not fall once it is positive, as it is proved to be where the ray leaves the box.
"""

from fractions import Fraction
from typing import Any

import numpy as np

from gen_export.spec.vae import (
    ElboTerms,
    beta_negative_elbo,
    beta_vae_loss,
    coordinate_kl,
    gaussian_log_density,
    importance_weighted_bound,
    kl_mean,
    kl_sum,
    log_importance_weights,
    negative_elbo,
)
from gen_export.verify.balls import Function, cells_without_proof, directions_without_proof, flint, objects
from gen_export.verify.fact import Finding, fact, worst
from gen_export.verify.facts.objective import largest, rationals
from gen_export.verify.files import random

BOX = [8.0, 16.0]
BITS = 256
VECTORS = 200
POSTERIORS = 50
EPSILON = float(np.finfo(np.float64).eps)
_NAME = "NN.MLTheory.Generative.Latent.VAE.{}".format


def exp_minus_one_minus(x: np.ndarray) -> np.ndarray:
    """The function exp(x) - 1 - x as the lines of the KL compute it: twice the KL of mean 0."""
    return 2 * coordinate_kl(0 * x, x)


def proof(f: Function, reach: list[float], right_at_zero: bool) -> Finding:
    """The finding of f > 0 but at 0: cells and directions without a proof, and 1 for a wrong value at 0."""
    missing = cells_without_proof(f, reach) + directions_without_proof(f, len(reach)) + (not right_at_zero)
    box = " x ".join(f"[-{side:g}, {side:g}]" for side in reach)
    return Finding(float(missing), 0.0, 1, f"every number of {box}, beyond by convexity")


@fact(_NAME("exp_minus_one_minus_nonneg"), "certified", "3.2")
def exponential_lies_above_its_tangent() -> Finding:
    """0 <= e^x - 1 - x."""
    return proof(exp_minus_one_minus, BOX[1:], exp_minus_one_minus(np.zeros(1))[0] >= 0)


@fact(_NAME("exp_minus_one_minus_pos"), "certified", "3.2", hypotheses="x != 0")
def exponential_touches_its_tangent_once() -> Finding:
    """0 < e^x - 1 - x, and the difference is 0 at x = 0."""
    return proof(exp_minus_one_minus, BOX[1:], exp_minus_one_minus(np.zeros(1))[0] == 0)


@fact(_NAME("coordinateKlToStandard_nonneg"), "certified", "3.2")
def coordinate_kl_is_nonnegative() -> Finding:
    """0 <= (e^l + mu^2 - 1 - l) / 2."""
    return proof(coordinate_kl, BOX, coordinate_kl(np.zeros(1), np.zeros(1))[0] >= 0)


@fact(_NAME("coordinateKlToStandard_eq_zero_iff"), "certified", "3.2")
def coordinate_kl_is_zero_at_the_prior_alone() -> Finding:
    """(e^l + mu^2 - 1 - l) / 2 = 0 if and only if mu = 0 and l = 0."""
    return proof(coordinate_kl, BOX, coordinate_kl(np.zeros(1), np.zeros(1))[0] == 0)


def vector_kls(purpose: str) -> list[tuple[bool, Any]]:
    """Whether both vectors are 0, and balls of their summed KL, of 0 to 32 coordinates of sizes 1e-30 to 10."""
    arb, rng, found = flint().arb, random(purpose), []
    for n in range(VECTORS):
        sizes = 10.0 ** rng.uniform(-30, 1, (2, n % 33))
        vectors = sizes * rng.choice([-1, 1], sizes.shape) * (rng.random(sizes.shape) < 0.2)
        mu, logvar = (objects([arb(x) for x in vector.tolist()]) for vector in vectors)
        found.append((not vectors.any(), arb(0) + kl_sum(mu, logvar)))
    return found


@fact(_NAME("diagonalGaussianKlToStandardReal_nonneg"), "sampled", "3.2")
def summed_kl_is_nonnegative() -> Finding:
    """0 <= sum_i (e^l_i + mu_i^2 - 1 - l_i) / 2, for vectors of any length, the sum in balls of 256 bits."""
    with flint().ctx.workprec(BITS):
        return worst([-float(value.lower()) for _, value in vector_kls("summed kl")], 0.0, VECTORS)


@fact(_NAME("diagonalGaussianKlToStandardReal_eq_zero_iff"), "sampled", "3.2")
def summed_kl_is_zero_at_the_prior_alone() -> Finding:
    """sum_i (e^l_i + mu_i^2 - 1 - l_i) / 2 = 0 if and only if every mu_i = 0 and every l_i = 0; balls of 256 bits."""
    with flint().ctx.workprec(BITS):
        right = [bool(value == 0 if prior else value > 0) for prior, value in vector_kls("summed kl zero")]
    return Finding(float(right.count(False)), 0.0, VECTORS)


@fact(_NAME("betaVae_loss_matches_named_elbo_terms"), "exact", "3.2", hypotheses="r and k are the terms' fields")
def loss_is_the_negative_elbo_of_its_terms() -> Finding:
    """r + beta k = betaNegativeElbo beta (r, k), and for beta = 1 it is negativeElbo (r, k)."""
    rows, one = list(rationals("elbo terms", 3)), Fraction(1)
    weighted = [abs(beta_vae_loss(r, k, beta) - beta_negative_elbo(beta, ElboTerms(r, k))) for r, k, beta in rows]
    return largest(weighted + [abs(beta_vae_loss(r, k, one) - negative_elbo(ElboTerms(r, k))) for r, k, _ in rows])


def posteriors(purpose: str) -> tuple[np.ndarray, np.ndarray]:
    """Means and log-variances of seeded normal laws, (N,) each: |mu| <= 8, |logvar| <= 5."""
    rng = random(purpose)
    return rng.uniform(-8, 8, POSTERIORS), rng.uniform(-5, 5, POSTERIORS)


def integrated_kl(mu: float, logvar: float) -> tuple[float, float]:
    """The integral of q log(q / p), and of q (|log q| + |log p|), for q = N(mu, e^logvar) and p = N(0, 1).

    The trapezoidal rule converges faster than any power on a normal law: 12 deviations in steps of 1 / 50 leave
    e^-72 outside, and less between the nodes.
    """
    sigma, t = np.exp(logvar / 2), np.arange(-600, 601)[:, None] / 50
    z = mu + sigma * t
    log_q, log_p = gaussian_log_density(z, mu, sigma**2), gaussian_log_density(z, 0.0, 1.0)
    weight = np.exp(log_q) * sigma / 50
    return float(weight @ (log_q - log_p)), float(weight @ (abs(log_q) + abs(log_p)))


@fact("gen_export.vae.kl_is_its_integral", "tolerance")
def kl_is_its_integral() -> Finding:
    """(e^l + mu^2 - 1 - l) / 2 is the integral of q log(q / p) for q = N(mu, e^l), p = N(0, 1)."""
    mu, logvar = posteriors("kl integral")
    found, scale = np.transpose([integrated_kl(m, v) for m, v in zip(mu, logvar, strict=True)])
    # exp makes a relative error of the rounding of a density of up to 80 nats; the sum over 1201 nodes adds its own.
    return worst(abs(found - coordinate_kl(mu, logvar)) / scale, (80 + 1201) * EPSILON, POSTERIORS)


@fact("gen_export.vae.mean_kl_is_sum_over_n", "tolerance")
def mean_kl_is_the_sum_over_n() -> Finding:
    """The mean KL of the loss is the summed KL of the theorems divided by the number of coordinates."""
    mu, logvar = posteriors("mean kl")
    expected = kl_sum(mu, logvar) / len(mu)
    return worst(abs(kl_mean(mu, logvar) - expected) / expected, 2 * (len(mu) + 8) * EPSILON, 1)


@fact("gen_export.vae.log_weights_average_to_minus_kl", "tolerance")
def log_weights_average_to_the_kl() -> Finding:
    """log p(z) - log q(z | x) is minus the summed KL on average over z = mu +- sigma eps, each eps_i 1 or -1."""
    # Two such points have the mean and the variance of the standard normal law, which are all that a quadratic sees.
    mu, logvar = (x.reshape(10, -1) for x in posteriors("log weights"))
    sigma, eps = np.exp(logvar / 2), random("log weights eps").choice([-1.0, 1.0], mu.shape)
    x = np.zeros((10, 1))
    latents = [mu + sign * sigma * eps for sign in (1, -1)]
    pair = [log_importance_weights(x, x, 1.0, gaussian_log_density(z, 0.0, 1.0), z, mu, logvar) for z in latents]
    expected = gaussian_log_density(x, x, 1.0) - kl_sum(mu, logvar)
    # Each of 2 n terms is a dozen operations on numbers no larger than this.
    scale = np.sum((np.abs(mu) + sigma) ** 2 + np.abs(logvar) + 4, axis=1)
    return worst(abs(np.mean(pair, axis=0) - expected) / scale, 24 * EPSILON, len(x))


@fact("gen_export.vae.importance_weighted_bound_is_above_the_elbo", "sampled")
def bound_is_above_the_elbo() -> Finding:
    """mean_k log w_k <= log mean_k w_k, for 1 to 16 weights (Jensen)."""
    rng = random("jensen")
    rows = [rng.normal(0, 10.0 ** rng.uniform(-2, 3), (1 + n % 16, 1)) for n in range(VECTORS)]
    # Of K equal weights both sides are the same number, each within K + 3 roundings of it.
    slack = [(len(row) + 3) * EPSILON * np.abs(row).max() for row in rows]
    excess = [row.mean() - importance_weighted_bound(row).item() for row in rows]
    return worst(np.array(excess) - slack, 0.0, VECTORS)
