"""Seeded noise as counter-based integer arithmetic: the same words on every machine and in every language.

Widynski, *Squares: A Fast Counter-Based RNG* (2020), arXiv:2004.06278 (the four-round, 32-bit generator);
Steele et al., *Fast Splittable Pseudorandom Number Generators* (OOPSLA 2014) (the mixer of splitmix64);
Box & Muller (1958) (the normals).

Word p of draw d, at counter d 2^32 + p, gives the p-th uniform number of a draw; two words in a row give a pair of
normals. All integers are uint64 modulo 2^64. The rounds use Mul, Add and Div only, because ONNX Runtime's CUDA provider
has no shifts; the keys, one number a sample, use shifts and bitwise operations, once.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

Array = Any

SCHEME = "squares32-splitmix64-boxmuller-1"
TWO_32 = 2**32


def splitmix64(x: Array) -> Array:
    """One output of splitmix64 from state x, uint64."""
    z = x + 0x9E3779B97F4A7C15
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB
    return z ^ (z >> 31)


def sample_keys(seed: Array, index: Array) -> Array:
    """The odd key of each sample, splitmix64(splitmix64(seed) + index) | 1, uint64 (N,); seed bits are (1,)."""
    return splitmix64(splitmix64(seed) + index) | 1


def _swap_halves(x: Array) -> Array:
    """Exchange the 32-bit halves."""
    return x // TWO_32 + x * TWO_32


def squares_word(counter: Array, key: Array) -> Array:
    """The 32-bit word of a counter under a key, as uint64; the two broadcast."""
    x = counter * key
    y = x
    z = y + key
    x = _swap_halves(x * x + y)
    x = _swap_halves(x * x + z)
    x = _swap_halves(x * x + y)
    return (x * x + z) // TWO_32


def _uniform(word: Array) -> Array:
    """The top 24 bits of a word as the midpoint of their cell in (0, 1), float64."""
    xp = array_namespace(word)
    return (xp.astype(word // 256, xp.float64) + 0.5) * 2.0**-24


def uniforms(keys: Array, draw: Array, size: int) -> Array:
    """Uniform numbers of one draw, float64 (N, size): of word p at counter draw 2^32 + p, ((word >> 8) + 0.5) 2^-24.

    They are the midpoints of the 2^24 cells of (0, 1), so never 0 or 1.

    Args:
        keys: `sample_keys`, uint64 (N,).
        draw: 0 for the initial noise, j for that of step j, uint64 (1,).
        size: Numbers a sample, at most 2^32.
    """
    xp = array_namespace(keys)
    counter = draw * TWO_32 + xp.arange(size, dtype=xp.uint64)
    return _uniform(squares_word(counter, xp.reshape(keys, (-1, 1))))


def normals(keys: Array, draw: Array, size: int) -> Array:
    """Standard normal numbers of one draw, float64 (N, size).

    Computed in float64, so that rounding to float32 hides how each runtime rounds Log and Sin. The cosine is the sine
    of a quarter turn more, which is exact here: ONNX Runtime has a Cos of float64 only since 1.29.

    Args:
        keys: `sample_keys`, uint64 (N,).
        draw: 0 for the initial noise, j for that of step j, uint64 (1,).
        size: Numbers a sample, at most 2^32.
    """
    xp = array_namespace(keys)
    pairs = (size + 1) // 2
    counter = draw * TWO_32 + xp.arange(pairs, dtype=xp.uint64) * 2
    key = xp.reshape(keys, (-1, 1))
    radius = xp.sqrt(-2.0 * xp.log(_uniform(squares_word(counter, key))))
    turn = _uniform(squares_word(counter + 1, key))
    cosine, sine = (xp.sin(2.0 * math.pi * each) for each in (turn + 0.25, turn))
    return xp.concat([radius * cosine, radius * sine], axis=1)[:, :size]


def signs(keys: Array, draw: Array, size: int) -> Array:
    """Independent signs of one draw, -1 or 1 with equal chances (Rademacher), float32 (N, size): of `uniforms`."""
    xp = array_namespace(keys)
    return 2.0 * xp.astype(uniforms(keys, draw, size) > 0.5, xp.float32) - 1.0


class Law(NamedTuple):
    """What numbers are drawn.

    Attributes:
        name: `normal`, `uniform` in [0, 1) or `integer`.
        low: The least integer.
        high: The least one above all.
    """

    name: str
    low: int = 0
    high: int = 1


def drawn(law: Law, keys: Array, draw: Array, size: int) -> Array:
    """Numbers of a law, (N, size), float32 or int64: of `normals` and `uniforms` by the same arguments.

    Uniform numbers are the lower ends of the cells, which float32 holds.
    """
    xp = array_namespace(keys)
    if law.name == "normal":
        return xp.astype(normals(keys, draw, size), xp.float32)
    unit = uniforms(keys, draw, size) - 2.0**-25
    if law.name == "uniform":
        return xp.astype(unit, xp.float32)
    return xp.astype(unit * (law.high - law.low), xp.int64) + law.low


def seed_bits(seed: int) -> np.ndarray:
    """The 64 bits of a signed or unsigned seed, uint64 (1,)."""
    return np.array([seed % 2**64], np.uint64)


def sample_normals(seed: int, indices: np.ndarray, draw: int, shape: tuple[int, ...]) -> np.ndarray:
    """Noise of samples `indices` for one draw as the files compute it, float32 (N, *shape)."""
    keys = sample_keys(seed_bits(seed), np.asarray(indices).astype(np.uint64))
    z = normals(keys, np.array([draw], np.uint64), math.prod(shape))
    return z.astype(np.float32).reshape(len(keys), *shape)


def counter_normals(seed: int, step: int, size: int) -> np.ndarray:
    """The reference's own noise (`normalNoise`, section 9.4), float64 (size,): cosines only, keyed by seed + step."""
    key = splitmix64(np.array([seed + step], np.uint64))
    i = np.arange(size, dtype=np.uint64)
    u1, u2 = (splitmix64(key + 2 * i + offset) % TWO_32 / TWO_32 for offset in (0, 1))
    return np.sqrt(-2.0 * np.log(np.maximum(u1, 1e-6))) * np.cos(2.0 * math.pi * u2)
