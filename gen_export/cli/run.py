"""Commands that run exported files, without PyTorch: `encode` and `decode`, and what `sample` shares with them."""

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from gen_export.errors import DataError

if TYPE_CHECKING:
    import numpy as np

    from gen_runtime import Graph, Model
    from gen_runtime.card import ImageShape

BATCH = 64
_OWN_OPTIONS = ("seed", "count", "first")
# What NumPy and zipfile raise for a file that is truncated, not theirs, or holds pickled objects.
_BROKEN = (EOFError, MemoryError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error)


class Device(StrEnum):
    """Where to run."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


File = Annotated[Path, typer.Argument(metavar="FILE", help="An exported .onnx file.")]
Ppm = Annotated[Path | None, typer.Option(help="Write the images as a grid, PPM.")]
Png = Annotated[Path | None, typer.Option(help="Write the images as a grid, PNG.")]
Npy = Annotated[Path | None, typer.Option(help="Write the images as a uint8 array: count, height, width, channels.")]


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where the images go, each in its own format; None where they do not."""

    ppm: Path | None
    png: Path | None
    npy: Path | None
    ascii: bool = False

    def write(self, images: "np.ndarray", otherwise: Path, shown: "np.ndarray | None" = None) -> list[Path]:
        """Writes the images, uint8 [n, H, W, C], wherever asked, or as a PNG grid to `otherwise`.

        Args:
            images: The images.
            otherwise: The picture's path where none is asked for.
            shown: What the pictures show instead: rows of n images.

        Raises:
            FileError: A file cannot be written.
        """
        import numpy as np

        from gen_runtime.files import atomic
        from gen_runtime.images import grid, save_png, save_ppm

        png = self.png if self.ppm or self.png or self.npy else otherwise
        picture = grid(images) if shown is None else grid(shown, columns=len(images))
        if self.ppm:
            save_ppm(self.ppm, picture, ascii=self.ascii)
        if png:
            save_png(png, picture)
        if self.npy:
            with atomic(self.npy) as file:
                np.save(file, images, allow_pickle=False)
        return [path for path in (self.ppm, png, self.npy) if path]


