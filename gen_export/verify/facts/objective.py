"""Facts of the shared objective algebra (reference section 2), in exact rational arithmetic.

The checked lines are those of `gen_export.spec.objectives`, which also train, export and verify the models: they
run on `Fraction`, so equality is equality.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction

from gen_export.spec.objectives import weighted_three_term, weighted_two_term
from gen_export.verify.fact import Finding, fact
from gen_export.verify.files import random

CASES = 1000
_NAME = "NN.MLTheory.Generative.Latent.Objective.{}".format


def rationals(purpose: str, columns: int) -> Iterator[list[Fraction]]:
    """Seeded rows of rational numbers in [-100, 100]; zeros, ones and minus ones first."""
    rng = random(purpose)
    yield from ([Fraction(number)] * columns for number in (0, 1, -1))
    for numerators in rng.integers(-1000, 1001, (CASES - 3, columns)).tolist():
        yield [Fraction(n, int(rng.integers(10, 1001))) for n in numerators]


def largest(differences: Iterable[Fraction], bound: float = 0.0) -> Finding:
    """The finding of exact differences that must not exceed the bound."""
    values = list(differences)
    return Finding(float(max(values)), bound, len(values))


@fact(_NAME("weightedTwoTerm_zero_regularizer"), "exact", "2")
def two_terms_without_regularizer() -> Finding:
    """weightedTwoTerm w (base, 0) = base."""
    rows = rationals("two zero regularizer", 2)
    return largest(abs(weighted_two_term(w, base, Fraction(0)) - base) for w, base in rows)


@fact(_NAME("weightedTwoTerm_zero_weight"), "exact", "2")
def two_terms_without_weight() -> Finding:
    """weightedTwoTerm 0 (base, regularizer) = base."""
    rows = rationals("two zero weight", 2)
    return largest(abs(weighted_two_term(Fraction(0), base, r) - base) for base, r in rows)


@fact(_NAME("weightedTwoTerm_mono_weight"), "exact", "2", hypotheses="w1 <= w2, 0 <= regularizer")
def two_terms_grow_with_the_weight() -> Finding:
    """weightedTwoTerm w1 t <= weightedTwoTerm w2 t."""
    rows = ((min(a, b), max(a, b), base, abs(r)) for a, b, base, r in rationals("two monotone", 4))
    return largest(weighted_two_term(low, base, r) - weighted_two_term(high, base, r) for low, high, base, r in rows)


@fact(_NAME("weightedThreeTerm_zero_regularizer"), "exact", "2")
def three_terms_without_regularizer() -> Finding:
    """weightedThreeTerm w (base, middle, 0) = base + middle."""
    rows = rationals("three zero regularizer", 3)
    return largest(abs(weighted_three_term(w, base, middle, Fraction(0)) - base - middle) for w, base, middle in rows)


@fact(_NAME("weightedThreeTerm_zero_middle_zero_regularizer"), "exact", "2")
def three_terms_of_a_base_alone() -> Finding:
    """weightedThreeTerm w (base, 0, 0) = base."""
    rows = rationals("three base", 2)
    return largest(abs(weighted_three_term(w, base, Fraction(0), Fraction(0)) - base) for w, base in rows)


@fact(_NAME("weightedThreeTerm_zero_weight"), "exact", "2")
def three_terms_without_weight() -> Finding:
    """weightedThreeTerm 0 (base, middle, regularizer) = base + middle."""
    rows = rationals("three zero weight", 3)
    return largest(abs(weighted_three_term(Fraction(0), base, middle, r) - base - middle) for base, middle, r in rows)


@fact(_NAME("weightedThreeTerm_mono_weight"), "exact", "2", hypotheses="w1 <= w2, 0 <= regularizer")
def three_terms_grow_with_the_weight() -> Finding:
    """weightedThreeTerm w1 t <= weightedThreeTerm w2 t."""
    rows = ((min(a, b), max(a, b), base, middle, abs(r)) for a, b, base, middle, r in rationals("three monotone", 5))
    return largest(
        weighted_three_term(low, base, middle, r) - weighted_three_term(high, base, middle, r)
        for low, high, base, middle, r in rows
    )
