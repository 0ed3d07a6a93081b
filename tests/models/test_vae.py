"""The VAE: its loss is the spec's, its sampler its decoder."""

import torch

from gen_export.spec import vae as spec
from gen_export.spec.objectives import mse


def tensors(family, batch=3):
    rng = torch.Generator().manual_seed(1)
    image = torch.rand((batch, *family.image.chw), generator=rng) * 2 - 1
    return image, torch.randn((batch, family.config.latent), generator=rng)


def test_the_loss_is_reconstruction_plus_beta_times_kl_bit_for_bit(build_family):
    family = build_family("vae", beta=0.37)
    image, eps = tensors(family)

    for beta in (torch.tensor(0.37), torch.tensor(0.0), torch.tensor(4.0)):
        loss, reconstruction, kl = family.objective(image, eps, beta)
        assert torch.equal(loss, reconstruction + beta * kl)


def test_training_uses_the_betas_of_its_options(build_family):
    family = build_family("vae", beta=3.5)
    image, _ = tensors(family)
    losses = family.losses(image, torch.Generator().manual_seed(0))

    assert list(losses) == ["loss", "reconstruction", "kl"]
    assert torch.equal(losses["loss"], losses["reconstruction"] + 3.5 * losses["kl"])


def test_the_terms_are_the_specs_on_a_path_computed_by_hand(build_family):
    family = build_family("vae")
    image, eps = tensors(family)
    mu, logvar = family.encode(image)
    z = mu + torch.exp(logvar / 2) * eps
    _, reconstruction, kl = family.objective(image, eps, 1.0)

    assert torch.allclose(reconstruction, ((family.decode(z) - image) ** 2).mean(), rtol=1e-6)
    assert torch.allclose(kl, 0.5 * (logvar.exp() + mu**2 - 1 - logvar).mean(), rtol=1e-5)
    assert torch.equal(kl, spec.kl_mean(mu, logvar))


def test_without_noise_the_reconstruction_term_is_the_error_of_reconstruct(build_family):
    family = build_family("vae")
    image, eps = tensors(family)
    _, reconstruction, _ = family.objective(image, torch.zeros_like(eps), 1.0)

    assert torch.equal(reconstruction, mse(family.reconstruct(image), image))


def test_reconstruct_decodes_the_posterior_mean(build_family):
    family = build_family("vae")
    image, _ = tensors(family)

    assert torch.equal(family.reconstruct(image), family.decode(family.encode(image)[0]))


def test_beta_is_an_optional_input_with_the_trained_value_as_its_default(build_family):
    beta = build_family("vae", beta=0.25).graph("objective").inputs[2]

    assert (beta.name, beta.default, beta.optional) == ("beta", 0.25, True)
