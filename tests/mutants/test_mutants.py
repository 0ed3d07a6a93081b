"""Every right file is accepted, and every wrong one is rejected by a fact, which the table of the documents names."""

import pytest

from gen_export.models import FAMILIES
from gen_export.verify.report import of_files, open_files
from tests.mutants.catalogue import MUTANTS, caught_by, make


@pytest.mark.parametrize("name", FAMILIES)
def test_every_fact_holds_on_a_right_file(exported, name):
    outcomes = list(of_files(open_files(exported(name))))

    assert [(o.fact.name, o.finding, o.reason) for o in outcomes if o.verdict != "passed"] == []
    assert outcomes


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.family}: {mutant.name}")
def test_a_wrong_file_is_rejected(exported, tmp_path, mutant):
    assert caught_by(make(mutant, exported(mutant.family), tmp_path)) is not None


def test_there_are_at_least_sixty_mutants_and_some_of_every_family():
    assert len({(mutant.family, mutant.name) for mutant in MUTANTS}) == len(MUTANTS) >= 60
    assert {mutant.family for mutant in MUTANTS} == set(FAMILIES)
