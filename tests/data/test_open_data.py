from pathlib import Path

import numpy as np
import pytest

from gen_export.data import SpriteSet, open_data
from gen_export.errors import DataError
from tests.data.samples import pixels


def test_a_missing_source_is_refused_with_what_is_known(tmp_path: Path) -> None:
    expected = "expected a file or folder, or one of sprites, cifar10, mnist, fashion-mnist, found nothing there"

    with pytest.raises(DataError, match=f"nope: {expected}"):
        open_data(tmp_path / "nope")


@pytest.mark.parametrize(("name", "found"), [("x.pkl", ".pkl"), ("x", "no suffix")])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, name: str, found: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04.")

    with pytest.raises(DataError, match=f"x.*: expected a folder, .* found {found}"):
        open_data(tmp_path / name)


def test_a_path_is_never_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert isinstance(open_data("sprites"), SpriteSet)
    with pytest.raises(DataError, match="sprites: expected a file or folder"):
        open_data(Path("sprites"))


@pytest.mark.parametrize("size", [0, -1])
def test_a_size_below_one_is_refused(size: int) -> None:
    with pytest.raises(DataError, match=f"expected a size of 1 to 4096 pixels, found {size}"):
        open_data("sprites", size=size)


def test_only_folders_of_images_are_resized(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", pixels(4, 8, 6))

    assert open_data("sprites", size=32).image_shape == (32, 32, 3)
    line = r"x\.npy: expected a size for images in a folder or shards only; these are 6x8"
    with pytest.raises(DataError, match=line):
        open_data(tmp_path / "x.npy", size=8)


def test_all_is_every_image_of_a_source_without_parts_of_its_own(tmp_path: Path) -> None:
    np.save(tmp_path / "set.npy", np.zeros((10, 4, 4), np.uint8))

    assert len(open_data(tmp_path / "set.npy", "all")) == 10


def test_all_of_a_source_with_parts_of_its_own_is_refused() -> None:
    with pytest.raises(DataError, match=r"sprites: expected train or test.*found all"):
        open_data("sprites", "all")
