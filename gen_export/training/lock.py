"""One training a folder: a lock that the operating system takes back however its holder ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from gen_export.errors import CheckpointError

FILE = "lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """While it lasts, no other process trains in the folder; it stays behind as an empty file.

    Raises:
        CheckpointError: Another one does, or the folder cannot be written to.
    """
    lock = FileLock(folder / FILE, blocking=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise CheckpointError(f"{folder}: expected no other training in it, found one that is running") from error
    except OSError as error:
        raise CheckpointError(f"{folder}: cannot be written to ({error.strerror or error})") from error
    try:
        yield
    finally:
        lock.release()
