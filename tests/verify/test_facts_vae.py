"""The mathematics of sections 2 and 3: each fact holds, and rejects a wrong formula in the place of the right one."""

import math
import sys

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
    (OURS("log_weights_average_to_minus_kl"), "log_importance_weights", lambda x, y, v, z, m, s: z.sum(1)),
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


@pytest.mark.parametrize(
    ("samples", "passed"),
    [
        (lambda rng: rng.standard_normal((400, 3)), True),
        (lambda rng: rng.normal(0, (1, 1, 2), (400, 3)), False),
        (lambda rng: rng.normal((0, 0.7, 0), 1, (400, 3)), False),
        (lambda rng: rng.uniform(-math.sqrt(3), math.sqrt(3), (40_000, 1)), False),
        (lambda rng: np.full((400, 1), np.nan), False),
    ],
    ids=["normal", "scaled", "shifted", "uniform", "nan"],
)
def test_the_test_of_a_normal_law_tells_it_from_others(samples, passed):
    assert vae_latents.kolmogorov(samples(np.random.default_rng(0))).passed is passed
