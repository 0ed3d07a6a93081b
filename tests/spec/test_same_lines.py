"""Each equation is one function for NumPy arrays, torch tensors and graph arrays: here all three give the same numbers.

What is not run on all three is listed, with its reason, and the list is held complete.
"""

import inspect
import pkgutil
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from gen_export import spec
from gen_export.spec import (
    anticollapse,
    categorical,
    coupling,
    diffusion,
    diffusion_bound,
    dynamics,
    flow,
    gan,
    guidance,
    inversion,
    masks,
    noise,
    objectives,
    optimizers,
    pixels,
    samplers,
    schedules,
    solver_constants,
    solvers,
    vae,
    vqvae,
)
from tests.export.analytic import evaluate, graph_of

RNG = np.random.default_rng(2)
X, EPS, Z = RNG.standard_normal((3, 2, 5))
SINGLE = np.random.default_rng(3).uniform(0.5, 2.0, (4, 5)).astype(np.float32)
IMAGES = X.reshape(2, 1, 1, 5), EPS.reshape(2, 1, 1, 5), Z.reshape(2, 1, 1, 5)
A_T, A_S, SIGMA = np.array(0.35), np.array(0.6), np.array(0.2)
SLOPES = np.array(-0.5), np.array(3.0)
WORDS = RNG.integers(0, 2**64, 4, np.uint64)
KEYS = noise.sample_keys(noise.seed_bits(42), np.arange(3, dtype=np.uint64))
DRAW = np.array([3], np.uint64)
ABARS = schedules.alpha_bars(schedules.linear_betas(6, 0.05, 0.4))
LEVELS = solvers.Levels(np.array(0.2), A_T, A_S, np.array(True), np.array(0.5))
BETAS = schedules.linear_betas(6, 0.05, 0.4)
FLOW = schedules.ContinuousLinear(0.5, 3.0)
HIDDEN = RNG.random((2, 5)) < 0.5
CODES, COUNTS = RNG.standard_normal((7, 5)), np.array([3.0, 0.0, 1.0])
EDGES = np.array([[0, 1], [4, 2], [6, 6]])
HALVE = dynamics.DynamicalSystem(lambda x: 0.5 * x)
ADD = dynamics.DrivenSystem(lambda x, u: 0.5 * x + u)
MODULES = (
    anticollapse,
    categorical,
    coupling,
    diffusion,
    diffusion_bound,
    dynamics,
    flow,
    gan,
    guidance,
    inversion,
    masks,
    noise,
    objectives,
    optimizers,
    pixels,
    samplers,
    schedules,
    solver_constants,
    solvers,
    vae,
    vqvae,
)

