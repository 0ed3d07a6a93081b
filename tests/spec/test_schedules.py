import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen_export.spec.schedules import (
    SCHEDULES,
    ContinuousLinear,
    alpha_bars,
    cosine_betas,
    image_time,
    linear_betas,
    named_alpha_bars,
    noisy_alpha_bars,
    scaled_linear_betas,
    state_time,
    trailing_state,
)


@pytest.fixture(params=SCHEDULES, name="betas_of")
def _betas_of(request: pytest.FixtureRequest):
    return SCHEDULES[request.param]


def test_alpha_bar_is_one_at_the_clean_state(betas_of) -> None:
    """`alphaBar_zero`, at any number of states, none included."""
    assert [alpha_bars(betas_of(states))[0] for states in (1, 2, 1000)] == [1.0, 1.0, 1.0]
    np.testing.assert_array_equal(alpha_bars(np.zeros(0)), [1.0])


@given(st.lists(st.floats(0, 0.999), max_size=30))
def test_alpha_bar_is_the_product_of_what_each_state_keeps(betas: list[float]) -> None:
    abars = alpha_bars(np.array(betas))

    assert len(abars) == len(betas) + 1
    for t in range(len(betas)):
        assert abars[t + 1] == abars[t] * (1.0 - betas[t])


@given(st.lists(st.floats(0, 0.999), max_size=30))
def test_the_image_table_drops_the_clean_state_alone(betas: list[float]) -> None:
    """`getScalar_noisyAlphaBars`, `ImageDDIM.alphaBar_noisyAlphaBars`: prepending 1 gives back the states."""
    abars = alpha_bars(np.array(betas))

    np.testing.assert_array_equal(np.concatenate([[1.0], noisy_alpha_bars(abars)]), abars)


@pytest.mark.parametrize("states", [1, 2, 3, 40, 1000])
def test_alpha_bars_fall_from_one_towards_zero(betas_of, states: int) -> None:
    betas = betas_of(states)
    abars = alpha_bars(betas)

    assert betas.shape == (states,)
    assert np.all((betas > 0) & (betas < 1))
    assert np.all(np.diff(abars) < 0)
    assert abars[-1] > 0


def test_linear_betas_go_from_the_first_to_the_last_in_equal_steps() -> None:
    betas = linear_betas(101, 1e-4, 0.12)

    assert betas[0] == 1e-4
    assert betas[-1] == pytest.approx(0.12, rel=1e-15)
    np.testing.assert_allclose(np.diff(betas), 0.1199 / 100, rtol=1e-11)
    # The reference's own figure for this schedule.
    assert np.sqrt(alpha_bars(linear_betas(100, 1e-4, 0.12))[-1]) == pytest.approx(0.04367, abs=5e-6)


def test_a_linear_schedule_of_one_state_has_the_last_beta_and_of_none_is_empty() -> None:
    assert linear_betas(1, 0.1, 0.5).tolist() == [0.5]
    assert linear_betas(0, 0.1, 0.5).shape == (0,)


def test_cosine_alpha_bars_are_the_squared_cosine_until_the_cap() -> None:
    states = 1000
    abars, betas = alpha_bars(cosine_betas(states)), cosine_betas(states)
    u = np.arange(states + 1) / states
    curve = np.cos((u + 0.008) / 1.008 * np.pi / 2) ** 2 / np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    free = int(np.argmax(betas >= 0.999))

    # A product of a thousand factors is off by a thousand roundings.
    np.testing.assert_allclose(abars[: free + 1], curve[: free + 1], rtol=1000 * 4e-16)
    assert 0.99 * states < free < states
    assert betas.max() == 0.999


def test_a_cosine_schedule_of_one_state_is_capped() -> None:
    np.testing.assert_allclose(alpha_bars(cosine_betas(1)), [1.0, 0.001], rtol=1e-12)


def test_schedules_by_name_are_the_cosine_and_a_linear_one_scaled_to_its_states() -> None:
    np.testing.assert_array_equal(named_alpha_bars("cosine", 50), alpha_bars(cosine_betas(50)))
    np.testing.assert_array_equal(named_alpha_bars("linear", 1000), alpha_bars(linear_betas(1000, 1e-4, 0.02)))
    assert named_alpha_bars("linear", 10)[-1] == alpha_bars(linear_betas(10, 0.01, 0.999))[-1]
    # exp(-integral beta) = exp(-(0.1 + 20) / 2) at any T, up to the 2 percent in the exponent that T = 10000 leaves.
    assert np.log(named_alpha_bars("linear", 10_000)[-1]) == pytest.approx(-10.05, rel=0.02)


