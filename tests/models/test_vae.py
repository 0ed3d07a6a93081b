"""The VAE: its loss is the spec's, its sampler its decoder, its bounds what theory says of them."""

import math
import re

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
import torch

from gen_export.errors import ConfigError
from gen_export.models.family import Batch
from gen_export.models.vae import VAE
from gen_export.spec import vae as spec
from gen_export.spec.objectives import mse


def tensors(family, batch=3):
    rng = torch.Generator().manual_seed(1)
    dtype = next(family.parameters()).dtype
    image = torch.rand((batch, *family.image.chw), generator=rng, dtype=dtype) * 2 - 1
    return image, torch.randn((batch, family.config.latent), generator=rng, dtype=dtype)


def noise(family, samples, batch=3):
    rng = torch.Generator().manual_seed(2)
    dtype = next(family.parameters()).dtype
    return torch.randn((samples, batch, family.config.latent), generator=rng, dtype=dtype)


def test_the_loss_is_reconstruction_plus_beta_times_kl_bit_for_bit(build_family):
    family = build_family("vae", beta=0.37)
    image, eps = tensors(family)

    for beta in (torch.tensor(0.37), torch.tensor(0.0), torch.tensor(4.0)):
        loss, reconstruction, kl, *_ = family.objective(image, eps, beta)
        assert torch.equal(loss, reconstruction + beta * kl)


def test_training_uses_the_betas_of_its_options(build_family):
    family = build_family("vae", beta=3.5)
    image, _ = tensors(family)
    losses = family.losses(Batch(image), torch.Generator().manual_seed(0))

    assert list(losses) == ["loss", "reconstruction", "kl", "prior_loss"]
    assert torch.equal(losses["loss"], losses["reconstruction"] + 3.5 * losses["kl"])


def test_the_terms_are_the_specs_on_a_path_computed_by_hand(build_family):
    family = build_family("vae")
    image, eps = tensors(family)
    mu, logvar = family.encode(image)
    z = mu + torch.exp(logvar / 2) * eps
    _, reconstruction, kl, *inner = family.objective(image, eps, 1.0)

    assert torch.allclose(reconstruction, ((family.decode(z) - image) ** 2).mean(), rtol=1e-6)
    assert torch.allclose(kl, 0.5 * (logvar.exp() + mu**2 - 1 - logvar).mean(), rtol=1e-5)
    assert torch.equal(kl, spec.kl_mean(mu, logvar))
    for found, expected in zip(inner, (mu, logvar, z), strict=True):
        assert torch.allclose(found, expected, rtol=1e-6)


def test_without_noise_the_reconstruction_term_is_the_error_of_reconstruct(build_family):
    family = build_family("vae")
    image, eps = tensors(family)
    reconstruction = family.objective(image, torch.zeros_like(eps), 1.0)[1]

    assert torch.equal(reconstruction, mse(family.reconstruct(image), image))


def test_reconstruct_decodes_the_posterior_mean(build_family):
    family = build_family("vae")
    image, _ = tensors(family)

    assert torch.equal(family.reconstruct(image), family.decode(family.encode(image)[0]))
    assert torch.equal(family.rebuild(image)[0], family.reconstruct(image))


def test_beta_is_an_optional_input_with_the_trained_value_as_its_default(build_family):
    beta = build_family("vae", beta=0.25).graph("objective").inputs[2]

    assert (beta.name, beta.default, beta.optional) == ("beta", 0.25, True)


@pytest.mark.parametrize(("beta", "variance"), [(0.25, 0.25 * 64 / 12), (0.0, 1.0)])
def test_the_variance_of_the_bounds_is_by_default_the_one_beta_stands_for(build_family, beta, variance):
    port = build_family("vae", beta=beta).graph("bound").inputs[2]

    assert (port.name, port.default, port.optional) == ("variance", variance, True)


@pytest.mark.parametrize("beta", [1e-30, 1e-8, 0.005, 1e30])
def test_the_bound_takes_its_own_default_variance(build_family, beta):
    """Also as the float32 number that the file holds."""
    port = build_family("vae", beta=beta).graph("bound").inputs[2]

    assert 0.0 < port.minimum <= 1e-6
    assert port.minimum <= np.float32(port.default).item() < np.inf


