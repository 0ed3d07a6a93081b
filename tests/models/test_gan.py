"""The GAN: its losses are the spec's, and each player is moved by its own alone."""

import copy
from collections import OrderedDict
from typing import cast

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
from onnx.utils import Extractor
from torch import nn
from torch.optim.swa_utils import AveragedModel

from gen_export.errors import ConfigError
from gen_export.export.tracing import trace
from gen_export.models.family import Batch, ImageShape, config_from
from gen_export.models.gan import GAN, GANConfig, gradient_penalty

TERMS = ["generator_loss", "discriminator_loss", "real_term", "fake_term"]


def build(image=(1, 8, 8), seed=0, **options) -> GAN:
    """A tiny GAN whose zero-initialised layers have small weights, so that every part acts."""
    torch.manual_seed(seed)
    family = GAN(GANConfig(**{"size": "tiny", "latent": 6, **options}), ImageShape(*image))
    with torch.no_grad():
        for parameter in family.parameters():
            if not parameter.any():
                parameter.normal_(0.0, 0.05)
    return family


def images(family: GAN, batch=3, seed=1) -> torch.Tensor:
    return torch.rand((batch, *family.image.chw), generator=torch.Generator().manual_seed(seed)) * 2 - 1


def latents(family: GAN, batch=3, seed=1) -> torch.Tensor:
    return torch.randn((batch, family.config.latent), generator=torch.Generator().manual_seed(seed))


