"""CIFAR-10's binary version, as the archive or as its extracted folder.

Each of the six files holds 10,000 records of one label byte and 3 x 32 x 32 colour planes.
The version in Python pickles is refused: unpickling a file can run any code in it.
"""

import tarfile
from pathlib import Path, PurePosixPath

import numpy as np

from gen_export.data.files import open_stream, read_exactly, reading
from gen_export.data.image_set import ArraySet, Part, official
from gen_export.errors import DataError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FOLDER = "cifar-10-batches-bin"
FILES = {"train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)), "test": ("test_batch.bin",)}
RECORDS = 10_000
RECORD_BYTES = 1 + 3 * 32 * 32
PICKLES = ("data_batch_1", "test_batch")


def is_cifar_folder(folder: Path) -> bool:
    """Whether a folder is an extracted CIFAR-10 archive, of either version."""
    return any((folder / name).is_file() for name in (*FILES["train"], *FILES["test"], *PICKLES))


def is_tar(path: Path) -> bool:
    """Whether a file's name is that of a tar archive."""
    return path.name.endswith((".tar", ".tar.gz", ".tgz"))


def open_cifar(path: Path, part: Part = "train") -> ArraySet:
    """The official part of CIFAR-10, uint8 [n, 32, 32, 3], read into memory.

    Raises:
        DataError: A file is missing or broken, or the source holds pickles.
    """
    names = FILES[official(part, path)]
    files = _read_folder(path, names) if path.is_dir() else _read_archive(path, names)
    records = np.concatenate([np.frombuffer(files[name], np.uint8) for name in names])
    records = records.reshape(-1, RECORD_BYTES)
    planes = records[:, 1:].reshape(-1, 3, 32, 32)
    return ArraySet("cifar10", planes.transpose(0, 2, 3, 1), records[:, 0], CLASSES, where=path)


def _read_folder(folder: Path, names: tuple[str, ...]) -> dict[str, bytearray]:
    """The contents of each file of an extracted folder."""
    if any((folder / name).is_file() for name in PICKLES):
        raise _pickles(folder)
    files = {}
    for name in names:
        path = folder / name
        with reading(path), path.open("rb") as stream:
            files[name] = read_exactly(stream, RECORDS * RECORD_BYTES, path)
    return files


def _read_archive(path: Path, names: tuple[str, ...]) -> dict[str, bytearray]:
    """The contents of each member, in one pass: going back would decompress everything again."""
    files: dict[str, bytearray] = {}
    with reading(path), open_stream(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            folder, name = PurePosixPath(member.name).parent.name, PurePosixPath(member.name).name
            if folder == "cifar-10-batches-py":
                raise _pickles(path)
            wanted = member.isfile() and folder == FOLDER and name in names
            if wanted and (content := archive.extractfile(member)) is not None:
                files[name] = read_exactly(content, RECORDS * RECORD_BYTES, f"{path}/{member.name}")
    for name in names:
        if name not in files:
            raise DataError(f"{path}: expected the member {FOLDER}/{name}, found none")
    return files


def _pickles(path: Path) -> DataError:
    found = "its version in Python pickles, which could run code"
    return DataError(f"{path}: expected CIFAR-10's binary version, cifar-10-binary.tar.gz, found {found}")
