import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gen_export.data import ImageSet, open_data, split_indices
from gen_export.errors import DataError
from tests.data.samples import break_picture, pixels, save_image

TRAIN, TEST = split_indices(20)


def numbers(images: ImageSet) -> list[int]:
    """The red of each image, which is its number."""
    return images.images(np.arange(len(images)))[:, 0, 0, 0].tolist()


def one_image(folder: Path, name: str = "one.png", **open_options: int) -> np.ndarray:
    """The only picture of a folder."""
    images = open_data(folder, **open_options)  # pyright: ignore[reportArgumentType]
    assert len(images) == 1, name
    return images.images(np.array([0]))[0]


def test_images_come_in_the_order_of_their_names_in_two_parts(image_folder: Path) -> None:
    train, test = open_data(image_folder, "train"), open_data(image_folder, "test")

    assert train.name == "pets"
    assert train.image_shape == (6, 8, 3)
    assert numbers(train) == TRAIN.tolist()
    assert numbers(test) == TEST.tolist()


def test_sub_folders_are_the_classes(image_folder: Path) -> None:
    train = open_data(image_folder)

    assert train.label_names == ("cats", "dogs")
    assert train.labels is not None
    assert train.labels.tolist() == (TRAIN >= 10).astype(int).tolist()
    assert np.array_equal(train.images(np.arange(18))[:, 0, 0, 1], 100 * train.labels)


def test_a_deeper_folder_belongs_to_the_class_above_it(image_folder: Path) -> None:
    (image_folder / "cats" / "black").mkdir()
    (image_folder / "cats" / "03.png").rename(image_folder / "cats" / "black" / "03.png")

    assert open_data(image_folder).label_names == ("cats", "dogs")


def test_an_image_outside_the_sub_folders_leaves_the_set_unlabelled(image_folder: Path) -> None:
    save_image(image_folder / "stray.png", (0, 0, 0))
    images = open_data(image_folder)

    assert images.labels is None
    assert images.label_names == ()


def test_hidden_files_are_skipped(image_folder: Path) -> None:
    (image_folder / ".cache").mkdir()
    (image_folder / ".cache" / "x.png").write_bytes(b"")
    (image_folder / "cats" / ".DS_Store").write_bytes(b"")

    assert len(open_data(image_folder, strict=True)) == 18


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("notes.txt", b"hello", "expected an image, found no known image format"),
        ("empty.png", b"", "expected an image, found no known image format"),
        ("cut.png", b"\x89PNG\r\n\x1a\n\0\0", "expected an image, found "),
        (
            "art.eps",
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
            "expected an image, found no known",
        ),
    ],
)
def test_a_file_that_is_no_image_is_reported_and_left_out(
    image_folder: Path, name: str, content: bytes, cause: str
) -> None:
    (image_folder / "cats" / name).write_bytes(content)
    bad: list[str] = []
    images = open_data(image_folder, on_bad=bad.append)

    assert numbers(images) == TRAIN.tolist()
    assert len(bad) == 1
    assert bad[0].startswith(f"{image_folder / 'cats' / name}: {cause}")
    assert "\n" not in bad[0]


