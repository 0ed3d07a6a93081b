"""Likelihoods of files: estimates against whole sums and other computations of the same number."""

import numpy as np
import pytest

from gen_export.evaluation import likelihood
from gen_export.evaluation.distances import Estimate
from gen_export.spec import diffusion_bound
from gen_export.spec.pixels import from_bytes
from gen_runtime import load

IMAGES = np.random.default_rng(8).integers(0, 256, (24, 8, 8, 1), np.uint8)


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def test_the_mean_of_independent_values_is_off_by_its_error(rng):
    found = [likelihood.mean_estimate(rng.normal(3, 2, 50)) for _ in range(500)]
    off = np.array([(each.value - 3) / each.error for each in found])

    assert 0.9 < off.std() < 1.15


def test_a_density_of_one_level_in_256_is_eight_bits():
    """Uniform over the 256 cells of each of 12 values: a density of 127.5 / 256 a value."""
    nats = Estimate(12 * np.log(127.5 / 256), 1.2)

    assert likelihood.bits_of_density(nats, (2, 2, 3)) == pytest.approx((8, 0.1 / np.log(2)))


def test_a_level_becomes_a_point_within_half_a_level_of_it(rng):
    points = likelihood.dequantized(IMAGES, rng).astype(np.float64).transpose(0, 2, 3, 1)
    apart = (points + 1) * 127.5 - IMAGES

    assert abs(apart).max() <= 0.5 + 1e-4
    assert abs(apart.mean()) < 0.03
    assert apart.std() == pytest.approx(1 / np.sqrt(12), rel=0.05)


def test_more_latents_bound_more_closely(exported, rng):
    bounds = likelihood.latent_bounds(load(exported("vae"), "cpu"), IMAGES[:4], IMAGES, rng)

    assert bounds.elbo.value < bounds.weighted.value
    assert likelihood.bits_of_density(bounds.weighted, IMAGES.shape[1:]).value > 8  # the levels are random
    assert bounds.elbo.error > 0


def test_codes_in_use_are_counted_over_all_images(exported):
    model = load(exported("vqvae"), "cpu")
    codes = model.encode(from_bytes(IMAGES.transpose(0, 3, 1, 2)).astype(np.float32))["indices"]
    shares = np.bincount(codes.ravel()) / codes.size

    used, nats = likelihood.code_use(model, IMAGES)

    assert used == pytest.approx(np.exp(-sum(p * np.log(p) for p in shares if p)))
    assert nats.value == pytest.approx(model.nll(codes).mean() / codes[0].size, rel=1e-5)


def test_the_estimated_bound_of_a_diffusion_model_is_the_whole_sum_on_average(exported, rng):
    model = load(exported("diffusion"), "cpu")
    denoised = likelihood.Denoised(model, rng)
    x_0 = from_bytes(IMAGES.transpose(0, 3, 1, 2).astype(np.float64))
    variance, count = 0.01, len(IMAGES)

    def whole():
        first = denoised(x_0, np.ones(count, np.int64))
        total = diffusion_bound.prior_term(x_0, denoised.abars[-1])
        total += diffusion_bound.level_term(IMAGES.transpose(0, 3, 1, 2), first, variance)
        for t in range(2, len(denoised.abars)):
            x0_hat = denoised(x_0, np.full(count, t))
            total += diffusion_bound.transition_term(x_0, x0_hat, denoised.abars[t], denoised.abars[t - 1])
        return total

    sums = np.array([whole() for _ in range(6)])
    estimates = np.array([likelihood._bound_of(denoised, IMAGES, variance) for _ in range(12)])
    error = np.hypot(sums.mean(1).std(ddof=1) / np.sqrt(6), estimates.mean(1).std(ddof=1) / np.sqrt(12))

    assert abs(sums.mean() - estimates.mean()) < 5 * error
    assert error < 0.02 * sums.mean()


def test_the_bound_is_above_the_8_bits_that_random_levels_have(exported, rng):
    """No model can store uniformly random images in less; the untrained one needs more."""
    assert likelihood.diffusion_bits(load(exported("diffusion"), "cpu"), IMAGES[:8], IMAGES, rng).value > 8
