"""Bytes to the range the networks see, and back."""

from typing import Any

import numpy as np
from array_api_compat import array_namespace

Array = Any


def from_bytes(pixels: Array) -> Array:
    """uint8 0..255 as floats in [-1, 1]: v / 127.5 - 1."""
    return pixels / 127.5 - 1.0


def planes(images: np.ndarray) -> np.ndarray:
    """Pictures uint8 (n, H, W, C) as the networks take them: float32 (n, C, H, W) in [-1, 1]."""
    return from_bytes(images.transpose(0, 3, 1, 2)).astype(np.float32)


def to_bytes(x: Array) -> Array:
    """Values in [-1, 1] as the nearest byte, half to even, clamped: the inverse of `from_bytes` on its image."""
    xp = array_namespace(x)
    return xp.astype(xp.round((x + 1.0) * 127.5).clip(0.0, 255.0), xp.uint8)


def pictures(x: Array) -> Array:
    """Images (n, C, H, W) in [-1, 1] as people see them, uint8 (n, H, W, C): the inverse of `planes` on its image."""
    return array_namespace(x).permute_dims(to_bytes(x), (0, 2, 3, 1))