def test_a_bad_image_goes_to_stderr_by_default(image_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (image_folder / "cats" / "notes.txt").write_text("hello")
    open_data(image_folder)

    assert capsys.readouterr().err.startswith(f"bad image: {image_folder / 'cats' / 'notes.txt'}: expected")


def test_a_bad_image_is_an_error_when_strict(image_folder: Path) -> None:
    (image_folder / "cats" / "notes.txt").write_text("hello")

    with pytest.raises(DataError, match=r"notes\.txt: expected an image"):
        open_data(image_folder, strict=True)


def test_a_picture_that_breaks_later_is_replaced_by_the_next_of_its_class(image_folder: Path) -> None:
    """The last cat of the train part is followed by dogs; its stand-in is the first cat."""
    cats = [int(i) for i in TRAIN if i < 10]
    break_picture(image_folder / "cats" / f"{cats[-1]:02}.png")
    bad: list[str] = []
    images = open_data(image_folder, on_bad=bad.append)

    assert not bad
    expected = [cats[0] if i == cats[-1] else int(i) for i in TRAIN]
    assert numbers(images) == expected
    assert numbers(images) == expected
    assert len(bad) == 1
    assert bad[0].startswith(f"{image_folder / 'cats' / f'{cats[-1]:02}.png'}: expected an image, found ")


def test_stand_ins_skip_what_is_broken_too(image_folder: Path) -> None:
    cats = [int(i) for i in TRAIN if i < 10]
    for cat in cats[2:5]:
        break_picture(image_folder / "cats" / f"{cat:02}.png")
    bad: list[str] = []
    images = open_data(image_folder, on_bad=bad.append)

    assert images.images(np.array([2]))[0, 0, 0, 0] == cats[5]
    assert len(bad) == 3


def test_a_broken_picture_asked_for_twice_is_reported_once(image_folder: Path) -> None:
    break_picture(image_folder / "cats" / f"{TRAIN[0]:02}.png")
    bad: list[str] = []
    twice = open_data(image_folder, on_bad=bad.append).images(np.array([0, 0]))

    assert twice[:, 0, 0, 0].tolist() == [TRAIN[1], TRAIN[1]]
    assert len(bad) == 1


def test_without_labels_the_next_image_stands_in(image_folder: Path) -> None:
    break_picture(image_folder / "cats" / f"{TRAIN[4]:02}.png")
    flat = image_folder / "flat"
    flat.mkdir()
    for path in sorted(image_folder.glob("*/*.png")):
        path.rename(flat / path.name)
    images = open_data(flat, on_bad=lambda line: None)

    assert images.images(np.array([4]))[0, 0, 0, 0] == TRAIN[5]


def test_a_class_without_a_good_image_borrows_from_another(image_folder: Path) -> None:
    for path in (image_folder / "cats").iterdir():
        break_picture(path)
    images = open_data(image_folder, on_bad=lambda line: None)

    assert images.images(np.array([0]))[0, 0, 0, 0] == min(i for i in TRAIN if i >= 10)


def test_a_picture_that_breaks_later_is_an_error_when_strict(image_folder: Path) -> None:
    break_picture(image_folder / "cats" / f"{TRAIN[0]:02}.png")
    images = open_data(image_folder, strict=True)

    with pytest.raises(DataError, match=rf"{TRAIN[0]:02}\.png: expected an image, found "):
        images.images(np.array([0]))


def test_a_folder_of_broken_pictures_is_an_error(image_folder: Path) -> None:
    for path in image_folder.glob("*/*.png"):
        break_picture(path)
    bad: list[str] = []
    images = open_data(image_folder, on_bad=bad.append)

    with pytest.raises(DataError, match="pets: expected an image that can be decoded, found none in 18 files"):
        images.images(np.array([3]))
    assert len(bad) == 18


def test_readable_leaves_out_what_is_broken(image_folder: Path) -> None:
    break_picture(image_folder / "cats" / f"{TRAIN[1]:02}.png")
    images = open_data(image_folder, on_bad=lambda line: None)
    pictures, kept = images.readable(np.arange(4))

    assert kept.tolist() == [True, False, True, True]
    assert pictures[:, 0, 0, 0].tolist() == TRAIN[[0, 2, 3]].tolist()


def test_a_file_that_changes_its_size_is_bad(image_folder: Path) -> None:
    images = open_data(image_folder, strict=True)
    save_image(image_folder / "cats" / f"{TRAIN[0]:02}.png", (0, 0, 0), size=(4, 4))

    with pytest.raises(DataError, match="expected 8x6 pixels, as at opening, found 4x4"):
        images.images(np.array([0]))


def test_a_file_that_disappears_is_bad(image_folder: Path) -> None:
    images = open_data(image_folder, strict=True)
    (image_folder / "cats" / f"{TRAIN[0]:02}.png").unlink()

    with pytest.raises(DataError, match=r"png: expected an image, found No such file or directory"):
        images.images(np.array([0]))


def test_images_of_several_sizes_need_a_size(image_folder: Path) -> None:
    save_image(image_folder / "dogs" / "big.png", (0, 0, 0), size=(30, 20))

    with pytest.raises(
        DataError, match=r"images of one size, found 8x6 \(00\.png\) and 30x20 \(big\.png\): give a size"
    ):
        open_data(image_folder)
    assert open_data(image_folder, size=5).image_shape == (5, 5, 3)


def test_the_shorter_side_is_resized_and_the_centre_cropped(tmp_path: Path) -> None:
    """Red, then from x = 10 to 30 green, then blue: the centre is green, but for the filter at its edges."""
    picture = np.zeros((20, 40, 3), np.uint8)
    picture[:, :10, 0] = picture[:, 10:30, 1] = picture[:, 30:, 2] = 255
    Image.fromarray(picture).save(tmp_path / "one.png")
    small = one_image(tmp_path, size=10)

    assert small.shape == (10, 10, 3)
    assert (small[:, 1:-1] == [0, 255, 0]).all()
    assert (small[..., 1] > 230).all()


def test_a_small_image_is_enlarged(tmp_path: Path) -> None:
    save_image(tmp_path / "one.png", (9, 8, 7), size=(2, 3))

    assert (one_image(tmp_path, size=12) == [9, 8, 7]).all()


def test_a_large_jpeg_is_decoded_at_a_fraction_with_the_same_colours(tmp_path: Path) -> None:
    picture = np.full((512, 512, 3), 90, np.uint8)
    picture[..., 0] = np.linspace(0, 255, 512)
    picture[..., 1] = np.linspace(0, 255, 512)[:, None]
    Image.fromarray(picture).save(tmp_path / "one.jpg", quality=95)
    small = one_image(tmp_path, size=32).astype(int)
    expected = picture.reshape(32, 16, 32, 16, 3).mean((1, 3))

    assert np.abs(small - expected).max() < 6


@pytest.mark.parametrize("mode", ["L", "1"])
def test_a_folder_of_grey_images_is_grey(tmp_path: Path, mode: str) -> None:
    for i in range(3):
        save_image(tmp_path / f"{i}.png", 255, mode=mode)
    images = open_data(tmp_path)

    assert images.image_shape == (6, 8, 1)
    assert (images.images(np.array([0])) == 255).all()


def test_one_coloured_image_makes_all_rgb(tmp_path: Path) -> None:
    save_image(tmp_path / "0.png", 77, mode="L")
    save_image(tmp_path / "1.png", (1, 2, 3))
    images = open_data(tmp_path)

    assert images.image_shape == (6, 8, 3)


@pytest.mark.parametrize(("mode", "colour"), [("RGBA", (200, 0, 0, 0)), ("LA", (9, 0))])
def test_transparent_pixels_are_white(tmp_path: Path, mode: str, colour: tuple[int, ...]) -> None:
    save_image(tmp_path / "one.png", colour, mode=mode)

    assert (one_image(tmp_path) == 255).all()


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    """Orientation 6: the camera was turned, so what is stored on the left belongs on top."""
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[:, :4] = 255
    image = Image.fromarray(picture)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "one.png", exif=exif)
    upright = one_image(tmp_path)

    assert (upright[:4] == 255).all()
    assert (upright[4:] == 0).all()


