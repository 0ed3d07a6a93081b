"""Upload to a model hub, in one commit: a reader never sees a half of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gen_export.errors import PushError

if TYPE_CHECKING:
    from huggingface_hub import HfApi


def upload(api: "HfApi", repository: str, files: Sequence[Path], private: bool = True) -> str:
    """Makes the repository if it is not there, and uploads the files into its root; returns its address.

    Args:
        api: The hub. It finds the user's token itself; no token passes through here.
        repository: `OWNER/NAME`.
        files: What to upload, each under its own name.
        private: Whether a new repository is private; one that is there stays as it is.

    Raises:
        PushError: The hub cannot be reached or refuses, or the name is malformed.
    """
    from huggingface_hub import CommitOperationAdd
    from huggingface_hub.errors import HTTPError  # of its HTTP library # pyright: ignore[reportPrivateImportUsage]

    try:
        address = api.create_repo(repository, private=private, exist_ok=True)
        additions = [CommitOperationAdd(path_in_repo=file.name, path_or_fileobj=file) for file in files]
        api.create_commit(repository, additions, commit_message=f"Upload {files[-1].name}")
    except (HTTPError, OSError, ValueError) as error:  # ValueError: a name that no repository can have
        raise PushError(f"{repository}: cannot be uploaded: {error}") from error
    return str(address)
