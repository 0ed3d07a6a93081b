import io
import re
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gen_export.data import Subset, open_data, split_indices
from gen_export.errors import DataError
from tests.data.samples import pixels


def npy_bytes(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def claimed(shape: tuple[int, ...], descr: str = "|u1") -> bytes:
    """An .npy header without the data it speaks of."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def outcome(path: Path) -> str:
    """`opened`, or why a file is refused."""
    try:
        open_data(path)
    except DataError as error:
        return str(error)
    return "opened"


def write_npz(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, content in members.items():
            archive.writestr(f"{key}.npy", content)
    return path


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(20, 5, 4), (20, 5, 4, 1), (20, 5, 4, 3)])
def test_an_npy_file_is_mapped_and_split(tmp_path: Path, shape: tuple[int, ...], order: str) -> None:
    array = pixels(*shape)
    np.save(tmp_path / "x.npy", np.asarray(array, order=order))  # pyright: ignore[reportArgumentType, reportCallIssue]
    for part, indices in zip(("train", "test"), split_indices(20), strict=True):
        images = open_data(tmp_path / "x.npy", part)  # pyright: ignore[reportArgumentType]

        assert images.name == "x"
        assert images.labels is None
        found = images.images(np.arange(len(images)))
        assert np.array_equal(found, array.reshape(20, 5, 4, -1)[indices])


def test_an_npy_file_is_not_read_into_memory(tmp_path: Path) -> None:
    """A sparse file of 64 GiB opens at once; its last image is where the file ends."""
    path = tmp_path / "huge.npy"
    header = claimed((2**16, 1024, 1024))
    with path.open("wb") as stream:
        stream.write(header)
        stream.truncate(len(header) + 2**36)
        stream.seek(-1, io.SEEK_END)
        stream.write(b"\x07")
    images = open_data(path, "train")

    assert isinstance(images, Subset)
    assert len(images) == 2**16 - round(2**16 / 10)
    assert images._base.images(np.array([2**16 - 1]))[0, -1, -1, 0] == 7


def test_labels_lie_beside_an_npy_file(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", pixels(20, 5, 4))
    np.save(tmp_path / "x.labels.npy", np.arange(20, dtype=np.int32))
    images = open_data(tmp_path / "x.npy", "test")

    assert images.labels is not None
    assert images.labels.dtype == np.int64
    assert np.array_equal(images.labels, split_indices(20)[1])


def test_labels_of_another_number_are_refused_by_name(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", pixels(20, 5, 4))
    np.save(tmp_path / "x.labels.npy", np.arange(19))

    with pytest.raises(
        DataError, match=r"x\.labels\.npy: expected one integer label an image, \[20\], found int64 \[19\]"
    ):
        open_data(tmp_path / "x.npy")


BROKEN = [
    pytest.param(npy_bytes(pixels(4, 5, 4))[:-1], r"expected 208 bytes for \[4, 5, 4\], found 207", id="truncated"),
    pytest.param(npy_bytes(pixels(4, 5, 4)) + b"x", r"expected 208 bytes .*, found 209", id="trailing"),
    pytest.param(b"", "expected a NumPy array, found: ", id="empty file"),
    pytest.param(b"\x93NUMPY\x01\x00\xff\xff{", "expected a NumPy array", id="cut header"),
    pytest.param(b"\x93NUMPY\x09\x00" + bytes(90), "expected a NumPy array", id="version"),
    pytest.param(npy_bytes(np.zeros((4, 5, 4))), r"expected uint8 images .* found float64 \[4, 5, 4\]", id="dtype"),
    pytest.param(npy_bytes(pixels(4, 5)), r"expected uint8 images .* found uint8 \[4, 5\]", id="axes"),
    pytest.param(npy_bytes(pixels(0, 5, 4)), "expected data, found an empty array", id="no images"),
    pytest.param(claimed((-2, -3, 4)), "expected data, found an empty array", id="negative"),
    pytest.param(claimed((4,), "|O"), "expected numbers or text, found objects", id="objects"),
    pytest.param(claimed((10**18,), "<U0"), "expected data, found an empty array", id="no bytes"),
]


@pytest.mark.parametrize(("content", "message"), BROKEN)
def test_a_broken_npy_file_is_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.npy").write_bytes(content)

    with pytest.raises(DataError, match=rf"x\.npy: .*{message}"):
        open_data(tmp_path / "x.npy")


def test_an_npz_file_has_its_own_parts(tmp_path: Path) -> None:
    parts = {"train": pixels(7, 5, 4, 3), "test": pixels(2, 5, 4, 3)}
    arrays = {f"{part}_x": x for part, x in parts.items()} | {
        f"{part}_y": np.arange(len(x)) for part, x in parts.items()
    }
    np.savez(tmp_path / "x.npz", **arrays, classes=np.array(list("abcdefg")))
    for part, x in parts.items():
        images = open_data(tmp_path / "x.npz", part)  # pyright: ignore[reportArgumentType]

        assert np.array_equal(images.images(np.arange(len(x))), x)
        assert images.labels is not None
        assert images.labels.tolist() == list(range(len(x)))
        assert images.label_names == tuple("abcdefg")


@pytest.mark.parametrize(("x", "y", "names"), [("x", "y", "classes"), ("images", "labels", "label_names")])
def test_an_npz_file_without_parts_is_split(tmp_path: Path, x: str, y: str, names: str) -> None:
    np.savez_compressed(
        tmp_path / "x.npz",
        **{x: np.asfortranarray(pixels(20, 5, 4)), y: np.arange(20) % 2, names: np.array(["a", "b"])},
    )
    images = open_data(tmp_path / "x.npz", "test")
    held_out = split_indices(20)[1]

    assert np.array_equal(images.images(np.arange(2))[..., 0], pixels(20, 5, 4)[held_out])
    assert images.labels is not None
    assert images.labels.tolist() == (held_out % 2).tolist()
    assert images.label_names == ("a", "b")


def test_labels_of_the_whole_do_not_label_a_part(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", train_x=pixels(4, 5, 4), y=np.arange(9))

    assert open_data(tmp_path / "x.npz").labels is None


BROKEN_MEMBERS = [
    pytest.param({"a": npy_bytes(pixels(3))}, r"expected train_x, x or images, found \['a'\]", id="other key"),
    pytest.param({}, r"expected train_x, x or images, found \[\]", id="no key"),
    pytest.param({"x": npy_bytes(pixels(4, 5, 4))[:-1]}, "/x: truncated: expected 80 bytes", id="truncated"),
    pytest.param({"x": npy_bytes(pixels(4, 5, 4)) + bytes(2**20)}, "/x: .*more after them", id="trailing"),
    pytest.param({"x": npy_bytes(pixels(4, 5))}, "/x: expected uint8 images", id="axes"),
    pytest.param(
        {"x": claimed((2**20, 512, 512))},
        r"/x: expected at most 8 GiB in memory, found 256\.0 GiB",
        id="bomb",
    ),
    pytest.param({"x": npy_bytes(pixels(4, 5, 4)), "y": claimed((4,), "|O")}, "/y: .*found objects", id="objects"),
    pytest.param({"x": npy_bytes(pixels(4, 5, 4)), "y": claimed((2**40,), "<i8")}, "/y: expected at most", id="labels"),
    pytest.param({"x": npy_bytes(pixels(4, 5, 4)), "y": npy_bytes(np.zeros(4))}, "integer label an image", id="floats"),
]


@pytest.mark.parametrize(("members", "message"), BROKEN_MEMBERS)
def test_a_broken_npz_file_is_refused_by_name(tmp_path: Path, members: dict[str, bytes], message: str) -> None:
    path = write_npz(tmp_path / "x.npz", **members)

    with pytest.raises(DataError, match=rf"x\.npz.*{message}"):
        open_data(path)


def test_a_zip_bomb_is_not_decompressed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen megabytes behind the header of eighty bytes: at most one byte too many is taken."""
    path = write_npz(tmp_path / "x.npz", x=npy_bytes(pixels(4, 5, 4)) + bytes(2**24))
    taken = []
    read = zipfile.ZipExtFile.read
    monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda self, n: taken.append(n) or read(self, n))

    with pytest.raises(DataError, match="more after them"):
        open_data(path)
    assert sum(taken) < 400


