"""Sprites: the embedded set. One coloured shape on a dark ground, drawn from six known factors.

    image i = render(factors(seed, i))      factors: shape, colour, size, angle, x, y, all independent

A sprite is the set of points whose signed distance d to its outline is negative; its coverage of a pixel is
clip(1/2 - d, 0, 1), with d in pixels. The factors are words of the counter-based generator of `spec.noise`,
so image i depends on (seed, i) alone.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gen_export.data.image_set import ImageSet
from gen_export.spec.noise import sample_keys, seed_bits, squares_word

SIDE = 32
SIZES = (6.0, 10.0)
MARGIN = 11.0
# Small enough that the arrays of one chunk stay in the processor's cache.
CHUNK = 64

PALETTE = {
    "red": (239, 71, 87),
    "orange": (251, 139, 54),
    "yellow": (255, 214, 92),
    "green": (92, 205, 120),
    "teal": (38, 198, 198),
    "blue": (76, 141, 255),
    "violet": (155, 108, 246),
    "pink": (255, 126, 190),
}
GROUND_TOP, GROUND_BOTTOM = (17, 19, 34), (38, 42, 66)
GLOW = 0.3
GLOW_RADIUS = 3.0

# Points relative to the sprite's centre in units of its size: arrays u (right) and v (up) of one shape.
Points = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True)
class SpriteFactors:
    """What determines a sprite; each an array [n].

    Attributes:
        shape: Index into `SHAPES`.
        colour: Index into `PALETTE`.
        size: Radius in pixels, 6 to 10.
        angle: Counter-clockwise turn in degrees, 0 to 360; shapes with a symmetry repeat within it.
        x: Centre in pixels from the left edge, 11 to 21.
        y: Centre in pixels from the top edge, 11 to 21.
    """

    shape: np.ndarray
    colour: np.ndarray
    size: np.ndarray
    angle: np.ndarray
    x: np.ndarray
    y: np.ndarray


class SpriteSet(ImageSet):
    """`count` sprites of a seed from number `first` on, rendered when asked for."""

    name = "sprites"
    image_shape = (SIDE, SIDE, 3)

    def __init__(self, count: int, first: int = 0, seed: int = 0) -> None:
        self._numbers = np.arange(first, first + count)
        self._seed = seed
        self.labels = self.factors(np.arange(count)).shape
        self.label_names = tuple(SHAPES)

    def __len__(self) -> int:
        return len(self._numbers)

    def _read(self, indices: np.ndarray) -> np.ndarray:
        return render_sprites(self.factors(indices))

    def factors(self, indices: np.ndarray) -> SpriteFactors:
        """The factors of the images at `indices`."""
        return sprite_factors(self._seed, self._numbers[indices])


def sprite_factors(seed: int, indices: np.ndarray) -> SpriteFactors:
    """The factors of sprites number `indices` of a seed, each uniform on its range."""
    keys = sample_keys(seed_bits(seed), np.asarray(indices).astype(np.uint64))
    words = squares_word(np.arange(6, dtype=np.uint64)[:, None], keys)
    shape, colour, size, angle, x, y = words / 2.0**32
    return SpriteFactors(
        shape=(shape * len(SHAPES)).astype(np.int64),
        colour=(colour * len(PALETTE)).astype(np.int64),
        size=SIZES[0] + size * (SIZES[1] - SIZES[0]),
        angle=360.0 * angle,
        x=MARGIN + x * (SIDE - 2 * MARGIN),
        y=MARGIN + y * (SIDE - 2 * MARGIN),
    )


def render_sprites(factors: SpriteFactors) -> np.ndarray:
    """The pictures of the factors, uint8 [n, 32, 32, 3]."""
    pictures = np.empty((len(factors.shape), SIDE, SIDE, 3), np.uint8)
    for shape, distance in enumerate(SHAPES.values()):
        rows = np.flatnonzero(factors.shape == shape)
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            pictures[chunk] = _render(factors, chunk, distance)
    return pictures


def _render(factors: SpriteFactors, rows: np.ndarray, distance: Callable[[Points], np.ndarray]) -> np.ndarray:
    """The pictures of rows that share a shape, uint8 [k, 32, 32, 3]."""
    size = factors.size[rows].astype(np.float32)[:, None, None]
    points = _points(factors, rows)
    d = distance(points)
    # Outside corners d is only a lower bound: the circle around the sprite keeps the glow from streaking.
    halo = np.maximum(d, _length(*points) - 1) * size
    cover = np.clip(0.5 - d * size, 0, 1)
    glow = GLOW / (1 + (np.maximum(halo, 0) / GLOW_RADIUS) ** 2)
    weight = np.maximum(cover, glow)[..., None]
    ground = _ground()
    colour = np.array(list(PALETTE.values()), np.float32)[factors.colour[rows]][:, None, None]
    return (ground + weight * (colour - ground) + 0.5).astype(np.uint8)


def _points(factors: SpriteFactors, rows: np.ndarray) -> Points:
    """The pixel centres in each sprite's own frame, in units of its size, float32 [k, 32, 32]."""
    pixel = np.arange(SIDE) + 0.5
    right = ((pixel - factors.x[rows, None]) / factors.size[rows, None])[:, None, :]
    up = ((factors.y[rows, None] - pixel) / factors.size[rows, None])[:, :, None]
    turn = np.deg2rad(factors.angle[rows])[:, None, None]
    # Turned in float64 and then rounded, so that how a processor rounds sines does not reach the pixels.
    u = (right * np.cos(turn)).astype(np.float32) + (up * np.sin(turn)).astype(np.float32)
    v = (up * np.cos(turn)).astype(np.float32) - (right * np.sin(turn)).astype(np.float32)
    return u, v


