"""The register of facts against the reference's own list of names, and the document that lists them."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gen_export.errors import NothingToCheckError
from gen_export.models import FAMILIES
from gen_export.verify.document import facts_document
from gen_export.verify.fact import FACTS, Finding, all_same_bits, fact, same_bits, worst_of
from gen_export.verify.report import of_mathematics

NAMES = Path(__file__).with_name("reference_names.txt")
OURS = "gen_export."


def reference() -> dict[str, str]:
    """Section by name."""
    lines = [line.split() for line in NAMES.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {name: section for section, name in lines}


def test_every_theorem_of_the_reference_is_a_fact_and_every_fact_is_a_theorem_or_ours():
    stated = [name for f in FACTS.values() for name in (f.name, *f.aliases, *f.replaces) if not name.startswith(OURS)]

    assert len(set(stated)) == len(stated)
    assert sorted(set(reference()) - set(stated)) == []
    assert sorted(set(stated) - set(reference())) == []


def test_a_fact_is_in_the_section_of_its_theorem():
    sections = reference()

    assert {f.name: f.section for f in FACTS.values()} == {
        f.name: "" if f.name.startswith(OURS) else sections[f.name] for f in FACTS.values()
    }


def test_every_fact_states_something_and_names_families_and_graphs_that_exist():
    for f in FACTS.values():
        assert f.statement.endswith("."), f.name
        assert set(f.families) <= set(FAMILIES), f.name
        assert bool(f.families) == bool(f.graphs), f.name


def test_the_document_lists_the_facts_as_they_are(root):
    assert (root / "docs" / "facts.md").read_text(encoding="utf-8") == facts_document(), (
        "python -m gen_export.verify.document"
    )


@pytest.mark.parametrize("name", [f.name for f in FACTS.values() if not f.families])
def test_the_facts_of_pure_mathematics_hold(name):
    (outcome,) = of_mathematics(lambda f: f.name == name)

    assert outcome.verdict == "passed", (outcome.finding, outcome.reason)


@pytest.mark.parametrize(("error", "passed"), [(0.0, True), (-1.0, True), (1e-9, False), (float("nan"), False)])
def test_a_finding_passes_within_its_bound_and_never_by_not_being_a_number(error, passed):
    assert Finding(error, 0.0, 1).passed is passed


def test_a_finding_of_nothing_does_not_pass():
    assert not Finding(0.0, 0.0, 0).passed


@pytest.mark.parametrize("nan", range(3))
def test_a_finding_that_is_no_number_is_the_worst_wherever_it_stands(nan):
    findings = [Finding(0.5, 1.0, 2), Finding(-1.0, 0.0, 3), Finding(2.0, 4.0, 4)]
    findings[nan] = Finding(math.nan, 1.0, 5)

    assert not worst_of(findings).passed


def test_the_worst_finding_is_the_one_furthest_beyond_its_own_bound():
    wide, narrow, exact = Finding(2.0, 4.0, 1), Finding(0.03, 0.02, 1), Finding(1e-9, 0.0, 1)

    assert worst_of([wide, narrow]) == replace(narrow, cases=2)
    assert worst_of([wide, exact]) == replace(exact, cases=2)
    assert worst_of(iter([wide, replace(exact, error=0.0)])) == replace(wide, cases=2)


def test_pairs_of_arrays_are_the_same_bits_together():
    zero, one = np.zeros(2), np.ones(2)

    assert all_same_bits([(zero, zero), (one, one)]) == Finding(0.0, 0.0, 2)
    assert all_same_bits([(zero, zero), (one, zero)]).error == 2
    assert not all_same_bits([(zero, zero), (one, one[:1])]).passed
    assert not all_same_bits([]).passed


def test_a_fact_without_inputs_that_meet_its_hypotheses_is_skipped_with_the_reason(monkeypatch):
    def check():
        raise NothingToCheckError("expected a latent, found none")

    name = next(name for name, known in FACTS.items() if not known.families)
    monkeypatch.setitem(FACTS, name, replace(FACTS[name], check=check))
    (outcome,) = of_mathematics(lambda known: known.name == name)

    assert (outcome.verdict, outcome.reason) == ("skipped", "expected a latent, found none")


def test_the_same_bits_are_of_one_type_and_shape_and_tell_the_zeros_apart():
    one, other = np.array([0.0, 1.0]), np.array([-0.0, 1.0])

    assert same_bits(one, one, 1).passed
    assert same_bits(one, other, 1).error == 1
    assert not same_bits(one, one.astype(np.float32), 1).passed
    assert not same_bits(one, one[:1], 1).passed
    assert same_bits(np.array([np.nan]), np.array([np.nan]), 1).passed


def test_a_name_is_registered_once():
    name = next(iter(FACTS))

    with pytest.raises(AssertionError, match=name):
        fact(name, "exact")
