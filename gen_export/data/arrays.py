"""NumPy files: `.npy`, memory-mapped and so larger than memory at will, and `.npz`, read into memory.

Headers are read and checked before any data, and objects, which NumPy would unpickle, are refused.
"""

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import numpy as np

from gen_export.data.files import read_exactly, reading, reason
from gen_export.data.image_set import ArraySet, ImageSet, Part, Subset, checked_labels, image_shape, part_indices
from gen_export.errors import DataError


@dataclass(frozen=True, slots=True)
class _Header:
    """What an .npy stream says of its data."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype

    @property
    def order(self) -> Literal["C", "F"]:
        return "F" if self.fortran else "C"

    @property
    def n_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def open_npy(path: Path, part: Part = "train") -> ImageSet:
    """A part of the images of an .npy file, with the labels of `<stem>.labels.npy` beside it if it is there.

    Raises:
        DataError: The file is broken, or holds something else.
    """
    array = _map(path)
    labels_path = labels_beside(path)
    labels = None
    if labels_path.exists():
        labels = checked_labels(_map(labels_path), len(array), (), labels_path)
    whole = ArraySet(path.stem, array, labels, where=path)
    return Subset(whole, part_indices(len(whole), part, path))


def labels_beside(path: Path) -> Path:
    """Where the labels of an .npy file of images are."""
    return path.with_suffix(".labels.npy")


def open_npz(path: Path, part: Part = "train") -> ImageSet:
    """A part of the images of an .npz file.

    The part itself where it is named (`train_x`, `train_y`), else of all its images (`x` or `images`, `y` or
    `labels`); the names of the classes from `classes` or `label_names`.

    Raises:
        DataError: The file is broken, too large for memory, or holds something else.
    """
    with reading(path), zipfile.ZipFile(path) as archive:
        keys = {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
        x = _first(keys, f"{part}_x", "x", "images")
        if x is None:
            raise DataError(f"{path}: expected {part}_x, x or images, found {sorted(keys)}")
        named = x == f"{part}_x"
        y = _first(keys, f"{part}_y") if named else _first(keys, "y", "labels")
        classes = _first(keys, "classes", "label_names")
        images = _member(archive, x, path, are_images=True)
        labels = None if y is None else _member(archive, y, path)
        names = () if classes is None else tuple(str(name) for name in _member(archive, classes, path).ravel())
    whole = ArraySet(path.stem, images, labels, names, where=path)
    return whole if named else Subset(whole, part_indices(len(whole), part, path))


def _first(keys: set[str], *candidates: str) -> str | None:
    return next((key for key in candidates if key in keys), None)


def _map(path: Path) -> np.ndarray:
    """The memory-mapped array of an .npy file."""
    with reading(path), path.open("rb") as stream:
        header = _read_header(stream, path)
        offset = stream.tell()
    expected, found = offset + header.n_bytes, path.stat().st_size
    if found != expected:
        raise DataError(f"{path}: expected {expected:,} bytes for {list(header.shape)}, found {found:,}")
    return np.asarray(np.memmap(path, header.dtype, "r", offset, header.shape, header.order))


def _member(archive: zipfile.ZipFile, key: str, path: Path, *, are_images: bool = False) -> np.ndarray:
    """One array of an .npz file; nothing is read when its header says that it is not wanted."""
    where = f"{path}/{key}"
    with archive.open(f"{key}.npy") as stream:
        header = _read_header(stream, where)
        if are_images:
            image_shape(header.shape, header.dtype, where)
        data = read_exactly(stream, header.n_bytes, where)
    return np.frombuffer(data, header.dtype).reshape(header.shape, order=header.order)


def _read_header(stream: IO[bytes], where: object) -> _Header:
    """The header of an .npy stream, which stands at its data afterwards."""
    try:
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise ValueError(f"format version {version}, which only records of many fields need")
        header = _Header(*np.lib.format.read_array_header_1_0(stream))
    # NumPy parses the header as Python, and of a broken one raises what its tokenizer and parser do.
    except Exception as error:
        raise DataError(f"{where}: expected a NumPy array, found: {reason(error)}") from error
    if header.dtype.hasobject:
        raise DataError(f"{where}: expected numbers or text, found objects, which only unpickling could read")
    if header.dtype.itemsize == 0 or any(axis <= 0 for axis in header.shape):
        raise DataError(f"{where}: expected data, found an empty array, {header.dtype} {list(header.shape)}")
    return header
