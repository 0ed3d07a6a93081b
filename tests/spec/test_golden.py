"""The golden vectors of reference section 11, one test or one group of tests for each of its thirteen entries in order.

They are printed with six decimals where a tolerance is given.
"""

import numpy as np
import pytest

from gen_export.spec.diffusion import FLOOR, clip_to_unit, epsilon_loss, forward_noising, image_ddim_step, pf_ode_rhs
from gen_export.spec.gan import discriminator_loss, generator_loss
from gen_export.spec.masks import BlockMask, patch_hidden_mask
from gen_export.spec.noise import counter_normals
from gen_export.spec.objectives import mse
from gen_export.spec.samplers import guarded_ddim_sample, image_ddim_sample, pf_ode_euler_sample
from gen_export.spec.schedules import ContinuousLinear, alpha_bars, image_time, linear_betas, noisy_alpha_bars
from gen_export.spec.vae import beta_vae_loss, kl_mean, kl_sum, reparameterize
from gen_export.spec.vqvae import codebook_loss, commitment_loss, lookup, nearest_code, squared_l2, vqvae_loss

PRINTED = 5e-7
TABLE = noisy_alpha_bars(alpha_bars(linear_betas(5, 0.1, 0.5)))
X0, EPS, ONE = np.array([0.5, -0.25]), np.array([1.0, -1.0]), np.ones(())
FLOW = ContinuousLinear(1.0, 2.0)


