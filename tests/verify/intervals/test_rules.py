"""Normalised boxes against their corners and by hand, the constants of second derivatives, and the least of SiLU."""

import itertools
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen_export.verify.intervals import normalization
from gen_export.verify.intervals.box import Box, fixed
from gen_export.verify.intervals.forms import Form, box_of, joined, norm_up, of_boxes, of_source
from gen_export.verify.intervals.normalization import deviation, mean, normalized
from gen_export.verify.intervals.rules import SILU_LEAST, SILU_TURN, applied, sigmoid, silu
from gen_export.verify.lipschitz.operators import needed_nodes
from tests.verify.lipschitz.nets import net

seeds = st.integers(0, 2**31)


def normal(x, epsilon):
    apart = x - x.mean(-1, keepdims=True)
    return apart / np.sqrt((apart**2).mean(-1, keepdims=True) + epsilon)


def corners(low, high):
    """All corners of a box of one row, and some points inside it."""
    ends = np.array(list(itertools.product(*zip(low, high, strict=True))))
    inside = low + np.random.default_rng(0).random((200, len(low))) * (high - low)
    return np.concatenate([ends, inside])


@given(seeds, st.integers(1, 7), st.sampled_from([1e-12, 1e-3, 0.3, 10.0]), st.sampled_from([1e-5, 0.5]))
def test_no_normalised_entry_leaves_its_box(seed, count, radius, epsilon):
    rng = np.random.default_rng(seed)
    middle = 5 * rng.standard_normal() + rng.standard_normal(count)
    low, high = middle - radius * rng.random(count), middle + radius * rng.random(count)
    box, wide = normalized(Box(low, high), epsilon), deviation(Box(low, high), epsilon)
    points = corners(low, high)
    found, deviations = normal(points, epsilon), np.sqrt(points.var(axis=1) + epsilon)

    # The points' own values are off by roundings of numbers near 10, over a deviation of sqrt(epsilon) or more.
    assert np.all(box.low <= found.min(0) + 1e-11)
    assert np.all(box.high >= found.max(0) - 1e-11)
    assert wide.low.item() <= deviations.min() + 1e-11
    assert wide.high.item() >= deviations.max() - 1e-11
    assert np.all(
        np.maximum(-box.low, box.high) <= np.sqrt(count - 1) * (1 + 1e-15) + 5e-324
    )  # a root of 0 goes up one number


@pytest.mark.parametrize(
    ("low", "high", "least", "most"),
    [
        ([0, 3], [1, 4], 1, 4),
        ([0, 0], [1, 1], 0, 0.25),
        ([2, 2, 5], [2, 2, 5], 2, 2),
    ],
)
def test_the_least_and_the_greatest_variance_are_those_known_by_hand(low, high, least, most):
    found = normalization._variance(Box(np.array(low, float), np.array(high, float)))

    # Thirty halvings leave a tangent's loss of 2^-29 of the box; a box's greatest variance is bounded at its middle.
    assert least - 1e-8 <= found.low.item() <= least
    assert most <= found.high.item() <= most + 1e-8


@pytest.mark.parametrize("halvings", [0, 1, 3])
def test_a_least_variance_is_none_too_large_wherever_its_tangent_is(monkeypatch, halvings):
    """At (0.6, 0.4, 3) of [0, 0.6], [0.4, 1] and [3, 4] it is least: found from afar, it is bounded further below."""
    monkeypatch.setattr(normalization, "HALVINGS", halvings)
    found = normalization._variance(Box(np.array([0.0, 0.4, 3.0]), np.array([0.6, 1.0, 4.0])))
    points = np.random.default_rng(0).random((20_000, 3)) * [0.6, 0.6, 1.0] + [0.0, 0.4, 3.0]

    assert found.low.item() <= points.var(axis=1).min()
    assert found.high.item() >= points.var(axis=1).max()


