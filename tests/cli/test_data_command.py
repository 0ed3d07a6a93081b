import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from gen_export.cli.data import SETS, data
from gen_export.data import NAMES, SPRITES
from gen_export.errors import DataError


def run(*arguments: object) -> tuple[str, str]:
    """What a command prints on stdout and on stderr.

    Raises:
        DataError: The command does.
    """
    result = CliRunner(env={"COLUMNS": "200"}).invoke(data, [str(a) for a in arguments])
    if result.exception is not None:
        raise result.exception
    return result.stdout, result.stderr


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of ten images of several sizes, one file that is none, and one picture that is cut."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(10):
        Image.new("RGB", (20 + i, 16), (i, 0, 0)).save(folder / f"{i}.png")
    (folder / "notes.txt").write_text("hello")
    return folder


def test_list_names_every_set_and_format() -> None:
    out, _ = run("list")

    assert tuple(row[0] for row in SETS) == NAMES
    for word in (
        *NAMES,
        "JPEG",
        "idx",
        "cifar-10-binary.tar.gz",
        "uint8 [n, H, W] or [n, H, W, C]",
        "FILE.npz",
    ):
        assert word in out


def test_list_tells_the_number_of_sprites() -> None:
    assert SETS[0][1] == f"{SPRITES['train']:,} + {SPRITES['test']:,}"


def test_prepare_writes_the_images_and_counts_the_bad(photos: Path, tmp_path: Path) -> None:
    cut = photos / "3.png"
    cut.write_bytes(cut.read_bytes()[: cut.read_bytes().index(b"IDAT") + 6])
    out, err = run("prepare", photos, tmp_path / "out.npy", "--size", 8, "--part", "train")

    assert out.strip() == f"{tmp_path / 'out.npy'}: 8 images, 8x8 RGB; skipped 2 bad"
    assert f"bad image: {photos / 'notes.txt'}: expected an image" in err
    assert f"bad image: {cut}: expected an image" in err
    written = np.load(tmp_path / "out.npy")
    assert written.shape == (8, 8, 8, 3)
    assert 3 not in written[:, 0, 0, 0]


def test_prepare_takes_a_part(tmp_path: Path) -> None:
    out, _ = run("prepare", "sprites", tmp_path / "out.npy", "--part", "test")

    assert "2,000 images, 32x32 RGB\n" in out
    assert np.load(tmp_path / "out.labels.npy").shape == (2000,)


def test_prepare_stops_at_a_bad_image_when_strict(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"notes\.txt: expected an image"):
        run("prepare", photos, tmp_path / "out.npy", "--size", 8, "--strict")
    assert not (tmp_path / "out.npy").exists()


def test_preview_writes_a_grid(tmp_path: Path) -> None:
    """Nine pictures of 32 pixels in three columns with two gaps of 2."""
    out, _ = run("preview", "sprites", tmp_path / "grid.png", "--count", 9)

    assert out.strip() == f"{tmp_path / 'grid.png'}: 9 of 20,000 images, 32x32 RGB"
    with Image.open(tmp_path / "grid.png") as picture:
        assert picture.size == (100, 100)


def test_preview_shows_others_with_another_seed(tmp_path: Path) -> None:
    pictures = []
    for seed in (0, 0, 1):
        run("preview", "sprites", tmp_path / "grid.png", "--count", 4, "--seed", seed)
        pictures.append((tmp_path / "grid.png").read_bytes())

    assert pictures[0] == pictures[1]
    assert pictures[0] != pictures[2]


def test_preview_shows_each_image_of_a_small_set_once(photos: Path, tmp_path: Path) -> None:
    out, _ = run("preview", photos, tmp_path / "grid.png", "--size", 8)
    with Image.open(tmp_path / "grid.png") as picture:
        red = np.asarray(picture)[::10, ::10, 0].ravel()

    assert "9 of 9 images" in out
    assert len(set(red.tolist())) == 9


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: expected a file or folder"):
        run("preview", "nowhere", tmp_path / "grid.png")


@pytest.mark.parametrize("command", ["list", "prepare", "preview"])
def test_every_command_has_help_with_an_example(command: str) -> None:
    out, _ = run(command, "--help")

    assert re.search(rf"Example: gen-export data {command}", out)


def test_shards_tells_how_to_train_on_what_it_wrote(photos: Path, tmp_path: Path) -> None:
    out, err = run("shards", photos, tmp_path / "out", "--size", 8, "--per-shard", 4)

    assert out.strip() == f"3 shards: train with --data '{tmp_path / 'out'}/shard-{{000000..000002}}.tar'"
    assert f"bad image: {photos / 'notes.txt'}: expected an image" in err
    assert len(list((tmp_path / "out").glob("*.tar"))) == 3
