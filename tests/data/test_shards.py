"""Shards: tar files of images, read in place."""

import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gen_export.data import open_data, split_indices
from gen_export.data.shards import expand
from gen_export.data.write_shards import write_shards
from gen_export.errors import DataError


def encoded(number: int, size: tuple[int, int] = (8, 6), mode: str = "RGB", kind: str = "PNG") -> bytes:
    """An image whose red, or grey, is its number."""
    file = io.BytesIO()
    colour = number if mode == "L" else (number, 7, 9)
    Image.new(mode, size, colour).save(file, kind)  # pyright: ignore[reportArgumentType]
    return file.getvalue()


def write_tar(path: Path, members: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Four shards of five images with their classes, and members that are none of our business."""
    for shard in range(4):
        members = {"notes.txt": b"hello", "weights.pyd": b"\x80\x04."}
        for i in range(5 * shard, 5 * shard + 5):
            members |= {f"pets/{i:04}.png": encoded(i), f"pets/{i:04}.cls": str(i % 3).encode()}
        write_tar(tmp_path / f"pets-{shard:02}.tar", members)
    return tmp_path / "pets-{00..03}.tar"


def numbers(images) -> list[int]:
    return images.images(np.arange(len(images)))[:, 0, 0, 0].tolist()


def test_images_come_in_the_order_of_the_shards_in_two_parts_with_their_classes(shards):
    parts = open_data(shards), open_data(shards, "test")

    for images, kept in zip(parts, split_indices(20), strict=True):
        assert images.name == "pets"
        assert images.image_shape == (6, 8, 3)
        assert numbers(images) == kept.tolist()
        assert images.labels is not None
        assert images.labels.tolist() == (kept % 3).tolist()


def test_any_image_is_read_by_its_index(shards):
    images = open_data(shards, "all")
    order = np.random.default_rng(0).permutation(20)

    assert images.images(order)[:, 0, 0, 0].tolist() == order.tolist()


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("pets-{00..03}.tar", [0, 1, 2, 3]),
        ("pets-{01..02}.tar", [1, 2]),
        ("pets-0{3,1}.tar", [3, 1]),
        ("pets-*.tar", [0, 1, 2, 3]),
        ("pets-{0}{2..2}.tar", [2]),
        ("pets-01.tar", [1]),
    ],
)
def test_a_pattern_means_its_files_in_its_order(shards, pattern, found):
    assert expand(shards.with_name(pattern)) == [shards.with_name(f"pets-{i:02}.tar") for i in found]
    assert len(open_data(shards.with_name(pattern), "all")) == 5 * len(found)


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        ("pets-{00..04}.tar", r"pets-04\.tar: expected a shard, found no file there"),
        ("dogs-*.tar", r"dogs-\*\.tar: expected a shard, found no file there"),
        ("pets-{03..00}.tar", "expected up to 100,000 shards in {03..00}, counted upwards"),
        ("{0..99999}-{0..99999}.tar", "expected at most 100,000 shards, found more"),
    ],
)
def test_a_pattern_of_what_is_not_there_is_one_line(shards, pattern, line):
    with pytest.raises(DataError, match=line):
        open_data(shards.with_name(pattern))


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_tar_format_is_read_with_its_long_names(tmp_path, form):
    deep = "/".join(["d" * 40] * (3 if form == tarfile.USTAR_FORMAT else 9))
    path = write_tar(tmp_path / "deep.tar", {f"{deep}/{i}.jpg": encoded(i, kind="JPEG") for i in range(3)}, form)

    assert len(open_data(path, "all")) == 3


def test_json_may_hold_the_class(tmp_path):
    members = {}
    for i in range(4):
        members |= {f"{i}.json": json.dumps({"label": i // 2, "by": "me"}).encode(), f"{i}.png": encoded(i)}
    labels = open_data(write_tar(tmp_path / "a.tar", members), "all").labels

    assert labels is not None
    assert labels.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("missing", ["2.cls", "0.cls"])
def test_a_sample_without_a_class_leaves_the_set_unlabelled(tmp_path, missing):
    members = {f"{i}.{ending}": encoded(i) if ending == "png" else b"1" for i in range(3) for ending in ("png", "cls")}
    del members[missing]

    assert open_data(write_tar(tmp_path / "a.tar", members), "all").labels is None


@pytest.mark.parametrize(
    ("name", "content"), [("0.cls", b"cat"), ("0.cls", b"-1"), ("0.json", b"{"), ("0.json", b"[" * 60_000)]
)
def test_a_class_that_is_none_is_refused_by_name(tmp_path, name, content):
    path = write_tar(tmp_path / "a.tar", {"0.png": encoded(0), name: content})

    with pytest.raises(DataError, match=r"a\.tar: .*expected (a class|labels from 0), found") as caught:
        open_data(path, "all")
    assert "\n" not in str(caught.value)


def test_a_bad_image_is_told_by_its_shard_and_name_and_another_stands_in(shards):
    path = shards.with_name("pets-00.tar")
    with tarfile.open(path) as archive:
        offset = archive.getmember("pets/0003.png").offset_data
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"not a picture")
    bad: list[str] = []
    images = open_data(shards, "all", on_bad=bad.append)

    assert numbers(images)[:5] == [0, 1, 2, 6, 4]  # the next of its class
    assert bad == [f"{path}: pets/0003.png: expected an image, found no known image format"]
    with pytest.raises(DataError, match=r"pets/0003\.png"):
        numbers(open_data(shards, "all", strict=True))


def test_a_shard_that_vanishes_is_told_and_others_stand_in(shards):
    bad: list[str] = []
    images = open_data(shards, "all", on_bad=bad.append)
    shards.with_name("pets-01.tar").unlink()

    assert set(numbers(images)) == {*range(5), *range(10, 20)}
    assert len(bad) == 5
    assert "No such file" in bad[0]


@pytest.mark.parametrize("cut", [1, 700, 3000])
def test_a_shard_that_is_cut_short_is_an_error(shards, cut):
    path = shards.with_name("pets-02.tar")
    with tarfile.open(path) as archive:
        end = archive.getmembers()[-1].offset_data + 1
    os.truncate(path, end - cut)

    with pytest.raises(DataError, match=r"pets-02\.tar: expected"):
        open_data(shards)


def test_nonsense_after_a_member_is_not_taken_for_the_end(shards):
    path = shards.with_name("pets-02.tar")
    with tarfile.open(path) as archive:
        offset = archive.getmembers()[4].offset
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"nonsense" * 64)

    with pytest.raises(
        DataError, match=r"pets-02\.tar: expected the end of the archive at byte .*, found other contents"
    ):
        open_data(shards)


def test_members_beyond_the_limits_are_refused_before_they_are_read(tmp_path):
    """A header may promise terabytes, and an extended header too: neither is allocated."""
    promised = tarfile.TarInfo("0.cls")
    promised.size = 2**40
    (tmp_path / "a.tar").write_bytes(promised.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with pytest.raises(DataError, match=r"a\.tar: 0\.cls: expected at most 32 bytes, found 1,099,511,627,776"):
        open_data(tmp_path / "a.tar")

    extended = tarfile.TarInfo("x")
    extended.type, extended.size = tarfile.XHDTYPE, 2**30
    (tmp_path / "b.tar").write_bytes(write_tar(tmp_path / "c.tar", {"0.txt": b""}).read_bytes()[:512])
    with (tmp_path / "b.tar").open("ab") as file:
        file.write(extended.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with pytest.raises(DataError, match=r"b\.tar: expected a readable file, found: a header of 1,073,741,824 bytes"):
        open_data(tmp_path / "b.tar")


def test_links_and_devices_are_no_images(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in (("0.png", tarfile.SYMTYPE), ("1.png", tarfile.LNKTYPE), ("2.png", tarfile.CHRTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)

    with pytest.raises(DataError, match=r"a\.tar: expected images \(png, .*\), found none"):
        open_data(tmp_path / "a.tar")


def test_images_of_several_sizes_need_one(tmp_path):
    path = write_tar(tmp_path / "a.tar", {"0.png": encoded(0), "1.png": encoded(1, (9, 9))})

    with pytest.raises(DataError, match="expected images of one size, found 8x6 and 9x9: give a size"):
        open_data(path)
    assert open_data(path, "all", size=4).images(np.arange(2)).shape == (2, 4, 4, 3)


@pytest.mark.parametrize(("modes", "channels"), [("L", 1), ("L RGB", 3)])
def test_a_set_is_grey_where_all_images_are(tmp_path, modes, channels):
    members = {f"{i}.png": encoded(i, mode=mode) for i, mode in enumerate(modes.split())}

    assert open_data(write_tar(tmp_path / "a.tar", members), "all").image_shape == (6, 8, channels)


def test_a_changed_shard_is_indexed_again(tmp_path):
    path = write_tar(tmp_path / "a.tar", {"0.png": encoded(0)})
    before = open_data(path, "all")
    os.utime(write_tar(path, {"0.png": encoded(5), "1.png": encoded(6)}), ns=(1, 1))

    assert (len(before), numbers(open_data(path, "all"))) == (1, [5, 6])


def test_what_is_written_is_read_again(image_folder, tmp_path):
    images, told = open_data(image_folder, "all"), []
    paths = write_shards(images, tmp_path / "out", 8, told.append)
    again = open_data(tmp_path / "out" / "shard-{000000..000002}.tar", "all")

    assert [path.name for path in paths] == ["shard-000000.tar", "shard-000001.tar", "shard-000002.tar"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [path.name for path in paths]
    assert sum(told) == len(again) == 20
    assert np.array_equal(again.images(np.arange(20)), images.images(np.arange(20)))
    assert again.labels is not None
    assert np.array_equal(again.labels, images.labels)
    with pytest.raises(DataError, match="expected a folder without shards, found some"):
        write_shards(images, tmp_path / "out", 8, told.append)
