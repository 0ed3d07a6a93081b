"""The command `reconstruct`: images through a model and back, or with hidden patches filled in, without PyTorch."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gen_export.cli.run import File, Npy, Outputs, Png, Ppm, as_images, counted, in_batches, read_pictures, tell
from gen_export.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

    from gen_runtime import Graph

MASK = "mask"
_RATIO = 0.75
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class Hiding:
    """The options that say which patches to hide, each `--mask-ratio` and the like; None where nothing is said.

    Raises:
        ConfigError: A number out of its range, or two options that exclude or need one another.
    """

    mask_ratio: float | None
    seed: int | None
    mask_period: int | None
    mask_offset: int | None

    def __post_init__(self) -> None:
        for name in ("seed", "mask_period", "mask_offset"):
            if (number := getattr(self, name)) is not None and number not in _INT64:
                raise ConfigError(f"{_option(name)}: expected int64, found {number}")
        if self.mask_ratio is not None and not 0 <= self.mask_ratio <= 1:
            raise ConfigError(f"--mask-ratio: expected a number from 0 to 1, found {self.mask_ratio:g}")
        for name in ("mask_ratio", "seed"):
            if self.mask_period is not None and getattr(self, name) is not None:
                raise ConfigError(f"--mask-period: expected it without {_option(name)}, found both")
        if self.mask_offset is not None and self.mask_period is None:
            raise ConfigError("--mask-offset: expected it with --mask-period, found it alone")

    @property
    def given(self) -> list[str]:
        """The options that say something."""
        return [_option(name) for name, value in asdict(self).items() if value is not None]

    def hidden(self, count: int, rows: int, columns: int) -> "np.ndarray":
        """Which patches are hidden, bool (count, rows, columns)."""
        import numpy as np

        from gen_export.spec.masks import patch_hidden_mask, seeded_hidden

        if self.mask_period is not None:
            mask = patch_hidden_mask(rows, columns, 1, 1, self.mask_period, self.mask_offset or 0)
            return np.tile(mask, (count, 1, 1))
        ratio = _RATIO if self.mask_ratio is None else self.mask_ratio
        return seeded_hidden(self.seed or 0, np.arange(count), rows, columns, ratio)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def register(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command()(reconstruct)


def reconstruct(
    file: File,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Images; cropped to the file's size.")],
    mask_ratio: Annotated[
        float | None, typer.Option(help="Share of the patches to hide, 0.75 if nothing is said.", show_default=False)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Which patches that hides, 0 if nothing is said.", show_default=False)
    ] = None,
    mask_period: Annotated[
        int | None, typer.Option(min=1, help="Hide every so many patches instead, counted row by row.")
    ] = None,
    mask_offset: Annotated[
        int | None, typer.Option(min=0, help="The first hidden patch of a period, 0 if nothing is said.")
    ] = None,
    ppm: Ppm = None,
    png: Png = None,
    npy: Npy = None,
) -> None:
    """Rebuild images: a PNG with the images above, and what the model makes of them below.

    A masked autoencoder hides patches first, shows what it saw in the middle row, and fills them in.

    Example: gen-export reconstruct mae.onnx photo.png --mask-ratio 0.75 --png filled.png
    """
    import numpy as np

    from gen_runtime import load

    hiding = Hiding(mask_ratio, seed, mask_period, mask_offset)
    graph = load(file).graph("reconstruct")
    pictures = read_pictures(images, graph.card.image)
    outputs = in_batches(graph, _inputs(graph, pictures, hiding))
    rebuilt = as_images(graph, outputs, "reconstruction")
    rows = [pictures, *(as_images(graph, outputs, port.name) for port in reversed(graph.card.outputs))]
    paths = Outputs(ppm, png, npy).write(rebuilt, Path(f"{file.stem}.png"), np.concatenate(rows))
    tell(counted(pictures), paths)


def _inputs(graph: "Graph", pictures: "np.ndarray", hiding: Hiding) -> dict[str, "np.ndarray"]:
    """Pictures, uint8 [n, H, W, C], as the graph takes them, and the mask where it takes one.

    Raises:
        ConfigError: There are options for a mask, which the graph does not take.
        FileError: Its mask is no grid of patches.
    """
    from gen_export.spec.pixels import planes
    from gen_runtime import FileError

    inputs = {"image": planes(pictures)}
    shape = next((port.shape for port in graph.card.inputs if port.name == MASK), None)
    if shape is None:
        if hiding.given:
            options, family = ", ".join(hiding.given), graph.card.family
            raise ConfigError(f"{graph.path}: expected a model that takes a mask, found {family}: leave {options} out")
        return inputs
    match shape:
        case (_, int(rows), int(columns)):
            return inputs | {MASK: hiding.hidden(len(pictures), rows, columns)}
    raise FileError(f"{graph.path}: {MASK}: expected the shape [batch, rows, columns], found {list(shape)}")
