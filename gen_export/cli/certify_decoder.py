"""Intervals of a decoder's pixels while its latent stays in a box, and how far it may go, as lines or JSON."""

import json
import math

import typer

from gen_export.cli.certify import rounded_down, rounded_up
from gen_export.verify.decoder import DecoderCertificate, certify
from gen_export.verify.files import Files


def certify_decoder(files: Files, radius: float, seed: int, points: int, as_json: bool) -> int:
    """Certifies a decoder around a latent and tries it; the exit code: 1 where the file goes beyond a bound."""
    certificate = certify(files, radius, seed, points)
    if as_json:
        typer.echo(json.dumps({"file": str(files.path), "seed": seed, **certificate.to_json()}, indent=2))
    else:
        _show(str(files.path), seed, certificate)
    return 1 if certificate.violations() else 0


def _show(name: str, seed: int, found: DecoderCertificate) -> None:
    from rich.console import Console

    console = Console()
    head = f"{name}: {found.graph}, each of {found.latent} numbers within {found.radius:g} of the latent of seed {seed}"
    for line in (head, *_lines(found), *(f"violated: {told}" for told in found.violations())):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _lines(found: DecoderCertificate) -> list[str]:
    """What is proven, and what was tried."""
    widths = f"{rounded_up(found.mean_width)} grey levels wide in the mean, {rounded_up(found.max_width)} at most"
    still = f"{math.floor(1000 * found.still) / 10:g} % of pixels"
    radius = f"all are within a radius of {rounded_down(found.largest)}" if found.largest else "all within no radius"
    return [
        f"certified intervals of pixels: {widths}",
        f"certified to move by less than a grey level: {still}; {radius}",
        f"no Lipschitz certificate: {found.reason}"
        if found.lipschitz is None
        else f"|{found.graph}(z) - {found.graph}(y)| <= {rounded_up(found.lipschitz)} |z - y| for all z, y",
        f"reached by {found.points} latents of the box: a pixel moves by {found.reached:.4g} grey levels",
    ]
