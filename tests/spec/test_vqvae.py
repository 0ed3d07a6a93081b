from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gen_export.spec.objectives import mse, weighted_three_term
from gen_export.spec.vqvae import (
    certified_margin,
    codebook_loss,
    commitment_loss,
    ema_codebook,
    lookup,
    nearest_code,
    perplexity,
    squared_l2,
    straight_through,
    training_gradients,
    vqvae_loss,
)

seeds = st.integers(0, 2**31)
finite = st.floats(-1e6, 1e6)
nonneg = st.floats(0, 1e6)


def exact_distances(z: np.ndarray, codebook: np.ndarray) -> list[Fraction]:
    """|z - c_k|^2 of each code, without rounding."""
    exact = [[Fraction(float(v)) for v in row] for row in (z, *codebook)]
    return [sum(((a - b) ** 2 for a, b in zip(exact[0], c, strict=True)), Fraction(0)) for c in exact[1:]]


def near_tie(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """float32 latent and codebook: one unit in the last place off the middle of the first two codes, others far.

    The coordinates are eighths of at least 1/8, so that the middle is exact.
    """
    rng = np.random.default_rng(seed)
    a, b = rng.integers(1, 33, (2, 8)) / 8
    b[0] = a[0] + 1.0
    z = ((a + b) / 2).astype(np.float32)
    z[0] = np.nextafter(z[0], np.float32(100.0 if seed % 2 else 0.0))
    return z, np.stack([a, b, a + 50.0]).astype(np.float32)


@given(seeds)
def test_the_squared_distance_is_a_sum_of_squares(seed: int) -> None:
    """`squaredL2_nonneg`, `squaredL2_self`: exactly, and a sum where the losses are means."""
    x, y = np.random.default_rng(seed).standard_normal((2, 4, 7))

    assert np.all(squared_l2(x, y) >= 0)
    np.testing.assert_array_equal(squared_l2(x, x), np.zeros(4))
    np.testing.assert_allclose(squared_l2(x, y).sum() / x.size, mse(x, y), rtol=1e-14)


@given(seeds)
def test_the_chosen_code_is_nearest_in_exact_arithmetic(seed: int) -> None:
    """`IsNearestCode`, `nearestCode_minimizes_quantization_loss`: no code is nearer; the last one is a duplicate."""
    rng = np.random.default_rng(seed)
    codebook = rng.standard_normal((6, 5)).astype(np.float32)
    codebook[5] = codebook[2]
    z = np.concatenate([rng.standard_normal((4, 5)).astype(np.float32), codebook])

    for indices in (nearest_code(z, codebook), nearest_code(torch.from_numpy(z), torch.from_numpy(codebook)).numpy()):
        for latent, index in zip(z, indices, strict=True):
            distances = exact_distances(latent, codebook)
            assert distances[index] == min(distances)


@given(seeds)
def test_a_latent_one_unit_in_the_last_place_off_a_tie_goes_to_the_nearer_code(seed: int) -> None:
    z, codebook = near_tie(seed)
    distances = exact_distances(z, codebook)

    assert distances[0] != distances[1]
    assert nearest_code(z, codebook) == np.argmin(distances)
    assert nearest_code(torch.from_numpy(z), torch.from_numpy(codebook)) == np.argmin(distances)


def test_float32_would_send_some_of_those_to_the_other_code() -> None:
    """Why `nearest_code` computes in float64."""
    wrong = 0
    for seed in range(50):
        z, codebook = near_tie(seed)
        scores = (codebook * codebook).sum(-1) - 2 * codebook @ z
        wrong += int(np.argmin(scores) != np.argmin(exact_distances(z, codebook)))

    assert wrong > 0


def test_a_tie_goes_to_the_first_code() -> None:
    codebook = np.array([[5.0], [1.0], [-1.0], [1.0]])

    assert nearest_code(np.array([[0.0], [1.0]]), codebook).tolist() == [1, 1]


@given(seeds, st.integers(0, 5))
def test_a_latent_that_is_a_code_is_at_distance_zero_from_its_choice(seed: int, index: int) -> None:
    """`exactCodeMatch_isNearestCode`, `exactCodeMatch_selected_distance_zero`."""
    codebook = np.random.default_rng(seed).integers(-1, 2, (6, 3)).astype(np.float64)  # with many duplicates
    z = codebook[index]

    assert squared_l2(z, lookup(codebook, nearest_code(z, codebook))) == 0.0


def exact_margin_holds(z: np.ndarray, codebook: np.ndarray, margin: np.float32) -> bool:
    """Whether 2 margin |c_j - c_k| <= |z - c_j|^2 - |z - c_k|^2 for all j, k the first nearest code, exactly."""
    distances = exact_distances(z, codebook)
    k = int(np.argmin(distances))
    between, reach = exact_distances(codebook[k], codebook), (2 * Fraction(float(margin))) ** 2
    others = [j for j in range(len(codebook)) if j != k]
    return all(reach * between[j] <= (distances[j] - distances[k]) ** 2 for j in others)


@pytest.mark.parametrize(
    ("z", "codes", "expected"),
    [
        ([0.5, 0.0], [[0, 0], [2, 0]], 0.5),
        ([0.0, 9.0], [[0, 0], [2, 0]], 1.0),
        ([-3.0, 0.0], [[0, 0], [2, 0]], 4.0),
        ([0.0, 0.0], [[3, 4], [0, 0]], 2.5),
        ([4.0, 0.0], [[0, 0], [10, 0], [4, 5.9]], 1.0),  # not of the second nearest code, which is the last one
        ([0.25], [[1], [0], [-7]], 0.25),
        ([1.0, 1.0], [[0, 0], [2, 2]], 0.0),  # a tie
        ([2.0, 2.0], [[0, 0], [2, 2], [2, 2]], 0.0),  # rounding may choose either of two equal codes
        ([0.0, 0.0], [[0, 0], [3, 4], [3, 4]], 2.5),  # of which neither is this latent's
        ([0.5, 0.0], [[0, 0], [2, 0], [1e20, 1e20]], 0.5),
    ],
)
def test_a_margin_is_the_distance_to_the_nearest_bisector_and_never_more(z, codes, expected) -> None:
    latent, book = np.array(z, np.float32), np.array(codes, np.float32)

    for found in (certified_margin(latent, book), certified_margin(*map(torch.from_numpy, (latent, book))).numpy()):
        assert found.dtype == np.float32
        # 2^-23 for the cast, as much for rounding the product.
        assert expected * (1 - 3e-7) <= found <= expected


@given(seeds, st.integers(1, 12), st.sampled_from([1e-38, 1e-20, 1.0, 1e18, 1e38]), st.booleans())
def test_no_margin_is_above_the_distance_in_exact_arithmetic(seed: int, dim: int, size: float, far: bool) -> None:
    rng = np.random.default_rng(seed)
    book = (size * rng.uniform(-1, 1, (6, dim))).astype(np.float32)
    book[1] = np.nextafter(book[0], np.float32(0))
    middles = (book[2:5] / 2 + book[3:] / 2).astype(np.float32)
    z = np.concatenate([(size * rng.uniform(-2, 2, (4, dim)) * (1 if far else 1e-3)).astype(np.float32), book, middles])

    for latent, margin in zip(z, certified_margin(z, book), strict=True):
        assert exact_margin_holds(latent, book, margin)


def test_no_margin_is_above_the_distance_where_long_sums_round() -> None:
    """1024 terms of one size, two codes of the same length, latents a few units in the last place off the tie."""
    rng = np.random.default_rng(1)
    book = rng.uniform(1, 2, (2, 1024)).astype(np.float32)
    book[1] = book[0][::-1]
    z = np.repeat(((book[0] + book[1]) / 2)[None], 40, axis=0)
    z[np.arange(40), np.arange(40)] += np.float32(2.0**-22) * np.arange(40, dtype=np.float32)
    margins = certified_margin(z, book)

    assert all(exact_margin_holds(*pair) for pair in ((latent, book, m) for latent, m in zip(z, margins, strict=True)))
    assert np.count_nonzero(margins) > 30


@given(seeds)
def test_within_its_margin_a_latent_keeps_its_code_whoever_computes_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    book, z = rng.standard_normal((9, 4)).astype(np.float32), rng.standard_normal((50, 4)).astype(np.float32)
    k, margin = nearest_code(z, book), certified_margin(z, book)
    way = book[rng.integers(9, size=50)] - book[k] + 1e-3 * rng.standard_normal((50, 4))
    step = margin[:, None].astype(np.float64) * way / np.linalg.norm(way, axis=1, keepdims=True)
    moved = (z + 0.999 * step).astype(np.float32)
    inside = np.linalg.norm(moved.astype(np.float64) - z, axis=1) < margin

    assert inside.sum() > 40
    for found in (nearest_code(moved, book), nearest_code(*map(torch.from_numpy, (moved, book))).numpy()):
        np.testing.assert_array_equal(found[inside], k[inside])


@given(seeds)
def test_beyond_its_margin_a_latent_has_another_code_somewhere(seed: int) -> None:
    rng = np.random.default_rng(seed)
    book, z = rng.standard_normal((9, 4)).astype(np.float32), rng.standard_normal((20, 4)).astype(np.float32)
    k, margin = nearest_code(z, book), certified_margin(z, book)
    ways = book.astype(np.float64) - book[k][:, None]
    steps = ways / np.maximum(np.linalg.norm(ways, axis=2, keepdims=True), 1e-9)
    moved = z[:, None] + (1e-6 + margin * 1.000001)[:, None, None] * steps

    assert np.all(np.any(nearest_code(moved, book) != k[:, None], axis=1))


def test_a_lookup_gives_the_rows_of_its_indices() -> None:
    """`quantized_eq_embedding`, for indices of any shape."""
    codebook = np.arange(12.0).reshape(4, 3)
    found = lookup(codebook, np.array([[3, 0], [3, 1]]))

    np.testing.assert_array_equal(found, [[[9, 10, 11], [0, 1, 2]], [[9, 10, 11], [3, 4, 5]]])


@given(seeds)
def test_straight_through_gives_exactly_the_code_to_the_decoder(seed: int) -> None:
    """`straightThrough`, where the other order of the same terms rounds: z_e + (z_q - z_e)."""
    encoded = 1e6 * np.random.default_rng(seed).standard_normal(50)
    selected = np.random.default_rng(seed + 1).standard_normal(50)

    np.testing.assert_array_equal(straight_through(encoded, selected), selected)
    assert np.any(encoded + (selected - encoded) != selected)


@given(seeds, st.floats(0, 4))
def test_autograd_gives_the_training_gradients(seed: int, beta: float) -> None:
    """`trainingGradients`: through the decoder to the encoder unchanged; of the codes, the selected alone move."""
    rng = torch.Generator().manual_seed(seed)
    z_e, codebook = (torch.randn(n, 3, generator=rng, dtype=torch.float64, requires_grad=True) for n in (6, 4))
    x, weights = torch.randn(6, 3, generator=rng, dtype=torch.float64), torch.randn(3, 3, generator=rng).double()
    indices = nearest_code(z_e, codebook)
    z_q = lookup(codebook, indices)

    def reconstruction(latent: torch.Tensor) -> torch.Tensor:
        return mse(torch.tanh(latent @ weights), x)

    def stop(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.detach()

    rec = reconstruction(straight_through(z_e, z_q, stop))
    vqvae_loss(rec, codebook_loss(z_e, z_q, stop), commitment_loss(z_e, z_q, stop), beta).backward()
    given_code = z_q.detach().requires_grad_()
    (upstream,) = torch.autograd.grad(reconstruction(given_code), given_code)
    of_encoder, of_codes = training_gradients(z_e.detach(), z_q.detach(), upstream, beta)
    of_codebook = torch.zeros(4, 3, dtype=torch.float64).index_add(0, indices, of_codes)

    # A few roundings of gradients below 10.
    torch.testing.assert_close(z_e.grad, of_encoder, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(codebook.grad, of_codebook, rtol=1e-12, atol=1e-14)
    assert codebook.grad is not None
    unused = [k for k in range(4) if k not in indices.tolist()]
    assert torch.all(codebook.grad[unused] == 0.0)


@given(finite, nonneg, nonneg, nonneg, nonneg)
def test_the_loss_is_reconstruction_plus_codebook_plus_beta_times_commitment(
    r: float, codebook: float, commitment: float, beta: float, more: float
) -> None:
    """`loss_eq_reconstruction_add_codebook_add_commitment`, `vqvae_loss_eq_weightedThreeTerm`,
    `vqvae_loss_zero_beta`, `vqvae_loss_mono_beta_of_commitment_nonneg`.
    """  # noqa: D205
    loss = vqvae_loss(r, codebook, commitment, beta)

    assert loss == r + codebook + beta * commitment == weighted_three_term(beta, r, codebook, commitment)
    assert vqvae_loss(r, codebook, commitment, 0.0) == r + codebook
    assert loss <= vqvae_loss(r, codebook, commitment, beta + more)


@given(seeds, finite, nonneg)
def test_the_loss_of_a_latent_that_is_a_code_is_the_reconstruction(seed: int, r: float, beta: float) -> None:
    """`vqvae_loss_eq_reconstruction_of_zero_quantization`."""
    z = np.random.default_rng(seed).standard_normal(4)

    assert vqvae_loss(r, codebook_loss(z, z), commitment_loss(z, z), beta) == r


@given(seeds)
def test_codebook_and_commitment_losses_are_the_same_number(seed: int) -> None:
    z_e, z_q = np.random.default_rng(seed).standard_normal((2, 3, 4))

    assert codebook_loss(z_e, z_q) == commitment_loss(z_e, z_q) >= 0.0


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=20).filter(any))
def test_perplexity_is_the_exponential_of_the_entropy(counts: list[int]) -> None:
    found = perplexity(np.array(counts, float))

    # Twenty terms of at most 1/e each, and exp of at most log 20.
    assert found == pytest.approx(np.exp(stats.entropy(counts)), rel=1e-13)
    assert 1.0 - 1e-13 <= found <= np.count_nonzero(counts) * (1.0 + 1e-13)


def test_perplexity_counts_codes_that_are_used_alike() -> None:
    assert perplexity(np.array([0.0, 7.0, 0.0])) == 1.0
    assert perplexity(np.array([3.0, 0.0, 3.0, 3.0, 3.0])) == pytest.approx(4.0, rel=1e-15)


@given(seeds, st.floats(0, 0.99), st.integers(1, 30))
def test_moving_averages_of_the_same_batch_approach_it_geometrically(seed: int, decay: float, updates: int) -> None:
    """After van den Oord et al., appendix A.1: n updates on, the past has the weight decay^n."""
    rng = np.random.default_rng(seed)
    counts, new_counts = rng.uniform(1, 9, (2, 4))
    sums, new_sums = rng.standard_normal((2, 4, 3))
    past = decay**updates
    found = counts, sums, sums
    for _ in range(updates):
        found = ema_codebook(found[0], found[1], new_counts, new_sums, decay, 0.0)

    expected = past * counts + (1 - past) * new_counts, past * sums + (1 - past) * new_sums
    # Up to thirty roundings; 1 - decay keeps its value to 1e-16 / 0.01.
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found[2], expected[1] / expected[0][:, None], rtol=1e-12, atol=1e-12)


def test_without_a_past_the_codes_are_the_means_of_their_latents() -> None:
    z = np.array([[1.0, 0.0], [3.0, 4.0], [5.0, 5.0]])
    counts, sums = np.array([2.0, 1.0]), np.stack([z[0] + z[1], z[2]])
    _, _, codebook = ema_codebook(np.full(2, 9.0), np.full((2, 2), 9.0), counts, sums, 0.0, 0.0)

    np.testing.assert_array_equal(codebook, [[2.0, 2.0], [5.0, 5.0]])


def test_smoothing_moves_counts_towards_each_other_and_keeps_their_total() -> None:
    counts = np.array([0.0, 1.0, 7.0])
    _, _, inverse = ema_codebook(counts, np.ones((3, 1)), counts, np.ones((3, 1)), 0.5, 0.5)
    smoothed = 1.0 / inverse[:, 0]

    np.testing.assert_allclose(smoothed, 8.0 * np.array([0.5, 1.5, 7.5]) / 9.5, rtol=1e-15)
    assert smoothed.sum() == pytest.approx(8.0, rel=1e-15)
