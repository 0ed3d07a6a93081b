import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen_export.data import ArraySet, Subset, split_indices
from gen_export.data.image_set import part_indices
from gen_export.errors import DataError


def ramp(n: int) -> ArraySet:
    """Images 2x3 in grey whose pixels are their index."""
    array = np.repeat(np.arange(n, dtype=np.uint8), 6).reshape(n, 2, 3)
    return ArraySet("ramp", array, np.arange(n) % 3)


def test_images_come_in_the_order_asked_for_and_repeat() -> None:
    images = ramp(9).images(np.array([5, 0, 5]))

    assert images.shape == (3, 2, 3, 1)
    assert images.dtype == np.uint8
    assert images[:, 0, 0, 0].tolist() == [5, 0, 5]


def test_no_indices_give_no_images() -> None:
    assert ramp(9).images(np.array([], np.int64)).shape == (0, 2, 3, 1)


@pytest.mark.parametrize("index", [-1, 9])
def test_an_index_outside_is_an_error(index: int) -> None:
    with pytest.raises(IndexError, match=rf"ramp: expected indices in 0\.\.8, found {index}"):
        ramp(9).images(np.array([0, index]))


def test_images_of_a_transposed_array_are_contiguous() -> None:
    planes = np.arange(48, dtype=np.uint8).reshape(2, 3, 2, 4)
    images = ArraySet("planes", planes.transpose(0, 2, 3, 1)).images(np.array([1, 0]))

    assert images.flags.c_contiguous
    assert images[0, 0, 0].tolist() == [24, 32, 40]


def test_all_images_of_an_array_are_readable() -> None:
    images, kept = ramp(4).readable(np.array([3, 1]))

    assert images[:, 0, 0, 0].tolist() == [3, 1]
    assert kept.tolist() == [True, True]


def test_a_subset_shows_its_images_and_labels() -> None:
    subset = Subset(ramp(9), np.array([8, 4, 1]))

    assert len(subset) == 3
    assert subset.images(np.array([1, 0]))[:, 0, 0, 0].tolist() == [4, 8]
    assert subset.labels is not None
    assert subset.labels.tolist() == [2, 1, 1]


def test_a_subset_of_an_unlabelled_set_is_unlabelled() -> None:
    assert Subset(ArraySet("x", np.zeros((3, 2, 2), np.uint8)), np.array([1])).labels is None


def test_the_fingerprint_is_the_hash_of_size_shape_and_evenly_spaced_images() -> None:
    array = np.arange(127, dtype=np.uint8).reshape(127, 1, 1)
    header = np.array([127, 1, 1, 1], "<i8").tobytes()
    expected = hashlib.sha256(header + bytes(range(0, 127, 2))).hexdigest()

    assert ArraySet("x", array).fingerprint() == expected


def test_the_fingerprint_of_one_image_is_defined() -> None:
    assert len(ramp(1).fingerprint()) == 64


def test_the_fingerprint_tells_sets_apart_by_number_and_shape() -> None:
    zeros = [np.zeros(shape, np.uint8) for shape in ((100, 4, 4), (101, 4, 4), (100, 2, 8))]

    assert len({ArraySet("x", array).fingerprint() for array in zeros}) == 3


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((2, 3, 3), np.float32), r"float32 \[2, 3, 3\]"),
        (np.zeros((2, 3, 3, 4), np.uint8), r"uint8 \[2, 3, 3, 4\]"),
        (np.zeros((3, 3), np.uint8), r"uint8 \[3, 3\]"),
        (np.zeros((0, 3, 3), np.uint8), r"at least one image, found \[0, 3, 3\]"),
    ],
)
def test_an_array_that_holds_no_images_is_refused(array: np.ndarray, found: str) -> None:
    with pytest.raises(DataError, match=rf"set: expected .*{found}"):
        ArraySet("set", array)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(3), r"one integer label an image, \[2\], found float64 \[3\]"),
        (np.zeros(3, int), r"one integer label an image, \[2\], found int64 \[3\]"),
        (np.array([0, 2]), r"labels in 0\.\.1, found 2"),
        (np.array([0, -1]), r"labels in 0\.\.1, found -1"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        ArraySet("set", np.zeros((2, 3, 3), np.uint8), labels, ("a", "b"))


def test_negative_labels_are_refused_without_names_too() -> None:
    with pytest.raises(DataError, match="labels from 0, found -4"):
        ArraySet("set", np.zeros((1, 3, 3), np.uint8), np.array([-4]))


@given(n=st.integers(2, 500), seed=st.integers(-(2**63), 2**63 - 1))
def test_a_split_parts_all_indices_in_two(n: int, seed: int) -> None:
    train, test = split_indices(n, seed)

    assert sorted([*train, *test]) == list(range(n))
    assert len(test) == max(1, round(n / 10))
    assert (np.diff(train) > 0).all()
    assert (np.diff(test) > 0).all()


def test_the_seed_decides_the_split() -> None:
    assert np.array_equal(split_indices(200, 3)[1], split_indices(200, 3)[1])
    assert not np.array_equal(split_indices(200, 3)[1], split_indices(200, 4)[1])


def test_a_single_image_trains_and_none_is_left_to_test() -> None:
    assert part_indices(1, "train", "one.npy").tolist() == [0]
    with pytest.raises(DataError, match=r"one\.npy: expected at least two images"):
        part_indices(1, "test", "one.npy")
