"""Theorems of natural numbers and finite sequences: they hold exactly, so no test here has a tolerance."""

from hypothesis import given
from hypothesis import strategies as st

from gen_export.spec.self_supervised import (
    PredictiveViewContract,
    all_mask,
    complement,
    diagonal_redundancy_penalty,
    empty_mask,
    is_exact_reconstruction,
    jepa_as_predictive_view,
    jepa_loss,
    mae_as_predictive_view,
    mae_loss,
    masked_loss,
    off_diagonal_redundancy_penalty,
    predictive_loss,
    predictive_view_objective,
    reconstruct,
    redundancy_reduction_objective,
    variance_floor_penalty,
    variance_term,
    vicreg_objective,
    with_geometry_guard,
)

N = 6
natural, positive = st.integers(0, 100), st.integers(1, 100)
naturals = st.lists(natural, max_size=8)
indices = st.lists(st.integers(0, N - 1), max_size=10)
parts = st.lists(st.integers(-50, 50), min_size=N, max_size=N)


def distance(a: int, b: int) -> int:
    return abs(a - b)


def predict(context: list[int], i: int) -> int:
    return 2 * context[i] - 1


def encode(i: int, part: int) -> int:
    return part + i


@given(st.integers(0, 9), st.lists(st.booleans()))
def test_masks_select_all_none_and_the_rest(n: int, flags: list[bool]) -> None:
    """`allMask_selected`, `emptyMask_not_selected`, `complement_selected_iff`."""
    mask = tuple(flags)

    assert all(all_mask(n))
    assert not any(empty_mask(n))
    assert len(all_mask(n)) == len(empty_mask(n)) == n
    assert complement(all_mask(n)) == empty_mask(n)
    assert all(a != b for a, b in zip(mask, complement(mask), strict=True))


@given(indices, indices, st.integers(0, N - 1), st.lists(natural, min_size=N, max_size=N))
def test_a_masked_loss_is_a_sum_over_its_indices(a: list[int], b: list[int], i: int, losses: list[int]) -> None:
    """`maskedLoss_nil`, `_cons`, `_append`, `_reverse`: a duplicate counts twice."""

    def loss(i: int) -> int:
        return losses[i]

    assert masked_loss([], loss) == 0
    assert masked_loss([i, *a], loss) == losses[i] + masked_loss(a, loss)
    assert masked_loss(a + b, loss) == masked_loss(a, loss) + masked_loss(b, loss)
    assert masked_loss(a[::-1], loss) == masked_loss(a, loss)
    assert masked_loss([i, i], loss) == 2 * losses[i]


@given(indices, st.lists(natural, min_size=N, max_size=N))
def test_a_masked_loss_is_zero_where_all_its_terms_are(chosen: list[int], losses: list[int]) -> None:
    """`maskedLoss_eq_zero_of_all_zero`, and from right to left, as no term is negative."""
    assert (masked_loss(chosen, lambda i: losses[i]) == 0) == all(losses[i] == 0 for i in chosen)


@given(indices, indices, parts, parts)
def test_the_loss_of_a_masked_autoencoder_is_additive_and_without_order(
    a: list[int], b: list[int], x: list[int], y: list[int]
) -> None:
    """`maeLoss_nil`, `maeLoss_append`, `maeLoss_reverse`."""
    assert mae_loss([], x, y, distance) == 0
    assert mae_loss(a + b, x, y, distance) == mae_loss(a, x, y, distance) + mae_loss(b, x, y, distance)
    assert mae_loss(a[::-1], x, y, distance) == mae_loss(a, x, y, distance)
    assert mae_loss(a, x, y, distance) == sum(abs(x[i] - y[i]) for i in a)


@given(indices, parts, parts)
def test_only_the_selected_parts_have_to_be_right(chosen: list[int], x: list[int], y: list[int]) -> None:
    """`maeLoss_eq_zero_of_patch_losses_zero`."""
    y = [x[i] if i in chosen else y[i] for i in range(N)]

    assert mae_loss(chosen, x, y, distance) == 0


@given(parts)
def test_decoding_by_the_identity_is_exact(x: list[int]) -> None:
    """`exactReconstruction_identity`; one part off is not exact."""
    assert is_exact_reconstruction(x, reconstruct(lambda i, part: part, x))
    assert not is_exact_reconstruction(x, reconstruct(lambda i, part: part + (i == 3), x))
    assert not is_exact_reconstruction(x, x[:-1])
    assert reconstruct(encode, x) == tuple(v + i for i, v in enumerate(x))


@given(indices, parts, parts, natural)
def test_the_guard_adds_to_the_objective_and_not_to_the_loss(
    chosen: list[int], context: list[int], target: list[int], guard: int
) -> None:
    """`predictiveViewObjective_decomposes`, `_zero_geometry`, `predictiveLoss_withGeometryGuard`,
    `predictiveViewObjective_withGeometryGuard`, `encodedTargetPredictiveViewContract_loss_eq_maskedLoss`.
    """  # noqa: D205
    contract = PredictiveViewContract(chosen, context, target, encode, predict, distance)
    guarded = with_geometry_guard(contract, guard)
    loss = masked_loss(chosen, lambda i: distance(encode(i, target[i]), predict(context, i)))

    assert predictive_loss(contract) == predictive_view_objective(contract) == loss
    assert predictive_loss(guarded) == loss
    assert predictive_view_objective(guarded) == loss + guard
    assert with_geometry_guard(guarded, 0) == contract


