"""The diffusion family: its objective is the spec's, its schedules are the named ones."""

import numpy as np
import pytest
import torch

from gen_export.models.denoisers import ResidualNet, UNet
from gen_export.models.diffusion import DiffusionConfig
from gen_export.spec.diffusion import forward_noising

NETS = ("unet", "residual")


def tensors(family, batch=3):
    rng = torch.Generator().manual_seed(1)
    x0 = torch.rand((batch, *family.image.chw), generator=rng) * 2 - 1
    t = torch.tensor([1, family.config.states // 2, family.config.states])[:batch]
    return x0, t, torch.randn(x0.shape, generator=rng)


@pytest.mark.parametrize("predict", ["v", "eps"])
@pytest.mark.parametrize("net", NETS)
def test_the_objective_is_the_mean_squared_error_of_the_noise_on_a_path_computed_by_hand(build_family, net, predict):
    family = build_family("diffusion", net=net, predict=predict)
    x0, t, eps = tensors(family)
    abar = torch.from_numpy(family.config.alpha_bars())[t].reshape(-1, 1, 1, 1)
    x_t = abar.sqrt() * x0 + (1 - abar).sqrt() * eps
    output = family.net(x_t, t / family.config.states)
    eps_hat = output if predict == "eps" else abar.sqrt() * output + (1 - abar).sqrt() * x_t

    assert torch.allclose(family.noising(x0, t, eps), x_t, atol=1e-6)
    assert torch.allclose(family.denoise(x_t, t), eps_hat, atol=1e-6)
    assert torch.allclose(family.objective(x0, t, eps)[0], ((eps_hat - eps) ** 2).mean(), rtol=1e-5)


def test_a_network_that_gives_the_true_velocity_predicts_the_true_noise(build_family, monkeypatch):
    family = build_family("diffusion", predict="v")
    x0, t, eps = tensors(family)
    abar = torch.from_numpy(family.config.alpha_bars())[t].reshape(-1, 1, 1, 1)
    monkeypatch.setattr(family.net, "forward", lambda x, time: abar.sqrt() * eps - (1 - abar).sqrt() * x0)

    assert torch.allclose(family.denoise(family.noising(x0, t, eps), t), eps, atol=1e-6)
    assert family.objective(x0, t, eps)[0] < 1e-12


@pytest.mark.parametrize(
    ("net", "predict", "velocity"),
    [("unet", None, True), ("residual", None, False), ("unet", "eps", False), ("residual", "v", True)],
)
def test_the_unet_gives_a_velocity_and_the_references_net_the_noise_unless_told(net, predict, velocity):
    assert DiffusionConfig(net=net, predict=predict).velocity is velocity


def test_noising_at_state_0_returns_the_clean_image_and_at_the_last_nearly_the_noise(build_family):
    family = build_family("diffusion")
    x0, _, eps = tensors(family)

    assert torch.equal(family.noising(x0, torch.zeros(3, dtype=torch.int64), eps), x0)
    assert torch.allclose(family.noising(x0, torch.full((3,), 60), eps), eps, atol=0.01)


def test_noising_equals_the_specs_lines_on_numpy_in_float64(build_family):
    family = build_family("diffusion")
    x0, t, eps = tensors(family)
    abar = family.config.alpha_bars().astype(np.float64)[t.numpy()].reshape(-1, 1, 1, 1)
    expected = forward_noising(x0.numpy().astype(np.float64), eps.numpy().astype(np.float64), abar)

    assert np.abs(family.noising(x0, t, eps).numpy() - expected).max() < 1e-6


@pytest.mark.parametrize("net", NETS)
def test_one_state_for_the_whole_batch_is_the_same_state_for_every_sample(build_family, net):
    family = build_family("diffusion", net=net)
    x = tensors(family)[2]

    one, each = family.denoise(x, torch.tensor([17])), family.denoise(x, torch.full((3,), 17))

    assert torch.allclose(one, each, atol=1e-6)
    assert not torch.allclose(one, family.denoise(x, torch.tensor([41])), atol=1e-3)


@pytest.mark.parametrize("net", NETS)
def test_samples_do_not_mix_within_a_batch(build_family, net):
    family = build_family("diffusion", net=net)
    x, t = tensors(family)[2], torch.tensor([3, 30, 60])
    alone = torch.cat([family.denoise(x[i : i + 1], t[i : i + 1]) for i in range(3)])

    assert torch.allclose(family.denoise(x, t), alone, atol=1e-5)


@pytest.mark.parametrize(("channels", "hidden", "count"), [(3, 16, 10_307), (3, 2, 283)])
def test_the_residual_net_has_the_references_number_of_parameters(channels, hidden, count):
    """Reference section 6.9: 9(c+1)H + H + 4(9H^2 + H) + 9Hc + c."""
    assert sum(value.numel() for value in ResidualNet(channels, hidden).parameters()) == count


def test_the_residual_net_feeds_the_time_as_a_constant_channel():
    """With the stem's image weights at zero, only the time is seen: every pixel away from the border is equal."""
    net = ResidualNet(1, 4)
    with torch.no_grad():
        net.stem.weight[:, :1] = 0.0
        out = net(torch.randn(2, 1, 16, 16), torch.tensor([0.25, 0.75]))

    inner = out[:, :, 7:9, 7:9].flatten(1)
    assert torch.allclose(inner, inner[:, :1].expand(-1, 4), atol=1e-6)
    assert not torch.allclose(inner[0], inner[1], atol=1e-4)


def test_a_fresh_unet_gives_zero():
    torch.manual_seed(0)

    assert not UNet(3, 16, 1)(torch.randn(2, 3, 8, 8), torch.tensor([0.5, 0.1])).any()


@pytest.mark.parametrize("states", [1, 2, 10, 1000])
@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_every_schedule_starts_clean_and_falls(schedule, states):
    abars = DiffusionConfig(schedule=schedule, states=states).alpha_bars()

    assert abars.dtype == np.float32
    assert abars.shape == (states + 1,)
    assert abars[0] == 1.0
    assert (np.diff(abars) < 0).all()
    assert abars[-1] > 0


def test_the_linear_schedule_of_1000_states_is_that_of_ho_et_al():
    abars = DiffusionConfig(schedule="linear", states=1000).alpha_bars()
    betas = np.linspace(1e-4, 0.02, 1000)

    assert np.allclose(abars[1:], np.cumprod(1 - betas), rtol=1e-5)


def test_the_schedule_section_names_kind_states_and_prediction(build_family):
    family = build_family("diffusion", schedule="linear")

    assert family.schedule() == {"kind": "linear", "states": 60, "predicts": "eps", "network": "v"}
    assert build_family("vae").schedule() is None
