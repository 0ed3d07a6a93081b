"""A mean squared error that one file computes of a network's output, beside the same output in another file."""

import numpy as np

from gen_export.spec.objectives import mse
from gen_export.verify.fact import Finding
from gen_export.verify.facts.agreement import APART, SMALL, root_mean_square
from gen_export.verify.rounding import UNIT
from gen_runtime.inputs import Array


def mse_apart(found: Array, predicted: Array, target: Array) -> Finding:
    """The finding of a mean squared error, of what a network predicts in another file."""
    expected = mse(predicted.astype(np.float64), target.astype(np.float64))
    return Finding(abs(float(found) - float(expected)), mse_slack(predicted, target), len(target))


def mse_slack(predicted: Array, target: Array) -> float:
    """How far a float32 mean squared error, of a network's output in another file, may be from that of these arrays.

    A sum of N squares, none negative, is wrong by at most N roundings of itself in any order, the squares and the
    division by 4 more. And the mean of |p + d - t|^2 is within 2 |p - t| |d| + |d|^2 of that of |p - t|^2, in root
    mean squares.
    """
    predicted = predicted.astype(np.float64)
    gap, size = root_mean_square(predicted - target), root_mean_square(predicted)
    moved = APART * max(size, SMALL)
    return (predicted.size + 4) * UNIT * gap**2 + 2 * gap * moved + moved**2
