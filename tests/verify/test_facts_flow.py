"""The facts of a denoiser's flow: each rejects a wrong file, and none asks for what a right one cannot give."""

import pytest

from gen_export.export.writer import export_family
from gen_export.verify.report import of_files, open_files
from tests.mutants.catalogue import MUTANTS, make, rejects

OURS = "gen_export.diffusion.{}".format
FLOW = ("slope", "invert", "log_likelihood")
WRONG = {
    "slope_is_the_derivative": "an activation's derivative is its square",
    "slope_predicts_as_denoise_does": "the noise beside the slope is the velocity",
    "inversion_is_its_steps": "the secant is left out",
    "inversion_returns_the_image": "the inversion's levels lack the clean state",
    "likelihood_is_its_steps": "the divergence is subtracted",
    "bits_are_those_of_the_nats": "bits are of 256 levels to 2",
}


def outcomes(path):
    """What the facts of the flow find."""
    return {o.fact.name: o for o in of_files(open_files(path), lambda fact: {*fact.graphs} & {*FLOW})}


def test_each_fact_of_the_flow_has_a_wrong_file(exported):
    assert {*outcomes(exported("diffusion"))} == {*map(OURS, WRONG)}


@pytest.mark.parametrize("fact", WRONG)
def test_a_wrong_file_is_rejected(exported, tmp_path, fact):
    (mutant,) = [m for m in MUTANTS if (m.family, m.name) == ("diffusion", WRONG[fact])]

    assert rejects(OURS(fact), make(mutant, exported("diffusion"), tmp_path))


@pytest.mark.parametrize("options", [{"net": "residual"}, {"net": "residual", "states": 1}], ids=str)
def test_a_network_whose_iterations_do_not_converge_is_not_held_against(build_family, about, tmp_path, options):
    """One that gives eps has no inverse where the schedule ends with almost no signal."""
    path = export_family(build_family("diffusion", **options), tmp_path, "model", about)[0]
    found = {name.rpartition(".")[2]: outcome.verdict for name, outcome in outcomes(path).items()}

    assert found.pop("inversion_returns_the_image") == "skipped"
    assert {*found.values()} == {"passed"}
