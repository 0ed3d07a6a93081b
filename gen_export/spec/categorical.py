"""Draws from a categorical law given as logits: temperature, the k most likely, and the inverse of the cumulative law.

Holtzman et al., *The Curious Case of Neural Text Degeneration* (2020), arXiv:1904.09751 (both options);
Devroye, *Non-Uniform Random Variate Generation* (1986), section III.2 (the inversion).

Computed in float64, so that a draw changes only where the logits themselves do.
"""

import math
from typing import Any

from array_api_compat import array_namespace

Array = Any

# Added to every temperature: it changes none above 2^-147, and parts any two float32 logits by more than 10^15 at 0.
COLDEST = 2.0**-200


def temper(logits: Array, temperature: Array) -> Array:
    """Logits of the law p^(1 / temperature), the largest 0, float64 (N, K).

    Temperature 0 is the limit: all of the law on the most likely index, or shared by those that tie.

    Args:
        logits: Unnormalised log-probabilities, (N, K).
        temperature: At least 0, float64 ().
    """
    xp = array_namespace(logits)
    logits = xp.astype(logits, xp.float64)
    return (logits - xp.max(logits, axis=1, keepdims=True)) / (temperature + COLDEST)


def keep_top(logits: Array, k: Array) -> Array:
    """Logits with all but the k largest at -inf; what ties with the k-th is kept, and k = K keeps all.

    Args:
        logits: Unnormalised log-probabilities, (N, K).
        k: 1..K, whole.
    """
    xp = array_namespace(logits)
    ranked = xp.sort(logits, axis=1, descending=True)
    least = xp.reshape(ranked[:, k - 1], (-1, 1))
    return xp.where(logits >= least, logits, -math.inf)


def categorical(logits: Array, u: Array) -> Array:
    """The index where the cumulative law of softmax(logits) passes u, int64 (N,).

    Of law softmax(logits) when u is uniform; an index without weight is never drawn.

    Args:
        logits: Unnormalised log-probabilities, (N, K).
        u: In (0, 1), float64 (N,).
    """
    xp = array_namespace(logits)
    logits = xp.astype(logits, xp.float64)
    weights = xp.exp(logits - xp.max(logits, axis=1, keepdims=True))
    reached = xp.reshape(u, (-1, 1)) * xp.sum(weights, axis=1, keepdims=True)
    passed = xp.cumulative_sum(weights, axis=1) <= reached
    # A sum of float64: ONNX Runtime has no sum of truth values, and sends one of int64 through saturating arithmetic.
    return xp.astype(xp.sum(xp.astype(passed, xp.float64), axis=1), xp.int64)


def log_softmax(logits: Array) -> Array:
    """Log-probabilities of the last axis, from log odds: never above 0, and finite where the log odds are."""
    xp = array_namespace(logits)
    below = logits - xp.max(logits, axis=-1, keepdims=True)
    return below - xp.log(xp.sum(xp.exp(below), axis=-1, keepdims=True))


def next_code(logits: Array, u: Array, temperature: Array, top_k: Array) -> Array:
    """The index drawn by u from the `top_k` most likely at a temperature, int64 (N,)."""
    return categorical(keep_top(temper(logits, temperature), top_k), u)
