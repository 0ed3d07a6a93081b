"""Bounds of float32 arithmetic that the facts about files share."""

from typing import Any

import numpy as np

from gen_export.verify.fact import Finding

UNIT = 2.0**-24
"""The largest relative error of one float32 operation."""
NETWORK = 1e-5
"""The largest error of a network in another graph, a share of its largest output: what export allows beside torch."""
LEVELS, SHARE = 2, 0.03
"""The most levels, and the share of values, by which images may differ where rounding alone has moved them."""


def in_units(found: Any, expected: Any, allowed: Any, cases: int, note: str = "") -> Finding:
    """The finding of arrays that may differ by `allowed`, number for number: the worst difference in its units."""
    apart = np.abs(np.asarray(found, np.float64) - np.asarray(expected, np.float64))
    limit = np.broadcast_to(np.asarray(allowed, np.float64), apart.shape)
    units = np.divide(apart, limit, out=np.where(apart == 0, 0.0, np.inf), where=limit > 0)
    units = np.where(np.isnan(apart) | np.isnan(limit), np.nan, units)
    return Finding(float(units.max()), 1.0, cases, note or "in units of the rounding bound")


def images_apart(found: np.ndarray, expected: np.ndarray, levels: int = LEVELS, share: float = SHARE) -> float:
    """How far bytes are apart, at most 1 where only rounding has moved them by a level here and there."""
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return float("inf")
    apart = np.abs(found.astype(int) - expected.astype(int))
    return max(float(apart.max()) / levels, float((apart > 0).mean()) / share)


def levels_off(images: np.ndarray, x: np.ndarray) -> float:
    """The largest distance of bytes (N, H, W, C) from the values in [-1, 1] that they stand for (N, C, H, W).

    In levels, so at most 1/2 where every byte is the nearest.
    """
    exact = ((x.astype(np.float64) + 1.0) * 127.5).clip(0.0, 255.0).transpose(0, 2, 3, 1)
    return float(np.abs(images.astype(np.float64) - exact).max()) if images.shape == exact.shape else float("inf")
