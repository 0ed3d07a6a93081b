"""Vector quantisation: the nearest code, its losses and its codebook (reference section 4).

van den Oord et al., *Neural Discrete Representation Learning* (2017), arXiv:1711.00937.

z_e is the `encoded` latent, z_q the `selected` code. `stop` is the stop-gradient: torch's detach while training,
the identity where there are only values.
"""

from collections.abc import Callable
from typing import Any

from array_api_compat import array_namespace, device

from gen_export.spec.objectives import mse, mse_gradient, weighted_three_term

Array = Any
Stop = Callable[[Array], Array]


def _identity(x: Array) -> Array:
    return x


def squared_l2(x: Array, y: Array) -> Array:
    """The squared distance as the *sum* over the last axis (`squaredL2`, `sqDist`)."""
    difference = x - y
    return array_namespace(difference).sum(difference * difference, axis=-1)


def nearest_code(z: Array, codebook: Array) -> Array:
    """The index k that minimises |c_k|^2 - 2 z.c_k, and so |z - c_k|^2 (`IsNearestCode`).

    Computed in float64, where products of float32 numbers are exact: float32 would rank codes wrongly that are
    closer to a tie than its rounding of |c|^2.

    Args:
        z: Latents, shape (..., d).
        codebook: Codes, shape (K, d).

    Returns:
        int64 indices, shape (...).
    """
    xp = array_namespace(z, codebook)
    return xp.argmin(_scores(xp.astype(z, xp.float64), xp.astype(codebook, xp.float64)), axis=-1)


def _scores(z: Array, codes: Array) -> Array:
    """|c|^2 - 2 z.c = |z - c|^2 - |z|^2 of each code, shape (..., K)."""
    xp = array_namespace(z, codes)
    return xp.sum(codes * codes, axis=-1) - 2.0 * xp.matmul(z, codes.T)


def bisector_distance(gap: Array, between: Array) -> Array:
    """The distance of a latent z to the plane of equal distance to two codes: gap / (2 between).

    Args:
        gap: |z - c_j|^2 - |z - c_k|^2, by which the code c_j is further than c_k.
        between: |c_j - c_k|.
    """
    return gap / (2.0 * between)


def certified_margin(z: Array, codebook: Array) -> Array:
    """How far a latent may move before `nearest_code` may give it another index: at most its nearest bisector distance.

    For all z' with |z' - z| < margin, in L2 and over the real numbers, whoever computes `nearest_code(z')` in float64
    from float32 codes gets the index k that it gives z, in whatever order it adds. Two equal codes have no plane
    between them, and rounding may choose either: their latents' margin is 0.

    With u = 2^-53 a computed score of a latent z is off by at most g |c| (|c| + 2 |z|), g = (d + 8) u: its products
    are exact, and d roundings of its sums add up to at most (d + 1) u of their terms. Moving z by m lowers the gap of
    c_j by at most 2 m |c_j - c_k|, and raises these errors by 2 m g |c|. So the index stays where

        m <= (gap - e(z)) / (2 (|c_j - c_k| + g (|c_j| + |c_k|))),    e(z) = the errors of the scores of c_j and c_k.

    The gap, computed from scores at z, is less than another e(z) too large, and |c_j - c_k|^2, computed from the
    scores of c_k, at most g (|c_j| + |c_k|)^2 too small; the 8 in g is more than all other roundings in these errors.
    The factor 1 - 2^-23 pays for those of the last steps and of the cast to float32, 2^-126 for a cast to a
    subnormal, and 2^-500 keeps the distance of two codes of zeros from being 0. So the margin is below the bisector
    distance by some 1e-7 of it, and by more only where that distance or |c_j - c_k| is below 1e-3 of the codes' size.

    Args:
        z: Latents, shape (..., d), d up to 1024.
        codebook: Codes, shape (K, d), K >= 2.

    Returns:
        float32 distances, shape (...), 0 to 2^127.
    """
    xp = array_namespace(z, codebook)
    z, codes = xp.astype(z, xp.float64), xp.astype(codebook, xp.float64)
    share = (codes.shape[1] + 8) * 2.0**-53
    lengths, reach = xp.sqrt(xp.sum(codes * codes, axis=-1)), xp.sqrt(xp.sum(z * z, axis=-1))[..., None]
    scores = _scores(z, codes)
    index = xp.argmin(scores, axis=-1)
    code, length = lookup(codes, index), lookup(lengths, index)[..., None]
    errors = share * (lengths * (lengths + 2.0 * reach) + length * (length + 2.0 * reach))
    gaps = scores - xp.min(scores, axis=-1, keepdims=True) - 2.0 * errors
    both = lengths + length
    between = xp.sqrt(_scores(code, codes) + length * length + share * both * both) + share * both
    others = xp.arange(codes.shape[0], device=device(codes)) != index[..., None]
    nearest = xp.min(bisector_distance(xp.where(others, gaps, xp.inf), between + 2.0**-500), axis=-1)
    return xp.astype((nearest * (1.0 - 2.0**-23) - 2.0**-126).clip(0.0, 2.0**127), xp.float32)


