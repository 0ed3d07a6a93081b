"""Affine couplings: their inverse, their bounds and the density that they give, in closed form."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gen_export.spec.coupling import LARGEST, bounded_log_scale, couple, log_density, uncouple

numbers = st.floats(-30, 30)


@given(numbers, st.floats(-LARGEST, LARGEST), numbers)
def test_uncoupling_undoes_coupling(x, log_scale, shift):
    x, log_scale, shift = (np.array([value]) for value in (x, log_scale, shift))
    size = (np.abs(x) * np.exp(log_scale) + np.abs(shift)) * np.exp(-log_scale)  # of what is added, scaled back

    assert (
        abs(uncouple(couple(x, log_scale, shift), log_scale, shift) - x)
        <= 8 * np.finfo(float).eps * size + np.finfo(float).tiny
    )


@given(st.floats(-1e300, 1e300))
def test_a_log_scale_is_bounded_and_keeps_its_sign(raw):
    found = float(bounded_log_scale(np.array(raw)))

    assert abs(found) <= min(LARGEST, abs(raw))
    assert found * raw >= 0


def test_a_small_log_scale_is_what_the_network_says():
    np.testing.assert_allclose(bounded_log_scale(np.array([1e-4, -1e-4])), [1e-4, -1e-4], rtol=1e-8)


def test_the_density_of_a_scaled_and_moved_normal_is_its_closed_form():
    """With u = (z - m) / s standard normal, z has the law N(m, s^2), and |du / dz| = 1 / s."""
    z, mean, scale = np.array([[0.3, -1.2], [2.0, 0.5]]), np.array([0.1, -0.4]), np.array([0.5, 3.0])
    found = log_density(couple(z, -np.log(scale), -mean / scale), -np.log(scale).sum())
    expected = -0.5 * (((z - mean) / scale) ** 2 + np.log(2 * np.pi * scale**2)).sum(axis=1)

    np.testing.assert_allclose(found, expected, rtol=1e-14)
