"""Facts of the guards against collapsed representations (reference section 8.1): VICReg, Barlow Twins, alignment.

In whole numbers throughout, so that sums are exact; the quantities of real numbers are polynomials and hinges.
"""

import numpy as np

from gen_export.spec import anticollapse
from gen_export.spec import self_supervised as spec
from gen_export.spec.vqvae import squared_l2
from gen_export.verify.facts.self_supervised import Case, distance, predict, state, state_zero

_WEIGHTS = (3, 5, 2)


def _contract(case: Case) -> spec.PredictiveViewContract:
    return spec.jepa_as_predictive_view(case.first, case.predicted, case.target, predict, distance)


def _guarded_apart(case: Case, guard: int) -> int:
    guarded = spec.predictive_view_objective(spec.with_geometry_guard(_contract(case), guard))
    return abs(guarded - spec.predictive_loss(_contract(case)) - guard)


def _vicreg(case: Case) -> int:
    return spec.vicreg_objective(_WEIGHTS, case.size, case.guard, case.target, case.size)


def _barlow(case: Case) -> int:
    return spec.redundancy_reduction_objective(case.guard, case.target, case.predicted)


def _collapsed(case: Case) -> np.ndarray:
    """Representations that are all the same point, int64 (n, 2)."""
    return np.tile(np.array([case.size, case.guard]), (len(case.target), 1))


def _points(case: Case) -> np.ndarray:
    """Representations int64 (n, 2)."""
    return np.stack([case.target, case.predicted], axis=1)


def _edges(case: Case) -> np.ndarray:
    """Pairs of indices, int64 (E, 2)."""
    pairs = list(zip(case.first, case.second, strict=False))
    return np.array(pairs, np.int64).reshape(-1, 2)


def _guards() -> None:
    state(
        "predictiveViewObjective_with_vicreg_guard",
        "With VICReg's objective as its guard the objective is the loss plus that.",
        lambda c: _guarded_apart(c, _vicreg(c)),
    )
    state(
        "predictiveViewObjective_with_barlow_guard",
        "With Barlow Twins' objective as its guard the objective is the loss plus that.",
        lambda c: _guarded_apart(c, _barlow(c)),
    )
    state(
        "vicreg_guard_variance_only_positive",
        "0 < vicregObjective with invariance and covariance 0.",
        lambda c: 1 - spec.vicreg_objective(_WEIGHTS, 0, c.guard + 1, [0] * len(c.target), 0),
        hypotheses="all variances 0, 0 < floor, 0 < weight, some coordinate",
    )
    state_zero(
        "barlow_guard_identity_value_zero",
        "redundancyReductionObjective = 0.",
        lambda c: spec.redundancy_reduction_objective(c.guard, [1] * len(c.target), [0] * len(c.target)),
        hypotheses="diagonal 1, others 0",
    )
    state(
        "barlow_guard_collapsed_diag_positive",
        "0 < redundancyReductionObjective.",
        lambda c: 1 - spec.redundancy_reduction_objective(c.guard, [0] * len(c.target), [0] * len(c.target)),
        hypotheses="diagonal 0, some coordinate",
    )


def _variances() -> None:
    penalty, term = spec.variance_floor_penalty, spec.variance_term
    state_zero(
        "varianceFloorPenalty_zero",
        "varianceFloorPenalty floor v = 0.",
        lambda c: penalty(c.guard, c.guard + c.size),
        hypotheses="floor <= v",
    )
    state_zero("varianceTerm_nil", "varianceTerm floor [] = 0.", lambda c: term(c.guard, []))
    state(
        "varianceTerm_cons",
        "varianceTerm floor (v :: l) = varianceFloorPenalty floor v + varianceTerm floor l.",
        lambda c: abs(term(c.guard, [c.size, *c.target]) - penalty(c.guard, c.size) - term(c.guard, c.target)),
    )
    state(
        "varianceTerm_append",
        "varianceTerm floor (l ++ m) = varianceTerm floor l + varianceTerm floor m.",
        lambda c: abs(term(c.guard, c.target + c.predicted) - term(c.guard, c.target) - term(c.guard, c.predicted)),
    )
    state(
        "varianceTerm_replicate_zero",
        "varianceTerm floor of d zeros = d * floor.",
        lambda c: abs(term(c.guard, [0] * c.size) - c.size * c.guard),
    )
    state(
        "varianceTerm_collapsed_positive",
        "0 < varianceTerm floor of d zeros.",
        lambda c: 1 - term(c.guard + 1, [0] * (c.size + 1)),
        hypotheses="0 < floor, 0 < d",
    )


