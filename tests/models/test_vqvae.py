"""The VQ-VAE: its terms are the spec's, its codebook learns as it says, and its state is all in its tensors."""

import copy
import math
import re

import numpy as np
import onnx_ir as ir
import pytest
import torch
import torch.nn.functional as F

from gen_export.errors import ConfigError
from gen_export.models.codebook import AverageCodebook
from gen_export.models.family import Batch
from gen_export.spec import vqvae as spec
from gen_export.spec.objectives import mse
from tests.export.analytic import session

FEW = {"codes": 12, "code_dim": 5}


def images(family, batch=3, seed=1):
    return torch.rand((batch, *family.image.chw), generator=torch.Generator().manual_seed(seed)) * 2 - 1


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def indices_of(family, batch=3):
    return torch.randint(family.config.codes, (batch, *family.grid), generator=rng(2))


def gradients(values, loss):
    return torch.autograd.grad(loss, values, allow_unused=True, retain_graph=True)


@pytest.fixture
def family(build_family):
    return build_family("vqvae", (1, 8, 12), **FEW)


def test_the_loss_is_reconstruction_plus_codebook_plus_beta_times_commitment_bit_for_bit(family):
    """`loss_eq_reconstruction_add_codebook_add_commitment`."""
    for beta in (torch.tensor(0.25), torch.tensor(0.0), torch.tensor(3.0)):
        loss, reconstruction, codebook, commitment, *_ = family.objective(images(family), beta)
        assert torch.equal(loss, reconstruction + codebook + beta * commitment)


def test_the_terms_are_those_of_a_path_computed_by_hand(family):
    image = images(family)
    indices, encoded = family.encode(image)
    _, reconstruction, codebook, commitment, inner, quantized = family.objective(image, 0.25)

    assert torch.equal(inner, encoded)
    assert torch.equal(quantized, family.codebook.codes[indices])
    assert torch.equal(reconstruction, mse(family.reconstruct(image), image))
    torch.testing.assert_close(codebook, F.mse_loss(quantized, encoded))
    assert torch.equal(commitment, codebook)


def test_decoding_is_a_lookup_and_a_decoder(family):
    """`forward_eq_decoder_codebook`: only the indices matter, whatever image they came from."""
    indices = indices_of(family)
    codes = family.codebook.codes[indices]

    assert torch.equal(family.lookup(indices), codes)
    assert torch.equal(family.decode(indices), family.decoder(codes.permute(0, 3, 1, 2)))
    assert torch.equal(family.reconstruct(images(family)), family.decode(family.encode(images(family))[0]))


def test_indices_are_the_nearest_codes_row_by_row(family):
    indices, encoded = family.encode(images(family))
    features = family.encoder(images(family))
    assert torch.equal(encoded[:, 1, 2], features[:, :, 1, 2])

    distances = torch.cdist(encoded.reshape(-1, 5).double(), family.codebook.codes.double())

    assert indices.shape == (3, 2, 3)
    assert torch.equal(indices.reshape(-1), distances.argmin(1))
    assert family.grid == (2, 3)


def test_latents_are_quantised_as_images_are_with_their_margins(family):
    indices, encoded = family.encode(images(family))
    found, margin = family.quantize(encoded)
    apart = torch.cdist(encoded.reshape(-1, 5).double(), family.codebook.codes.double()).sort().values

    assert torch.equal(found, indices)
    assert margin.shape == indices.shape
    # A plane between two codes is no further than halfway between a latent's distances to them.
    assert torch.all(margin.reshape(-1) <= (apart[:, 1] + apart[:, 0]) / 2)
    assert torch.all(margin > 0)


