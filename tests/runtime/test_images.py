"""Images as files and grids, checked with Pillow, which the runtime itself does without."""

import os
import threading

import numpy as np
import pytest
from PIL import Image

from gen_runtime import FileError, GenRuntimeError, grid, save_png, save_ppm
from gen_runtime.files import atomic


@pytest.fixture(params=[(1, 1, 1), (5, 7, 1), (5, 7, 3), (28, 3, 3)], ids=str)
def image(request):
    return np.random.default_rng(0).integers(0, 256, request.param, np.uint8)


def read(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_a_png_holds_the_very_pixels(image, tmp_path):
    save_png(tmp_path / "a.png", image)

    assert np.array_equal(read(tmp_path / "a.png").reshape(image.shape), image)


@pytest.mark.parametrize(("ascii", "magic"), [(False, b"P6"), (True, b"P3")])
def test_a_ppm_holds_the_very_pixels_and_repeats_gray(image, ascii, magic, tmp_path):  # noqa: A002
    save_ppm(tmp_path / "a.ppm", image, ascii=ascii)

    assert (tmp_path / "a.ppm").read_bytes()[:2] == magic
    assert np.array_equal(read(tmp_path / "a.ppm"), np.broadcast_to(image, (*image.shape[:2], 3)))


def test_a_text_ppm_keeps_to_lines_of_70_characters(tmp_path):
    save_ppm(tmp_path / "a.ppm", np.full((9, 40, 3), 255, np.uint8), ascii=True)

    assert max(map(len, (tmp_path / "a.ppm").read_text().splitlines())) <= 70


def test_an_image_that_is_a_view_is_written_as_it_looks(tmp_path):
    image = np.arange(60, dtype=np.uint8).reshape(3, 4, 5).transpose(2, 1, 0)[::-1]

    save_png(tmp_path / "a.png", image)

    assert np.array_equal(read(tmp_path / "a.png"), image)


@pytest.mark.parametrize("save", [save_png, save_ppm])
@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((2, 2, 1), np.float32), r"found float32 \[2, 2, 1\]"),
        (np.zeros((2, 2), np.uint8), r"found uint8 \[2, 2\]"),
        (np.zeros((2, 2, 4), np.uint8), r"found uint8 \[2, 2, 4\]"),
        (np.zeros((0, 2, 1), np.uint8), r"found uint8 \[0, 2, 1\]"),
    ],
)
def test_what_is_no_image_is_refused_with_its_dtype_and_shape(save, array, found, tmp_path):
    with pytest.raises(ValueError, match=found):
        save(tmp_path / "a", array)

    assert not list(tmp_path.iterdir())


def test_missing_folders_are_made_and_no_draft_stays(tmp_path):
    save_png(tmp_path / "x" / "y" / "a.png", np.zeros((1, 1, 1), np.uint8))

    assert [path.name for path in (tmp_path / "x" / "y").iterdir()] == ["a.png"]


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "x").write_bytes(b"")

    with pytest.raises(FileError, match=r"x/a\.png: cannot be written: \w+") as error:
        save_png(tmp_path / "x" / "a.png", np.zeros((1, 1, 1), np.uint8))

    assert isinstance(error.value, GenRuntimeError)
    assert "\n" not in str(error.value)


def test_a_write_that_fails_half_way_leaves_the_old_file(tmp_path):
    (tmp_path / "a").write_bytes(b"old")

    def interrupted():
        with atomic(tmp_path / "a") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"old")]


@pytest.mark.parametrize(
    ("count", "columns", "shape"),
    [
        (1, None, (4, 5)),
        (4, None, (10, 12)),
        (5, None, (10, 19)),
        (9, None, (16, 19)),
        (3, 9, (4, 19)),
        (3, 1, (16, 5)),
    ],
)
def test_a_grid_is_about_square_with_gaps_between_the_images(count, columns, shape):
    sheet = grid(np.zeros((count, 4, 5, 3), np.uint8), columns=columns)

    assert sheet.shape == (*shape, 3)


def test_a_grid_keeps_row_order_and_leaves_the_rest_gray():
    images = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1)

    sheet = grid(images, columns=2, gap=1)

    assert sheet[..., 0].tolist() == [[0, 128, 1], [128, 128, 128], [2, 128, 128]]


@pytest.mark.parametrize("arguments", [{"columns": 0}, {"gap": -1}])
def test_a_grid_refuses_a_layout_that_cannot_be(arguments):
    with pytest.raises(ValueError, match="columns >= 1 and gap >= 0"):
        grid(np.zeros((2, 1, 1, 1), np.uint8), **arguments)


def test_a_grid_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"found uint8 \[0, 4, 4, 1\]"):
        grid(np.zeros((0, 4, 4, 1), np.uint8))


def test_what_is_no_regular_file_is_written_and_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    save_png(tmp_path / "pipe", np.zeros((2, 2, 3), np.uint8))
    reader.join(5)

    assert (tmp_path / "pipe").is_fifo()
    assert received[0].startswith(b"\x89PNG")
