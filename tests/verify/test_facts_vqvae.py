"""Facts of the VQ-VAE: wrong mathematics is rejected, near ties are decided exactly, and right files may be odd."""

import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import pytest

from gen_export.spec.vqvae import squared_l2, training_gradients
from gen_export.verify.fact import FACTS
from gen_export.verify.facts import codes, prior, quantization, vqvae
from gen_export.verify.report import of_files, open_files
from tests.mutants.tool import edit

THEOREM = "NN.MLTheory.Generative.Latent.VQVAE."


def wrong_gradients(encoded, selected, upstream, beta):
    """The gradient of a commitment that is not divided by the number of elements."""
    return upstream + beta * 2.0 * (encoded - selected), training_gradients(encoded, selected, upstream, beta)[1]


def second_nearest(z, codebook):
    """The runner-up."""
    return np.argsort(((z[:, None] - codebook) ** 2).sum(-1), axis=1)[:, 1]


@pytest.mark.parametrize(
    ("name", "module", "attribute", "wrong"),
    [
        (THEOREM + "squaredL2_nonneg", quantization, "squared_l2", lambda x, y: (x - y).sum()),
        (THEOREM + "squaredL2_self", quantization, "squared_l2", lambda x, y: squared_l2(x, -y)),
        ("gen_export.vqvae.nearest_code_minimizes_the_distance", quantization, "nearest_code", second_nearest),
        ("gen_export.vqvae.training_gradients_are_those_of_the_loss", vqvae, "training_gradients", wrong_gradients),
        ("gen_export.vqvae.training_gradients_are_those_of_the_loss", vqvae, "mse", lambda x, y: ((x - y) ** 2).sum()),
    ],
)
def test_a_wrong_formula_is_rejected(monkeypatch, name, module, attribute, wrong):
    assert FACTS[name].check().passed
    monkeypatch.setattr(module, attribute, wrong)

    assert not FACTS[name].check().passed


BOOK = np.array([[0.0, 0.0], [1.0, 1.0], [1.0, 1.0], [-3.0, 0.5]], np.float32)


@pytest.mark.parametrize(
    ("latent", "expected"),
    [
        ([0.1, 0.2], [0]),
        ([0.9, 0.9], [1, 2]),
        ([0.5, 0.5], [0, 1, 2]),
        ([0.5, np.nextafter(np.float32(0.5), np.float32(1))], [1, 2]),
        ([0.5, np.nextafter(np.float32(0.5), np.float32(0))], [0]),
    ],
)
def test_the_nearest_codes_are_told_exactly(latent, expected):
    assert codes.nearest(np.array(latent, np.float32), BOOK).tolist() == expected


def test_a_latent_that_float64_cannot_decide_has_no_nearest_code():
    """Two codes 2^-40 apart in a coordinate far from 0: their distances differ by less than float64's rounding."""
    book = np.array([[2.0**20, 2.0**-40], [2.0**20, 0.0]], np.float32)

    assert codes.nearest(np.array([0.0, 1.0], np.float32), book).size == 0
    assert codes.nearest(np.array([2.0**20, 0.0], np.float32), book[:1]).tolist() == [0]


def test_one_code_far_away_leaves_the_others_decided():
    """Beside a code of 1e20 the doubt of its own distance is huge, that of the others is not."""
    latent, far = np.array([0.9, 0.9], np.float32), np.array([[1e20, -1e20]], np.float32)

    assert codes.nearest(latent, np.concatenate([BOOK, far])).tolist() == [1, 2]
    assert codes.nearest(far[0], np.concatenate([BOOK, far])).tolist() == [4]


def of_codebook(exported, folder, change):
    """What comes of the facts of a VQ-VAE with another codebook in all of its files."""
    right = exported("vqvae")
    for file in right.parent.glob("*.onnx"):
        model = onnx.load(file)
        if b"codebook.codes" in file.read_bytes():
            edit("codebook.codes", change)(model)
        onnx.save(model, folder / file.name)
    return list(of_files(open_files(folder / right.name), lambda known: "vqvae" in known.name.lower()))


def with_a_number_that_is_none(book):
    """NaN in the third code."""
    book = book.copy()
    book[2, 1] = np.nan
    return book