CASES: dict[Callable[..., Any], tuple[Any, ...]] = {
    anticollapse.graph_alignment_energy: (CODES, EDGES),
    anticollapse.coordinate_spread: (CODES,),
    anticollapse.variance_floor_guard: (CODES, 100.0),
    anticollapse.graph_ssl_objective: (CODES, EDGES, 100.0),
    categorical.temper: (X, 0.7),
    categorical.keep_top: (X, np.array(3)),
    categorical.categorical: (X, np.array([0.3, 0.9])),
    categorical.log_softmax: (X,),
    categorical.next_code: (X, np.array([0.3, 0.9]), np.array(0.7), np.array(3)),
    diffusion.sqrt_nonneg: (X,),
    diffusion.safe_div: (X, abs(EPS)),
    diffusion.forward_noising: (X, EPS, A_T),
    diffusion.epsilon_loss: (X, EPS),
    diffusion.velocity: (X, EPS, A_T),
    diffusion.eps_from_velocity: (X, EPS, A_T),
    diffusion.eps_from_x0: (X, EPS, A_T),
    diffusion.guarded_x0: (X, EPS, A_T),
    diffusion.guarded_ddim_step: (X, EPS, A_T, A_S),
    diffusion.guarded_ddpm_step: (X, EPS, Z, np.array(0.4), A_T, A_S),
    diffusion.clip_to_unit: (X,),
    diffusion.image_x0: (X, EPS, A_T),
    diffusion.image_ddim_step: (X, EPS, A_T, A_S),
    diffusion.ddim_sigma: (A_T, A_S, np.array(0.7)),
    diffusion.image_ddim_mean: (X, EPS, A_T, A_S, SIGMA),
    diffusion.image_ddim_law: (X, EPS, A_T, A_S, np.array(0.7)),
    diffusion.pf_ode_rhs: (X, EPS, np.array(2.0), SIGMA),
    diffusion.euler_step: (lambda x, t: x * t, X, np.array(0.5), np.array(-0.1)),
    diffusion_bound.signal_to_noise: (A_T,),
    diffusion_bound.prior_term: (X, A_T),
    diffusion_bound.transition_term: (X, EPS, A_T, A_S),
    diffusion_bound.level_term: (np.full(X.shape, 7), X, np.array(0.1)),
    dynamics.iterate: (HALVE, 3, X),
    dynamics.trajectory: (HALVE, X, 3),
    dynamics.iterate_with_input: (ADD, [1.0, 2.0], X),
    dynamics.driven_trajectory: (ADD, X, [1.0, 2.0]),
    dynamics.l2_norm: (X,),
    dynamics.lipschitz_ratio: (lambda x: x * x, X, EPS),
    dynamics.euler_lipschitz: (np.array(-0.1), A_T),
    dynamics.mixed_lipschitz: (A_T, -A_S, SLOPES),
    dynamics.clipped_lipschitz: (A_T, A_S, SIGMA, A_T, SLOPES),
    dynamics.pf_ode_rhs_lipschitz: (A_T, SIGMA, SLOPES),
    dynamics.pf_ode_euler_lipschitz: (A_T, SIGMA, np.array(-0.1), SLOPES),
    dynamics.guarded_ddim_lipschitz: (A_T, A_S, SLOPES),
    dynamics.image_ddim_lipschitz: (A_T, A_S, SLOPES),
    dynamics.guarded_ddpm_lipschitz: (np.array(0.4), A_T, SLOPES),
    flow.velocity: (X, EPS, A_T),
    flow.log_normal: IMAGES[:1],
    flow.bits_per_dim: (X, 10),
    gan.real_term: (EPS[0],),
    gan.fake_term: (EPS[0],),
    gan.discriminator_loss: (X[0], EPS[0]),
    gan.generator_loss: (EPS[0],),
    inversion.residual: (*IMAGES, A_T, A_S, 1.0),
    inversion.secant: (*IMAGES, X.reshape(2, 1, 1, 5) + 1.0),
    masks.hide: (X, HIDDEN),
    masks.merge: (X, EPS, HIDDEN),
    masks.block_mae_sample: (X.reshape(2, 5, 1), masks.BlockMask((2, None), 2), 4),
    masks.reconstruction_weights: (HIDDEN, (1,)),
    masks.mse_weighted: (X, EPS, Z),
    masks.masked_mse: (X, EPS, HIDDEN),
    masks.random_hidden: (X, 0.6),
    noise.splitmix64: (WORDS,),
    noise.sample_keys: (noise.seed_bits(-1), WORDS),
    noise.squares_word: (WORDS, KEYS[:1]),
    noise.uniforms: (KEYS, DRAW, 7),
    noise.normals: (KEYS, DRAW, 7),
    noise.signs: (KEYS, DRAW, 7),
    noise.drawn: (noise.Law("integer", -2, 9), KEYS, DRAW, 7),
    objectives.mse: (X, EPS),
    objectives.mse_gradient: (X, EPS),
    objectives.weighted_two_term: (SIGMA, X, EPS),
    objectives.weighted_three_term: (SIGMA, X, EPS, Z),
    optimizers.norm: (X[0],),
    optimizers.clipped: (X[0], A_T, 0.2),
    optimizers.adamw: (*SINGLE[:2], optimizers.Moments(*SINGLE[2:]), np.array(3.0), np.array(0.01), (0.9, 0.99), 0.1),
    optimizers.unbiased: (np.array(3.0), 0.9),
    optimizers.averaged: (*SINGLE[:2], np.array(3.0), 0.99),
    pixels.from_bytes: (X,),
    pixels.to_bytes: (X,),
    pixels.pictures: (X[None, None],),
    guidance.guide: (X, EPS, SIGMA),
    guidance.sample_labels: (np.arange(7), np.array(4), 3),
    samplers.guarded_ddpm_sample: (lambda x, t: 0.5 * x, X, np.stack([X] * 6), BETAS, ABARS),
    samplers.guarded_ddim_sample: (lambda x, t: 0.5 * x, X, ABARS),
    samplers.image_ddim_sample: (lambda x, t: 0.5 * x, X, ABARS[1:]),
    samplers.ddim_sample: (lambda x, t: 0.5 * x, X, lambda j: 0.1 * j * X.sum(), ABARS, 4, 0.5),
    samplers.solve: (lambda x, t: 0.5 * x, X, lambda j: 0.1 * j * X.sum(), ABARS, 4, "dpmpp_2m"),
    samplers.pf_ode_euler_sample: (lambda x, t: 0.5 * x, X, FLOW, 5),
    schedules.state_time: (np.array([0.0, 2.0, 5.0]), 8),
    schedules.trailing_state: (np.arange(7), np.array(6), 40),
    schedules.leading_state: (np.arange(7), np.array(6), 40),
    schedules.linspace_state: (np.arange(7), np.array(6), 40),
    schedules.noisy_alpha_bars: (ABARS,),
    schedules.ContinuousLinear.beta: (FLOW, SIGMA),
    schedules.ContinuousLinear.alpha_bar: (FLOW, SIGMA),
    schedules.ContinuousLinear.sigma: (FLOW, SIGMA),
    **dict.fromkeys(solver_constants.STEP_CONSTANTS.values(), (A_T, A_S, SLOPES, SLOPES)),
    solvers.posterior_rates: (A_T, A_S),
    solvers.noise_rate_ratio: (A_T, A_S),
    **{solver.move: (LEVELS, X, EPS, Z) for solver in solvers.SOLVERS.values()},
    coupling.bounded_log_scale: (X,),
    coupling.couple: (X, EPS, Z),
    coupling.uncouple: (X, EPS, Z),
    coupling.log_density: (X, Z[:, 0]),
    vae.reparameterize: (X, EPS, Z),
    vae.coordinate_kl: (X, EPS),
    vae.kl_mean: (X, EPS),
    vae.kl_sum: (X, EPS),
    vae.beta_vae_loss: (SIGMA, A_T, A_S),
    vae.gaussian_log_density: (X, EPS, 0.3),
    vae.log_importance_weights: (X, EPS, SIGMA, X[:, 0], Z, X, EPS),
    vae.importance_weighted_bound: (100.0 * X,),
    vae.negative_elbo: (vae.ElboTerms(X, EPS),),
    vae.beta_negative_elbo: (2.0, vae.ElboTerms(X, EPS)),
    vqvae.squared_l2: (X, EPS),
    vqvae.nearest_code: (X, CODES),
    vqvae.bisector_distance: (X, abs(EPS)),
    vqvae.certified_margin: (X, CODES),
    vqvae.lookup: (CODES, np.array([[0, 2], [6, 2]])),
    vqvae.straight_through: (X, EPS),
    vqvae.codebook_loss: (X, EPS),
    vqvae.commitment_loss: (X, EPS),
    vqvae.vqvae_loss: (A_T, A_S, SIGMA, np.array(0.25)),
    vqvae.training_gradients: (X, EPS, Z, 0.25),
    vqvae.perplexity: (COUNTS,),
    vqvae.ema_codebook: (COUNTS, CODES[:3], COUNTS[::-1].copy(), CODES[3:6], 0.9, 1e-5),
}
NUMPY_ONLY: set[Callable[..., Any]] = {  # of whole numbers or seeds, evaluated before any network runs
    flow.angles,
    masks.vector_hidden_mask,
    masks.patch_hidden_mask,
    masks.seeded_hidden,
    pixels.planes,
    noise.seed_bits,
    noise.sample_normals,
    noise.counter_normals,
    schedules.linear_betas,
    schedules.cosine_betas,
    schedules.scaled_linear_betas,
    schedules.alpha_bars,
    schedules.named_alpha_bars,
    schedules.image_time,
    solvers.moves,
    solvers.visited,
}
NOT_ARRAYS: set[Callable[..., Any]] = {  # a truth value, systems whose steps have cases, loops that run in their files
    flow.heun,
    flow.divergence,
    flow.log_likelihood,
    inversion.repeat,
    inversion.invert,
    dynamics.is_fixed_point,
    dynamics.freeze,
    dynamics.ddim_step_system,
    dynamics.pf_ode_euler_system,
}
NOT_IN_TORCH = {f for f in CASES if f.__module__ == noise.__name__}  # it cannot add uint64
NOT_IN_GRAPHS = {  # reductions, choices and exp are traced by torch; schedules and whole samplers are not one graph
    *(
        f
        for m in (
            anticollapse,
            coupling,
            diffusion_bound,
            dynamics,
            gan,
            masks,
            samplers,
            solver_constants,
            solvers,
            vae,
            vqvae,
        )
        for f in CASES
        if f.__module__ == m.__name__
    ),
    diffusion.epsilon_loss,
    objectives.mse,
    objectives.mse_gradient,
    schedules.noisy_alpha_bars,
    schedules.ContinuousLinear.alpha_bar,
    schedules.ContinuousLinear.sigma,
} - {vae.beta_vae_loss, vqvae.bisector_distance, vqvae.lookup, vqvae.straight_through, vqvae.vqvae_loss}
WITHOUT_OWN_DTYPE = {
    categorical.temper,
    categorical.categorical,
    categorical.next_code,
    masks.reconstruction_weights,
    masks.random_hidden,
    pixels.to_bytes,
    pixels.pictures,
    schedules.leading_state,
    schedules.linspace_state,
    guidance.sample_labels,
    schedules.trailing_state,
    vae.negative_elbo,
    vae.beta_negative_elbo,
    vqvae.certified_margin,
    vqvae.nearest_code,
}
# exp, log, sin and cos of two libraries may round apart, by one unit in the last place each, through a few more steps.
RTOL = 1e-14


