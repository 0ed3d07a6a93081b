import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen_export.data import batch_indices

SEEDS = st.integers(-(2**63), 2**63 - 1)


@given(n=st.integers(1, 40), batch_size=st.integers(1, 90), seed=SEEDS, epoch=st.integers(0, 3))
def test_each_epoch_shows_every_image_once(n: int, batch_size: int, seed: int, epoch: int) -> None:
    steps = range((epoch + 1) * n // batch_size + 1)
    order = np.concatenate([batch_indices(n, batch_size, seed, step) for step in steps])

    assert sorted(order[epoch * n : (epoch + 1) * n]) == list(range(n))


@given(
    n=st.integers(1, 40),
    batch_size=st.integers(1, 90),
    seed=SEEDS,
    steps=st.lists(st.integers(0, 50), min_size=2, max_size=8),
)
def test_a_batch_does_not_depend_on_the_calls_before_it(n: int, batch_size: int, seed: int, steps: list[int]) -> None:
    forward = {step: batch_indices(n, batch_size, seed, step) for step in sorted(steps)}

    for step in steps:
        assert np.array_equal(batch_indices(n, batch_size, seed, step), forward[step])


@given(n=st.integers(1, 40), seed=SEEDS)
def test_batches_of_any_size_cut_the_same_sequence(n: int, seed: int) -> None:
    whole = batch_indices(n, 60, seed, step=0)
    cut = np.concatenate([batch_indices(n, 12, seed, step) for step in range(5)])

    assert np.array_equal(whole, cut)


def test_epochs_and_seeds_differ_in_their_order() -> None:
    orders = [batch_indices(50, 50, seed, step) for seed in (0, 1, -1) for step in (0, 1)]

    assert len({order.tobytes() for order in orders}) == 6


def test_what_a_batch_returns_can_be_changed_without_changing_the_next() -> None:
    first = batch_indices(8, 8, 0, 0)
    first[:] = 0

    assert sorted(batch_indices(8, 8, 0, 0)) == list(range(8))


@pytest.mark.parametrize("arguments", [(0, 1, 0, 0), (1, 0, 0, 0), (1, 1, 0, -1)])
def test_an_impossible_batch_is_refused(arguments: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="expected n >= 1, batch_size >= 1, step >= 0"):
        batch_indices(*arguments)
