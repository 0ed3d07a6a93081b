import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen_export.spec import noise
from gen_export.spec.noise import (
    Law,
    counter_normals,
    drawn,
    normals,
    sample_keys,
    sample_normals,
    seed_bits,
    splitmix64,
    squares_word,
    uniforms,
)
from tests.export.analytic import evaluate, graph_of

MASK = 2**64 - 1
SEEDS = [0, 1, 42, -1, 2**63 - 1, -(2**63)]
EVALUATORS = ["onnxruntime", "reference"]
KNOWN_KEYS = {
    (0, 0): 0xA706DD2F4D197E6F,
    (0, 1): 0x2A98F501AF37E97F,
    (42, 0): 0x57E1FABA65107205,
    (42, 7): 0xFE2F108189F83DF7,
    (-1, 0): 0x5DC20AA7B2A27137,
}
KNOWN_WORDS = {0: 0x41AB8567, 1: 0xEE1C90F3, 2: 0x6EE63020, 3: 0x78FA7918, 2**32: 0xCAA5137E}
KNOWN_NORMALS = {
    (42, 0, 0): [1.49311651, -1.27432776, -0.33546315, -0.70119426, 0.22181229],
    (42, 7, 0): [-0.82262735, 1.12652546, -0.12310106, -0.44283385, -2.12805982],
    (42, 0, 3): [1.26794693, -0.73834023, 0.9088249, -1.11805715, 0.62820804],
}


def uint64(*values: int) -> np.ndarray:
    return np.array([v % 2**64 for v in values], np.uint64)


