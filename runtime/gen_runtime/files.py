"""Files that are whole or not there: write a draft beside the target, then rename it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from gen_runtime.errors import FileError


@contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Opens `<path>.draft` for writing, makes its folders, and renames it to `path` on success.

    What is no regular file, a device or a pipe, is written as it is.

    Raises:
        FileError: It cannot be written; what was at `path` before is still there, and no draft is.
    """
    target = Path(path)
    draft = target.with_name(target.name + ".draft")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and not target.is_file():  # /dev/stdout, a pipe: a rename would replace it; a folder says so
            with target.open("wb") as file:
                yield file
            return
        with _removed_on_error(draft), draft.open("wb") as file:
            yield file
        draft.replace(target)
    except OSError as error:
        raise FileError(f"{target}: cannot be written: {error.strerror or error}") from error


@contextmanager
def _removed_on_error(draft: Path) -> Iterator[None]:
    """Removes the draft when its body fails."""
    try:
        yield
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
