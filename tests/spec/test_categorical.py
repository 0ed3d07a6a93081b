"""Draws from a categorical law: known laws, exact edges, and the statistics of many draws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from gen_export.spec.categorical import categorical, keep_top, next_code, temper
from gen_export.spec.noise import sample_keys, seed_bits, uniforms

LAW = np.array([0.5, 0.0, 0.25, 0.125, 0.125])
SMALLEST, LARGEST = 2.0**-25, 1 - 2.0**-25  # the ends of what `uniforms` gives
logits_of_rows = hnp.arrays(np.float32, (3, 6), elements=st.floats(-80, 80, width=32))


def logs(law: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(law)[None]


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)


def rows(logits: np.ndarray, count: int) -> np.ndarray:
    return np.repeat(logits, count, axis=0)


@pytest.mark.parametrize(
    ("u", "index"), [(SMALLEST, 0), (0.49, 0), (0.51, 2), (0.74, 2), (0.76, 3), (0.87, 3), (0.88, 4), (LARGEST, 4)]
)
def test_a_draw_is_the_inverse_of_the_cumulative_law(u: float, index: int) -> None:
    drawn = categorical(logs(LAW), np.array([u]))

    assert (drawn.dtype, drawn.tolist()) == (np.int64, [index])


@given(logits_of_rows, st.integers(0, 2**24 - 1))
def test_an_index_without_weight_is_never_drawn(logits: np.ndarray, cell: int) -> None:
    """Not even with the smallest or the largest uniform number."""
    logits[:, [0, 3, 5]] = -np.inf
    u = np.full(3, (cell + 0.5) * 2.0**-24)

    for number in (u, np.full(3, SMALLEST), np.full(3, LARGEST)):
        assert set(categorical(logits, number).tolist()) <= {1, 2, 4}


@given(logits_of_rows, st.floats(-50, 50))
def test_a_shift_of_all_logits_does_not_change_their_law(logits: np.ndarray, shift: float) -> None:
    moved = temper(logits.astype(np.float64) + shift, 0.7)

    # The shift rounds logits of up to 130 by 2^-46; at temperature 0.7 that is still far below 1e-12.
    np.testing.assert_allclose(moved, temper(logits, 0.7), rtol=0, atol=1e-12)


@given(logits_of_rows, st.floats(0.05, 20))
def test_a_temperature_raises_the_law_to_its_inverse_power(logits: np.ndarray, temperature: float) -> None:
    powered = softmax(logits.astype(np.float64)) ** (1 / temperature)

    # Both are exponentials of numbers up to 160 / 0.05 = 3200, each rounded by 2^-53 of itself: 4e-13.
    np.testing.assert_allclose(
        softmax(temper(logits, temperature)), powered / powered.sum(1, keepdims=True), rtol=2e-12, atol=1e-300
    )


def test_temperature_one_keeps_the_law() -> None:
    np.testing.assert_array_equal(temper(logs(LAW), 1.0), logs(LAW) - np.log(0.5))


@given(logits_of_rows, st.integers(0, 2**24 - 1))
def test_at_temperature_zero_the_likeliest_is_drawn(logits: np.ndarray, cell: int) -> None:
    """Also where it leads by one unit in the last place; ties share, so the drawn one is among them."""
    u = np.full(3, (cell + 0.5) * 2.0**-24)
    drawn = categorical(temper(logits, 0.0), u)

    np.testing.assert_array_equal(logits[np.arange(3), drawn], logits.max(1))


def test_at_temperature_zero_a_lead_of_one_bit_is_enough() -> None:
    logits = np.array([[1.0, np.nextafter(np.float32(1.0), np.float32(2.0)), 1.0]], np.float32)

    assert [categorical(temper(logits, 0.0), np.array([u])).item() for u in (SMALLEST, LARGEST)] == [1, 1]


def test_at_temperature_zero_ties_share() -> None:
    assert softmax(temper(np.array([[3.0, 1.0, 3.0]]), 0.0)).tolist() == [[0.5, 0.0, 0.5]]


def test_a_tiny_temperature_is_not_zero() -> None:
    np.testing.assert_array_equal(temper(np.array([[0.0, -1e-6]]), 1e-6), [[0.0, -1.0]])


@pytest.mark.parametrize(
    ("k", "kept"), [(1, [1]), (2, [1, 4]), (3, [0, 1, 3, 4]), (4, [0, 1, 3, 4]), (5, [0, 1, 2, 3, 4])]
)
def test_the_k_largest_stay_with_what_ties_with_the_last(k: int, kept: list[int]) -> None:
    logits = np.array([[2.0, 9.0, -1.0, 2.0, 5.0]])
    found = keep_top(logits, k)

    assert np.flatnonzero(np.isfinite(found)).tolist() == kept
    np.testing.assert_array_equal(found[0, kept], logits[0, kept])


@given(logits_of_rows)
def test_top_one_draws_what_temperature_zero_draws(logits: np.ndarray) -> None:
    u = np.array([SMALLEST, 0.5, LARGEST])

    np.testing.assert_array_equal(next_code(logits, u, 1.0, 1), next_code(logits, u, 0.0, 6))


def test_each_row_has_its_own_law_and_number() -> None:
    logits = np.concatenate([logs(LAW), logs(LAW[::-1])])

    assert categorical(logits, np.array([0.6, 0.6])).tolist() == [2, 4]


@pytest.mark.parametrize(
    ("temperature", "top_k", "law"),
    [
        (1.0, 5, LAW),
        (0.5, 5, LAW**2 / (LAW**2).sum()),
        (1.0, 2, np.array([2, 0, 1, 0, 0]) / 3),
        (2.0, 3, np.sqrt([0.5, 0, 0.25, 0.125, 0.125]) / np.sqrt([0.5, 0.25, 0.125, 0.125]).sum()),  # 3rd and 4th tie
    ],
)
def test_seeded_draws_have_the_law(temperature: float, top_k: int, law: np.ndarray) -> None:
    """Chi-square of 100,000 draws; a right sampler fails one seed in a million."""
    keys = sample_keys(seed_bits(11), np.arange(1000, dtype=np.uint64))
    u = uniforms(keys, np.array([0], np.uint64), 100).reshape(-1)
    drawn = np.bincount(next_code(rows(logs(LAW), len(u)), u, temperature, top_k), minlength=5)

    assert drawn[law == 0].sum() == 0
    assert stats.chisquare(drawn[law > 0], law[law > 0] * len(u)).pvalue > 1e-6


def test_a_uniform_number_is_that_of_the_word_at_its_counter() -> None:
    """Words 0..3 of draw 0 and word 0 of draw 1 under key(42, 0)."""
    key = np.array([0x57E1FABA65107205], np.uint64)
    words = [0x41AB8567, 0xEE1C90F3, 0x6EE63020, 0x78FA7918, 0xCAA5137E]
    found = [*uniforms(key, np.array([0], np.uint64), 4)[0], uniforms(key, np.array([1], np.uint64), 1).item()]

    assert found == [((word >> 8) + 0.5) * 2.0**-24 for word in words]


def test_a_samples_uniform_numbers_do_not_depend_on_its_batch() -> None:
    keys, draw = sample_keys(seed_bits(1), np.arange(5, dtype=np.uint64)), np.array([2], np.uint64)
    together = uniforms(keys, draw, 7)

    assert together.dtype == np.float64
    np.testing.assert_array_equal(uniforms(keys[3:4], draw, 9)[:, :7], together[3:4])
