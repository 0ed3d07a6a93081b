"""Kernels that keep a constant: norms of assembled matrices, certified files, and plain copies."""

from pathlib import Path

import onnx_ir as ir
import pytest
import torch
from onnx import numpy_helper
from torch.nn.utils import parametrize

from gen_export.export.tracing import trace
from gen_export.models.denoisers import ResidualNet
from gen_export.models.family import Batch
from gen_export.models.lipschitz import Gain, Unit, plain
from gen_export.verify.lipschitz.network import bound
from gen_export.verify.lipschitz.norms import convolution_norm, perron_bound
from gen_export.verify.onnx_file import OnnxFile
from tests.verify.lipschitz.test_norms import exact_norm

SHAPES = [(3, 2, 3, 3), (2, 5, 3, 3), (6, 1, 4, 4), (1, 3, 5, 2), (4, 4, 1, 1)]


def kernel_of(seed, shape, kind="normal"):
    """A random kernel: of normal entries, of channels of very different sizes, or of one sign."""
    kernel = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    if kind == "uneven":
        return kernel * torch.logspace(-6, 3, shape[0]).reshape(-1, 1, 1, 1)
    return kernel.abs() if kind == "positive" else kernel


@pytest.mark.parametrize("kind", ["normal", "uneven", "positive"])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_unit_kernel_has_a_norm_of_at_most_1_on_images_of_any_size(shape, stride, kind):
    for seed, (image, pads) in enumerate([((6, 7), (1, 1, 1, 1)), ((9, 5), (0, 2, 3, 0))]):
        kernel = Unit(stride)(kernel_of(seed, shape, kind)).numpy()

        assert exact_norm(kernel, image, pads, (stride, stride)) <= 1


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_proven_norm_of_a_unit_kernel_is_at_most_1_too(shape, stride):
    """Below 1 by the slack of 1e-5 where the sums of |G| say it all, as for a single channel of one sign."""
    kernel = Unit(stride)(kernel_of(3, shape)).numpy()

    assert convolution_norm(kernel, (200, 300), (stride, stride)) <= 1


@pytest.mark.parametrize("shape", SHAPES)
def test_perrons_bound_of_a_scaled_kernel_is_1(shape):
    """Scaled, the sums of |G| over a row, times the factors, are 1 for all rows: the eigenvalue of Perron."""
    assert perron_bound(Unit()(kernel_of(5, shape)).double().numpy()) == pytest.approx(1 - 1e-5, abs=1e-6)


def test_a_positive_kernel_that_is_scaled_has_the_norm_1_on_large_images():
    """Teeth: all lags of its Gram matrix are positive, so that nothing is lost but the slack and the image's edge."""
    kernel = Unit()(kernel_of(0, (1, 1, 3, 3), "positive")).numpy()

    assert exact_norm(kernel, (24, 24), (1, 1, 1, 1), (1, 1)) == pytest.approx(1, abs=0.02)


def test_the_channels_that_are_not_meant_are_free():
    kernel = kernel_of(1, (4, 3, 3, 3))

    scaled = Unit(channels=2)(kernel)

    assert torch.equal(scaled[:, 2:], kernel[:, 2:])
    assert torch.equal(scaled[:, :2], Unit()(kernel[:, :2]))
    assert exact_norm(scaled[:, :2].numpy(), (7, 7), (1, 1, 1, 1), (1, 1)) <= 1
    assert exact_norm(scaled.numpy(), (7, 7), (1, 1, 1, 1), (1, 1)) > 1


def test_a_kernel_of_zeros_stays_one_and_has_a_gradient():
    kernel = torch.zeros(2, 2, 3, 3, requires_grad=True)

    scaled = Unit()(kernel)
    scaled.sum().backward()

    assert not scaled.any()
    assert kernel.grad is not None
    assert torch.isfinite(kernel.grad).all()


@pytest.mark.parametrize("seed", range(3))
def test_scaling_a_kernel_before_it_is_made_unit_changes_nothing(seed):
    kernel = kernel_of(seed, (3, 2, 3, 3))

    torch.testing.assert_close(Unit()(100.0 * kernel), Unit()(kernel), rtol=1e-5, atol=0)


def test_a_gain_is_the_factor_that_it_begins_with():
    assert Gain(0.5).value.item() == pytest.approx(0.5, rel=1e-6)


