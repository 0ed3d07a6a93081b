"""The certificate of a run: constants known by hand, never below the exact ones, and what a card says of it."""

import json
import math
from dataclasses import replace
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gen_export.errors import ConfigError, NoCertificateError
from gen_export.spec.solver_constants import STEP_CONSTANTS
from gen_export.verify import certificate
from gen_export.verify.certificate import (
    CertifiedStep,
    RunCertificate,
    certify,
    file_alpha_bars,
    run_states,
    step_constants,
    visited_states,
)
from gen_export.verify.files import Files
from gen_export.verify.lipschitz.network import Certificate
from gen_runtime.errors import FileError


def constants_of(abar_t, abar_s, slopes, slopes_s):
    """The constants of one step."""
    arrays = [np.array([end]) for end in (abar_t, abar_s, *slopes, *slopes_s)]
    return {name: found.item() for name, found in step_constants(*arrays[:2], arrays[2:4], arrays[4:]).items()}


def test_the_constants_of_one_step_are_those_calculated_by_hand():
    """From alpha_bar 0.36 to 0.64 the rates are 0.6, 0.8 and 0.8, 0.6; the guard of 1e-6 moves the sixth digit.

    Of ddim half the clean image, 2/3 x - 8/15 eps, is clipped: 2/3 + 2 / 15 + 2/3 + 16 / 15. DDPM takes 35/64 of it and
    keeps 27/64 of x. Heun keeps 3/4 and takes 0.35 of it, half of that at each end.
    """
    found = constants_of(0.36, 0.64, (-2.0, 2.0), (-2.0, 2.0))

    assert found["ddim"] == found["ddim_image"] == pytest.approx(2 / 3 + 2 / 15 + 2 / 3 + 16 / 15, rel=1e-12)
    assert found["ddpm"] == pytest.approx(27 / 64 + 35 / 38.4 + 4 * 0.8 * 35 / 76.8, rel=1e-12)
    assert found["ddim_spec"] == pytest.approx(4 / 3 + (4 / 3 * 0.8 - 0.6) * 2, rel=1e-5)
    assert found["euler"] == pytest.approx(1 + 0.5753641449 / 2 + 0.5753641449 / 0.8, rel=1e-5)
    predicted = 0.75 + 0.35 / 0.6 * (1 + 0.8 * 2)
    seen = 0.175 / 0.8 * (1 + 0.6 * 2)
    assert found["heun"] == pytest.approx(0.75 + 0.175 / 0.6 * (1 + 0.8 * 2) + seen * predicted, rel=1e-12)


def test_slopes_that_are_not_symmetric_cancel_what_the_step_adds():
    """At slope 1 / 0.8 the denoiser takes all of x for noise, so that ddim_spec multiplies it by 0.6 / 0.8."""
    found = constants_of(0.36, 0.64, (1.25, 1.25), (0.0, 0.0))

    assert found["ddim_spec"] == pytest.approx(0.75, rel=1e-12)
    assert found["ddim"] == pytest.approx(0.75, rel=1e-12)


def test_a_denoiser_that_is_constant_leaves_only_the_gain_of_the_step():
    found = constants_of(0.25, 1.0, (0.0, 0.0), (0.0, 0.0))

    assert [found[name] for name in ("ddim", "ddpm", "heun")] == pytest.approx([2, 2, 2], rel=1e-12)
    assert found["ddim_spec"] == pytest.approx(2, rel=1e-5)
    assert found["euler"] == pytest.approx(1 + math.log(4) / 2, rel=1e-12)


def exact_constants(abar_t, abar_s, slopes, slopes_s):
    """All formulas with 60 digits, from the larger of the two ends of each range."""
    t, s, guard, half = *map(Decimal, (abar_t, abar_s, 1e-6)), Decimal(1) / 2
    (a_t, b_t), (a_s, b_s) = ((a.sqrt(), (1 - a).sqrt()) for a in (t, s))

    def mixed(own, predicted, ends):
        return max(abs(own + predicted * Decimal(end)) for end in ends)

    def clipped(own, clean, predicted, a, b, ends):
        gain = half * clean / a
        return mixed(own + gain, predicted - gain * b, ends) + mixed(gain, -gain * b, ends)

    guarded, length = a_s / (a_t + guard), (s / t).ln()
    keep, take = b_s / b_t, a_s - b_s / b_t * a_t
    prediction = clipped(keep, take, 0, a_t, b_t, slopes)
    corrected = clipped(keep, half * take, 0, a_t, b_t, slopes) + prediction * clipped(
        0, half * take, 0, a_s, b_s, slopes_s
    )
    ddim = clipped(0, a_s, b_s, a_t, b_t, slopes)
    posterior = a_s * (1 - t / s) / (1 - t), (t / s).sqrt() * (1 - s) / (1 - t)
    return {
        "ddim": ddim,
        "ddpm": clipped(posterior[1], posterior[0], 0, a_t, b_t, slopes),
        "euler": mixed(1 + length * half, -length * half / (b_t + guard), slopes),
        "heun": corrected if s < 1 else prediction,
        "ddim_spec": mixed(guarded, b_s - guarded * b_t, slopes),
        "ddim_image": ddim,
    }


