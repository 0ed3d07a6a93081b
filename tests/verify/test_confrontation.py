"""What a file reaches beside its certificate: pairs as they are said to lie, known slopes, and planted violations."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from gen_export.spec.solver_constants import STEP_CONSTANTS
from gen_export.verify import confrontation
from gen_export.verify.certificate import CertifiedStep, RunCertificate, certify, file_alpha_bars
from gen_export.verify.confrontation import SHARES, STEP_ROUNDING, Confrontation, Reached, confront
from gen_export.verify.lipschitz.network import Certificate

EVALUATED_ONCE = [solver for solver in STEP_CONSTANTS if solver != "heun"]


@pytest.mark.parametrize("net", ["residual", "monotone"])
def test_a_file_keeps_its_bounds_at_every_step_and_solver(request, net):
    files = request.getfixturevalue(net)
    told = []

    found = confront(files, certify(files, 5), 60, lambda *done: told.append(done))

    assert found.violations() == []
    assert told == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    assert found.pairs >= 60
    assert 0 < found.slope <= found.certificate.network.value
    for step, reached in zip(found.certificate.steps, found.steps, strict=True):
        assert list(reached.ratios) == list(STEP_CONSTANTS)
        assert list(reached.slopes) == EVALUATED_ONCE
        assert all(0 < ratio <= step.constants[solver] for solver, ratio in reached.ratios.items())


def test_the_monotone_files_steps_bring_images_nearly_as_close_as_is_certified(monotone):
    """Teeth: where the certificate is below 1 for ddim_spec, some pair of images keeps nine tenths of it."""
    steps = [step for step in certify(monotone, 10).steps if step.constants["ddim_spec"] < 1]
    abars = file_alpha_bars(monotone)

    assert steps
    for step in steps:
        ratios, _ = confrontation.worst_ratios(monotone, step, abars, 60)
        assert 0.9 * step.constants["ddim_spec"] < ratios["ddim_spec"] < 1


@pytest.mark.parametrize(("pairs", "tried"), [(1, 1), (2, 3), (6, 6), (7, 10), (55, 55), (56, 56), (120, 120)])
def test_pairs_are_at_least_as_many_as_asked(pairs, tried, monkeypatch):
    monkeypatch.setattr(confrontation, "GROUP", 10)
    groups = list(confrontation._groups("any", (1, 8, 8), pairs))

    assert sum(math.comb(len(group), 2) for group in groups) == tried >= pairs
    assert all(group.dtype == np.float32 and group.shape[1:] == (1, 8, 8) for group in groups)


def test_an_image_of_few_pixels_has_only_as_many_directions():
    groups = list(confrontation._groups("any", (1, 1, 2), 7))

    assert [len(group) for group in groups] == [3, 3, 2]


def test_a_group_lies_in_orthogonal_directions_at_the_said_shares_from_its_first():
    """As the rounding is derived for; up to the float32 that the images are rounded to."""
    group = next(confrontation._groups("any", (1, 8, 8), 45 * 46 // 2)).reshape(46, -1).astype(np.float64)
    apart = group[1:] - group[0]
    lengths = np.linalg.norm(apart, axis=1)

    np.testing.assert_allclose(lengths / np.linalg.norm(group[0]), np.resize(SHARES, 45), rtol=1e-6)
    np.testing.assert_allclose(apart @ apart.T / np.outer(lengths, lengths), np.eye(45), rtol=0, atol=1e-5)


def test_distances_are_those_of_all_pairs():
    x = np.random.default_rng(0).standard_normal((7, 1, 3, 2))
    expected = [np.linalg.norm(x[i] - x[j]) for i in range(7) for j in range(i + 1, 7)]

    np.testing.assert_allclose(confrontation._distances(x), expected, rtol=1e-12)
    assert np.isnan(confrontation._distances(np.concatenate([x, np.full((1, 1, 3, 2), np.nan)]))).any()


def test_purposes_have_their_own_images():
    one, other = (next(confrontation._groups(purpose, (1, 8, 8), 1)) for purpose in ("one", "other"))

    assert not np.array_equal(one, other)


@pytest.fixture
def step():
    """A step in the middle of the tiny model's run, of no particular constants."""
    return CertifiedStep(30, 20, (-1.0, 1.0), dict.fromkeys(STEP_CONSTANTS, 1.0), dict.fromkeys(STEP_CONSTANTS, 1.0))


