import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gen_export.spec.pixels import from_bytes, to_bytes

BYTES = np.arange(256, dtype=np.uint8)


def test_every_byte_comes_back() -> None:
    for dtype in (np.float64, np.float32):
        there = from_bytes(BYTES.astype(dtype))
        assert there.dtype == dtype
        np.testing.assert_array_equal(to_bytes(there), BYTES)
    np.testing.assert_array_equal(to_bytes(from_bytes(BYTES)), BYTES)


def test_bytes_span_the_range_of_the_networks() -> None:
    assert from_bytes(np.array([0, 255], np.uint8)).tolist() == [-1.0, 1.0]
    assert to_bytes(np.array([-1.0, 1.0])).tolist() == [0, 255]


def test_values_out_of_range_are_clamped_and_do_not_wrap() -> None:
    assert to_bytes(np.array([-1.01, -3.0, -np.inf, 1.01, 3.0, 1e30, np.inf])).tolist() == [0, 0, 0, 255, 255, 255, 255]


def test_halves_go_to_the_even_byte() -> None:
    """Tried where a half survives the way to [-1, 1] and back exactly in float64."""
    assert to_bytes(np.array([0.0])).tolist() == [128]  # 127.5
    halves = np.array([k + 0.5 for k in range(255)])
    x = halves / 127.5 - 1.0
    exact = (x + 1.0) * 127.5 == halves
    even = 2 * np.round(halves[exact] / 2)

    assert exact.sum() > 50
    np.testing.assert_array_equal(to_bytes(x[exact]), even)


@given(st.floats(-1.0, 1.0))
def test_a_byte_is_within_half_a_level_of_its_value(x: float) -> None:
    assert abs(float(to_bytes(np.array([x]))[0]) - (x + 1.0) * 127.5) <= 0.5


@given(st.lists(st.floats(-2.0, 2.0), min_size=2, max_size=20))
def test_bytes_keep_the_order_of_values(values: list[float]) -> None:
    assert np.all(np.diff(to_bytes(np.sort(np.array(values))).astype(int)) >= 0)
