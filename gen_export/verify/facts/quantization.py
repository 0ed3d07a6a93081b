"""Facts of vector quantisation (reference section 4): distances, the nearest code, and the rows of the codebook.

Latents of any kind are put in the place of those that the encoder makes (`encoded`), so that a file's own search for
the nearest code is tried on codes, on ties and on numbers close to them.
"""

from collections.abc import Iterable

import numpy as np

from gen_export.errors import NothingToCheckError
from gen_export.spec.vqvae import nearest_code, squared_l2
from gen_export.verify.fact import Finding, fact, same_bits, worst
from gen_export.verify.facts import codes
from gen_export.verify.facts.objective import largest, rationals
from gen_export.verify.files import Files, random
from gen_runtime.inputs import Array

BATCH = 4
_VQVAE = ("vqvae",)
_NAME = "NN.MLTheory.Generative.Latent.VQVAE.{}".format


def _pairs(purpose: str) -> Iterable[tuple[Array, Array]]:
    """Vectors x and y of four rational numbers."""
    return ((np.array(row[:4], object), np.array(row[4:], object)) for row in rationals(purpose, 8))


@fact(_NAME("squaredL2_nonneg"), "exact", "4.2")
def squared_distance_is_not_negative() -> Finding:
    """0 <= squaredL2 x y."""
    return largest(-squared_l2(x, y) for x, y in _pairs("squared distance sign"))


@fact(_NAME("squaredL2_self"), "exact", "4.2")
def squared_distance_to_itself() -> Finding:
    """squaredL2 x x = 0."""
    return largest(abs(squared_l2(x, x)) for x, _ in _pairs("squared distance self"))


@fact("gen_export.vqvae.nearest_code_minimizes_the_distance", "exact")
def spec_finds_a_nearest_code() -> Finding:
    """The argmin of |c|^2 - 2 z.c is one of |z - c|^2, on whole numbers, where float64 is exact and ties are common."""
    rng = random("nearest whole")
    z, book = rng.integers(-4, 5, (300, 3)).astype(np.float64), rng.integers(-4, 5, (9, 3)).astype(np.float64)
    distances = squared_l2(z[:, None], book)
    found = np.take_along_axis(distances, nearest_code(z, book)[:, None], axis=1)[:, 0]
    return worst(found - distances.min(axis=1), 0.0, len(z))


def _not_nearest(files: Files, vectors: Array) -> Finding:
    """How many of the latents (N, d) the file `encode` gives a code that another one is nearer than."""
    book = codes.codebook(files)
    found = codes.chosen(files, vectors)[0].ravel()[: len(vectors)]
    right = [codes.nearest(vector, book) for vector in vectors]
    told = [(index, set(expected.tolist())) for index, expected in zip(found, right, strict=True) if expected.size]
    if not told:
        raise NothingToCheckError(f"expected a latent that float64 decides, found none of {len(right)}")
    note = "" if len(told) == len(right) else f"{len(right) - len(told)} closer to a tie than float64 tells"
    return Finding(float(sum(int(index) not in expected for index, expected in told)), 0.0, len(told), note)


@fact(
    "Generative.VQVAE.quantized_eq_embedding",
    "exact",
    "4.2",
    families=_VQVAE,
    graphs=("lookup", "encode", "objective"),
    aliases=(_NAME("quantized_is_codebook_lookup"),),
)
def quantized_is_a_row_of_the_codebook(files: Files) -> Finding:
    """quantized model idx = embedding idx: lookups and the objective's codes are rows of one codebook, bit for bit."""
    book = codes.codebook(files)
    drawn = files.inputs("lookup", BATCH, "lookup")["indices"]
    indices, quantized = codes.chosen(files, codes.some_codes(book))
    rows = files.run("lookup", {"indices": drawn})["quantized"]
    found = np.concatenate([rows.ravel(), quantized.ravel()])
    return same_bits(found, np.concatenate([book[drawn].ravel(), book[indices].ravel()]), len(book))


@fact(
    _NAME("exactCodeMatch_isNearestCode"),
    "exact",
    "4.2",
    hypotheses="z = E idx",
    families=_VQVAE,
    graphs=("lookup", "encode", "objective"),
)
def a_code_is_nearest_to_itself(files: Files) -> Finding:
    """IsNearestCode E z idx, of the index that the file finds, in exact arithmetic."""
    return _not_nearest(files, codes.some_codes(codes.codebook(files)))


@fact(
    _NAME("exactCodeMatch_selected_distance_zero"),
    "exact",
    "4.2",
    hypotheses="z = E idx",
    families=_VQVAE,
    graphs=("lookup", "encode", "objective"),
)
def a_code_is_at_distance_zero(files: Files) -> Finding:
    """squaredL2 z (E idx) = 0, of the index that the file `encode` finds and of the code that `objective` selects."""
    book = codes.codebook(files)
    vectors = codes.some_codes(book)
    indices, quantized = codes.chosen(files, vectors)
    latents = codes.in_grids(vectors, codes.grid(files))
    return worst([squared_l2(latents, book[indices]), squared_l2(latents, quantized)], 0.0, len(vectors))


@fact(
    _NAME("nearestCode_minimizes_quantization_loss"),
    "exact",
    "4.2",
    hypotheses="float64 tells the codes apart, or they tie",
    families=_VQVAE,
    graphs=("lookup", "encode", "objective"),
)
def the_chosen_code_is_nearest(files: Files) -> Finding:
    """squaredL2 z (E idx) <= squaredL2 z (E j) for all j and the index that the file finds, near ties too, exactly."""
    return _not_nearest(files, codes.latents(codes.codebook(files)))
