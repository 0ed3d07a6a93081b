"""Classifier-free guidance: a network that knows an image's class, and can be told none, drawn further to the class.

Ho & Salimans, *Classifier-Free Diffusion Guidance* (2022), arXiv:2207.12598. Classes are numbered 0..K-1; K stands for
any class: what the network is told where the class is withheld.
"""

from typing import Any

from array_api_compat import array_namespace

Array = Any
ANY, EACH = "any", "each"
"""Names of K, for any class, and of K + 1, for each class in turn."""


def guide(conditional: Array, unconditional: Array, scale: Array) -> Array:
    """The output moved along the difference that the class makes, equation 6 with scale = w + 1.

    Scale 0 is the output for any class, 1 that for the class, and more exaggerates it.

    Args:
        conditional: Output for the class.
        unconditional: Output for any class, same shape.
        scale: A number.
    """
    return unconditional + scale * (conditional - unconditional)


def sample_labels(index: Array, label: Array, classes: int) -> Array:
    """The classes of samples with these indices, int64 (N,).

    Args:
        index: Indices of the samples, int64 (N,), at least 0.
        label: The class of all, int64: 0..K-1, K for any, or K + 1 for each class in turn, sample i of class i mod K.
        classes: K.
    """
    xp = array_namespace(index)
    return xp.where(xp.equal(label, classes + 1), index % classes, label + 0 * index)
