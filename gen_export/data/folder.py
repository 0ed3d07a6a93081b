"""Folders of image files, streamed: an image is decoded when it is asked for.

A file whose header is no image's is reported and left out at opening. One that turns out broken when it is
decoded is reported, and the next good image of its class stands in for it, so that the set keeps its length.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gen_export.data.decode import FORMATS, BadImageError, ImageFile, checked_file, decode_image
from gen_export.data.files import reading
from gen_export.data.image_set import ImageSet, Part, part_indices
from gen_export.errors import DataError

GREY_MODES = ("1", "L")
WORKERS = min(8, os.cpu_count() or 1)


def open_folder(
    root: Path,
    part: Part = "train",
    *,
    size: int | None = None,
    strict: bool = False,
    on_bad: Callable[[str], None],
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
    report = _refuse if strict else on_bad
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
class FolderSet(ImageSet):
    """Image files that are decoded on demand by a few threads: what `open_folder` returns."""

    name: str
    image_shape: tuple[int, int, int]
    paths: list[Path]
    labels: np.ndarray | None
    label_names: tuple[str, ...]
    resize: bool
    report: Callable[[str], None]
    _broken: set[int] = field(default_factory=set, init=False)

    def __len__(self) -> int:
        return len(self.paths)

    def readable(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The images at `indices` that can be decoded, uint8 [m, H, W, C], and which they are, bool [k]."""
        decoded = self._decode_all(self._checked(indices))
        return self._stack([x for x in decoded if x is not None]), np.array([x is not None for x in decoded], bool)

    def _read(self, indices: np.ndarray) -> np.ndarray:
        decoded = zip(indices, self._decode_all(indices), strict=True)
        return self._stack([self._stand_in(int(i)) if x is None else x for i, x in decoded])

    def _stack(self, images: list[np.ndarray]) -> np.ndarray:
        return np.array(images, np.uint8).reshape(-1, *self.image_shape)

    def _decode_all(self, indices: np.ndarray) -> list[np.ndarray | None]:
        """Each image, or None where it is broken; reported here, in order and by the calling thread."""
        with ThreadPoolExecutor(WORKERS) as pool:
            decoded = zip(indices, pool.map(self._decode, indices), strict=True)
            return [self._good(int(i), x) for i, x in decoded]

    def _decode(self, index: int) -> np.ndarray | BadImageError | None:
        if index in self._broken:
            return None
        try:
            return decode_image(self.paths[index], self.image_shape, resize=self.resize)
        except BadImageError as error:
            return error

    def _good(self, index: int, decoded: np.ndarray | BadImageError | None) -> np.ndarray | None:
        """The image itself; None for a broken one, reported when it is met first."""
        if not isinstance(decoded, BadImageError):
            return decoded
        if index not in self._broken:
            self._broken.add(index)
            self.report(f"{self.paths[index]}: {decoded}")
        return None

    def _stand_in(self, index: int) -> np.ndarray:
        """The next good image after a broken one: of its class if there is one, else of any."""
        following = (index + np.arange(1, len(self))) % len(self)
        if self.labels is not None:
            other_class = self.labels[following] != self.labels[index]
            following = following[np.argsort(other_class, kind="stable")]
        for candidate in following:
            image = self._good(int(candidate), self._decode(int(candidate)))
            if image is not None:
                return image
        raise DataError(f"{self.name}: expected an image that can be decoded, found none in {len(self)} files")


def _refuse(line: str) -> None:
    raise DataError(line)


def _good_files(root: Path, report: Callable[[str], None]) -> list[ImageFile]:
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
