"""Any source written as shards, which `open_shards` and WebDataset read."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from gen_export.data.image_set import ImageSet
from gen_export.errors import DataError
from gen_export.shards.shard import add_member
from gen_runtime.errors import FileError
from gen_runtime.files import atomic
from gen_runtime.images import png

CHUNK = 256


def write_shards(images: ImageSet, folder: Path, per_shard: int, progress: Callable[[int], None]) -> list[Path]:
    """Writes the readable images as PNGs, and the class of each beside it, into `shard-000000.tar` and so on.

    The set is streamed, and no shard is there before it is whole.

    Args:
        images: The set.
        folder: Where to; made if it is not there.
        per_shard: Images a shard, at most.
        progress: Told the number of images read since it was told last.

    Raises:
        DataError: The folder holds tar files already, or cannot be written to.
    """
    if any(folder.glob("*.tar")):
        raise DataError(f"{folder}: expected a folder without shards, found some")
    starts = range(0, len(images), per_shard)
    try:
        return [
            _write_shard(images, range(start, min(start + per_shard, len(images))), folder, number, progress)
            for number, start in enumerate(starts)
        ]
    except FileError as error:
        raise DataError(str(error)) from error


def _write_shard(images: ImageSet, indices: range, folder: Path, number: int, progress: Callable[[int], None]) -> Path:
    """One shard, the file of these images."""
    path = folder / f"shard-{number:06d}.tar"
    with atomic(path) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for start in range(indices.start, indices.stop, CHUNK):
            chunk = np.arange(start, min(start + CHUNK, indices.stop))
            pictures, kept = images.readable(chunk)
            for index, picture in zip(chunk[kept], pictures, strict=True):
                add_member(archive, f"{index:09d}.png", png(picture))
                if images.labels is not None:
                    add_member(archive, f"{index:09d}.cls", str(images.labels[index]).encode())
            progress(len(chunk))
    return path
