"""Facts of the least-squares GAN: wrong losses in the mathematics are rejected on a right file."""

import numpy as np
import pytest

from gen_export.spec import gan as spec
from gen_export.spec.objectives import mse
from gen_export.verify.fact import FACTS
from gen_export.verify.facts import gan
from gen_export.verify.report import open_files

THEOREM = "NN.MLTheory.Generative.Latent.GAN."


def test_the_error_of_a_score_beside_itself_is_not_that_beside_another(monkeypatch):
    assert FACTS[THEOREM + "mse_scalar_self_zero"].check().passed
    monkeypatch.setattr(gan, "mse", lambda x, y: mse(x, y + 1))

    assert not FACTS[THEOREM + "mse_scalar_self_zero"].check().passed


@pytest.mark.parametrize(
    ("name", "attribute", "wrong"),
    [
        ("Generative.GAN.discriminatorLoss_eq", "discriminator_loss", lambda real, fake: mse(real, 1) + mse(fake, -1)),
        (
            "Generative.GAN.discriminatorLoss_eq",
            "discriminator_loss",
            lambda real, fake: 0.5 * (mse(real, 1) + mse(fake, 0)),
        ),
        (THEOREM + "generatorLoss_eq_mse_fake_real", "generator_loss", lambda fake: mse(fake, 0)),
        ("gen_export.gan.terms_are_those_of_the_scores", "real_term", spec.fake_term),
    ],
)
def test_another_loss_than_the_files_is_rejected(monkeypatch, exported, name, attribute, wrong):
    files = open_files(exported("gan"))
    assert FACTS[name].check(files).passed
    monkeypatch.setattr(spec, attribute, wrong)

    assert not FACTS[name].check(files).passed


def test_scores_have_no_rounding():
    for real, fake in gan._scores("any"):
        for scores in (real, fake):
            exact = np.mean((scores.astype(np.float64) - 1.0) ** 2)
            assert np.float32(exact) == exact == mse(scores[::-1], np.float32(1.0))
