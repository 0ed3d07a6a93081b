"""Solvers of the reverse process by name: how the state moves from level t to s with what the denoiser says of it.

DDIM: Song et al. (2021), arXiv:2010.02502. DDPM: Ho et al. (2020), arXiv:2006.11239. Heun: after Karras et al. (2022),
arXiv:2206.00364, algorithm 1. DPM-Solver++(2M): Lu et al. (2022), arXiv:2211.01095, algorithm 2. Euler: reference
section 6.4, the corrected probability flow. The full-step samplers: reference sections 6.3 and 6.7.

A level has a signal rate a = sqrt(alpha_bar) and a noise rate b = sqrt(1 - alpha_bar); every solver moves by one
evaluation of the denoiser at a time and carries one array of memory, so that all share one loop and one network.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from array_api_compat import array_namespace

from gen_export.spec.diffusion import (
    guarded_ddim_step,
    image_ddim_law,
    image_ddim_step,
    image_x0,
    pf_ode_rhs,
    sqrt_nonneg,
)

Array = Any
Moved = tuple[Array, Array, Array]


class Levels(NamedTuple):
    """Where a move goes: values of alpha_bar, each (1,) or (), in the dtype of the state.

    Attributes:
        r: Of the level before t; that of t itself in the first step.
        t: Of the level that the step leaves.
        s: Of the level that it goes to; 1 in the last step.
        correcting: Whether this is the second evaluation of a step: the state is at s already.
        eta: Scale of the fresh noise, of solvers that take it.
    """

    r: Array
    t: Array
    s: Array
    correcting: Array
    eta: Array


@dataclass(frozen=True, slots=True)
class Solver:
    """One way from noise to an image.

    Attributes:
        move: From the levels, the state, the predicted noise and the memory to the next state without its fresh
            noise, the scale of that noise, and the memory of the next move.
        order: Of convergence to the probability flow; None for what does not converge to it.
        evaluations: Of the denoiser in a step; the last step takes one less where it is two.
        all_states: Whether it goes through all T states, whatever the number of steps.
        noisy: Whether its steps may add fresh noise.
    """

    move: Callable[[Levels, Array, Array, Array], Moved]
    order: int | None = None
    evaluations: int = 1
    all_states: bool = False
    noisy: bool = False

    def steps(self, asked: int, states: int) -> int:
        """The steps of a run of which so many are asked."""
        return states if self.all_states else asked


def moves(steps: Array, evaluations: Array) -> Array:
    """Evaluations of the denoiser in a run: at state 0 there is nothing to correct."""
    return steps * evaluations - (evaluations - 1)


def visited(
    j: Array, steps: Array, evaluations: Array, state: Callable[[Array, Array], Array]
) -> tuple[list[Array], Array]:
    """The states r, t, s of the levels of move j of a run, and whether it is the second evaluation of a step.

    Args:
        j: The move, 0 .. `moves` - 1.
        steps: Of the run.
        evaluations: Of the solver in a step.
        state: From a step's number and the number of steps to the state before it.
    """
    k = j // evaluations
    correcting = j - k * evaluations > 0
    return [state(i, steps) for i in (k - 1 + 1 // (k + 1), k, k + 1)], correcting


def _rates(abar: Array) -> tuple[Array, Array]:
    return sqrt_nonneg(abar), sqrt_nonneg(1.0 - abar)


def _still(levels: Levels) -> Array:
    return 0.0 * levels.t


def ddim(levels: Levels, x: Array, eps_hat: Array, memory: Array) -> Moved:
    """DDIM, equation 12, through the clipped clean image; eta = 1 is ancestral."""
    mean, sigma = image_ddim_law(x, eps_hat, levels.t, levels.s, levels.eta)
    return mean, sigma, memory


def posterior_rates(t: Array, s: Array) -> tuple[Array, Array, Array]:
    """Of the clean image, of x_t and of the noise in x_s, by the posterior of x_s given them (DDPM, equation 7)."""
    rate = 1.0 - t / s
    clean, own = sqrt_nonneg(s) * rate / (1.0 - t), sqrt_nonneg(t / s) * (1.0 - s) / (1.0 - t)
    return clean, own, sqrt_nonneg(rate * (1.0 - s) / (1.0 - t))


def noise_rate_ratio(t: Array, s: Array) -> tuple[Array, Array]:
    """b_s / b_t and a_s - (b_s / b_t) a_t: what a step keeps of x_t, and takes of a clean image that stays the same."""
    (a_t, b_t), (a_s, b_s) = _rates(t), _rates(s)
    return b_s / b_t, a_s - b_s / b_t * a_t


def ddpm(levels: Levels, x: Array, eps_hat: Array, memory: Array) -> Moved:
    """DDPM, equations 6 and 7: the posterior of x_s given x_t and the clipped clean image."""
    clean, own, sigma = posterior_rates(levels.t, levels.s)
    return clean * image_x0(x, eps_hat, levels.t) + own * x, sigma, memory


def euler(levels: Levels, x: Array, eps_hat: Array, memory: Array) -> Moved:
    """Euler's method on the probability flow, with the time -ln alpha_bar, in which the noise rate is 1."""
    xp = array_namespace(levels.t)
    time = xp.log(levels.s / levels.t)
    return x - time * pf_ode_rhs(x, eps_hat, 1.0, sqrt_nonneg(1.0 - levels.t)), _still(levels), memory


