"""Pictures inside the page: PNG files as data URIs, of the folder's own or of images just drawn."""

import base64
import struct
from dataclasses import dataclass

from gen_runtime.images import Image, png

LARGEST = 2**22
"""Bytes of the largest PNG file shown: a preview has some ten thousand."""
LONGEST_SIDE = 4096
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture with its caption.

    Attributes:
        uri: The PNG file as a data URI.
        width: In pixels.
        height: In pixels.
        caption: What it shows.
    """

    uri: str
    width: int
    height: int
    caption: str


def of_png(content: bytes, caption: str) -> Picture | None:
    """The picture of a PNG file; None where its first bytes are none's, or say that it is large."""
    if len(content) < 24 or not content.startswith(_SIGNATURE) or content[12:16] != b"IHDR":
        return None
    width, height = struct.unpack(">II", content[16:24])
    if not (0 < width <= LONGEST_SIDE and 0 < height <= LONGEST_SIDE):
        return None
    return Picture(f"data:image/png;base64,{base64.b64encode(content).decode()}", width, height, caption)


def of_image(image: Image, caption: str) -> Picture:
    """The picture of an image, uint8 (H, W, C)."""
    height, width, _ = image.shape
    return Picture(f"data:image/png;base64,{base64.b64encode(png(image)).decode()}", width, height, caption)