@pytest.mark.parametrize("beta", [-0.1, 1e-31, 1e31, 1e39, float("inf"), float("nan")])
def test_a_beta_beyond_float32_is_refused(build_family, beta):
    with pytest.raises(
        ConfigError, match=f"^beta: expected 0 or a number from 1e-30 to 1e30, found {re.escape(repr(beta))}$"
    ):
        build_family("vae", beta=beta)


def test_the_loss_is_a_multiple_of_the_negative_elbo_with_the_variance_that_beta_stands_for(build_family):
    """Noise of +1 and of -1 averages log q(z | x) - log p(z) to the KL itself, so that both sides are exact."""
    family = build_family("vae", beta=0.2, prior="normal").double()
    image, _ = tensors(family, 1)
    ones = torch.ones((1, family.config.latent), dtype=torch.float64)
    variance, pixels = family.likelihood_variance(), image.numel()
    elbo, _ = family.bound(image, torch.stack([ones, -ones]), torch.tensor(variance, dtype=torch.float64))
    loss = sum(family.objective(image, eps, 0.2)[0] for eps in (ones, -ones)) / 2

    expected = -pixels / 2 * (math.log(2 * math.pi * variance) + loss / variance)
    assert torch.allclose(elbo, expected, rtol=1e-12)


def test_the_importance_weighted_bound_is_the_elbo_for_one_sample_and_above_it_for_more(build_family):
    family = build_family("vae").double()
    image, _ = tensors(family)
    variance = torch.tensor(0.3, dtype=torch.float64)
    elbo, bound = family.bound(image, noise(family, 1), variance)

    assert torch.equal(elbo, bound)
    elbo, bound = family.bound(image, noise(family, 7), variance)
    assert (bound > elbo).all()


def test_with_a_learned_prior_the_bound_takes_its_density_for_the_normal_one(build_family):
    family = build_family("vae").double()
    image, eps = tensors(family)
    variance, z = torch.tensor(0.3, dtype=torch.float64), family.objective(image, eps, 1.0)[-1]
    learned, _ = family.bound(image, eps[None], variance)
    log_density = family.normalize(z)[1]
    family.flow = None
    normal, _ = family.bound(image, eps[None], variance)

    torch.testing.assert_close(learned - normal, log_density - spec.gaussian_log_density(z, 0.0, 1.0))


def test_the_prior_learns_from_the_images_latents_in_nats_a_latent_and_alone(build_family):
    family = build_family("vae")
    image, _ = tensors(family)
    loss = family.prior_losses(Batch(image), torch.Generator().manual_seed(0))["prior_loss"]
    eps = torch.randn((3, 6), generator=torch.Generator().manual_seed(0))
    z = spec.reparameterize(*family.encode(image), eps)
    loss.backward()

    torch.testing.assert_close(loss, -family.normalize(z)[1].mean() / 6)
    assert {name.split(".")[0] for name, value in family.named_parameters() if value.grad is not None} == {"flow"}


