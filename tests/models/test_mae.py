"""The masked autoencoder: what is hidden cannot matter, what is visible comes back, and only the hidden is scored."""

import math

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
import torch
from torch import nn

from gen_export.errors import ConfigError
from gen_export.models.family import Batch, ImageShape
from gen_export.models.mae import MAEConfig, MaskedAutoencoder, sinusoidal_positions

WIDE = (3, 8, 12)


@pytest.fixture
def family(build_family):
    """Patches of 2 x 2 in 4 rows and 6 columns of an RGB image, in float64."""
    return build_family("mae", WIDE, patch=2).double()


def images(family, batch=3, seed=1):
    rng = torch.Generator().manual_seed(seed)
    dtype = next(family.parameters()).dtype
    return torch.rand((batch, *family.image.chw), generator=rng, dtype=dtype) * 2 - 1


def any_masks(family, batch=3, seed=2):
    """Masks that hide another number of patches in each image."""
    rng = torch.Generator().manual_seed(seed)
    return torch.rand((batch, *family.patches), generator=rng) < torch.rand((batch, 1, 1), generator=rng)


def masks_of(family, hidden, batch=3):
    return torch.full((batch, *family.patches), hidden)


def patches_of(image):
    """The 2 x 2 patches of one image, (24, 3, 2, 2)."""
    return image.reshape(3, 4, 2, 6, 2).permute(1, 3, 0, 2, 4).flatten(0, 1)


@pytest.mark.parametrize("garbage", [math.nan, math.inf, 1e30, -7.0])
def test_hidden_pixels_do_not_matter_bit_for_bit_whatever_they_are(family, garbage):
    x, mask = images(family), any_masks(family)
    hidden = family.hidden_pixels(mask)
    spoilt = torch.where(hidden, garbage, x)

    assert hidden.any()
    assert torch.equal(family.encode(spoilt, mask), family.encode(x, mask))
    for found, expected in zip(family.reconstruct(spoilt, mask), family.reconstruct(x, mask), strict=True):
        assert torch.equal(found, expected)


def test_hidden_pixels_do_not_matter_in_the_file_either(tiny_family, traced):
    family = tiny_family("mae")
    model = traced(family, family.graph("reconstruct"), 18)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        ir.to_proto(model).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    x, mask = images(family, 5), any_masks(family, 5)
    spoilt = torch.where(family.hidden_pixels(mask), math.nan, x)
    runs = [session.run(None, {"image": image.numpy(), "mask": mask.numpy()}) for image in (x, spoilt)]

    for found, expected in zip(*runs, strict=True):
        assert np.isfinite(found).all()
        assert np.array_equal(found, expected)


def test_a_visible_pixel_does_matter(family):
    x, mask = images(family, 1), masks_of(family, True, 1)
    mask[0, 1, 2] = False
    changed = x.clone()
    changed[0, 0, 2, 4] += 0.1
    hidden = family.hidden_pixels(mask).expand_as(x)

    found, expected = (family.reconstruct(image, mask)[0] for image in (changed, x))
    assert (found != expected)[hidden].any()


def test_visible_pixels_come_back_bit_for_bit_and_hidden_ones_are_predicted_in_range(family):
    x, mask = images(family), any_masks(family)
    hidden = family.hidden_pixels(mask).expand_as(x)
    reconstruction, masked, _ = family.reconstruct(x, mask)
    prediction = family.objective(x, mask)[1]

    assert torch.equal(reconstruction[~hidden], x[~hidden])
    assert torch.equal(masked[~hidden], x[~hidden])
    assert masked[hidden].eq(0).all()
    assert torch.equal(reconstruction[hidden], prediction[hidden].clamp(-1, 1))


def test_a_prediction_beyond_the_range_of_pixels_is_clipped_in_the_picture_and_scored_as_it_is(family, monkeypatch):
    monkeypatch.setattr(family, "predict", lambda features, mask: torch.full((3, *WIDE), 3.0, dtype=torch.float64))
    x, mask = torch.full((3, *WIDE), 0.5, dtype=torch.float64), masks_of(family, True)

    assert family.reconstruct(x, mask)[0].eq(1.0).all()
    assert family.objective(x, mask)[0].item() == 6.25


