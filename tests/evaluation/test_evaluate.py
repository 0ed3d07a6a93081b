"""The scores of a file: which there are, what they are against, and what is refused."""

import numpy as np
import pytest

from gen_export.data.image_set import ArraySet
from gen_export.errors import ConfigError
from gen_export.evaluation.distances import frechet_distance, moments
from gen_export.evaluation.evaluate import evaluate
from gen_export.evaluation.fidelity import mean_squared_error
from gen_export.evaluation.reference import Reference
from gen_export.spec.pixels import from_bytes, to_bytes
from gen_runtime import load
from tests.evaluation.networks import write_network

DISTANCES = ["frechet distance", "kernel distance", "precision", "recall"]
FIDELITY = ["reconstruction error", "peak signal to noise"]  # 8x8 pixels have no window of structural similarity
LATENTS = [
    name for bound in ("evidence lower bound", "importance-weighted bound") for name in (bound, f"{bound}, in bits")
]
SCORES = {
    "autoencoder": FIDELITY,
    "mae": FIDELITY,
    "vae": [*DISTANCES, *FIDELITY, *LATENTS],
    "vqvae": [*DISTANCES, *FIDELITY, "codes in use", "prior's surprise"],
    "gan": DISTANCES,
    "diffusion": [*DISTANCES, "variational bound"],
    "classifier": ["accuracy"],
}


def grey(count, seed, labels=None, side=8):
    return ArraySet("grey", np.random.default_rng(seed).integers(0, 256, (count, side, side), np.uint8), labels)


@pytest.fixture
def against(tmp_path):
    def make(train, test, count=20):
        return Reference(train, test, write_network(tmp_path), count, 3, lambda _: None)

    return make


@pytest.mark.parametrize("name", SCORES)
def test_a_family_has_the_scores_that_its_graphs_allow(exported, against, name):
    reference = against(grey(40, 1), grey(24, 2, np.arange(24) % 4))
    scores = evaluate(load(exported(name), "cpu"), reference)

    assert [score.name for score in scores] == SCORES[name]
    assert all(np.isfinite(score.value) for score in scores)
    assert [score.floor is not None for score in scores] == [score.name in DISTANCES for score in scores]


def test_the_distance_is_of_drawn_images_from_all_training_images(exported, against):
    reference = against(grey(40, 1), grey(24, 2))
    model = load(exported("gan"), "cpu")
    (found, *_) = evaluate(model, reference)

    def features(images):
        return moments(np.repeat(images.astype(np.float64).mean((1, 2)) / 255, 3, axis=1))

    train = features(reference.train.images(np.arange(40)))
    assert found.value == pytest.approx(frechet_distance(features(model.sample(20, 3)), train), rel=1e-3)


def test_the_floor_of_one_set_against_itself_is_zero(against):
    images = grey(30, 1)
    floor = against(images, images, 30).floor

    assert floor.frechet == pytest.approx(0, abs=1e-6)
    assert (floor.precision, floor.recall) == (1.0, 1.0)


def test_reconstructions_are_of_held_out_images(exported, against):
    test = grey(24, 2)
    model = load(exported("autoencoder"), "cpu")
    (error, _) = evaluate(model, against(grey(40, 1), test, count=24))
    pixels = test.images(np.arange(24))
    rebuilt = to_bytes(model.reconstruct(from_bytes(pixels.transpose(0, 3, 1, 2)).astype(np.float32)))

    assert error.value == pytest.approx(mean_squared_error(pixels, rebuilt.transpose(0, 2, 3, 1)).mean(), rel=1e-6)


def test_the_same_seed_gives_the_same_scores(exported, against):
    model = load(exported("diffusion"), "cpu")
    first, again = (evaluate(model, against(grey(40, 1), grey(24, 2)), steps=3) for _ in range(2))

    assert first == again


def test_images_of_another_size_are_refused(exported, against):
    with pytest.raises(
        ConfigError, match=r"--data: expected images of \[8, 8, 1\], as gan.onnx has, found \[12, 12, 1\]"
    ):
        evaluate(load(exported("gan"), "cpu"), against(grey(40, 1, side=12), grey(24, 2, side=12)))


def test_a_classifier_needs_labels(exported, against):
    with pytest.raises(ConfigError, match=r"^--data: expected labelled images for the classifier"):
        evaluate(load(exported("classifier"), "cpu"), against(grey(40, 1), grey(24, 2)))
