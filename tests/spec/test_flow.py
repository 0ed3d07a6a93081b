"""The density under the probability flow, on Gaussian data, whose flow and density have closed forms."""

import math

import numpy as np
import pytest

from gen_export.spec.diffusion import eps_from_velocity
from gen_export.spec.flow import Probing, angles, bits_per_dim, log_likelihood, log_normal, velocity
from gen_export.spec.noise import sample_keys, seed_bits, signs, uniforms
from gen_export.spec.schedules import alpha_bars, cosine_betas, trailing_state
from tests.export.analytic import GaussianData

SHAPE = (1, 2, 2)
SIZE = math.prod(SHAPE)
EYE = np.eye(SIZE).reshape(SIZE, 1, *SHAPE)
MEAN = np.linspace(-0.6, 0.6, SIZE).reshape(SHAPE)
VARIANCE = 0.25


def gaussian(states: int) -> GaussianData:
    return GaussianData(MEAN, VARIANCE, alpha_bars(cosine_betas(states)))


def images(count: int = 6) -> np.ndarray:
    return MEAN + VARIANCE**0.5 * np.random.default_rng(2).standard_normal((count, *SHAPE))


def density(x: np.ndarray, mean: np.ndarray, variance: float) -> np.ndarray:
    """The log density of N(mean, variance I)."""
    return (-0.5 * ((x - mean) ** 2 / variance + math.log(2 * math.pi * variance))).sum((1, 2, 3))


def likelihood(data: GaussianData, steps: int, probing: Probing, slope=None) -> np.ndarray:
    gain, _ = data.tables()
    last = len(data.abars) - 1
    return log_likelihood(
        slope or (lambda x, t, z: (data.denoise(x, t), gain[t] * z)),
        images(),
        data.abars,
        angles(data.abars),
        steps,
        lambda j, n: trailing_state(j, n, last),
        probing,
    )


def exact() -> Probing:
    return Probing(lambda j, k: EYE[k] + 0.0 * images(), SIZE, 1.0)


def drawn(seed: int, count: int) -> Probing:
    keys = sample_keys(seed_bits(seed), np.arange(len(images()), dtype=np.uint64))

    def probe(j, k):
        return signs(keys, np.array([j * count + k], np.uint64), SIZE).reshape(-1, *SHAPE)

    return Probing(probe, count, 1.0 / count)


def test_the_likelihood_of_gaussian_data_is_their_density():
    """But for the last state's signal, sqrt(alpha_bar_T) = 5e-5, which a normal law there leaves out."""
    found = likelihood(gaussian(1000), 1000, exact())

    np.testing.assert_allclose(found, density(images(), MEAN, VARIANCE), atol=1e-4)


def test_the_error_of_the_flow_falls_with_the_square_of_the_step():
    """Beside the flow's exact density, that of N(0, I) at the last state brought back."""
    data = gaussian(4000)
    abar = data.abars[-1]
    spread = abar * VARIANCE + 1.0 - abar
    end = math.sqrt(abar) * MEAN + math.sqrt(spread / VARIANCE) * (images() - MEAN)
    expected = density(end, 0.0 * MEAN, 1.0) + 0.5 * SIZE * math.log(spread / VARIANCE)
    errors = [np.abs(likelihood(data, steps, exact()) - expected).max() for steps in (10, 20, 40, 80)]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])

    assert np.all((orders > 1.7) & (orders < 2.6)), orders


@pytest.mark.parametrize("count", [1, 3])
def test_random_directions_are_exact_where_the_slope_is_a_multiple_of_the_identity(count):
    data = gaussian(50)

    np.testing.assert_allclose(likelihood(data, 20, drawn(5, count)), likelihood(data, 20, exact()), atol=1e-12)


def test_random_directions_are_right_on_average():
    """A slope with numbers off its diagonal; 400 estimates, within five standard errors, which are not zero."""
    data = gaussian(50)
    gain, _ = data.tables()
    mixing = np.eye(SIZE) + 0.3 * np.random.default_rng(3).standard_normal((SIZE, SIZE))

    def mixed(x):
        return (x.reshape(-1, SIZE) @ mixing.T).reshape(-1, *SHAPE)

    def slope(x, t, z):
        return gain[t] * mixed(x), gain[t] * mixed(z)

    estimates = np.stack([likelihood(data, 6, drawn(seed, 1), slope) for seed in range(400)])
    error = np.abs(estimates.mean(0) - likelihood(data, 6, exact(), slope))
    standard = estimates.std(0) / math.sqrt(len(estimates))
    assert np.all(error < 5 * standard)
    assert standard.min() > 1e-3


def test_the_network_is_never_asked_at_state_0_nor_at_the_last():
    asked = []

    def slope(x, t, z):
        asked.append(t)
        return x, z

    likelihood(gaussian(50), 5, Probing(lambda j, k: images(), 1, 1.0), slope)
    assert asked == [10, 10, 20, 20, 30, 30, 40, 40]


def test_the_velocity_is_the_one_that_the_noise_was_made_of():
    rng = np.random.default_rng(0)
    x, v = rng.standard_normal((2, 3, *SHAPE))
    abar = np.array(0.3)

    np.testing.assert_allclose(velocity(x, eps_from_velocity(x, v, abar), abar), v, atol=1e-13)


def test_signal_and_noise_rates_are_the_cosine_and_sine_of_the_angles():
    abars = alpha_bars(cosine_betas(30))
    phis = angles(abars)

    assert phis[0] == 0.0
    assert np.all(np.diff(phis) > 0)
    np.testing.assert_allclose(np.cos(phis) ** 2, abars, atol=1e-15)


def test_the_normal_law_at_its_mean():
    np.testing.assert_allclose(log_normal(np.zeros((2, *SHAPE))), -0.5 * SIZE * math.log(2 * math.pi))


def test_a_uniform_law_over_256_levels_takes_8_bits_a_value():
    """256 levels of 2 / 255 each."""
    assert bits_per_dim(np.array(-SIZE * math.log(256 * 2 / 255)), SIZE) == pytest.approx(8.0)


def test_signs_are_those_of_the_uniform_numbers_of_their_draw():
    keys, draw = sample_keys(seed_bits(3), np.arange(4, dtype=np.uint64)), np.array([9], np.uint64)
    found = signs(keys, draw, 5000)

    assert found.dtype == np.float32
    np.testing.assert_array_equal(found > 0, uniforms(keys, draw, 5000) > 0.5)
    assert set(np.unique(found)) == {-1.0, 1.0}
    assert np.all(np.abs(found.mean(1)) < 5 / math.sqrt(5000))
