"""Facts of the seeded noise and of bytes: known answers, an independent formulation in whole numbers, and laws."""

import math
from dataclasses import replace

import numpy as np

from gen_export.spec.noise import (
    counter_normals,
    normals,
    sample_keys,
    sample_normals,
    seed_bits,
    splitmix64,
    squares_word,
    uniforms,
)
from gen_export.spec.pixels import from_bytes, to_bytes
from gen_export.verify.fact import Finding, fact, same_bits, worst, worst_of
from gen_export.verify.facts.forward_law import FALSE_ALARM, normality
from gen_export.verify.files import random

CASES = 500
FULL = 2**64
SEED_KEYS = {
    (0, 0): 0xA706DD2F4D197E6F,
    (0, 1): 0x2A98F501AF37E97F,
    (42, 0): 0x57E1FABA65107205,
    (42, 7): 0xFE2F108189F83DF7,
    (-1, 0): 0x5DC20AA7B2A27137,
}
WORDS = {0: 0x41AB8567, 1: 0xEE1C90F3, 2: 0x6EE63020, 3: 0x78FA7918, 2**32: 0xCAA5137E}
NORMALS = {
    (42, 0, 0): (1.49311651, -1.27432776, -0.33546315, -0.70119426, 0.22181229),
    (42, 7, 0): (-0.82262735, 1.12652546, -0.12310106, -0.44283385, -2.12805982),
    (42, 0, 3): (1.26794693, -0.73834023, 0.9088249, -1.11805715, 0.62820804),
}
_OURS = "gen_export.noise.{}".format


def _uint64(*values: int) -> np.ndarray:
    return np.array(values, np.uint64)


def _key(seed: int, index: int) -> int:
    return int(sample_keys(seed_bits(seed), _uint64(index))[0])


def _mixed(x: int) -> int:
    """One output of splitmix64, in Python's whole numbers."""
    z = (x + 0x9E3779B97F4A7C15) % FULL
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % FULL
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % FULL
    return z ^ (z >> 31)


def _word(counter: int, key: int) -> int:
    """Squares' 32-bit word, in Python's whole numbers, its rotations as shifts."""
    x = y = counter * key % FULL
    z = (y + key) % FULL
    for added in (y, z, y):
        x = (x * x + added) % FULL
        x = (x >> 32) | (x << 32) % FULL
    return (x * x + z) % FULL >> 32


@fact(_OURS("splitmix64"), "exact")
def splitmix64_is_right() -> Finding:
    """Of 0 splitmix64 is e220a8397b1dcdaf and of 1 910a2dec89025cc1; elsewhere it is what whole numbers give."""
    x = random("splitmix64").integers(0, FULL, CASES, dtype=np.uint64, endpoint=False)
    found = np.concatenate([splitmix64(_uint64(0, 1)), splitmix64(x)])
    expected = [0xE220A8397B1DCDAF, 0x910A2DEC89025CC1, *map(_mixed, x.tolist())]
    return same_bits(found, _uint64(*expected), len(expected))


@fact(_OURS("keys"), "exact")
def keys_are_right() -> Finding:
    """A sample's key is splitmix64(splitmix64(seed) + index) | 1, as known for five, the seed -1 among them."""
    pairs = [(int(seed), int(i)) for seed, i in random("keys").integers(-(2**63), 2**63 - 1, (CASES, 2))]
    found = [_key(seed, index) for seed, index in SEED_KEYS] + [_key(seed, i % FULL) for seed, i in pairs]
    expected = [*SEED_KEYS.values(), *(_mixed((_mixed(seed % FULL) + i) % FULL) | 1 for seed, i in pairs)]
    return same_bits(_uint64(*found), _uint64(*expected), len(expected))


@fact(_OURS("words"), "exact")
def words_are_right() -> Finding:
    """The word of a counter under a key is that of Squares: known under key(42, 0), and what whole numbers give."""
    rng = random("words")
    counters, keys = rng.integers(0, FULL, (2, CASES), dtype=np.uint64, endpoint=False)
    known = squares_word(_uint64(*WORDS), _uint64(SEED_KEYS[42, 0]))
    expected = [*WORDS.values(), *(_word(c, k) for c, k in zip(counters.tolist(), keys.tolist(), strict=True))]
    return same_bits(np.concatenate([known, squares_word(counters, keys)]), _uint64(*expected), len(expected))


