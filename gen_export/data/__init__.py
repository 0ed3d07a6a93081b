"""Images to train on: built-in sets, known formats and folders behind one interface, `ImageSet`.

NumPy and Pillow only; nothing here is ever unpickled.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from gen_export.data.arrays import open_npy, open_npz
from gen_export.data.batches import batch_indices
from gen_export.data.cifar import is_cifar_folder, is_tar, open_cifar
from gen_export.data.download import CIFAR10, FASHION_MNIST, MNIST, fetch
from gen_export.data.folder import open_folder
from gen_export.data.idx import is_idx_folder, open_idx
from gen_export.data.image_set import ArraySet, ImageSet, Part, Subset, official, split_indices
from gen_export.data.shards import is_shards, open_shards
from gen_export.data.sprites import SpriteFactors, SpriteSet, render_sprites, sprite_factors
from gen_export.errors import DataError

__all__ = [
    "NAMES",
    "ArraySet",
    "ImageSet",
    "SpriteFactors",
    "SpriteSet",
    "Subset",
    "batch_indices",
    "open_data",
    "render_sprites",
    "split_indices",
    "sprite_factors",
]

NAMES = ("sprites", "cifar10", "mnist", "fashion-mnist")
LARGEST_SIDE = 4096
SPRITES = {"train": 20_000, "test": 2_000}


def _report(line: str) -> None:
    """Tells of a bad image on the standard error stream."""
    print(f"bad image: {line}", file=sys.stderr)


def open_data(
    source: str | Path,
    part: Part = "train",
    *,
    size: int | None = None,
    strict: bool = False,
    on_bad: Callable[[str], None] = _report,
) -> ImageSet:
    """A part of a source of images.

    The part is the official one where the source has one; else nine images in ten, drawn by a fixed seed, the
    tenth, or all.

    Args:
        source: One of `NAMES`, or the path of a folder of idx files, CIFAR-10's binary archive or its folder,
            an `.npy` or `.npz` file, shards such as `photos-{000..099}.tar`, or a folder of images. A `Path` is
            never a name.
        part: The train or the test images; all of them where the source has no parts of its own.
        size: For folders and shards: side in pixels to resize and crop to; images of one size need none.
        strict: For folders and shards: a bad image is an error.
        on_bad: For folders and shards: told one line of each bad image.

    Raises:
        DataError: The source is missing, broken, empty or of no known format, or `size` does not apply to it.
    """
    if size is not None and not 1 <= size <= LARGEST_SIDE:
        raise DataError(f"{source}: expected a size of 1 to {LARGEST_SIDE} pixels, found {size}")
    path = Path(source)
    if source in NAMES:
        images = _open_named(str(source), part)
    elif path.is_dir() and not is_idx_folder(path) and not is_cifar_folder(path):
        return open_folder(path, part, size=size, strict=strict, on_bad=on_bad)
    elif is_shards(path):
        return open_shards(path, part, size=size, strict=strict, on_bad=on_bad)
    else:
        images = _open_path(path, part)
    if size is not None and images.image_shape[:2] != (size, size):
        height, width, _ = images.image_shape
        raise DataError(f"{source}: expected a size for images in a folder or shards only; these are {width}x{height}")
    return images


def _open_named(name: str, part: Part) -> ImageSet:
    """A built-in or downloaded set."""
    if name == "sprites":
        return SpriteSet(SPRITES[official(part, name)], first=0 if part == "train" else SPRITES["train"])
    if name == "cifar10":
        return open_cifar(fetch(CIFAR10) / "cifar-10-binary.tar.gz", part)
    return open_idx(fetch(MNIST if name == "mnist" else FASHION_MNIST), part)


def _open_path(path: Path, part: Part) -> ImageSet:
    """A file or folder of a known format other than images."""
    if not path.exists():
        raise DataError(f"{path}: expected a file or folder, or one of {', '.join(NAMES)}, found nothing there")
    if path.is_dir():
        return open_idx(path, part) if is_idx_folder(path) else open_cifar(path, part)
    if is_tar(path):
        return open_cifar(path, part)
    openers = {".npy": open_npy, ".npz": open_npz}
    if path.suffix not in openers:
        expected = "a folder, .npy, .npz, .tar or CIFAR-10's .tar.gz"
        raise DataError(f"{path}: expected {expected}, found {path.suffix or 'no suffix'}")
    return openers[path.suffix](path, part)