def test_the_ratio_of_a_known_step_is_its_slope(residual, step, monkeypatch):
    """Of ddim the file's own step, here -3 x; of the others the move of a denoiser that is 0.5 x."""
    monkeypatch.setattr(confrontation, "stepped", lambda files, x, *rest: np.float32(-3) * x)
    monkeypatch.setattr(confrontation, "denoised", lambda files, x, t: np.float32(0.5) * x)
    abars = file_alpha_bars(residual)
    t, s = abars[[30, 20]]

    ratios, tried = confrontation.worst_ratios(residual, step, abars, 60)

    assert tried == 66
    assert ratios["ddim"] == pytest.approx(3, rel=1e-6)
    gain = math.sqrt(s) / (math.sqrt(t) + 1e-6)
    assert ratios["ddim_spec"] == pytest.approx(gain + 0.5 * (math.sqrt(1 - s) - gain * math.sqrt(1 - t)), rel=1e-6)
    length = math.log(s / t)
    assert ratios["euler"] == pytest.approx(1 + length / 2 - length / 4 / (math.sqrt(1 - t) + 1e-6), rel=1e-6)


def test_a_pair_of_the_last_group_is_found(residual, step, monkeypatch):
    """A step that only the last of the groups reveals: it is tried as well."""
    monkeypatch.setattr(confrontation, "GROUP", 10)
    sizes = []

    def once(files, x, *rest):
        sizes.append(len(x))
        return x if len(sizes) == 1 else 5 * x

    monkeypatch.setattr(confrontation, "stepped", once)

    ratios, tried = confrontation.worst_ratios(residual, step, file_alpha_bars(residual), 56)

    assert ratios["ddim"] == pytest.approx(5, rel=1e-6)
    assert (sizes, tried) == ([11, 2], 56)


def test_a_step_that_gives_nan_has_the_ratio_nan(residual, step, monkeypatch):
    monkeypatch.setattr(
        confrontation, "stepped", lambda files, x, *rest: np.where(np.arange(64).reshape(8, 8), x, np.nan)
    )

    ratios, _ = confrontation.worst_ratios(residual, step, file_alpha_bars(residual), 3)

    assert math.isnan(ratios["ddim"])
    assert math.isfinite(ratios["euler"])


def test_the_slopes_of_steps_are_those_of_pairs_that_are_very_close(residual, step):
    """The slope by power iteration against the best of random directions: at least that, and not far above it."""
    abars = file_alpha_bars(residual)
    slopes = confrontation.step_slopes(residual, step, abars)
    ratios, _ = confrontation.worst_ratios(residual, step, abars, 66)

    assert list(slopes) == EVALUATED_ONCE
    assert slopes["ddim"] == slopes["ddim_image"]
    for solver in ("euler", "ddim_spec"):
        assert 0.9 * ratios[solver] < slopes[solver] < 10 * ratios[solver]


