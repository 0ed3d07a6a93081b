"""Where the images of tar files are, by reading headers alone; nothing is extracted or unpickled.

Members that share a name up to its first dot are one sample: an image (`0007.png`, `0007.jpg`, ..), and where there are
classes its number, in `0007.cls` or as `label` in `0007.json`. Other members are never read.
"""

import io
import itertools
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from gen_export.data.files import reading, reason
from gen_export.data.image_set import checked_labels
from gen_export.errors import DataError

IMAGES = ("png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "ppm", "pgm")
LARGEST = {**dict.fromkeys(IMAGES, 2**26), "cls": 32, "json": 2**16}
"""Bytes of a member that is read, by its ending."""
LARGEST_HEADER = 2**20
"""Bytes of an extended header of a tar file."""


class Entry(NamedTuple):
    """A member of a shard that matters.

    Attributes:
        shard: Number of its shard.
        key: Its name up to the first dot.
        ending: The rest, in small letters.
        offset: Where its bytes begin.
        size: How many there are.
    """

    shard: int
    key: str
    ending: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """Where the images of some shards are.

    Attributes:
        shards: The files.
        places: Of each image, the number of its shard, offset and size, int64 [n, 3].
        labels: The class of each, int64 [n]; None unless all have one.
    """

    shards: tuple[Path, ...]
    places: np.ndarray
    labels: np.ndarray | None


class _Headers(io.RawIOBase):
    """A tar file of which headers are read, and nothing as long as an image."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.tell, self.seek = file.tell, file.seek

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= LARGEST_HEADER:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self._file.read(size)


def _entries(shard: int, path: Path) -> Iterator[Entry]:
    """The members that matter, by their headers alone.

    Raises:
        DataError: The file is no tar file, is cut short, or a member is larger than allowed.
    """
    with reading(path), path.open("rb") as file, tarfile.open(fileobj=_Headers(file), mode="r:") as archive:
        while (member := archive.next()) is not None:
            archive.members.clear()  # pyright: ignore[reportAttributeAccessIssue] - it would keep them all
            folder, _, name = member.name.rpartition("/")
            stem, _, ending = name.partition(".")
            ending = ending.lower()
            if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or ending not in LARGEST or not stem:
                continue
            if member.size > LARGEST[ending]:
                raise DataError(
                    f"{path}: {member.name}: expected at most {LARGEST[ending]:,} bytes, found {member.size:,}"
                )
            yield Entry(shard, f"{folder}/{stem}", ending, member.offset_data, member.size)
        file.seek(archive.offset)
        if file.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:  # tarfile takes any nonsense for the end
            raise DataError(f"{path}: expected the end of the archive at byte {archive.offset:,}, found other contents")


# Both parts of a set are opened, one after the other, and have one index.
@lru_cache(maxsize=1)
def read_index(shards: tuple[tuple[Path, int], ...]) -> Index:
    """The index of shards, each with the time of its last change.

    Raises:
        DataError: One is no tar file or broken, or holds a label that is none.
    """
    paths = tuple(path for path, _ in shards)
    places: list[tuple[int, int, int]] = []
    labels: list[int | None] = []
    for number, path in enumerate(paths):
        with path.open("rb", buffering=0) as file:
            for _, members in itertools.groupby(_entries(number, path), key=lambda entry: entry.key):
                sample = {entry.ending: entry for entry in members}
                image = next((sample[ending] for ending in sample if ending in IMAGES), None)
                if image is not None:
                    places.append((image.shard, image.offset, image.size))
                    labels.append(_label(sample, file, path))
    known = checked_labels(np.array(labels), len(labels), (), paths[0]) if labels and None not in labels else None
    return Index(paths, np.array(places, np.int64).reshape(-1, 3), known)


def _label(sample: dict[str, Entry], file: io.FileIO, path: Path) -> int | None:
    """The class of a sample; None where it has none.

    Raises:
        DataError: Its file holds no number.
    """
    entry = sample.get("cls") or sample.get("json")
    if entry is None:
        return None
    file.seek(entry.offset)
    text = file.read(entry.size)
    try:
        if entry.ending == "cls":
            return int(text)
        found = json.loads(text)
        label = found.get("label") if isinstance(found, dict) else None
        return label if type(label) is int else None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: {entry.key}.{entry.ending}: expected a class, found: {reason(error)}") from error


def holds_cifar(path: Path) -> bool:
    """Whether the first member of a tar file lies in one of CIFAR-10's folders; True for what is no tar file."""
    try:
        with path.open("rb") as file, tarfile.open(fileobj=_Headers(file), mode="r:") as archive:
            first = archive.next()
    except (OSError, tarfile.TarError):
        return True
    return first is not None and first.name.startswith("cifar-10-batches-")
