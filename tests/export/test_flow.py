"""The graphs of the flow, around denoisers whose noise, slope and density are known."""

import math
from typing import Any

import numpy as np
import onnx
import pytest

from gen_export.export.flow import FLOW, INVERT, LOG_LIKELIHOOD, SLOPE
from gen_export.export.samplers import FROM_NOISE, build_samplers
from gen_export.models.recipes import Denoising
from gen_export.spec.flow import bits_per_dim
from gen_export.spec.inversion import invert
from gen_export.spec.pixels import from_bytes, to_bytes
from gen_export.spec.schedules import SPACINGS, alpha_bars, cosine_betas
from tests.export.analytic import OPSETS, GaussianData, parse, serialized, session
from tests.mutants.tool import graphs

SHAPE = (3, 2, 2)
SIZE = math.prod(SHAPE)
STATES = 1000
MEAN = np.linspace(-0.5, 0.5, SIZE).reshape(SHAPE)
VARIANCE = 0.25


def gaussian() -> GaussianData:
    return GaussianData(MEAN, VARIANCE, alpha_bars(cosine_betas(STATES)).astype(np.float32))


def images(count: int = 5) -> np.ndarray:
    x = MEAN + VARIANCE**0.5 * np.random.default_rng(2).standard_normal((count, *SHAPE))
    return x.clip(-1.0, 1.0).astype(np.float32)


def log_density(x: np.ndarray) -> np.ndarray:
    """Of N(mean, variance I), in nats."""
    return (-0.5 * ((x - MEAN) ** 2 / VARIANCE + math.log(2 * math.pi * VARIANCE))).sum((1, 2, 3))


class Files:
    """The graphs of a denoiser, by name: `files.invert(x=..)` gives its outputs."""

    def __init__(self, recipe: Denoising, network: Any, unroll: int | None = None) -> None:
        self.built = {built.name: built for built in build_samplers(recipe, {"denoise": network}, SHAPE, unroll)}

    def __getattr__(self, name: str) -> Any:
        file = session(self.built[name].model)
        setattr(self, name, lambda **inputs: file.run(None, {k: np.asarray(v) for k, v in inputs.items()}))
        return getattr(self, name)


@pytest.fixture(scope="module")
def files() -> Files:
    return Files(gaussian().recipe(), gaussian().network())


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("steps", [3, 10, 50])
def test_sampling_from_the_noise_of_bytes_returns_the_bytes(spacing, steps):
    """All of them: the sampler's clip does not bind on these data, and rounding leaves a twentieth of a level."""
    files = Files(gaussian().recipe(spacing=spacing), gaussian().network())
    expected = to_bytes(images())
    x = from_bytes(expected).astype(np.float32)
    (noise,) = files.invert(x=x, steps=steps)

    (found,) = getattr(files, FROM_NOISE)(noise=noise, steps=steps)
    np.testing.assert_array_equal(found, expected.transpose(0, 2, 3, 1))


def test_the_noise_is_that_of_the_equations_in_float64(files):
    """The first step divides by sqrt(alpha_bar_T) = 5e-5, so float32 leaves 1e-3 of rounding in the noise."""
    x, data = images(), gaussian()
    for steps, tolerance in ((5, 1e-3), (50, 2e-4)):
        (found,) = files.invert(x=x, steps=steps)
        expected = invert(data.denoise, x.astype(np.float64), data.abars.astype(np.float64), steps, _state)
        np.testing.assert_allclose(found, expected, atol=tolerance)


def _state(j: int, steps: int) -> int:
    return SPACINGS["trailing"](j, steps, STATES)


def test_steps_that_clip_return_bytes_that_clipping_would_change():
    """Means outside the range, which the clean images on the way are drawn to."""
    data = GaussianData(3.0 * MEAN, 0.01, gaussian().abars)
    files = Files(data.recipe(), data.network())
    x = (3.0 * MEAN + 0.1 * np.random.default_rng(2).standard_normal((5, *SHAPE))).clip(-1, 1).astype(np.float32)

    def levels(clip: int) -> int:
        (noise,) = files.invert(x=x, steps=20, iterations=30, clip=clip)
        (found,) = getattr(files, FROM_NOISE)(noise=noise, steps=20)
        return int(np.abs(found.astype(int) - to_bytes(x).transpose(0, 2, 3, 1)).max())

    assert levels(1) <= 1 < levels(0)


def test_one_iteration_is_not_enough(files):
    x = images()
    (once,), (enough,), (usual,) = (
        files.invert(x=x, steps=10, **more) for more in ({"iterations": 1}, {"iterations": 9}, {})
    )

    assert np.abs(once - enough).max() > 0.1
    np.testing.assert_allclose(usual, enough, atol=1e-3)


def test_the_likelihood_of_gaussian_data_is_their_density(files):
    x = images()
    nats, bits = files.log_likelihood(x=x, steps=500, probes=0)

    np.testing.assert_allclose(nats, log_density(x), atol=2e-4)  # 12 values, and sqrt(alpha_bar_T) = 5e-5
    np.testing.assert_allclose(bits, bits_per_dim(nats, SIZE), rtol=1e-6)


