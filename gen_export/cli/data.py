"""`gen-export data`: what there is to train on, prepared and looked at."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from gen_export.data.image_set import ImageSet
    from gen_export.data.image_set import Part as ImagePart

data = typer.Typer(help="List, prepare and look at images to train on.", no_args_is_help=True)

Source = Annotated[
    str,
    typer.Argument(metavar="SOURCE", help="A set's name, a file or a folder: see `gen-export data list`."),
]
Part = Annotated[
    Literal["train", "test", "all"],
    typer.Option(help="Where a set has parts of its own, train or test; elsewhere nine in ten, the tenth, or all."),
]
Size = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="PIXELS", help="Resize and crop a folder's or shards' images to a square of this side."
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first bad image instead of leaving it out.")]

SETS = (
    (
        "sprites",
        "20,000 + 2,000",
        "32x32 RGB",
        "shapes drawn from known factors; the default, nothing to download",
    ),
    ("cifar10", "50,000 + 10,000", "32x32 RGB", "photographs of ten classes; downloads 162 MiB"),
    ("mnist", "60,000 + 10,000", "28x28 grey", "handwritten digits; downloads 11 MiB"),
    ("fashion-mnist", "60,000 + 10,000", "28x28 grey", "clothes of ten classes; downloads 29 MiB"),
)
FORMATS = (
    (
        "FOLDER",
        "images (PNG, JPEG, WebP, GIF, BMP, TIFF, PPM), also in sub-folders, which name their classes",
    ),
    (
        "NAME-{000..099}.tar",
        "shards: images 0007.png, their classes in 0007.cls or as label in 0007.json; also * or one .tar",
    ),
    ("FOLDER", "idx files, plain or .gz: train-images-idx3-ubyte and the others of MNIST's names"),
    ("FILE.tar.gz, FOLDER", "CIFAR-10's binary version, cifar-10-binary.tar.gz or cifar-10-batches-bin"),
    ("FILE.npy", "uint8 [n, H, W] or [n, H, W, C], read from disk; labels in FILE.labels.npy beside it"),
    ("FILE.npz", "train_x, test_x or x; labels in train_y, test_y or y; class names in classes"),
)


@data.command("list")
def list_sources() -> None:
    """List the sets known by name and the formats that are read.

    Example: gen-export data list
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    sets = Table("set", "train + test", "images", "what it is", title="Sets known by name")
    for row in SETS:
        sets.add_row(*row)
    formats = Table("source", "what it holds", title="Files and folders")
    for row in FORMATS:
        formats.add_row(*map(escape, row))
    Console().print(sets, formats)


@data.command()
def prepare(
    source: Source,
    out: Annotated[Path, typer.Argument(metavar="OUT.npy", help="The file to write.")],
    size: Size = None,
    part: Part = "all",
    strict: Strict = False,
) -> None:
    """Write the images of a source as one .npy file, which trains without decoding and from disk.

    Labels go to OUT.labels.npy beside it, and bad images are left out.

    Example: gen-export data prepare photos/ photos.npy --size 64
    """
    from gen_export.data.prepare import write_npy

    images, progress, bad = _opened(source, part, size, strict)
    with progress as told:
        n = write_npy(images, out, told)
    skipped = f"; skipped {len(bad):,} bad" if bad else ""
    typer.echo(f"{out}: {n:,} images, {_shape_words(images.image_shape)}{skipped}")


@data.command()
def shards(
    source: Source,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to write to.")],
    per_shard: Annotated[int, typer.Option(min=1, help="Images a shard.")] = 10_000,
    size: Size = None,
    part: Part = "all",
    strict: Strict = False,
) -> None:
    """Write the images of a source as shards: tar files that train from a network file system, and in WebDataset.

    Example: gen-export data shards photos/ shards/ --size 64 --per-shard 5000
    """
    from gen_export.data.write_shards import write_shards

    images, progress, _ = _opened(source, part, size, strict)
    with progress as told:
        paths = write_shards(images, out, per_shard, told)
    last = f"{len(paths) - 1:06d}"
    typer.echo(f"{len(paths)} shards: train with --data '{out}/shard-{{000000..{last}}}.tar'")


@data.command()
def preview(
    source: Source,
    out: Annotated[Path, typer.Argument(metavar="OUT.png", help="The picture to write.")],
    count: Annotated[int, typer.Option(min=1, help="How many images.")] = 64,
    seed: Annotated[int, typer.Option(help="Which images: another seed shows others.")] = 0,
    size: Size = None,
    part: Part = "train",
) -> None:
    """Write a grid of images drawn from a source as a PNG.

    Example: gen-export data preview sprites sprites.png --count 36
    """
    from gen_export.data import batch_indices, open_data
    from gen_runtime.images import grid, save_png

    images = open_data(source, part, size=size)
    shown = min(count, len(images))
    save_png(out, grid(images.images(batch_indices(len(images), shown, seed, step=0))))
    typer.echo(f"{out}: {shown} of {len(images):,} images, {_shape_words(images.image_shape)}")


def _opened(
    source: str, part: "ImagePart", size: int | None, strict: bool
) -> tuple["ImageSet", AbstractContextManager[Callable[[int], None]], list[str]]:
    """A source, a bar that is told of the images read, and the lines told of its bad images so far."""
    from rich.console import Console
    from rich.progress import Progress

    from gen_export.data import open_data

    console = Console(stderr=True)
    bad: list[str] = []

    def on_bad(line: str) -> None:
        bad.append(line)
        console.print(f"bad image: {line}", markup=False, highlight=False, soft_wrap=True)

    images = open_data(source, part, size=size, strict=strict, on_bad=on_bad)

    @contextmanager
    def bar() -> Iterator[Callable[[int], None]]:
        with Progress(console=console) as progress:
            task = progress.add_task("Preparing", total=len(images))
            yield lambda read: progress.advance(task, read)

    return images, bar(), bad


def _shape_words(image_shape: tuple[int, int, int]) -> str:
    height, width, channels = image_shape
    return f"{width}x{height} {'grey' if channels == 1 else 'RGB'}"