def mixed(x: int) -> int:
    """splitmix64 in unbounded integers."""
    z = (x + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def word(counter: int, key: int) -> int:
    """The generator as its paper writes it, with shifts, in unbounded integers."""
    x = y = (counter * key) & MASK
    z = (y + key) & MASK
    for added in (y, z, y):
        x = (x * x + added) & MASK
        x = (x >> 32) | ((x << 32) & MASK)
    return ((x * x + z) & MASK) >> 32


def graph_words(seed: int, index: np.ndarray, counter: np.ndarray, by: str) -> np.ndarray:
    """Words of (sample, counter) from a graph that takes the seed as the samplers do."""
    inputs = {"seed": np.array([seed]), "index": index, "counter": counter}

    def compute(seed, index, counter):
        xp = seed.__array_namespace__()
        keys = sample_keys(xp.astype(seed, np.uint64), xp.astype(index, np.uint64))
        return squares_word(counter, xp.reshape(keys, (-1, 1)))

    return evaluate(graph_of(compute, inputs), inputs, by)[0]


def graph_normals(keys: np.ndarray, draw: int, size: int) -> np.ndarray:
    """float32 normals from a graph, as the samplers have them."""
    inputs = {"keys": keys, "draw": uint64(draw)}

    def compute(keys, draw):
        return keys.__array_namespace__().astype(normals(keys, draw, size), np.float32)

    model = graph_of(compute, inputs)
    return evaluate(model, inputs)[0]


def single_precision_normals(keys: np.ndarray, size: int) -> np.ndarray:
    """The same normals with Log and Sin in float32."""

    def compute(first, second):
        xp = first.__array_namespace__()
        u1, u2 = ((xp.astype(w // 256, np.float32) + 0.5) * 2.0**-24 for w in (first, second))
        radius = xp.sqrt(-2.0 * xp.log(u1))
        return xp.concat([radius * xp.sin(2.0 * np.pi * turn) for turn in (u2 + 0.25, u2)], axis=1)

    counter = np.arange(size // 2, dtype=np.uint64) * 2
    inputs = {"first": squares_word(counter, keys[:, None]), "second": squares_word(counter + 1, keys[:, None])}
    return evaluate(graph_of(compute, inputs), inputs)[0]


def test_splitmix64_has_its_known_answers() -> None:
    assert splitmix64(uint64(0, 1)).tolist() == [0xE220A8397B1DCDAF, 0x910A2DEC89025CC1]


@pytest.mark.parametrize(("seed", "index"), KNOWN_KEYS)
def test_a_key_has_its_known_answer(seed: int, index: int) -> None:
    assert sample_keys(seed_bits(seed), uint64(index)).tolist() == [KNOWN_KEYS[seed, index]]


@pytest.mark.parametrize("counter", KNOWN_WORDS)
def test_a_word_has_its_known_answer(counter: int) -> None:
    assert squares_word(uint64(counter), uint64(KNOWN_KEYS[42, 0])).tolist() == [KNOWN_WORDS[counter]]


@pytest.mark.parametrize(("seed", "index", "draw"), KNOWN_NORMALS)
def test_normals_have_their_known_answers(seed: int, index: int, draw: int) -> None:
    found = sample_normals(seed, np.array([index]), draw, (5,))

    # Printed with eight decimals: half a unit of the last.
    np.testing.assert_allclose(found, [KNOWN_NORMALS[seed, index, draw]], rtol=0, atol=1e-8 + 2**-24)


@given(st.integers(0, MASK), st.integers(0, MASK))
def test_words_are_those_of_unbounded_integers_modulo_two_to_the_64(counter: int, key: int) -> None:
    assert splitmix64(uint64(counter)).tolist() == [mixed(counter)]
    assert squares_word(uint64(counter), uint64(key | 1)).tolist() == [word(counter, key | 1)]


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, MASK))
def test_keys_are_odd_and_mix_the_seed_before_the_index(seed: int, index: int) -> None:
    (key,) = sample_keys(seed_bits(seed), uint64(index)).tolist()

    assert key == mixed((mixed(seed % 2**64) + index) & MASK) | 1


@given(st.integers(1, 40), st.integers(0, 50), st.integers(0, 2**20))
def test_normals_are_box_and_mullers_of_the_words(size: int, draw: int, index: int) -> None:
    """Pair p of ceil(D / 2) from words 2 p and 2 p + 1 of the draw: cosines first, then sines."""
    (key,) = sample_keys(seed_bits(42), uint64(index)).tolist()
    half = (size + 1) // 2
    units = [((word(draw * 2**32 + i, key) >> 8) + 0.5) / 2**24 for i in range(2 * half)]
    radius, turn = np.sqrt(-2 * np.log(units[::2])), 2 * np.pi * np.array(units[1::2])
    expected = np.concatenate([radius * np.cos(turn), radius * np.sin(turn)])[:size]
    found = normals(uint64(key), uint64(draw), size)

    np.testing.assert_allclose(found, expected[None], rtol=0, atol=1e-14)


def test_the_largest_normal_is_that_of_the_smallest_uniform() -> None:
    """u1 >= 2^-25, so |z| <= sqrt(50 ln 2) = 5.89: no logarithm of zero."""
    z = normals(sample_keys(seed_bits(0), np.arange(64, dtype=np.uint64)), uint64(0), 4096)

    assert 4.0 < abs(z).max() <= np.sqrt(50 * np.log(2))


def test_a_sample_does_not_depend_on_its_batch() -> None:
    together = sample_normals(5, np.arange(10, 20), 2, (3, 4))

    assert together.dtype == np.float32
    for i in range(10):
        np.testing.assert_array_equal(sample_normals(5, np.array([10 + i]), 2, (3, 4)), together[i : i + 1])


def test_a_signed_seed_has_the_bits_of_its_unsigned_twin() -> None:
    assert seed_bits(-1) == seed_bits(2**64 - 1) == MASK
    assert seed_bits(-(2**63)) == 2**63


def test_drawn_normals_are_normals_in_float32() -> None:
    keys = sample_keys(seed_bits(7), np.arange(3, dtype=np.uint64))

    np.testing.assert_array_equal(
        drawn(Law("normal"), keys, uint64(2), 9), normals(keys, uint64(2), 9).astype(np.float32), strict=True
    )


def test_drawn_uniform_numbers_are_the_lower_ends_of_cells_and_float32_holds_them() -> None:
    keys = sample_keys(seed_bits(7), np.arange(50, dtype=np.uint64))
    found, middles = drawn(Law("uniform"), keys, uint64(2), 4000), uniforms(keys, uint64(2), 4000)

    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.astype(np.float64), middles - 2.0**-25)
    assert 0.0 <= found.min() < 1e-3 < 1.0 - 1e-3 < found.max() < 1.0


@pytest.mark.parametrize("bits", [0, 1, 2**32 - 2**8, 2**32 - 1])
def test_the_ends_of_the_words_are_drawn_within_the_law(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cells of 24 bits from 0 to 1 - 2^-24, and whole numbers from the least to the greatest, none beyond."""
    monkeypatch.setattr(noise, "squares_word", lambda counter, _: uint64(bits) + 0 * counter)
    unit, whole = (drawn(law, uint64(1), uint64(0), 2) for law in (Law("uniform"), Law("integer", -2, 9)))

    assert set(unit) == {(bits >> 8) * 2.0**-24}
    assert set(whole) == {8 if bits >> 8 else -2}


@given(st.integers(-1000, 1000), st.integers(1, 2**24), st.integers(0, 2**20))
def test_drawn_integers_are_within_their_bounds(low: int, count: int, index: int) -> None:
    found = drawn(Law("integer", low, low + count), sample_keys(seed_bits(7), uint64(index)), uint64(0), 64)

    assert found.dtype == np.int64
    assert low <= found.min() <= found.max() < low + count


def test_drawn_integers_are_all_of_their_range_and_as_often() -> None:
    """Of 200,000, each of 11 comes 18,182 times, give or take five standard deviations of 129."""
    keys = sample_keys(seed_bits(7), np.arange(50, dtype=np.uint64))
    numbers, counts = np.unique(drawn(Law("integer", -2, 9), keys, uint64(2), 4000), return_counts=True)

    assert numbers.tolist() == list(range(-2, 9))
    assert abs(counts - 200_000 / 11).max() < 5 * 129


@pytest.mark.parametrize("law", [Law("normal"), Law("uniform"), Law("integer", 1, 61)])
def test_a_graph_draws_the_numbers_of_numpy(law: Law) -> None:
    inputs = {"keys": sample_keys(seed_bits(7), np.arange(5, dtype=np.uint64)), "draw": uint64(3)}
    (found,) = evaluate(graph_of(lambda keys, draw: drawn(law, keys, draw, 101), inputs), inputs)
    expected = drawn(law, inputs["keys"], inputs["draw"], 101)

    assert found.dtype == expected.dtype
    # The logarithms and sines of two libraries may round apart, and so may what float32 makes of them, by a unit.
    np.testing.assert_array_max_ulp(found.astype(np.float32), expected.astype(np.float32), law.name == "normal")


@pytest.mark.parametrize("by", EVALUATORS)
def test_a_graph_has_the_known_words(by: str) -> None:
    counters = uint64(*KNOWN_WORDS)

    assert graph_words(42, np.array([0]), counters, by).tolist() == [list(KNOWN_WORDS.values())]


@pytest.mark.parametrize("by", EVALUATORS)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_graph_has_the_words_of_numpy(seed: int, by: str) -> None:
    index = np.array([0, 1, 7, 2**53 + 1, 2**62, 2**63 - 1])
    counter = np.concatenate([np.arange(200), 2**32 * np.arange(1, 60), [2**63 - 1]]).astype(np.uint64)
    keys = sample_keys(seed_bits(seed), index.astype(np.uint64))
    found = graph_words(seed, index, counter, by)

    assert found.dtype == np.uint64
    np.testing.assert_array_equal(found, squares_word(counter, keys[:, None]))


def test_a_graphs_normals_are_float64s_rounded_once() -> None:
    """200,000 of them: within half a float32 unit of float64 (2^-22 below 8), and as NumPy's but for ties."""
    keys = sample_keys(seed_bits(7), np.arange(50, dtype=np.uint64))
    found, exact = graph_normals(keys, 3, 4000), normals(keys, uint64(3), 4000)

    assert found.size == 200_000
    assert abs(found - exact).max() <= 2.0**-22 + 1e-14 < 1e-6
    np.testing.assert_array_max_ulp(found, exact.astype(np.float32), maxulp=1)
    assert (found != exact.astype(np.float32)).mean() < 1e-5


def test_normals_in_float32_would_miss_a_millionth() -> None:
    """Why the graph computes them in float64: measured 6.8e-6, as u1 has 25 bits and the angle rounds by 2.4e-7."""
    keys = sample_keys(seed_bits(7), np.arange(50, dtype=np.uint64))
    error = abs(single_precision_normals(keys, 4000) - normals(keys, uint64(0), 4000)).max()

    assert 1e-6 < error < 1e-4


def test_the_references_own_noise_depends_on_the_sum_of_seed_and_step_alone() -> None:
    np.testing.assert_array_equal(counter_normals(2026, 5, 9), counter_normals(2030, 1, 9))
    assert abs(counter_normals(3, 0, 100_000)).max() <= np.sqrt(-2 * np.log(1e-6))
