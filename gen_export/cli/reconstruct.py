"""The command `reconstruct`: images through a model and back, or with hidden patches filled in, without PyTorch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gen_export.cli.run import BATCH, File, Npy, Outputs, Png, Ppm, counted, read_pictures, tell
from gen_export.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

    from gen_runtime import Graph

MASK = "mask"


def register(app: typer.Typer) -> None:
    """Adds the command to the application."""
    app.command()(reconstruct)


def reconstruct(
    file: File,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Images; cropped to the file's size.")],
    mask_ratio: Annotated[
        float | None, typer.Option(help="Share of the patches to hide, 0.75 if nothing is said.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Which patches that hides.")] = 0,
    mask_period: Annotated[
        int | None, typer.Option(min=1, help="Hide every so many patches instead, counted row by row.")
    ] = None,
    mask_offset: Annotated[int, typer.Option(min=0, help="The first hidden patch of a period.")] = 0,
    ppm: Ppm = None,
    png: Png = None,
    npy: Npy = None,
) -> None:
    """Rebuild images: a PNG with the images above, and what the model makes of them below.

    A masked autoencoder hides patches first, shows what it saw in the middle row, and fills them in.

    Example: gen-export reconstruct mae.onnx photo.png --mask-ratio 0.75 --png filled.png
    """
    import numpy as np

    from gen_export.spec.pixels import from_bytes, to_bytes
    from gen_runtime import load

    graph = load(file).graph("reconstruct")
    pictures = read_pictures(images, graph.card.image)
    inputs = {"image": from_bytes(pictures.transpose(0, 3, 1, 2)).astype(np.float32)}
    masked = MASK in [port.name for port in graph.card.inputs]
    if masked:
        inputs[MASK] = _mask(graph, len(pictures), mask_ratio, seed, mask_period, mask_offset)
    elif mask_ratio is not None or mask_period is not None:
        raise ConfigError(f"{file}: expected a model that takes a mask, found {graph.card.family}: leave --mask-.. out")
    outputs = {name: to_bytes(array).transpose(0, 2, 3, 1) for name, array in _in_batches(graph, inputs).items()}
    rows = [pictures, *(outputs[port.name] for port in reversed(graph.card.outputs))]
    paths = Outputs(ppm, png, npy).write(outputs["reconstruction"], Path(f"{file.stem}.png"), np.concatenate(rows))
    tell(counted(pictures), paths)


def _mask(graph: "Graph", count: int, ratio: float | None, seed: int, period: int | None, offset: int) -> "np.ndarray":
    """Which patches are hidden, bool (count, rows, columns).

    Raises:
        ConfigError: A ratio outside 0 to 1, or a ratio and a period.
    """
    import numpy as np

    from gen_export.spec.masks import patch_hidden_mask, random_hidden
    from gen_export.spec.noise import sample_keys, seed_bits, uniforms

    (shape,) = (port.shape for port in graph.card.inputs if port.name == MASK)
    rows, columns = (int(extent) for extent in shape[1:])
    if period is not None:
        if ratio is not None:
            raise ConfigError("--mask-period: expected it without --mask-ratio, found both")
        return np.tile(patch_hidden_mask(rows, columns, 1, 1, period, offset), (count, 1, 1))
    ratio = 0.75 if ratio is None else ratio
    if not 0 <= ratio <= 1:
        raise ConfigError(f"--mask-ratio: expected a number from 0 to 1, found {ratio:g}")
    keys = sample_keys(seed_bits(seed), np.arange(count, dtype=np.uint64))
    chances = uniforms(keys, np.zeros(1, np.uint64), rows * columns)
    return random_hidden(chances, ratio).reshape(count, rows, columns)


def _in_batches(graph: "Graph", inputs: dict[str, "np.ndarray"]) -> dict[str, "np.ndarray"]:
    """Every output by name, a batch of rows at a time."""
    import numpy as np

    count = len(inputs["image"])
    chunks = [{name: array[at : at + BATCH] for name, array in inputs.items()} for at in range(0, count, BATCH)]
    results = [graph.execute(graph.check(chunk)) for chunk in chunks]
    return {name: np.concatenate([result[name] for result in results]) for name in results[0]}
