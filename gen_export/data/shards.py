"""Shards: uncompressed tar files of images in WebDataset's layout, read in place, image by image.

Opening reads the headers of the members; then any image is one read at a known place. So shards on a network file
system stream like files, in the exact order of the seed, and a resumed run goes on where it stopped.
"""

import io
import itertools
import math
import re
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gen_export.data.decode import GREY_MODES, BadImageError, decode_image, header
from gen_export.data.decoded_set import DecodedSet, Report, refuse
from gen_export.data.files import reading, reason
from gen_export.data.image_set import Part, part_indices
from gen_export.data.shard_index import IMAGES, Index, holds_cifar, read_index
from gen_export.errors import DataError

MOST_SHARDS = 100_000
LOOKED_AT = 64
"""Images whose headers say what the set is, evenly spaced: RGB unless all of them are grey."""
BRACES = re.compile(r"\{([^{}]*)\}")


@dataclass(eq=False)
class ShardSet(DecodedSet):
    """Images in shards: what `open_shards` returns."""

    name: str
    image_shape: tuple[int, int, int]
    shards: tuple[Path, ...]
    places: np.ndarray
    labels: np.ndarray | None
    resize: bool
    label_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.places)

    def _decode(self, index: int) -> np.ndarray:
        return decode_image(io.BytesIO(_content(self.shards, self.places[index])), self.image_shape, resize=self.resize)

    def _where(self, index: int) -> str:
        return _where(self.shards, self.places[index])


def is_shards(path: Path) -> bool:
    """Whether a path is a pattern of tar files, or a tar file other than CIFAR-10's."""
    return path.suffix == ".tar" and (not path.exists() or not holds_cifar(path))


def open_shards(
    pattern: Path, part: Part = "train", *, size: int | None = None, strict: bool = False, on_bad: Report
) -> ShardSet:
    """A part of the images in shards, in the order of the shards and of their members.

    Args:
        pattern: A path with `{000..099}` or `{a,b}` for several, and `*` in its name for any.
        part: Nine images in ten, the tenth, or all.
        size: Side to which the shorter side is resized before the centre is cropped, in pixels.
        strict: A bad image is an error.
        on_bad: Told one line of each bad image.

    Raises:
        DataError: There is no shard or no image, a shard is broken, or images differ in size and no `size` is given.
    """
    with reading(pattern):
        index = read_index(tuple((path, path.stat().st_mtime_ns) for path in expand(pattern)))
    if not len(index.places):
        raise DataError(f"{pattern}: expected images ({', '.join(IMAGES)}), found none")
    kept = part_indices(len(index.places), part, pattern)
    return ShardSet(
        name=BRACES.sub("", pattern.stem).replace("*", "").strip("-_.") or "shards",
        image_shape=_image_shape(pattern, index, size),
        shards=index.shards,
        places=index.places[kept],
        labels=None if index.labels is None else index.labels[kept],
        resize=size is not None,
        report=refuse if strict else on_bad,
    )


def expand(pattern: Path) -> list[Path]:
    """The files that a pattern means, in its order.

    Raises:
        DataError: One is not there, there is none, or there are too many.
    """
    pieces = BRACES.split(str(pattern))
    choices = [list(_choices(piece, pattern)) if i % 2 else [piece] for i, piece in enumerate(pieces)]
    if math.prod(map(len, choices)) > MOST_SHARDS:
        raise DataError(f"{pattern}: expected at most {MOST_SHARDS:,} shards, found more")
    named = [Path("".join(words)) for words in itertools.product(*choices)]
    found = [path for name in named for path in (sorted(name.parent.glob(name.name)) if "*" in name.name else [name])]
    missing = next((path for path in found if not path.is_file()), None)
    if missing is not None or not found:
        raise DataError(f"{missing or pattern}: expected a shard, found no file there")
    return found


def _choices(braced: str, pattern: Path) -> Iterable[str]:
    """What stands for a pair of braces: `000..099` counts, with its zeros; `a,b` lists."""
    counted = re.fullmatch(r"(\d{1,9})\.\.(\d{1,9})", braced)
    if counted is None:
        return braced.split(",")
    first, last = counted.groups()
    if not int(first) <= int(last) < int(first) + MOST_SHARDS:
        raise DataError(f"{pattern}: expected up to {MOST_SHARDS:,} shards in {{{braced}}}, counted upwards")
    return (f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1))


def _image_shape(pattern: Path, index: Index, size: int | None) -> tuple[int, int, int]:
    """The (H, W, C) that a few images have in common; those that cannot be read have no say.

    Raises:
        DataError: There is no common size and none is given, or none can be read.
    """
    headers = []
    spaced = np.linspace(0, len(index.places) - 1, min(LOOKED_AT, len(index.places))).astype(int)
    for place in index.places[spaced]:
        try:
            headers.append(header(io.BytesIO(_content(index.shards, place))))
        except BadImageError:
            continue
    if not headers:
        raise DataError(f"{pattern}: expected images, found none that can be read among {len(spaced)}")
    channels = 1 if all(mode in GREY_MODES for mode, _ in headers) else 3
    if size is not None:
        return size, size, channels
    sizes = {size for _, size in headers}
    if len(sizes) > 1:
        found = " and ".join(f"{width}x{height}" for width, height in sorted(sizes)[:2])
        raise DataError(f"{pattern}: expected images of one size, found {found}: give a size to resize and crop to")
    ((width, height),) = sizes
    return height, width, channels


def _content(shards: tuple[Path, ...], place: np.ndarray) -> bytes:
    """The bytes of the image at a place.

    Raises:
        BadImageError: They can no longer be read.
    """
    shard, offset, size = map(int, place)
    try:
        with shards[shard].open("rb", buffering=0) as file:
            file.seek(offset)
            return file.read(size)
    except OSError as error:
        raise BadImageError(f"expected a readable file, found: {reason(error)}") from error


def _where(shards: tuple[Path, ...], place: np.ndarray) -> str:
    """The shard of a place and the name of the member there, or its offset where a name cannot be had."""
    shard, offset, _ = map(int, place)
    try:
        with shards[shard].open("rb") as file:
            file.seek(offset - tarfile.BLOCKSIZE)
            block = file.read(tarfile.BLOCKSIZE)
        return f"{shards[shard]}: {tarfile.TarInfo.frombuf(block, 'utf-8', 'replace').name}"
    except (OSError, tarfile.TarError):
        return f"{shards[shard]}: byte {offset}"
