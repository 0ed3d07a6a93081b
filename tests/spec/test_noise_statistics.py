"""The noise under test: is it independent standard normal, over samples, draws and seeds?

Everything is seeded, so a run is one draw of the false-alarm probability: all tests of a generator together reject a
perfect one with probability at most `FALSE_ALARM` (Bonferroni; sums are taken as normal by the central limit).
Broken generators show what the battery can see.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from scipy import stats

from gen_export.spec import noise
from gen_export.spec.noise import normals, sample_keys, seed_bits, splitmix64, squares_word

FALSE_ALARM = 1e-6
SEEDS = [0, 1, -1, 2**63 - 1, -(2**63), 2, 42, 1000, 2**32, 2**53]
SAMPLES, SIZE = 16, 1024
Keys = Callable[[np.ndarray, np.ndarray], np.ndarray]
Normals = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def drawn(keys: Keys, numbers: Normals, draws: int) -> np.ndarray:
    """Normals by seed, draw, sample and number, [10, draws, 16, 1024]."""
    index = np.arange(SAMPLES, dtype=np.uint64)
    return np.stack(
        [
            [numbers(keys(seed_bits(seed), index), np.array([d], np.uint64), SIZE) for d in range(draws)]
            for seed in SEEDS
        ]
    )


def two_sided(z: float) -> float:
    return 2.0 * stats.norm.sf(abs(z))


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """The p-value of the correlation of two independent standardised sets: a sum of n products has variance n."""
    return two_sided(float(np.mean(a * b)) * np.sqrt(a.size))


def law(z: np.ndarray) -> Iterator[tuple[str, float]]:
    """Is one set of numbers standard normal? Four moments, each a sum of known mean and variance, and the whole law."""
    n = z.size
    for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        yield f"moment {power}", two_sided((np.mean(z**power) - mean) * np.sqrt(n / variance))
    yield "Kolmogorov-Smirnov", stats.kstest(z.ravel(), "norm").pvalue


def independence(z: np.ndarray) -> Iterator[tuple[str, float]]:
    """Do numbers, or their squares, go together along any axis of [seed, draw, sample, number]?"""
    squares = (z**2 - 1) / np.sqrt(2)
    for kind, values in (("", z), (" of squares", squares)):
        cosines, sines = values[..., : SIZE // 2], values[..., SIZE // 2 :]
        yield f"pairs{kind}", correlation(cosines, sines)
        for half, part in (("cosines", cosines), ("sines", sines)):
            for lag in (1, 2, 4):
                yield f"{half}: lag {lag}{kind}", correlation(part[..., lag:], part[..., :-lag])
            yield f"{half}: next draw, a pair on{kind}", correlation(part[:, 1:, :, :-1], part[:, :-1, :, 1:])
        yield f"next sample{kind}", correlation(values[:, :, 1:], values[:, :, :-1])
        yield f"next draw{kind}", correlation(values[:, 1:], values[:, :-1])
        for i in range(1, len(SEEDS)):
            yield f"seeds {SEEDS[0]}, {SEEDS[i]}{kind}", correlation(values[0], values[i])
        yield f"seeds 0, 1 shifted by a sample{kind}", correlation(values[0, :, 1:], values[1, :, :-1])


def battery(keys: Keys = sample_keys, numbers: Normals = normals) -> list[tuple[str, float]]:
    """The p-value of every test."""
    z = drawn(keys, numbers, draws=3)
    return [
        *((f"seed {seed}: {name}", p) for seed, part in zip(SEEDS, z, strict=True) for name, p in law(part)),
        *((f"draw {d}: {name}", p) for d in range(z.shape[1]) for name, p in law(z[:, d])),
        *independence(z),
    ]


def word_battery(word: Callable[[np.ndarray, np.ndarray], np.ndarray] = squares_word) -> list[tuple[str, float]]:
    """The p-value of every test of the words of 10 seeds, 4 samples each, of the first 4096 counters."""
    index, counter = np.arange(4, dtype=np.uint64), np.arange(4096, dtype=np.uint64)
    keys = np.concatenate([sample_keys(seed_bits(seed), index) for seed in SEEDS])
    words = word(counter, keys[:, None])
    results = []
    for byte in range(4):
        counts = np.bincount((words >> np.uint64(8 * byte)).astype(np.uint8).ravel(), minlength=256)
        results.append((f"byte {byte}", stats.chisquare(counts).pvalue))
    nibbles = (words >> np.uint64(28)).astype(int)
    results.append(("pairs", stats.chisquare(np.bincount((16 * nibbles[:, ::2] + nibbles[:, 1::2]).ravel())).pvalue))
    for bit in range(32):
        signs = 2.0 * ((words >> np.uint64(bit)) & np.uint64(1)).astype(float) - 1.0
        results += [(f"bit {bit}: lag {lag}", correlation(signs[:, lag:], signs[:, :-lag])) for lag in (1, 2, 4)]
        results.append((f"bit {bit}: next sample", correlation(signs[1:], signs[:-1])))
    return results


def alarms(results: list[tuple[str, float]]) -> list[str]:
    """The tests whose p-value is below their share of the false alarm."""
    return [f"{name}: p = {p:.1e}" for name, p in results if p < FALSE_ALARM / len(results)]


def test_the_normals_pass_the_battery() -> None:
    """Law by seed and draw; correlation along numbers, samples, draws and seeds: false alarm 1e-6 for all together."""
    results = battery()

    assert len(results) > 90
    assert alarms(results) == []


def test_the_words_pass_the_battery() -> None:
    """Bytes and pairs by chi-square, every bit along counters and samples: false alarm 1e-6 for all together."""
    assert alarms(word_battery()) == []


def test_p_values_of_the_battery_are_not_all_the_same() -> None:
    """A statistic that is scaled wrongly gives p-values near 0 or near 1; those of the right law are uniform.

    The tests of one seed and of the whole share numbers, so only a coarse claim is made: each quarter has some.
    """
    quarters = np.bincount([int(4 * min(p, 0.999)) for _, p in battery() + word_battery()], minlength=4)

    assert quarters.min() > 0.15 * quarters.sum()


def box_muller(first: np.ndarray, second: np.ndarray, size: int) -> np.ndarray:
    """Normals of two words a pair."""
    u1, u2 = (((w >> np.uint64(8)).astype(float) + 0.5) / 2**24 for w in (first, second))
    radius, angle = np.sqrt(-2.0 * np.log(u1)), 2.0 * np.pi * u2
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)[:, :size]


def one_counter(keys: np.ndarray, draw: np.ndarray, size: int) -> np.ndarray:
    """Both uniforms of a pair from one word."""
    counter = draw * noise.TWO_32 + np.arange((size + 1) // 2, dtype=np.uint64) * 2
    word = squares_word(counter, keys[:, None])
    return box_muller(word, word, size)


def overlapping_counters(keys: np.ndarray, draw: np.ndarray, size: int) -> np.ndarray:
    """Pair p from words p and p + 1, not 2 p and 2 p + 1."""
    counter = draw * noise.TWO_32 + np.arange((size + 1) // 2, dtype=np.uint64)
    return box_muller(*(squares_word(counter + i, keys[:, None]) for i in (0, 1)), size)


def overlapping_draws(keys: np.ndarray, draw: np.ndarray, size: int) -> np.ndarray:
    """A draw that begins one pair after the one before it."""
    counter = (draw + np.arange((size + 1) // 2, dtype=np.uint64)) * 2
    return box_muller(*(squares_word(counter + i, keys[:, None]) for i in (0, 1)), size)


BROKEN_NORMALS: dict[str, tuple[Keys, Normals]] = {
    "one word for both uniforms": (sample_keys, one_counter),
    "overlapping words": (sample_keys, overlapping_counters),
    "every draw the first": (sample_keys, lambda keys, draw, size: normals(keys, 0 * draw, size)),
    "overlapping draws": (sample_keys, overlapping_draws),
    "every sample the first": (lambda seed, index: sample_keys(seed, 0 * index), normals),
    "every seed the first": (lambda seed, index: sample_keys(0 * seed, index), normals),
    "seed and index added": (lambda seed, index: splitmix64(seed + index) | 1, normals),
    "seed and index as the key": (lambda seed, index: 2 * (seed + index) + 1, normals),
    "a radius without its 2": (sample_keys, lambda keys, draw, size: normals(keys, draw, size) / np.sqrt(2)),
}


@pytest.mark.parametrize("fault", BROKEN_NORMALS)
def test_the_battery_rejects_broken_normals(fault: str) -> None:
    assert alarms(battery(*BROKEN_NORMALS[fault]))


def rounds(rotations: str, low: bool = False) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The generator with (1) or without (0) the rotation of each of three rounds; `low` keeps the wrong half."""

    def word(counter: np.ndarray, key: np.ndarray) -> np.ndarray:
        x = y = counter * key
        z = y + key
        for rotate, added in zip(rotations, (y, z, y), strict=True):
            x = x * x + added
            x = noise._swap_halves(x) if rotate == "1" else x
        x = x * x + z
        return x % noise.TWO_32 if low else x // noise.TWO_32

    return word


def test_the_generator_of_the_mutants_is_the_generator() -> None:
    counter, key = np.arange(1000, dtype=np.uint64), sample_keys(seed_bits(3), np.arange(1, dtype=np.uint64))

    np.testing.assert_array_equal(rounds("111")(counter, key), squares_word(counter, key))


@pytest.mark.parametrize("rotations", ["111", "110", "000"])
def test_the_battery_rejects_the_low_half_of_a_word(rotations: str) -> None:
    """Bit 1 of a square is always 0, so bit 1 of the low half is nearly that of a count."""
    assert alarms(word_battery(rounds(rotations, low=True)))


@pytest.mark.parametrize("rotations", ["011", "101", "110", "000"])
def test_the_known_words_reject_what_still_looks_random(rotations: str) -> None:
    """Without a rotation the high half of the squares still passes statistics of this size; a known answer sees it."""
    found = rounds(rotations)(np.array([1, 2, 3], np.uint64), np.array([0x57E1FABA65107205], np.uint64))

    assert np.all(found != np.array([0xEE1C90F3, 0x6EE63020, 0x78FA7918]))
