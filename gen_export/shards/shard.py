"""One shard: an uncompressed tar file of PNG images in order, in WebDataset's layout, whole or not there."""

import io
import os
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import repeat, zip_longest
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from PIL import Image as Picture

from gen_runtime import FileError
from gen_runtime.card import ImageShape
from gen_runtime.images import Image, png


def add_member(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """Adds a member that says nothing of when and where it was made."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


@dataclass(frozen=True, slots=True)
class Shard:
    """The file `seed7-000001000-000001999.tar`: of each image `<index>.png` and, where it has one, its `<index>.cls`.

    Its bytes follow from the pixels, the labels and zlib's release alone: no time, owner or machine is in them.

    Attributes:
        folder: Where it is.
        seed: The seed of its images.
        indices: Which images of the seed.
        size: The size of each.
        labels: Their classes; empty where they have none.
    """

    folder: Path
    seed: int
    indices: range
    size: ImageShape
    labels: tuple[int, ...] = ()

    @property
    def path(self) -> Path:
        """The file, named after its range."""
        return self.folder / f"seed{self.seed}-{self.indices[0]:09d}-{self.indices[-1]:09d}.tar"

    def is_whole(self) -> bool:
        """Whether the file is there, with every image and label readable and nothing else."""
        try:
            return self._holds_all(self.path)
        except OSError:
            return False

    def write(self, batches: Iterable[Image]) -> None:
        """Writes the images, uint8 [n, H, W, C] a batch: into a draft of its own, which is checked, then renamed.

        Others may write the same shard at once: each renames a whole file over an equal one.

        Raises:
            FileError: It cannot be written: a full disk, no permission; neither a broken file nor a draft is left.
        """
        draft = self.path.with_name(f"{self.path.name}.{uuid4().hex}.draft")
        try:
            try:
                self._fill(draft, batches)
                draft.replace(self.path)
            finally:
                draft.unlink(missing_ok=True)
        except OSError as error:
            if not self.is_whole():  # else another has written it, and swept this draft away
                raise FileError(f"{self.path}: cannot be written: {error.strerror or error}") from error
        self._sweep()

    def _fill(self, draft: Path, batches: Iterable[Image]) -> None:
        """Writes the draft down to the disk, and reads it again."""
        with draft.open("xb") as file:
            self._pack(file, batches)
            file.flush()
            os.fsync(file.fileno())
        if not self._holds_all(draft):
            raise FileError(f"{draft}: expected the images just written, found other bytes: is the disk failing?")

    def _pack(self, file: BinaryIO, batches: Iterable[Image]) -> None:
        """The archive of the images."""
        pictures = (png(image) for images in batches for image in images)
        with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for name, label in self._layout():
                add_member(archive, name, next(pictures) if label is None else label)

    def _layout(self) -> Iterator[tuple[str, bytes | None]]:
        """The files in it, in order: the name, and the content of one that holds a label."""
        for index, label in zip_longest(self.indices, self.labels):
            yield f"{index:09d}.png", None
            if label is not None:
                yield f"{index:09d}.cls", str(label).encode()

    def _holds_all(self, path: Path) -> bool:
        """Whether a file has this shard's files in order, each whole, and an end.

        Raises:
            OSError: It is not there, or cannot be read.
        """
        try:
            with tarfile.open(path, "r:") as archive:
                entries, names, labels = archive.getmembers(), *zip(*self._layout(), strict=True)
                if tuple(entry.name for entry in entries) != names:
                    return False
                if not all(map(self._is_sound, repeat(archive), entries, labels)):
                    return False
        except tarfile.TarError:
            return False
        blocks = sum(1 + -(-entry.size // tarfile.BLOCKSIZE) for entry in entries) + 2  # two empty ones end it
        return path.stat().st_size == -(-blocks * tarfile.BLOCKSIZE // tarfile.RECORDSIZE) * tarfile.RECORDSIZE

    def _is_sound(self, archive: tarfile.TarFile, entry: tarfile.TarInfo, label: bytes | None) -> bool:
        """Whether an entry is the label, or a picture of the right size with its checksums."""
        file = archive.extractfile(entry)
        content = b"" if file is None else file.read()
        if label is not None:
            return content == label
        try:
            with Picture.open(io.BytesIO(content), formats=["PNG"]) as picture:
                picture.verify()
                return picture.size == (self.size.width, self.size.height)
        except (OSError, SyntaxError):  # what Pillow raises for a picture that is none, and for a wrong checksum
            return False

    def _sweep(self) -> None:
        """Removes drafts of this shard that workers which were killed have left."""
        for draft in self.folder.glob(f"{self.path.name}.*.draft"):
            with suppress(OSError):  # another sweeps as well, or holds it open on a system that minds
                draft.unlink()
