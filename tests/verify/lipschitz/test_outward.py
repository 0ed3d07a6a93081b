"""What is rounded outward bounds the exact result, which fractions give, and is no more than a float away."""

import math
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gen_export.verify.lipschitz import outward

numbers = st.floats(-1e150, 1e150, allow_subnormal=True)
positive = st.floats(0, 1e150, allow_subnormal=True)
ranges = st.tuples(numbers, numbers).map(sorted).map(tuple)


def two_up(nearest):
    return math.nextafter(math.nextafter(nearest, math.inf), math.inf)


@given(positive, positive)
def test_sums_products_and_roots_are_bounded_within_a_float(a, b):
    assert Fraction(a) + Fraction(b) <= Fraction(outward.add_up(a, b)) <= Fraction(two_up(a + b))
    assert Fraction(a) * Fraction(b) <= Fraction(outward.multiply_up(a, b)) <= Fraction(two_up(a * b))
    assert Fraction(a) <= Fraction(outward.root_up(a)) ** 2
    assert outward.root_up(a) <= two_up(math.sqrt(a))


@given(st.lists(positive, min_size=1, max_size=50))
def test_sums_of_many_terms_are_bounded(terms):
    assert sum(map(Fraction, terms)) <= Fraction(float(outward.sum_up(np.array(terms), (0,))))


def test_a_sum_whose_terms_are_all_rounded_away_is_bounded():
    terms = np.array([1.0] + [2.0**-53] * 1000)

    assert sum(terms.tolist()) == 1.0
    assert sum(map(Fraction, terms.tolist())) <= Fraction(float(outward.sum_up(terms, (0,))))


@given(ranges, ranges, st.floats(0, 1), st.floats(0, 1))
def test_ranges_hold_what_numbers_in_them_give(left, right, p, q):
    a, b = (min(max(low + share * (high - low), low), high) for (low, high), share in ((left, p), (right, q)))
    exact = {
        outward.add: Fraction(a) + Fraction(b),
        outward.subtract: Fraction(a) - Fraction(b),
        outward.multiply: Fraction(a) * Fraction(b),
    }
    for operation, value in exact.items():
        low, high = operation(left, right)
        assert low <= value <= high
    if not right[0] <= 0 <= right[1] and abs(b) > 1e-150:
        low, high = outward.divide(left, right)
        assert low <= Fraction(a) / Fraction(b) <= high
    low, high = outward.root((abs(a), abs(a)))
    assert Fraction(low) ** 2 <= abs(Fraction(a)) <= Fraction(high) ** 2


def test_what_may_be_anything_has_no_range():
    everything = (-math.inf, math.inf)

    assert outward.divide((1, 1), (-1, 1)) == everything
    assert outward.divide((1, 1), (0, 1)) == everything
    assert outward.add((-math.inf, math.inf), (-math.inf, math.inf)) == everything
    assert outward.multiply((0, 0), everything) == everything
    assert outward.hull(np.zeros(0)) == outward.hull(np.array([True])) == everything
    assert math.isnan(outward.largest(outward.hull(np.array([1, np.nan]))))


def test_large_integers_are_rounded_outward():
    low, high = outward.hull(np.array([-(2**63) + 1, 2**63 - 1]))

    assert low <= -(2**63) + 1
    assert high >= 2**63 - 1


def test_the_nearest_float_may_be_below_the_exact_result(monkeypatch):
    cases = {outward.add_up: (1.0, 2.0**53), outward.multiply_up: (9.0, 4591498328508353.0)}
    exact = {outward.add_up: 2**53 + 1, outward.multiply_up: 9 * 4591498328508353}
    assert all(operation(*numbers) >= exact[operation] for operation, numbers in cases.items())

    monkeypatch.setattr(outward, "up", lambda nearest: nearest)

    assert all(operation(*numbers) < exact[operation] for operation, numbers in cases.items())
