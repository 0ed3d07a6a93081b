import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gen_export.spec.masks import (
    BlockMask,
    block_mae_sample,
    hide,
    masked_mse,
    merge,
    mse_weighted,
    patch_hidden_mask,
    random_hidden,
    reconstruction_weights,
    vector_hidden_mask,
)

extents, periods, seeds = st.integers(1, 7), st.integers(0, 5), st.integers(0, 2**31)
policies = st.lists(st.tuples(extents, st.none() | st.integers(1, 4)), min_size=1, max_size=4)


def image_patch_hidden(width: int, ph: int, pw: int, period: int, offset: int, row: int, column: int) -> bool:
    """The reference's own formula of one pixel (`imagePatchHidden`)."""
    if 0 in (period, ph, pw):
        return False
    index = (row // ph) * -(-width // pw) + column // pw
    return index % period == offset % period


@given(extents, extents, periods, periods, periods, st.integers(0, 9))
def test_image_patches_are_hidden_by_their_formula(h: int, w: int, ph: int, pw: int, period: int, offset: int) -> None:
    """`imagePatchHidden`, zeros included."""
    expected = [[image_patch_hidden(w, ph, pw, period, offset, r, c) for c in range(w)] for r in range(h)]

    np.testing.assert_array_equal(patch_hidden_mask(h, w, ph, pw, period, offset), expected)


@given(st.integers(0, 40), periods, st.integers(0, 9))
def test_entries_of_a_vector_are_hidden_by_their_remainder(size: int, period: int, offset: int) -> None:
    """`vectorMaeHiddenMask`."""
    expected = [period != 0 and j % period == offset % period for j in range(size)]

    assert vector_hidden_mask(size, period, offset).tolist() == expected


@given(policies, st.integers(1, 5), st.integers(0, 9))
def test_blocks_are_counted_in_row_major_order(axes: list[tuple[int, int | None]], period: int, offset: int) -> None:
    """The mixed-radix index of any rank, against blocks numbered one by one by NumPy."""
    shape, blocks = tuple(n for n, _ in axes), tuple(k for _, k in axes)
    cut = [(n, k) for n, k in axes if k is not None]
    counts = [math.ceil(n / k) for n, k in cut]
    numbers = np.arange(math.prod(counts)).reshape(counts)
    found = BlockMask(blocks, period, offset).hidden(shape)

    for place in np.ndindex(*shape):
        block = numbers[tuple(i // k for i, k in zip(place, blocks, strict=True) if k is not None)]
        assert found[place] == (block % period == offset % period)


@pytest.mark.parametrize("mask", [BlockMask((2, 2), 0), BlockMask((2, 0), 1), BlockMask((2,), 1), BlockMask((), 1)])
def test_a_zero_or_another_rank_hides_nothing(mask: BlockMask) -> None:
    assert not mask.hidden((4, 4)).any()
    assert mask.hidden_indices((4, 4)).size == 0


def test_a_single_block_is_hidden_whole() -> None:
    assert BlockMask((None, None), 1).hidden((2, 3)).all()
    assert BlockMask((None, 3), 4).hidden((2, 3)).all()
    assert not BlockMask((None, 3), 4, 1).hidden((2, 3)).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((2, -1), 4), r"blocks: expected no negative number, found \(2, -1\)"),
        (((2, None), -4), "period: expected no negative number, found -4"),
        (((2, 2), 4, -1), "offset: expected no negative number, found -1"),
    ],
)
def test_negative_numbers_are_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BlockMask(*arguments)


@given(policies, periods, st.integers(0, 9))
def test_hidden_indices_are_the_flat_places_of_the_mask(
    axes: list[tuple[int, int | None]], period: int, offset: int
) -> None:
    """`hiddenIndices`."""
    shape, mask = tuple(n for n, _ in axes), BlockMask(tuple(k for _, k in axes), period, offset)
    rebuilt = np.zeros(math.prod(shape), bool)
    rebuilt[mask.hidden_indices(shape)] = True

    np.testing.assert_array_equal(rebuilt.reshape(shape), mask.hidden(shape))


def test_what_is_hidden_leaves_no_trace() -> None:
    """`BlockMask.hidden_scalar_eq_zero`, `.visible_scalar_eq_input`: NaN and infinities vanish, nothing else moves."""
    x, hidden = np.array([np.nan, np.inf, -0.0, -np.inf, np.nan, 5.0]), np.array([1, 1, 0, 0, 0, 1], bool)
    expected = np.array([0.0, 0.0, -0.0, -np.inf, np.nan, 0.0])

    assert hide(x, hidden).tobytes() == expected.tobytes()
    assert hide(torch.from_numpy(x), torch.from_numpy(hidden)).numpy().tobytes() == expected.tobytes()