@pytest.mark.parametrize("content", [b"", b"no zip file", b"PK\x03\x04" + bytes(60)])
def test_a_file_that_is_no_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npz").write_bytes(content)

    with pytest.raises(DataError, match=r"x\.npz: expected a readable file"):
        open_data(tmp_path / "x.npz")


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    """The flag that says so is bit 0 at offset 6 of the local header and at offset 8 of the central one."""
    path = write_npz(tmp_path / "x.npz", x=npy_bytes(pixels(4, 5, 4)))
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        struct.pack_into("<H", content, content.index(signature) + offset, 1)
    path.write_bytes(content)

    with pytest.raises(DataError, match=r"x\.npz: expected a readable file, found: .*encrypted"):
        open_data(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(data=st.data(), kind=st.sampled_from(["x.npz", "x.npy"]))
def test_a_file_with_any_wrong_byte_opens_or_is_refused_in_one_line(
    tmp_path: Path, data: st.DataObject, kind: str
) -> None:
    path = tmp_path / kind
    x = npy_bytes(pixels(4, 5, 4))
    if kind == "x.npz":
        write_npz(path, x=x, y=npy_bytes(np.arange(4)), classes=npy_bytes(np.array(list("abcd"))))
        x = path.read_bytes()
    place = data.draw(st.integers(0, len(x) - 1))
    path.write_bytes(x[:place] + bytes([data.draw(st.integers(0, 255))]) + x[place + 1 :])

    assert outcome(path) == "opened" or re.fullmatch(rf"{path}.*: .*expected .*", outcome(path))


def test_real_images_are_read_from_npz(shared_data: Path) -> None:
    images = open_data(shared_data / "cifar10_9k_exact.npz", "test")

    assert (len(images), images.image_shape) == (1017, (32, 32, 3))
    assert images.labels is not None
    assert [images.label_names[label] for label in images.labels[:3]] == ["cat", "ship", "ship"]