def sizes_of(abar_t, abar_s, largest):
    """How large the terms of each formula are: what they leave of 53 digits is a share of this."""
    image = (1 + math.sqrt(abar_s / abar_t)) * (1 + largest)
    flow = (1 + math.log(abar_s / abar_t)) * (1 + largest / math.sqrt(1 - abar_t))
    return {"ddpm": image / (1 - abar_t), "euler": flow, "heun": image**2, "ddim_spec": image, "ddim": image}


slopes = st.tuples(st.floats(-1e9, 1e9) | st.floats(-2, 2), st.floats(0, 1e9) | st.floats(0, 2)).map(
    lambda found: (found[0], found[0] + found[1])
)


@given(st.floats(2.0**-30, 1 - 2.0**-13, width=32), st.floats(0, 1), st.sampled_from([1e-7, 1e-3, 1.0]), slopes, slopes)
@example(2.0**-30, 1.0, 1.0, (-1.0, 1.0), (0.0, 0.0))
@example(1 - 2.0**-13, 1.0, 1.0, (-1e9, 1e9), (0.0, 0.0))
def test_a_constant_is_never_below_the_exact_one_and_hardly_above_it(abar_t, share, near, slopes, slopes_s):
    abar_s = max(abar_t, float(np.float32(min(1.0, abar_t + (1 - abar_t) * share * near))))
    found = constants_of(abar_t, abar_s, slopes, slopes_s)
    sizes = sizes_of(abar_t, abar_s, max(map(abs, (*slopes, *slopes_s))))

    with localcontext(prec=60):
        for name, exact in exact_constants(abar_t, abar_s, slopes, slopes_s).items():
            size = sizes["ddim" if name == "ddim_image" else name]
            assert 0 <= Decimal(found[name]) - exact <= Decimal(2e-14 * size), name


def test_a_file_is_certified_step_by_step(residual):
    found = certify(residual, 5)

    assert [(step.t, step.s) for step in found.steps] == [(60, 48), (48, 36), (36, 24), (24, 12), (12, 0)]
    for step in found.steps:
        assert step.slopes == (-found.network.value, found.network.value)
        assert list(step.constants) == list(STEP_CONSTANTS)
        assert step.constants["ddim_image"] == step.constants["ddim"] >= step.constants["ddim_spec"]


def test_a_steps_constants_are_the_formulas_at_the_files_own_alpha_bar_and_slopes(residual, monotone):
    for files in (residual, monotone):
        abars, found = file_alpha_bars(files), certify(files, 5)
        for step, after in zip(found.steps, (*found.steps[1:], None), strict=True):
            slopes_s = (0.0, 0.0) if after is None else after.slopes
            with localcontext(prec=60):
                exact = exact_constants(abars[step.t], abars[step.s], step.slopes, slopes_s)
            for name, value in step.constants.items():
                assert value == pytest.approx(float(exact[name]), rel=1e-11), (step.t, name)


def test_the_monotone_model_has_steps_below_1_where_the_noise_is_low(monotone):
    """Of slope b or more; clipping may keep apart what the denoiser brings together, so ddim's are seldom below 1."""
    found = certify(monotone, None)
    b = np.sqrt(1 - file_alpha_bars(monotone))
    low = [step for step in found.steps if 1.25 * b[step.t] <= 1 - b[step.t] ** 2]

    assert len(found.steps) == 50
    assert len(low) >= 15
    assert all(step.constants[solver] < 1 for step in low for solver in ("ddim_spec", "euler", "ddpm"))
    assert found.contracting("ddim_spec") >= len(low)
    assert all(step.slopes[0] > 0 for step in found.steps if b[step.t] < 0.99)


def test_the_residual_model_has_no_step_below_1(residual):
    found = certify(residual, None)

    assert [found.contracting(solver) for solver in STEP_CONSTANTS] == [0] * len(STEP_CONSTANTS)


def of_one_step(**constants):
    """A certificate of a step with these constants."""
    step = CertifiedStep(1, 0, (-1.0, 1.0), constants, constants)
    return RunCertificate(Certificate(1.0, (1, 1, 1, 1), (), (-1.0, 1.0), True), 1, (step,))


def test_the_runs_constant_is_the_product_of_its_steps():
    steps = [of_one_step(ddim=10.0**t, euler=0.1, heun=1.0).steps[0] for t in (3, 2, 1)]
    run = replace(of_one_step(), steps=tuple(steps))

    assert 6 <= run.log10("ddim") <= 6 + 1e-12
    assert -3 <= run.log10("euler") <= -3 + 1e-12
    assert run.log10("heun") == 0
    assert [run.contracting(solver) for solver in ("ddim", "euler", "heun")] == [0, 3, 0]


