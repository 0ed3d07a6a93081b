"""Facts of losses on selected parts (reference section 8.1), in natural numbers: equality is equality."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from gen_export.spec import self_supervised as spec
from gen_export.verify.fact import Finding, fact
from gen_export.verify.files import random

CASES = 300
LARGEST = 9


@dataclass(frozen=True, slots=True)
class Case:
    """Random natural numbers: n parts, two lists of indices with repetitions, and what the theorems speak of.

    Attributes:
        mask: Of n indices.
        first: Indices.
        second: Indices.
        target: One number a part.
        predicted: One number a part.
        changed: A target that agrees with the first on `first`.
        guard: A geometry guard.
        size: Any natural number.
    """

    mask: spec.Mask
    first: list[int]
    second: list[int]
    target: list[int]
    predicted: list[int]
    changed: list[int]
    guard: int
    size: int


def cases(purpose: str) -> Iterator[Case]:
    """Seeded cases of 1 to 9 parts; lists of indices may be empty."""
    rng = random(purpose)

    def numbers(count: int, below: int) -> list[int]:
        return rng.integers(0, below, count).tolist()

    for _ in range(CASES):
        n = int(rng.integers(1, LARGEST + 1))
        first, second = (numbers(int(rng.integers(0, LARGEST)), n) for _ in range(2))
        target, predicted, other = (numbers(n, 100) for _ in range(3))
        changed = [target[i] if i in first else other[i] for i in range(n)]
        mask = tuple(bool(bit) for bit in numbers(n, 2))
        yield Case(mask, first, second, target, predicted, changed, *numbers(2, 50))


def distance(a: int, b: int) -> int:
    """The distance of two parts."""
    return abs(a - b)


def predict(context: list[int], i: int) -> int:
    """A prediction of part i that depends on the whole context."""
    return (sum(context) + 7 * i) % 100


def encode(i: int, part: int) -> int:
    """An encoder of targets."""
    return (3 * part + i) % 50


def state(
    name: str, statement: str, error: Callable[[Case], Any], hypotheses: str = "none", aliases: tuple[str, ...] = ()
) -> None:
    """Register the fact that an error is never above 0; of a strict inequality of integers it is 1 - difference."""

    def check() -> Finding:
        errors = [error(case) for case in cases(name)]
        return Finding(float(max(errors)), 0.0, len(errors))

    check.__doc__ = statement
    fact(f"NN.MLTheory.SelfSupervised.{name}", "exact", "8.1", hypotheses=hypotheses, aliases=aliases)(check)


def state_zero(name: str, statement: str, value: Callable[[Case], Any], hypotheses: str = "none") -> None:
    """Register the fact that a value is 0, neither above it nor below."""
    state(name, statement, lambda case: abs(value(case)), hypotheses)


def _loss(case: Case) -> Callable[[int], int]:
    return lambda i: case.target[i]


def _mae(indices: list[int], case: Case) -> int:
    return spec.mae_loss(indices, case.target, case.predicted, distance)


def _jepa(indices: list[int], case: Case, target: list[int] | None = None) -> int:
    return spec.jepa_loss(indices, case.predicted, target or case.target, predict, distance)


def _contract(case: Case, guard: int = 0) -> spec.PredictiveViewContract:
    return spec.PredictiveViewContract(case.first, case.predicted, case.target, encode, predict, distance, guard)


def _jepa_contract(case: Case) -> spec.PredictiveViewContract:
    return spec.jepa_as_predictive_view(case.first, case.predicted, case.target, predict, distance)


def _mae_contract(case: Case) -> spec.PredictiveViewContract:
    return spec.mae_as_predictive_view(case.first, case.target, case.predicted, distance)


def _apart(left: int, right: int) -> int:
    return abs(left - right)


def _masks() -> None:
    state("allMask_selected", "allMask selects every index.", lambda c: not all(spec.all_mask(len(c.mask))))
    state("emptyMask_not_selected", "emptyMask selects no index.", lambda c: any(spec.empty_mask(len(c.mask))))
    state(
        "complement_selected_iff",
        "complement m selects i exactly where m does not.",
        lambda c: sum(a == b for a, b in zip(spec.complement(c.mask), c.mask, strict=True)),
    )


def _masked_losses() -> None:
    masked = spec.masked_loss
    state_zero("maskedLoss_nil", "maskedLoss [] f = 0.", lambda c: masked([], _loss(c)))
    state(
        "maskedLoss_cons",
        "maskedLoss (i :: l) f = f i + maskedLoss l f.",
        lambda c: _apart(masked([0, *c.first], _loss(c)), c.target[0] + masked(c.first, _loss(c))),
    )
    state(
        "maskedLoss_append",
        "maskedLoss (l ++ m) f = maskedLoss l f + maskedLoss m f.",
        lambda c: _apart(masked(c.first + c.second, _loss(c)), masked(c.first, _loss(c)) + masked(c.second, _loss(c))),
    )
    state(
        "maskedLoss_reverse",
        "maskedLoss of the reversed list is that of the list.",
        lambda c: _apart(masked(c.first[::-1], _loss(c)), masked(c.first, _loss(c))),
    )
    state_zero(
        "maskedLoss_eq_zero_of_all_zero",
        "maskedLoss l f = 0.",
        lambda c: masked(c.first, lambda i: 0 if i in c.first else 1),
        hypotheses="f i = 0 for every i in l",
    )


def _mae_losses() -> None:
    state_zero("maeLoss_nil", "maeLoss [] = 0.", lambda c: _mae([], c))
    state(
        "maeLoss_append",
        "maeLoss (l ++ m) = maeLoss l + maeLoss m.",
        lambda c: _apart(_mae(c.first + c.second, c), _mae(c.first, c) + _mae(c.second, c)),
    )
    state(
        "maeLoss_reverse",
        "maeLoss of the reversed list is that of the list.",
        lambda c: _apart(_mae(c.first[::-1], c), _mae(c.first, c)),
    )
    state_zero(
        "maeLoss_eq_zero_of_patch_losses_zero",
        "maeLoss l = 0.",
        lambda c: spec.mae_loss(c.first, c.target, c.changed, distance),
        hypotheses="patchLoss (target i) (pred i) = 0 for every i in l",
    )
    state(
        "exactReconstruction_identity",
        "ExactReconstruction x (reconstruct id x).",
        lambda c: not spec.is_exact_reconstruction(c.target, spec.reconstruct(lambda i, part: part, c.target)),
    )


def _predictive_views() -> None:
    loss, objective, guarded = spec.predictive_loss, spec.predictive_view_objective, spec.with_geometry_guard
    state(
        "predictiveViewObjective_decomposes",
        "predictiveViewObjective c = predictiveLoss c + geometryGuard.",
        lambda c: _apart(objective(_contract(c, c.guard)), loss(_contract(c)) + c.guard),
    )
    state(
        "predictiveViewObjective_zero_geometry",
        "predictiveViewObjective c = predictiveLoss c.",
        lambda c: _apart(objective(_contract(c)), loss(_contract(c))),
        hypotheses="geometryGuard = 0",
    )
    state(
        "predictiveLoss_withGeometryGuard",
        "A guard does not change the predictive loss.",
        lambda c: _apart(loss(guarded(_contract(c), c.guard)), loss(_contract(c))),
    )
    state(
        "predictiveViewObjective_withGeometryGuard",
        "predictiveViewObjective (withGeometryGuard c g) = predictiveLoss c + g.",
        lambda c: _apart(objective(guarded(_contract(c, c.size), c.guard)), loss(_contract(c)) + c.guard),
    )
    state(
        "encodedTargetPredictiveViewContract_loss_eq_maskedLoss",
        "The predictive loss is maskedLoss of the distances to the encoded targets.",
        lambda c: _apart(
            loss(_contract(c)),
            sum(distance(encode(i, c.target[i]), predict(c.predicted, i)) for i in c.first),
        ),
    )


def _views_of_mae_and_jepa() -> None:
    loss, objective = spec.predictive_loss, spec.predictive_view_objective
    state(
        "mae_is_predictive_view_loss",
        "maeLoss is the predictive loss of its contract.",
        lambda c: _apart(_mae(c.first, c), loss(_mae_contract(c))),
    )
    state(
        "mae_is_predictive_view_objective",
        "maeLoss is the objective of its contract.",
        lambda c: _apart(_mae(c.first, c), objective(_mae_contract(c))),
    )
    state(
        "jepa_is_predictive_view_loss",
        "jepaLoss is the predictive loss of its contract.",
        lambda c: _apart(_jepa(c.first, c), loss(_jepa_contract(c))),
    )
    state(
        "jepa_is_predictive_view_objective",
        "jepaLoss is the objective of its contract.",
        lambda c: _apart(_jepa(c.first, c), objective(_jepa_contract(c))),
    )


def _jepa_losses() -> None:
    state_zero("jepaLoss_nil", "jepaLoss [] = 0.", lambda c: _jepa([], c))
    state(
        "jepaLoss_append",
        "jepaLoss (l ++ m) = jepaLoss l + jepaLoss m.",
        lambda c: _apart(_jepa(c.first + c.second, c), _jepa(c.first, c) + _jepa(c.second, c)),
    )
    state(
        "jepaLoss_reverse",
        "jepaLoss of the reversed list is that of the list.",
        lambda c: _apart(_jepa(c.first[::-1], c), _jepa(c.first, c)),
    )
    state(
        "jepaLoss_target_ext",
        "jepaLoss depends on the targets at the selected indices alone.",
        lambda c: _apart(_jepa(c.first, c), _jepa(c.first, c, c.changed)),
        hypotheses="the two targets agree on l",
    )


for _register in (_masks, _masked_losses, _mae_losses, _predictive_views, _views_of_mae_and_jepa, _jepa_losses):
    _register()
