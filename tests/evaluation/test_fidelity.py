"""Measures of rebuilt images: closed forms, and another implementation's window."""

import numpy as np
import pytest
from scipy import ndimage

from gen_export.evaluation.fidelity import mean_squared_error, peak_signal_to_noise, structural_similarity


@pytest.fixture
def images():
    rng = np.random.default_rng(3)
    smooth = ndimage.gaussian_filter(rng.normal(size=(4, 20, 16, 3)), (0, 2, 2, 0)) * 400 + 128
    noisy = smooth + rng.normal(0, 12, smooth.shape)
    return smooth.clip(0, 255).astype(np.uint8), noisy.clip(0, 255).astype(np.uint8)


def test_the_error_of_black_against_white_is_one_and_its_signal_zero_decibels():
    black, white = np.zeros((1, 4, 4, 1), np.uint8), np.full((1, 4, 4, 1), 255, np.uint8)

    assert mean_squared_error(black, white) == [1.0]
    assert peak_signal_to_noise(black, white) == [0.0]


def test_one_level_everywhere_is_48_decibels():
    a, b = np.zeros((1, 4, 4, 1), np.uint8), np.ones((1, 4, 4, 1), np.uint8)

    assert peak_signal_to_noise(a, b) == pytest.approx(20 * np.log10(255))


def test_equal_images_are_as_similar_as_can_be(images):
    assert structural_similarity(images[0], images[0]) == pytest.approx(1)
    assert (peak_signal_to_noise(images[0], images[0]) == np.inf).all()


def test_the_similarity_of_two_flat_images_is_that_of_their_luminance():
    a, b = np.full((1, 11, 11, 1), 51, np.uint8), np.full((1, 11, 11, 1), 102, np.uint8)

    assert structural_similarity(a, b) == pytest.approx((2 * 0.2 * 0.4 + 1e-4) / (0.2**2 + 0.4**2 + 1e-4))


def test_the_similarity_equals_the_formula_with_another_gaussian_filter(images):
    a, b = (x / 255 for x in images)

    def blurred(x):
        return ndimage.gaussian_filter(x, (0, 1.5, 1.5, 0), radius=(0, 5, 5, 0))

    ma, mb = blurred(a), blurred(b)
    va, vb, cov = blurred(a * a) - ma**2, blurred(b * b) - mb**2, blurred(a * b) - ma * mb
    each = (2 * ma * mb + 1e-4) * (2 * cov + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))

    assert structural_similarity(*images) == pytest.approx(each[:, 5:-5, 5:-5].mean((1, 2, 3)), rel=1e-9)


def test_each_image_is_measured_by_itself(images):
    a, b = images

    for measure in (mean_squared_error, peak_signal_to_noise, structural_similarity):
        assert measure(a, b)[2] == pytest.approx(measure(a[2:3], b[2:3])[0])
