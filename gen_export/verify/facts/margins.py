"""Facts of a code's margin: how far a latent may move before the file gives it another code.

Latents are random ones, codes, and the middles of neighbouring codes with the numbers beside them, where margins are
a few units in the last place or 0.
"""

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from gen_export.errors import NothingToCheckError
from gen_export.spec.vqvae import bisector_distance, squared_l2
from gen_export.verify.fact import Finding, fact
from gen_export.verify.facts import codes
from gen_export.verify.files import Files, random
from gen_runtime.inputs import Array

WAYS = 8
"""Directions in which each latent is moved: towards the nearest bisectors, and as many at random."""
WITHIN, BEYOND = 0.999, 1.001
GRID = 1e-5
"""More than float32 rounds a moved latent by, and than float64 makes a margin too small, in shares of |z| + max |c|."""
APART = 1e-3
"""Least distance of two codes, in shares of max |c|, for the second of these to hold: `certified_margin` loses less
than 2^-53 (d + 8) 4 (|z| + max |c|)^2 / |c_j - c_k| there, beside 1e-6 of the margin."""
_VQVAE = ("vqvae",)
_GRAPHS = ("lookup", "quantize")
_OURS = "gen_export.vqvae.{}".format


class Quantized(NamedTuple):
    """Latents as the file `quantize` sees them.

    Attributes:
        book: The codebook, float64 (K, d).
        z: The latents, float32 (N, d).
        chosen: Their codes (N,).
        margin: Their margins (N,).
        distance: From the latents to the bisectors of their code and each, float64 (N, K); inf where there is none.
    """

    book: Array
    z: Array
    chosen: Array
    margin: Array
    distance: Array


def _quantized(files: Files) -> Quantized:
    book = codes.codebook(files)
    z = codes.latents(book)
    found = files.run("quantize", {"encoded": codes.in_grids(z, codes.grid(files))})
    index, margin = (found[name].ravel()[: len(z)] for name in ("indices", "margin"))
    book = book.astype(np.float64)
    return Quantized(book, z, index, margin, np.stack([_distances(*each, book) for each in zip(z, index, strict=True)]))


def _distances(z: Array, index: int, book: Array) -> Array:
    """From a latent to the bisectors of its code and each, (K,); inf where there is none."""
    far, between = squared_l2(z, book), np.sqrt(squared_l2(book[index], book))
    return np.where(between > 0, bisector_distance(far - far[index], between), np.inf)


@fact(_OURS("margin_is_at_most_the_bisector_distance"), "exact", families=_VQVAE, graphs=_GRAPHS)
def margins_end_before_a_bisector(files: Files) -> Finding:
    """2 margin |c_j - c_k| <= |z - c_j|^2 - |z - c_k|^2 for all j, in exact arithmetic (error: latents without)."""
    seen = _quantized(files)
    close = seen.distance <= seen.distance.min(axis=1, keepdims=True) + GRID * _size(seen)[:, None]
    broken = {n for n, j in np.argwhere(close).tolist() if not _keeps(seen, n, j)}
    return Finding(float(len(broken)), 0.0, len(seen.z))


def _keeps(seen: Quantized, n: int, j: int) -> bool:
    """Whether the margin of latent n ends before the bisector to code j."""
    if not 0.0 < seen.margin[n] < np.inf:
        return bool(seen.margin[n] == 0.0)
    z, code, other = (codes.fractions(row) for row in (seen.z[n], seen.book[seen.chosen[n]], seen.book[j]))
    gap = squared_l2(z, other) - squared_l2(z, code)
    return bool(gap > 0 and (2 * Fraction(float(seen.margin[n]))) ** 2 * squared_l2(code, other) <= gap**2)


@fact(_OURS("margin_keeps_the_code"), "sampled", families=_VQVAE, graphs=(*_GRAPHS, "encode", "objective"))
def latents_within_their_margin_keep_their_code(files: Files) -> Finding:
    """|z' - z| < margin z gives z' the code of z in `encode` and `quantize`: 0.999 of it, in the worst directions."""
    seen = _quantized(files)
    rows, moved = _moved(seen, WITHIN * seen.margin)
    inside = np.sqrt(squared_l2(moved.astype(np.float64), seen.z[rows])) < seen.margin[rows]
    rows, moved = rows[inside], moved[inside]
    found = codes.in_grids(moved, codes.grid(files))
    indices = codes.chosen(files, moved)[0], files.run("quantize", {"encoded": found})["indices"]
    changed = [np.sum(each.ravel()[: len(moved)] != seen.chosen[rows]) for each in indices]
    return Finding(float(sum(changed)), 0.0, len(moved))


@fact(
    _OURS("margin_ends_where_the_code_changes"),
    "sampled",
    hypotheses="no other code is within 1e-3 of the largest of the latent's",
    families=_VQVAE,
    graphs=(*_GRAPHS, "encode", "objective"),
)
def latents_beyond_their_margin_change_their_code(files: Files) -> Finding:
    """A latent moved by 1.001 of its margin, and float32's rounding, across the nearest bisector has another code."""
    seen = _quantized(files)
    _, moved = _moved(seen, BEYOND * seen.margin + GRID * _size(seen), nearest=1)
    least = APART * np.linalg.norm(seen.book, axis=1).max()
    apart = np.array([np.sum(squared_l2(seen.book, code) < least**2) == 1 for code in seen.book[seen.chosen]])
    if not apart.any():
        raise NothingToCheckError("expected a code without another within 1e-3 of the largest, found none")
    indices = codes.chosen(files, moved[apart])[0].ravel()[: int(apart.sum())]
    return Finding(float(np.sum(indices == seen.chosen[apart])), 0.0, len(indices))


def _size(seen: Quantized) -> Array:
    """|z| + max |c| of each latent."""
    return np.linalg.norm(seen.z.astype(np.float64), axis=1) + np.linalg.norm(seen.book, axis=1).max()


def _moved(seen: Quantized, by: Array, nearest: int = WAYS) -> tuple[Array, Array]:
    """Latents moved by a distance each: the rows they come from, and they, float32.

    Towards the codes behind so many of the nearest bisectors; where they are `WAYS`, as often at random too.
    """
    order = np.argsort(seen.distance, axis=1)[:, :nearest]
    ways = seen.book[order] - seen.book[seen.chosen][:, None]
    if nearest == WAYS:
        ways = np.concatenate([ways, random("margins").standard_normal(ways.shape)], axis=1)
    norms = np.linalg.norm(ways, axis=2, keepdims=True)
    steps = by[:, None, None] * np.divide(ways, norms, out=np.zeros_like(ways), where=norms > 0)
    rows = np.repeat(np.arange(len(seen.z)), ways.shape[1])
    return rows, (seen.z[:, None] + steps).reshape(len(rows), -1).astype(np.float32)
