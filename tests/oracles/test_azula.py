"""Our solvers beside azula's samplers, in float64 throughout; its schedules and denoisers are any functions of time."""

import numpy as np
import pytest
import torch

from gen_export.spec.solvers import SOLVERS
from tests.mixture import Mixture
from tests.oracles.drivers import (
    AT_THE_ENDS,
    EVERYWHERE,
    GAUSSIAN,
    INSIDE,
    NOISE,
    SEED,
    apart,
    last_order,
    no_value_is_clipped,
    ours,
    states,
)

pytest.importorskip("azula", reason="needs azula: pip install 'gen-export[oracle]'")
from azula.denoise import Denoiser, DiracPosterior
from azula.noise import Schedule
from azula.sample import DDIMSampler, DDPMSampler, EulerSampler, HeunSampler, xEABSampler

EXACT = 1e-12  # of float64 through at most 60 steps


class Levels(Schedule):
    """Our levels, by state: the signal rate and the noise rate, or the other way round."""

    def __init__(self, data, swapped):
        self.rates = [torch.from_numpy(np.sqrt(rate)) for rate in (data.abars, 1.0 - data.abars)]
        self.rates = self.rates[::-1] if swapped else self.rates

    def __call__(self, t):
        signal, noise = (rate[t.round().long()] for rate in self.rates)
        return signal, noise


class Exact(Denoiser):
    """The clipped clean image of the data, or the noise where the two are swapped; it keeps what it was asked."""

    def __init__(self, data, swapped=False):
        super().__init__()
        self.data, self.swapped, self.schedule, self.seen = data, swapped, Levels(data, swapped), []

    def forward(self, x, t):
        self.seen.append(x.numpy())
        abar = self.data.abars[round(float(t))]
        clean = self.data.clean(x.numpy(), round(float(t))).clip(-1.0, 1.0)
        noise = (x.numpy() - np.sqrt(abar) * clean) / np.sqrt(1.0 - abar)
        return DiracPosterior(torch.from_numpy(noise if self.swapped else clean))


def by_azula(sampler, data, steps, stop=0, swapped=False, **options):
    """The state at each evaluation and at the end of trailing states, `steps` of which lead from the last to 0."""
    torch.manual_seed(SEED)
    denoiser, top = Exact(data, swapped), len(data.abars) - 1
    run = sampler(
        denoiser, start=top, stop=stop, steps=steps - stop * steps // top, silent=True, dtype=torch.float64, **options
    )
    end = run(torch.from_numpy(NOISE)).numpy()
    return np.stack([*denoiser.seen, end])


@pytest.mark.parametrize("data", EVERYWHERE.values(), ids=EVERYWHERE)
@pytest.mark.parametrize("steps", [1, 12, 60])
def test_ddpm_is_ddpm_sampler(data, steps):
    assert apart(by_azula(DDPMSampler, data, steps), ours(data, steps, "ddpm")) < EXACT


@pytest.mark.parametrize("data", INSIDE.values(), ids=INSIDE)
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim_is_ddim_sampler_of_eta_squared(data, eta):
    """Its eta is the share of the variance, ours of the scale of the noise."""
    expected = ours(data, 12, "ddim", eta)

    assert no_value_is_clipped(data, expected, states(12))
    assert apart(by_azula(DDIMSampler, data, 12, eta=eta**2), expected) < EXACT


def test_ddim_sampler_sees_the_noise_through_the_clipped_image():
    """As `use_clipped_model_output` of diffusers does; its eta = 1 is `ddpm`, from which our `ddim` differs there."""
    again, ancestral = by_azula(DDIMSampler, AT_THE_ENDS, 12), by_azula(DDIMSampler, AT_THE_ENDS, 12, eta=1.0)

    assert apart(again, ours(AT_THE_ENDS, 12, "ddim")) == pytest.approx(0.35, rel=0.02)
    assert apart(ancestral, ours(AT_THE_ENDS, 12, "ddpm")) < EXACT
    assert apart(ancestral, ours(AT_THE_ENDS, 12, "ddim", 1.0)) == pytest.approx(0.124, rel=0.02)


def test_half_the_noise_is_another_sampler_there():
    theirs = by_azula(DDIMSampler, INSIDE["mixture"], 12, eta=0.5)

    assert apart(theirs, ours(INSIDE["mixture"], 12, "ddim", 0.5)) == pytest.approx(0.82, rel=0.02)


@pytest.mark.parametrize("data", INSIDE.values(), ids=INSIDE)
def test_euler_sampler_is_ddim_without_fresh_noise(data):
    assert apart(by_azula(EulerSampler, data, 12), ours(data, 12, "ddim")) < EXACT


@pytest.mark.parametrize("data", EVERYWHERE.values(), ids=EVERYWHERE)
def test_heun_is_heun_sampler_with_image_and_noise_swapped(data):
    """All states but the clean one, where the swapped signal rate is 0 and ours takes the clean image alone."""
    found, expected = by_azula(HeunSampler, data, 12, stop=5, swapped=True), ours(data, 12, "heun")

    assert apart(found, expected[:-1]) < EXACT
    np.testing.assert_allclose(expected[-1], data.clean(found[-1], 5).clip(-1.0, 1.0), rtol=0, atol=EXACT)


def smooth(number):
    """Gaussian data at levels whose ln(a / b) is linear in the state from 1/60 to 60, and a clean state."""
    ratio = np.exp(np.linspace(-np.log(60.0), np.log(60.0), number))
    return Mixture(GAUSSIAN.weights, GAUSSIAN.means, GAUSSIAN.covariances, np.append(1.0, 1.0 / (1.0 + ratio**2)))


def exact_at(data, t):
    """Where the probability flow takes NOISE from the last state: as many standard deviations from the mean."""

    def law(t):
        abar, variances = data.abars[t], np.diag(data.covariances[0])
        return np.sqrt(abar) * data.means[0], np.sqrt(abar * variances + 1.0 - abar)

    (mean, deviation), (last_mean, last_deviation) = law(t), law(len(data.abars) - 1)
    return mean + deviation * (NOISE - last_mean) / last_deviation


@pytest.mark.parametrize(("sampler", "solver"), [(HeunSampler, "heun"), (xEABSampler, "dpmpp_2m")])
def test_where_steps_differ_both_have_the_same_limit_and_order(sampler, solver):
    """Heun's method in other variables; xEAB integrates the same line through two predictions in ln(a / b) exactly.

    Compared at state 32, a step of the coarsest run before the clean state, which their variables do not reach.
    """
    data, errors = smooth(1280), {"theirs": [], "ours": [], "apart": []}
    exact = exact_at(data, 32)
    for steps in (40, 80, 160):
        found = by_azula(sampler, data, steps, stop=32)[-1]
        expected = ours(data, steps, solver)[SOLVERS[solver].evaluations * (steps - steps // 40)]
        for name, difference in (("theirs", found - exact), ("ours", expected - exact), ("apart", found - expected)):
            errors[name].append(abs(difference).max())

    for name, row in errors.items():
        assert last_order(row) == pytest.approx(2.0, abs=0.2), (name, row)
        assert row[-1] > 1e-7, name  # they are not one and the same
