"""Facts of the least-squares GAN (reference section 5), on exported files.

Scores that are put in the place of the discriminator's are eighths, eight a batch: their squares, sums and means have
no rounding in float32, in whatever order, so that equality is equality of bits.
"""

from fractions import Fraction

import numpy as np

from gen_export.spec import gan
from gen_export.spec.objectives import mse, weighted_three_term, weighted_two_term
from gen_export.verify.fact import Finding, fact, same_bits
from gen_export.verify.facts.agreement import close, close_bytes
from gen_export.verify.facts.objective import largest, rationals
from gen_export.verify.files import Files, random
from gen_runtime.inputs import Array

BATCH = 8
SCORES = 6
WEIGHTS = (0.0, 0.01, 1.0, -3.0, 1e6)
_GAN = ("gan",)
_SPEC = "Generative.GAN.{}".format
_NAME = "NN.MLTheory.Generative.Latent.GAN.{}".format
_OURS = "gen_export.gan.{}".format


@fact(_NAME("mse_scalar_self_zero"), "exact", "5.2")
def error_of_a_score_beside_itself() -> Finding:
    """mse(x, x) = 0."""
    rows = (np.array(row, object) for row in rationals("scalar mse", 1))
    return largest(abs(Fraction(mse(score, score))) for score in rows)


def _scored(files: Files, real: Array, fake: Array) -> dict[str, Array]:
    """The objective's outputs for these scores (B,)."""
    inputs = files.inputs("objective", len(real), "gan scores")
    return files.run("objective", inputs, put={"real_score": real, "fake_score": fake})


def _scores(purpose: str) -> list[tuple[Array, Array]]:
    """Scores of real and of generated images."""
    drawn = random(purpose).integers(-16, 25, (SCORES, 2, BATCH)) / 8.0
    return [(real, fake) for real, fake in drawn.astype(np.float32)]


def _all_scored(files: Files, purpose: str, *outputs: str) -> Array:
    """Outputs of the objective for all scores of a purpose, (SCORES, outputs)."""
    runs = [_scored(files, real, fake) for real, fake in _scores(purpose)]
    return np.array([[run[output] for output in outputs] for run in runs])


def _constant(real: float, fake: float) -> tuple[Array, Array]:
    return np.full(BATCH, real, np.float32), np.full(BATCH, fake, np.float32)


@fact(_NAME("generate_eq_generator"), "tolerance", "5.2", families=_GAN, graphs=("generate", "objective"))
def generate_is_the_generator(files: Files) -> Finding:
    """generate z = G(z): the images that the objective scores are those of the file `generate`."""
    inputs = files.inputs("objective", BATCH, "gan generate")
    found = files.run("objective", inputs, ("generated",))["generated"]
    return close(found, files.run("generate", {"z": inputs["z"]})["image"], BATCH)


@fact(
    _SPEC("fakeScore_eq_discriminator_generate"),
    "tolerance",
    "5.2",
    families=_GAN,
    graphs=("generate", "discriminate", "objective"),
    aliases=(_NAME("fakeScore_is_discriminator_after_generator"),),
)
def fake_score_is_that_of_the_generated(files: Files) -> Finding:
    """fakeScore z = D(G(z)), with D and G of the files `discriminate` and `generate`."""
    inputs = files.inputs("objective", BATCH, "gan fake score")
    found = files.run("objective", inputs, ("fake_score",))["fake_score"]
    image = files.run("generate", {"z": inputs["z"]})["image"]
    return close(found, files.run("discriminate", {"image": image})["score"], BATCH)


@fact(_OURS("real_score_is_discriminate"), "tolerance", families=_GAN, graphs=("discriminate", "objective"))
def real_score_is_that_of_the_images(files: Files) -> Finding:
    """realScore x = D(x), with D of the file `discriminate`."""
    inputs = files.inputs("objective", BATCH, "gan real score")
    found = files.run("objective", inputs, ("real_score",))["real_score"]
    return close(found, files.run("discriminate", {"image": inputs["image"]})["score"], BATCH)


@fact(
    _SPEC("discriminatorLoss_eq"),
    "exact",
    "5.2",
    families=_GAN,
    graphs=("objective",),
    aliases=(_NAME("discriminatorLoss_eq_real_fake_terms"),),
)
def discriminator_loss_is_two_terms(files: Files) -> Finding:
    """discriminatorLoss = mse(D(x), 1) + mse(D(G(z)), 0), each a mean over the batch, without a factor of one half."""
    expected = [[gan.discriminator_loss(real, fake)] for real, fake in _scores("gan discriminator")]
    return same_bits(_all_scored(files, "gan discriminator", "discriminator_loss"), np.array(expected), SCORES)


@fact(_OURS("terms_are_those_of_the_scores"), "exact", families=_GAN, graphs=("objective",))
def terms_are_means_of_squares(files: Files) -> Finding:
    """real_term = mean (D(x) - 1)^2 and fake_term = mean D(G(z))^2."""
    expected = [[gan.real_term(real), gan.fake_term(fake)] for real, fake in _scores("gan terms")]
    return same_bits(_all_scored(files, "gan terms", "real_term", "fake_term"), np.array(expected), SCORES)


