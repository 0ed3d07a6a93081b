"""Folders of idx files: the format of MNIST and its kin, plain or gzipped.

0 0 | 08 = uint8 | number of axes | each axis, uint32 big-endian | the data, row-major
"""

import math
import struct
from pathlib import Path

import numpy as np

from gen_export.data.files import Stream, open_stream, read_at_most, read_exactly, reading
from gen_export.data.image_set import ArraySet, Part, official
from gen_export.errors import DataError

UINT8 = 0x08
STEMS = {"train": "train", "test": "t10k"}
FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def is_idx_folder(folder: Path) -> bool:
    """Whether a folder holds idx files of images under their usual names."""
    return any(_find(folder, part, "images-idx3") for part in STEMS)


def open_idx(folder: Path, part: Part = "train") -> ArraySet:
    """The official part of an MNIST-type folder, uint8 [n, H, W, 1]; plain files are memory-mapped.

    Raises:
        DataError: A file is missing, broken, of another kind, or has other counts than the rest.
    """
    part = official(part, folder)
    images_path = _find(folder, part, "images-idx3")
    if images_path is None:
        raise DataError(f"{folder}: expected {_name(part, 'images-idx3')} or the same with .gz, found neither")
    labels_path = _find(folder, part, "labels-idx1")
    images = read_idx(images_path, axes=3)
    labels = None if labels_path is None else read_idx(labels_path, axes=1)
    if labels is not None and len(labels) != len(images):
        raise DataError(f"{labels_path}: expected {len(images):,} labels, one an image, found {len(labels):,}")
    return ArraySet(folder.resolve().name, images, labels, _label_names(folder), where=folder)


def read_idx(path: Path, axes: int) -> np.ndarray:
    """The uint8 array of an idx file with so many axes, memory-mapped unless it is gzipped.

    Raises:
        DataError: It is no such file, or its length is not what its header says.
    """
    with reading(path), open_stream(path) as stream:
        shape = _read_shape(stream, axes, path)
        if path.suffix == ".gz":
            data = read_exactly(stream, math.prod(shape), path)
            return np.frombuffer(data, np.uint8).reshape(shape)
        return _map(path, shape, stream.tell())


def _map(path: Path, shape: tuple[int, ...], offset: int) -> np.ndarray:
    """The memory-mapped data of a plain file."""
    expected, found = math.prod(shape) + offset, path.stat().st_size
    if found != expected:
        raise DataError(f"{path}: expected {expected:,} bytes for {list(shape)}, found {found:,}")
    return np.memmap(path, np.uint8, "r", offset, shape)


def _read_shape(stream: Stream, axes: int, path: Path) -> tuple[int, ...]:
    """The shape in the header."""
    header = bytes(read_at_most(stream, 4 + 4 * axes))
    magic = bytes([0, 0, UINT8, axes])
    if header[:4] != magic:
        raise DataError(f"{path}: expected an idx file that begins {magic.hex()}, found {header[:4].hex()}")
    if len(header) < 4 + 4 * axes:
        raise DataError(f"{path}: truncated: expected a header of {4 + 4 * axes} bytes, found {len(header)}")
    shape = struct.unpack(f">{axes}I", header[4:])
    if 0 in shape:
        raise DataError(f"{path}: expected at least one image or label, found {list(shape)}")
    return shape


def _name(part: str, kind: str) -> str:
    return f"{STEMS[part]}-{kind}-ubyte"


def _find(folder: Path, part: str, kind: str) -> Path | None:
    """The file of one part, plain before gzipped; None where there is none."""
    paths = (folder / (_name(part, kind) + suffix) for suffix in ("", ".gz"))
    return next((path for path in paths if path.is_file()), None)


def _label_names(folder: Path) -> tuple[str, ...]:
    """The classes of the two sets that a folder's name tells."""
    name = folder.resolve().name.lower()
    return FASHION if "fashion" in name else tuple("0123456789") if name == "mnist" else ()