def heun(levels: Levels, x: Array, eps_hat: Array, memory: Array) -> Moved:
    """Heun's method on x / b as a function of a / b, whose derivative is the clean image, here clipped.

    A DDIM step to s, then half of what the clean image seen from there has changed. In the variables of Karras et al.,
    x / a and b / a, a first step from almost pure noise would be as long as b / a is large.
    """
    xp = array_namespace(levels.t)
    ratio, length = noise_rate_ratio(levels.t, levels.s)  # length: b_s times the step of a / b
    one = 0.0 * ratio + 1.0
    kept, new, old = (
        xp.where(levels.correcting, correction, prediction)
        for prediction, correction in ((ratio, one), (length, 0.5 * length), (0.0 * one, -0.5 * length))
    )
    clean = image_x0(x, eps_hat, xp.where(levels.correcting, levels.s, levels.t))
    return kept * x + new * clean + old * memory, _still(levels), clean


def dpmpp_2m(levels: Levels, x: Array, eps_hat: Array, memory: Array) -> Moved:
    """DPM-Solver++(2M): the clipped clean image, extrapolated in ln(a / b) from its last two predictions.

    The first step has no prediction before it, and the last no end in ln(a / b): they take one prediction alone.
    """
    xp = array_namespace(levels.t)
    (a_r, b_r), (a_t, b_t), (a_s, b_s) = map(_rates, (levels.r, levels.t, levels.s))
    alone = xp.logical_or(xp.equal(levels.r, levels.t), xp.equal(levels.s, 1.0))
    one = 0.0 * a_t + 1.0
    length = xp.log(a_s * b_t / (a_t * xp.where(alone, one, b_s)))
    before = xp.where(alone, one, xp.log(a_t * b_r / (a_r * b_t)))
    weight = xp.where(alone, 0.0 * one, length / (2.0 * before))
    clean = image_x0(x, eps_hat, levels.t)
    kept, new = noise_rate_ratio(levels.t, levels.s)
    return kept * x + new * (clean + weight * (clean - memory)), _still(levels), clean


def ddim_spec(levels: Levels, x: Array, eps_hat: Array, memory: Array) -> Moved:
    """The guarded, unclipped step of reference section 6.3 (`ddimStep`)."""
    return guarded_ddim_step(x, eps_hat, levels.t, levels.s), _still(levels), memory


def ddim_image(levels: Levels, x: Array, eps_hat: Array, memory: Array) -> Moved:
    """The clipped step of reference section 6.7 (`stepFromEps`)."""
    return image_ddim_step(x, eps_hat, levels.t, levels.s), _still(levels), memory


SOLVERS = {
    "ddim": Solver(ddim, order=1, noisy=True),
    "ddpm": Solver(ddpm, noisy=True),
    "euler": Solver(euler, order=1),
    "heun": Solver(heun, order=2, evaluations=2),
    "dpmpp_2m": Solver(dpmpp_2m, order=2),
    "ddim_spec": Solver(ddim_spec, all_states=True),
    "ddim_image": Solver(ddim_image, all_states=True),
}
"""The solvers that a sampler offers, in the order of their numbers."""