def lookup(codebook: Array, indices: Array) -> Array:
    """Codes (..., d) of indices (...), the rows of the codebook (K, d) (`quantizeAt`)."""
    return codebook[indices]


def straight_through(encoded: Array, selected: Array, stop: Stop = _identity) -> Array:
    """The code, with the gradient of the latent: stop(z_q) + (z_e - stop(z_e)) (`straightThrough`).

    In this order the bracket is exactly 0, so the value is exactly the code.
    """
    return stop(selected) + (encoded - stop(encoded))


def codebook_loss(encoded: Array, selected: Array, stop: Stop = _identity) -> Array:
    """Mean |z_q - stop(z_e)|^2, which moves the codes (`codebookLoss`)."""
    return mse(selected, stop(encoded))


def commitment_loss(encoded: Array, selected: Array, stop: Stop = _identity) -> Array:
    """Mean |z_e - stop(z_q)|^2, which moves the encoder (`commitmentLoss`)."""
    return mse(encoded, stop(selected))


def vqvae_loss(reconstruction: Array, codebook: Array, commitment: Array, beta: Array) -> Array:
    """Sum (reconstruction + codebook) + beta * commitment (equation 3, `vqvae_loss_eq_weightedThreeTerm`)."""
    return weighted_three_term(beta, reconstruction, codebook, commitment)


def training_gradients(encoded: Array, selected: Array, upstream: Array, beta: Array) -> tuple[Array, Array]:
    """Gradients of the loss in the latent and in its selected code (`trainingGradients`).

    Args:
        encoded: z_e, any shape.
        selected: z_q, the same shape.
        upstream: Gradient of the reconstruction in what the decoder is given, the same shape.
        beta: Weight of the commitment.
    """
    return upstream + beta * mse_gradient(encoded, selected), mse_gradient(selected, encoded)


def perplexity(counts: Array) -> Array:
    """Exponential of the entropy of how often each code is used: 1 for one code .. K for all alike; 0 log 0 is 0.

    Args:
        counts: Uses of each code, floats, shape (K,), not all 0.
    """
    xp = array_namespace(counts)
    frequencies = counts / xp.sum(counts)
    return xp.exp(-xp.sum(frequencies * xp.log(xp.where(frequencies > 0.0, frequencies, 1.0))))


def ema_codebook(
    counts: Array, sums: Array, new_counts: Array, new_sums: Array, decay: float, epsilon: float
) -> tuple[Array, Array, Array]:
    """One update of the codebook as a moving average of its latents (appendix A.1), with Laplace-smoothed counts.

    Args:
        counts: Average number of latents of each code, shape (K,).
        sums: Average sum of the latents of each code, shape (K, d).
        new_counts: The number of latents of each code in this batch, shape (K,).
        new_sums: Their sums, shape (K, d).
        decay: Weight of the past, 0..1.
        epsilon: Latents added to every count, so that a code without any divides by more than 0.

    Returns:
        The next counts and sums, and the codebook (K, d).
    """
    xp = array_namespace(counts)
    counts = decay * counts + (1.0 - decay) * new_counts
    sums = decay * sums + (1.0 - decay) * new_sums
    total = xp.sum(counts)
    smoothed = (counts + epsilon) / (total + epsilon * counts.shape[0]) * total
    return counts, sums, sums / xp.reshape(smoothed, (-1, 1))