def test_a_codebook_with_a_code_that_is_no_number_is_refused_by_the_facts_that_read_it(exported, tmp_path):
    outcomes = {o.fact.name: o for o in of_codebook(exported, tmp_path, with_a_number_that_is_none)}

    outcome = outcomes[THEOREM + "nearestCode_minimizes_quantization_loss"]
    assert outcome.verdict == "failed"
    assert "expected finite codes, found code 2 with a number that is not" in outcome.reason


def test_test_latents_hold_codes_and_the_middles_of_neighbours():
    latents = codes.latents(BOOK)
    near_ties = [z for z in latents if len({Fraction(float(squared_l2(z, c))) for c in BOOK}) < len(BOOK) - 1]

    assert {tuple(code) for code in BOOK.tolist()} <= {tuple(z) for z in latents.tolist()}
    assert near_ties


def test_a_latent_is_clear_unless_a_small_error_may_change_its_code():
    assert codes.clear(np.array([0.1, 0.2], np.float32), BOOK)
    assert codes.clear(np.array([0.9, 0.9], np.float32), BOOK)  # the codes that tie are the same
    assert not codes.clear(np.array([0.5, 0.50001], np.float32), BOOK)


def test_the_last_grid_is_filled_with_the_first_rows():
    grids = codes.in_grids(np.arange(5), (2, 2))

    assert grids.tolist() == [[[0, 1], [2, 3]], [[4, 0], [1, 2]]]


def settings_of(files, monkeypatch, logits):
    """The cases of the sampler's fact for each setting, where every position has these logits."""
    grid = int(np.prod(codes.grid(files)))

    def steps(files, batch, choose, guided):
        for position in range(grid):
            yield None, choose(np.tile(np.float32(logits), (batch, 1)), position)

    monkeypatch.setattr(prior, "steps", steps)
    return [prior._sampled(files, temperature, top_k or len(logits)) for temperature, top_k in prior.SETTINGS]


def test_a_row_of_codes_is_dropped_for_ties_alone(exported, monkeypatch):
    """Of eight codes two have a share below what rounding may move: no draw falls on them, and every row is kept."""
    files = open_files(exported("vqvae"))
    kept = settings_of(files, monkeypatch, [5.0, 4.0, 3.0, 2.0, 1.0, 0.0, -9.0, -9.0])

    assert [finding.cases for finding in kept] == [prior.BATCH] * len(prior.SETTINGS)
    assert [finding is None for finding in settings_of(files, monkeypatch, [0.0] * 8)] == [False, True, True, True]


def test_a_row_of_codes_with_small_shares_alone_is_dropped(exported, monkeypatch):
    monkeypatch.setattr(prior, "APART", 0.1)

    assert settings_of(open_files(exported("vqvae")), monkeypatch, [0.0] * 8) == [None] * len(prior.SETTINGS)


def test_a_sampler_whose_every_choice_rounding_may_decide_is_skipped(exported, monkeypatch):
    monkeypatch.setattr(prior, "_told_apart", lambda logits, top_k: np.zeros(len(logits), bool))
    name = "gen_export.vqvae.sampler_is_its_parts"
    (outcome,) = of_files(open_files(exported("vqvae")), lambda known: known.name == name)

    assert outcome.verdict == "skipped"
    assert outcome.reason == "expected a row of codes that rounding does not decide, found none"


def test_logits_are_told_apart_where_the_next_one_is_clearly_below():
    logits = np.array([[3.0, 1.0, 2.0], [2.0, 2.0, 1.0]], np.float32)

    assert prior._told_apart(logits, 1).tolist() == [True, False]
    assert prior._told_apart(logits, 2).tolist() == [True, True]
    assert prior._told_apart(logits, 3).tolist() == [True, True]


def duplicate(book):
    """The second code the same as the first, and the fourth one number from the third."""
    book = book.copy()
    book[1], book[3] = book[0], np.nextafter(book[2], np.float32(0))
    return book


def test_a_model_with_equal_and_almost_equal_codes_is_right(exported, tmp_path):
    outcomes = of_codebook(exported, tmp_path, duplicate)

    assert [(o.fact.name, o.finding, o.reason) for o in outcomes if o.verdict == "failed"] == []


def test_a_part_that_is_not_at_hand_skips_its_facts_alone(exported, tmp_path):
    alone = Path(shutil.copy(exported("vqvae").with_name("vqvae.lookup.onnx"), tmp_path))

    verdicts = {o.fact.name: o.verdict for o in of_files(open_files(alone))}

    assert verdicts["Generative.VQVAE.quantized_eq_embedding"] == "skipped"
    assert "failed" not in verdicts.values()
