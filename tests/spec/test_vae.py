import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from gen_export.spec.noise import sample_normals
from gen_export.spec.objectives import weighted_two_term
from gen_export.spec.vae import (
    ElboTerms,
    beta_negative_elbo,
    beta_vae_loss,
    coordinate_kl,
    gaussian_log_density,
    importance_weighted_bound,
    kl_mean,
    kl_sum,
    log_importance_weights,
    negative_elbo,
    reparameterize,
)

ULP = np.finfo(np.float64).eps
coordinates = st.lists(st.tuples(st.floats(-30, 30), st.floats(-30, 30)), min_size=1, max_size=12)
finite = st.floats(-1e6, 1e6)
nonneg = st.floats(0, 1e6)
seeds = st.integers(0, 2**31)


def rounding(mu: np.ndarray, logvar: np.ndarray) -> np.ndarray:
    """What four roundings of numbers as large as the largest term can do to one coordinate."""
    return 4 * ULP * np.maximum(1.0, np.exp(logvar) + mu * mu)


@given(coordinates)
def test_the_mean_kl_times_the_number_of_coordinates_is_the_sum(pairs: list[tuple[float, float]]) -> None:
    mu, logvar = np.array(pairs).T
    n = len(pairs)

    # Two orders of adding n nonnegative terms, each off by at most n roundings of the whole.
    assert n * kl_mean(mu, logvar) == pytest.approx(kl_sum(mu, logvar), rel=2 * n * ULP, abs=1e-14)


@given(st.floats(-30, 30))
def test_exp_x_minus_one_minus_x_is_not_negative(x: float) -> None:
    """`exp_minus_one_minus_nonneg`: twice the KL of a centred coordinate."""
    assert 2.0 * coordinate_kl(np.zeros(()), np.array(x)) >= -rounding(np.zeros(()), np.array(x))


@given(st.floats(-30, 30).filter(lambda x: abs(x) > 1e-6))
def test_exp_x_minus_one_minus_x_is_positive_away_from_zero(x: float) -> None:
    """`exp_minus_one_minus_pos`: x^2 / 2 = 5e-13 at 1e-6 is far above the rounding of 1, 2e-16."""
    assert coordinate_kl(np.zeros(()), np.array(x)) > 0


@given(coordinates)
def test_the_kl_of_every_coordinate_is_not_negative(pairs: list[tuple[float, float]]) -> None:
    """`coordinateKlToStandard_nonneg`, `diagonalGaussianKlToStandardReal_nonneg`."""
    mu, logvar = np.array(pairs).T

    assert np.all(coordinate_kl(mu, logvar) >= -rounding(mu, logvar))
    assert kl_sum(mu, logvar) >= -rounding(mu, logvar).sum()


@given(st.integers(1, 50))
def test_the_kl_of_the_prior_to_itself_is_exactly_zero(n: int) -> None:
    """`coordinateKlToStandard_eq_zero_iff`, `diagonalGaussianKlToStandardReal_eq_zero_iff`, from right to left."""
    assert kl_sum(np.zeros(n), np.zeros(n)) == 0.0
    assert kl_mean(np.zeros(n), np.zeros(n)) == 0.0


@given(coordinates.filter(lambda pairs: max(abs(v) for pair in pairs for v in pair) > 1e-3))
def test_the_kl_is_positive_where_any_coordinate_leaves_the_prior(pairs: list[tuple[float, float]]) -> None:
    """The same from left to right; at 1e-3 a coordinate adds 2.5e-7, and n of them round by n * 1e-16."""
    mu, logvar = np.array(pairs).T

    assert kl_sum(mu, logvar) > 0


@pytest.mark.parametrize(("mu", "logvar"), [(0.0, 0.0), (1.5, -2.0), (-0.3, 1.0), (2.0, 0.5), (0.0, -4.0)])
def test_the_kl_is_the_integral_that_defines_it(mu: float, logvar: float) -> None:
    posterior, prior = stats.norm(mu, np.exp(logvar / 2)), stats.norm()

    def integrand(z: float) -> float:
        return posterior.pdf(z) * (posterior.logpdf(z) - prior.logpdf(z))

    ends = posterior.ppf([1e-30, 1 - 1e-16]) + np.array([-2.0, 2.0])
    integral, _ = integrate.quad(integrand, *ends, points=[mu], epsabs=1e-11)

    # quad's own goal is 1e-11, and the tails left out weigh less than 1e-15.
    assert coordinate_kl(np.array(mu), np.array(logvar)) == pytest.approx(integral, abs=1e-9)