@given(indices, parts, parts)
def test_a_masked_autoencoder_is_a_predictive_view(chosen: list[int], x: list[int], y: list[int]) -> None:
    """`mae_is_predictive_view_loss`, `mae_is_predictive_view_objective`."""
    contract = mae_as_predictive_view(chosen, x, y, distance)

    assert predictive_loss(contract) == predictive_view_objective(contract) == mae_loss(chosen, x, y, distance)


@given(indices, parts, parts)
def test_a_joint_embedding_is_a_predictive_view(chosen: list[int], context: list[int], target: list[int]) -> None:
    """`jepa_is_predictive_view_loss`, `jepa_is_predictive_view_objective`."""
    contract = jepa_as_predictive_view(chosen, context, target, predict, distance)
    loss = jepa_loss(chosen, context, target, predict, distance)

    assert predictive_loss(contract) == predictive_view_objective(contract) == loss


@given(indices, indices, parts, parts, parts)
def test_a_joint_embedding_sees_only_the_targets_it_selects(
    a: list[int], b: list[int], context: list[int], target: list[int], others: list[int]
) -> None:
    """`jepaLoss_nil`, `jepaLoss_append`, `jepaLoss_reverse`, `jepaLoss_target_ext`."""

    def loss(chosen: list[int], target: list[int]) -> int:
        return jepa_loss(chosen, context, target, predict, distance)

    agreeing = [target[i] if i in a else others[i] for i in range(N)]
    assert loss([], target) == 0
    assert loss(a + b, target) == loss(a, target) + loss(b, target)
    assert loss(a[::-1], target) == loss(a, target)
    assert loss(a, agreeing) == loss(a, target)


@given(natural, natural, naturals, naturals)
def test_the_variance_term_is_a_sum_of_hinges(floor: int, v: int, a: list[int], b: list[int]) -> None:
    """`varianceFloorPenalty_zero`, `varianceTerm_nil`, `_cons`, `_append`."""
    assert variance_floor_penalty(floor, 0) == floor
    assert variance_floor_penalty(floor, floor + v) == 0
    assert variance_floor_penalty(floor + v, v) == floor
    assert variance_term(floor, []) == 0
    assert variance_term(floor, [v, *a]) == variance_floor_penalty(floor, v) + variance_term(floor, a)
    assert variance_term(floor, a + b) == variance_term(floor, a) + variance_term(floor, b)


@given(st.integers(0, 20), positive)
def test_collapsed_coordinates_pay_the_floor_each(d: int, floor: int) -> None:
    """`varianceTerm_replicate_zero`, `varianceTerm_collapsed_positive`."""
    assert variance_term(floor, [0] * d) == d * floor
    assert (variance_term(floor, [0] * d) > 0) == (d > 0)


@given(st.tuples(positive, positive, positive), natural, positive, naturals, natural)
def test_the_vicreg_objective_weighs_its_three_terms(
    weights: tuple[int, int, int], invariance: int, floor: int, variances: list[int], covariance: int
) -> None:
    """`vicregObjective_zero`, `vicregObjective_variance_positive`, `vicreg_guard_variance_only_positive`."""
    spread = [floor + v for v in variances]
    objective = vicreg_objective(weights, invariance, floor, variances, covariance)

    assert vicreg_objective(weights, 0, floor, spread, 0) == 0
    assert vicreg_objective(weights, 0, floor, [0, *spread], 0) == weights[1] * floor > 0
    of_variance = weights[1] * variance_term(floor, variances)
    assert objective == weights[0] * invariance + of_variance + weights[2] * covariance


@given(positive, st.integers(1, 9), naturals)
def test_redundancy_is_zero_for_the_identity_and_positive_for_a_collapsed_diagonal(
    weight: int, d: int, others: list[int]
) -> None:
    """`diagonalRedundancyPenalty_one`, `_zero_positive`, `offDiagonalRedundancyPenalty_zero`,
    `redundancyReductionObjective_identity`, `_collapsed_diag_positive`, `barlow_guard_identity_value_zero`,
    `barlow_guard_collapsed_diag_positive`.
    """  # noqa: D205
    assert (diagonal_redundancy_penalty(1), diagonal_redundancy_penalty(0)) == (0, 1)
    assert off_diagonal_redundancy_penalty(0) == 0
    assert redundancy_reduction_objective(weight, [1] * d, [0] * len(others)) == 0
    assert redundancy_reduction_objective(weight, [0] * d, others) == d + weight * sum(others) > 0


@given(indices, parts, parts, positive, positive, st.integers(1, 9))
def test_either_guard_keeps_a_collapsed_view_from_being_free(
    chosen: list[int], context: list[int], target: list[int], weight: int, floor: int, d: int
) -> None:
    """`predictiveViewObjective_with_vicreg_guard`, `predictiveViewObjective_with_barlow_guard`."""
    contract = PredictiveViewContract(chosen, context, target, encode, predict, distance)
    vicreg = vicreg_objective((0, weight, 0), 7, floor, [0] * d, 9)
    barlow = redundancy_reduction_objective(weight, [0] * d, [])

    for guard in (vicreg, barlow):
        assert guard > 0
        assert predictive_view_objective(with_geometry_guard(contract, guard)) == predictive_loss(contract) + guard
