"""Facts of the forward law a x + b z (reference section 6.5), on the file's graph `noising`.

The file at state t is f(x, z); a = sqrt(alpha_bar_t) and b = sqrt(1 - alpha_bar_t) come from the schedule that its
card names. That f is affine in the noise, of slope b, makes its law normal exactly; the statistical facts then draw
from it. They use standardised values (f - a x) / b, which are independent standard normal numbers.
"""

import math
from collections.abc import Callable

import numpy as np

from gen_export.verify.fact import Finding, fact, same_bits
from gen_export.verify.files import Files, random
from gen_export.verify.process import DIFFUSION, alpha_bars, image_shape, noised
from gen_export.verify.rounding import UNIT, in_units

BATCH = 8
DRAWS = 4096
FALSE_ALARM = 1e-6
_NOISING = ("noising",)
_GIVEN = "the noise that the file is given is drawn from N(0, I)"
_LAW = "NN.Proofs.Probability.{}".format

Case = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _case(files: Files, purpose: str) -> Case:
    """Clean images and noise, the states of the images, and a and b that belong to them, (B, 1, 1, 1)."""
    rng, abars = random(purpose), alpha_bars(files)
    last = len(abars) - 1
    t = np.concatenate([[0, 1, last], rng.integers(0, last + 1, BATCH - 3)])
    x0 = rng.uniform(-1.0, 1.0, (BATCH, *image_shape(files))).astype(np.float32)
    z = rng.standard_normal(x0.shape).astype(np.float32)
    a, b = (np.sqrt(rate[t]).reshape(-1, 1, 1, 1) for rate in (abars, 1.0 - abars))
    return x0, z, t, a, b


