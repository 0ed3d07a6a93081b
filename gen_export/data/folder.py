"""Folders of image files, streamed: an image is decoded when it is asked for.

A file whose header is no image's is reported and left out at opening.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gen_export.data.decode import FORMATS, GREY_MODES, BadImageError, ImageFile, checked_file, decode_image
from gen_export.data.decoded_set import DecodedSet, Report, refuse
from gen_export.data.files import reading
from gen_export.data.image_set import Part, part_indices
from gen_export.errors import DataError


def open_folder(
    root: Path,
    part: Part = "train",
    *,
    size: int | None = None,
    strict: bool = False,
    on_bad: Report,
) -> "FolderSet":
    """A part of the images in a folder and below, in the order of their names.

    They are RGB unless all are grey, and labelled when each lies in a sub-folder: its class. Hidden files
    are skipped; what is no image, or a link that leads outside, is a bad image.

    Args:
        root: The folder.
        part: Nine images in ten, the tenth, or all.
        size: Side to which the shorter side is resized before the centre is cropped, in pixels.
        strict: A bad image is an error.
        on_bad: Told one line of each bad image.

    Raises:
        DataError: There is no image, they differ in size and no `size` is given, or one is bad and `strict`.
    """
    report = refuse if strict else on_bad
    files = _good_files(root, report)
    if not files:
        raise DataError(f"{root}: expected images ({', '.join(FORMATS)}), found none")
    labels, names = _labels(root, files)
    kept = part_indices(len(files), part, root)
    return FolderSet(
        name=root.resolve().name,
        image_shape=_image_shape(root, files, size),
        paths=[files[i].path for i in kept],
        labels=None if labels is None else labels[kept],
        label_names=names,
        resize=size is not None,
        report=report,
    )


@dataclass(eq=False)
class FolderSet(DecodedSet):
    """Image files that are decoded on demand: what `open_folder` returns."""

    name: str
    image_shape: tuple[int, int, int]
    paths: list[Path]
    labels: np.ndarray | None
    label_names: tuple[str, ...]
    resize: bool

    def __len__(self) -> int:
        return len(self.paths)

    def _decode(self, index: int) -> np.ndarray:
        return decode_image(self.paths[index], self.image_shape, resize=self.resize)

    def _where(self, index: int) -> str:
        return str(self.paths[index])


def _good_files(root: Path, report: Report) -> list[ImageFile]:
    """The files below a folder with the header of an image."""
    files = []
    with reading(root):
        for path in _walk(root):
            try:
                files.append(checked_file(path, root.resolve()))
            except BadImageError as error:
                report(f"{path}: {error}")
    return files


def _walk(folder: Path) -> Iterator[Path]:
    """The files below a folder in the order of their names, without the hidden ones; no link is followed."""
    with os.scandir(folder) as entries:
        visible = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda e: e.name)
    for entry in visible:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))
        else:
            yield Path(entry.path)


def _image_shape(root: Path, files: list[ImageFile], size: int | None) -> tuple[int, int, int]:
    """The common (H, W, C).

    Raises:
        DataError: There is no common size, and none is given.
    """
    channels = 1 if all(file.mode in GREY_MODES for file in files) else 3
    if size is not None:
        return size, size, channels
    width, height = files[0].size
    other = next((file for file in files if file.size != (width, height)), None)
    if other is not None:
        found = f"{width}x{height} ({files[0].path.name}) and {other.size[0]}x{other.size[1]} ({other.path.name})"
        raise DataError(f"{root}: expected images of one size, found {found}: give a size to resize and crop to")
    return height, width, channels


def _labels(root: Path, files: list[ImageFile]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """The index of each file's immediate sub-folder, and their names; None and () if a file lies in none."""
    parts = [file.path.relative_to(root).parts for file in files]
    if any(len(p) == 1 for p in parts):
        return None, ()
    names, labels = np.unique([p[0] for p in parts], return_inverse=True)
    return labels.astype(np.int64), tuple(str(name) for name in names)