@given(finite, finite, nonneg, nonneg)
def test_the_loss_is_reconstruction_plus_beta_times_kl(r: float, kl: float, beta: float, more: float) -> None:
    """`loss_eq_reconstruction_add_kl`, `betaVae_loss_eq_weightedTwoTerm`, `betaVae_loss_zero_beta`."""
    assert beta_vae_loss(r, kl, beta) == r + beta * kl == weighted_two_term(beta, r, kl)
    assert beta_vae_loss(r, kl, 0.0) == r
    assert beta_vae_loss(r, abs(kl), beta) <= beta_vae_loss(r, abs(kl), beta + more)


@given(finite, nonneg)
def test_the_loss_of_an_encoder_that_returns_the_prior_is_the_reconstruction(r: float, beta: float) -> None:
    """`betaVae_loss_eq_reconstruction_of_zero_kl`."""
    assert beta_vae_loss(r, kl_mean(np.zeros(4), np.zeros(4)), beta) == r


@given(finite, finite, nonneg)
def test_the_loss_is_the_weighted_bound_of_its_named_terms(nll: float, kl: float, beta: float) -> None:
    """`betaVae_loss_matches_named_elbo_terms`; at beta = 1 it is the negative evidence lower bound."""
    terms = ElboTerms(nll, kl)

    assert beta_vae_loss(nll, kl, beta) == beta_negative_elbo(beta, terms)
    assert beta_negative_elbo(1.0, terms) == negative_elbo(terms) == nll + kl


@given(coordinates, st.integers(0, 2**31))
def test_reparameterization_is_affine_in_the_noise_with_a_diagonal_slope(
    pairs: list[tuple[float, float]], seed: int
) -> None:
    """`diagonal_reparameterization_coordinate_law`: value mu at 0 and slope exp(logvar / 2) in its own coordinate."""
    mu, logvar = np.array(pairs).T
    sigma = np.sqrt(np.exp(logvar))
    eps = np.random.default_rng(seed).standard_normal(len(mu))

    np.testing.assert_array_equal(reparameterize(mu, logvar, np.zeros_like(mu)), mu)
    for i, unit in enumerate(np.eye(len(mu))):
        moved = reparameterize(np.zeros_like(mu), logvar, unit)
        assert moved[i] == pytest.approx(sigma[i], rel=4 * ULP)
        assert np.count_nonzero(moved) == 1
    # One exp, its half, a product and a sum: four roundings of the largest term.
    np.testing.assert_allclose(
        reparameterize(mu, logvar, eps), mu + sigma * eps, rtol=0, atol=8 * ULP * (abs(mu) + sigma * abs(eps)).max()
    )


def test_reparameterized_noise_has_the_posterior_as_its_law() -> None:
    """`scalar_reparameterization_law` by Kolmogorov and Smirnov: four laws, false alarm 1e-6 in all."""
    eps = sample_normals(11, np.arange(4), 0, (50_000,)).astype(np.float64)
    mu, logvar = np.array([0.0, 1.5, -2.0, 0.25]), np.array([0.0, -3.0, 2.0, -0.5])
    z = reparameterize(mu[:, None], logvar[:, None], eps)

    for i in range(4):
        scale = np.sqrt(np.exp(logvar[i]))
        assert stats.kstest(z[i], stats.norm(mu[i], scale).cdf).pvalue > 1e-6 / 4
        # Teeth: the usual slip, logvar for the scale's logarithm, is another law wherever logvar is not 0.
        wrong = stats.kstest(mu[i] + np.exp(logvar[i]) * eps[i], stats.norm(mu[i], scale).cdf).pvalue
        assert (wrong < 1e-9) == (logvar[i] != 0.0)


