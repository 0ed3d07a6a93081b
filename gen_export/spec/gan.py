"""Least-squares adversarial losses (reference section 5).

Mao et al., *Least Squares Generative Adversarial Networks* (2017), arXiv:1611.04076, equation 9 with a = 0 and
b = c = 1, without its factors of one half.

Scores are the discriminator's outputs, shape (batch,); losses are means over the batch.
"""

from typing import Any

from gen_export.spec.objectives import mse

Array = Any

REAL, FAKE = 1.0, 0.0


def real_term(real_scores: Array) -> Array:
    """Mean (D(x) - 1)^2: how far real images are from being taken for real."""
    return mse(real_scores, REAL)


def fake_term(fake_scores: Array) -> Array:
    """Mean D(G(z))^2: how far generated images are from being taken for fake."""
    return mse(fake_scores, FAKE)


def discriminator_loss(real_scores: Array, fake_scores: Array) -> Array:
    """The real term plus the fake term (`discriminatorLoss_eq`)."""
    return real_term(real_scores) + fake_term(fake_scores)


def generator_loss(fake_scores: Array) -> Array:
    """Mean (D(G(z)) - 1)^2 (`generatorLoss_eq_mse_fake_real`)."""
    return mse(fake_scores, REAL)