def rate_errors(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far the file's float32 a and b may be from the exact ones.

    The table's rounding moves alpha_bar by one unit, so a by half of one, and 1 - alpha_bar by alpha_bar units;
    the subtraction and the root round once more each, and everything is doubled for the sums of errors' products.
    """
    slack = 2.0 * UNIT
    return slack * 1.5 * a, np.divide(slack * (a * a + b * b), b, out=np.zeros_like(b), where=b > 0) + slack * b


def _allowed(x0: np.ndarray, z: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Rounding of a x0 + b z in float32: of the rates, of two products and of their sum."""
    a_error, b_error = rate_errors(a, b)
    return (a_error + 2.0 * UNIT * a) * np.abs(x0) + (b_error + 2.0 * UNIT * b) * np.abs(z)


@fact(_LAW("forwardNoising_eq_map"), "tolerance", "6.5", families=DIFFUSION, graphs=_NOISING)
def law_is_that_of_a_sum(files: Files) -> Finding:
    """forwardNoising a b x is the law of a x + b z: the file computes that sum, at any state."""
    x0, z, t, a, b = _case(files, "forward sum")
    return in_units(noised(files, x0, t, z), a * x0 + b * z, _allowed(x0, z, a, b), BATCH)


@fact(_LAW("forwardNoising_univ"), "sampled", "6.5", families=DIFFUSION, graphs=_NOISING)
def law_has_mass_one(files: Files) -> Finding:
    """forwardNoising a b x has mass 1: every draw is an image of finite numbers (error: numbers that are not)."""
    x0, z, t, _, _ = _case(files, "forward mass")
    found = [noised(files, x0, t, scale * z) for scale in np.array([0.0, 1.0, 100.0], np.float32)]
    return Finding(float((~np.isfinite(found)).sum()), 0.0, 3 * BATCH)


@fact(_LAW("forwardKernel_apply"), "exact", "6.5", families=DIFFUSION, graphs=_NOISING)
def kernel_at_an_image_is_its_law(files: Files) -> Finding:
    """forwardKernel a b at x is forwardNoising a b x: an image in a batch is noised as it is alone."""
    x0, z, t, _, _ = _case(files, "forward kernel")
    alone = [noised(files, x0[i : i + 1], t[i], z[i : i + 1]) for i in range(BATCH)]
    return same_bits(noised(files, x0, t, z), np.concatenate(alone), BATCH)


@fact(_LAW("integral_id_forwardNoising"), "tolerance", "6.5", families=DIFFUSION, graphs=_NOISING)
def mean_is_the_scaled_image(files: Files) -> Finding:
    """The mean of forwardNoising a b x is a x: so is that of each pair f(x, z), f(x, -z), and f(x, 0)."""
    x0, z, t, a, b = _case(files, "forward mean")
    above, below = (noised(files, x0, t, noise).astype(np.float64) for noise in (z, -z))
    found = np.stack([(above + below) / 2.0, noised(files, x0, t, 0.0 * z)])
    return in_units(found, np.stack([a * x0] * 2), _allowed(x0, z, a, b), 2 * BATCH)


@fact(_LAW("variance_dual_forwardNoising"), "tolerance", "6.5", families=DIFFUSION, graphs=_NOISING)
def functionals_have_variance_b_squared(files: Files) -> Finding:
    """A linear functional L of forwardNoising a b x has variance b^2 |L|^2: f(x, e_i) - f(x, 0) = b e_i."""
    x0, _, t, a, b = _case(files, "forward variance")
    basis = np.zeros((BATCH, x0[0].size), np.float32)
    basis[range(BATCH), random("forward basis").integers(0, x0[0].size, BATCH)] = 1.0
    basis = basis.reshape(x0.shape)
    found = noised(files, x0, t, basis).astype(np.float64) - noised(files, x0, t, 0.0 * basis)
    return in_units(
        found, b * basis, 2.0 * _allowed(x0, basis, a, b), BATCH, "worst over all pixels, in rounding bounds"
    )


@fact("gen_export.diffusion.noising_is_affine", "tolerance", families=DIFFUSION, graphs=_NOISING)
def noising_is_affine(files: Files) -> Finding:
    """f(x, y + z) - f(x, y) - f(x, z) + f(x, 0) = 0."""
    x0, z, t, a, b = _case(files, "forward affine")
    y = np.roll(z, 1)
    both, first, second, none = (noised(files, x0, t, w).astype(np.float64) for w in (y + z, y, z, 0.0 * z))
    size = np.abs(y) + np.abs(z)
    # y + z is rounded before the file sees it.
    return in_units(both - first - second + none, 0.0 * x0, 4.0 * _allowed(x0, size, a, b) + UNIT * b * size, BATCH)


def standardised(files: Files, purpose: str) -> np.ndarray:
    """(f - a x) / b of many draws at each of 8 images and states above 0, (8, n) with n at least 4096."""
    rng, abars = random(purpose), alpha_bars(files)
    shape = image_shape(files)
    t = rng.integers(1, len(abars), BATCH)
    x0 = rng.uniform(-1.0, 1.0, (BATCH, *shape)).astype(np.float32)
    a, b = (np.sqrt(rate[t]).reshape(-1, 1, 1, 1) for rate in (abars, 1.0 - abars))
    draws = -(-DRAWS // math.prod(shape))
    noise = rng.standard_normal((draws, BATCH, *shape)).astype(np.float32)
    found = np.stack([noised(files, x0, t, z) for z in noise]).astype(np.float64)
    return ((found - a * x0) / b).swapaxes(0, 1).reshape(BATCH, -1)


def distance_to_normal(values: np.ndarray) -> float:
    """Kolmogorov's distance between the empirical law of numbers and the standard normal one."""
    ranked = np.sort(values.ravel())
    below = np.array([0.5 * math.erfc(-value / math.sqrt(2.0)) for value in ranked.tolist()])
    steps = np.arange(len(ranked) + 1) / len(ranked)
    return float(max((steps[1:] - below).max(), (below - steps[:-1]).max()))


def normality(values: np.ndarray, note: str = "", false_alarm: float = FALSE_ALARM) -> Finding:
    """Kolmogorov's test of the law of independent standard normal numbers.

    The distance exceeds sqrt(log(2 / p) / 2n) with probability at most p (Dvoretzky, Kiefer & Wolfowitz, with the
    constant of Massart, *The Tight Constant in the DKW Inequality*, 1990).
    """
    critical = math.sqrt(math.log(2.0 / false_alarm) / (2.0 * values.size))
    return Finding(distance_to_normal(values), critical, values.size, note, false_alarm)


def _each_image(statistic: Callable[[np.ndarray], np.ndarray], values: np.ndarray, critical: float) -> Finding:
    """The largest of the statistics of the rows, whose critical value all of them exceed with little probability."""
    return Finding(float(statistic(values).max()), critical, values.size, "worst of 8 images", FALSE_ALARM)


@fact(
    "NN.MLTheory.Generative.Diffusion.forwardGaussian_isGaussian",
    "statistical",
    "6.5",
    hypotheses=_GIVEN,
    families=DIFFUSION,
    graphs=_NOISING,
)
def forward_law_is_normal(files: Files) -> Finding:
    """forwardGaussian c0 c1 x0 is a Gaussian measure: a drawn pixel's law is normal."""
    return normality(standardised(files, "forward normal")[0])


@fact(
    _LAW("isGaussian_forwardKernel"),
    "statistical",
    "6.5",
    hypotheses=_GIVEN,
    families=DIFFUSION,
    graphs=_NOISING,
)
def transitions_are_normal(files: Files) -> Finding:
    """Every transition of forwardKernel is Gaussian: of 8 images, (pixel + pixel') / sqrt 2 is normal as well."""
    values = standardised(files, "forward transitions")
    return normality((values[:, 0::2] + values[:, 1::2]) / math.sqrt(2.0))


@fact(
    _LAW("integral_id_forwardKernel"),
    "statistical",
    "6.5",
    hypotheses=_GIVEN,
    families=DIFFUSION,
    graphs=_NOISING,
)
def drawn_mean_is_the_scaled_image(files: Files) -> Finding:
    """The mean of forwardKernel a b at x is a x: the mean of n standardised numbers is normal of variance 1 / n."""
    values = standardised(files, "forward drawn mean")
    # P(|Z| > c) <= 2 exp(-c^2 / 2), for each of the images.
    critical = math.sqrt(2.0 * math.log(2.0 * BATCH / FALSE_ALARM))
    return _each_image(lambda v: math.sqrt(v.shape[1]) * np.abs(v.mean(axis=1)), values, critical)


@fact(
    _LAW("variance_dual_forwardKernel"),
    "statistical",
    "6.5",
    hypotheses=_GIVEN,
    families=DIFFUSION,
    graphs=_NOISING,
)
def drawn_variance_is_b_squared(files: Files) -> Finding:
    """A linear functional L of forwardKernel a b at x has variance b^2 |L|^2: n standardised squares sum to chi^2_n."""
    values = standardised(files, "forward drawn variance")
    # Laurent & Massart (2000), lemma 1: P(|chi^2_n - n| > 2 sqrt(n c) + 2 c) <= 2 exp(-c), for each of the images.
    n, c = values.shape[1], math.log(2.0 * BATCH / FALSE_ALARM)
    return _each_image(lambda v: np.abs((v * v).sum(axis=1) - n), values, 2.0 * math.sqrt(n * c) + 2.0 * c)
