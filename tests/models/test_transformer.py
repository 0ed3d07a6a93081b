"""The transformer block: attention by its formula, under masks, and with keys and values kept from earlier."""

import math

import numpy as np
import pytest
import torch

from gen_export.models.transformer import Block


@pytest.fixture
def block():
    torch.manual_seed(0)
    return Block(8, 2).double()


def test_a_block_is_attention_and_then_a_network_on_a_path_computed_by_hand(block):
    x = torch.randn(1, 3, 8, dtype=torch.float64)
    q, k, v = block.project(block.norm1(x))[0].detach().numpy().reshape(3, 3, 2, 4).transpose(1, 2, 0, 3)
    mixed = []
    for head in range(2):
        weights = np.exp(q[head] @ k[head].T / math.sqrt(4))
        mixed.append(weights / weights.sum(1, keepdims=True) @ v[head])
    y = x + block.out(torch.from_numpy(np.concatenate(mixed, 1))[None])

    assert torch.allclose(block(x), y + block.mlp(block.norm2(y)), rtol=0, atol=1e-13)


def test_nothing_of_a_masked_key_reaches_a_query(block):
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    causal = torch.ones(5, 5, dtype=torch.bool).tril()[None, None]
    changed = x.clone()
    changed[:, 3] = 7.0

    assert torch.equal(block(changed, causal)[:, :3], block(x, causal)[:, :3])
    assert block(changed, causal)[:, 3:].ne(block(x, causal)[:, 3:]).any(2).all()


def test_keys_and_values_that_are_kept_give_the_last_query_what_a_whole_pass_gives_it(block):
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    causal = torch.ones(5, 5, dtype=torch.bool).tril()[None, None]
    _, k, v = block.qkv(x)
    q, *_ = block.qkv(x[:, 4:])

    assert torch.allclose(block.attend(x[:, 4:], q, k, v), block(x, causal)[:, 4:], rtol=0, atol=1e-13)
