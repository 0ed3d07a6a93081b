"""The autoencoder: a code of the length asked for, and the loss of what it decodes to."""

import numpy as np
import pytest
import torch

from gen_export.errors import ConfigError
from gen_export.models.autoencoder import AutoencoderConfig
from gen_export.models.family import Batch


def images(family, batch=3):
    return torch.rand((batch, *family.image.chw), generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_an_image_is_rebuilt_from_a_code_of_the_length_asked_for(build_family):
    family = build_family("autoencoder", (3, 8, 12), latent=5)
    code = family.encode(images(family))

    assert code.shape == (3, 5)
    assert torch.equal(family.reconstruct(images(family)), family.decode(code))
    assert family.decode(torch.zeros(2, 5)).shape == (2, 3, 8, 12)


def test_nothing_but_the_code_reaches_the_decoder(build_family, monkeypatch):
    family = build_family("autoencoder")
    monkeypatch.setattr(family, "encode", lambda image: torch.zeros(len(image), family.config.latent))
    first, *others = family.reconstruct(images(family))

    assert all(torch.equal(first, other) for other in others)


def test_the_loss_is_the_mean_squared_error_over_all_pixels(build_family):
    family = build_family("autoencoder")
    x = images(family)
    loss, code, rebuilt = family.objective(x)
    difference = (family.reconstruct(x) - x).detach().numpy().astype(np.float64)

    assert loss.item() == pytest.approx((difference**2).sum() / x.numel(), rel=1e-6)  # a float32 mean of 192 numbers
    assert torch.equal(code, family.encode(x))
    assert torch.equal(rebuilt, family.reconstruct(x))


def test_the_loss_of_a_perfect_decoder_is_zero(build_family, monkeypatch):
    family = build_family("autoencoder")
    x = images(family)
    monkeypatch.setattr(family, "decode", lambda code: x)

    assert family.losses(Batch(x), torch.Generator())["loss"].item() == 0.0


def test_images_stay_in_range_however_large_the_code(build_family):
    family = build_family("autoencoder")

    assert family.decode(torch.full((1, family.config.latent), 1e6)).abs().max() <= 1.0


def test_the_file_a_user_calls_rebuilds_images_and_no_images_come_from_noise(build_family):
    family = build_family("autoencoder")
    (rebuilt,) = family.rebuild(images(family))

    assert (family.main, family.recipe()) == ("reconstruct", None)
    assert torch.equal(rebuilt, family.reconstruct(images(family)))


@pytest.mark.parametrize(("option", "value"), [("size", "huge"), ("latent", 0), ("latent", 65_537)])
def test_a_value_outside_an_options_range_is_refused_with_the_option_and_the_value(option, value):
    with pytest.raises(ConfigError, match=f"^{option}: expected .*found {value!r}$"):
        AutoencoderConfig(**{option: value})
