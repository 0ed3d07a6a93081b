"""The causal transformer: step by step it is the whole, and no code sees those after it."""

import math

import pytest
import torch
import torch.nn.functional as F

from gen_export.models.prior import SIZES, Prior

CODES, LENGTH = 7, 6


@pytest.fixture(scope="module")
def prior() -> Prior:
    """Two blocks and weights large enough that every part acts."""
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SIZES, "two", (16, 2, 4))
        made = Prior(CODES, LENGTH, "two")
    for embedding in (made.start, made.code.weight, made.place.weight):
        torch.nn.init.normal_(embedding)
    return made.eval().requires_grad_(False)


def sequences(batch: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.randint(CODES, (batch, LENGTH), generator=torch.Generator().manual_seed(seed))


def stepped(prior: Prior, codes: torch.Tensor) -> torch.Tensor:
    """Logits (B, L, K) from one step after another."""
    cache, code, found = torch.zeros(len(codes), *prior.cache_shape), codes[:, 0] * 0, []
    for position in range(LENGTH):
        logits, cache = prior.step(code, torch.tensor([position]), cache)
        found.append(logits)
        code = codes[:, position]
    return torch.stack(found, dim=1)


def test_steps_with_a_cache_are_the_whole(prior):
    codes = sequences()

    # float32 sums in another order, of logits of order one.
    torch.testing.assert_close(stepped(prior, codes), prior(codes), rtol=0, atol=1e-5)


@pytest.mark.parametrize("position", range(LENGTH))
def test_no_logit_depends_on_its_own_code_or_a_later_one(prior, position):
    """Bit for bit; the next position does depend on it."""
    codes = sequences()
    changed = codes.clone()
    changed[:, position:] = (codes[:, position:] + 1) % CODES
    before, after = prior(codes), prior(changed)

    assert torch.equal(before[:, : position + 1], after[:, : position + 1])
    if position + 1 < LENGTH:
        assert not before[:, position + 1].allclose(after[:, position + 1], atol=1e-3)


def test_a_code_is_felt_at_all_later_positions(prior):
    codes = sequences(1)
    changed = codes.clone()
    changed[:, 0] = (codes[:, 0] + 1) % CODES
    apart = (prior(codes) - prior(changed)).abs().amax((0, 2))

    assert apart[0] == 0
    assert (apart[1:] > 1e-4).all()


def test_the_order_of_codes_matters(prior):
    codes = torch.tensor([[0, 1, 2, 3, 4, 5], [1, 0, 2, 3, 4, 5]])
    logits = prior(codes)

    assert not logits[0, 3].allclose(logits[1, 3], atol=1e-3)


def test_at_position_zero_the_code_is_ignored(prior):
    zeros = torch.zeros(CODES, *prior.cache_shape)
    logits, cache = prior.step(torch.arange(CODES), torch.tensor([0]), zeros)

    assert (logits == logits[0]).all()
    assert (cache == cache[0]).all()


@pytest.mark.parametrize("position", [0, 2, LENGTH - 1])
def test_a_step_writes_the_cache_at_its_position_alone(prior, position):
    before = torch.randn(2, *prior.cache_shape, generator=torch.Generator().manual_seed(1))
    _, after = prior.step(torch.tensor([1, 2]), torch.tensor([position]), before)
    written = (before != after).any(-1)

    assert written[..., position].all()
    assert not written[..., [i for i in range(LENGTH) if i != position]].any()


def test_a_step_looks_at_no_later_place_of_the_cache(prior):
    cache = torch.randn(2, *prior.cache_shape, generator=torch.Generator().manual_seed(1))
    later = cache.clone()
    later[..., 4:, :] += 10.0
    step = [prior.step(torch.tensor([1, 2]), torch.tensor([3]), kept)[0] for kept in (cache, later)]

    assert torch.equal(*step)


def test_nats_are_the_negative_logarithms_of_the_law(prior):
    codes = sequences()
    law = torch.softmax(prior(codes).double(), dim=-1)
    expected = -law.gather(2, codes[..., None])[..., 0].log()

    torch.testing.assert_close(prior.nats(codes).double(), expected, rtol=0, atol=1e-5)


def test_the_likelihoods_of_all_sequences_sum_to_one():
    """A chain of conditional laws is a law: summed over all 3^4 sequences."""
    torch.manual_seed(1)
    prior = Prior(3, 4, "tiny")
    every = torch.cartesian_prod(*[torch.arange(3)] * 4)
    total = prior.nats(every).sum(1).double().neg().exp().sum()

    assert math.isclose(total.item(), 1.0, rel_tol=1e-5)  # 81 likelihoods in float32


def test_it_learns_a_cycle():
    """Codes that count upwards from a random start: log 5 nats for the first, nearly none for the rest."""
    torch.manual_seed(0)
    prior = Prior(5, 8, "tiny")
    optimizer = torch.optim.AdamW(prior.parameters(), lr=3e-3)
    for _ in range(150):
        codes = (torch.randint(5, (64, 1)) + torch.arange(8)) % 5
        optimizer.zero_grad()
        F.cross_entropy(prior(codes).transpose(1, 2), codes).backward()
        optimizer.step()
    nats = prior.nats((torch.arange(5)[:, None] + torch.arange(8)) % 5).mean(0)

    assert abs(nats[0].item() - math.log(5)) < 0.1
    assert nats[1:].max() < 0.1
