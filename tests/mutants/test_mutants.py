"""Every right file is accepted, and every wrong one is rejected by a fact, which the table of the documents names."""

import pytest

from gen_export.models import FAMILIES
from gen_export.verify.report import of_files, open_files
from tests.mutants.catalogue import MUTANTS, make, rejects
from tests.mutants.document import read_rows
from tests.tiny import LABELLED


@pytest.mark.parametrize("name", [*FAMILIES, *LABELLED])
def test_every_fact_holds_on_a_right_file(exported, name):
    outcomes = list(of_files(open_files(exported(name))))

    assert [(o.fact.name, o.finding, o.reason) for o in outcomes if o.verdict != "passed"] == []
    assert outcomes


@pytest.fixture(scope="module")
def table(root):
    """The fact that rejects each mutant, as the documents say."""
    return read_rows(root / "docs" / "mutants.md")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.family}: {mutant.name}")
def test_a_wrong_file_is_rejected_by_the_fact_that_the_documents_name(exported, tmp_path, table, mutant):
    assert rejects(table[mutant.family, mutant.graph, mutant.name], make(mutant, exported(mutant.family), tmp_path))


def test_the_table_has_a_row_for_each_mutant_and_no_other(table):
    assert list(table) == [(mutant.family, mutant.graph, mutant.name) for mutant in MUTANTS]


def test_there_are_at_least_sixty_mutants_and_some_of_every_family():
    assert len({(mutant.family, mutant.graph, mutant.name) for mutant in MUTANTS}) == len(MUTANTS) >= 60
    assert {mutant.family for mutant in MUTANTS} == {*FAMILIES, *LABELLED}