def name(function: Callable[..., Any]) -> str:
    return f"{function.__module__.split('.')[-1]}.{function.__qualname__}"


def public(module: ModuleType) -> list[Callable[..., Any]]:
    own = [f for f in vars(module).values() if inspect.isfunction(f) and f.__module__ == module.__name__]
    return [f for f in own if not f.__name__.startswith("_")]


def mapped(change: Callable[[np.ndarray], Any], value: Any) -> Any:
    """The arguments with other arrays in the place of theirs."""
    if isinstance(value, tuple):
        parts = [mapped(change, part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, vae.ElboTerms):
        return vae.ElboTerms(mapped(change, value.reconstruction_nll), mapped(change, value.kl_posterior_prior))
    return change(value) if isinstance(value, np.ndarray) else value


def tensors(value: Any) -> Any:
    """The arguments with torch tensors in the place of arrays."""
    return mapped(torch.from_numpy, value)


def single(value: Any) -> Any:
    """The arguments with float32 in the place of float64."""
    return mapped(lambda array: array.astype(np.float32) if array.dtype == np.float64 else array, value)


def several(result: Any) -> list[Any]:
    """The arrays that a function gives."""
    return [array for part in result for array in several(part)] if isinstance(result, list | tuple) else [result]


def test_every_public_function_has_a_case_or_a_reason() -> None:
    names = {info.name for info in pkgutil.iter_modules(spec.__path__)}
    functions = {f for module in MODULES for f in public(module)}

    assert {module.__name__.split(".")[-1] for module in MODULES} == names - {"self_supervised"}  # of Python integers
    assert functions - set(CASES) == NUMPY_ONLY | NOT_ARRAYS


@pytest.mark.parametrize("function", [f for f in CASES if f not in NOT_IN_TORCH], ids=name)
def test_torch_gives_the_numbers_of_numpy(function: Callable[..., Any]) -> None:
    args = CASES[function]
    results = several(function(*(tensors(a) for a in args)))

    for found, expected in zip(results, several(function(*args)), strict=True):
        assert isinstance(found, torch.Tensor)
        assert found.numpy().dtype == np.asarray(expected).dtype
        np.testing.assert_allclose(found.numpy(), expected, rtol=RTOL, atol=RTOL)


@pytest.mark.parametrize(
    ("function", "free"),
    [
        (vqvae.nearest_code, ({0: "batch"}, None)),
        (vqvae.certified_margin, ({0: "batch"}, None)),
        (vqvae.lookup, (None, {0: "batch"})),
        (vqvae.perplexity, ({},)),
        (masks.masked_mse, ({0: "batch"},) * 3),
        (vae.importance_weighted_bound, ({1: "batch"},)),
        (vae.log_importance_weights, ({0: "batch"}, {0: "batch"}, {}, *({0: "batch"},) * 4)),
        (gan.discriminator_loss, ({0: "batch"},) * 2),
    ],
    ids=lambda value: name(value) if callable(value) else "",
)
def test_torch_traces_it_with_a_free_batch(function: Callable[..., Any], free: tuple[Any, ...]) -> None:
    class Module(torch.nn.Module):
        def forward(self, *args: torch.Tensor) -> torch.Tensor:
            return function(*args)

    args = tuple(tensors(a) for a in CASES[function])
    dims = {"batch": torch.export.Dim("batch", min=1)}
    shapes = tuple(axes and {axis: dims[extent] for axis, extent in axes.items()} for axes in free)
    program = torch.export.export(Module(), args, dynamic_shapes=(shapes,))

    torch.testing.assert_close(program.module()(*args), function(*args))


@pytest.mark.parametrize("function", [f for f in CASES if f not in NOT_IN_GRAPHS], ids=name)
def test_a_graph_gives_the_numbers_of_numpy(function: Callable[..., Any]) -> None:
    args = CASES[function]
    inputs: dict[str, np.ndarray] = {}
    mapped(lambda array: inputs.setdefault(f"x{len(inputs)}", array), args)

    def compute(*arrays: Any) -> Any:
        left = iter(arrays)
        return several(function(*mapped(lambda _: next(left), args)))

    results = evaluate(graph_of(compute, inputs), inputs)
    for found, expected in zip(results, several(function(*args)), strict=True):
        assert found.dtype == np.asarray(expected).dtype
        np.testing.assert_allclose(found, expected, rtol=RTOL, atol=RTOL)


@pytest.mark.parametrize("function", [f for f in CASES if f not in NOT_IN_TORCH | WITHOUT_OWN_DTYPE], ids=name)
def test_float32_stays_float32(function: Callable[..., Any]) -> None:
    """A float64 scalar that slipped in would slow training and change what is exported."""
    args = map(single, CASES[function])

    assert {found.dtype for found in several(function(*(tensors(a) for a in args)))} == {torch.float32}
