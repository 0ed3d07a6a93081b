"""Any source written as one `.npy` file, which is memory-mapped when it is opened again."""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gen_export.data.arrays import labels_beside
from gen_export.data.image_set import ImageSet
from gen_export.errors import DataError
from gen_runtime.errors import FileError
from gen_runtime.files import atomic

CHUNK = 256


def write_npy(images: ImageSet, out: Path, progress: Callable[[int], None]) -> int:
    """Writes the readable images as uint8 [n, H, W, C], and their labels as int64 [n] in `<stem>.labels.npy`.

    The set is streamed, and neither file is there before it is whole.

    Args:
        images: The set.
        out: The file, which must end in `.npy`.
        progress: Told the number of images read since it was told last.

    Returns:
        The number of images written, n.

    Raises:
        DataError: The name is of another kind, the files cannot be written, or no image is readable.
    """
    if out.suffix != ".npy":
        raise DataError(f"{out}: expected a file name that ends in .npy")
    try:
        with atomic(out) as stream:
            kept = _write_images(images, stream, progress)
            _write_labels(images, kept, labels_beside(out))
    except FileError as error:
        raise DataError(str(error)) from error
    return int(kept.sum())


def _write_images(images: ImageSet, stream: BinaryIO, progress: Callable[[int], None]) -> np.ndarray:
    """Writes what is readable; returns which images that was, bool [len(images)]."""
    kept = np.zeros(len(images), bool)
    _write_header(stream, 0, images.image_shape)
    for start in range(0, len(images), CHUNK):
        indices = np.arange(start, min(start + CHUNK, len(images)))
        pictures, kept[indices] = images.readable(indices)
        stream.write(pictures.tobytes())
        progress(len(indices))
    if not kept.any():
        raise DataError(f"{images.name}: expected images that can be read, found none in {len(images)}")
    # NumPy pads its headers so that a growing first axis fits in place.
    stream.seek(0)
    _write_header(stream, int(kept.sum()), images.image_shape)
    return kept


def _write_header(stream: BinaryIO, n: int, image_shape: tuple[int, int, int]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": (n, *image_shape)}
    np.lib.format.write_array_header_1_0(stream, header)


def _write_labels(images: ImageSet, kept: np.ndarray, path: Path) -> None:
    """Writes the labels of the images kept; without labels, removes those of an earlier set."""
    if images.labels is None:
        path.unlink(missing_ok=True)
        return
    with atomic(path) as stream:
        np.save(stream, images.labels[kept], allow_pickle=False)
