"""The certificate of a run: constants known by hand, never below the exact ones, and above all that a file does."""

import math
from dataclasses import replace
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen_export.errors import ConfigError, NoCertificateError
from gen_export.verify import certificate
from gen_export.verify.certificate import FORMS, CertifiedStep, RunCertificate, certify, run_states, step_factors
from gen_export.verify.facts.process import alpha_bars
from gen_export.verify.files import Files
from gen_export.verify.lipschitz.network import Certificate
from gen_runtime.errors import FileError
from tests import tiny

PAIRS = 70
"""More than a batch."""


@pytest.fixture(scope="module")
def residual(tmp_path_factory):
    """The tiny residual model's files."""
    from gen_export.export.writer import export_family

    folder = tmp_path_factory.mktemp("residual")
    return Files(export_family(tiny.build_family("diffusion", net="residual"), folder, "ours", tiny.about_dots())[0])


@pytest.fixture(scope="module")
def found(residual):
    return certify(residual, 5, PAIRS)


def test_the_constants_of_one_step_are_those_calculated_by_hand():
    """From alpha_bar 0.36 to 0.64 the rates are 0.6, 0.8 and 0.8, 0.6; the guard of 1e-6 moves the fifth digit."""
    factors = step_factors(np.array([0.36]), np.array([0.64]), 2.0)

    assert factors["clipped"] == pytest.approx(0.8 / 0.6 * (1 + 0.8 * 2) + 0.6 * 2, rel=1e-12)
    assert factors["unclipped"] == pytest.approx(4 / 3 + (4 / 3 * 0.8 - 0.6) * 2, rel=1e-5)
    assert factors["euler"] == pytest.approx(1 + 0.5753641449 / 2 + 0.5753641449 / 0.8, rel=1e-5)


def test_a_denoiser_that_is_constant_leaves_only_the_gain_of_the_step():
    factors = step_factors(np.array([0.25]), np.array([1.0]), 0.0)

    assert factors["clipped"] == pytest.approx(2, rel=1e-12)
    assert factors["unclipped"] == pytest.approx(2, rel=1e-5)
    assert factors["euler"] == pytest.approx(1 + math.log(4) / 2, rel=1e-12)


def exact_factors(abar_t, abar_s, lipschitz):
    """The three formulas with 60 digits."""
    t, s, constant, guard = map(Decimal, (abar_t, abar_s, lipschitz, 1e-6))
    (a_t, b_t), (a_s, b_s) = ((a.sqrt(), (1 - a).sqrt()) for a in (t, s))
    guarded, length = a_s / (a_t + guard), (s / t).ln()
    return {
        "clipped": a_s / a_t * (1 + b_t * constant) + b_s * constant,
        "unclipped": guarded + abs(b_s - guarded * b_t) * constant,
        "euler": 1 + length / 2 + length / (b_t + guard) / 2 * constant,
    }


@given(
    st.floats(2.0**-30, 1 - 2.0**-13, width=32),
    st.floats(0, 1),
    st.floats(0, 1e9),
    st.sampled_from([1e-7, 1e-3, 1.0]),
    st.sampled_from(FORMS),
)
def test_a_constant_is_never_below_the_exact_one_and_hardly_above_it(abar_t, share, lipschitz, near, form):
    abar_s = min(1.0, abar_t + (1 - abar_t) * share * near)
    factors = step_factors(np.array([abar_t]), np.array([abar_s]), lipschitz)

    with localcontext(prec=60):
        exact = exact_factors(abar_t, abar_s, lipschitz)
        size = max(1.0, math.sqrt(abar_s / abar_t)) * (1 + lipschitz / math.sqrt(1 - abar_t))
        assert 0 <= Decimal(factors[form].item()) - exact[form] <= Decimal(1e-12 * size)


def test_a_file_is_certified_step_by_step_and_keeps_its_bounds(residual, found):
    last = len(alpha_bars(residual)) - 1

    assert [(step.t, step.s) for step in found.steps] == [(60, 48), (48, 36), (36, 24), (24, 12), (12, 0)]
    assert last == 60
    assert 0 < found.slope <= found.network.value
    for step in found.steps:
        assert 0 < step.reached <= step.clipped
        assert step.unclipped <= step.clipped
    assert found.violations() == []


