"""Known sets fetched from their official places, verified by checksum and kept in a cache folder."""

import os
from dataclasses import dataclass
from pathlib import Path

from gen_export.errors import DataError

CACHE_VARIABLE = "GEN_EXPORT_CACHE"


@dataclass(frozen=True, slots=True)
class RemoteSet:
    """Files of one set on a server.

    Attributes:
        name: The set's name, and that of its folder in the cache.
        base_url: Where the files are; ends with a slash.
        md5: The checksum of each file, by name.
    """

    name: str
    base_url: str
    md5: dict[str, str]


CIFAR10 = RemoteSet(
    "cifar10",
    "https://www.cs.toronto.edu/~kriz/",
    {"cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530"},
)
MNIST = RemoteSet(
    "mnist",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    {
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    },
)
FASHION_MNIST = RemoteSet(
    "fashion-mnist",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    },
)


def fetch(remote: RemoteSet) -> Path:
    """The folder with the set's files, each downloaded unless it is there with the right checksum.

    Raises:
        DataError: pooch is missing, a file cannot be had, or it is not the one expected.
    """
    try:
        import pooch
    except ImportError as error:
        raise DataError(f"{remote.name}: downloading needs pooch: pip install 'gen-export[train]'") from error
    folder = Path(os.environ.get(CACHE_VARIABLE) or pooch.os_cache("gen-export")) / remote.name
    for file, md5 in remote.md5.items():
        url = remote.base_url + file
        try:
            pooch.retrieve(url, known_hash=f"md5:{md5}", fname=file, path=folder)
        except (OSError, ValueError) as error:
            raise DataError(_advice(url, error)) from error
    return folder


def _advice(url: str, error: Exception) -> str:
    """What went wrong and what to do instead; pooch raises ValueError for a wrong checksum."""
    cause = "another MD5 than published" if isinstance(error, ValueError) else type(error).__name__
    return f"{url}: expected a download, found {cause}: fetch it by hand and give its file or folder as the data"