def test_gradients_are_those_of_the_straight_through_estimator(build_family):
    """`trainingGradients`: decoder's gradient plus beta's for the latent; its own for the code."""
    family = build_family("vqvae", (1, 8, 12), codebook="gradient", **FEW)
    image, beta = images(family), 0.7
    indices, encoded = family.encode(image)
    encoded, codes = encoded.detach().requires_grad_(), family.codebook.codes
    loss, reconstruction, *_ = family._terms(image, encoded, family.lookup(indices), beta)
    (upstream,) = gradients([encoded], reconstruction)
    latent, book = gradients([encoded, codes], loss)
    selected = family.lookup(indices).detach()
    expected_latent, of_selected = spec.training_gradients(encoded.detach(), selected, upstream, beta)
    expected_book = torch.zeros_like(codes).index_add(0, indices.flatten(), of_selected.flatten(0, 2))

    torch.testing.assert_close(latent, expected_latent, rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(book, expected_book, rtol=1e-5, atol=1e-8)


def test_the_upstream_gradient_of_a_latent_is_that_of_its_code(family):
    image = images(family)
    _, encoded = family.encode(image)
    encoded = encoded.detach().requires_grad_()
    quantized = family.lookup(family.encode(image)[0]).detach().requires_grad_()
    _, through, *_ = family._terms(image, encoded, quantized, 0.0)
    direct = mse(family._image(quantized), image)

    assert torch.equal(gradients([encoded], through)[0], gradients([quantized], direct)[0])


def test_an_ema_codebook_gets_no_gradient_and_has_no_parameters(family):
    assert list(family.codebook.parameters()) == []
    assert set(dict(family.codebook.named_buffers())) == {"codes", "counts", "sums"}


def alone(sums):
    """The total over one process."""
    return sums


def test_a_batch_in_training_moves_the_codebook_as_the_spec_says(family):
    family.train()
    book = family.codebook
    book.counts.fill_(100.0)
    book.sums.copy_(100.0 * book.codes)
    before, image = copy.deepcopy(book), images(family)
    indices, encoded = (value.detach().flatten(0, 2) for value in family.encode(image))
    family.code_losses(Batch(image), rng())
    family.settle_codes(alone)
    new_counts = torch.bincount(indices.flatten(), minlength=12).float()
    new_sums = torch.zeros(12, 5).index_add(0, indices.flatten(), encoded.reshape(-1, 5))
    expected = spec.ema_codebook(before.counts, before.sums, new_counts, new_sums, 0.99, 1e-5)

    for found, value in zip((book.counts, book.sums, book.codes), expected, strict=True):
        torch.testing.assert_close(found, value, rtol=1e-5, atol=1e-6)


def test_outside_training_the_codebook_stands_still(family):
    before = {name: value.clone() for name, value in family.state_dict().items()}
    family.losses(Batch(images(family)), rng())

    assert all(torch.equal(value, before[name]) for name, value in family.state_dict().items())


def test_the_priors_turn_moves_nothing_but_the_prior(family):
    family.train()
    before = {name: value.clone() for name, value in family.state_dict().items()}
    family.prior_losses(Batch(images(family)), rng())["prior_loss"].backward()

    assert all(torch.equal(value, before[name]) for name, value in family.state_dict().items())
    assert all(p.grad is None for module in (family.encoder, family.decoder) for p in module.parameters())
    assert all(p.grad is not None for p in family.prior.parameters())


def learn(book, encoded, usage, generator):
    """The codebook learns from a batch that is all in one place."""
    book.note(encoded, usage, generator)
    book.learn(alone)


def test_the_first_batch_fills_the_codebook_with_its_latents():
    encoded = torch.randn((50, 3), generator=rng())
    book = AverageCodebook(8, 3, 0.99)
    usage = F.one_hot(spec.nearest_code(encoded, book.codes), 8).float()
    usage[:, 1:] = 0.0  # at most one code is in use, and not enough for its average count
    learn(book, encoded, usage, rng(1))

    assert (book.codes[:, None] == encoded).all(2).any(1).all()
    torch.testing.assert_close(book.sums, book.counts[:, None] * book.codes)


def test_a_code_that_nothing_uses_starts_again_and_the_others_go_on():
    encoded = torch.tensor([[1.0, 1.0], [1.0, 3.0]]).repeat(40, 1)
    book = AverageCodebook(2, 2, 0.9)
    for name, value in {
        "codes": [[1.0, 2.0], [90.0, 90.0]],
        "counts": [80.0, 4.5],
        "sums": [[80.0, 160.0], [405.0] * 2],
    }.items():
        getattr(book, name).copy_(torch.tensor(value))
    usage = torch.tensor([[1.0, 0.0]]).repeat(80, 1)
    learn(book, encoded, usage, rng())
    alive = book.codes[1].clone()
    learn(book, encoded, usage, rng())

    # 0.9 * 4.5 latents are above a tenth of 80 / 2, smoothed by a hundred-thousandth of one; 0.81 * 4.5 are below.
    torch.testing.assert_close(alive, torch.tensor([90.0, 90.0]), rtol=1e-5, atol=0)
    assert book.codes[1].tolist() in ([1.0, 1.0], [1.0, 3.0])
    torch.testing.assert_close(book.codes[0], torch.tensor([1.0, 2.0]))


def test_dead_codes_start_from_latents_that_the_generator_draws():
    encoded = torch.randn((50, 3), generator=rng())
    books = [AverageCodebook(8, 3, 0.99) for _ in range(3)]
    for book, seed in zip(books, (1, 1, 2), strict=True):
        learn(book, encoded, torch.zeros(50, 8), rng(seed))

    assert torch.equal(books[0].codes, books[1].codes)
    assert not torch.equal(books[0].codes, books[2].codes)


def test_training_goes_on_from_its_tensors_alone(build_family):
    """Bit for bit: nothing of the codebook lives outside the state dictionary."""
    family, resumed = (build_family("vqvae", seed=seed, **FEW).train() for seed in (0, 1))
    for step in range(3):
        family.code_losses(Batch(images(family, seed=step)), rng(step))
        family.settle_codes(alone)
    resumed.load_state_dict(family.state_dict())
    for step in range(3, 6):
        for each in (family, resumed):
            each.code_losses(Batch(images(family, seed=step)), rng(step))
            each.settle_codes(alone)

    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in family.state_dict().items())