def test_its_error_falls_with_the_square_of_the_step(files):
    x = images()
    errors = [
        np.abs(files.log_likelihood(x=x, steps=steps, probes=0)[0] - log_density(x)).max() for steps in (8, 16, 32)
    ]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])

    assert np.all((orders > 1.7) & (orders < 2.6)), orders


@pytest.mark.parametrize("probes", [1, 4])
def test_random_directions_are_exact_where_the_slope_is_a_multiple_of_the_identity(files, probes):
    (nats, _), (exact, _) = (files.log_likelihood(x=images(), steps=20, probes=n, seed=3) for n in (probes, 0))

    np.testing.assert_allclose(nats, exact, atol=1e-5)


@pytest.fixture(scope="module")
def mixed() -> Files:
    """A denoiser whose slope has numbers off its diagonal."""
    text = """
        <ir_version: 8, opset_import: ["" : 18]>
        denoise (float[batch, 3, 2, 2] x, int64[levels] t) => (float[batch, 3, 2, 2] eps) {
            b = Gather(rates, t)
            y = Conv(x, kernel)
            eps = Mul(b, y)
        }
    """
    kernel = np.eye(3) + 0.3 * np.random.default_rng(3).standard_normal((3, 3))
    rates = np.sqrt(1.0 - gaussian().abars)
    return Files(gaussian().recipe(), parse(text, kernel=kernel.reshape(3, 3, 1, 1), rates=rates))


def test_random_directions_are_right_on_average(mixed):
    """Each image of 300 equal ones has directions of its own; within five standard errors, which are not zero."""
    x = np.repeat(images(1), 300, axis=0)
    nats, _ = mixed.log_likelihood(x=x, steps=6, seed=1)
    exact, _ = mixed.log_likelihood(x=x[:1], steps=6, probes=0)
    standard = nats.std() / math.sqrt(len(nats))

    assert abs(nats.mean() - exact.item()) < 5 * standard
    assert standard > 1e-3


def test_more_directions_scatter_less(mixed):
    """Sixteen a quarter as far as one; the spreads of 300 are known to a twelfth."""
    x = np.repeat(images(1), 300, axis=0)
    one, many = (mixed.log_likelihood(x=x, steps=6, probes=n)[0].std() for n in (1, 16))

    assert 3.0 < one / many < 5.5


def test_the_seed_and_nothing_else_chooses_the_directions(mixed):
    x = images()
    again = [mixed.log_likelihood(x=x, steps=6, seed=seed)[0] for seed in (5, 5, 6)]

    np.testing.assert_array_equal(again[0], again[1])
    assert np.all(again[0] != again[2])
    np.testing.assert_array_equal(mixed.log_likelihood(x=x[:2], steps=6, seed=5)[0], again[0][:2])


def test_left_out_options_are_those_of_the_ports(mixed):
    x = images()
    ports = {name: {port.name: port.default for port in mixed.built[name].inputs} for name in FLOW}
    assert (ports[INVERT]["steps"], ports[INVERT]["iterations"], ports[INVERT]["clip"]) == (8, 5, 0)
    assert (ports[LOG_LIKELIHOOD]["steps"], ports[LOG_LIKELIHOOD]["probes"], ports[LOG_LIKELIHOOD]["seed"]) == (8, 1, 0)

    np.testing.assert_array_equal(mixed.invert(x=x)[0], mixed.invert(x=x, steps=8, iterations=5, clip=0)[0])
    found, expected = mixed.log_likelihood(x=x), mixed.log_likelihood(x=x, steps=8, probes=1, seed=0)
    np.testing.assert_array_equal(found[0], expected[0])


def test_the_slope_of_gaussian_data_is_its_gain(files):
    x, direction = images(), images()[::-1]
    gain, shift = gaussian().tables()
    eps, slope = files.slope(x=x, t=[7], direction=direction)

    np.testing.assert_allclose(eps, gain[7] * (x - shift[7] * MEAN), atol=1e-6)
    np.testing.assert_allclose(slope, gain[7] * direction, atol=1e-7)


@pytest.mark.parametrize("opset", OPSETS)
def test_every_file_is_valid_at_its_opset(opset):
    built = Files(gaussian().recipe(), gaussian().network(opset)).built
    for name in FLOW:
        proto = onnx.load_from_string(serialized(built[name].model))  # the full check
        assert [(o.domain, o.version) for o in proto.opset_import] == [("", opset)]
        assert [o.name for o in proto.graph.output] == [port.name for port in built[name].outputs]


@pytest.mark.parametrize("name", FLOW)
def test_the_network_is_in_each_file_once(files, name):
    proto = onnx.load_from_string(serialized(files.built[name].model))
    weights = [tensor.name for graph in graphs(proto.graph) for tensor in graph.initializer]

    assert len([weight for weight in weights if "/gain" in weight]) == 1


def test_a_sampler_without_loops_has_the_slope_alone():
    built = Files(gaussian().recipe(), gaussian().network(), unroll=3).built

    assert {*FLOW} & {*built} == {SLOPE}
    assert not [node for node in built[SLOPE].model.graph.all_nodes() if node.op_type in ("Loop", "If")]
