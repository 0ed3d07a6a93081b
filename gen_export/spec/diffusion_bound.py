"""The variational bound on -log P(image) of a diffusion model, for images of 256 levels.

Ho et al., *Denoising Diffusion Probabilistic Models* (2020), arXiv:2006.11239, equation 5; in the form of Kingma et
al., *Variational Diffusion Models* (2021), arXiv:2107.00630, equations 11 to 14:

    -log P(x_0) <= KL(q(x_T | x_0) || N(0, I))                                                    prior
                   + sum over t = 2..T of (SNR(t - 1) - SNR(t)) / 2 E |x_0 - x0_hat(x_t, t)|^2    transitions
                   - E log P(x_0 | x_1)                                                           levels

with SNR(t) = abar_t / (1 - abar_t), reverse steps of the posterior's variance, and P(x_0 | x_1) the shares that the 256
levels of each pixel have of N(x0_hat(x_1, 1), s^2), any s. Nats, summed over all axes but the first.
"""

from typing import Any

from array_api_compat import array_namespace

from gen_export.spec.categorical import log_softmax
from gen_export.spec.pixels import from_bytes

Array = Any

LEVELS = 256


def signal_to_noise(abar: Array) -> Array:
    """SNR = abar / (1 - abar)."""
    return abar / (1.0 - abar)


def prior_term(x_0: Array, abar_last: Array) -> Array:
    """KL(N(sqrt(abar_T) x_0, (1 - abar_T) I) || N(0, I)), (batch,)."""
    xp = array_namespace(x_0)
    variance = 1.0 - abar_last
    return _total(0.5 * (abar_last * x_0 * x_0 + variance - 1.0 - xp.log(variance) + 0.0 * x_0))


def transition_term(x_0: Array, x0_hat: Array, abar_t: Array, abar_s: Array) -> Array:
    """KL of the posterior of x_s from the reverse step's law, where s = t - 1 is at least 1, (batch,)."""
    weight = 0.5 * (signal_to_noise(abar_s) - signal_to_noise(abar_t))
    return _total(weight * (x_0 - x0_hat) ** 2)


def level_term(levels: Array, x0_hat: Array, variance: Array) -> Array:
    """-log P(x_0 | x_1), (batch,).

    Args:
        levels: The image, whole numbers 0..255, of the shape of x0_hat.
        x0_hat: The clean image predicted at state 1.
        variance: s^2.
    """
    xp = array_namespace(x0_hat)
    every = from_bytes(xp.arange(LEVELS, dtype=x0_hat.dtype))
    log_shares = log_softmax(-((x0_hat[..., None] - every) ** 2) / (2.0 * variance))
    own = xp.take_along_axis(log_shares, xp.astype(levels, xp.int64)[..., None], axis=-1)
    return -_total(own[..., 0])


def _total(terms: Array) -> Array:
    """The sum over all axes but the first."""
    xp = array_namespace(terms)
    return xp.sum(terms, axis=tuple(range(1, terms.ndim)))
