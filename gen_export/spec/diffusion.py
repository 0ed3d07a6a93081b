"""Steps of variance-preserving diffusion, forward and back (reference sections 6.2, 6.3, 6.4 and 6.7).

Ho et al., *Denoising Diffusion Probabilistic Models* (2020), arXiv:2006.11239;
Song et al., *Denoising Diffusion Implicit Models* (2021), arXiv:2010.02502;
Song et al., *Score-Based Generative Modeling through SDEs* (2021), arXiv:2011.13456.

`x_t` is the image at noise level t and `abar_t` its alpha_bar, a scalar or one value a sample that
broadcasts over `x_t`; s is the level one step closer to the clean image. The *guarded* forms add 1e-6 to
every divisor and never clip; the *image* forms divide by at least a floor and clip the clean
image: two different maps, never to be mixed.
"""

from collections.abc import Callable
from typing import Any

from array_api_compat import array_namespace

from gen_export.spec.objectives import mse

Array = Any

EPSILON = 1e-6
FLOOR = 1e-12


def sqrt_nonneg(x: Array) -> Array:
    """sqrt(max(x, 0)) (`sqrtNonneg`)."""
    return array_namespace(x).sqrt(x.clip(0.0, None))


def safe_div(x: Array, y: Array) -> Array:
    """The quotient x / (y + 1e-6): an additive guard, which biases every division (`safeDiv`)."""
    return x / (y + EPSILON)


def forward_noising(x_0: Array, eps: Array, abar_t: Array) -> Array:
    """x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps (`qSample`)."""
    return sqrt_nonneg(abar_t) * x_0 + sqrt_nonneg(1.0 - abar_t) * eps


def eps_from_velocity(x_t: Array, v: Array, abar_t: Array) -> Array:
    """The noise sqrt(abar_t) v + sqrt(1 - abar_t) x_t, where v is the velocity sqrt(abar_t) eps - sqrt(1 - abar_t) x_0.

    Salimans & Ho, *Progressive Distillation for Fast Sampling* (2022), arXiv:2202.00512, appendix D.
    """
    return sqrt_nonneg(abar_t) * v + sqrt_nonneg(1.0 - abar_t) * x_t


def eps_from_x0(x_t: Array, x_0: Array, abar_t: Array) -> Array:
    """The noise (x_t - sqrt(abar_t) x_0) / sqrt(1 - abar_t) that a clean image implies; divisor at least 1e-12."""
    return (x_t - sqrt_nonneg(abar_t) * x_0) / sqrt_nonneg(1.0 - abar_t).clip(FLOOR, None)


def _as_it_is(x_t: Array, eps: Array, abar_t: Array) -> Array:
    return eps


PREDICTIONS = {"eps": _as_it_is, "v": eps_from_velocity, "x0": eps_from_x0}
"""What a network may give, by name, and the noise that it implies: of x_t, its output and abar_t."""


def velocity(x_0: Array, eps: Array, abar_t: Array) -> Array:
    """The velocity sqrt(abar_t) eps - sqrt(1 - abar_t) x_0 of a clean image and its noise."""
    return sqrt_nonneg(abar_t) * eps - sqrt_nonneg(1.0 - abar_t) * x_0


def _noise(x_0: Array, eps: Array, abar_t: Array) -> Array:
    return eps


def _clean(x_0: Array, eps: Array, abar_t: Array) -> Array:
    return x_0


TARGETS = {"eps": _noise, "v": velocity, "x0": _clean}
"""What a network of each of `PREDICTIONS` should give: of x_0, eps and abar_t."""


def epsilon_loss(eps_hat: Array, eps: Array) -> Array:
    """Mean squared error of the predicted noise, unweighted (`epsPredLoss`)."""
    return mse(eps_hat, eps)


def guarded_x0(x_t: Array, eps_hat: Array, abar_t: Array) -> Array:
    """The clean image that eps_hat implies, scaled by 1 / (sqrt(abar_t) + 1e-6) (`x0PredFromEps`)."""
    return (x_t - sqrt_nonneg(1.0 - abar_t) * eps_hat) * safe_div(1.0, sqrt_nonneg(abar_t))


