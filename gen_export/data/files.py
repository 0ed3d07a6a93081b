"""Reading files that may be broken or hostile: never more than promised, one line when something is wrong."""

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from gen_export.errors import DataError

MEMORY_LIMIT = 8 * 2**30
CHUNK = 2**20
# ValueError and RuntimeError are zipfile's, for offsets that cannot be and for encrypted members.
READER_ERRORS = (
    OSError, EOFError, ValueError, RuntimeError, zlib.error, zipfile.BadZipFile, tarfile.TarError,
)  # fmt: skip


class Stream(Protocol):
    """What bytes are read from: a file, a gzip stream or an archive's member."""

    def read(self, n_bytes: int, /) -> bytes:
        """The next `n_bytes`, or fewer."""
        ...


def open_stream(path: Path) -> BinaryIO | gzip.GzipFile:
    """A file to read from start to end, decompressed if its name says that it is gzipped."""
    return gzip.open(path) if path.suffix in (".gz", ".tgz") else path.open("rb")


@contextmanager
def reading(where: object) -> Iterator[None]:
    """Turns what Python's readers raise about broken files into one line that names the file.

    Raises:
        DataError: The file inside cannot be read, or is broken.
    """
    try:
        yield
    except READER_ERRORS as error:
        raise DataError(f"{where}: expected a readable file, found: {reason(error)}") from error


def reason(error: Exception) -> str:
    """What an exception says, in one line without the path, which the message already names."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())


def read_exactly(stream: Stream, n_bytes: int, where: object) -> bytearray:
    """The rest of a stream, which must be `n_bytes` long: at most one byte more is read.

    Raises:
        DataError: It is longer or shorter, or would not fit in memory.
    """
    check_memory(n_bytes, where)
    found = read_at_most(stream, n_bytes)
    if len(found) < n_bytes:
        raise DataError(f"{where}: truncated: expected {n_bytes:,} bytes of data, found {len(found):,}")
    if stream.read(1):
        raise DataError(f"{where}: expected {n_bytes:,} bytes of data, found more after them")
    return found


def read_at_most(stream: Stream, n_bytes: int) -> bytearray:
    """The next `n_bytes` of a stream, or fewer where it ends; memory grows with what is found."""
    found = bytearray()
    while chunk := stream.read(min(CHUNK, n_bytes - len(found))):
        found += chunk
    return found


def check_memory(n_bytes: int, where: object) -> None:
    """Refuses an array that would take more memory than `MEMORY_LIMIT`.

    Raises:
        DataError: It would.
    """
    if n_bytes > MEMORY_LIMIT:
        sizes = f"at most {MEMORY_LIMIT / 2**30:.0f} GiB in memory, found {n_bytes / 2**30:.1f} GiB"
        raise DataError(f"{where}: expected {sizes}: prepare it as .npy, which is read from disk as needed")
