"""The steps of an optimiser beside torch's, several in a row, and their closed forms."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from gen_export.spec.optimizers import EPSILON, Moments, adamw, averaged, clipped, norm, unbiased
from gen_export.training.state import ema_update
from tests.export.analytic import evaluate, graph_of

RNG = np.random.default_rng(3)
WEIGHTS = RNG.standard_normal(40).astype(np.float32)
GRADIENTS = RNG.standard_normal((6, 40)).astype(np.float32)
ZEROS = Moments(np.zeros(40, np.float32), np.zeros(40, np.float32))
# A step rounds some ten times, by 2^-24 = 6e-8 of the weight or of the step each.
ROUNDINGS = {"rtol": 1e-6, "atol": 1e-7}


def steps(gradients, lr, betas, decay):
    """The weights after each of these gradients."""
    weights, moments = WEIGHTS, ZEROS
    for count, gradient in enumerate(gradients, start=1):
        weights, moments = adamw(weights, gradient, moments, np.float64(count), np.float64(lr), betas, decay)
        yield weights


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.99), (0.5, 0.9)])
def test_every_step_is_that_of_torchs_adamw(betas, decay):
    weights = nn.Parameter(torch.from_numpy(WEIGHTS.copy()))
    optimizer = torch.optim.AdamW([weights], lr=0.01, betas=betas, weight_decay=decay)
    for gradient, found in zip(GRADIENTS, steps(GRADIENTS, 0.01, betas, decay), strict=True):
        weights.grad = torch.from_numpy(gradient)
        optimizer.step()

        assert found.dtype == np.float32
        np.testing.assert_allclose(found, weights.detach().numpy(), **ROUNDINGS)


def test_the_same_gradient_again_and_again_moves_each_weight_by_the_rate():
    """The unbiased moments of a constant g are g and g^2, so that a step is lr g / (|g| + epsilon)."""
    gradient = GRADIENTS[0]
    expected = WEIGHTS.astype(np.float64)
    for found in steps([gradient] * 5, 0.01, (0.9, 0.999), 0.0):
        expected = expected - 0.01 * gradient / (abs(gradient) + EPSILON)

        np.testing.assert_allclose(found, expected, **ROUNDINGS)


def test_weights_without_a_gradient_decay_geometrically():
    (*_, found) = steps(np.zeros((6, 40), np.float32), 0.5, (0.9, 0.999), 0.1)

    np.testing.assert_allclose(found, WEIGHTS * 0.95**6, **ROUNDINGS)


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 0.999])
def test_an_average_of_ones_that_began_at_zero_is_what_it_is_divided_by(beta):
    average = 0.0
    for count in range(1, 8):
        average = beta * average + (1.0 - beta)

        # exp and log round apart from products: a float64 unit each, of 1.
        assert unbiased(np.float64(count), beta) == pytest.approx(average, rel=0, abs=1e-15)


@pytest.mark.parametrize("largest", [0.5, 5.0, 100.0])
def test_a_gradient_is_clipped_as_torch_clips_it(largest):
    parameter = nn.Parameter(torch.zeros(40))
    parameter.grad = torch.from_numpy(GRADIENTS[0].copy())
    length = nn.utils.clip_grad_norm_([parameter], largest)
    found = clipped(GRADIENTS[0], norm(GRADIENTS[0]), largest)

    assert found.dtype == np.float32
    np.testing.assert_allclose(norm(GRADIENTS[0]), length.numpy(), **ROUNDINGS)
    np.testing.assert_allclose(found, parameter.grad.numpy(), **ROUNDINGS)


def test_the_norm_of_very_many_numbers_is_as_exact_in_a_graph_as_that_of_few():
    gradient = np.tile(GRADIENTS.ravel(), 5000)
    (found,) = evaluate(graph_of(norm, {"gradient": gradient}), {"gradient": gradient})

    assert found.dtype == np.float32
    assert found == pytest.approx(np.linalg.norm(gradient.astype(np.float64)), rel=2.0**-23)


def test_a_long_gradient_keeps_its_direction_and_has_the_largest_norm():
    gradient = np.array([30.0, -40.0], np.float32)

    assert norm(gradient) == 50.0
    np.testing.assert_allclose(clipped(gradient, norm(gradient), 1.0), [0.6, -0.8], **ROUNDINGS)


def test_a_short_gradient_stays_as_it_is_and_zero_stays_zero():
    for gradient in (np.array([0.3, -0.4], np.float32), np.zeros(2, np.float32)):
        np.testing.assert_array_equal(clipped(gradient, norm(gradient), 1.0), gradient)


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.999])
def test_the_average_is_that_of_training(decay):
    network, count = nn.Linear(8, 5, bias=False), 0
    average = AveragedModel(network, multi_avg_fn=ema_update(decay, lambda: count))
    found = WEIGHTS
    for weights in GRADIENTS:
        with torch.no_grad():
            network.weight.copy_(torch.from_numpy(weights).reshape(5, 8))
        average.update_parameters(network)
        found = averaged(found, weights, np.float64(count), decay)
        count += 1

        assert found.dtype == np.float32
        np.testing.assert_allclose(found, average.module.weight.detach().numpy().ravel(), **ROUNDINGS)


def test_the_first_average_is_the_weights():
    """Up to a rounding of what stood there before, 2^-5 of 1e6."""
    before = np.full(40, 1e6, np.float32)

    np.testing.assert_allclose(averaged(before, WEIGHTS, np.float64(0), 0.999), WEIGHTS, rtol=0, atol=2.0**-5)


def test_constant_weights_are_their_own_average():
    for count in range(5):
        np.testing.assert_array_equal(averaged(WEIGHTS, WEIGHTS, np.float64(count), 0.999), WEIGHTS)


def test_the_average_forgets_by_its_closed_form():
    """Of ones after zero: what is left of zero is the product of the weights of the past."""
    average, left = np.zeros(1, np.float32), 1.0
    for count in range(1, 30):
        average = averaged(average, np.ones(1, np.float32), np.float64(count), 0.6)
        left *= min(0.6, (1 + count) / (10 + count))

        assert average == pytest.approx(1.0 - left, rel=1e-6)
