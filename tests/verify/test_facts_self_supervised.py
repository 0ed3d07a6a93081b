"""The mathematics of section 8.1: each fact rejects a wrong formula in the place of the right one.

The facts take the formulas of `gen_export.spec` when they are registered, so each wrong one is registered anew.
"""

from dataclasses import replace
from importlib.util import module_from_spec

import numpy as np
import pytest

from gen_export.spec import anticollapse, vqvae
from gen_export.spec import self_supervised as spec
from gen_export.verify import fact
from gen_export.verify.facts import collapse, self_supervised

LOSS = spec.predictive_loss


def without_the_last(indices, loss):
    return sum(loss(i) for i in indices[:-1])


def each_index_once(indices, loss):
    return sum(loss(i) for i in set(indices))


def weighted_by_place(indices, loss):
    return sum((place + 1) * loss(i) for place, i in enumerate(indices))


def with_an_offset(indices, loss):
    return sum(loss(i) for i in indices) + 1


def of_masked(wrong):
    """A wrong `mae_loss` from a wrong sum."""
    return lambda indices, x, y, loss: wrong(indices, lambda i: loss(x[i], y[i]))


def of_predicted(wrong):
    """A wrong `jepa_loss` from a wrong sum."""
    return lambda indices, context, x, predict, loss: wrong(indices, lambda i: loss(x[i], predict(context, i)))


def guard_times_loss(contract):
    return LOSS(contract) * (1 + contract.geometry_guard)


def loss_with_guard(contract):
    return LOSS(contract) + contract.geometry_guard


def objective_and_one(contract):
    return LOSS(contract) + contract.geometry_guard + 1


def with_twice_the_guard(contract, guard):
    return replace(contract, geometry_guard=2 * guard)


def signed_distance(x, y):
    return np.sum(x - y, axis=-1)


def distance_and_one(x, y):
    return np.sum((x - y) ** 2, axis=-1) + 1


WRONG = [
    ("allMask_selected", spec, "all_mask", lambda n: (True,) * (n - 1) + (False,)),
    ("emptyMask_not_selected", spec, "empty_mask", lambda n: (False,) * (n - 1) + (True,)),
    ("complement_selected_iff", spec, "complement", lambda mask: mask),
    ("maskedLoss_nil", spec, "masked_loss", with_an_offset),
    ("maskedLoss_cons", spec, "masked_loss", without_the_last),
    ("maskedLoss_append", spec, "masked_loss", each_index_once),
    ("maskedLoss_reverse", spec, "masked_loss", weighted_by_place),
    ("maskedLoss_eq_zero_of_all_zero", spec, "masked_loss", with_an_offset),
    ("maeLoss_nil", spec, "mae_loss", of_masked(with_an_offset)),
    ("maeLoss_append", spec, "mae_loss", of_masked(each_index_once)),
    ("maeLoss_reverse", spec, "mae_loss", of_masked(weighted_by_place)),
    ("maeLoss_eq_zero_of_patch_losses_zero", spec, "mae_loss", of_masked(with_an_offset)),
    ("exactReconstruction_identity", spec, "reconstruct", lambda decode, parts: tuple(parts)[::-1]),
    ("predictiveViewObjective_decomposes", spec, "predictive_view_objective", guard_times_loss),
    ("predictiveViewObjective_zero_geometry", spec, "predictive_view_objective", objective_and_one),
    ("predictiveLoss_withGeometryGuard", spec, "predictive_loss", loss_with_guard),
    ("predictiveViewObjective_withGeometryGuard", spec, "with_geometry_guard", with_twice_the_guard),
    ("encodedTargetPredictiveViewContract_loss_eq_maskedLoss", spec, "masked_loss", without_the_last),
    ("mae_is_predictive_view_loss", spec, "mae_loss", of_masked(each_index_once)),
    ("mae_is_predictive_view_objective", spec, "predictive_view_objective", objective_and_one),
    ("jepa_is_predictive_view_loss", spec, "jepa_loss", of_predicted(each_index_once)),
    ("jepa_is_predictive_view_objective", spec, "predictive_view_objective", objective_and_one),
    ("jepaLoss_nil", spec, "jepa_loss", of_predicted(with_an_offset)),
    ("jepaLoss_append", spec, "jepa_loss", of_predicted(each_index_once)),
    ("jepaLoss_reverse", spec, "jepa_loss", of_predicted(weighted_by_place)),
    ("jepaLoss_target_ext", spec, "jepa_loss", lambda indices, context, x, predict, loss: sum(x)),
    ("predictiveViewObjective_with_vicreg_guard", spec, "with_geometry_guard", with_twice_the_guard),
    ("predictiveViewObjective_with_barlow_guard", spec, "predictive_view_objective", guard_times_loss),
    ("vicreg_guard_variance_only_positive", spec, "variance_term", lambda floor, v: 0),
    ("barlow_guard_identity_value_zero", spec, "diagonal_redundancy_penalty", abs),
    ("barlow_guard_collapsed_diag_positive", spec, "diagonal_redundancy_penalty", abs),
    ("varianceFloorPenalty_zero", spec, "variance_floor_penalty", lambda floor, v: abs(floor - v)),
    ("varianceTerm_nil", spec, "variance_term", lambda floor, v: floor + 1),
    ("varianceTerm_cons", spec, "variance_term", lambda floor, v: max(0, floor - sum(v))),
    ("varianceTerm_append", spec, "variance_term", lambda floor, v: max(0, floor - sum(v))),
    ("varianceTerm_replicate_zero", spec, "variance_term", lambda floor, v: floor),
    ("varianceTerm_collapsed_positive", spec, "variance_term", lambda floor, v: min(v)),
    ("vicregObjective_zero", spec, "variance_floor_penalty", lambda floor, v: abs(floor - v)),
    ("vicregObjective_variance_positive", spec, "vicreg_objective", lambda w, i, f, v, c: w[0] * i - w[2] * f),
    ("diagonalRedundancyPenalty_one", spec, "diagonal_redundancy_penalty", abs),
    ("diagonalRedundancyPenalty_zero_positive", spec, "diagonal_redundancy_penalty", abs),
    ("offDiagonalRedundancyPenalty_zero", spec, "off_diagonal_redundancy_penalty", lambda c: abs(c - 1)),
    ("redundancyReductionObjective_identity", spec, "off_diagonal_redundancy_penalty", lambda c: abs(c - 1)),
    ("redundancyReductionObjective_collapsed_diag_positive", spec, "redundancy_reduction_objective", lambda w, d, o: 0),
    ("sqDist_nonneg", vqvae, "squared_l2", signed_distance),
    ("sqDist_self", vqvae, "squared_l2", distance_and_one),
    ("graphAlignmentEnergy_nonneg", anticollapse, "squared_l2", signed_distance),
    ("graphAlignmentEnergy_eq_zero_of_collapsed", anticollapse, "squared_l2", distance_and_one),
    ("coordinateSpread_eq_zero_of_collapsed", anticollapse, "coordinate_spread", lambda z: np.sum(z * z + 1, axis=0)),
    ("realVarianceFloorGuard_zero_spread", anticollapse, "variance_floor_guard", lambda z, floor: floor + 1),
    ("realVarianceFloorGuard_zero_spread_positive", anticollapse, "variance_floor_guard", lambda z, floor: 0.0 * floor),
    ("graphSSLObjective_eq_guard_of_collapsed", anticollapse, "graph_ssl_objective", lambda z, e, f: -f),
    ("graphSSLObjective_collapsed_positive", anticollapse, "graph_ssl_objective", lambda z, e, f: -f),
    ("predictiveLoss_eq_viewGraphEnergy_from_anchor", anticollapse, "squared_l2", distance_and_one),
]

