"""Small files for the tests of data, made as their formats say."""

import struct
from pathlib import Path

import numpy as np
from PIL import Image


def idx_bytes(array: np.ndarray, dtype: int = 0x08) -> bytes:
    """The idx file of a uint8 array."""
    return bytes([0, 0, dtype, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def pixels(*shape: int, seed: int = 0) -> np.ndarray:
    """Random uint8 numbers."""
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def save_image(path: Path, colour: object, mode: str = "RGB", size: tuple[int, int] = (8, 6)) -> None:
    """Writes one plain image."""
    Image.new(mode, size, colour).save(path)  # pyright: ignore[reportArgumentType]


def break_picture(path: Path) -> None:
    """Cuts an image's data and leaves its header, so that only decoding finds out."""
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"IDAT") + 6])
