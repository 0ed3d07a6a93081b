"""Samplers of families that learn classes: what they are told, and what guidance makes of it."""

import numpy as np
import pytest
import torch

from gen_export.export.samplers import build_samplers
from gen_export.models.recipes import Denoising
from gen_export.training.preview import picture
from gen_runtime import PortError, load
from tests.export.analytic import session
from tests.golden.files import CLASSED
from tests.tiny import CLASSES, LABELLED

GUIDED = ["labelled_vqvae", "labelled_diffusion"]
SHORT = {"labelled_diffusion": {"steps": 3}}
every = pytest.mark.parametrize("name", LABELLED)


@pytest.fixture
def model(exported):
    return lambda name: load(exported(name), device="cpu")


@every
def test_the_classes_come_in_turn_unless_one_is_named(model, name):
    short = SHORT.get(name, {})
    drawn = model(name).sample(6, seed=3, first=5, **short)
    alone = [model(name).sample(1, seed=3, first=5 + i, label=CLASSES[(5 + i) % 4], **short) for i in range(6)]

    assert np.abs(drawn.astype(int) - np.concatenate(alone)).max() <= 1


@every
def test_images_of_two_classes_and_of_any_are_three_images_of_one_noise(model, name):
    drawn = [model(name).sample(1, seed=4, label=label, **SHORT.get(name, {})) for label in ("red", "blue", "any")]

    assert len({image.tobytes() for image in drawn}) == 3


@every
def test_a_class_that_the_file_does_not_know_is_refused_with_those_that_it_knows(model, name):
    with pytest.raises(PortError, match="label: expected one of red, green, blue, grey, any, each, found 'pink'"):
        model(name).sample(1, label="pink")


@every
@pytest.mark.parametrize("options", [{}, {"label": 2}, {"label": 1, "guidance": 2.5}, {"label": 4}], ids=str)
def test_the_sampler_draws_torchs_images_of_a_class(model, tiny_family, name, options):
    if name not in GUIDED:
        options = {key: value for key, value in options.items() if key != "guidance"}
    family, options = tiny_family(name), {**options, **SHORT.get(name, {})}
    expected = picture(family, family.recipe(), 21, 6, **options)

    assert np.abs(model(name).sample(6, seed=21, **options).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("name", GUIDED)
def test_guidance_of_nothing_is_any_class_and_the_sample_of_one_does_not_depend_on_its_batch(model, name):
    short, loaded = SHORT.get(name, {}), model(name)
    drawn = {scale: loaded.sample(4, seed=9, label="red", guidance=scale, **short) for scale in (0.0, 1.0, 3.0)}
    alone = [loaded.sample(1, seed=9, first=i, label="red", guidance=3.0, **short) for i in range(4)]

    assert np.abs(drawn[0.0].astype(int) - loaded.sample(4, seed=9, label="any", **short)).max() <= 1
    assert np.abs(drawn[3.0].astype(int) - np.concatenate(alone)).max() <= 1
    assert len({images.tobytes() for images in drawn.values()}) == 3


@pytest.fixture(scope="module")
def known():
    """The sampler of data whose guided images are a closed form."""
    return session(build_samplers(CLASSED.recipe(), {"denoise": CLASSED.network()}, (3, 4, 5))[0].model)


@pytest.mark.parametrize("label", range(5))
@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 1.5, 3.0])
def test_guided_images_of_gaussian_data_are_those_of_data_whose_mean_is_moved(known, label, scale):
    """The one allowed level is float32's, where a pixel lies near the border of two bytes."""
    given = {"seed": np.array(2), "count": np.array(4), "first": np.array(2**40), "steps": np.array(6)}
    given |= {"label": np.array(label), "guidance": np.array(scale, np.float32)}
    (found,) = known.run(None, given)
    expected = CLASSED.images(2, range(2**40, 2**40 + 4), label, scale, 6)

    assert np.abs(found.astype(int) - expected).max() <= 1
    assert (found != expected).mean() < 0.01


def test_guidance_moves_every_prediction_along_the_difference_that_the_class_makes():
    """Eps = 0 for any class and 1 for the first: guided by w it is w, at every evaluation."""

    def denoise(x, t, *label):
        return torch.full_like(x, float(len(label)))

    def guided(scale):
        recipe = Denoising((1, 4, 4), np.linspace(1, 0.1, 6, dtype=np.float32), classes=CLASSES)
        return recipe.sample([denoise], lambda j: torch.ones(1, 1, 4, 4), torch.tensor([0]), 1, 0.0, 0, guidance=scale)

    seen = [guided(scale)[0, 0, 0, 0].item() for scale in (0.0, 1.0, 2.0)]
    clean = [(1 - np.sqrt(0.9) * scale) / np.sqrt(0.1) for scale in (0.0, 1.0, 2.0)]
    assert seen == pytest.approx(np.clip(clean, -1, 1).tolist())


def test_the_network_is_in_the_loop_once_whatever_the_guidance(exported):
    """Rows go in twice where they are guided, so that the file is no larger for it."""
    files = {name: exported(name).with_suffix(".onnx").stat().st_size for name in ("diffusion", "labelled_diffusion")}

    assert files["labelled_diffusion"] < 1.1 * files["diffusion"]
