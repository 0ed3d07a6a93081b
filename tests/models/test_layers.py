"""The blocks shared by the networks."""

import torch

from gen_export.models.layers import Attention, ResidualBlock, TimeEmbedding, Unpatchify, patchify, upsample


def test_a_fresh_residual_block_and_fresh_attention_are_the_identity():
    torch.manual_seed(0)
    x = torch.randn(2, 16, 4, 6)

    assert torch.equal(ResidualBlock(16)(x), x)
    assert torch.equal(ResidualBlock(16, 32)(x, torch.randn(2, 32, 1, 1)), x)
    assert torch.equal(Attention(16)(x), x)


def test_attention_is_equation_1_of_vaswani_et_al():
    """Against torch's own attention, with the values' projection made visible."""
    torch.manual_seed(0)
    layer = Attention(16, heads=2)
    with torch.no_grad():
        layer.out.weight.copy_(torch.eye(16).reshape(16, 16, 1, 1))
    x = torch.randn(2, 16, 3, 5)
    q, k, v = layer.qkv(layer.norm(x)).reshape(2, 3, 2, 8, 15).permute(1, 0, 2, 4, 3)
    attended = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    expected = x + attended.permute(0, 1, 3, 2).reshape(2, 16, 3, 5)

    assert torch.allclose(layer(x), expected, atol=1e-5)


def test_attention_treats_positions_alike():
    """Permuting the positions permutes the output: there is nothing positional in it."""
    torch.manual_seed(0)
    layer = Attention(16)
    torch.nn.init.normal_(layer.out.weight)
    x, order = torch.randn(1, 16, 1, 12), torch.randperm(12)

    assert torch.allclose(layer(x)[..., order], layer(x[..., order]), atol=1e-5)


def test_the_time_embedding_tells_neighbouring_states_apart():
    torch.manual_seed(0)
    embedding = TimeEmbedding(16)(torch.arange(1001) / 1000)

    assert embedding.shape == (1001, 64, 1, 1)
    assert (embedding[1:] - embedding[:-1]).flatten(1).norm(dim=1).min() > 1e-4


def test_patchify_and_unpatchify_halve_and_double_the_size():
    x = torch.randn(2, 3, 8, 12)

    assert patchify(3, 16)(x).shape == (2, 16, 4, 6)
    assert Unpatchify(16, 3)(torch.randn(2, 16, 4, 6)).shape == (2, 3, 8, 12)


def test_upsample_repeats_pixels():
    layer = upsample(1, 1)
    with torch.no_grad():
        layer[1].weight.zero_()[0, 0, 1, 1] = 1.0
        layer[1].bias.zero_()
    x = torch.tensor([[[[1.0, 2.0]]]])

    assert layer(x).tolist() == [[[[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]]]