def test_the_averaged_model_has_the_codebook_of_the_model(build_family):
    from gen_export.training.settings import TrainSettings
    from gen_export.training.state import TrainState

    state = TrainState(build_family("vqvae", **FEW), TrainSettings(), torch.device("cpu"))
    state.model.code_losses(Batch(images(state.model)), rng())
    state.model.settle_codes(alone)
    state.ema.update_parameters(state.model)

    assert torch.equal(state.averaged().codebook.codes, state.model.codebook.codes)


@pytest.mark.parametrize("codebook", ["ema", "gradient"])
def test_a_few_steps_lower_the_loss(build_family, codebook):
    torch.manual_seed(0)
    family = build_family("vqvae", codebook=codebook, **FEW).train()
    player, image = family.players()[0], images(family, 8) * 0.5
    optimizer = torch.optim.AdamW(player.parameters(), lr=3e-3)
    found = []
    for step in range(60):
        optimizer.zero_grad()
        losses = player.losses(Batch(image), rng(step))
        losses["loss"].backward()
        player.settle(alone)
        optimizer.step()
        found.append(losses["reconstruction"].item())

    assert found[-1] < 0.5 * found[0]


def test_perplexity_counts_the_codes_in_use(family):
    found = family.code_losses(Batch(images(family)), rng())["perplexity"].item()
    counts = torch.bincount(family.encode(images(family))[0].flatten(), minlength=12).double()
    law = counts / counts.sum()

    assert math.isclose(found, torch.special.entr(law).sum().exp().item(), rel_tol=1e-6)
    assert 1 <= found <= 12


