"""The command `sample`: images from a file, as a picture, an array, or shards of any number of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gen_export.cli.progress import progress_bar
from gen_export.cli.run import BATCH, Device, File, Npy, Outputs, Png, Ppm, counted, sampler_inputs, tell

if TYPE_CHECKING:
    from gen_runtime import Model

SHARD_SIZE = 1000


def register(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command()(sample)


def sample(
    file: File,
    seed: Annotated[int, typer.Option(help="The same seed draws the same images, everywhere.")] = 0,
    count: Annotated[int, typer.Option(min=1, help="How many images.")] = 16,
    first: Annotated[int, typer.Option(help="Index of the first image of this seed.")] = 0,
    steps: Annotated[int | None, typer.Option(help="Denoising steps, where the file has them.")] = None,
    eta: Annotated[float | None, typer.Option(help="0 follows DDIM, 1 DDPM, where the file has it.")] = None,
    solver: Annotated[str | None, typer.Option(help="How steps are taken, where the file has a choice.")] = None,
    label: Annotated[str | None, typer.Option(help="What of, where the file knows classes: a name, any, each.")] = None,
    guidance: Annotated[float | None, typer.Option(help="How much of the label: 1 is as learned.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any other input of the file.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Images drawn at a time; it bounds the memory.")] = BATCH,
    device: Annotated[Device, typer.Option(help="auto takes CUDA where it works.")] = Device.auto,
    cuda: Annotated[bool, typer.Option("--cuda", help="The same as --device cuda.")] = False,
    ppm: Ppm = None,
    png: Png = None,
    npy: Npy = None,
    ascii: Annotated[bool, typer.Option("--ascii", help="Write the PPM as text.")] = False,  # noqa: A002
    shards: Annotated[
        Path | None,
        typer.Option(help="A folder for tar files of PNGs instead: WebDataset's layout, resumed if killed."),
    ] = None,
    shard_size: Annotated[
        int, typer.Option(min=1, help="Images a tar file; --first and --count are multiples of it.")
    ] = SHARD_SIZE,
) -> None:
    """Draw images from a file: a PNG grid in this folder, unless told where.

    Example: gen-export sample diffusion.onnx --seed 7 --count 64 --png out.png
    """
    from gen_runtime import load

    outputs = Outputs(ppm, png, npy, ascii)
    if shards and outputs != Outputs(None, None, None):
        raise typer.BadParameter("shards take the place of --ppm, --png and --npy", param_hint="--shards")
    model = load(file, device="cuda" if cuda else device.value)
    options = {"steps": steps, "eta": eta, "solver": solver, "label": label, "guidance": guidance}
    inputs = sampler_inputs(model, options, settings or [])
    if shards:
        _into_shards(model, shards, shard_size, count, seed=seed, first=first, batch=batch, **inputs)
        return
    with progress_bar("images", shown=count > batch) as progress:
        images = model.sample(count, seed, first, batch, progress, **inputs)
    paths = outputs.write(images, otherwise=Path(f"{file.stem}.png"))
    tell(f"{counted(images)}, seed {seed}", paths)


def _into_shards(model: "Model", folder: Path, size: int, count: int, **arguments: Any) -> None:
    """Draws images into a folder, and says how many of its shards were missing."""
    from gen_export.shards.sample import sample_shards

    with progress_bar("images") as progress:
        written = sample_shards(model, folder, count=count, size=size, progress=progress, **arguments)
    shape, many = model.card.image, count // size
    what = f"{many} shard{'s' * (many != 1)} of {size} images of {shape.height}x{shape.width}"
    tell(f"{what}, seed {arguments['seed']}, {written} of them new", [folder])