def generator(seed=0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scored(family: GAN, real: float, fake: float) -> GAN:
    """The family with a discriminator that gives one score to `images(family)` and another to all else."""
    known = images(family)

    class Scores(nn.Sequential):
        def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's name
            return torch.full((len(input), 1), real if torch.equal(input, known) else fake)

    family.discriminator = Scores()
    return family


def turn(family: GAN, name: str, x: torch.Tensor, rng: torch.Generator) -> dict[str, torch.Tensor]:
    """The gradients by parameter name of one player's turn, in which the others' parameters have none."""
    player = next(player for player in family.players() if player.name == name)
    loss = next(iter(player.losses(Batch(x), rng).values()))
    named = {name: value for name, value in family.named_parameters() if any(value is p for p in player.parameters())}
    return dict(zip(named, torch.autograd.grad(loss, list(named.values())), strict=True))


def test_the_losses_are_those_of_scores_computed_by_hand():
    family = build()
    x, z = images(family), latents(family)
    with torch.no_grad():
        generator_loss, discriminator_loss, real_term, fake_term, *_ = family.objective(x, z)
        real = family.discriminator(x)[:, 0].tolist()
        fake = family.discriminator(family.generator(z))[:, 0].tolist()

    assert real_term.item() == pytest.approx(sum((score - 1) ** 2 for score in real) / 3, rel=1e-6)
    assert fake_term.item() == pytest.approx(sum(score**2 for score in fake) / 3, rel=1e-6)
    assert generator_loss.item() == pytest.approx(sum((score - 1) ** 2 for score in fake) / 3, rel=1e-6)
    assert torch.equal(discriminator_loss, real_term + fake_term)


def test_fakeScore_eq_discriminator_generate():  # noqa: N802
    family = build()
    x, z = images(family), latents(family)
    *_, generated, real_score, fake_score = family.objective(x, z)

    assert torch.equal(generated, family.generate(z))
    assert torch.equal(fake_score, family.discriminate(family.generate(z)))
    assert torch.equal(real_score, family.discriminate(x))


def test_discriminatorLoss_zero_of_perfect_scores_and_the_generator_then_loses_one():  # noqa: N802
    family = scored(build(), real=1.0, fake=0.0)

    values = [value.item() for value in family.objective(images(family), latents(family))[:4]]
    assert dict(zip(TERMS, values, strict=True)) == {
        "generator_loss": 1, "discriminator_loss": 0, "real_term": 0, "fake_term": 0
    }  # fmt: skip


def test_generatorLoss_zero_of_fake_score_real():  # noqa: N802
    family = scored(build(), real=0.25, fake=1.0)

    assert family.objective(images(family), latents(family))[0].item() == 0


def test_the_losses_in_the_file_follow_from_the_scores_inside_it():
    """The part of the file between the scores and the losses, given scores of its own."""
    family = build().eval()
    graph = family.graph("objective")
    model = ir.to_proto(trace(family, graph, 18))
    model.graph.value_info.extend(
        onnx.helper.make_tensor_value_info(port.name, onnx.TensorProto.FLOAT, port.shape) for port in graph.inner[1:]
    )
    losses = Extractor(model).extract_model(["real_score", "fake_score"], TERMS)
    session = ort.InferenceSession(losses.SerializeToString(), providers=["CPUExecutionProvider"])

    def run(real: np.ndarray, fake: np.ndarray) -> list[float]:
        return [float(np.asarray(value)) for value in session.run(None, {"real_score": real, "fake_score": fake})]

    ones, zeros = np.ones(5, np.float32), np.zeros(5, np.float32)
    assert run(ones, zeros) == [1, 0, 0, 0]
    assert run(zeros, ones) == [0, 2, 1, 1]
    assert run(ones * 0.5, ones * 3) == [4, 9.25, 0.25, 9]


def test_the_discriminator_plays_first():
    assert [player.name for player in build().players()] == ["discriminator", "generator"]


def test_the_players_share_no_parameter_and_leave_none_out():
    family = build(spectral=True)
    discriminator, generator = (set(player.parameters()) for player in family.players())

    assert not discriminator & generator
    assert discriminator | generator == set(family.parameters())


@pytest.mark.parametrize("name", ["discriminator", "generator"])
def test_a_step_of_one_player_does_not_move_the_other(name):
    family = build(r1=1.0)
    before = copy.deepcopy(family)
    gradients = turn(family, name, images(family), generator())
    with torch.no_grad():
        for parameter, gradient in gradients.items():
            family.get_parameter(parameter).sub_(gradient)

    moved = {key for key, value in family.named_parameters() if not torch.equal(value, before.get_parameter(key))}
    assert moved == {key for key, _ in family.named_parameters() if key.startswith(name)}


def test_the_discriminators_loss_has_no_gradient_in_the_generator_and_the_generators_has_one_in_both():
    family = build()
    family.discriminator_losses(Batch(images(family)), generator())["discriminator"].backward()
    assert all(parameter.grad is None for parameter in family.generator.parameters())

    family.zero_grad()
    family.generator_losses(Batch(images(family)), generator())["generator"].backward()
    assert all(parameter.grad is not None for parameter in family.parameters())


@pytest.mark.parametrize("spectral", [False, True])
@pytest.mark.parametrize("name", ["discriminator", "generator"])
def test_the_gradient_reaches_every_parameter_of_a_player(name, spectral):
    gradients = turn(build(spectral=spectral), name, images(build(), batch=8), generator())

    assert [key for key, gradient in gradients.items() if not gradient.any()] == []


def test_training_minimises_both_terms_and_half_the_penalty_times_its_weight():
    family = build(r1=3.0)
    losses = family.discriminator_losses(Batch(images(family)), generator())

    assert list(losses) == ["discriminator", "real_term", "fake_term", "r1"]
    assert torch.equal(losses["discriminator"], losses["real_term"] + losses["fake_term"] + 1.5 * losses["r1"])
    assert losses["r1"] > 0


@pytest.mark.parametrize("r1", [0.0, 2.0])
def test_without_gradients_or_without_weight_there_is_no_penalty(r1):
    family = build(r1=r1)
    with torch.set_grad_enabled(r1 == 0):
        losses = family.discriminator_losses(Batch(images(family)), generator())

    assert list(losses) == ["discriminator", "real_term", "fake_term"]
    assert torch.equal(losses["discriminator"], losses["real_term"] + losses["fake_term"])


def test_the_penalty_of_a_linear_discriminator_is_its_squared_weight_and_so_is_known_its_gradient():
    """D(x) = w . x has the gradient w everywhere: the penalty is |w|^2, its gradient 2 w."""
    linear = nn.Linear(2 * 3 * 4, 1)
    x = torch.randn(5, 2, 3, 4, requires_grad=True)
    penalty = gradient_penalty(linear(x.flatten(1))[:, 0], x)
    (gradient,) = torch.autograd.grad(penalty, linear.weight)

    assert penalty.item() == pytest.approx(linear.weight.square().sum().item(), rel=1e-6)
    assert torch.allclose(gradient, 2 * linear.weight, rtol=1e-6)


def test_the_penalty_of_a_quadratic_discriminator_is_a_mean_over_the_batch():
    """D(x) = |x|^2 / 2 has the gradient x: the penalty is the mean of |x|^2."""
    x = torch.randn(5, 2, 3, 4, requires_grad=True)
    penalty = gradient_penalty(x.square().sum(dim=(1, 2, 3)) / 2, x)

    assert penalty.item() == pytest.approx(x.detach().square().sum().item() / 5, rel=1e-6)


def test_the_penaltys_gradient_in_the_weights_is_its_slope():
    """Central differences in float64, along a random direction."""
    network = build(r1=1.0).discriminator.double()
    x = images(build(), batch=4).double().requires_grad_()
    parameters = list(network.parameters())
    step = [1e-5 * torch.randn_like(parameter) for parameter in parameters]

    def penalty(scale: float) -> torch.Tensor:
        moved = {name: value + scale * d for (name, value), d in zip(network.named_parameters(), step, strict=True)}
        return gradient_penalty(torch.func.functional_call(network, moved, (x,))[:, 0], x)

    gradients = torch.autograd.grad(penalty(0.0), parameters, materialize_grads=True)
    slope = sum(float((gradient * d).sum()) for gradient, d in zip(gradients, step, strict=True))
    assert slope == pytest.approx(float((penalty(1.0) - penalty(-1.0)).detach()) / 2, rel=1e-4)


def weights(family: GAN) -> list[torch.Tensor]:
    """The weights of the discriminator's layers as they are used, each as a matrix (out, rest)."""
    return [layer.weight.flatten(1) for layer in family.discriminator if isinstance(layer, nn.Conv2d | nn.Linear)]


def test_spectral_normalisation_makes_the_largest_singular_value_of_every_weight_one():
    family = build(spectral=True).train()
    with torch.no_grad():
        for _ in range(500):
            family.discriminate(images(family, batch=1))
    family.eval()

    largest = torch.stack([torch.linalg.matrix_norm(weight, ord=2) for weight in weights(family)])
    # Power iteration converges as (s2 / s1)^(2 n): after 500 rounds to 1e-3 for any s2 < 0.993 s1.
    assert torch.allclose(largest, torch.ones_like(largest), atol=1e-3)


def test_without_spectral_normalisation_the_weights_are_not_normalised():
    assert all(abs(torch.linalg.matrix_norm(weight, ord=2).item() - 1) > 1e-3 for weight in weights(build()))


@pytest.mark.parametrize("copied", ["deepcopy", "state_dict", "average"])
def test_a_spectrally_normalised_discriminator_survives_being(copied):
    family = build(spectral=True)
    family.discriminator_losses(Batch(images(family)), generator())["discriminator"].backward()
    if copied == "deepcopy":
        other = copy.deepcopy(family)
    elif copied == "state_dict":
        other = build(spectral=True, seed=9)
        other.load_state_dict(OrderedDict(family.state_dict()))
    else:
        average = AveragedModel(family)
        average.update_parameters(family)
        other = cast("GAN", average.module)

    x = images(family)
    assert torch.equal(other.eval().discriminate(x), family.eval().discriminate(x))


def test_scores_and_images_do_not_depend_on_the_batch():
    """Within the rounding of convolutions that another batch size may sum in another order."""
    family = build().eval()
    x, z = images(family, batch=4), latents(family, batch=4)

    assert torch.allclose(family.discriminate(x)[1:2], family.discriminate(x[1:2]), atol=1e-6)
    assert torch.allclose(family.generate(z)[1:2], family.generate(z[1:2]), atol=1e-6)


@pytest.mark.parametrize(
    ("option", "value"),
    [("size", "huge"), ("latent", 0), ("latent", 65_537), ("r1", -0.1), ("r1", float("inf")), ("spectral", "no")],
)
def test_a_value_outside_an_options_range_is_refused_with_the_option_and_the_value(option, value):
    with pytest.raises(ConfigError, match=f"^{option}: expected .*found {value!r}$"):
        config_from(GANConfig, {option: value})