@pytest.fixture
def file_of(build_family):
    """The exported denoiser of a residual net with a constant; of another net of its sizes, by exchanging weights."""
    known = {}

    def export(family):
        if family.image not in known:
            graph = next(graph for graph in family.graphs() if graph.name == "denoise")
            known[family.image] = ir.serde.serialize_model(trace(family, graph, 18))
        for tensor in known[family.image].graph.initializer:
            if ".net." in tensor.name:
                weight = family.get_parameter(tensor.name.partition(".")[2]).detach().numpy()
                tensor.CopyFrom(numpy_helper.from_array(weight, tensor.name))
        return OnnxFile(known[family.image].SerializeToString(), Path("denoise.onnx"))

    return lambda family: export(plain(family).eval())


def train(family, steps, rate):
    """A few steps on random images, as far as the rate takes the weights."""
    rng = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(family.parameters(), rate)
    for _ in range(steps):
        optimizer.zero_grad()
        family.epsilon_losses(Batch(torch.randn((4, *family.image.chw), generator=rng)), rng)["loss"].backward()
        optimizer.step()


@pytest.mark.parametrize(
    ("lipschitz", "image", "seed"), [(0.9, (1, 8, 8), 0), (1.0, (3, 28, 28), 1), (7.5, (1, 40, 40), 2)]
)
def test_the_certified_constant_of_a_file_is_at_most_the_one_that_was_asked_for(
    build_family, file_of, lipschitz, image, seed
):
    family = build_family("diffusion", image, seed, net="residual", lipschitz=lipschitz)

    for _ in range(3):
        assert 0.1 * lipschitz < bound(file_of(family), "x", "eps", {}).value <= lipschitz
        train(family, 2, 1.0)


def test_training_moves_a_limited_net_to_where_it_fits_better():
    torch.manual_seed(0)
    net, (x, target) = ResidualNet(1, 8, 1.0), torch.randn(2, 16, 1, 8, 8)
    t = torch.rand(16)

    def loss():
        return (net(x, t) - 0.8 * x - 0.1 * target).square().mean()

    before = loss().item()
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        loss().backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())
        optimizer.step()

    assert loss().item() < 0.5 * before


def test_a_plain_copy_gives_the_same_numbers_and_leaves_the_original_as_it_was(build_family):
    for options in ({"net": "residual", "lipschitz": 0.9}, {"net": "monotone"}):
        family = build_family("diffusion", **options)
        x, t = torch.randn(2, 1, 8, 8), torch.tensor([3, 60])
        before, names = family.denoise(x, t), list(family.state_dict())
        layers = [layer for layer in family.modules() if parametrize.is_parametrized(layer)]

        copy = plain(family)

        assert torch.equal(copy.denoise(x, t), before)
        assert not any(parametrize.is_parametrized(layer) for layer in copy.modules())
        assert not any("parametrizations" in name for name in copy.state_dict())
        assert all(parametrize.is_parametrized(layer) for layer in layers)
        assert layers
        assert list(family.state_dict()) == names
        family.objective(x, t, torch.randn_like(x))[0].backward()
        assert all(p.grad is not None for p in family.parameters())
        with torch.no_grad():
            for parameter in family.parameters():
                parameter.add_(0.1)
        assert torch.equal(copy.denoise(x, t), before)
        assert not torch.equal(family.denoise(x, t), before)


def test_a_family_without_parametrized_weights_is_plain_already(build_family):
    family = build_family("diffusion", net="residual")

    assert plain(family) is family


def test_a_limited_nets_state_is_loaded_into_another(build_family):
    first, second = (build_family("diffusion", net="residual", lipschitz=2.0, seed=seed) for seed in (0, 1))
    x, t = torch.randn(2, 1, 8, 8), torch.tensor([3, 60])

    second.load_state_dict(first.state_dict())

    assert torch.equal(first.denoise(x, t), second.denoise(x, t))


def test_a_constant_bounds_every_pair_of_images_at_every_time(build_family):
    """In float32, which is off by some units of 6e-8 of outputs of about |z|, beside distances of at least |z| / 10."""
    family = build_family("diffusion", net="residual", lipschitz=2.0)
    train(family, 4, 1.0)
    x, z = torch.randn(2, 64, 1, 8, 8)
    t = torch.randint(1, 61, (64,))
    with torch.no_grad():
        for scale in (0.1, 1.0, 100.0):
            apart = (family.denoise(x, t) - family.denoise(x + scale * z, t)).flatten(1).norm(dim=1)
            assert (apart <= 2.0 * scale * z.flatten(1).norm(dim=1) * (1 + 1e-4)).all()