def _vicreg_objectives() -> None:
    state_zero(
        "vicregObjective_zero",
        "vicregObjective = 0.",
        lambda c: spec.vicreg_objective(_WEIGHTS, 0, c.guard, [c.guard + v for v in c.target], 0),
        hypotheses="invariance and covariance 0, no variance below the floor",
    )
    state(
        "vicregObjective_variance_positive",
        "0 < vicregObjective.",
        lambda c: 1 - spec.vicreg_objective(_WEIGHTS, c.size, c.guard + 1, [*c.target, c.guard], c.size),
        hypotheses="a variance below the floor, 0 < weight of the variance",
    )


def _correlations() -> None:
    diagonal, other = spec.diagonal_redundancy_penalty, spec.off_diagonal_redundancy_penalty
    objective = spec.redundancy_reduction_objective
    state_zero("diagonalRedundancyPenalty_one", "diagonalRedundancyPenalty 1 = 0.", lambda _: diagonal(1))
    state("diagonalRedundancyPenalty_zero_positive", "0 < diagonalRedundancyPenalty 0.", lambda _: 1 - diagonal(0))
    state_zero("offDiagonalRedundancyPenalty_zero", "offDiagonalRedundancyPenalty 0 = 0.", lambda _: other(0))
    state_zero(
        "redundancyReductionObjective_identity",
        "redundancyReductionObjective of the identity = 0.",
        lambda c: objective(c.size, [1] * len(c.target), [0] * len(c.first)),
    )
    state(
        "redundancyReductionObjective_collapsed_diag_positive",
        "0 < redundancyReductionObjective.",
        lambda c: 1 - objective(c.size, [0, *c.target], c.predicted),
        hypotheses="a diagonal entry 0",
    )


def _alignment() -> None:
    energy, spread = anticollapse.graph_alignment_energy, anticollapse.coordinate_spread
    state("sqDist_nonneg", "0 <= sqDist x y.", lambda c: -squared_l2(_points(c), _points(c)[::-1]).min())
    state("sqDist_self", "sqDist x x = 0.", lambda c: abs(squared_l2(_points(c), _points(c))).max())
    state("graphAlignmentEnergy_nonneg", "0 <= graphAlignmentEnergy.", lambda c: -energy(_points(c), _edges(c)))
    state(
        "graphAlignmentEnergy_eq_zero_of_collapsed",
        "graphAlignmentEnergy = 0.",
        lambda c: abs(energy(_collapsed(c), _edges(c))),
        hypotheses="CollapsedRep",
    )
    state(
        "coordinateSpread_eq_zero_of_collapsed",
        "coordinateSpread j = 0 for every coordinate.",
        lambda c: abs(spread(_collapsed(c))).max(),
        hypotheses="CollapsedRep",
    )
    state(
        "predictiveLoss_eq_viewGraphEnergy_from_anchor",
        "The predictive loss of squared distances to one anchor is the alignment energy of its edges.",
        _anchor_apart,
    )


def _anchor_apart(case: Case) -> int:
    """The difference for the anchor, row 0, and the rows that are predicted from it."""
    z = _points(case)
    contract = spec.PredictiveViewContract(
        case.first, z[0], list(z), lambda i, row: row, lambda anchor, i: anchor, lambda a, b: int(squared_l2(a, b))
    )
    edges = np.array([(i, 0) for i in case.first], np.int64).reshape(-1, 2)
    return abs(spec.predictive_loss(contract) - int(anticollapse.graph_alignment_energy(z, edges)))


def _floors() -> None:
    guard, objective = anticollapse.variance_floor_guard, anticollapse.graph_ssl_objective
    state(
        "realVarianceFloorGuard_zero_spread",
        "The guard of representations without spread is d * floor.",
        lambda c: abs(guard(_collapsed(c), c.guard) - 2 * c.guard),
        hypotheses="every spread 0, 0 <= floor",
    )
    state(
        "realVarianceFloorGuard_zero_spread_positive",
        "0 < guard.",
        lambda c: 1 - guard(_collapsed(c), c.guard + 1),
        hypotheses="every spread 0, 0 < floor, 0 < d",
    )
    state(
        "graphSSLObjective_eq_guard_of_collapsed",
        "graphSSLObjective = guard.",
        lambda c: abs(objective(_collapsed(c), _edges(c), c.guard) - guard(_collapsed(c), c.guard)),
        hypotheses="CollapsedRep",
    )
    state(
        "graphSSLObjective_collapsed_positive",
        "0 < graphSSLObjective.",
        lambda c: 1 - objective(_collapsed(c), _edges(c), c.guard + 1),
        hypotheses="CollapsedRep, 0 < floor, 0 < d",
    )


for _register in (_guards, _variances, _vicreg_objectives, _correlations, _alignment, _floors):
    _register()
