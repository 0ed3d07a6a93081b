"""Facts: named statements, the evidence that a check of them gives, and the register of all of them."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

Kind = Literal["exact", "certified", "tolerance", "sampled", "statistical"]
KINDS: dict[str, str] = {
    "exact": "the same bits, or exact (integer, rational, symbolic) arithmetic",
    "certified": "true for every input of a stated set, by outward-rounded bounds",
    "tolerance": "equal within a bound derived from the arithmetic, on seeded random inputs",
    "sampled": "an inequality held on so many seeded inputs",
    "statistical": "a seeded test of a law, with its false-alarm probability",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check measured.

    Attributes:
        error: The worst error; of an inequality left <= right the largest left - right, so slack is negative; of a
            test of a law its statistic.
        bound: The largest error that passes.
        cases: Inputs tried.
        note: What else a reader should know, in one phrase.
        false_alarm: Of a statistical test, the probability that a right file fails.
    """

    error: float
    bound: float
    cases: int
    note: str = ""
    false_alarm: float | None = None

    @property
    def passed(self) -> bool:
        """Whether something was tried, and the error is a number within the bound."""
        return self.cases > 0 and self.error <= self.bound


@dataclass(frozen=True, slots=True)
class Fact:
    """A named statement and its check.

    Attributes:
        name: The reference's own, or one that begins with `gen_export.`.
        section: Of the reference; empty for facts of ours.
        statement: What holds.
        hypotheses: Under which conditions.
        kind: Of the evidence that the check gives.
        check: Of a file's graphs, or without arguments for a fact of pure mathematics.
        families: Whose files it is about; none for pure mathematics.
        graphs: Which of their graphs it runs.
        ports: Inputs and outputs of those without which it says nothing.
        aliases: Other names that the reference has for the same statement.
        replaces: Names that the reference shows to be wrong or missing, for which this one stands.
    """

    name: str
    section: str
    statement: str
    hypotheses: str
    kind: Kind
    check: Callable[..., Finding]
    families: tuple[str, ...] = ()
    graphs: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()


FACTS: dict[str, Fact] = {}


def fact(
    name: str,
    kind: Kind,
    section: str = "",
    hypotheses: str = "none",
    families: tuple[str, ...] = (),
    graphs: tuple[str, ...] = (),
    ports: tuple[str, ...] = (),
    aliases: tuple[str, ...] = (),
    replaces: tuple[str, ...] = (),
) -> Callable[[Callable[..., Finding]], Callable[..., Finding]]:
    """Register a check as the fact of this name; the check's docstring is the statement."""
    assert kind in get_args(Kind), kind
    assert name not in FACTS, name

    def register(check: Callable[..., Finding]) -> Callable[..., Finding]:
        statement = " ".join((check.__doc__ or "").split())
        FACTS[name] = Fact(
            name, section, statement, hypotheses, kind, check, families, graphs, ports, aliases, replaces
        )
        return check

    return register


def worst(errors: Any, bound: float, cases: int, note: str = "") -> Finding:
    """The finding of an array of errors; a NaN among them fails."""
    import numpy as np

    return Finding(float(np.max(np.asarray(errors, np.float64), initial=-math.inf)), bound, cases, note)


def worst_of(findings: Iterable[Finding]) -> Finding:
    """The finding that is furthest beyond its bound, as the one of the cases of all; a NaN is beyond every bound."""
    found = list(findings)
    return replace(max(found, key=_excess), cases=sum(finding.cases for finding in found))


def _excess(finding: Finding) -> tuple[bool, float]:
    """Whether an error is beyond its bound, and the error in units of it."""
    if math.isnan(finding.error):
        return True, math.inf
    return finding.error > finding.bound, finding.error / finding.bound if finding.bound else finding.error


def same_bits(found: Any, expected: Any, cases: int, note: str = "") -> Finding:
    """The finding of arrays that must be equal bit for bit: the number of entries that are not."""
    import numpy as np

    a, b = np.asarray(found), np.asarray(expected)
    if a.shape != b.shape or a.dtype != b.dtype:
        return Finding(math.inf, 0.0, cases, f"{a.dtype} {a.shape} beside {b.dtype} {b.shape}")
    kind = np.dtype(f"u{a.dtype.itemsize}")
    apart = np.ascontiguousarray(a).view(kind) != np.ascontiguousarray(b).view(kind)
    return Finding(float(apart.sum()), 0.0, cases, note)


def all_same_bits(pairs: Iterable[tuple[Any, Any]]) -> Finding:
    """The finding of arrays that must be the same bits, pair by pair; another shape or type is no number of entries."""
    findings = [same_bits(found, expected, 1) for found, expected in pairs]
    return Finding(sum(finding.error for finding in findings), 0.0, len(findings))