def confronted(constant=2.0, ratio=1.0, slope=1.0, denoiser=1.0, value=1.0, size=2.0):
    """A step of one solver and what it reaches."""
    step = CertifiedStep(1, 0, (-value, value), {"ddim": constant}, {"ddim": size})
    run = RunCertificate(Certificate(value, (1, 1, 1, 1), (), (-value, value), True), 1, (step,))
    return Confrontation(run, denoiser, (Reached({"ddim": ratio}, {"ddim": slope}),), 1)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"ratio": 2.0}, []),
        ({"ratio": 2.0 * (1 + 0.9e-4)}, []),
        ({"ratio": 2.0 * (1 + 1.1e-4)}, ["step 1 -> 0 of ddim: ratio 2.00022 above the bound 2"]),
        ({"ratio": 2.0 * (1 + 1.1e-4), "size": 2.4}, []),
        ({"ratio": math.nan}, ["step 1 -> 0 of ddim: ratio nan above the bound 2"]),
        ({"slope": 2.0}, []),
        ({"slope": 2.0001}, ["step 1 -> 0 of ddim: slope 2.0001 above the bound 2"]),
        ({"slope": math.nan}, ["step 1 -> 0 of ddim: slope nan above the bound 2"]),
        ({"denoiser": 1.001}, ["denoise: slope 1.001 above the bound 1"]),
        ({"denoiser": math.nan}, ["denoise: slope nan above the bound 1"]),
        (
            {"ratio": math.inf, "denoiser": 2.0},
            ["denoise: slope 2 above the bound 1", "step 1 -> 0 of ddim: ratio inf above the bound 2"],
        ),
    ],
)
def test_what_goes_beyond_a_bound_by_more_than_rounding_is_told(values, told):
    assert confronted(**values).violations() == told


@pytest.mark.parametrize("solver", STEP_CONSTANTS)
def test_a_constant_below_what_a_step_reaches_is_found(residual, solver):
    """Planted: the constant of one solver at one step is nine tenths of a ratio that is reached."""
    certificate = certify(residual, 3)
    abars = file_alpha_bars(residual)
    step = certificate.steps[1]
    ratios, _ = confrontation.worst_ratios(residual, step, abars, 60)
    planted = replace(step, constants={**step.constants, solver: 0.9 * ratios[solver]})
    steps = certificate.steps[0], planted, certificate.steps[2]

    found = confront(residual, replace(certificate, steps=steps), 60)

    assert f"step 40 -> 20 of {solver}: ratio {ratios[solver]:.6g} above the bound " in found.violations()[0]
    assert all(f"step 40 -> 20 of {solver}: " in told for told in found.violations())


def test_a_denoiser_of_larger_slopes_than_certified_is_found(residual):
    certificate = certify(residual, 2)
    slope = confrontation.denoiser_slope(residual, 60)
    steps = [replace(step, slopes=(-0.9 * slope, 0.9 * slope)) for step in certificate.steps]
    wrong = replace(certificate, steps=tuple(steps))

    assert confront(residual, wrong, 1).violations()[0].startswith("denoise: slope ")


def test_json_has_bounds_and_what_is_reached_of_every_step(residual):
    document = json.loads(json.dumps(confront(residual, certify(residual, 2), 3).to_json(), allow_nan=False))

    assert [(step["t"], step["s"]) for step in document["steps"]] == [(60, 30), (30, 0)]
    for step in document["steps"]:
        assert set(step["constants"]) == set(step["ratios"]) == set(STEP_CONSTANTS)
        assert set(step["reached_slopes"]) == set(EVALUATED_ONCE)
        assert all(step["ratios"][solver] <= step["constants"][solver] for solver in STEP_CONSTANTS)
    assert document["slope"] <= document["network"]["value"]
    assert (document["pairs"], document["rounding"], document["violations"]) == (3, STEP_ROUNDING, [])


def test_numbers_that_json_has_not_are_text():
    found = confronted()
    every = dict.fromkeys(STEP_CONSTANTS, math.inf)
    infinite = replace(found.certificate.steps[0], constants=every, sizes=every)
    certificate = replace(found.certificate, steps=(infinite,))
    reached = Reached(dict.fromkeys(STEP_CONSTANTS, math.nan), {})

    document = json.loads(
        json.dumps(replace(found, certificate=certificate, steps=(reached,)).to_json(), allow_nan=False)
    )

    assert document["log10"] == document["steps"][0]["constants"] == dict.fromkeys(STEP_CONSTANTS, "inf")
    assert document["steps"][0]["ratios"] == dict.fromkeys(STEP_CONSTANTS, "nan")
