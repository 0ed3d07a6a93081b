"""Losses on selected parts, as finite algebra of natural numbers (reference section 8.1).

Losses, distances, variances and weights are Python integers, at least 0; sums run over explicit sequences of indices,
in which a duplicate counts twice. So the theorems hold exactly.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

Part = Any  # a patch, a view or its embedding
Mask = tuple[bool, ...]


def all_mask(n: int) -> Mask:
    """The mask that selects every index below n (`allMask`)."""
    return (True,) * n


def empty_mask(n: int) -> Mask:
    """The mask that selects no index below n (`emptyMask`)."""
    return (False,) * n


def complement(mask: Mask) -> Mask:
    """The mask that selects what this one does not (`complement`)."""
    return tuple(not selected for selected in mask)


def masked_loss(indices: Sequence[int], loss: Callable[[int], int]) -> int:
    """The sum of the losses of the indices (`maskedLoss`)."""
    return sum(loss(i) for i in indices)


def mae_loss(
    indices: Sequence[int], target: Sequence[Part], predicted: Sequence[Part], patch_loss: Callable[[Part, Part], int]
) -> int:
    """The sum of patch_loss(target_i, predicted_i) over the indices (`maeLoss`)."""
    return masked_loss(indices, lambda i: patch_loss(target[i], predicted[i]))


def jepa_loss(
    indices: Sequence[int],
    context: Any,
    target: Sequence[Part],
    predict: Callable[[Any, int], Part],
    distance: Callable[[Part, Part], int],
) -> int:
    """The sum of distance(target_i, predict(context, i)) over the indices, of embedded targets (`jepaLoss`)."""
    return masked_loss(indices, lambda i: distance(target[i], predict(context, i)))


def reconstruct(decode: Callable[[int, Part], Part], predicted: Sequence[Part]) -> tuple[Part, ...]:
    """Every part i decoded, decode(i, predicted_i) (`reconstruct`)."""
    return tuple(decode(i, part) for i, part in enumerate(predicted))


def is_exact_reconstruction(x: Sequence[Part], y: Sequence[Part]) -> bool:
    """Whether y equals x part by part (`ExactReconstruction`)."""
    return len(x) == len(y) and all(a == b for a, b in zip(x, y, strict=True))


def _keep(i: int, part: Part) -> Part:
    return part


@dataclass(frozen=True, slots=True)
class PredictiveViewContract:
    """Targets predicted from a context, and a guard against collapse (`PredictiveViewContract`).

    With the guard left at 0 it is also `encodedTargetPredictiveViewContract`.

    Attributes:
        target_indices: Which targets are predicted.
        context: What they are predicted from.
        target: All targets.
        target_encoder: Maps i and target_i to what is predicted.
        predict: Maps the context and i to the prediction.
        distance: Of an encoded target and its prediction.
        geometry_guard: Added to the loss.
    """

    target_indices: Sequence[int]
    context: Any
    target: Sequence[Part]
    target_encoder: Callable[[int, Part], Part]
    predict: Callable[[Any, int], Part]
    distance: Callable[[Part, Part], int]
    geometry_guard: int = 0


def predictive_loss(contract: PredictiveViewContract) -> int:
    """The sum of distance(encode(i, target_i), predict(context, i)) over the target indices (`predictiveLoss`)."""
    c = contract
    return masked_loss(
        c.target_indices, lambda i: c.distance(c.target_encoder(i, c.target[i]), c.predict(c.context, i))
    )


def predictive_view_objective(contract: PredictiveViewContract) -> int:
    """The loss plus the guard (`predictiveViewObjective`)."""
    return predictive_loss(contract) + contract.geometry_guard


def with_geometry_guard(contract: PredictiveViewContract, guard: int) -> PredictiveViewContract:
    """The contract with another guard (`withGeometryGuard`)."""
    return replace(contract, geometry_guard=guard)


def jepa_as_predictive_view(
    indices: Sequence[int],
    context: Any,
    target: Sequence[Part],
    predict: Callable[[Any, int], Part],
    distance: Callable[[Part, Part], int],
) -> PredictiveViewContract:
    """The contract whose loss is `jepa_loss`: its targets are already encoded (`jepa_is_predictive_view_loss`)."""
    return PredictiveViewContract(indices, context, target, _keep, predict, distance)


def mae_as_predictive_view(
    indices: Sequence[int], target: Sequence[Part], predicted: Sequence[Part], patch_loss: Callable[[Part, Part], int]
) -> PredictiveViewContract:
    """The contract whose loss is `mae_loss`: the predictions are its context (`maeAsPredictiveViewContract`)."""
    return jepa_as_predictive_view(indices, predicted, target, lambda parts, i: parts[i], patch_loss)


def variance_floor_penalty(floor: int, variance: int) -> int:
    """The hinge max(0, floor - variance) (`varianceFloorPenalty`)."""
    return max(0, floor - variance)


def variance_term(floor: int, variances: Sequence[int]) -> int:
    """The sum of the hinges of all coordinates (`varianceTerm`)."""
    return sum(variance_floor_penalty(floor, variance) for variance in variances)


def vicreg_objective(
    weights: tuple[int, int, int], invariance: int, floor: int, variances: Sequence[int], covariance: int
) -> int:
    """The weighted sum of invariance, variance term and covariance (`vicregObjective`).

    Bardes et al., *VICReg* (2022), arXiv:2105.04906, equation 6.
    """
    of_invariance, of_variance, of_covariance = weights
    return of_invariance * invariance + of_variance * variance_term(floor, variances) + of_covariance * covariance


def diagonal_redundancy_penalty(correlation: int) -> int:
    """The distance |c - 1| of a coordinate's correlation with itself from 1 (`diagonalRedundancyPenalty`)."""
    return abs(correlation - 1)


def off_diagonal_redundancy_penalty(correlation: int) -> int:
    """The size |c| of the correlation of two coordinates (`offDiagonalRedundancyPenalty`)."""
    return abs(correlation)


def redundancy_reduction_objective(weight: int, diagonal: Sequence[int], off_diagonal: Sequence[int]) -> int:
    """Diagonal penalties plus weight times the others (`redundancyReductionObjective`).

    Zbontar et al., *Barlow Twins* (2021), arXiv:2103.03230, equation 1, with distances in the place of squares.
    """
    invariance = sum(diagonal_redundancy_penalty(c) for c in diagonal)
    return invariance + weight * sum(off_diagonal_redundancy_penalty(c) for c in off_diagonal)