def guarded_ddim_step(x_t: Array, eps_hat: Array, abar_t: Array, abar_s: Array) -> Array:
    """Deterministic step from t to s, no clipping (`ddimStep`, `ddimStep_eq_x0Pred`)."""
    return forward_noising(guarded_x0(x_t, eps_hat, abar_t), eps_hat, abar_s)


def guarded_ddpm_step(x_t: Array, eps_hat: Array, z: Array, beta: Array, abar_t: Array, abar_s: Array) -> Array:
    """Ancestral step from t to s = t - 1 with the posterior variance (`ddpmStep`); beta is that of the transition."""
    noise_rate = safe_div(beta, sqrt_nonneg(1.0 - abar_t))
    mean = (x_t - eps_hat * noise_rate) * safe_div(1.0, sqrt_nonneg(1.0 - beta))
    variance = safe_div(1.0 - abar_s, 1.0 - abar_t) * beta
    return mean + sqrt_nonneg(variance) * z


def clip_to_unit(x: Array) -> Array:
    """Clamp to [-1, 1], the range of pixels."""
    return x.clip(-1.0, 1.0)


def image_x0(
    x_t: Array,
    eps_hat: Array,
    abar_t: Array,
    floor: float = FLOOR,
    postprocess: Callable[[Array], Array] = clip_to_unit,
) -> Array:
    """The clean image that eps_hat implies: divisor at least `floor`, then `postprocess` (§6.7)."""
    root = sqrt_nonneg(abar_t).clip(floor, None)
    return postprocess((x_t - sqrt_nonneg(1.0 - abar_t) * eps_hat) * (1.0 / root))


def image_ddim_step(
    x_t: Array,
    eps_hat: Array,
    abar_t: Array,
    abar_s: Array,
    floor: float = FLOOR,
    postprocess: Callable[[Array], Array] = clip_to_unit,
) -> Array:
    """Deterministic step from t to s through the clipped clean image (`stepFromEps`, `ddimPrev`)."""
    return forward_noising(image_x0(x_t, eps_hat, abar_t, floor, postprocess), eps_hat, abar_s)


def ddim_sigma(abar_t: Array, abar_s: Array, eta: Array) -> Array:
    """Scale of the fresh noise of a step: 0 for eta = 0, the posterior's for eta = 1 (DDIM, equation 16)."""
    return eta * sqrt_nonneg((1.0 - abar_s) / (1.0 - abar_t) * (1.0 - abar_t / abar_s))


def image_ddim_mean(x_t: Array, eps_hat: Array, abar_t: Array, abar_s: Array, sigma: Array) -> Array:
    """Mean of the step from t to s that adds noise of scale sigma (DDIM, equation 12, with the clipped clean image)."""
    direction = sqrt_nonneg(1.0 - abar_s - sigma * sigma)
    return sqrt_nonneg(abar_s) * image_x0(x_t, eps_hat, abar_t) + direction * eps_hat


def image_ddim_law(x_t: Array, eps_hat: Array, abar_t: Array, abar_s: Array, eta: Array) -> tuple[Array, Array]:
    """The normal law of the step from t to s: its mean, and the scale of its noise (DDIM, equations 12 and 16)."""
    sigma = ddim_sigma(abar_t, abar_s, eta)
    return image_ddim_mean(x_t, eps_hat, abar_t, abar_s, sigma), sigma


def pf_ode_rhs(x: Array, eps_hat: Array, beta: Array, sigma: Array) -> Array:
    """dx/dt of the probability flow: -beta x / 2 + (beta / (sigma + 1e-6)) eps_hat / 2 (`pfOdeRhs`, corrected form)."""
    return -0.5 * beta * x + 0.5 * safe_div(beta, sigma) * eps_hat


def euler_step(f: Callable[[Array, Array], Array], x: Array, t: Array, dt: Array) -> Array:
    """One step of Euler's method, x + dt f(x, t) (`eulerStep`)."""
    return x + dt * f(x, t)
