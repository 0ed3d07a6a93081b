"""How far apart a step of each solver can take two images: Lipschitz constants in closed form (reference section 6.8).

Each is of the levels t and s of the step, values of alpha_bar, and of the slopes of eps_hat at t and at s
(`gen_export.spec.dynamics`); fresh noise is the same for both images. A step of dpmpp_2m depends on the two images
before it, and so has no such constant; those of ddim are for eta = 0.
"""

from collections.abc import Callable
from typing import Any

from array_api_compat import array_namespace

from gen_export.spec.diffusion import sqrt_nonneg
from gen_export.spec.dynamics import (
    Slopes,
    clipped_lipschitz,
    guarded_ddim_lipschitz,
    image_ddim_lipschitz,
    pf_ode_euler_lipschitz,
)
from gen_export.spec.solvers import noise_rate_ratio, posterior_rates

Array = Any
Constant = Callable[[Array, Array, Slopes, Slopes], Array]


def _ddim(t: Array, s: Array, slopes: Slopes, _: Slopes) -> Array:
    return image_ddim_lipschitz(t, s, slopes)


def _ddpm(t: Array, s: Array, slopes: Slopes, _: Slopes) -> Array:
    clean, own, _ = posterior_rates(t, s)
    return clipped_lipschitz(own, clean, 0.0, t, slopes)


def _euler(t: Array, s: Array, slopes: Slopes, _: Slopes) -> Array:
    return pf_ode_euler_lipschitz(1.0, sqrt_nonneg(1.0 - t), -array_namespace(t).log(s / t), slopes)


def _heun(t: Array, s: Array, slopes: Slopes, slopes_s: Slopes) -> Array:
    """The prediction y has a constant; x_s = ratio x + length (clean_t(x) + clean_s(y)) / 2 follows from it.

    At s = 1, the last step, y is what is returned.
    """
    ratio, length = noise_rate_ratio(t, s)
    predicted = clipped_lipschitz(ratio, length, 0.0, t, slopes)
    seen = clipped_lipschitz(0.0, 0.5 * length, 0.0, s, slopes_s)
    corrected = clipped_lipschitz(ratio, 0.5 * length, 0.0, t, slopes) + seen * predicted
    return array_namespace(t).where(s < 1.0, corrected, predicted)


def _ddim_spec(t: Array, s: Array, slopes: Slopes, _: Slopes) -> Array:
    return guarded_ddim_lipschitz(t, s, slopes)


STEP_CONSTANTS: dict[str, Constant] = {
    "ddim": _ddim,
    "ddpm": _ddpm,
    "euler": _euler,
    "heun": _heun,
    "ddim_spec": _ddim_spec,
    "ddim_image": _ddim,
}
"""Those of the solvers that have one, by name."""
