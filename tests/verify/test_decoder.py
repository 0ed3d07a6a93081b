"""The certificate of a decoder: what it says of tiny files, that it is broken by wrong ones, and what it refuses."""

import math
from dataclasses import replace

import numpy as np
import onnx
import pytest

from gen_export.errors import ConfigError
from gen_export.verify import decoder
from gen_export.verify.decoder import LEVEL, certify, largest_radius, latent
from gen_export.verify.files import Files
from gen_export.verify.intervals.box import Box
from gen_export.verify.intervals.network import Enclosure
from gen_export.verify.onnx_file import OnnxFile
from gen_runtime.errors import FileError
from tests.mutants.tool import edit

RADIUS = 1e-4


@pytest.fixture(scope="module", params=["vae", "gan", "autoencoder"])
def files(request, exported):
    return Files(exported(request.param))


def test_a_decoder_keeps_its_intervals(files):
    found = certify(files, RADIUS, seed=3, points=64)

    assert found.violations() == []
    assert found.graph == {"vae": "decode", "gan": "generate", "autoencoder": "decode"}[files.card.family]
    assert (found.latent, found.points, found.radius) == (6, 64, RADIUS)
    assert 0 < found.mean_width <= found.max_width < 255
    assert 0 < found.reached <= found.max_width
    assert found.lipschitz is None
    assert found.reason.startswith("InstanceNormalization")


def test_the_largest_radius_moves_no_pixel_by_a_level_but_a_larger_one_may(files):
    found = certify(files, RADIUS, 3, 1)

    assert certify(files, found.largest, 3, 1).still == 1
    assert certify(files, 1.06 * found.largest, 3, 1).still < 1


def test_intervals_that_the_file_leaves_are_told(files, monkeypatch):
    """A box half a pixel's level aside from the right one."""
    right = Enclosure.box
    monkeypatch.setattr(Enclosure, "box", lambda self, *ends: Box(*(end + LEVEL / 2 for end in right(self, *ends))))
    found = certify(files, 0.0, 3, 1)

    assert found.excess == pytest.approx(LEVEL / 2, rel=1e-2)
    assert found.violations() == [f"{found.graph}: a pixel {found.excess:.3g} outside its interval, at most 1e-05"]


def test_a_decoder_of_other_weights_leaves_the_intervals(exported):
    """The intervals are those of one file's weights: its own, and not of weights 1 % off."""
    files = Files(exported("vae"))
    part = files.probe("decode").graph.path
    model, z = onnx.load(part), latent(files, 0)
    edit("weight", lambda weight: 1.01 * weight)(model)
    image = files.run("decode", {"z": z})["image"]
    apart = []
    for data in (part.read_bytes(), model.SerializeToString()):
        box = Enclosure(OnnxFile(data, part), "z", "image").box(z, z)
        apart.append(np.maximum(box.low - image, image - box.high).max())

    assert apart[0] < decoder.NETWORK < apart[1]


def test_latents_are_draws_of_a_seed_or_codes_of_images(files):
    first, again, other = (latent(files, seed) for seed in (1, 1, 2))

    assert first.dtype == np.float32
    assert first.shape == (1, 6)
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


@pytest.mark.parametrize("limit", [1e-6, 0.37, 1.0])
def test_a_largest_radius_is_within_five_percent_of_the_limit_and_never_beyond(limit):
    assert limit / 1.05 <= largest_radius(lambda radius: radius <= limit) <= limit


def test_a_radius_is_sought_between_two_powers_of_two():
    assert largest_radius(lambda radius: False) == 0
    assert largest_radius(lambda radius: True) == pytest.approx(16, rel=0.05)


def test_numbers_that_json_has_not_are_text(files):
    found = replace(certify(files, 0.0, 0, 1), max_width=math.inf, excess=math.nan)

    assert found.to_json()["max_width"] == "inf"
    assert found.to_json()["excess"] == "nan"
    assert len(found.violations()) == 1


def test_a_certificate_without_normalisation_has_a_lipschitz_constant(monkeypatch, files):
    monkeypatch.setattr(decoder, "bound", lambda *_: type("Constant", (), {"value": 7.5}))
    found = certify(files, 0.0, 0, 1)

    assert (found.lipschitz, found.reason) == (7.5, "")


@pytest.mark.parametrize("radius", [-1.0, math.nan, math.inf])
def test_a_radius_that_is_no_size_is_refused(files, radius):
    with pytest.raises(ConfigError, match=r"^radius: expected a number of at least 0, found "):
        certify(files, radius, 0, 1)


@pytest.mark.parametrize("family", ["vqvae", "mae"])
def test_a_family_without_a_decoder_of_latents_is_refused(exported, family):
    with pytest.raises(FileError, match=f"autoencoder, vae, gan, found {family}$"):
        certify(Files(exported(family)), RADIUS, 0, 1)


def test_a_part_alone_is_refused(exported):
    with pytest.raises(FileError, match=r"expected a main file with the part decode, found encode$"):
        certify(Files(exported("vae").with_name("vae.encode.onnx")), RADIUS, 0, 1)