def register(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    app.command()(encode)
    app.command()(decode)


def encode(
    file: File,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Images; cropped to the file's size.")],
    out: Annotated[Path, typer.Option(help="The .npz file to write: one array an output.")],
) -> None:
    """Encode images into codes, with the file's encoder.

    Example: gen-export encode vae.onnx photo.png --out codes.npz
    """
    import numpy as np

    from gen_export.spec.pixels import planes
    from gen_runtime import load
    from gen_runtime.files import atomic

    graph = load(file).graph("encode")
    pictures = read_pictures(images, graph.card.image)
    pixels = planes(pictures)
    codes = in_batches(graph, {graph.card.inputs[0].name: pixels})
    with atomic(out) as archive:
        np.savez(archive, allow_pickle=False, **codes)
    tell(f"{', '.join(codes)} of {counted(pictures)}", [out])


def decode(
    file: File,
    codes: Annotated[Path, typer.Argument(metavar="CODES", help="A .npy array, or an .npz that encode wrote.")],
    ppm: Ppm = None,
    png: Png = None,
    npy: Npy = None,
) -> None:
    """Decode codes into images: a PNG grid in this folder, unless told where.

    Example: gen-export decode vae.onnx codes.npz --png out.png
    """
    from gen_runtime import load

    graph = load(file).graph("decode")
    port = graph.card.inputs[0].name
    decoded = in_batches(graph, {port: _read_codes(codes, port)})
    images = as_images(graph, decoded, graph.card.outputs[0].name)
    paths = Outputs(ppm, png, npy).write(images, otherwise=Path(f"{codes.stem}.png"))
    tell(counted(images), paths)


def sampler_inputs(model: "Model", options: dict[str, float | str | None], settings: list[str]) -> dict[str, Any]:
    """The sampler's further inputs that the user gave.

    Raises:
        BadParameter: A setting is malformed, or has an option of its own.
        PortError: The file has no such input.
    """
    from gen_runtime import PortError

    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    given |= dict(_setting(text) for text in settings)
    known = [port.name for port in model.graph("sample").card.inputs]
    for name in given:
        if name not in known:
            raise PortError(f"{model.path}: sample has no input {name!r}: it takes {', '.join(known)}")
    return given


def _setting(text: str) -> tuple[str, float | str]:
    """A pair from `name=value`: a whole number where it can be one, a number, or the name of a choice."""
    name, _, value = text.partition("=")
    if name in _OWN_OPTIONS:
        raise typer.BadParameter(f"{name} has an option of its own: --{name}", param_hint="--set")
    for number in (int, float):
        try:
            return name, number(value)
        except ValueError:
            continue
    if not value:
        raise typer.BadParameter(f"expected NAME=VALUE, found {text!r}", param_hint="--set")
    return name, value


def read_pictures(paths: list[Path], size: "ImageShape") -> "np.ndarray":
    """Image files as uint8 [n, H, W, C], resized and cropped to a file's size.

    Raises:
        DataError: One cannot be read.
    """
    import numpy as np

    return np.stack([_picture(path, (size.height, size.width, size.channels)) for path in paths])


def _picture(path: Path, shape: tuple[int, int, int]) -> "np.ndarray":
    """An image file as uint8 [H, W, C], resized and cropped."""
    from gen_export.data.decode import BadImageError, decode_image

    try:
        return decode_image(path, shape, resize=True)
    except BadImageError as error:
        raise DataError(f"{path}: {error}") from error


def _read_codes(path: Path, port: str) -> "np.ndarray":
    """The array of a .npy file, or the one of the port's name in an .npz file (`mu` for a port `z`).

    Raises:
        DataError: The file is missing, broken, or has no such array.
    """
    try:
        with path.open("rb") as file:
            found = _load(file, (port, "mu") if port == "z" else (port,))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except _BROKEN as error:
        raise DataError(f"{path}: expected a .npy or .npz file of numbers, found a broken or another one") from error
    if isinstance(found, str):
        raise DataError(f"{path}: expected an array named {port}, found {found}")
    return found


def _load(file: BinaryIO, names: tuple[str, ...]) -> "np.ndarray | str":
    """The only array of a file, or the first it has of these names; if none, the names it has."""
    import numpy as np

    stored = np.load(file, allow_pickle=False)
    if isinstance(stored, np.ndarray):
        return stored
    with stored:
        for name in names:
            if name in stored:
                return stored[name]
        return ", ".join(stored) or "none"


def in_batches(graph: "Graph", inputs: Mapping[str, "np.ndarray"]) -> dict[str, "np.ndarray"]:
    """Every output by name, for inputs of equally many rows, a batch of them at a time."""
    import numpy as np

    rows = {name: np.atleast_1d(array) for name, array in inputs.items()}
    count = max(1, *map(len, rows.values()))
    chunks = [{name: array[at : at + BATCH] for name, array in rows.items()} for at in range(0, count, BATCH)]
    results = [graph.execute(graph.check(chunk)) for chunk in chunks]
    return {name: np.concatenate([result[name] for result in results]) for name in results[0]}


def as_images(graph: "Graph", outputs: Mapping[str, "np.ndarray"], name: str) -> "np.ndarray":
    """An output, pixels in [-1, 1] [n, C, H, W], as uint8 [n, H, W, C].

    Raises:
        FileError: There is no such output, or it holds no images of the file's size.
    """
    from gen_export.spec.pixels import pictures
    from gen_runtime import FileError

    if name not in outputs:
        raise FileError(f"{graph.path}: expected an output {name}, found {', '.join(outputs)}")
    size, found = graph.card.image, list(outputs[name].shape)
    expected = [len(outputs[name]), size.channels, size.height, size.width]
    if found != expected:
        raise FileError(f"{graph.path}: {name}: expected images of the shape {expected}, found {found}")
    return pictures(outputs[name])


def counted(images: "np.ndarray") -> str:
    """How many images of which height and width: `3 images of 28x28`."""
    count, height, width, _ = images.shape
    return f"{count} image{'s' * (count != 1)} of {height}x{width}"


def tell(what: str, paths: list[Path]) -> None:
    """One line that says what was written where."""
    typer.echo(f"{what}: {', '.join(map(str, paths))}")
