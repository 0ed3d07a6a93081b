"""Images to files and grids, with nothing but NumPy and the standard library.

An image is uint8 `[height, width, channels]` with 1 channel (gray) or 3 (RGB), 0 black to 255 white.
"""

import math
import os
import struct
import zlib

import numpy as np
import numpy.typing as npt

from gen_runtime.files import atomic

Image = npt.NDArray[np.uint8]

_GAP_GRAY = 128
_PNG_COLOUR = {1: 0, 3: 2}
_PPM_NUMBERS_A_LINE = 15  # the format asks for lines of at most 70 characters; a number takes up to 4


def save_png(path: str | os.PathLike[str], image: Image) -> None:
    """Writes one image, uint8 [H, W, 1 or 3], as an 8-bit PNG.

    Raises:
        ValueError: `image` has another dtype or shape.
        FileError: The file cannot be written; no half-written one is left.
    """
    content = png(image)
    with atomic(path) as file:
        file.write(content)


def png(image: Image) -> bytes:
    """One image, uint8 [H, W, 1 or 3], as an 8-bit PNG file.

    Raises:
        ValueError: `image` has another dtype or shape.
    """
    height, width, channels = _checked(image, ndim=3).shape
    header = struct.pack(">IIBBBBB", width, height, 8, _PNG_COLOUR[channels], 0, 0, 0)
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # a leading 0 a row: no filter
    rows[:, 1:] = image.reshape(height, -1)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in chunks)


def _chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG file: its length, kind and body, and a checksum of the last two."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def save_ppm(path: str | os.PathLike[str], image: Image, ascii: bool = False) -> None:  # noqa: A002
    """Writes one image, uint8 [H, W, 1 or 3], as PPM; gray becomes RGB with equal channels.

    Args:
        path: The file to write.
        image: The image.
        ascii: Write numbers as text (P3) instead of bytes (P6).

    Raises:
        ValueError: `image` has another dtype or shape.
        FileError: The file cannot be written; no half-written one is left.
    """
    height, width, _ = _checked(image, ndim=3).shape
    rgb = np.broadcast_to(image, (height, width, 3))
    with atomic(path) as file:
        file.write(f"{'P3' if ascii else 'P6'}\n{width} {height}\n255\n".encode())
        file.write(_numbers(rgb) if ascii else rgb.tobytes())


def grid(images: Image, columns: int | None = None, gap: int = 2) -> Image:
    """Lays images, uint8 [n, H, W, C], out row by row as one image on mid-gray.

    Args:
        images: The images; at least one.
        columns: Images a row; about a square where None.
        gap: Pixels between neighbours; none around the outside.

    Raises:
        ValueError: `images` has another dtype or shape or is empty, `columns` < 1, or `gap` < 0.
    """
    count, height, width, channels = _checked(images, ndim=4).shape
    columns = math.ceil(math.sqrt(count)) if columns is None else columns
    if columns < 1 or gap < 0:
        raise ValueError(f"grid needs columns >= 1 and gap >= 0, found columns={columns}, gap={gap}")
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    sheet = np.full((rows * (height + gap), columns * (width + gap), channels), _GAP_GRAY, np.uint8)
    cells = sheet.reshape(rows, height + gap, columns, width + gap, channels)
    for index, image in enumerate(images):
        cells[index // columns, :height, index % columns, :width] = image
    return sheet[: rows * (height + gap) - gap, : columns * (width + gap) - gap]


def _checked(image: Image, ndim: int) -> Image:
    """The array itself, if it is a uint8 image (ndim 3) or a batch of them (ndim 4) with no empty axis."""
    expected = "[H, W, 1 or 3]" if ndim == 3 else "[n, H, W, 1 or 3]"
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != ndim or image.shape[-1] not in _PNG_COLOUR or not image.size:
        found = f"{image.dtype} {list(image.shape)}"
        raise ValueError(f"expected uint8 {expected} with no empty axis, found {found}")
    return image


def _numbers(rgb: Image) -> bytes:
    """The pixels as decimal text, in lines that the format allows."""
    words = [str(value) for value in rgb.ravel().tolist()]
    step = _PPM_NUMBERS_A_LINE
    return "".join(" ".join(words[at : at + step]) + "\n" for at in range(0, len(words), step)).encode()
