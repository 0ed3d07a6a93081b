"""The net that is the gradient of a convex potential: its slopes, in the file and by torch's own derivative."""

import numpy as np
import onnx_ir as ir
import pytest
import torch

from gen_export.export.tracing import trace
from gen_export.models.lipschitz import plain
from gen_export.verify.lipschitz.network import bound
from gen_export.verify.onnx_file import OnnxFile
from tests.models.test_lipschitz import train

FLOAT32 = 1e-6
"""Of the tables and weights in a file, a share of 1 / b: a few roundings of 6e-8."""


def rates(family):
    """The rate b of all states, that of state 1 at state 0, and the least slope min(1.25 b, 1 - b^2)."""
    b = np.sqrt(1 - family.config.alpha_bars().astype(np.float64))
    b[0] = b[1]
    return b, np.minimum(1.25 * b, 1 - b**2)


def denoiser_file(family, folder):
    """The exported graph `denoise`."""
    family = plain(family).eval()
    graph = next(graph for graph in family.graphs() if graph.name == "denoise")
    ir.save(trace(family, graph, 18), folder / "denoise.onnx")
    return OnnxFile.read(folder / "denoise.onnx")


@pytest.mark.parametrize("schedule", ["cosine", "torchlean"])
def test_the_slopes_of_the_exported_file_lie_where_the_schedule_says_at_every_state(build_family, tmp_path, schedule):
    family = build_family("diffusion", net="monotone", schedule=schedule, states=60)
    train(family, 3, 0.5)
    file, (b, least) = denoiser_file(family, tmp_path), rates(family)

    states = [0, 1, 2, *range(5, 61, 5)]
    found = np.array([bound(file, "x", "eps", {}, {"t": np.array([t])}).slopes for t in states])

    b, least = b[states], least[states]
    assert (found[:, 0] >= least - FLOAT32 / b).all()
    assert (found[:, 0] <= least + FLOAT32 / b).all()
    assert (found[:, 1] <= (1 + FLOAT32) / b).all()
    assert found[1, 1] > 0.3 / b[1]
    low, high = bound(file, "x", "eps", {}).slopes
    assert low <= found[:, 0].min()
    assert high >= found[:, 1].max()


def test_the_slopes_by_torchs_own_derivative_are_symmetric_and_lie_there_too(build_family):
    """At images of several sizes, of weights that large steps have moved."""
    family = build_family("diffusion", (1, 4, 4), net="monotone")
    train(family, 3, 0.5)
    b, least = rates(family)
    spread = []
    for t in (0, 1, 20, 40, 60):
        for scale in (0.01, 1.0, 30.0):
            x = scale * torch.randn(1, 1, 4, 4)
            slope = torch.autograd.functional.jacobian(lambda x, t=t: family.denoise(x, torch.tensor([t])), x)
            slope = slope.reshape(16, 16).double().numpy()
            np.testing.assert_allclose(slope, slope.T, rtol=0, atol=1e-6 / b[t])
            eigenvalues = np.linalg.eigvalsh(slope)
            assert least[t] - 1e-6 / b[t] <= eigenvalues[0]
            assert eigenvalues[-1] <= (1 + 1e-6) / b[t]
            spread.append((eigenvalues[-1] - eigenvalues[0]) * b[t])
    assert max(spread) > 0.1  # else a multiple of x would do


@pytest.mark.parametrize("image", [(1, 8, 8), (3, 4, 12)])
def test_images_of_a_batch_at_different_states_are_as_each_alone(build_family, image):
    family = build_family("diffusion", image, net="monotone")
    x, t = torch.randn(5, *image), torch.tensor([0, 1, 7, 30, 60])
    alone = torch.cat([family.denoise(x[i : i + 1], t[i : i + 1]) for i in range(5)])

    together = family.denoise(x, t)

    assert together.shape == x.shape
    assert torch.allclose(together, alone, atol=1e-5, rtol=1e-5)
    assert torch.allclose(family.denoise(x, t[3:4]), family.denoise(x, t[3:4].expand(5)), atol=1e-5, rtol=1e-5)


def test_shares_are_shares_and_lie_between_those_of_the_knots(build_family):
    net = build_family("diffusion", net="monotone").net
    with torch.no_grad():
        for name in ("share", "width"):
            net.parametrizations[name].original.normal_()

    assert net.share.shape == net.width.shape == (61, 3)
    assert torch.allclose(net.share.sum(1), torch.ones(61))
    assert (net.share > 0).all()
    assert (net.width > 0).all()
    assert torch.allclose(net.level.sum(1), torch.ones(61), atol=1e-5)
    assert (net.level >= 0).all()


def test_any_two_images_come_closer_at_every_step_of_ddim_at_low_noise(build_family):
    """By the cosine of the angle between the levels, whatever the weights, where the least slope is above b."""
    family = build_family("diffusion", (1, 4, 4), net="monotone")
    train(family, 3, 0.5)
    abars = torch.from_numpy(family.config.alpha_bars())
    x, y = torch.randn(2, 1, 1, 4, 4)
    b = (1 - abars).sqrt()
    with torch.no_grad():
        for t in [t for t in range(60, 0, -1) if 1.25 * b[t] <= 1 - b[t] ** 2]:
            state, (a_t, a_s) = torch.tensor([t]), abars[[t, t - 1]].sqrt()
            before = (x - y).norm()
            x, y = (
                a_s / a_t * (z - b[t] * eps) + b[t - 1] * eps for z in (x, y) for eps in (family.denoise(z, state),)
            )
            assert (x - y).norm() <= before * (a_s * a_t + b[t - 1] * b[t]) + 1e-5
