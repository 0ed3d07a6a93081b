from pathlib import Path

import numpy as np
import pytest

from gen_export.data import ArraySet, Subset, open_data, prepare
from gen_export.data.prepare import write_npy
from gen_export.errors import DataError
from tests.data.samples import break_picture, pixels


def ignore(n_images: int) -> None:
    """Progress that nobody watches."""


def test_images_and_labels_are_written_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "CHUNK", 7)
    progress: list[int] = []
    images = ArraySet("x", pixels(20, 5, 4), np.arange(20))
    n = write_npy(images, tmp_path / "new" / "x.npy", progress.append)

    assert n == 20
    assert progress == [7, 7, 6]
    assert np.array_equal(np.load(tmp_path / "new" / "x.npy"), pixels(20, 5, 4)[..., None])
    assert np.load(tmp_path / "new" / "x.labels.npy").tolist() == list(range(20))
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["x.labels.npy", "x.npy"]


def test_what_is_written_opens_again(tmp_path: Path) -> None:
    images = open_data("sprites", "test")
    write_npy(images, tmp_path / "x.npy", ignore)
    again = open_data(tmp_path / "x.npy")

    assert isinstance(again, Subset)
    assert again._base.fingerprint() == images.fingerprint()


def test_bad_images_are_left_out_with_their_labels(image_folder: Path, tmp_path: Path) -> None:
    images = open_data(image_folder, on_bad=lambda line: None)
    expected = images.images(np.arange(18))
    assert images.labels is not None
    for i in (0, 11):
        break_picture(sorted(image_folder.glob("*/*.png"))[int(expected[i, 0, 0, 0])])
    n = write_npy(images, tmp_path / "x.npy", ignore)

    assert n == 16
    assert np.array_equal(np.load(tmp_path / "x.npy"), np.delete(expected, [0, 11], axis=0))
    assert np.array_equal(np.load(tmp_path / "x.labels.npy"), np.delete(images.labels, [0, 11]))


def test_the_labels_of_an_earlier_set_do_not_stay(tmp_path: Path) -> None:
    write_npy(ArraySet("x", pixels(4, 5, 4), np.arange(4)), tmp_path / "x.npy", ignore)
    write_npy(ArraySet("x", pixels(4, 5, 4)), tmp_path / "x.npy", ignore)

    assert not (tmp_path / "x.labels.npy").exists()


def test_a_failure_leaves_what_was_there(image_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(b"before")
    images = open_data(image_folder, on_bad=lambda line: None)
    for path in image_folder.glob("*/*.png"):
        break_picture(path)

    with pytest.raises(DataError, match="pets: expected images that can be read, found none in 18"):
        write_npy(images, tmp_path / "x.npy", ignore)
    assert (tmp_path / "x.npy").read_bytes() == b"before"
    assert not list(tmp_path.glob("*.draft"))


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x\.npz: expected a file name that ends in \.npy"):
        write_npy(ArraySet("x", pixels(4, 5, 4)), tmp_path / "x.npz", ignore)


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")

    with pytest.raises(DataError, match=r"file/x\.npy: cannot be written"):
        write_npy(ArraySet("x", pixels(4, 5, 4)), tmp_path / "file" / "x.npy", ignore)
