"""One image file: its header, which is cheap to read, and its picture."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from gen_export.data.files import reason

# What Pillow decodes by itself; for some other formats it would start outside programs.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
GREY_MODES = ("1", "L")


class BadImageError(Exception):
    """A file is not an image that can be used; the message says why."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file whose header is that of an image."""

    path: Path
    mode: str
    size: tuple[int, int]


def checked_file(path: Path, root: Path) -> ImageFile:
    """The file, once its header is read.

    Raises:
        BadImageError: It is no file in the folder, no image, too large to decode, or not of 8 bits a channel.
    """
    if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(root):
        raise BadImageError("expected a file in the folder, found a link that leads outside")
    if not path.is_file():
        raise BadImageError("expected an image, found what is not a regular file")
    return ImageFile(path, *header(path))


def header(file: Path | IO[bytes]) -> tuple[str, tuple[int, int]]:
    """Pillow's mode of an image, and its width and height; not for several threads at once.

    Raises:
        BadImageError: It is no image, too large to decode, or not of 8 bits a channel.
    """
    with warnings.catch_warnings(), _pillow_errors():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(file, formats=FORMATS) as image:
            mode, size = image.mode, image.size
    _require_bytes(mode)
    return mode, size


def _require_bytes(mode: str) -> None:
    if mode.startswith(("I", "F")):
        raise BadImageError(f"expected 8 bits a channel, found Pillow's mode {mode}")


def decode_image(file: Path | IO[bytes], image_shape: tuple[int, int, int], *, resize: bool) -> np.ndarray:
    """The picture in a file, uint8 [H, W, C], upright and on white where it is transparent.

    Args:
        file: The file.
        image_shape: Its (H, W, C).
        resize: Resize the shorter side and crop the centre.

    Raises:
        BadImageError: It cannot be decoded, or has another size.
    """
    height, width, channels = image_shape
    mode = "L" if channels == 1 else "RGB"
    with _pillow_errors(), Image.open(file, formats=FORMATS) as image:
        _require_bytes(image.mode)
        if resize:
            # A JPEG decodes much faster at a fraction of its size; twice the target keeps the quality.
            image.draft(mode, (2 * width, 2 * height))
        upright = _on_white(ImageOps.exif_transpose(image)).convert(mode)
        picture = ImageOps.fit(upright, (width, height), Image.Resampling.BICUBIC) if resize else upright
    if picture.size != (width, height):
        expected, found = f"{width}x{height}", f"{picture.width}x{picture.height}"
        raise BadImageError(f"expected {expected} pixels, as at opening, found {found}")
    return np.asarray(picture).reshape(image_shape)


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


@contextmanager
def _pillow_errors() -> Iterator[None]:
    """Turns what Pillow raises into a bad image."""
    try:
        yield
    except BadImageError:
        raise
    # Its decoders raise whatever they meet in a broken file: there is no common class.
    except Exception as error:
        raise BadImageError(f"expected an image, found {_cause(error)}") from error


def _cause(error: Exception) -> str:
    """What is wrong, without the path."""
    return "no known image format" if isinstance(error, UnidentifiedImageError) else reason(error)
