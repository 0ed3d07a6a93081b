"""Samples that ONNX Runtime draws from one file have the statistics of a mixture whose denoiser is exact."""

import numpy as np
import pytest

from gen_export.export.samplers import SAMPLE, build_samplers
from gen_export.models.recipes import Denoising
from gen_export.spec.pixels import from_bytes
from gen_export.spec.solvers import SOLVERS
from tests.export.analytic import evaluate, mixture_network, session
from tests.mixture import four_in_the_plane, levels_even_in_log_snr

COUNT, SHAPE = 2500, (1, 1, 2)
ABARS = levels_even_in_log_snr(400, 1 / 400, 200).astype(np.float32)
DATA = four_in_the_plane(ABARS.astype(np.float64))
# As in tests/spec/test_mixture.py: what the steps leave, and one false alarm in a million seeds. Bytes add 5e-6 to the
# variances, 0.002 of the smallest.
LEFT, ALARM = 0.05, 1e-6 / 9


def sampler(data):
    built = build_samplers(Denoising(SHAPE, ABARS, 100), {"denoise": mixture_network(data)}, SHAPE)
    return session(next(graph.model for graph in built if graph.name == SAMPLE))


def drawn(file, solver="ddim", eta=0.0, steps=400):
    """Points in the plane, (COUNT, 2)."""
    options = {"steps": steps, "eta": np.float32(eta), "solver": list(SOLVERS).index(solver)}
    inputs = {name: np.asarray(value) for name, value in {"seed": 11, "count": COUNT, **options}.items()}
    return from_bytes(file.run(None, inputs)[0].reshape(COUNT, 2).astype(np.float64))


@pytest.fixture(scope="module")
def file():
    return sampler(DATA)


@pytest.mark.parametrize("t", [1, 100, 250, 400])
def test_the_network_is_the_denoiser_in_float32(t):
    x = np.random.default_rng(t).uniform(-1.5, 1.5, (50, *SHAPE)).astype(np.float32)
    (found,) = evaluate(mixture_network(DATA), {"x": x, "t": np.array([t])})
    expected = DATA.denoise(x.reshape(50, 2).astype(np.float64), t)

    # Far from a component the pulls of the nearest two cancel: float32 of numbers up to 1e3 in the logits.
    np.testing.assert_allclose(found.reshape(50, 2), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("solver", "eta", "steps"), [("ddim", 0.0, 400), ("ddim", 1.0, 400), ("heun", 0.0, 50)])
def test_the_file_draws_the_weights_means_and_covariances_of_the_mixture(file, solver, eta, steps):
    assert DATA.chances(drawn(file, solver, eta, steps), LEFT).min() > ALARM


def test_another_mixture_in_the_file_is_rejected():
    wrong = four_in_the_plane(DATA.abars)
    wrong.means[0] += 0.03

    assert DATA.chances(drawn(sampler(wrong), "heun", steps=50), LEFT).min() < ALARM