def _ground() -> np.ndarray:
    """The background: dark, a little lighter towards the bottom, float32 [32, 1, 3]."""
    return np.linspace(GROUND_TOP, GROUND_BOTTOM, SIDE, dtype=np.float32)[:, None]


def _length(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.sqrt(u * u + v * v)


def _circle(p: Points) -> np.ndarray:
    u, v = p
    return _length(u, v) - np.float32(0.85)


def _ring(p: Points) -> np.ndarray:
    u, v = p
    return abs(_length(u, v) - np.float32(0.7)) - np.float32(0.22)


def _box(u: np.ndarray, v: np.ndarray, half_width: float, half_height: float) -> np.ndarray:
    return np.maximum(abs(u) - np.float32(half_width), abs(v) - np.float32(half_height))


def _square(p: Points) -> np.ndarray:
    return _box(*p, 0.72, 0.72)


def _cross(p: Points) -> np.ndarray:
    u, v = p
    return np.minimum(_box(u, v, 0.95, 0.3), _box(u, v, 0.3, 0.95))


def _edges(p: Points, count: int, inner_radius: float) -> list[np.ndarray]:
    """Distances to the lines through the sides of a regular polygon, one corner up."""
    u, v = p
    angles = np.pi / 2 + np.pi * (2 * np.arange(count) + 1) / count
    normals = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    return [u * nu + v * nv - np.float32(inner_radius) for nu, nv in normals]


def _triangle(p: Points) -> np.ndarray:
    return np.maximum.reduce(_edges(p, 3, 0.5))


def _star(p: Points) -> np.ndarray:
    """The pentagram: the points inside all but at most one of the five lines."""
    first, *others = _edges(p, 5, 0.32)
    greatest, second = first, np.full_like(first, -np.inf)
    for edge in others:
        second = np.maximum(second, np.minimum(greatest, edge))
        greatest = np.maximum(greatest, edge)
    return second


def _heart(p: Points) -> np.ndarray:
    """A square on its corner with a half disc on each upper side."""
    u, v = abs(p[0]), p[1] + np.float32(0.15)
    half, root_half = np.float32(0.56), np.float32(0.5**0.5)
    square = np.maximum(abs(u + v), abs(u - v)) * root_half - half
    disc = _length(u - half * root_half, v - half * root_half) - half
    return np.minimum(square, disc)


def _moon(p: Points) -> np.ndarray:
    u, v = p
    outer = _length(u, v) - np.float32(0.9)
    bite = _length(u - np.float32(0.45), v) - np.float32(0.72)
    return np.maximum(outer, -bite)


SHAPES: dict[str, Callable[[Points], np.ndarray]] = {
    "circle": _circle,
    "ring": _ring,
    "square": _square,
    "cross": _cross,
    "triangle": _triangle,
    "star": _star,
    "heart": _heart,
    "moon": _moon,
}