def test_a_normal_prior_needs_no_second_half_and_no_graph_of_its_own(build_family):
    family = build_family("vae", prior="normal")

    assert [(player.name, player.end) for player in family.players()] == [("autoencoder", 1.0)]
    assert family.recipe().graphs == ("decode",)
    assert not {"latent", "normalize"} & {graph.name for graph in family.graphs()}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prior": "uniform"}, "prior: expected one of flow, normal, found 'uniform'"),
        ({"latent": 1}, "latent: expected 2 or more for the prior flow, found 1"),
    ],
)
def test_a_prior_that_cannot_be_is_refused(build_family, options, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        build_family("vae", **options)


def test_the_bounds_of_an_image_do_not_depend_on_the_images_beside_it(build_family):
    family = build_family("vae").double()
    image, _ = tensors(family)
    eps, variance = noise(family, 4), torch.tensor(0.3, dtype=torch.float64)
    together = torch.stack(family.bound(image, eps, variance))
    alone = [torch.stack(family.bound(image[i : i + 1], eps[:, i : i + 1], variance)) for i in range(3)]

    assert torch.allclose(together, torch.cat(alone, dim=1), rtol=1e-12)


class LinearGaussian:
    """x = A z + s noise, with orthogonal columns in A, so that the posterior is a diagonal Gaussian, known exactly."""

    variance = 0.4

    def __init__(self, pixels, latents):
        rng = np.random.default_rng(3)
        self.matrix = np.linalg.qr(rng.standard_normal((pixels, latents)))[0] * np.linspace(0.5, 2.0, latents)
        self.posterior_variance = 1.0 / (1.0 + (self.matrix**2).sum(0) / self.variance)

    def encode(self, image, label=None):
        mu = image.flatten(1) @ torch.from_numpy(self.matrix * self.posterior_variance / self.variance)
        return mu, torch.from_numpy(np.log(self.posterior_variance)).expand_as(mu)

    def decode(self, z, label=None):
        return (z @ torch.from_numpy(self.matrix.T)).reshape(-1, 1, 8, 8)

    def log_likelihood(self, x):
        """The density log N(x; 0, A A' + s^2 I) of each row."""
        covariance = self.matrix @ self.matrix.T + self.variance * np.eye(x.shape[1])
        square = np.einsum("bi,bi->b", x @ np.linalg.inv(covariance), x)
        return -0.5 * (square + np.linalg.slogdet(2 * math.pi * covariance)[1])


@pytest.fixture
def linear(build_family, monkeypatch):
    family = build_family("vae", prior="normal").double()
    model = LinearGaussian(64, family.config.latent)
    monkeypatch.setattr(family, "encode", model.encode)
    monkeypatch.setattr(family, "decode", model.decode)
    return family, model


def test_with_the_exact_posterior_both_bounds_are_the_log_likelihood_whatever_the_noise(linear):
    family, model = linear
    image, _ = tensors(family)
    bounds = family.bound(image, noise(family, 5), torch.tensor(model.variance, dtype=torch.float64))

    for bound in bounds:
        assert np.allclose(bound.numpy(), model.log_likelihood(image.flatten(1).numpy()), rtol=1e-12)


def test_with_another_posterior_the_bounds_part_and_more_samples_come_close_to_the_log_likelihood(linear, monkeypatch):
    family, model = linear
    wide = math.log(2.0)  # twice the variance: weights are bounded, and their logarithms cost 6 (1 - ln 2) / 2 nats
    monkeypatch.setattr(family, "encode", lambda image, label: (model.encode(image)[0], model.encode(image)[1] + wide))
    image, _ = tensors(family, 1)
    elbo, bound = family.bound(image, noise(family, 20_000, 1), torch.tensor(model.variance, dtype=torch.float64))
    exact = model.log_likelihood(image.flatten(1).numpy())

    # Standard errors of 20,000 samples: sqrt(3 / 20,000) = 0.012 and sqrt(((2 / sqrt 3)^6 - 1) / 20,000) = 0.008.
    assert elbo.item() == pytest.approx(exact.item() - 3 * (1 - math.log(2)), abs=0.06)
    assert bound.item() == pytest.approx(exact.item(), abs=0.04)


@pytest.mark.parametrize(("samples", "batch"), [(1, 1), (5, 3), (2, 8)])
def test_samples_and_images_are_both_free_in_the_file(tiny_family, traced, samples, batch):
    family: VAE = tiny_family("vae")
    model = traced(family, family.graph("bound"), 18)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    content = ir.to_proto(model).SerializeToString()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    (image, _), eps = tensors(family, batch), noise(family, samples, batch)
    with torch.no_grad():
        expected = family.bound(image, eps, torch.tensor(family.likelihood_variance()))
    found = session.run(None, {"image": image.numpy(), "eps": eps.numpy()})

    for value, torchs in zip(found, expected, strict=True):
        assert np.allclose(value, torchs.numpy(), rtol=1e-5)