ZERO = {
    "maskedLoss_nil": "masked_loss",
    "maskedLoss_eq_zero_of_all_zero": "masked_loss",
    "maeLoss_nil": "mae_loss",
    "maeLoss_eq_zero_of_patch_losses_zero": "mae_loss",
    "jepaLoss_nil": "jepa_loss",
    "barlow_guard_identity_value_zero": "redundancy_reduction_objective",
    "varianceFloorPenalty_zero": "variance_floor_penalty",
    "varianceTerm_nil": "variance_term",
    "vicregObjective_zero": "vicreg_objective",
    "diagonalRedundancyPenalty_one": "diagonal_redundancy_penalty",
    "offDiagonalRedundancyPenalty_zero": "off_diagonal_redundancy_penalty",
    "redundancyReductionObjective_identity": "redundancy_reduction_objective",
}
"""The formula that each of these facts says is 0."""


@pytest.fixture
def checked(monkeypatch):
    """Registers the facts again, with what the modules of the spec hold now; gives whether one of them passes."""

    def check(name):
        monkeypatch.setattr(fact, "FACTS", {})
        for module in (self_supervised, collapse):
            module.__spec__.loader.exec_module(module_from_spec(module.__spec__))
        return fact.FACTS[f"NN.MLTheory.SelfSupervised.{name}"].check().passed

    return check


@pytest.mark.parametrize(("name", "module", "attribute", "wrong"), WRONG, ids=[row[0] for row in WRONG])
def test_a_fact_rejects_a_wrong_formula(monkeypatch, checked, name, module, attribute, wrong):
    assert checked(name)
    monkeypatch.setattr(module, attribute, wrong)

    assert not checked(name)


@pytest.mark.parametrize(("name", "attribute"), ZERO.items())
def test_what_is_zero_is_not_below_zero_either(monkeypatch, checked, name, attribute):
    monkeypatch.setattr(spec, attribute, lambda *given: -1)

    assert not checked(name)


def test_every_fact_of_the_section_has_a_wrong_formula():
    assert sorted(known.name.rpartition(".")[2] for known in fact.FACTS.values() if known.section == "8.1") == sorted(
        name for name, *_ in WRONG
    )
