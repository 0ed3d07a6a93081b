"""Alignment of representations, and the guard that keeps them from collapsing to a point (reference section 8.1).

Representations `z` are the rows of an array (n, d); `edges` (E, 2) are pairs of rows that show the same thing.
"""

from typing import Any

from array_api_compat import array_namespace

from gen_export.spec.vqvae import squared_l2

Array = Any


def graph_alignment_energy(z: Array, edges: Array) -> Array:
    """The sum over the edges (i, j) of |z_i - z_j|^2 (`graphAlignmentEnergy`)."""
    return array_namespace(z).sum(squared_l2(z[edges[:, 0]], z[edges[:, 1]]))


def coordinate_spread(z: Array) -> Array:
    """The sum over all pairs (i, k) of rows of (z_ij - z_kj)^2, for each coordinate j: (d,) (`coordinateSpread`)."""
    difference = z[:, None, :] - z[None, :, :]
    return array_namespace(z).sum(difference * difference, axis=(0, 1))


def variance_floor_guard(z: Array, floor: float) -> Array:
    """The sum over coordinates of max(0, floor - spread_j) (`realVarianceFloorGuard`)."""
    return array_namespace(z).sum((floor - coordinate_spread(z)).clip(0.0, None))


def graph_ssl_objective(z: Array, edges: Array, floor: float) -> Array:
    """Alignment energy plus guard (`graphSSLObjective`)."""
    return graph_alignment_energy(z, edges) + variance_floor_guard(z, floor)
