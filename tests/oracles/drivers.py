"""How these tests run other implementations: the same data, levels and noise, and every state that a denoiser is asked.

Both sides draw their fresh noise from torch's generator with the same seed, in the order of the steps.
"""

from inspect import signature
from typing import Any

import numpy as np
import torch

from gen_export.spec.samplers import solve
from gen_export.spec.schedules import SPACINGS, alpha_bars, linear_betas
from tests.mixture import Mixture

SEED = 5
STATES = 60
ABARS = alpha_bars(linear_betas(STATES, 1e-3, 0.2))
NOISE = np.random.default_rng(0).standard_normal((8, 4))
# Well inside [-1, 1] no clean image is clipped; at its ends most are.
GAUSSIAN = Mixture(np.ones(1), np.array([[-0.3, 0.4, 0.0, 0.1]]), np.diag([0.01, 0.02, 0.04, 0.003])[None], abars=ABARS)
MIXTURE = Mixture(
    np.array([0.5, 0.3, 0.2]),
    np.array([[-0.3, 0.4, 0.0, 0.1], [0.3, 0.2, -0.4, 0.2], [0.0, -0.4, 0.3, -0.3]]),
    np.array([0.01, 0.004, 0.02])[:, None, None] * (np.eye(4) + 0.5 * np.ones((4, 4))),
    abars=ABARS,
)
AT_THE_ENDS = Mixture(
    np.array([0.6, 0.4]),
    np.array([[0.9, -0.9, 0.2, 1.1], [-0.8, 0.8, -1.2, 0.3]]),
    np.array([0.2, 0.1])[:, None, None] * np.eye(4),
    abars=ABARS,
)
INSIDE = {"gaussian": GAUSSIAN, "mixture": MIXTURE}
EVERYWHERE = {**INSIDE, "clipped": AT_THE_ENDS}


def states(steps: int, spacing: str = "trailing", number: int = STATES) -> list[int]:
    """The states that a run asks its denoiser at."""
    return [int(SPACINGS[spacing](j, steps, number)) for j in range(steps)]


def ours(data: Mixture, steps: int, solver: str, eta: float = 0.0, spacing: str = "trailing") -> np.ndarray:
    """The state at each evaluation of the denoiser and at the end, (evaluations + 1, N, D)."""
    generator, seen = torch.Generator().manual_seed(SEED), []

    def denoise(x: np.ndarray, t: int) -> np.ndarray:
        seen.append(x)
        return data.denoise(x, t)

    def noise(_: int) -> np.ndarray:
        return torch.randn(NOISE.shape, generator=generator, dtype=torch.float64).numpy()

    end = solve(denoise, NOISE, noise, data.abars, steps, solver, eta, spacing)
    return np.stack([*seen, end])


def with_levels(scheduler: Any, data: Mixture) -> Any:
    """A scheduler of diffusers with our levels, in float64: its state i is our state i + 1."""
    scheduler.alphas_cumprod = torch.from_numpy(data.abars[1:])
    return scheduler


def by_diffusers(scheduler: Any, data: Mixture, **options: Any) -> np.ndarray:
    """The states of a scheduler whose timesteps are set, in our scale x (theirs may be x / sqrt(alpha_bar))."""
    if "generator" in signature(scheduler.step).parameters:
        options["generator"] = torch.Generator().manual_seed(SEED)
    times, one, seen = scheduler.timesteps, torch.ones((), dtype=torch.float64), []
    x = torch.from_numpy(NOISE)[..., None] / scheduler.scale_model_input(one, times[0])  # it wants channels and pixels
    for t in times:
        seen.append(scheduler.scale_model_input(x, t)[..., 0].numpy())
        eps = torch.from_numpy(data.denoise(seen[-1].astype(np.float64), int(t) + 1))[..., None]
        x = scheduler.step(eps, t, x, **options).prev_sample
    return np.stack([*seen, x[..., 0].numpy()])


def no_value_is_clipped(data: Mixture, run: np.ndarray, at: list[int]) -> bool:
    """Whether the clean image stays within [-1, 1] at the states of a run of one evaluation a step."""
    return all(abs(data.clean(x, t)).max() < 1.0 for x, t in zip(run, at, strict=False))


def apart(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest distance of two runs, in units of 1 or of the state where that is larger."""
    assert found.shape == expected.shape
    return float((abs(found - expected) / np.maximum(1.0, abs(expected))).max())


def last_order(errors: list[float]) -> float:
    """By how much log2 of the error falls when the steps double, at the end of a row."""
    return float(-np.diff(np.log2(errors))[-1])


def log_density(data: Mixture, x: torch.Tensor, t: int) -> torch.Tensor:
    """The log density of x_t at x (N, D), by torch's own normal laws."""
    abar, tables = data.abars[t], (data.weights, data.means, data.covariances)
    weights, means, covariances = map(torch.from_numpy, tables)
    noisy = abar * covariances + (1.0 - abar) * torch.eye(means.shape[1], dtype=torch.float64)
    laws = torch.distributions.MultivariateNormal(np.sqrt(abar) * means, noisy)
    choice = torch.distributions.Categorical(weights)
    return torch.distributions.MixtureSameFamily(choice, laws).log_prob(x)


def score(data: Mixture, x: torch.Tensor, t: int) -> torch.Tensor:
    """The gradient of the log density by differentiation."""
    x = x.double().detach().requires_grad_()
    return torch.autograd.grad(log_density(data, x, t).sum(), x)[0]
