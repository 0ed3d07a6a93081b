import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gen_export.data import open_data
from gen_export.errors import DataError
from tests.data.samples import idx_bytes, pixels

Write = Callable[..., Path]
IMAGES = "train-images-idx3-ubyte"
LABELS = "train-labels-idx1-ubyte"


def rewrite(folder: Path, name: str, content: bytes, *, gz: bool = True) -> None:
    """Puts other content in one of the folder's files."""
    if gz:
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    else:
        (folder / name).write_bytes(content)


@pytest.mark.parametrize("gz", [True, False])
def test_both_parts_are_read(idx_folder: Write, gz: bool) -> None:
    folder = idx_folder(gz=gz)
    for part, n in (("train", 6), ("test", 4)):
        images = open_data(folder, part)

        assert images.name == "digits"
        assert images.image_shape == (5, 4, 1)
        assert np.array_equal(images.images(np.arange(n))[..., 0], pixels(n, 5, 4, seed=n))
        assert images.labels is not None
        assert images.labels.tolist() == list(range(n))


@pytest.mark.parametrize(("name", "first"), [("Fashion-MNIST", "T-shirt/top"), ("mnist", "0")])
def test_the_folders_name_tells_the_classes(idx_folder: Write, name: str, first: str) -> None:
    assert open_data(idx_folder(name=name)).label_names[0] == first


def test_another_folders_classes_are_unknown(idx_folder: Write) -> None:
    assert open_data(idx_folder(name="kmnist")).label_names == ()


def test_a_folder_without_labels_is_unlabelled(idx_folder: Write) -> None:
    folder = idx_folder()
    (folder / f"{LABELS}.gz").unlink()

    assert open_data(folder).labels is None


def test_a_missing_part_is_named(idx_folder: Write) -> None:
    folder = idx_folder()
    (folder / "t10k-images-idx3-ubyte.gz").unlink()

    with pytest.raises(DataError, match=r"digits: expected t10k-images-idx3-ubyte or the same with \.gz"):
        open_data(folder, "test")


BROKEN = [
    pytest.param(
        idx_bytes(pixels(6, 5, 4))[:-1], "truncated: expected 120 bytes|136 bytes .*found 135", id="truncated"
    ),
    pytest.param(idx_bytes(pixels(6, 5, 4)) + b"x", "more after|136 bytes .*found 137", id="trailing"),
    pytest.param(idx_bytes(pixels(6, 5, 4), dtype=0x0D), "begins 00000803, found 00000d03", id="dtype"),
    pytest.param(idx_bytes(pixels(6, 5)), "begins 00000803, found 00000802", id="axes"),
    pytest.param(b"GIF89a" * 20, "begins 00000803, found 47494638", id="magic"),
    pytest.param(idx_bytes(pixels(6, 5, 4))[:9], "truncated: expected a header of 16 bytes, found 9", id="header"),
    pytest.param(b"", "begins 00000803, found $", id="empty"),
    pytest.param(idx_bytes(pixels(0, 5, 4)), r"at least one image or label, found \[0, 5, 4\]", id="none"),
]


@pytest.mark.parametrize("gz", [True, False])
@pytest.mark.parametrize(("content", "message"), BROKEN)
def test_a_broken_idx_file_is_refused_by_name(idx_folder: Write, content: bytes, message: str, gz: bool) -> None:
    folder = idx_folder(gz=gz)
    rewrite(folder, IMAGES, content, gz=gz)

    with pytest.raises(DataError, match=rf"{IMAGES}(\.gz)?: .*({message})") as raised:
        open_data(folder)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(idx_bytes(pixels(6, 5, 4)))[:-12], "readable file, found: Compressed file ended"),
        (b"not gzip at all", "readable file, found: Not a gzipped file"),
        (gzip.compress(idx_bytes(pixels(6, 5, 4)))[:30] + b"\xff" * 99, "readable file, found"),
    ],
)
def test_a_broken_gzip_stream_is_refused_by_name(idx_folder: Write, content: bytes, message: str) -> None:
    folder = idx_folder()
    (folder / f"{IMAGES}.gz").write_bytes(content)

    with pytest.raises(DataError, match=rf"{IMAGES}\.gz: expected a {message}"):
        open_data(folder)


def test_labels_of_another_number_are_refused(idx_folder: Write) -> None:
    folder = idx_folder()
    rewrite(folder, LABELS, idx_bytes(np.zeros(5, np.uint8)))

    with pytest.raises(DataError, match=rf"{LABELS}\.gz: expected 6 labels, one an image, found 5"):
        open_data(folder)


def test_a_header_that_promises_more_than_memory_is_refused_unread(idx_folder: Write) -> None:
    folder = idx_folder()
    rewrite(folder, IMAGES, bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**31, 2**10, 2**10))

    with pytest.raises(DataError, match=r"at most 8 GiB in memory, found 2097152\.0 GiB: prepare it as \.npy"):
        open_data(folder)


def test_a_gzip_bomb_is_read_one_byte_beyond_its_promise(idx_folder: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = idx_folder()
    rewrite(folder, IMAGES, idx_bytes(pixels(6, 5, 4)) + bytes(2**24))
    sizes = []
    read = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda self, n: sizes.append(n) or read(self, n))

    with pytest.raises(DataError, match="expected 120 bytes of data, found more after them"):
        open_data(folder)
    assert sum(sizes) <= 16 + 120 + 1


def test_fashion_mnist_is_read_whole(shared_data: Path) -> None:
    """The counts its authors publish: 60,000 + 10,000 images 28x28, each of ten classes equally often."""
    for part, n in (("train", 60_000), ("test", 10_000)):
        images = open_data(shared_data / "fashion_mnist", part)

        assert (len(images), images.image_shape) == (n, (28, 28, 1))
        assert images.labels is not None
        assert np.bincount(images.labels).tolist() == [n // 10] * 10
        assert images.label_names[int(images.labels[0])] == "Ankle boot"