def test_scaled_linear_betas_have_square_roots_in_equal_steps() -> None:
    """Rombach et al. (2022): from 8.5e-4 to 0.012 over 1000 states."""
    betas = scaled_linear_betas(1000, 8.5e-4, 0.012)

    np.testing.assert_allclose(betas[[0, -1]], [8.5e-4, 0.012], rtol=1e-14)
    np.testing.assert_allclose(np.diff(np.sqrt(betas)), (0.012**0.5 - 8.5e-4**0.5) / 999, rtol=1e-10)
    np.testing.assert_array_equal(named_alpha_bars("scaled_linear", 1000), alpha_bars(betas))
    assert betas.mean() < linear_betas(1000, 8.5e-4, 0.012).mean()


def test_any_number_of_scaled_states_ends_at_about_the_same_noise() -> None:
    for kind in ("linear", "scaled_linear"):
        ends = [np.log(named_alpha_bars(kind, states)[-1]) for states in (500, 1000, 4000)]
        np.testing.assert_allclose(ends, ends[1], rtol=0.03)


def test_the_references_schedule_by_name_has_its_own_figure() -> None:
    """Reference section 6.10; for another number of states its betas stay as they are."""
    assert np.sqrt(named_alpha_bars("torchlean", 100)[-1]) == pytest.approx(0.04367, abs=5e-6)
    np.testing.assert_array_equal(named_alpha_bars("torchlean", 7), alpha_bars(linear_betas(7, 1e-4, 0.12)))


def test_the_time_of_a_state_is_its_share_of_all() -> None:
    assert [state_time(t, 4) for t in range(5)] == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_time_is_zero_where_there_is_no_state_to_divide_by() -> None:
    assert state_time(3, 0) == 0.0
    assert [image_time(0, 1), image_time(0, 0)] == [0.0, 0.0]


@given(st.integers(1, 5000), st.data())
def test_trailing_states_fall_strictly_from_the_last_to_zero(states: int, data: st.DataObject) -> None:
    steps = data.draw(st.integers(1, states))
    visited = trailing_state(np.arange(steps + 1), steps, states)

    assert (visited[0], visited[-1]) == (states, 0)
    assert np.all(np.diff(visited) < 0)


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_a_trailing_state_is_the_nearest_to_its_share(states: int, steps: int) -> None:
    for j in range(0, steps + 1, max(1, steps // 20)):
        share = states * (steps - j)
        assert abs(2 * steps * trailing_state(j, steps, states) - 2 * share) <= steps  # half a state, in integers


def test_trailing_states_round_half_up() -> None:
    assert [trailing_state(j, 2, 5) for j in range(3)] == [5, 3, 0]
    assert [trailing_state(j, 4, 10) for j in range(5)] == [10, 8, 5, 3, 0]


@given(st.integers(1, 3000))
def test_as_many_steps_as_states_visit_them_all(states: int) -> None:
    np.testing.assert_array_equal(trailing_state(np.arange(states + 1), states, states), np.arange(states, -1, -1))


@given(st.floats(0.01, 5), st.floats(0.01, 30), st.floats(0, 1))
def test_continuous_alpha_bar_is_the_integral_of_beta(beta0: float, beta1: float, t: float) -> None:
    schedule = ContinuousLinear(beta0, beta1)
    integral = t * (schedule.beta(0.0) + schedule.beta(t)) / 2  # the trapezoid below a line

    assert schedule.beta(0.0) == beta0
    assert schedule.beta(1.0) == pytest.approx(beta1, rel=1e-12, abs=1e-12)
    # exp keeps the absolute error of an exponent below 18: a few roundings of 2e-15.
    assert schedule.alpha_bar(np.asarray(t)) == pytest.approx(np.exp(-integral), rel=1e-13)
    assert schedule.sigma(np.asarray(t)) ** 2 == pytest.approx(1.0 - np.exp(-integral), abs=1e-14)


def test_a_fine_discrete_schedule_becomes_the_continuous_one() -> None:
    """prod(1 - beta_i) -> exp(-integral beta): apart by about beta_max^2 T / 2 in the exponent, 0.02 at T = 10000."""
    states, schedule = 10_000, ContinuousLinear(0.1, 20.0)
    abars = alpha_bars(linear_betas(states, 0.1 / states, 20.0 / states))
    t = state_time(np.arange(states + 1), states)

    assert abs(np.log(abars) - np.log(schedule.alpha_bar(t))).max() < 20.0**2 / states / 2
