"""Each equation is one function for NumPy arrays, torch tensors and graph arrays: here all three give the same numbers.

What is not run on all three is listed, with its reason, and the list is held complete.
"""

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from gen_export.spec import diffusion, noise, objectives, pixels, samplers, schedules, vae
from tests.export.analytic import evaluate, graph_of

RNG = np.random.default_rng(2)
X, EPS, Z = RNG.standard_normal((3, 2, 5))
A_T, A_S, SIGMA = np.array(0.35), np.array(0.6), np.array(0.2)
WORDS = RNG.integers(0, 2**64, 4, np.uint64)
KEYS = noise.sample_keys(noise.seed_bits(42), np.arange(3, dtype=np.uint64))
DRAW = np.array([3], np.uint64)
ABARS = schedules.alpha_bars(schedules.linear_betas(6, 0.05, 0.4))
BETAS = schedules.linear_betas(6, 0.05, 0.4)
FLOW = schedules.ContinuousLinear(0.5, 3.0)

CASES: dict[Callable[..., Any], tuple[Any, ...]] = {
    diffusion.sqrt_nonneg: (X,),
    diffusion.safe_div: (X, abs(EPS)),
    diffusion.forward_noising: (X, EPS, A_T),
    diffusion.epsilon_loss: (X, EPS),
    diffusion.eps_from_velocity: (X, EPS, A_T),
    diffusion.guarded_x0: (X, EPS, A_T),
    diffusion.guarded_ddim_step: (X, EPS, A_T, A_S),
    diffusion.guarded_ddpm_step: (X, EPS, Z, np.array(0.4), A_T, A_S),
    diffusion.clip_to_unit: (X,),
    diffusion.image_x0: (X, EPS, A_T),
    diffusion.image_ddim_step: (X, EPS, A_T, A_S),
    diffusion.ddim_sigma: (A_T, A_S, np.array(0.7)),
    diffusion.image_ddim_mean: (X, EPS, A_T, A_S, SIGMA),
    diffusion.pf_ode_rhs: (X, EPS, np.array(2.0), SIGMA),
    diffusion.euler_step: (lambda x, t: x * t, X, np.array(0.5), np.array(-0.1)),
    noise.splitmix64: (WORDS,),
    noise.sample_keys: (noise.seed_bits(-1), WORDS),
    noise.squares_word: (WORDS, KEYS[:1]),
    noise.normals: (KEYS, DRAW, 7),
    objectives.mse: (X, EPS),
    objectives.weighted_two_term: (SIGMA, X, EPS),
    objectives.weighted_three_term: (SIGMA, X, EPS, Z),
    pixels.from_bytes: (X,),
    pixels.to_bytes: (X,),
    samplers.guarded_ddpm_sample: (lambda x, t: 0.5 * x, X, np.stack([X] * 6), BETAS, ABARS),
    samplers.guarded_ddim_sample: (lambda x, t: 0.5 * x, X, ABARS),
    samplers.image_ddim_sample: (lambda x, t: 0.5 * x, X, ABARS[1:]),
    samplers.ddim_sample: (lambda x, t: 0.5 * x, X, lambda j: 0.1 * j * X.sum(), ABARS, 4, 0.5),
    samplers.pf_ode_euler_sample: (lambda x, t: 0.5 * x, X, FLOW, 5),
    schedules.state_time: (np.array([0.0, 2.0, 5.0]), 8),
    schedules.trailing_state: (np.arange(7), np.array(6), 40),
    schedules.noisy_alpha_bars: (ABARS,),
    schedules.ContinuousLinear.beta: (FLOW, SIGMA),
    schedules.ContinuousLinear.alpha_bar: (FLOW, SIGMA),
    schedules.ContinuousLinear.sigma: (FLOW, SIGMA),
    vae.reparameterize: (X, EPS, Z),
    vae.coordinate_kl: (X, EPS),
    vae.kl_mean: (X, EPS),
    vae.kl_sum: (X, EPS),
    vae.beta_vae_loss: (SIGMA, A_T, A_S),
    vae.variance_of_scale: (X,),
    vae.negative_elbo: (vae.ElboTerms(X, EPS),),
    vae.beta_negative_elbo: (2.0, vae.ElboTerms(X, EPS)),
}
NUMPY_ONLY = {  # of whole numbers or seeds, evaluated before any network runs
    noise.seed_bits,
    noise.sample_normals,
    noise.counter_normals,
    schedules.linear_betas,
    schedules.cosine_betas,
    schedules.alpha_bars,
    schedules.image_time,
}
PAIRS = {diffusion.image_ddim_law}  # gives two arrays, each of a function with a case
NOT_IN_TORCH = {noise.splitmix64, noise.sample_keys, noise.squares_word, noise.normals}  # it cannot add uint64
NOT_IN_GRAPHS = {  # means and exp are traced by torch, and schedules and whole samplers are not one graph
    *(f for f in CASES if f.__module__ in (samplers.__name__, vae.__name__)),
    diffusion.epsilon_loss,
    objectives.mse,
    schedules.noisy_alpha_bars,
    schedules.ContinuousLinear.alpha_bar,
    schedules.ContinuousLinear.sigma,
} - {vae.beta_vae_loss, vae.variance_of_scale}
WITHOUT_OWN_DTYPE = {pixels.to_bytes, schedules.trailing_state, vae.negative_elbo, vae.beta_negative_elbo}
# exp, log, sin and cos of two libraries may round apart, by one unit in the last place each, through a few more steps.
RTOL = 1e-14


