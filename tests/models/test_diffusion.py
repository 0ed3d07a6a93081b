"""The diffusion family: its objective is the spec's, its schedules are the named ones."""

import numpy as np
import pytest
import torch

from gen_export.errors import ConfigError
from gen_export.models.denoisers import ResidualNet, UNet
from gen_export.models.diffusion import DiffusionConfig
from gen_export.spec.diffusion import forward_noising
from gen_export.spec.schedules import SCHEDULES

NETS = ("unet", "residual", "monotone")


NOISE = {
    "eps": lambda output, x_t, abar: output,
    "v": lambda output, x_t, abar: abar.sqrt() * output + (1 - abar).sqrt() * x_t,
    "x0": lambda output, x_t, abar: (x_t - abar.sqrt() * output) / (1 - abar).sqrt(),
}
"""The noise that a network's output stands for."""


def tensors(family, batch=3):
    rng = torch.Generator().manual_seed(1)
    x0 = torch.rand((batch, *family.image.chw), generator=rng) * 2 - 1
    t = torch.tensor([1, family.config.states // 2, family.config.states])[:batch]
    return x0, t, torch.randn(x0.shape, generator=rng)


@pytest.mark.parametrize(
    ("net", "predict"), [*((net, predict) for net in ("unet", "residual") for predict in NOISE), ("monotone", "eps")]
)
@pytest.mark.parametrize("loss", ["output", "eps"])
def test_the_objective_is_the_mean_squared_error_on_a_path_computed_by_hand(build_family, net, predict, loss):
    family = build_family("diffusion", net=net, predict=predict, loss=loss)
    x0, t, eps = tensors(family)
    abar = torch.from_numpy(family.config.alpha_bars())[t].reshape(-1, 1, 1, 1)
    x_t = abar.sqrt() * x0 + (1 - abar).sqrt() * eps
    output = family.net(x_t, t if net == "monotone" else t / family.config.states)
    eps_hat = NOISE[predict](output, x_t, abar)

    assert torch.allclose(family.noising(x0, t, eps), x_t, atol=1e-6)
    assert torch.allclose(family.denoise(x_t, t), eps_hat, atol=1e-5, rtol=1e-5)
    target = {"eps": eps, "v": abar.sqrt() * eps - (1 - abar).sqrt() * x0, "x0": x0}[predict]
    errors = [((output - target) ** 2).mean(), ((eps_hat - eps) ** 2).mean()]
    weighs = loss == "output" and predict != "eps"
    found = family.objective(x0, t, eps)[: 1 + weighs]
    assert torch.allclose(torch.stack(found), torch.stack(errors if weighs else errors[1:]), rtol=1e-5)


def test_a_network_that_gives_the_true_velocity_predicts_the_true_noise(build_family, monkeypatch):
    family = build_family("diffusion", predict="v")
    x0, t, eps = tensors(family)
    abar = torch.from_numpy(family.config.alpha_bars())[t].reshape(-1, 1, 1, 1)
    monkeypatch.setattr(family.net, "forward", lambda x, time: abar.sqrt() * eps - (1 - abar).sqrt() * x0)

    assert torch.allclose(family.denoise(family.noising(x0, t, eps), t), eps, atol=1e-6)
    assert family.objective(x0, t, eps)[0] < 1e-12


def test_a_network_that_gives_the_true_image_predicts_the_true_noise(build_family, monkeypatch):
    """Off by the rounding of x_t, some 1e-7, divided by b of state 1, some 0.04."""
    family = build_family("diffusion", predict="x0")
    x0, t, eps = tensors(family)
    monkeypatch.setattr(family.net, "forward", lambda x, time: x0)

    assert torch.allclose(family.denoise(family.noising(x0, t, eps), t), eps, atol=1e-5)
    assert family.objective(x0, t, eps)[0] < 1e-10


@pytest.mark.parametrize(
    ("net", "predict", "output"),
    [
        ("unet", None, "v"),
        ("residual", None, "eps"),
        ("monotone", None, "eps"),
        ("unet", "eps", "eps"),
        ("residual", "v", "v"),
        ("residual", "x0", "x0"),
        ("monotone", "eps", "eps"),
    ],
)
def test_the_unet_gives_a_velocity_and_the_others_the_noise_unless_told(net, predict, output):
    assert DiffusionConfig(net=net, predict=predict).output == output


@pytest.mark.parametrize("predict", NOISE)
def test_what_the_network_gives_is_in_the_schedule_section_and_its_noise_is_finite_at_state_0(build_family, predict):
    """At state 0 b is 0: what an image implies is divided by its floor of 1e-12."""
    family = build_family("diffusion", predict=predict)

    assert family.schedule()["network"] == predict
    assert torch.isfinite(family.denoise(torch.randn(2, 1, 8, 8), torch.zeros(2, dtype=torch.int64))).all()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"net": "resnet"}, "net: expected one of unet, residual, monotone, found 'resnet'"),
        ({"predict": "x"}, "predict: expected one of eps, v, x0, None, found 'x'"),
        (
            {"schedule": "sigmoid"},
            "schedule: expected one of cosine, linear, scaled_linear, torchlean, found 'sigmoid'",
        ),
        ({"states": 4001}, "states: expected 1 to 4000, found 4001"),
        ({"states": -1}, "states: expected 1 to 4000, found -1"),
        (
            {"schedule": "torchlean", "states": 4000},
            "states: expected so few that alpha_bar ends above 1e-10, found '4000 with 0.0e+00'",
        ),
        ({"net": "unet", "lipschitz": 1.0}, "lipschitz: expected the net residual that predicts eps, found 'unet, v'"),
        (
            {"net": "residual", "predict": "v", "lipschitz": 1.0},
            "lipschitz: expected the net residual that predicts eps, found 'residual, v'",
        ),
        (
            {"net": "residual", "predict": "x0", "lipschitz": 1.0},
            "lipschitz: expected the net residual that predicts eps, found 'residual, x0'",
        ),
        (
            {"net": "monotone", "lipschitz": 1.0},
            "lipschitz: expected the net residual that predicts eps, found 'monotone, eps'",
        ),
        ({"net": "residual", "lipschitz": 0.0}, "lipschitz: expected a number above 0, found 0.0"),
        ({"net": "residual", "lipschitz": -1.0}, "lipschitz: expected a number above 0, found -1.0"),
        ({"net": "residual", "lipschitz": float("nan")}, "lipschitz: expected a number above 0, found nan"),
        ({"net": "residual", "lipschitz": float("inf")}, "lipschitz: expected a number above 0, found inf"),
        ({"net": "monotone", "predict": "v"}, "predict: expected eps of the net monotone, found 'v'"),
        ({"net": "monotone", "predict": "x0"}, "predict: expected eps of the net monotone, found 'x0'"),
    ],
)
def test_options_that_do_not_go_together_are_refused_in_one_line(options, complaint):
    with pytest.raises(ConfigError) as refused:
        DiffusionConfig(**options)
    assert str(refused.value) == complaint


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