class Zeros:
    """A predictor of zeros that keeps its calls (index, x), of T = 3 image indices."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, float]] = []

    def __call__(self, x: np.ndarray, time: float) -> np.ndarray:
        self.calls.append((round(time * 2), float(x)))
        return np.zeros_like(x)


def identity(x: np.ndarray) -> np.ndarray:
    return x


def one_more(x: np.ndarray) -> np.ndarray:
    return x + 1.0


@pytest.mark.parametrize(
    ("step", "expected"),
    [(0, [-0.371478, 0.424449, -2.588055, -0.399177]), (1, [-2.005875, -0.755544, 0.793759, -1.486665])],
)
def test_1_the_references_own_noise(step: int, expected: list[float]) -> None:
    """`normalNoise`."""
    np.testing.assert_allclose(counter_normals(2026, step, 4), expected, rtol=0, atol=PRINTED)


def test_2_the_image_table_and_its_times() -> None:
    np.testing.assert_allclose(TABLE, [0.9, 0.72, 0.504, 0.3024, 0.1512], rtol=1e-14)
    assert [image_time(i, 5) for i in range(5)] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert image_time(7 % 5, 5) == 0.5  # training step 7 of the cycle is index 2


def test_3_linear_betas_and_their_alpha_bars() -> None:
    betas = linear_betas(4, 0.1, 0.5)

    np.testing.assert_allclose(betas, [0.1, 0.1 + 0.4 / 3, 0.1 + 0.8 / 3, 0.5], rtol=1e-15)
    np.testing.assert_allclose(alpha_bars(betas), [1, 0.9, 0.69, 0.437, 0.2185], rtol=1e-15)


def test_4_noising_at_an_image_index() -> None:
    """`qSample`."""
    np.testing.assert_allclose(forward_noising(X0, EPS, TABLE[2]), [1.059237, -0.881755], atol=PRINTED, rtol=0)
    assert image_time(2, 5) == 0.5


def test_5_the_image_step_recovers_the_clean_image_and_clips_a_bad_one() -> None:
    """`ddimPrev`."""
    x_t = forward_noising(X0, EPS, TABLE[2])

    np.testing.assert_allclose(image_ddim_step(x_t, EPS, TABLE[2], ONE), X0, rtol=1e-15)
    np.testing.assert_array_equal(image_ddim_step(x_t, 3.0 * EPS, TABLE[2], ONE), [-1.0, 1.0])


@pytest.mark.parametrize(
    ("floor", "postprocess", "expected"),
    [
        (FLOOR, clip_to_unit, [1.0, -1.0, 1.0]),
        (FLOOR, identity, [4.0, -4.0, 1.0]),
        (2.0, identity, [1.0, -1.0, 0.25]),
        (0.5, identity, [4.0, -4.0, 1.0]),
    ],
)
def test_6_floor_and_postprocessing_of_the_image_step(floor: float, postprocess, expected: list[float]) -> None:
    """`ddimPrev`."""
    x = np.array([2.0, -2.0, 0.5])

    np.testing.assert_array_equal(image_ddim_step(x, np.zeros(3), np.array(0.25), ONE, floor, postprocess), expected)


@pytest.mark.parametrize("x", [np.inf, -np.inf, np.nan, 0.0, -0.0, 1e300])
def test_6_the_image_step_treats_odd_numbers_as_its_formula_written_out(x: float) -> None:
    """`ddimPrev_eq_stepFromEps`, bit for bit: comparison and clamp are written with branches here."""
    eps, abar, prev = 0.5, 0.25, 0.75
    root = abar**0.5
    with np.errstate(invalid="ignore"):
        x0 = np.float64(x - (1 - abar) ** 0.5 * eps) * (1.0 / (root if root > 1e-12 else 1e-12))  # noqa: FURB136
        clipped = 1.0 if x0 > 1.0 else -1.0 if x0 < -1.0 else x0  # noqa: FURB136 - max would choose for a NaN
        expected = np.float64(prev**0.5 * clipped + (1 - prev) ** 0.5 * eps)
        found = image_ddim_step(np.array([x]), np.array([eps]), np.array(abar), np.array(prev))[0]

    assert found.tobytes() == expected.tobytes() or (np.isnan(found) and np.isnan(expected))


@pytest.mark.parametrize(
    ("start", "expected", "calls"),
    [(None, 2.75, [(2, 0.25), (1, 0.375), (0, 0.875)]), (1, 2.5, [(1, 0.25), (0, 0.75)])],
)
def test_7_the_image_sampler_and_what_it_asks_the_predictor(
    start: int | None, expected: float, calls: list[tuple[int, float]]
) -> None:
    """`reverseDdim`, `reverseDdimFrom`."""
    zeros, coefficients = Zeros(), np.array([0.25, 0.0625, 0.015625])

    assert image_ddim_sample(zeros, np.array(0.25), coefficients, 0.5, one_more, start) == expected
    assert zeros.calls == calls


def test_8_an_oracle_takes_the_guarded_sampler_back_to_the_clean_image() -> None:
    """`ddimSample` and `epsPredLoss` with the true noise: what is left is the drift of the guard."""
    eps, x0 = np.array([1.0, -1.0, 2.0]), np.array([0.5, -0.25, 0.0])
    abars = alpha_bars(linear_betas(4, 0.1, 0.5))
    x_4 = forward_noising(x0, eps, abars[4])
    times = []

    def oracle(x: np.ndarray, time: float) -> np.ndarray:
        times.append(time)
        return eps

    np.testing.assert_allclose(x_4, [1.117745, -1.000885, 1.768050], atol=PRINTED, rtol=0)
    found = guarded_ddim_sample(oracle, x_4, abars)
    np.testing.assert_allclose(found, [0.499997, -0.249999, 0.0], atol=PRINTED, rtol=0)
    assert found[0] < 0.5 - 1e-6  # the drift is there
    assert times == [1.0, 0.75, 0.5, 0.25]
    assert epsilon_loss(oracle(x_4, 1.0), eps) == 0.0


def test_9_the_probability_flow_and_not_that_of_twice_the_score() -> None:
    """`pfOdeRhs`."""
    t = np.array(0.75)
    beta, sigma = FLOW.beta(t), FLOW.sigma(t)

    assert pf_ode_rhs(np.array(2.0), ONE, beta, sigma) == pytest.approx(-0.659178, abs=PRINTED)
    assert -0.5 * beta * 2.0 + beta / (sigma + 1e-6) == pytest.approx(0.431644, abs=PRINTED)


def test_9_the_flow_sampler_and_not_its_defective_form() -> None:
    """`pfOdeSampleEuler`: times fall from 1 and the score has its half."""
    times, defective = [], np.array(2.0)

    def ones(x: np.ndarray, t: np.ndarray) -> np.ndarray:
        times.append(float(t))
        return np.ones_like(x)

    assert pf_ode_euler_sample(ones, np.array(2.0), FLOW, 2) == pytest.approx(2.794913, abs=PRINTED)
    assert times == [1.0, 0.5]
    for t in (np.array(0.5), ONE):
        beta, sigma = FLOW.beta(t), FLOW.sigma(t)
        defective = defective - 0.5 * (-0.5 * beta * defective + beta / (sigma + 1e-6))
    assert defective == pytest.approx(1.340204, abs=PRINTED)


@pytest.mark.parametrize(
    ("eps", "z", "x_hat", "reconstruction"),
    [(0.0, [0.5, -0.25], [1.0, -0.5], 0.0), (0.5, [1.0, 0.25], [2.0, 0.5], 1.0)],
)
def test_10_the_linear_vae(eps: float, z: list[float], x_hat: list[float], reconstruction: float) -> None:
    """Encoder mean x / 2 and logvar 0, decoder 2 z: the KL of the loss is a mean, that of the theorems a sum."""
    x = np.array([1.0, -0.5])
    mu, logvar = 0.5 * x, np.zeros(2)
    latent = reparameterize(mu, logvar, np.full(2, eps))

    np.testing.assert_array_equal(latent, z)
    np.testing.assert_array_equal(2.0 * latent, x_hat)
    assert mse(2.0 * latent, x) == reconstruction
    assert (kl_mean(mu, logvar), kl_sum(mu, logvar)) == (0.078125, 0.15625)
    assert beta_vae_loss(mse(2.0 * latent, x), kl_mean(mu, logvar), 1.0) == reconstruction + 0.078125


def test_11_quantisation_by_a_codebook_of_three() -> None:
    """Encoder and decoder are the identity; distances are means, half the squared L2 of two coordinates."""
    book, z = np.array([[0.0, 0.0], [1.0, 1.0], [-1.0, 0.5]]), np.array([1.0, -0.5])

    np.testing.assert_array_equal(squared_l2(z, book) / 2, [0.625, 1.125, 2.5])
    assert nearest_code(z, book) == 0
    for index, expected in ((0, 1.40625), (1, 2.53125)):
        code = lookup(book, np.array(index))
        loss = vqvae_loss(mse(code, z), codebook_loss(z, code), commitment_loss(z, code), 0.25)
        assert loss == expected


def test_12_least_squares_adversarial_losses() -> None:
    """The discriminator's printed loss, 1.698153, is of scores before rounding; from the printed scores 1.698151."""
    real, fake = np.array([-0.269691]), np.array([-0.293319])

    assert generator_loss(fake) == pytest.approx(1.672674, abs=PRINTED)
    assert discriminator_loss(real, fake) == pytest.approx(1.698151, abs=PRINTED)
    # A score off by half a millionth moves (s - 1)^2 by 1.3e-6 and s^2 by 0.3e-6.
    assert discriminator_loss(real, fake) == pytest.approx(1.698153, abs=1.6e-6 + PRINTED)
    assert discriminator_loss(np.ones(1), np.zeros(1)) == 0.0
    assert generator_loss(np.zeros(1)) == 1.0


def test_13_the_block_mask() -> None:
    assert np.flatnonzero(patch_hidden_mask(4, 4, 2, 2, 4, 0)).tolist() == [0, 1, 4, 5]
    hidden = BlockMask((None, 2, 2), 4).hidden_indices((3, 4, 4))
    assert hidden.tolist() == [0, 1, 4, 5, 16, 17, 20, 21, 32, 33, 36, 37]
