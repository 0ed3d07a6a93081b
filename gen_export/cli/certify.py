"""The command `certify`: what is proven of a file's network, beside what is reached."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from pathlib import Path
from typing import Annotated

import typer

from gen_export.cli.options import given
from gen_export.errors import ConfigError

_OF_DIFFUSION, _OF_DECODERS = ("steps", "pairs", "plot"), ("radius", "seed", "points")


def register(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command()(certify)


def certify(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The main .onnx file of a model.")],
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Steps of the run; by default the file's.", show_default=False)
    ] = None,
    pairs: Annotated[
        int, typer.Option("--pairs", min=1, max=1_000_000, help="Pairs of images tried at each step.")
    ] = 10_000,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Write the table as a picture too, .png or .svg.", show_default=False)
    ] = None,
    radius: Annotated[
        float, typer.Option("--radius", min=0, help="Of a decoder: how far each number of a latent may go.")
    ] = 1e-5,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of a decoder: of its latent.")] = 0,
    points: Annotated[int, typer.Option("--points", min=1, max=100_000, help="Of a decoder: latents tried.")] = 256,
    as_json: Annotated[bool, typer.Option("--json", help="Print the certificate as JSON.")] = False,
) -> None:
    """Bound what a model's network can do, and try it on the file.

    Of a diffusion model: how far apart the denoiser and each step of a run can take two images. Of an autoencoder, VAE
    or GAN: how little the pixels of an image change while its latent stays in a small box.

    Exits with 1 where the file goes beyond a bound, 2 where there is no bound.

    Example: gen-export certify runs/diffusion/diffusion.onnx --steps 20 --plot steps.svg
    """
    from gen_export.cli.certify_decoder import certify_decoder
    from gen_export.cli.certify_diffusion import certify_diffusion
    from gen_export.verify.report import open_files

    files = open_files(file)
    if files.card.family == "diffusion":
        _refuse(ctx, _OF_DECODERS, files.card.family)
        raise typer.Exit(certify_diffusion(files, steps, pairs, plot, as_json))
    _refuse(ctx, _OF_DIFFUSION, files.card.family)
    raise typer.Exit(certify_decoder(files, radius, seed, points, as_json))


def _refuse(ctx: typer.Context, options: tuple[str, ...], family: str) -> None:
    """Refuses options that this family has not."""
    for name in options:
        if name in given(ctx):
            raise ConfigError(f"--{name}: expected no such option for the family {family}, found it given")


def rounded_up(value: float, digits: int = 5) -> str:
    """A number with so many digits, rounded up, so that what is shown is still a bound from above."""
    return f"{Context(prec=digits, rounding=ROUND_CEILING).create_decimal_from_float(value):g}"


def rounded_down(value: float, digits: int = 5) -> str:
    """The same, rounded down: a bound from below."""
    return f"{Context(prec=digits, rounding=ROUND_FLOOR).create_decimal_from_float(value):g}"