def test_a_steps_constant_is_the_formula_at_the_files_own_alpha_bar(residual, found):
    abars = alpha_bars(residual).astype(np.float32).astype(np.float64)
    step = found.steps[2]

    with localcontext(prec=60):
        exact = exact_factors(abars[step.t], abars[step.s], found.network.value)
    for form in FORMS:
        assert getattr(step, form) == pytest.approx(float(exact[form]), rel=1e-12)


def test_the_ratio_of_a_known_linear_step_is_its_slope(residual, monkeypatch):
    monkeypatch.setattr(certificate, "stepped", lambda files, x, *rest: np.float32(-3) * x)

    assert certificate.worst_ratio(residual, 2, 1, PAIRS) == pytest.approx(3, rel=1e-6)


def test_one_pair_beyond_a_batch_is_found(residual, monkeypatch):
    """A step that only the last of the pairs reveals: it is tried as well."""
    sizes = []

    def step(files, x, *rest):
        sizes.append(len(x))
        return x if len(sizes) == 1 else 5 * x

    monkeypatch.setattr(certificate, "stepped", step)

    assert certificate.worst_ratio(residual, 2, 1, 65) == pytest.approx(5, rel=1e-6)
    assert sizes == [128, 2]


def test_pairs_lie_at_the_distances_that_the_rounding_is_derived_for():
    ((x, y),) = certificate._pairs("any", (1, 8, 8), 10)
    share = certificate._norms(x, y) / certificate._norms(x, 0 * x)

    np.testing.assert_allclose(share, np.resize(certificate.SHARES, 10), rtol=1e-5)


def certified(clipped=2.0, reached=1.0, slope=1.0, value=1.0):
    """A certificate of one step."""
    step = CertifiedStep(1, 0, clipped, 0.5, 1.0, reached)
    return RunCertificate(Certificate(value, (1, 1, 1, 1), ()), slope, (step,), 1)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"reached": 2.0}, []),
        ({"reached": 2.0 * (1 + 0.9e-4)}, []),
        ({"reached": 2.0 * (1 + 1.1e-4)}, ["step 1 -> 0: ratio 2.00022 above the bound 2"]),
        ({"reached": math.nan}, ["step 1 -> 0: ratio nan above the bound 2"]),
        ({"slope": 1.001}, ["denoise: slope 1.001 above the bound 1"]),
        ({"slope": math.nan}, ["denoise: slope nan above the bound 1"]),
    ],
)
def test_what_goes_beyond_a_bound_by_more_than_rounding_is_told(values, told):
    assert certified(**values).violations() == told


def test_the_runs_constant_is_the_product_of_its_steps():
    steps = [CertifiedStep(t, t - 1, 10.0**t, 0.1, 1.0, 0.0) for t in (3, 2, 1)]
    run = replace(certified(), steps=tuple(steps))

    assert 6 <= run.log10("clipped") <= 6 + 1e-12
    assert -3 <= run.log10("unclipped") <= -3 + 1e-12
    assert run.log10("euler") == 0
    assert [run.contracting(form) for form in FORMS] == [0, 3, 0]


def test_the_default_is_the_files_own_run(residual):
    t, s = run_states(residual, None)

    assert (len(t), t[0], s[-1]) == (50, 60, 0)
    assert (t[1:] == s[:-1]).all()


def test_more_steps_than_states_are_refused(residual):
    with pytest.raises(ConfigError, match=r"^steps: expected 1 to 60, found 61$"):
        certify(residual, 61, 1)


def test_a_card_without_a_schedule_is_refused(residual, monkeypatch):
    monkeypatch.setattr(residual, "card", replace(residual.card, schedule=None))

    with pytest.raises(FileError, match="expected a card with a schedule and its steps"):
        certify(residual, 1, 1)


def test_a_u_net_has_no_certificate_and_the_reason_is_told(exported):
    with pytest.raises(
        NoCertificateError, match=r"diffusion\.denoise\.onnx: no certificate: InstanceNormalization 'val_"
    ):
        certify(Files(exported("diffusion")), 2, 1)


def test_a_constant_beyond_float64_is_no_certificate(residual, monkeypatch):
    monkeypatch.setattr(certificate, "bound", lambda *_: Certificate(math.inf, (1, 1, 8, 8), ()))

    with pytest.raises(NoCertificateError, match="expected a finite constant, found inf"):
        certify(residual, 2, 1)
