"""The chain of couplings: it is a bijection whose log-determinant is that of its Jacobian."""

import pytest
import torch

from gen_export.models.coupling import COUPLINGS, CouplingFlow
from gen_export.models.labels import LabelEmbedding


def flow(length, classes=0):
    """A chain with random weights throughout, in float64."""
    torch.manual_seed(0)
    found = CouplingFlow(length, "tiny", classes).double()
    for parameter in found.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return found


def points(length, batch=4):
    return torch.randn((batch, length), generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("length", [2, 3, 8])
def test_latents_come_back_from_their_normal_numbers(length):
    chain, z = flow(length), points(length)
    u, _ = chain.normalize(z)

    assert (u - z).abs().max() > 0.1
    torch.testing.assert_close(chain.generate(u), z, rtol=1e-9, atol=1e-9)  # a movement scales a rounding by up to e^2


@pytest.mark.parametrize("length", [2, 5])
def test_the_log_determinant_is_that_of_the_jacobian(length):
    chain, z = flow(length), points(length)
    _, found = chain.normalize(z)
    for row, one in zip(found, z, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda x: chain.normalize(x[None])[0][0], one)
        torch.testing.assert_close(row, torch.linalg.slogdet(jacobian)[1], rtol=1e-10, atol=1e-12)


def test_a_chain_begins_as_the_identity():
    z = points(6).float()
    u, log_determinant = CouplingFlow(6, "tiny").normalize(z)

    assert torch.equal(u, z)  # eight exchanges of two halves of one size bring each back to its place
    assert not log_determinant.any()
    assert COUPLINGS % 2 == 0


def test_every_number_depends_on_every_other():
    jacobian = torch.autograd.functional.jacobian(lambda x: flow(5).normalize(x[None])[0][0], points(5)[0])

    assert (jacobian != 0).all()


def test_a_class_is_told_and_none_is_a_class_of_its_own():
    chain, z = flow(4, classes=3), points(4)
    found = [chain.normalize(z, label)[0] for label in (None, torch.tensor(3), torch.tensor(0))]

    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    assert any(isinstance(module, LabelEmbedding) for module in chain.modules())
