"""The one interface to images: a set of uint8 images with random access, possibly larger than memory."""

import hashlib
from abc import ABC, abstractmethod
from typing import Literal

import numpy as np

from gen_export.errors import DataError

FINGERPRINT_IMAGES = 64
Part = Literal["train", "test", "all"]


class ImageSet(ABC):
    """Images of one shape, read by index.

    Attributes:
        name: What people and metadata call the set: `sprites`, `fashion_mnist`.
        image_shape: (H, W, C) with C = 1 (grey) or 3 (RGB).
        labels: The class of each image, int64 [n]; None where there are none.
        label_names: The name of each class; empty when unknown.
    """

    name: str
    image_shape: tuple[int, int, int]
    labels: np.ndarray | None
    label_names: tuple[str, ...]

    @abstractmethod
    def __len__(self) -> int:
        """The number of images, n."""

    @abstractmethod
    def _read(self, indices: np.ndarray) -> np.ndarray:
        """The images of indices already known to be in 0..n-1, uint8 [k, H, W, C]."""

    def images(self, indices: np.ndarray) -> np.ndarray:
        """The images at `indices` in their order, uint8 [k, H, W, C].

        Raises:
            IndexError: An index is outside 0..n-1.
            DataError: The images can no longer be read.
        """
        return np.ascontiguousarray(self._read(self._checked(indices)))

    def readable(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The images at `indices` that can be read, uint8 [m, H, W, C], and which they are, bool [k]."""
        return self.images(indices), np.ones(len(indices), bool)

    def fingerprint(self) -> str:
        """The SHA-256 of n, the shape and up to 64 evenly spaced images, in hex: resuming compares it."""
        n = len(self)
        count = min(n, FINGERPRINT_IMAGES)
        spaced = np.arange(count) * (n - 1) // max(count - 1, 1)
        digest = hashlib.sha256(np.array([n, *self.image_shape], "<i8").tobytes())
        digest.update(self.images(spaced).tobytes())
        return digest.hexdigest()

    def _checked(self, indices: np.ndarray) -> np.ndarray:
        """The indices as int64 [k], all in 0..n-1."""
        indices = np.asarray(indices, np.int64)
        outside = indices[(indices < 0) | (indices >= len(self))]
        if outside.size:
            raise IndexError(f"{self.name}: expected indices in 0..{len(self) - 1}, found {outside[0]}")
        return indices


class ArraySet(ImageSet):
    """A set held in one array, in memory or memory-mapped.

    Args:
        name: What people and metadata call the set.
        array: uint8 [n, H, W] or [n, H, W, C].
        labels: Integers [n]; None where there are none.
        label_names: The name of each class; empty when unknown.
        where: What messages name: the file; the set's name when left out.

    Raises:
        DataError: The array is no set of images, or the labels do not fit it.
    """

    def __init__(
        self,
        name: str,
        array: np.ndarray,
        labels: np.ndarray | None = None,
        label_names: tuple[str, ...] = (),
        where: object = None,
    ) -> None:
        where = where or name
        self.name = name
        self.image_shape = image_shape(array.shape, array.dtype, where)
        self._array = np.asarray(array).reshape(len(array), *self.image_shape)
        self.labels = None if labels is None else checked_labels(labels, len(array), label_names, where)
        self.label_names = label_names

    def __len__(self) -> int:
        return len(self._array)

    def _read(self, indices: np.ndarray) -> np.ndarray:
        return self._array[indices]


class Subset(ImageSet):
    """Some images of another set, in a given order."""

    def __init__(self, base: ImageSet, indices: np.ndarray) -> None:
        self._base = base
        self._indices = np.asarray(indices, np.int64)
        self.name = base.name
        self.image_shape = base.image_shape
        self.labels = None if base.labels is None else base.labels[self._indices]
        self.label_names = base.label_names

    def __len__(self) -> int:
        return len(self._indices)

    def _read(self, indices: np.ndarray) -> np.ndarray:
        return self._base.images(self._indices[indices])


def split_indices(n: int, seed: int = 0, held_out: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """The indices 0..n-1 in two ascending parts, train and test, drawn by the seed.

    The test part has `round(n * held_out)` of them, and at least one where n > 1.
    """
    n_test = min(max(1, round(n * held_out)), n - 1)
    order = np.random.default_rng(seed % 2**64).permutation(n)
    return np.sort(order[n_test:]), np.sort(order[:n_test])


def official(part: Part, where: object) -> Literal["train", "test"]:
    """The part of a source that has its own train and test images.

    Raises:
        DataError: All of them were asked for at once.
    """
    if part == "all":
        raise DataError(f"{where}: expected train or test, for it has parts of its own, found all (--part train)")
    return part


def part_indices(n: int, part: Part, where: object) -> np.ndarray:
    """The indices of one part of a source that has no official split: nine images in ten, the tenth, or all.

    Raises:
        DataError: No image is left for the part.
    """
    if part == "all":
        return np.arange(n)
    train, test = split_indices(n)
    if part == "test" and not len(test):
        raise DataError(f"{where}: expected at least two images, to hold one out for the test, found {n}")
    return train if part == "train" else test


def image_shape(shape: tuple[int, ...], dtype: np.dtype, where: object) -> tuple[int, int, int]:
    """The (H, W, C) of an array of images.

    Raises:
        DataError: It is not uint8 [n, H, W] or [n, H, W, C] with C = 1 or 3, or it is empty.
    """
    channels = shape[3] if len(shape) == 4 else 1
    if dtype != np.uint8 or len(shape) not in (3, 4) or channels not in (1, 3):
        expected = "uint8 images [n, H, W] or [n, H, W, C] with C = 1 or 3"
        raise DataError(f"{where}: expected {expected}, found {dtype} {list(shape)}")
    if 0 in shape:
        raise DataError(f"{where}: expected at least one image, found {list(shape)}")
    return shape[1], shape[2], channels


def checked_labels(labels: np.ndarray, n: int, label_names: tuple[str, ...], where: object) -> np.ndarray:
    """The labels as int64 [n].

    Raises:
        DataError: They are not n integers from 0, or one has no name though names are given.
    """
    if labels.dtype.kind not in "iu" or labels.shape != (n,):
        found = f"{labels.dtype} {list(labels.shape)}"
        raise DataError(f"{where}: expected one integer label an image, [{n}], found {found}")
    labels = labels.astype(np.int64)
    last = len(label_names) - 1 if label_names else np.iinfo(np.int64).max
    outside = labels[(labels < 0) | (labels > last)]
    if outside.size:
        expected = f"labels in 0..{last}" if label_names else "labels from 0"
        raise DataError(f"{where}: expected {expected}, found {outside[0]}")
    return labels
