"""Test latents for a codebook, and the codes nearest to one: in exact arithmetic wherever float64 cannot tell.

A file ranks the codes c of a latent z by |c|^2 - 2 z.c in float64. Products of float32 numbers are exact there, so
d of them are summed within (d + 2) 2^-53 (|c|^2 + 2 |z|.|c|) of their sum: two codes whose distances differ by less
than that of the one and of the other are too close for it, and no fact speaks of them. Equal distances are no such
case: either code is nearest.
"""

from fractions import Fraction
from typing import Any

import numpy as np

from gen_export.spec.vqvae import squared_l2
from gen_export.verify.facts.agreement import APART
from gen_export.verify.files import Files, random
from gen_runtime.errors import FileError
from gen_runtime.inputs import Array

MOST = 256
"""Codes that are tried."""
PAIRS = 32
RANDOM = 32


def grid(files: Files) -> tuple[int, int]:
    """Height and width of a grid of codes."""
    _, height, width = _indices(files).shape
    return int(height), int(width)


def count(files: Files) -> int:
    """K, the number of codes."""
    return int(_indices(files).maximum or 0) + 1


def _indices(files: Files) -> Any:
    return files.probe("lookup").graph.card.inputs[0]


def in_grids(rows: Array, shape: tuple[int, int]) -> Array:
    """Rows (N, ...) as grids (B, h, w, ...); the first ones again fill the last grid."""
    batch = -(-len(rows) // (shape[0] * shape[1]))
    return np.resize(rows, (batch, *shape, *rows.shape[1:]))


def codebook(files: Files) -> Array:
    """The codes (K, d) that the file `lookup` holds.

    Raises:
        FileError: A code is not finite.
    """
    number = count(files)
    rows = files.run("lookup", {"indices": in_grids(np.arange(number), grid(files))})["quantized"]
    book = rows.reshape(-1, rows.shape[-1])[:number]
    broken = np.flatnonzero(~np.isfinite(book).all(axis=1))
    if broken.size:
        raise FileError(f"{files.path}: expected finite codes, found code {broken[0]} with a number that is not")
    return book


def chosen(files: Files, vectors: Array) -> tuple[Array, Array]:
    """Indices that the file `encode` finds for latents (N, d), and the rows that `objective` puts in their place."""
    put = {"encoded": in_grids(vectors, grid(files))}
    image = {"image": files.inputs("encode", len(put["encoded"]), "chosen")["image"]}
    indices = files.run("encode", image, put=put)["indices"]
    return indices, files.run("objective", image, ("quantized",), put)["quantized"]


def some_codes(codes: Array) -> Array:
    """All codes, or as many of them as are tried."""
    return random("codes").permutation(codes)[:MOST]


def latents(codes: Array) -> Array:
    """Test latents (N, d): random ones, codes, and the middle of a code and the one nearest to it.

    The middles are given as they round, and one float32 number to either side in every coordinate.
    """
    rng = random("latents")
    near = codes[rng.integers(len(codes), size=RANDOM)] + codes.std() * rng.standard_normal((RANDOM, codes.shape[1]))
    left = some_codes(codes)[:PAIRS]
    right = np.stack([_neighbour(code, codes) for code in left])
    middle = ((left.astype(np.float64) + right) / 2).astype(np.float32)
    sides = np.nextafter(middle, left), np.nextafter(middle, right)
    return np.concatenate([near.astype(np.float32), some_codes(codes), middle, *sides])


def _neighbour(code: Array, codes: Array) -> Array:
    """The nearest code that is another one."""
    distances = squared_l2(codes.astype(np.float64), code)
    return codes[np.argmin(np.where(distances > 0.0, distances, np.inf))]


def nearest(latent: Array, codes: Array) -> Array:
    """The indices of the codes nearest to a latent (d,), several where they tie; none where float64 cannot tell."""
    z, c = latent.astype(np.float64), codes.astype(np.float64)
    doubts = 2.0**-53 * (len(z) + 2) * (z @ z + np.sum(c * c + 2.0 * np.abs(z * c), axis=-1))
    distances = squared_l2(z, c)
    candidates = np.flatnonzero(distances - doubts <= np.min(distances + doubts))
    exact = np.array([squared_l2(fractions(latent), fractions(codes[k])) for k in candidates])
    apart, doubts = exact - exact.min(), doubts[candidates]
    nearest_doubt = doubts[apart == 0].min()
    told = all(gap == 0 or gap > Fraction(doubt + nearest_doubt) for gap, doubt in zip(apart, doubts, strict=True))
    return candidates[apart == 0] if told else candidates[:0]


def clear(latent: Array, codes: Array) -> bool:
    """Whether a latent (d,) keeps its nearest code in a file that encodes the same image as closely as it must."""
    z, c = latent.astype(np.float64), codes.astype(np.float64)
    distances = squared_l2(z, c)
    best = np.argmin(distances)
    reach = 2.0 * APART * np.linalg.norm(z) * np.sqrt(squared_l2(c, c[best]))
    return bool(np.all(distances - distances[best] >= reach))


def fractions(values: Array) -> Array:
    """The same numbers as exact fractions."""
    return np.array([Fraction(value) for value in values.tolist()], object)