def test_pixels_of_sixteen_bits_are_refused(image_folder: Path) -> None:
    Image.fromarray(np.full((6, 8), 1000, np.uint16)).save(image_folder / "cats" / "deep.png")

    with pytest.raises(DataError, match=r"deep\.png: expected 8 bits a channel, found Pillow's mode I;16"):
        open_data(image_folder, strict=True)


@pytest.mark.parametrize("limit", [48, 27])
def test_a_decompression_bomb_is_a_bad_image(image_folder: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    """Pillow warns of more pixels than its limit and refuses twice as many; the bomb has 56."""
    save_image(image_folder / "cats" / "bomb.png", (0, 0, 0), size=(8, 7))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    bad: list[str] = []
    for path in image_folder.glob("*/[0-9]*.png"):
        save_image(path, (1, 1, 1), size=(4, 4))
    open_data(image_folder, on_bad=bad.append)

    assert len(bad) == 1
    assert "decompression bomb" in bad[0]


def test_a_link_out_of_the_folder_is_a_bad_image(image_folder: Path, tmp_path: Path) -> None:
    save_image(tmp_path / "secret.png", (0, 0, 0))
    (image_folder / "cats" / "link.png").symlink_to(tmp_path / "secret.png")

    with pytest.raises(DataError, match=r"link\.png: expected a file in the folder, found a link that leads outside"):
        open_data(image_folder, strict=True)


def test_a_link_within_the_folder_is_an_image(image_folder: Path) -> None:
    (image_folder / "dogs" / "link.png").symlink_to(image_folder / "cats" / "00.png")

    assert len(open_data(image_folder, "train", strict=True)) == 19


@pytest.mark.parametrize("target", ["cats", "link", "nowhere"])
def test_a_link_to_no_file_is_a_bad_image(image_folder: Path, target: str) -> None:
    (image_folder / "link").symlink_to(image_folder / target)

    with pytest.raises(DataError, match="link: expected an image, found what is not a regular file"):
        open_data(image_folder, strict=True)


def test_a_pipe_is_a_bad_image_and_does_not_block(image_folder: Path) -> None:
    os.mkfifo(image_folder / "cats" / "pipe")

    with pytest.raises(DataError, match="pipe: expected an image, found what is not a regular file"):
        open_data(image_folder, strict=True)


@pytest.mark.parametrize("content", [{}, {"notes.txt": b"hello"}])
def test_a_folder_without_images_is_refused(tmp_path: Path, content: dict[str, bytes]) -> None:
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)

    with pytest.raises(DataError, match=r"expected images \(PNG, JPEG, .*\), found none"):
        open_data(tmp_path, on_bad=lambda line: None)


def test_one_image_cannot_be_held_out(tmp_path: Path) -> None:
    save_image(tmp_path / "one.png", (0, 0, 0))

    with pytest.raises(DataError, match="expected at least two images, to hold one out for the test, found 1"):
        open_data(tmp_path, "test")


def test_a_folder_that_cannot_be_listed_is_refused(image_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(DataError, match="pets: expected a readable file, found: Permission denied"):
        open_data(image_folder)


@pytest.mark.parametrize("suffix", ["jpg", "webp", "gif", "bmp", "tiff", "ppm"])
def test_every_format_named_is_decoded(tmp_path: Path, suffix: str) -> None:
    save_image(tmp_path / f"one.{suffix}", (255, 0, 0))

    assert np.abs(one_image(tmp_path).astype(int) - [255, 0, 0]).max() <= 8


def test_pictures_are_the_files_pixels(tmp_path: Path) -> None:
    picture = pixels(6, 8, 3)
    Image.fromarray(picture).save(tmp_path / "one.png")

    assert np.array_equal(one_image(tmp_path), picture)


def test_the_current_folder_has_its_own_name(image_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(image_folder)

    assert open_data(".").name == "pets"
    shutil.rmtree(image_folder / "dogs")
    assert open_data("cats").name == "cats"
