"""How the files of one model agree with one another: the same weights, and outputs as far apart as rounding makes them.

Export refuses a graph whose outputs are further than 1e-5 from those of the network that it came from, relative in
L2, or 1e-6 where they are small. So two files of one model are within 2e-5 of each other on the inputs that export
tries. No bound is derived for others, nor for one file's output as another's input: `APART` is a margin.
"""

from typing import Any

import numpy as np

from gen_export.verify.fact import Finding, fact, same_bits
from gen_export.verify.files import Files
from gen_export.verify.rounding import UNIT, levels_off
from gen_runtime.inputs import Array

APART = 1e-4
"""The largest distance, relative in L2: a margin of five above the 2e-5 that export grants, measured and not derived.

How far a trained network spreads a rounding is not known beforehand. Right files of the tests' untrained networks are
within 4e-8 of each other; wrong ones that this bound alone rejects were found to be 0.06 apart or more.
"""
SMALL = 1e-2
"""Root mean square below which an output is compared absolutely."""
_MODULE = "family."
_FAMILIES = ("autoencoder", "mae", "vae", "vqvae", "gan", "diffusion", "classifier")


def close(found: Any, expected: Any, cases: int, note: str = "") -> Finding:
    """The finding of outputs of one network in two files: their root mean square distance, relative to their size."""
    a, b = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if a.shape != b.shape:
        return Finding(float("inf"), APART, cases, f"{a.shape} beside {b.shape}")
    return Finding(root_mean_square(a - b) / max(root_mean_square(b), SMALL), APART, cases, note)


def root_mean_square(x: Array) -> float:
    """The root of the mean square of all entries."""
    return float(np.sqrt(np.mean(x * x)))


def close_sum(found: Any, expected: float, roundings: int, cases: int) -> Finding:
    """The finding of a float32 sum of non-negative terms beside its value, relative to it.

    Its bound holds in whatever order the terms are added, where none of them is rounded more often than this.
    """
    apart = abs(float(found) - expected) / expected if expected else abs(float(found))
    return Finding(apart, UNIT * roundings * (1.0 + UNIT * roundings), cases)


def close_mean(found: Any, terms: Any, cases: int) -> Finding:
    """The finding of a float32 mean of squared differences beside these squares, in float64.

    Three roundings of a square, one an addition, one of the quotient.
    """
    squares = np.asarray(terms, np.float64)
    return close_sum(found, float(squares.mean()), squares.size + 3, cases)


def close_bytes(images: Array, pixels: Array) -> Finding:
    """The finding of bytes (N, H, W, C) beside the pixels (N, C, H, W) whose nearest bytes they are, in grey levels."""
    return Finding(levels_off(images, pixels), 0.5 + 127.5 * APART, len(images), "in grey levels")


@fact("gen_export.files.weights_agree", "exact", families=_FAMILIES, graphs=("objective",))
def files_hold_the_same_weights(files: Files) -> Finding:
    """A weight that several files of a model hold is the same in all of them, bit for bit."""
    first: dict[str, Array] = {}
    apart = [name for graph in files.graphs for name, array in _weights(files, graph) if _differs(first, name, array)]
    return Finding(float(len(apart)), 0.0, len(first), ", ".join(apart[:3]))


def _weights(files: Files, graph: str) -> list[tuple[str, Array]]:
    """The weights of a file by their names in the model, whatever graph inside it holds them."""
    held = [pair for each in files.probe(graph).file.graphs() for pair in each.initializers.items()]
    return [(name[name.index(_MODULE) :], array) for name, array in held if _MODULE in name]


def _differs(first: dict[str, Array], name: str, array: Array) -> bool:
    """Whether a weight is not the first one of its name, which it is where there was none."""
    return not same_bits(array, first.setdefault(name, array), 1).passed