def test_the_likelihood_of_a_grid_is_the_sum_over_its_codes_in_row_major_order(family):
    indices = indices_of(family)
    expected = family.prior.nats(indices.flatten(1)).sum(1)

    assert torch.equal(family.nll(indices), expected)
    assert not family.nll(indices.transpose(1, 2).reshape(indices.shape)).allclose(expected, rtol=1e-5)


def test_the_priors_loss_is_the_mean_over_codes_of_the_likelihood_graphs_nats(family):
    image = images(family)
    nats = family.nll(family.encode(image)[0]) / 6

    torch.testing.assert_close(family.prior_losses(Batch(image), rng())["prior_loss"], nats.mean(), rtol=1e-6, atol=0)


def test_the_autoencoder_plays_in_the_first_half_and_the_prior_in_the_second(family):
    autoencoder, prior = family.players()

    assert (autoencoder.begin, autoencoder.end) == (0.0, 0.5) == (prior.begin - 0.5, prior.end - 0.5)
    assert set(family.parameters()) == {*autoencoder.parameters(), *prior.parameters()}


def test_its_recipe_fits_its_graphs(family):
    recipe, (code, position, cache) = family.recipe(), family.graph("predict").inputs
    indices = family.graph("decode").inputs[0]

    assert (recipe.codes - 1, recipe.noise_shape) == (code.maximum, (position.maximum + 1,))
    assert cache.shape[1:] == recipe.cache_shape
    assert indices.shape[1:] == recipe.grid
    assert (indices.minimum, indices.maximum) == (0, 11)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("size", "huge"),
        ("codes", 1),
        ("codes", 65_537),
        ("code_dim", 0),
        ("beta", -0.1),
        ("beta", float("nan")),
        ("beta", 3.5e38),
        ("beta", float("inf")),
        ("codebook", "kmeans"),
        ("decay", 1.0),
        ("decay", -0.1),
    ],
)
def test_a_value_outside_an_options_range_is_refused(build_family, option, value):
    with pytest.raises(ConfigError, match=f"^{option}: expected .*found {re.escape(repr(value))}$"):
        build_family("vqvae", **{option: value})


def test_an_image_of_too_many_codes_is_refused(build_family):
    with pytest.raises(ConfigError, match=r"^image: expected at most 4096 codes, one for 4x4 pixels, found 4160$"):
        build_family("vqvae", (1, 260, 256))


def with_latents_given(model):
    """The graph with `encoded` as an input in the place of what the encoder gives; the checker passes it."""
    (encoded,) = [out for node in model.graph for out in node.outputs if out.name == "encoded"]
    encoded.name = "from_encoder"
    given = ir.Value(name="encoded", shape=encoded.shape, type=encoded.type)
    ir.convenience.replace_all_uses_with(encoded, given)
    model.graph.inputs.append(given)
    return session(model)


def test_in_the_file_everything_behind_the_encoder_comes_from_the_named_latents(traced, tiny_family):
    """`vqvae_loss_eq_reconstruction_of_zero_quantization`: codes in the place of the latents."""
    family = tiny_family("vqvae")
    indices, image = indices_of(family), images(family).numpy()
    file = with_latents_given(traced(family, family.graph("objective"), 18))
    beta = np.array(0.5, np.float32)
    loss, reconstruction, codebook, commitment = file.run(
        None, {"image": image, "beta": beta, "encoded": family.lookup(indices).numpy()}
    )

    assert (codebook, commitment, loss) == (0.0, 0.0, reconstruction)
    expected = mse(family.decode(indices), torch.from_numpy(image))
    torch.testing.assert_close(torch.from_numpy(reconstruction), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_exported_indices_are_torchs(traced, tiny_family, batch):
    family = tiny_family("vqvae")
    image = images(family, batch)
    expected, latents = family.encode(image)
    indices, encoded = session(traced(family, family.graph("encode"), 18)).run(None, {"image": image.numpy()})

    np.testing.assert_array_equal(indices, expected)
    assert np.linalg.norm(encoded - latents.detach().numpy()) <= 1e-5 * latents.norm().item()