@given(st.lists(st.floats(1e-30, 1e30), min_size=1, max_size=60))
def test_the_logarithm_of_a_run_is_not_below_that_of_the_exact_product(constants):
    steps = tuple(of_one_step(ddim=value).steps[0] for value in constants)
    found = replace(of_one_step(), steps=steps).log10("ddim")

    with localcontext(prec=60):
        exact = sum(Decimal(value).log10() for value in constants)
        assert 0 <= Decimal(found) - exact <= Decimal("1e-11")


def test_the_default_is_the_files_own_run(residual):
    t, s = run_states(residual, None)

    assert (len(t), t[0], s[-1]) == (50, 60, 0)
    assert (t[1:] == s[:-1]).all()
    assert [step.t for step in certify(residual, None).steps] == t.tolist()


@pytest.mark.parametrize("spacing", ["trailing", "leading", "linspace"])
@pytest.mark.parametrize("steps", [1, 2, 7, 60])
def test_a_run_goes_down_from_a_noisy_state_to_the_clean_one(spacing, steps):
    t, s = visited_states(steps, 60, spacing)

    assert t.shape == s.shape == (steps,)
    assert (t > s).all()
    assert (t[1:] == s[:-1]).all()
    assert s[-1] == 0
    assert t[0] <= 60


@pytest.mark.parametrize(("steps", "found"), [(61, 61), (-1, -1)])
def test_more_steps_than_states_and_fewer_than_1_are_refused(residual, steps, found):
    with pytest.raises(ConfigError, match=rf"^steps: expected 1 to 60, found {found}$"):
        certify(residual, steps)


@pytest.mark.parametrize("unrolled", [61, -1, 10**12])
def test_a_card_of_more_steps_than_states_is_refused_at_once(residual, monkeypatch, unrolled):
    schedule = {**residual.card.schedule, "unrolled": unrolled}
    monkeypatch.setattr(residual, "card", replace(residual.card, schedule=schedule))

    with pytest.raises(FileError, match=rf"diffusion\.onnx: steps: expected 1 to 60, found {unrolled}$"):
        certify(residual, None)


@pytest.mark.parametrize("schedule", [None, {"kind": "cosine"}, {"kind": "none", "states": 60, "spacing": "trailing"}])
def test_a_card_without_a_schedule_is_refused(residual, monkeypatch, schedule):
    monkeypatch.setattr(residual, "card", replace(residual.card, schedule=schedule))

    with pytest.raises(FileError, match="expected a card with a schedule and its steps"):
        certify(residual, 1)


def test_a_u_net_has_no_certificate_and_the_reason_is_told(exported):
    with pytest.raises(
        NoCertificateError, match=r"diffusion\.denoise\.onnx: no certificate: InstanceNormalization 'val_"
    ):
        certify(Files(exported("diffusion")), 2)


def test_a_constant_beyond_float64_is_no_certificate(residual, monkeypatch):
    infinite = Certificate(math.inf, (1, 1, 8, 8), (), (-math.inf, math.inf), True)
    monkeypatch.setattr(certificate, "bound", lambda *_: infinite)

    with pytest.raises(NoCertificateError, match="expected a finite constant, found inf"):
        certify(residual, 2)


def test_steps_beyond_float64_are_no_certificate_of_a_card(residual, monkeypatch):
    huge = Certificate(1e200, (1, 1, 8, 8), (), (-1e200, 1e200), True)
    monkeypatch.setattr(certificate, "bound", lambda *_: huge)

    with pytest.raises(NoCertificateError, match=r"expected finite constants of steps, found more: .* 1e\+200$"):
        certify(residual, 2)


def test_the_card_says_what_is_certified_anew(residual, monotone):
    for files in (residual, monotone):
        section = certify(files, None).section()

        assert json.loads(json.dumps(section)) == json.loads(files.card.text)["certificate"]
        assert set(section["log10"]) == set(STEP_CONSTANTS)
        assert set(section["run_log10"]) == {"ddim", "ddpm", "euler", "heun"}


def test_a_run_through_all_states_is_one_of_the_full_step_solvers_too(residual):
    assert certify(residual, 60).solvers == tuple(STEP_CONSTANTS)
    assert set(STEP_CONSTANTS) - set(certify(residual, 59).solvers) == {"ddim_spec", "ddim_image"}


def test_the_constant_at_the_runs_states_is_the_largest_of_its_slopes(monotone):
    found = certify(monotone, 3)

    assert found.lipschitz == max(step.slopes[1] for step in found.steps) <= found.network.value


def test_the_card_of_a_u_net_says_which_node_has_no_constant(exported):
    (refused,) = Files(exported("diffusion")).card.certificate.items()

    assert refused[0] == "refused"
    assert refused[1].startswith("InstanceNormalization 'val_")


def test_a_cards_certificate_follows_the_schema(root, exported, residual, monotone):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((root / "docs" / "metadata.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema["properties"]["certificate"])

    for files in (residual, monotone, Files(exported("diffusion"))):
        validator.validate(json.loads(files.card.text)["certificate"])
    validator.validate(None)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({"refused": "a node", "lipschitz": 1.0})