@given(seeds)
def test_merging_takes_each_entry_from_where_it_is_known(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y, hidden = *rng.standard_normal((2, 3, 4)), rng.random((3, 4)) < 0.5
    merged = merge(x, y, hidden)

    np.testing.assert_array_equal(merged[hidden], y[hidden])
    np.testing.assert_array_equal(merged[~hidden], x[~hidden])
    np.testing.assert_array_equal(hide(merged, hidden), hide(x, hidden))
    np.testing.assert_array_equal(merge(hide(x, hidden), x, hidden), x)


@given(seeds, st.floats(0, 1))
def test_weights_share_one_among_the_hidden(seed: int, share: float) -> None:
    """`reconstructionWeights`, over all entries and for each row."""
    hidden = np.random.default_rng(seed).random((4, 6)) < share
    weights, by_row = reconstruction_weights(hidden), reconstruction_weights(hidden, axis=(1,))

    assert np.all((weights > 0) == hidden)
    assert np.unique(weights[hidden]).size <= 1
    assert weights.sum() == pytest.approx(float(hidden.any()), abs=1e-14)
    np.testing.assert_array_equal(by_row, np.stack([reconstruction_weights(row) for row in hidden]))


def test_weights_of_the_golden_mask_are_a_twelfth() -> None:
    weights = reconstruction_weights(BlockMask((None, 2, 2), 4).hidden((3, 4, 4)))

    assert np.unique(weights).tolist() == [0.0, 1 / 12]
    assert np.count_nonzero(weights) == 12


def test_the_weighted_error_is_a_sum() -> None:
    """`mseWeighted`."""
    assert mse_weighted(np.array([1.0, 2.0, 5.0]), np.zeros(3), np.array([1.0, 10.0, 0.0])) == 41.0


@given(seeds, st.floats(0, 1))
def test_the_masked_error_is_the_mean_over_samples_of_their_hidden_means(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    predicted, target, hidden = *rng.standard_normal((2, 3, 2, 5)), rng.random((3, 2, 5)) < share
    squares = (predicted - target) ** 2
    expected = np.mean([s[h].mean() if h.any() else 0.0 for s, h in zip(squares, hidden, strict=True)])
    elsewhere = np.where(hidden, predicted, 100.0)

    assert masked_mse(predicted, target, hidden) == pytest.approx(expected, rel=1e-13, abs=1e-15)
    assert masked_mse(elsewhere, target, hidden) == masked_mse(predicted, target, hidden)


@given(seeds)
def test_a_mask_of_patches_is_one_of_all_their_entries(seed: int) -> None:
    rng = np.random.default_rng(seed)
    predicted, target, hidden = *rng.standard_normal((2, 3, 4, 6)), rng.random((3, 4, 1)) < 0.5

    assert masked_mse(predicted, target, hidden) == masked_mse(predicted, target, np.repeat(hidden, 6, axis=2))


@given(seeds, st.integers(1, 30), st.floats(0, 1))
def test_random_masks_hide_the_patches_with_the_smallest_numbers(seed: int, patches: int, ratio: float) -> None:
    uniforms = np.random.default_rng(seed).random((5, patches))
    hidden = random_hidden(uniforms, ratio)

    assert hidden.sum(axis=1).tolist() == [round(ratio * patches)] * 5
    for row, mask in zip(uniforms, hidden, strict=True):
        assert max(row[mask], default=0.0) <= min(row[~mask], default=1.0)


def test_equal_numbers_still_hide_the_right_count() -> None:
    assert random_hidden(np.full((2, 8), 0.5), 0.75).sum(axis=1).tolist() == [6, 6]


@given(seeds, st.integers(1, 12))
def test_a_masked_sample_is_the_hidden_image_and_the_start_of_the_whole(seed: int, width: int) -> None:
    """`blockMaeSample_input_eq_mask`, `blockMaeSample_target_eq_source_prefix`."""
    x, mask = np.random.default_rng(seed).standard_normal((2, 3, 2, 2)), BlockMask((None, 1, 1), 4, 3)
    masked, target = block_mae_sample(x, mask, width)

    for image, found, wanted in zip(x, masked, target, strict=True):
        np.testing.assert_array_equal(found, np.where(mask.hidden((3, 2, 2)), 0.0, image))
        np.testing.assert_array_equal(wanted, image.ravel()[:width])