@given(seeds, st.floats(0.01, 100))
def test_the_log_density_is_that_of_independent_normals(seed: int, variance: float) -> None:
    x, mean = np.random.default_rng(seed).standard_normal((2, 3, 2, 4))
    expected = stats.norm(mean, np.sqrt(variance)).logpdf(x).sum(axis=(1, 2))

    # Eight terms of at most 1000 and their logarithm.
    np.testing.assert_allclose(gaussian_log_density(x, mean, variance), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(gaussian_log_density(x, mean, np.full((4,), variance)), expected, rtol=1e-12, atol=1e-12)


def linear_gaussian_weights(k: int, of_posterior: tuple[float, float]) -> tuple[np.ndarray, float]:
    """`log_importance_weights` (k, 1) and log p(x) of x = w z + noise, z standard normal, in closed form.

    The proposal is the exact posterior, its mean moved and its log-variance raised by `of_posterior`.
    """
    shift, wider = of_posterior
    w, noise, x = np.array([2.0, -1.0, 0.5]), 0.3, np.array([1.0, 0.5, -2.0])
    evidence = stats.multivariate_normal(np.zeros(3), np.outer(w, w) + noise * np.eye(3)).logpdf(x)
    precision = 1.0 + w @ w / noise
    mu, logvar = np.full((k, 1), w @ x / noise / precision + shift), np.full((k, 1), -np.log(precision) + wider)
    z = reparameterize(mu, logvar, np.random.default_rng(5).standard_normal((k, 1)))
    log_w = log_importance_weights(np.tile(x, (k, 1)), z * w, noise, gaussian_log_density(z, 0.0, 1.0), z, mu, logvar)
    return log_w[:, None], float(evidence)


def test_the_exact_posterior_makes_the_bound_the_evidence() -> None:
    """Every weight is then p(x), so that one latent is enough."""
    log_w, evidence = linear_gaussian_weights(64, (0.0, 0.0))

    np.testing.assert_allclose(log_w, evidence, rtol=1e-12)
    np.testing.assert_allclose(importance_weighted_bound(log_w), evidence, rtol=1e-12)


def test_the_bound_approaches_the_evidence_from_below_as_latents_are_added() -> None:
    """Burda et al., theorem 1, on 4096 groups: the means rise, and the last is within 0.01 nats."""
    total = 4096 * 64
    log_w, evidence = linear_gaussian_weights(total, (0.1, 0.5))
    bounds = [importance_weighted_bound(log_w.reshape(k, -1)) for k in (1, 4, 16, 64)]
    means = [float(bound.mean()) for bound in bounds]
    # Each mean is of independent groups: five standard errors.
    above = [5 * float(bound.std()) / np.sqrt(bound.size) for bound in bounds]

    assert all(mean <= evidence + error for mean, error in zip(means, above, strict=True))
    assert means == sorted(means)
    assert means[0] < evidence - 0.05
    assert means[-1] == pytest.approx(evidence, abs=0.01)


@given(seeds, st.integers(1, 20), st.floats(-5000, 5000), st.floats(0, 1000))
def test_the_bound_lies_between_the_mean_and_the_largest_logarithm(
    seed: int, k: int, centre: float, spread: float
) -> None:
    """Jensen's inequality, also where exp of the weights would overflow or be 0."""
    log_w = centre + spread * np.random.default_rng(seed).standard_normal((k, 3))
    bound = importance_weighted_bound(log_w)
    rounding = 8 * ULP * (abs(log_w).max() + 3.0)  # a few roundings of the weights and of log 20 < 3

    assert np.all(log_w.mean(axis=0) - rounding <= bound)
    assert np.all(bound <= log_w.max(axis=0) + rounding)
    assert np.all(bound >= log_w.max(axis=0) - np.log(k) - rounding)


@given(seeds, st.integers(1, 20))
def test_the_bound_is_the_logarithm_of_the_mean_weight(seed: int, k: int) -> None:
    log_w = np.random.default_rng(seed).standard_normal((k, 3))

    np.testing.assert_allclose(importance_weighted_bound(log_w), np.log(np.exp(log_w).mean(axis=0)), atol=1e-14)
