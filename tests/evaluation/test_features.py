"""Features from classifiers of ours and from any other network."""

import numpy as np
import pytest

from gen_export.errors import ConfigError
from gen_export.evaluation.features import all_features, default_features, open_features
from gen_export.spec.pixels import from_bytes
from gen_runtime import FileError, load
from tests.evaluation.networks import MEANS, write_network

TWO_INPUTS = """
<ir_version: 10, opset_import: ["": 18]>
two (float[n, 3, h, w] x, float[n, 3, h, w] z) => (float[n, 3, h, w] y) { y = Add(x, z) }
"""
NOT_VECTORS = """
<ir_version: 10, opset_import: ["": 18]>
same (float[n, 3, h, w] x) => (float[n, 3, h, w] y) { y = Identity(x) }
"""


@pytest.fixture
def network(tmp_path):
    return lambda source=MEANS: write_network(tmp_path, source)


@pytest.fixture
def images():
    return np.random.default_rng(2).integers(0, 256, (5, 8, 8, 3), np.uint8)


def test_another_tools_network_sees_rgb_between_0_and_1(network, images):
    found = open_features(network())(images)

    assert found.shape == (5, 3)
    np.testing.assert_allclose(found, images.mean((1, 2)) / 255, rtol=1e-6)


def test_it_sees_grey_images_as_three_equal_channels(network, images):
    found = open_features(network())(images[..., :1])

    np.testing.assert_allclose(found, np.repeat(images[..., :1].mean((1, 2)) / 255, 3, axis=1), rtol=1e-6)


def test_a_classifier_gives_its_features(exported, images):
    path = exported("classifier")
    grey = images[..., :1]
    expected = load(path).classify(from_bytes(grey.transpose(0, 3, 1, 2)).astype(np.float32))["features"]

    np.testing.assert_array_equal(open_features(path)(grey), expected)


def test_batches_do_not_change_features(network):
    images = np.random.default_rng(3).integers(0, 256, (19, 2, 2, 1), np.uint8)
    told = []
    extract = open_features(network())

    found = all_features(extract, np.split(images, [8, 16]), 19, lambda done, total: told.append((done, total)))

    np.testing.assert_array_equal(found, extract(images))
    assert told == [(8, 19), (16, 19), (19, 19)]


def test_a_classifier_of_another_size_is_refused(exported, images):
    with pytest.raises(FileError, match=r"expected images of \[8, 8, 1\], found \[8, 8, 3\]"):
        open_features(exported("classifier"))(images)


def test_a_generative_model_has_no_features(exported):
    with pytest.raises(FileError, match="expected a classifier or another network that gives features, found a gen"):
        open_features(exported("vae"))


def test_a_network_with_other_inputs_is_refused_by_name(network):
    with pytest.raises(FileError, match=r"expected one input, RGB images .*, found x tensor\(float\).*, z tensor"):
        open_features(network(TWO_INPUTS))


def test_a_network_that_gives_no_vectors_is_refused(network, images):
    with pytest.raises(FileError, match=r"y: expected vectors \(n, d\), found \[5, 3, 8, 8\]"):
        open_features(network(NOT_VECTORS))(images)


def test_a_set_without_features_says_how_to_get_some():
    with pytest.raises(ConfigError, match=r"^--features: expected a file for holiday, .* train classifier"):
        default_features("holiday")