@given(seeds)
def test_entries_less_their_mean_are_held_exactly(seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(200) * 10.0 ** rng.integers(-3, 12, 200)
    found = normalization._less_the_mean(fixed(x))
    exact = [Fraction(v) for v in x.tolist()]

    for low, v, high in zip(found.low.tolist(), exact, found.high.tolist(), strict=True):
        assert Fraction(low) <= v - sum(exact) / 200 <= Fraction(high)


def test_a_box_without_a_bound_is_normalised_to_the_universal_one():
    with np.errstate(all="ignore"):
        found = normalized(Box(np.full(5, -np.inf), np.array([np.inf, 0, 0, 0, 0])), 1e-5)

    np.testing.assert_array_equal(found.low, np.full(5, -2.0000000000000004))
    np.testing.assert_array_equal(found.high, np.full(5, 2.0000000000000004))


@given(seeds)
def test_products_hold_the_exact_ones_where_float64_cancels(seed):
    """Sums of a hundred products that almost cancel, in rational arithmetic: a point, and the radius of a box."""
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((100, 1)).astype(np.float32)
    x = rng.standard_normal((1, 100)) * 10.0 ** rng.integers(0, 9, (1, 100))
    x[0, -1] = -(x[0, :-1] @ matrix[:-1, 0]) / matrix[-1, 0]
    radius = rng.random((1, 100)) * 10.0 ** rng.integers(-9, 9)
    node = needed_nodes(net("y = MatMul(x, w)", (1, 100), w=matrix).graph, "y")[0]
    point, box = (applied(node, [Box(x - r, x + r), fixed(matrix.astype(float))]) for r in (0 * radius, radius))

    entries = [(Fraction(a), Fraction(w)) for a, w in zip(x[0].tolist(), matrix[:, 0].tolist(), strict=True)]
    assert Fraction(point.low.item()) <= sum(a * w for a, w in entries) <= Fraction(point.high.item())
    ends = zip((x - radius)[0].tolist(), (x + radius)[0].tolist(), matrix[:, 0].tolist(), strict=True)
    pairs = [sorted((Fraction(a) * Fraction(w), Fraction(b) * Fraction(w))) for a, b, w in ends]
    assert Fraction(box.low.item()) <= sum(pair[0] for pair in pairs)
    assert Fraction(box.high.item()) >= sum(pair[1] for pair in pairs)


@given(seeds)
def test_normalised_points_hold_the_exact_ones_far_from_zero(seed):
    rng = np.random.default_rng(seed)
    x = 1e6 * rng.standard_normal() + rng.standard_normal(40) * 10.0 ** rng.integers(-9, 3)
    epsilon = 2.0**-17
    box = normalized(fixed(x), epsilon)
    with localcontext(prec=60):
        exact = [Decimal(v) for v in x.tolist()]
        apart = [v - sum(exact) / 40 for v in exact]
        deviation = (sum(a * a for a in apart) / 40 + Decimal(epsilon)).sqrt()
        for low, a, high in zip(box.low.tolist(), apart, box.high.tolist(), strict=True):
            assert Decimal(low) <= a / deviation <= Decimal(high)


def test_the_mean_of_a_box_holds_the_means_of_its_ends():
    rng = np.random.default_rng(0)
    low = rng.standard_normal((50, 1000)) * 10.0 ** rng.integers(-8, 8, (50, 1000))
    found = mean(Box(low, low + 1))
    exact = [sum((Decimal(v) for v in row.tolist()), Decimal(0)) / 1000 for row in low]

    assert all(Decimal(a) <= e for a, e in zip(found.low[:, 0].tolist(), exact, strict=True))
    assert all(Decimal(b) >= e + 1 for b, e in zip(found.high[:, 0].tolist(), exact, strict=True))


def second_derivative(u, h, epsilon):
    """y''(h, h) by the formula of the module, for centred u and h."""
    count, d = len(u), np.sqrt(u @ u / len(u) + epsilon)
    w = u / (np.sqrt(count) * d)
    return (3 * w * (w @ h) ** 2 - w * (h @ h) - 2 * h * (w @ h)) / (np.sqrt(count) * d * d)


def test_the_second_derivative_of_normalisation_is_that_of_the_formula_and_below_its_bound():
    rng = np.random.default_rng(0)
    largest = 0.0
    for _ in range(2000):
        count, epsilon = int(rng.integers(2, 9)), 10.0 ** rng.uniform(-6, 0)
        u, h = (v - v.mean() for v in rng.standard_normal((2, count)))
        size = np.sqrt(count) * (u @ u / count + epsilon)
        largest = max(largest, np.linalg.norm(second_derivative(u, h, epsilon)) * size / (h @ h))
    step = 1e-3 * h
    difference = (normal(u + step, epsilon) - 2 * normal(u, epsilon) + normal(u - step, epsilon)) / 1e-6

    np.testing.assert_allclose(difference, second_derivative(u, h, epsilon), rtol=1e-3, atol=1e-4)
    assert 1.1 < largest <= np.sqrt(4 / 3)


def test_the_second_derivative_of_silu_is_at_most_a_half():
    v = np.linspace(-30, 30, 100_001)
    slope = sigmoid(v) * sigmoid(-v)
    bend = slope * (2 - v * np.tanh(v / 2))

    assert bend.max() == 0.5 == bend[50_000]
    assert np.abs(bend).max() <= 0.5
    np.testing.assert_allclose(np.gradient(np.gradient(v * sigmoid(v), v), v)[2:-2], bend[2:-2], atol=1e-4)


def test_silu_turns_between_the_two_numbers_and_stays_above_its_least():
    with localcontext(prec=40):
        left, right = (Decimal(f"{turn}") for turn in SILU_TURN)
        assert left + 1 + left.exp() < 0 < right + 1 + right.exp()
        assert Decimal(f"{SILU_LEAST}") <= left + 1


@given(st.floats(-40, 40), st.floats(0, 5))
def test_silu_of_an_interval_holds_its_values_with_forty_digits(low, width):
    box = silu(Box(np.array(low), np.array(low + width)))
    with localcontext(prec=60):
        for share in (0, 0.25, 0.5, 1):
            v = Decimal(low) + (Decimal(low + width) - Decimal(low)) * Decimal(share)
            assert Decimal(box.low.item()) <= v / (1 + (-v).exp()) <= Decimal(box.high.item())


@given(seeds, st.floats(1e-3, 1e3))
def test_the_sum_of_two_ellipsoids_lies_in_the_joined_one(seed, share):
    rng = np.random.default_rng(seed)
    d, e = rng.random(5), share * rng.random(5)
    ways = rng.standard_normal((2, 300, 5))
    a, b = ways / np.linalg.norm(ways, axis=2, keepdims=True)

    assert np.linalg.norm((d * a + e * b) / joined(d, e), axis=1).max() <= 1 + 1e-12


def test_ellipsoids_of_one_shape_add_up_and_an_empty_one_adds_nothing():
    d = np.array([1.0, 2.0, 5.0])

    np.testing.assert_allclose(joined(d, 3 * d), 4 * d, rtol=1e-14)
    np.testing.assert_array_equal(joined(d, np.zeros(3)), d)
    np.testing.assert_array_equal(joined(np.zeros(3), d), d)


def test_a_form_holds_its_boxes_and_keeps_their_middles():
    form = of_source(Box(np.array([1.0, -2.0]), np.array([3.0, -2.0])))
    moved = of_boxes(fixed(form.centre), Box(form.slopes - 0.5, form.slopes + 0.5), form.rest)

    np.testing.assert_allclose([box_of(form).low, box_of(form).high], [[1, -2], [3, -2]], rtol=1e-14)
    np.testing.assert_allclose(moved.rest, [np.sqrt(2), np.sqrt(2)], rtol=1e-14)
    np.testing.assert_allclose(box_of(Form(form.centre, form.slopes, np.array([3.0, 4.0]))).high, [6, 2], rtol=1e-14)
    assert norm_up(np.array([3.0, 4.0])) == pytest.approx(5, rel=1e-14)
    assert norm_up(np.array([np.nan, 1.0])) == np.inf
