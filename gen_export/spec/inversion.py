"""DDIM backwards: the noise from which a deterministic run returns an image.

Song et al., *Denoising Diffusion Implicit Models* (2021), arXiv:2010.02502, section 4.3, which asks for the noise at
the wrong end of each step; here each step is inverted for what it is, as in Pan et al., *Effective Real Image Editing
with Accelerated Iterative Diffusion Inversion* (2023), arXiv:2309.04907. Secant: Walker & Ni, *Anderson Acceleration
for Fixed-Point Iterations* (2011), SIAM J. Numer. Anal. 49.

A step goes from x_t to x_s = a_s x_0 + b_s eps with eps = eps_hat(x_t, t) and x_0 = (x_t - b_t eps) / a_t, which
samplers clip. What a guess of x_t lacks, the residual

    (x_s - step(x_t)) / cos(phi_t - phi_s),   (a, b) = (cos phi, sin phi),

is added to it. Unclipped, the step is cos(phi_t - phi_s) x_t - sin(phi_t - phi_s) v(x_t) with the velocity
v = (eps - b_t x_t) / a_t, so this converges where tan(phi_t - phi_s) L < 1, with L the Lipschitz constant of v: for a
network that gives v everywhere if there are enough steps. A secant makes use of the residual before and takes fewer.

Steps without clipping lead to noise that looks as it should, and a run that clips returns the image where its clip does
not bind. Steps that clip lead to noise that returns the image all the same, at the price of values that no noise has.
Where a network gives eps and the schedule ends with almost no signal, its errors over a_t are in L: a run's first step
has no inverse, and the spacing `leading` leaves it out. One step from noise to image has none in float32.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from array_api_compat import array_namespace

from gen_export.spec.diffusion import image_ddim_step, sqrt_nonneg

Array = Any
Body = Callable[..., Sequence[Array]]
Loop = Callable[[Any, Sequence[Array], Body], Sequence[Array]]

ITERATIONS = 5
"""Evaluations of the network in a step, unless told."""
LEAST_SQUARE = 1e-30
"""The least square of a change of the residual that a secant divides by."""


def repeat(trips: int, states: Sequence[Array], body: Body) -> Sequence[Array]:
    """The loop `states = body(j, *states)` for j = 0..trips - 1."""
    for j in range(trips):
        states = body(j, *states)
    return states


def residual(x_t: Array, x_s: Array, eps_hat: Array, abar_t: Array, abar_s: Array, bound: Array) -> Array:
    """What x_t lacks for the step from it, with the clean image held within [-bound, bound], to go to x_s."""
    cosine = sqrt_nonneg(abar_t * abar_s) + sqrt_nonneg((1.0 - abar_t) * (1.0 - abar_s))
    step = image_ddim_step(x_t, eps_hat, abar_t, abar_s, postprocess=lambda x_0: x_0.clip(-1.0 * bound, bound))
    return (x_s - step) / cosine


def secant(x: Array, lack: Array, x_before: Array, lack_before: Array) -> Array:
    """The next guess of each image of a batch: Anderson's with a memory of one.

    Where there is no residual before, which zeros stand for, it is x and its residual.
    """
    xp, change = array_namespace(x), lack - lack_before
    share = _dot(change, lack) / _dot(change, change).clip(LEAST_SQUARE, None)
    first = xp.equal(_dot(lack_before, lack_before), 0.0)
    return x + lack - xp.where(first, 0.0 * share, share) * (x - x_before + change)


def _dot(x: Array, y: Array) -> Array:
    """Inner products of the images of two batches, (B, 1, 1, 1)."""
    return array_namespace(x).sum(x * y, axis=(1, 2, 3), keepdims=True)


def invert(
    denoise: Callable[[Array, Any], Array],
    x: Array,
    abars: Array,
    steps: Any,
    state: Callable[[Any, Any], Any],
    iterations: Any = ITERATIONS,
    bound: Array = math.inf,
    loop: Loop = repeat,
) -> Array:
    """The noise from which `steps` steps of DDIM with eta 0 go to images x, (B, C, H, W).

    Args:
        denoise: Maps x_t and the state t to the predicted noise.
        x: Images in [-1, 1].
        abars: alpha_bar of the states 0..T, in the dtype of x.
        steps: Of the run, at least 1.
        state: From a step's number and the number of steps to the state before it.
        iterations: Evaluations of the network in a step, at least 1.
        bound: Of the clean image in a step: 1 for steps that clip, infinity for those that do not.
        loop: How a body is repeated.
    """

    def step(j: Any, x_s: Array) -> list[Array]:
        s, t = state(steps - j, steps), state(steps - j - 1, steps)

        def improve(_: Any, x_t: Array, x_before: Array, lack_before: Array) -> list[Array]:
            lack = residual(x_t, x_s, denoise(x_t, t), abars[t], abars[s], bound)
            return [secant(x_t, lack, x_before, lack_before), x_t, lack]

        return [loop(iterations, [x_s, x_s, 0.0 * x_s], improve)[0]]

    return loop(steps, [x], step)[0]