def test_gathered_and_masked_encoders_give_the_same_features(family):
    x, mask = images(family), family.random_mask(3, torch.Generator().manual_seed(5))
    gathered, masked = family.encode_visible(x, mask), family.encode(x, mask)

    assert torch.allclose(gathered, masked, rtol=0, atol=1e-13)  # float64 sums of 25 terms in another order
    assert torch.equal(gathered.ne(0).any(2), masked.ne(0).any(2))


def test_training_minimises_the_exported_objective_under_its_random_masks(family):
    x = images(family)
    mask = family.random_mask(3, torch.Generator().manual_seed(9))
    loss = family.losses(Batch(x), torch.Generator().manual_seed(9))["loss"]

    assert loss.item() == pytest.approx(family.objective(x, mask)[0].item(), rel=1e-12)


def test_features_of_hidden_patches_are_zero_and_those_of_the_class_token_never(family):
    mask = any_masks(family)
    features = family.encode(images(family), mask)

    assert features.shape == (3, 25, 32)
    assert torch.equal(features[:, 1:].eq(0).all(2), mask.flatten(1))
    assert features[:, 0].ne(0).any(1).all()


def test_the_loss_is_the_mean_over_images_of_the_mean_over_their_hidden_pixels(family, monkeypatch):
    x, mask = images(family), any_masks(family)
    monkeypatch.setattr(family, "predict", lambda features, mask: torch.zeros_like(x))
    hidden = family.hidden_pixels(mask).expand_as(x).numpy()
    by_hand = [(image[kept] ** 2).sum() / max(kept.sum(), 1) for image, kept in zip(x.numpy(), hidden, strict=True)]

    assert family.objective(x, mask)[0].item() == pytest.approx(sum(by_hand) / 3, rel=1e-12)


def test_with_everything_visible_the_loss_is_zero_and_the_image_comes_back(family):
    x, mask = images(family), masks_of(family, False)

    assert family.objective(x, mask)[0].item() == 0.0
    assert torch.equal(family.reconstruct(x, mask)[0], x)


def test_with_everything_hidden_every_image_is_reconstructed_alike(family):
    x, mask = images(family), masks_of(family, True)
    first, *others = family.reconstruct(x, mask)[0]
    loss, prediction, _ = family.objective(x, mask)

    assert torch.isfinite(first).all()
    assert all(torch.allclose(first, other, rtol=0, atol=1e-13) for other in others)
    assert loss.item() == pytest.approx(((prediction - x) ** 2).mean().item(), rel=1e-12)


def test_a_mask_of_patches_covers_their_pixels(family):
    mask = any_masks(family)
    expected = np.stack([np.kron(one, np.ones((2, 2), bool)) for one in mask.numpy()])[:, None]

    assert np.array_equal(family.hidden_pixels(mask).numpy(), expected)


def test_without_attention_a_patch_is_predicted_from_its_own_pixels_at_its_own_place(family):
    family.encoder.blocks, family.decoder.blocks = nn.ModuleList(), nn.ModuleList()
    x, mask = images(family, 1), masks_of(family, False, 1)
    changed = x.clone()
    changed[0, 1, 5, 3] += 0.1  # in the patch of row 2, column 1
    apart = (family.objective(changed, mask)[1] - family.objective(x, mask)[1])[0].ne(0).any(0)

    rows, columns = np.nonzero(apart.numpy())
    assert (set(rows), set(columns)) == ({4, 5}, {2, 3})


def test_only_positions_tell_the_encoder_where_a_patch_is(family):
    x, mask = images(family, 1), masks_of(family, False, 1)
    swapped = x.clone()
    swapped[..., 0:2, 0:2], swapped[..., 6:8, 4:6] = x[..., 6:8, 4:6], x[..., 0:2, 0:2]
    order = [0, 1 + 20, *range(2, 21), 1, *range(22, 25)]  # the class token, then patches 0 and 20 exchanged

    assert not torch.allclose(family.encode(swapped, mask), family.encode(x, mask)[:, order], atol=1e-3)
    family.encoder.positions.zero_()
    assert torch.allclose(family.encode(swapped, mask), family.encode(x, mask)[:, order], rtol=0, atol=1e-13)


