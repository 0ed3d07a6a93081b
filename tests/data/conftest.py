"""What the tests of data share: small files of each format."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.data.samples import idx_bytes, pixels, save_image

SHARED_DATA = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """The folder of real data sets, beside the project's."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real data sets in {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture
def idx_folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes the four idx files of MNIST with 6 + 4 small images; `gz` compresses them."""

    def write(*, gz: bool = True, name: str = "digits") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for stem, n in (("train", 6), ("t10k", 4)):
            arrays = {"images-idx3": pixels(n, 5, 4, seed=n), "labels-idx1": np.arange(n, dtype=np.uint8)}
            for kind, array in arrays.items():
                content = idx_bytes(array)
                path = folder / f"{stem}-{kind}-ubyte{'.gz' if gz else ''}"
                path.write_bytes(gzip.compress(content) if gz else content)
        return folder

    return write


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """Twenty 8x6 PNGs, ten in `cats` and ten in `dogs`; red is an image's number, green its class."""
    for i in range(20):
        folder = tmp_path / "pets" / ("cats" if i < 10 else "dogs")
        folder.mkdir(parents=True, exist_ok=True)
        save_image(folder / f"{i:02}.png", (i, 100 * (i >= 10), 7))
    return tmp_path / "pets"