def name(function: Callable[..., Any]) -> str:
    return f"{function.__module__.split('.')[-1]}.{function.__qualname__}"


def public(module: ModuleType) -> list[Callable[..., Any]]:
    own = [f for f in vars(module).values() if inspect.isfunction(f) and f.__module__ == module.__name__]
    return [f for f in own if not f.__name__.startswith("_")]


def tensors(value: Any) -> Any:
    """The arguments with torch tensors in the place of arrays."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if isinstance(value, vae.ElboTerms):
        return vae.ElboTerms(tensors(value.reconstruction_nll), tensors(value.kl_posterior_prior))
    return value


def test_every_public_function_has_a_case_or_a_reason() -> None:
    modules = (diffusion, noise, objectives, pixels, samplers, schedules, vae)
    functions = {f for module in modules for f in public(module)}

    assert functions - set(CASES) == NUMPY_ONLY | PAIRS


@pytest.mark.parametrize("function", [f for f in CASES if f not in NOT_IN_TORCH], ids=name)
def test_torch_gives_the_numbers_of_numpy(function: Callable[..., Any]) -> None:
    args = CASES[function]
    expected, found = function(*args), function(*(tensors(a) for a in args))

    assert isinstance(found, torch.Tensor)
    assert found.numpy().dtype == np.asarray(expected).dtype
    np.testing.assert_allclose(found.numpy(), expected, rtol=RTOL, atol=RTOL)


@pytest.mark.parametrize("function", [f for f in CASES if f not in NOT_IN_GRAPHS], ids=name)
def test_a_graph_gives_the_numbers_of_numpy(function: Callable[..., Any]) -> None:
    args = CASES[function]
    inputs = {f"x{i}": a for i, a in enumerate(args) if isinstance(a, np.ndarray)}

    def compute(*arrays: Any) -> Any:
        left = iter(arrays)
        return function(*(next(left) if isinstance(a, np.ndarray) else a for a in args))

    (found,) = evaluate(graph_of(compute, inputs), inputs)
    expected = np.asarray(function(*args))

    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=RTOL, atol=RTOL)


@pytest.mark.parametrize("function", [f for f in CASES if f not in NOT_IN_TORCH | WITHOUT_OWN_DTYPE], ids=name)
def test_float32_stays_float32(function: Callable[..., Any]) -> None:
    """A float64 scalar that slipped in would slow training and change what is exported."""
    args = [a.astype(np.float32) if isinstance(a, np.ndarray) else a for a in CASES[function]]

    assert function(*(tensors(a) for a in args)).dtype == torch.float32