def test_only_positions_tell_the_decoder_one_hidden_patch_from_another(family):
    x, mask = images(family, 1), masks_of(family, True, 1)
    first, *others = patches_of(family.objective(x, mask)[1])
    assert not any(torch.allclose(first, other, rtol=0, atol=1e-9) for other in others)

    family.decoder.positions.zero_()
    first, *others = patches_of(family.objective(x, mask)[1])
    assert all(torch.allclose(first, other, rtol=0, atol=1e-13) for other in others)


def test_the_decoder_sees_the_learned_token_in_place_of_each_hidden_patch(family, monkeypatch):
    seen = []
    monkeypatch.setattr(family.decoder, "forward", lambda tokens: seen.append(tokens) or tokens)
    mask = any_masks(family)
    family.objective(images(family), mask)
    tokens = (seen[0] - family.decoder.positions)[:, 1:]
    learned = (tokens - family.mask_token).abs().amax(2) < 1e-13

    assert torch.equal(learned, mask.flatten(1))


def test_positions_are_waves_of_the_row_then_of_the_column():
    positions = sinusoidal_positions(3, 5, 8).reshape(3, 5, 8)
    waves = [math.sin(2), math.sin(0.02), math.cos(2), math.cos(0.02)]
    waves += [math.sin(4), math.sin(0.04), math.cos(4), math.cos(0.04)]

    assert positions[0, 0].tolist() == [0, 0, 1, 1, 0, 0, 1, 1]
    assert positions[2, 4].tolist() == pytest.approx(waves, abs=1e-6)  # float32 sines


@pytest.mark.parametrize("ratio", [0.05, 0.4, 0.75, 0.95])
def test_random_masks_hide_the_same_number_of_patches_in_other_places(build_family, ratio):
    family = build_family("mae", WIDE, patch=2, mask_ratio=ratio)
    mask = family.random_mask(16, torch.Generator().manual_seed(0)).flatten(1)

    assert mask.sum(1).tolist() == [round(ratio * 24)] * 16
    assert len({tuple(row.tolist()) for row in mask}) > 8


def test_the_picture_hides_the_same_patches_every_time(family):
    x = images(family)
    masked, reconstruction = family.rebuild(x)
    torch.rand(5)
    again = family.rebuild(x)

    assert torch.equal(masked, again[0])
    assert torch.equal(reconstruction, again[1])
    assert masked.eq(0).all(1).flatten(1).sum(1).tolist() == [4 * 18] * 3


def test_the_file_a_user_calls_fills_in_patches_and_no_images_come_from_noise(family):
    mask = family.graph("reconstruct").inputs[1]

    assert (family.main, family.recipe()) == ("reconstruct", None)
    assert (mask.name, mask.dtype, mask.shape) == ("mask", "bool", ("batch", 4, 6))


@pytest.mark.parametrize(
    ("option", "value"),
    [("size", "huge"), ("patch", 0), ("mask_ratio", 0.0), ("mask_ratio", 1.0), ("mask_ratio", math.nan)],
)
def test_a_value_outside_an_options_range_is_refused_with_the_option_and_the_value(option, value):
    with pytest.raises(ConfigError, match=f"^{option}: expected .*found {value!r}$"):
        MAEConfig(**{option: value})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch": 3}, "patch: expected a divisor of the height and width 8x8, found 3"),
        ({"patch": 8}, "mask_ratio: expected a share that hides at least one of 1 patches, not all, found 0.75"),
        ({"mask_ratio": 0.1}, "mask_ratio: expected a share that hides at least one of 4 patches, not all, found 0.1"),
        ({"mask_ratio": 0.9}, "mask_ratio: expected a share that hides at least one of 4 patches, not all, found 0.9"),
    ],
)
def test_an_option_that_does_not_fit_the_image_is_refused(options, message):
    with pytest.raises(ConfigError) as caught:
        MaskedAutoencoder(MAEConfig(size="tiny", **options), ImageShape(1, 8, 8))
    assert str(caught.value) == message