@fact(_NAME("generatorLoss_eq_mse_fake_real"), "exact", "5.2", families=_GAN, graphs=("objective",))
def generator_loss_is_the_distance_to_real(files: Files) -> Finding:
    """generatorLoss = mse(D(G(z)), 1)."""
    expected = [[gan.generator_loss(fake)] for _, fake in _scores("gan generator")]
    return same_bits(_all_scored(files, "gan generator", "generator_loss"), np.array(expected), SCORES)


@fact(
    _NAME("generatorLoss_eq_weightedTwoTerm"),
    "exact",
    "5.2",
    hypotheses="w finite",
    families=_GAN,
    graphs=("objective",),
)
def generator_loss_is_a_weighted_sum(files: Files) -> Finding:
    """generatorLoss = weightedTwoTerm w (mse(D(G(z)), 1), 0) for any w."""
    found, zero = _all_scored(files, "gan two terms", "generator_loss"), np.float32(0.0)
    bases = np.array([[mse(fake, np.float32(gan.REAL))] for _, fake in _scores("gan two terms")])
    expected = [weighted_two_term(np.float32(w), bases, zero) for w in WEIGHTS]
    return same_bits(np.stack([found] * len(WEIGHTS)), np.stack(expected), SCORES * len(WEIGHTS))


@fact(
    _NAME("discriminatorLoss_eq_weightedThreeTerm"),
    "exact",
    "5.2",
    hypotheses="w finite",
    families=_GAN,
    graphs=("objective",),
)
def discriminator_loss_is_a_weighted_sum(files: Files) -> Finding:
    """discriminatorLoss = weightedThreeTerm w (real term, fake term, 0) for any w, in the file's own outputs."""
    run = files.run("objective", files.inputs("objective", BATCH, "gan three terms"))
    terms = run["real_term"], run["fake_term"], np.float32(0.0)
    expected = [weighted_three_term(np.float32(w), *terms) for w in WEIGHTS]
    return same_bits(np.stack([run["discriminator_loss"]] * len(WEIGHTS)), np.stack(expected), len(WEIGHTS))


@fact(
    _NAME("generatorLoss_zero_of_fake_score_real"),
    "exact",
    "5.2",
    hypotheses="fakeScore z = 1",
    families=_GAN,
    graphs=("objective",),
)
def generator_loss_of_a_fooled_discriminator(files: Files) -> Finding:
    """generatorLoss = 0."""
    return same_bits(_scored(files, *_constant(1.0, 1.0))["generator_loss"], np.array(0.0, np.float32), 1)


@fact(
    _NAME("discriminatorLoss_zero_of_perfect_scores"),
    "exact",
    "5.2",
    hypotheses="realScore x = 1, fakeScore z = 0",
    families=_GAN,
    graphs=("objective",),
)
def discriminator_loss_of_perfect_scores(files: Files) -> Finding:
    """discriminatorLoss = 0."""
    return same_bits(_scored(files, *_constant(1.0, 0.0))["discriminator_loss"], np.array(0.0, np.float32), 1)


@fact(_OURS("zero_losses_exclude_one_another"), "exact", families=_GAN, graphs=("objective",))
def no_scores_please_both(files: Files) -> Finding:
    """A discriminator with perfect scores leaves the generator a loss of 1, and a fooled one has a loss of 1."""
    perfect, fooled = (_scored(files, *_constant(1.0, fake)) for fake in (0.0, 1.0))
    return same_bits(np.stack([perfect["generator_loss"], fooled["discriminator_loss"]]), np.ones(2, np.float32), 2)


@fact(_OURS("losses_follow_the_scores"), "tolerance", families=_GAN, graphs=("objective",))
def losses_are_those_of_the_files_own_scores(files: Files) -> Finding:
    """Without any value put in place, the losses are those of the scores on the way to them."""
    inputs = files.inputs("objective", BATCH, "gan own scores")
    run = files.run("objective", inputs, ("real_score", "fake_score"))
    real, fake = (run[name].astype(np.float64) for name in ("real_score", "fake_score"))
    expected = gan.generator_loss(fake), gan.discriminator_loss(real, fake), gan.real_term(real), gan.fake_term(fake)
    names = "generator_loss", "discriminator_loss", "real_term", "fake_term"
    return close([run[name] for name in names], expected, BATCH)


@fact(_OURS("sampler_is_generate"), "tolerance", families=_GAN, graphs=("sample_from_noise", "generate"))
def sampler_is_the_generator(files: Files) -> Finding:
    """Images of noise z are the nearest bytes of generate z."""
    z = files.inputs("generate", BATCH, "gan sampler")["z"]
    images = files.run("sample_from_noise", {"noise": z})["images"]
    return close_bytes(images, files.run("generate", {"z": z})["image"])
