"""The mathematics of sections 2 and 3: each fact holds, and rejects a wrong formula in the place of the right one."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from gen_export.errors import MissingToolError
from gen_export.spec import vae as right
from gen_export.verify.balls import cells_without_proof, directions_without_proof
from gen_export.verify.fact import FACTS
from gen_export.verify.facts import gaussian_kl, objective, vae_latents
from gen_export.verify.report import of_mathematics

LATENT = "NN.MLTheory.Generative.Latent.{}".format
OURS = "gen_export.vae.{}".format


def without_its_exponential(mu, logvar):
    return (mu * mu - logvar) / 2.0


def without_its_constant(mu, logvar):
    return right.coordinate_kl(mu, logvar) + 0.5


def with_logvar_added(mu, logvar):
    return right.coordinate_kl(mu, logvar) + logvar


def with_the_mean_for_its_square(mu, logvar):
    return right.coordinate_kl(0 * mu, logvar) + mu


def lower_by_a_little(mu, logvar):
    return right.coordinate_kl(mu, logvar) - 2.0**-40


def sum_without_mean(mu, logvar):
    return right.kl_sum(0 * mu, logvar)


def negative_sum(mu, logvar):
    return -right.kl_sum(mu, logvar)


MODULES = {objective.__name__, gaussian_kl.__name__}
WRONG = [
    (LATENT("Objective.weightedTwoTerm_zero_regularizer"), "weighted_two_term", lambda w, b, r: (1 + w) * b + r),
    (LATENT("Objective.weightedTwoTerm_zero_weight"), "weighted_two_term", lambda w, b, r: b + r),
    (LATENT("Objective.weightedTwoTerm_mono_weight"), "weighted_two_term", lambda w, b, r: b - w * r),
    (LATENT("Objective.weightedThreeTerm_zero_regularizer"), "weighted_three_term", lambda w, b, m, r: b + w * m + r),
    (
        LATENT("Objective.weightedThreeTerm_zero_middle_zero_regularizer"),
        "weighted_three_term",
        lambda w, b, m, r: w * b + m + r,
    ),
    (LATENT("Objective.weightedThreeTerm_zero_weight"), "weighted_three_term", lambda w, b, m, r: b + w * (m + r)),
    (LATENT("Objective.weightedThreeTerm_mono_weight"), "weighted_three_term", lambda w, b, m, r: b + m - w * r),
    (LATENT("VAE.exp_minus_one_minus_nonneg"), "coordinate_kl", without_its_exponential),
    (LATENT("VAE.exp_minus_one_minus_nonneg"), "coordinate_kl", lower_by_a_little),
    (LATENT("VAE.exp_minus_one_minus_pos"), "coordinate_kl", without_its_constant),
    (LATENT("VAE.exp_minus_one_minus_pos"), "coordinate_kl", with_logvar_added),
    (LATENT("VAE.coordinateKlToStandard_nonneg"), "coordinate_kl", with_the_mean_for_its_square),
    (LATENT("VAE.coordinateKlToStandard_nonneg"), "coordinate_kl", lower_by_a_little),
    (LATENT("VAE.coordinateKlToStandard_eq_zero_iff"), "coordinate_kl", without_its_constant),
    (LATENT("VAE.coordinateKlToStandard_eq_zero_iff"), "coordinate_kl", lambda mu, logvar: mu * mu),
    (LATENT("VAE.diagonalGaussianKlToStandardReal_nonneg"), "kl_sum", negative_sum),
    (LATENT("VAE.diagonalGaussianKlToStandardReal_eq_zero_iff"), "kl_sum", sum_without_mean),
    (LATENT("VAE.betaVae_loss_matches_named_elbo_terms"), "beta_vae_loss", lambda r, k, beta: r - beta * k),
    (LATENT("VAE.betaVae_loss_matches_named_elbo_terms"), "negative_elbo", lambda t: -right.negative_elbo(t)),
    (OURS("kl_is_its_integral"), "coordinate_kl", lambda mu, logvar: right.coordinate_kl(mu, logvar / 2)),
    (OURS("kl_is_its_integral"), "coordinate_kl", lambda mu, logvar: 2 * right.coordinate_kl(mu, logvar)),
    (OURS("mean_kl_is_sum_over_n"), "kl_mean", right.kl_sum),
    (OURS("mean_kl_is_sum_over_n"), "kl_mean", lambda mu, logvar: 2 * right.kl_mean(mu, logvar)),
    (OURS("log_weights_average_to_minus_kl"), "kl_sum", lambda mu, logvar: right.kl_sum(mu, logvar / 2)),
    (OURS("log_weights_average_to_minus_kl"), "log_importance_weights", lambda x, y, v, p, z, m, s: z.sum(1)),
    (OURS("importance_weighted_bound_is_above_the_elbo"), "importance_weighted_bound", lambda w: w.min(0)),
]


@pytest.mark.parametrize(("name", "attribute", "wrong"), WRONG, ids=lambda value: getattr(value, "__name__", value))
def test_a_fact_rejects_a_wrong_formula(monkeypatch, name, attribute, wrong):
    module = objective if ".Objective." in name else gaussian_kl
    assert FACTS[name].check().passed
    monkeypatch.setattr(module, attribute, wrong)

    assert not FACTS[name].check().passed


def test_every_fact_of_pure_mathematics_here_has_a_wrong_formula():
    mathematics = {name for name, fact in FACTS.items() if fact.check.__module__ in MODULES and not fact.families}

    assert mathematics == {name for name, _, _ in WRONG}


def test_balls_prove_what_is_positive_and_nothing_else():
    """A paraboloid has its proof, one that dips below 0 has none, nor has one that is 0 on a line."""
    reach = [2.0, 2.0]

    assert cells_without_proof(lambda x, y: x * x + y * y, reach) == 0
    assert cells_without_proof(lambda x, y: x * x + y * y - 0.125, reach) > 0
    assert cells_without_proof(lambda x, y: x * x, reach) > 0


def test_curvature_is_proved_in_every_direction_or_not_at_all():
    """A saddle, a slope and a valley: each fails in some direction."""
    assert directions_without_proof(lambda x, y: x * x + y * y, 2) == 0
    assert directions_without_proof(lambda x, y: x * x + y * y + x * y, 2) == 0
    assert directions_without_proof(lambda x, y: x * x + y * y + 3 * x * y, 2) > 0
    assert directions_without_proof(lambda x, y: x * x + y * y + 0.001 * y, 2) == 1
    assert directions_without_proof(lambda x: x * x * x, 1) == 1


def test_a_check_that_lacks_its_package_is_skipped_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "flint", None)
    name = LATENT("VAE.coordinateKlToStandard_nonneg")
    (outcome,) = of_mathematics(lambda fact: fact.name == name)

    assert outcome.verdict == "skipped"
    assert outcome.reason == "python-flint is not installed: pip install 'gen-export[verify]'"
    with pytest.raises(MissingToolError):
        FACTS[name].check()


class Latents:
    """In the place of a VAE's files: an objective that gives latents of any kind.

    Args:
        size: Height and width of its images.
        count: Latents.
        latent: z of mu, logvar and eps, (B, n) each.
    """

    def __init__(self, size, count, latent):
        self.card = SimpleNamespace(image=SimpleNamespace(height=size, width=size, channels=3))
        self.count, self.latent, self.largest = count, latent, 0

    def inputs(self, graph, batch, purpose):
        return {"image": None, "eps": np.zeros((batch, self.count), np.float32)}

    def run(self, graph, inputs, inner, put):
        self.largest = max(self.largest, len(inputs["eps"]))
        return {"z": np.float32(self.latent(put["mu"], put["logvar"], inputs["eps"]))}


ONE, ALL = (
    LATENT(f"VAE.{law}") for law in ("scalar_reparameterization_law", "diagonal_reparameterization_coordinate_law")
)
LAWS = [ONE, ALL]
SHAPES = [(8, 1), (8, 6), (256, 6), (256, 300)]


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize(("size", "count"), SHAPES)
def test_the_law_of_the_latents_is_told_from_others_for_any_size_in_bounded_batches(name, size, count):
    files = Latents(size, count, right.reparameterize)
    finding = FACTS[name].check(files)

    assert finding.passed
    assert finding.bound <= 0.06
    assert files.largest * size**2 * 3 <= vae_latents.PIXELS


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize(
    "latent",
    [
        lambda mu, logvar, eps: mu,
        lambda mu, logvar, eps: mu + np.exp(logvar) * eps,
        lambda mu, logvar, eps: mu + 1.001 * np.exp(logvar / 2) * eps,
        lambda mu, logvar, eps: right.reparameterize(mu, logvar, eps) + np.float32(np.nan),
    ],
    ids=["point mass", "variance", "one in a thousand", "nan"],
)
def test_latents_of_another_law_are_rejected_for_large_images_too(name, latent):
    assert not FACTS[name].check(Latents(256, 6, latent)).passed


@pytest.mark.parametrize("name", LAWS)
def test_latents_of_noise_of_another_law_are_rejected(monkeypatch, name):
    """Uniform numbers of variance 1."""
    rng = np.random.default_rng(0)
    uniform = lambda seed, index, draw, shape: rng.uniform(-(3**0.5), 3**0.5, (len(index), *shape))  # noqa: E731
    monkeypatch.setattr(vae_latents, "sample_normals", uniform)

    finding = FACTS[name].check(Latents(8, 6, right.reparameterize))
    assert finding.error > finding.bound


@pytest.mark.parametrize("other", [1, 2, 5])
def test_a_latent_that_is_rounded_as_the_noise_of_another_says_is_rejected(other):
    """Up or down by its sign: less than any test of a law or of rounding tells."""

    def mixed(mu, logvar, eps):
        exact = right.reparameterize(*(value.astype(np.float64) for value in (mu, logvar, eps)))
        z, side = exact.astype(np.float32), np.copysign(np.float32(1), np.roll(eps, other, axis=1))
        return np.where((z - exact) * side < 0, np.nextafter(z, side * np.float32(np.inf)), z)

    files = Latents(8, 6, mixed)

    assert FACTS[ALL].check(files).note == "a coordinate depends on another's noise"
    assert not FACTS[ALL].check(files).passed
    assert FACTS[ONE].check(files).passed