@pytest.mark.parametrize("states", [1, 2, 10, 100, 300])
@pytest.mark.parametrize("schedule", SCHEDULES)
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


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_has_1000_states_unless_told_and_the_references_100(schedule):
    states = 100 if schedule == "torchlean" else 1000

    assert DiffusionConfig(schedule=schedule).states == states
    assert DiffusionConfig(schedule=schedule).alpha_bars().shape == (states + 1,)
    assert DiffusionConfig(schedule=schedule, states=7).states == 7


def test_the_references_schedule_ends_at_its_own_signal_rate():
    """Reference section 6.10: sqrt(alpha_bar_T) = 0.04367."""
    abars = DiffusionConfig(schedule="torchlean").alpha_bars()

    assert np.sqrt(abars[-1]) == pytest.approx(0.04367, abs=5e-6)
    assert abars[1] == np.float32(1 - 1e-4)


def test_the_scaled_linear_schedule_of_1000_states_is_that_of_rombach_et_al():
    """Square roots of beta in equal steps from sqrt(8.5e-4) to sqrt(0.012)."""
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2

    assert np.allclose(DiffusionConfig(schedule="scaled_linear").alpha_bars()[1:], np.cumprod(1 - betas), rtol=1e-5)


def test_the_schedule_section_names_kind_states_and_prediction(build_family):
    family = build_family("diffusion", schedule="linear")

    assert family.schedule() == {"kind": "linear", "states": 60, "predicts": "eps", "network": "v"}
    assert build_family("vae").schedule() is None
