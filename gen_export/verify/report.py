"""Checking facts: which ones a file calls for, and what came of each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

import gen_export.verify.facts  # noqa: F401 - registers the facts
from gen_export.errors import MissingToolError, NothingToCheckError
from gen_export.verify import stamp
from gen_export.verify.fact import FACTS, Fact, Finding
from gen_export.verify.files import Files
from gen_runtime.card import Card
from gen_runtime.errors import FileError, GenRuntimeError
from gen_runtime.graph import open_graph

Verdict = Literal["passed", "failed", "skipped"]
_BROKEN_OFF = (ArithmeticError, AttributeError, LookupError, StopIteration, TypeError, ValueError)
"""What a check raises where a card says what no check expects: text for a number, another name or shape of a port."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one fact.

    Attributes:
        fact: The fact.
        finding: What its check measured; None where it could not be run.
        reason: Why it could not be run.
    """

    fact: Fact
    finding: Finding | None
    reason: str = ""
    skipped: bool = False

    @property
    def verdict(self) -> Verdict:
        """A check that the file breaks has failed; one that lacks a graph, a package or inputs was skipped."""
        if self.finding is not None:
            return "passed" if self.finding.passed else "failed"
        return "skipped" if self.skipped else "failed"

    def to_json(self) -> dict[str, Any]:
        """The outcome as `--json` prints it; numbers that JSON has not are text."""
        found = self.finding
        return {
            "fact": self.fact.name,
            "section": self.fact.section,
            "statement": self.fact.statement,
            "hypotheses": self.fact.hypotheses,
            "kind": self.fact.kind,
            "verdict": self.verdict,
            "error": None if found is None else _number(found.error),
            "bound": None if found is None else _number(found.bound),
            "cases": None if found is None else found.cases,
            "false_alarm": None if found is None else found.false_alarm,
            "note": self.reason if found is None else found.note,
        }


def _number(value: float) -> float | str:
    return value if abs(value) < float("inf") else str(value)


def of_files(files: Files, only: Callable[[Fact], bool] = lambda fact: True) -> Iterator[Outcome]:
    """The outcomes of the facts about a model's files, as they are found."""
    for fact in FACTS.values():
        if _is_about(fact, files) and only(fact):
            yield _checked(fact, files)


def of_mathematics(only: Callable[[Fact], bool] = lambda fact: True) -> Iterator[Outcome]:
    """The outcomes of the facts that are about no file."""
    return (_checked(fact) for fact in FACTS.values() if not fact.families and only(fact))


def _is_about(fact: Fact, files: Files) -> bool:
    """Whether a fact says something about these files: of their family, and with the ports that it speaks of."""
    cards = [files.probe(name).graph.card for name in fact.graphs if name in files.graphs]
    at_hand = {port.name for card in cards for port in (*card.inputs, *card.outputs)}
    return files.card.family in fact.families and at_hand >= {*fact.ports}


def _checked(fact: Fact, *files: Files) -> Outcome:
    if files and (missing := _missing(fact, files[0])):
        return Outcome(fact, None, f"needs the graph {', '.join(missing)}, which is not at hand", skipped=True)
    try:
        with np.errstate(all="ignore"):  # what a wrong file computes may be anything, and NaN fails
            return Outcome(fact, fact.check(*files))
    except (MissingToolError, NothingToCheckError) as error:
        return Outcome(fact, None, str(error), skipped=True)
    except GenRuntimeError as error:
        return Outcome(fact, None, _one_line(error))
    except _BROKEN_OFF as error:
        return Outcome(fact, None, f"the check broke off: {type(error).__name__}: {_one_line(error)}")


def _missing(fact: Fact, files: Files) -> list[str]:
    return [name for name in fact.graphs if name not in files.graphs]


def _one_line(error: Exception) -> str:
    return f"{' '.join(str(error).split()):.300}"


def open_files(path: Path, stale: bool = False) -> Files:
    """The files of a model.

    Args:
        path: Its main file or a part.
        stale: Whether a stamp that does not fit is accepted, because it is about to be replaced.

    Raises:
        FileError: A file is missing, broken, not one of ours, of a family without facts, or its stamp does not fit.
    """
    files = Files(path)
    families = sorted({family for fact in FACTS.values() for family in fact.families})
    if files.card.family not in families:
        raise FileError(f"{path}: expected a family with facts, {', '.join(families)}, found {files.card.family}")
    if not stale and stamp.fits(files) is False:
        raise FileError(f"{path}: expected the files of its stamp, found others: changed since it was verified")
    return files


def require_main(files: Files) -> None:
    """Refuses a part alone, so that no stamp stands in a file that speaks for others.

    Raises:
        FileError: The file is a part of a model.
    """
    if _is_part(files.path, files.card):
        raise FileError(f"{files.path}: expected a model's main file to stamp, found its part {files.card.graph}")


def main_files(path: Path) -> list[Path]:
    """The file itself, or the main files of the models in a folder.

    Raises:
        FileError: A folder without any, or one with an ONNX file that is not ours.
    """
    if not path.is_dir():
        return [path]
    cards = {file: open_graph(file, "cpu", None).card for file in sorted(path.glob("*.onnx"))}
    found = [file for file, card in cards.items() if not _is_part(file, card)]
    if not found:
        raise FileError(f"{path}: expected a folder with an exported model, found none")
    return found


def _is_part(path: Path, card: Card) -> bool:
    """Whether a file is named as parts are, `<name>.<graph>.onnx`."""
    return path.name.endswith(f".{card.graph}.onnx")
