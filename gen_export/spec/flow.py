"""The density of an image under the probability flow of a denoiser.

Song et al., *Score-Based Generative Modeling through Stochastic Differential Equations* (2021), arXiv:2011.13456,
section 4.3 and appendix D; Grathwohl et al., *FFJORD* (2019), arXiv:1810.01367 (Hutchinson's estimate of a divergence);
Salimans & Ho (2022), arXiv:2202.00512, appendix D (the angle).

With a signal rate a = cos phi and a noise rate b = sin phi, images move with the angle phi by

    dx / dphi = v(x, phi) = (eps_hat - b x) / a,   d log p / dphi = -div v,

from clean, phi = 0, to noise, whose density is the standard normal one. For a network that gives v this is its output,
smooth at both ends; where it gives eps_hat, v is a difference divided by an a that nears 0 as the noise takes over. So
Heun's method is taken over the angles of a run's states, its last step without the correction at the noise:

    x_t' = x_s + h v(x_s, s),   x_t = x_s + h / 2 (v(x_s, s) + v(x_t', t)),   h = phi_t - phi_s,

and likewise for the divergence, of order 2 in h. Denoisers are trained on noised images, so at phi = 0 none is
asked: eps_hat = -b grad log p makes v = -tan phi (grad log p + x), which begins at 0 where the data have a smooth
density, and so does its divergence. The sharper the density, the more steps it needs: until more no longer matter.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from gen_export.spec.diffusion import sqrt_nonneg
from gen_export.spec.inversion import Loop, repeat
from gen_export.spec.solvers import moves

Array = Any
Slope = Callable[[Array, Any, Array], Sequence[Array]]
EVALUATIONS = 2
"""Of a step; the last takes one less, and so does the first."""


class Point(NamedTuple):
    """Where images are along the flow.

    Attributes:
        x: The images, (B, C, H, W).
        change: log p where they began less log p here, (B,).
        v: Their velocity when it was last asked for.
        divergence: That of the velocity then, (B,).
    """

    x: Array
    change: Array
    v: Array
    divergence: Array


def angles(alpha_bars: np.ndarray) -> np.ndarray:
    """The angle phi of each level, 0 clean to pi / 2 noise, float64."""
    abar = np.asarray(alpha_bars, np.float64)
    return np.arctan2(np.sqrt(1.0 - abar), np.sqrt(abar))


def velocity(x: Array, eps_hat: Array, abar: Array) -> Array:
    """The velocity (eps_hat - b x) / a; linear, so it takes a direction and eps_hat's slope along it to that of v."""
    return (eps_hat - sqrt_nonneg(1.0 - abar) * x) / sqrt_nonneg(abar)


def heun(point: Point, v: Array, divergence: Array, h: Array, correcting: Array) -> Point:
    """The next point of Heun's method, by one evaluation at x: of its first kind, or the one that corrects."""
    xp = array_namespace(v)

    def step(before: Array, now: Array) -> Array:
        return xp.where(correcting, 0.5 * (now - before), now) * h

    x, change = point.x + step(point.v, v), point.change + step(point.divergence, divergence)
    return Point(x, change, v, divergence)


def log_normal(x: Array) -> Array:
    """Log density of images x (B, C, H, W) under the standard normal law, in nats, (B,)."""
    return array_namespace(x).sum(-0.5 * (x * x + math.log(2.0 * math.pi)), axis=(1, 2, 3))


def bits_per_dim(nats: Array, dims: int) -> Array:
    """Bits a value of images of bytes, for the log density of those in [-1, 1], 255 / 2 levels to 1.

    It is a bound where x are bytes with uniform noise of one level, from -1/255 to 1/255, added (Theis et al., *A Note
    on the Evaluation of Generative Models* (2016), arXiv:1511.01844, section 3.1).
    """
    return (math.log(127.5) - nats / dims) / math.log(2.0)


class Probing(NamedTuple):
    """How a divergence is found: all unit vectors, whose share is 1, or draws of zero mean and unit covariance.

    Attributes:
        probe: From the numbers of an evaluation and of a probe in it to directions z, (B, C, H, W).
        count: Probes of an evaluation.
        share: 1 for unit vectors, 1 / count for draws.
    """

    probe: Callable[[Any, Any], Array]
    count: Any
    share: Any


def divergence(slope: Slope, x: Array, t: Any, abar: Array, probing: Probing, j: Any, loop: Loop) -> list[Array]:
    """The velocity at images x of state t, and its divergence: the share of the sum of z . (dv / dx) z, (B,).

    Args:
        slope: Maps x, t and z to eps_hat(x, t) and its derivative along z.
        x: Images (B, C, H, W).
        t: Their state.
        abar: Its alpha_bar.
        probing: The directions z.
        j: Number of this evaluation.
        loop: How a body is repeated.
    """
    xp = array_namespace(x)

    def add(k: Any, _: Array, total: Array) -> list[Array]:
        z = probing.probe(j, k)
        eps_hat, along = slope(x, t, z)
        return [eps_hat, total + xp.sum(z * velocity(z, along, abar), axis=(1, 2, 3))]

    eps_hat, total = loop(probing.count, [0.0 * x, xp.sum(0.0 * x, axis=(1, 2, 3))], add)
    return [velocity(x, eps_hat, abar), probing.share * total]


def log_likelihood(
    slope: Slope,
    x: Array,
    abars: Array,
    phis: Array,
    steps: Any,
    state: Callable[[Any, Any], Any],
    probing: Probing,
    loop: Loop = repeat,
) -> Array:
    """Log density in nats of images x (B, C, H, W) in [-1, 1] under the flow from noise at a run's first state, (B,).

    Args:
        slope: Maps x, the state t and a direction to eps_hat(x, t) and its derivative along it.
        x: Images, taken to be at state 0.
        abars: alpha_bar of the states 0..T, in the dtype of x.
        phis: Their `angles`, likewise.
        steps: Of the run, at least 1.
        state: From a step's number and the number of steps to the state before it.
        probing: How the divergence is found.
        loop: How a body is repeated.
    """

    def move(j: Any, *point: Array) -> Sequence[Array]:
        i = j + 1  # the first is known: at state 0 nothing moves
        k = i // EVALUATIONS
        s, at, t = (state(steps - number, steps) for number in (k, i - k * (EVALUATIONS - 1), k + 1))
        v, spread = divergence(slope, point[0], at, abars[at], probing, j, loop)
        return heun(Point(*point), v, spread, phis[t] - phis[s], phis[at] > phis[s])

    none = array_namespace(x).sum(0.0 * x, axis=(1, 2, 3))
    point = Point(*loop(moves(steps, EVALUATIONS) - 1, Point(x, none, 0.0 * x, none), move))
    return log_normal(point.x) + point.change