@fact(_OURS("normals"), "tolerance")
def normals_are_right() -> Finding:
    """The first five normals of three draws are the known ones: Box and Muller's, cosines before sines."""
    found = [sample_normals(seed, _uint64(index), draw, (5,))[0] for seed, index, draw in NORMALS]
    # Printed to 8 decimals, from float32 values below 4.
    return worst(np.abs(np.stack(found) - np.array(list(NORMALS.values()))), 5e-9 + 2.0**-23, 15)


@fact(_OURS("uniforms"), "exact")
def uniforms_are_midpoints() -> Finding:
    """Uniform p of draw d is ((word(d 2^32 + p) >> 8) + 1/2) 2^-24 in float64, never 0 or 1."""
    keys = sample_keys(seed_bits(42), np.arange(3, dtype=np.uint64))
    found = np.stack([uniforms(keys, _uint64(draw), 50) for draw in (0, 3)])
    words = [[[_word(draw * 2**32 + p, key) for p in range(50)] for key in keys.tolist()] for draw in (0, 3)]
    return same_bits(found, ((np.array(words) >> 8) + 0.5) / 2.0**24, found.size)


@fact(_OURS("uniform_pairs_make_normals"), "tolerance")
def normals_are_of_pairs_of_uniforms() -> Finding:
    """Normals p and H + p are sqrt(-2 log u) times cos and sin of 2 pi u', of uniforms u = 2p and u' = 2p + 1."""
    keys, draw = sample_keys(seed_bits(-5), np.arange(4, dtype=np.uint64)), _uint64(2)
    u = uniforms(keys, draw, 14)
    radius, angle = np.sqrt(-2.0 * np.log(u[:, 0::2])), 2.0 * math.pi * u[:, 1::2]
    both = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    found = np.concatenate([normals(keys, draw, 14), normals(keys, draw, 13)], axis=1)
    # The same functions of the same numbers, of at most 6: a few float64 roundings.
    return worst(np.abs(found - np.concatenate([both, both[:, :13]], axis=1)), 2.0**-46, found.size)


@fact(_OURS("law"), "statistical")
def drawn_numbers_are_normal() -> Finding:
    """The numbers of a seed are standard normal, and so are their sums over sqrt 2 in pairs, as of independent ones.

    Pairs are of neighbouring positions, of the two normals of one radius, of neighbouring samples and of draws.
    """
    z = np.stack([sample_normals(7, np.arange(8, dtype=np.uint64), draw, (512,)) for draw in range(8)])
    halves = (z[..., 0::2], z[..., 1::2]), (z[..., :256], z[..., 256:]), (z[:, 0::2], z[:, 1::2]), (z[0::2], z[1::2])
    laws = [z, *((first + second) / math.sqrt(2.0) for first, second in halves)]
    return replace(worst_of(normality(law, "", FALSE_ALARM / len(laws)) for law in laws), false_alarm=FALSE_ALARM)


@fact(_OURS("reference_normals"), "tolerance")
def reference_noise_is_right() -> Finding:
    """The reference's normalNoise of seed 2026 at steps 0 and 1 begins with the eight numbers that it prints."""
    expected = [-0.371478, 0.424449, -2.588055, -0.399177, -2.005875, -0.755544, 0.793759, -1.486665]
    found = np.concatenate([counter_normals(2026, step, 4) for step in (0, 1)])
    return worst(np.abs(found - expected), 5.1e-7, 8, "printed to 6 decimals")


@fact("gen_export.pixels.round_trip", "exact")
def bytes_come_back() -> Finding:
    """Each of the 256 bytes, as a float32 in [-1, 1], is the nearest byte of itself."""
    every = np.arange(256, dtype=np.uint8)
    return same_bits(to_bytes(from_bytes(every.astype(np.float32))), every, 256)


@fact("gen_export.pixels.nearest_byte", "exact")
def bytes_are_rounded_half_to_even() -> Finding:
    """A value's byte is (x + 1) 127.5 rounded half to even and clamped to 0..255; halves and infinities included."""
    halves = (np.arange(-4, 260) + 0.5) / 127.5 - 1.0
    x = np.concatenate([halves, random("bytes").uniform(-1.2, 1.2, CASES), [0.0, math.inf, -math.inf, 1.0, -1.0]])
    exact = ((x + 1.0) * 127.5).tolist()
    expected = [0 if v <= 0 else 255 if v >= 255 else round(v) for v in exact]
    return same_bits(to_bytes(x), np.array(expected, np.uint8), len(x), f"{sum(v % 1 == 0.5 for v in exact)} halves")
