"""The (beta-)VAE: a diagonal Gaussian posterior, held to a standard normal one (reference section 3).

Kingma & Welling, *Auto-Encoding Variational Bayes* (2014), arXiv:1312.6114, appendix B;
Higgins et al., *beta-VAE* (ICLR 2017), equation 4;
Burda et al., *Importance Weighted Autoencoders* (2016), arXiv:1509.00519.
"""

import math
from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace

from gen_export.spec.objectives import weighted_two_term

Array = Any


def reparameterize(mu: Array, logvar: Array, eps: Array) -> Array:
    """The latent mu + exp(logvar / 2) eps: normal with mean mu and variance exp(logvar) when eps is standard normal."""
    return mu + array_namespace(logvar).exp(0.5 * logvar) * eps


def _twice_kl(mu: Array, logvar: Array) -> Array:
    """Two times the KL of every coordinate: ((exp(logvar) + mu^2) - 1) - logvar."""
    return array_namespace(logvar).exp(logvar) + mu * mu - 1.0 - logvar


def coordinate_kl(mu: Array, logvar: Array) -> Array:
    """KL(N(mu, exp logvar) || N(0, 1)) in nats, elementwise (`coordinateKlToStandard`)."""
    return _twice_kl(mu, logvar) / 2.0


def kl_mean(mu: Array, logvar: Array) -> Array:
    """The KL to the standard normal in nats, as the *mean* over all coordinates: the term of the loss."""
    return 0.5 * array_namespace(mu).mean(_twice_kl(mu, logvar))


def kl_sum(mu: Array, logvar: Array) -> Array:
    """The KL to the standard normal in nats, as the *sum* over the last axis: the term of the theorems."""
    return array_namespace(mu).sum(coordinate_kl(mu, logvar), axis=-1)


def beta_vae_loss(reconstruction: Array, kl: Array, beta: Array) -> Array:
    """Reconstruction + beta * kl (`betaVae_loss_eq_weightedTwoTerm`)."""
    return weighted_two_term(beta, reconstruction, kl)


@dataclass(frozen=True, slots=True)
class ElboTerms:
    """The two terms of the evidence lower bound, in nats.

    Attributes:
        reconstruction_nll: -E log p(x | z) under the posterior.
        kl_posterior_prior: KL(q(z | x) || p(z)).
    """

    reconstruction_nll: Array
    kl_posterior_prior: Array


def negative_elbo(terms: ElboTerms) -> Array:
    """Negative evidence lower bound in nats (`negativeElbo`)."""
    return terms.reconstruction_nll + terms.kl_posterior_prior


def beta_negative_elbo(beta: Array, terms: ElboTerms) -> Array:
    """The bound with its KL weighted by beta (`betaNegativeElbo`)."""
    return beta_vae_loss(terms.reconstruction_nll, terms.kl_posterior_prior, beta)


def _log_density(difference: Array, logvar: Array) -> Array:
    """The density log N(difference; 0, exp logvar) summed over all axes but the first."""
    xp = array_namespace(difference)
    terms = difference * difference * xp.exp(-logvar) + logvar + math.log(2.0 * math.pi)
    return -0.5 * xp.sum(terms, axis=tuple(range(1, terms.ndim)))


def gaussian_log_density(x: Array, mean: Array, variance: Array) -> Array:
    """The density log N(x; mean, diag variance) in nats, summed over all axes but the first, shape (batch,).

    Args:
        x: Points, shape (batch, ...).
        mean: An array or a number that broadcasts over x.
        variance: An array or a number that broadcasts over x, positive.
    """
    xp = array_namespace(x)
    return _log_density(x - mean, xp.log(xp.zeros_like(x) + variance))


def log_importance_weights(
    x: Array, x_hat: Array, variance: Array, log_prior: Array, z: Array, mu: Array, logvar: Array
) -> Array:
    """The sum log p(x | z) + log p(z) - log q(z | x) in nats, shape (batch,): log w of Burda et al., equation 8.

    Args:
        x: Observations, shape (batch, ...).
        x_hat: Decoded latents, the mean of p(x | z), shape (batch, ...).
        variance: Variance of p(x | z).
        log_prior: log p(z), shape (batch,).
        z: Latents drawn from q, shape (batch, n).
        mu: Posterior mean, shape (batch, n).
        logvar: Posterior log-variance, shape (batch, n).
    """
    return gaussian_log_density(x, x_hat, variance) + log_prior - _log_density(z - mu, logvar)


def importance_weighted_bound(log_w: Array) -> Array:
    """The bound log mean_k w_k <= log p(x) in nats, on average over the latents (Burda et al., equation 8).

    Args:
        log_w: `log_importance_weights` of K latents of each observation, shape (K, ...).
    """
    xp = array_namespace(log_w)
    largest = xp.max(log_w, axis=0, keepdims=True)  # so that exp neither overflows nor is 0 throughout
    return xp.log(xp.mean(xp.exp(log_w - largest), axis=0)) + largest[0]
