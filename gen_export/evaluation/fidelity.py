"""How close a rebuilt image is to its original: both uint8 (n, H, W, C)."""

import numpy as np

from gen_runtime.inputs import Array

WINDOW, DEVIATION = 11, 1.5
"""Width and standard deviation, in pixels, of the Gaussian window of the structural similarity."""
_LEVELS = 255.0


def mean_squared_error(a: Array, b: Array) -> Array:
    """Of pixels in [0, 1], (n,)."""
    apart = (a.astype(np.float64) - b) / _LEVELS
    return (apart**2).mean((1, 2, 3))


def peak_signal_to_noise(a: Array, b: Array) -> Array:
    """-10 log10 of the mean squared error, in decibels, (n,); infinite where the images are equal."""
    with np.errstate(divide="ignore"):
        return -10 * np.log10(mean_squared_error(a, b))


def structural_similarity(a: Array, b: Array) -> Array:
    """Mean over windows and channels, (n,); images have at least 11 pixels a side.

    Wang et al., *Image Quality Assessment* (2004), equation 13: a Gaussian window, K1 = 0.01, K2 = 0.03, windows
    that lie within the image.
    """
    a, b = a / _LEVELS, b / _LEVELS
    mean_a, mean_b = _blurred(a), _blurred(b)
    variances = _blurred(a * a) - mean_a**2 + _blurred(b * b) - mean_b**2
    covariance = _blurred(a * b) - mean_a * mean_b
    small, large = 0.01**2, 0.03**2
    luminance = (2 * mean_a * mean_b + small) / (mean_a**2 + mean_b**2 + small)
    return (luminance * (2 * covariance + large) / (variances + large)).mean((1, 2, 3))


def _blurred(images: Array) -> Array:
    """Gaussian means of the windows within images, (n, H - 10, W - 10, C)."""
    steps = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(steps**2) / (2 * DEVIATION**2))
    weights /= weights.sum()
    for axis in (1, 2):
        images = np.lib.stride_tricks.sliding_window_view(images, WINDOW, axis) @ weights
    return images
