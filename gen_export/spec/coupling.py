"""Affine couplings: half of the numbers stay, and say how each of the others is scaled and moved.

Dinh et al., *Density estimation using Real NVP* (2017), arXiv:1605.08803, equations 2 to 8. A chain of them carries
latents z to numbers u and back. Each has a triangular Jacobian, so that with standard normal u

    log p(z) = log N(u; 0, I) + log |det du / dz|,   the log-determinant being the sum of all log-scales.
"""

from typing import Any

from array_api_compat import array_namespace

from gen_export.spec.vae import gaussian_log_density

Array = Any
LARGEST = 2.0
"""A log-scale is below this in size, so that a chain neither overflows nor loses what it carries."""


def bounded_log_scale(raw: Array) -> Array:
    """The log-scale of a network's output: itself near 0, below `LARGEST` in size everywhere."""
    return LARGEST * array_namespace(raw).tanh(raw / LARGEST)


def couple(x: Array, log_scale: Array, shift: Array) -> Array:
    """The moved half of a coupling, exp(log_scale) x + shift (equation 7)."""
    return x * array_namespace(x).exp(log_scale) + shift


def uncouple(y: Array, log_scale: Array, shift: Array) -> Array:
    """The inverse of `couple` for the same log-scale and shift (equation 8)."""
    return (y - shift) * array_namespace(y).exp(-log_scale)


def log_density(u: Array, log_determinant: Array) -> Array:
    """The density log p(z) in nats, (batch,), of latents that couplings carry to u (batch, n) (equation 3)."""
    return gaussian_log_density(u, 0.0, 1.0) + log_determinant
