import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from gen_export.data import cifar, open_data
from gen_export.errors import DataError
from tests.data.samples import pixels

RECORDS = 3


def batch(first_label: int) -> bytes:
    """Three records: a label, then planes of 10, 20 and 30, the first red the label and the next 99."""
    planes = np.repeat(np.array([10, 20, 30], np.uint8), 1024)
    records = np.tile(np.concatenate([[np.uint8(0)], planes]), (RECORDS, 1))
    records[:, 0] = records[:, 1] = (first_label + np.arange(RECORDS)) % 10
    records[:, 2] = 99
    return records.tobytes()


FILES = {name: batch(i) for i, name in enumerate((*cifar.FILES["train"], *cifar.FILES["test"]))}


@pytest.fixture(autouse=True)
def _few_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of three records instead of 10,000."""
    monkeypatch.setattr(cifar, "RECORDS", RECORDS)


def write_folder(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def write_archive(path: Path, files: dict[str, bytes], folder: str = cifar.FOLDER) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def source(tmp_path: Path, kind: str, files: dict[str, bytes]) -> Path:
    """The files as an archive or as its extracted folder."""
    if kind == "folder":
        return write_folder(tmp_path / cifar.FOLDER, files)
    return write_archive(tmp_path / "cifar-10-binary.tar.gz", files)


BOTH = pytest.mark.parametrize("kind", ["archive", "folder"])


@BOTH
def test_records_are_a_label_and_three_planes(tmp_path: Path, kind: str) -> None:
    images = open_data(source(tmp_path, kind, FILES), "train")

    assert (images.name, len(images), images.image_shape) == ("cifar10", 15, (32, 32, 3))
    assert images.labels is not None
    assert images.labels.tolist() == [0, 1, 2, 1, 2, 3, 2, 3, 4, 3, 4, 5, 4, 5, 6]
    assert images.label_names[3] == "cat"
    picture = images.images(np.array([4]))[0]
    assert picture[0, 0].tolist() == [2, 20, 30]
    assert picture[0, 1].tolist() == [99, 20, 30]
    assert picture[1, 0].tolist() == [10, 20, 30]
    assert picture[31, 31].tolist() == [10, 20, 30]


@BOTH
def test_the_test_part_is_the_test_batch(tmp_path: Path, kind: str) -> None:
    images = open_data(source(tmp_path, kind, FILES), "test")

    assert images.labels is not None
    assert images.labels.tolist() == [5, 6, 7]


@BOTH
@pytest.mark.parametrize(("change", "message"), [(-1, "truncated: expected 9,219 bytes"), (1, "more after them")])
def test_a_file_of_another_length_is_refused_by_name(tmp_path: Path, kind: str, change: int, message: str) -> None:
    content = FILES["data_batch_3.bin"]
    files = {**FILES, "data_batch_3.bin": content[:change] if change < 0 else content + b"x"}

    with pytest.raises(DataError, match=rf"data_batch_3\.bin: .*{message}"):
        open_data(source(tmp_path, kind, files))


@BOTH
def test_a_missing_file_is_named(tmp_path: Path, kind: str) -> None:
    files = {name: content for name, content in FILES.items() if name != "data_batch_5.bin"}

    with pytest.raises(DataError, match=r"data_batch_5\.bin"):
        open_data(source(tmp_path, kind, files))


def test_a_label_above_nine_is_refused(tmp_path: Path) -> None:
    files = {**FILES, "test_batch.bin": b"\x0a" + FILES["test_batch.bin"][1:]}

    with pytest.raises(DataError, match=r"expected labels in 0\.\.9, found 10"):
        open_data(source(tmp_path, "folder", files), "test")


def test_the_version_in_pickles_is_refused_without_reading_it(tmp_path: Path) -> None:
    pickled = {"data_batch_1": b"\x80\x04.", "test_batch": b"\x80\x04."}
    archive = write_archive(tmp_path / "cifar-10-python.tar.gz", pickled, "cifar-10-batches-py")
    folder = write_folder(tmp_path / "cifar-10-batches-py", pickled)

    for path in (archive, folder):
        with pytest.raises(
            DataError, match=r"binary version, cifar-10-binary\.tar\.gz, found its version in Python pickles"
        ):
            open_data(path)


def test_a_link_in_the_archive_is_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "links.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo(f"{cifar.FOLDER}/test_batch.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)

    with pytest.raises(DataError, match=r"expected the member cifar-10-batches-bin/test_batch\.bin, found none"):
        open_data(path, "test")


@pytest.mark.parametrize("content", [b"no archive", pixels(4000).tobytes()])
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(content)

    with pytest.raises(DataError, match=r"x\.tar\.gz: expected a readable file"):
        open_data(path)


def test_a_cut_archive_is_refused(tmp_path: Path) -> None:
    noise = {name: pixels(len(content), seed=i).tobytes() for i, (name, content) in enumerate(FILES.items())}
    path = source(tmp_path, "archive", noise)
    path.write_bytes(path.read_bytes()[:20_000])

    with pytest.raises(DataError, match=r"cifar-10-binary\.tar\.gz: expected a readable file, found: "):
        open_data(path)
