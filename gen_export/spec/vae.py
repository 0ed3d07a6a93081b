"""The (beta-)VAE: a diagonal Gaussian posterior against a standard normal prior (reference section 3).

Kingma & Welling, *Auto-Encoding Variational Bayes* (2014), arXiv:1312.6114, appendix B;
Higgins et al., *beta-VAE* (ICLR 2017), equation 4.
"""

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


def variance_of_scale(sigma: Array) -> Array:
    """The variance sigma^2 of a normal law with scale sigma (`varianceOfScale`)."""
    return sigma * sigma


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
