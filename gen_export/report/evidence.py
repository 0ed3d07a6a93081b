"""What a file's metadata says was measured and checked: parity, facts, certificate, scores. Read from strangers."""

import json
from collections.abc import Iterator, Sequence
from decimal import ROUND_CEILING, Context
from typing import Any

import gen_export.verify.facts  # noqa: F401 - registers the facts
from gen_export.report.blocks import Block, Charts, Fields, Section, Table, fields, mapping, number, shown, spaced
from gen_export.report.charts import Line, Style, chart
from gen_export.verify.fact import FACTS
from gen_export.verify.stamp import stamp_fits
from gen_runtime import Card, Model

_MEASURES = {
    "max_abs": "largest difference",
    "rel_l2": "relative difference",
    "max_levels": "grey levels",
    "pixels_apart": "share of bytes apart",
}
_SHARED = "NN.MLTheory.Generative."
"""What the reference's names of facts begin with."""


def agreement(card: Card) -> Section:
    """How far the files are from the trained model."""
    measures = [name for name in _MEASURES if any(name in row for row in card.parity)]
    graphs = dict.fromkeys(shown(row.get("graph")) for row in card.parity)
    rows = [(graph, *(_worst(card, graph, name) for name in measures)) for graph in graphs]
    table = (
        Table("Worst of all batches and options", ("graph", *(_MEASURES[m] for m in measures)), rows) if rows else None
    )
    missing = () if rows else ("No parity: gen-export export RUN measures it.",)
    note = "Differences from the trained model in PyTorch, measured when the files were written."
    return Section("Agreement with the trained model", _kept(table, _trajectory(card)), missing, note)


def _worst(card: Card, graph: str, measure: str) -> str:
    """The largest value of a measure over the rows of a graph; empty where none has it."""
    rows = (number(row.get(measure)) for row in card.parity if shown(row.get("graph")) == graph)
    values = [value for value in rows if value is not None]
    return shown(max(values)) if values else ""


def _trajectory(card: Card) -> Charts | None:
    """The differences along the sampler's steps, as far as they are not 0."""
    names = {"teacher_forced_max_abs": "from PyTorch's state", "free_running_max_abs": "from the file's own state"}
    found = mapping(card.trajectory)
    styles: tuple[Style, ...] = ("thin", "line")
    lines = [
        Line(text, _positive(found.get(name)), style) for (name, text), style in zip(names.items(), styles, strict=True)
    ]
    drawn = chart("largest difference of the state", lines)
    note = "Each step from the file's own state; the thin line, each from PyTorch's."
    return Charts("Along the sampler's steps", [drawn], note) if drawn else None


def _positive(values: Any) -> list[tuple[float, float]]:
    numbers = map(number, values) if isinstance(values, list) else ()
    return [(float(step), value) for step, value in enumerate(numbers, 1) if value is not None and value > 0.0]


def facts(model: Model) -> Section:
    """The facts of the last stamp, and whether it still fits."""
    title, verified = "Facts", mapping(model.card.verified)
    if not verified:
        return Section(title, (), (f"No facts: gen-export verify {model.path.name} --stamp checks and writes them.",))
    rows = [_fact(name, mapping(fact)) for name, fact in mapping(verified.get("facts")).items()]
    fits = "fits these files" if stamp_fits(model.path) else "does not fit: a file was changed after it was verified"
    note = f"The stamp of gen-export {shown(verified.get('tool'))} {fits}."
    return Section(title, [Table("", ("fact", "evidence", "error", "bound", "verdict"), rows)], note=note)


def _fact(name: str, fact: Any) -> Sequence[str]:
    """A fact as a row: what it states, where this version knows it, else its name."""
    known = FACTS.get(name)
    named = known.statement if known else name.removeprefix(_SHARED)
    return named, *(shown(fact.get(key)) for key in ("kind", "error", "bound", "verdict"))


def certificate(card: Card) -> Iterator[Section]:
    """What is proven of a denoiser for all inputs, if the file says anything of it."""
    found = mapping(card.certificate)
    if "refused" in found:
        yield Section("Certificate", (), (f"No Lipschitz constant: {shown(found['refused'])}.",))
    elif found:
        yield _certified(found)


def _certified(found: Any) -> Section:
    """The constants of the denoiser and of whole runs."""
    logarithms = {solver: number(value) for solver, value in mapping(found.get("run_log10")).items()}
    runs = [(solver, f"10^{_at_most(value)}") for solver, value in logarithms.items() if value is not None]
    lipschitz = number(found.get("lipschitz"))
    blocks: list[Block] = [
        Fields("The denoiser", [("Lipschitz constant", "unknown" if lipschitz is None else _at_most(lipschitz))]),
        Fields("A whole run, by solver", runs),
    ]
    note = "How much further apart two images can get, at most: proven from the weights, for all inputs."
    return Section("Certificate", blocks, note=note)


def _at_most(value: float) -> str:
    """A bound in four digits, rounded up, so that it stays one."""
    return f"{Context(prec=4, rounding=ROUND_CEILING).create_decimal_from_float(value):g}"


def evaluation(model: Model) -> Section:
    """The scores that `gen-export eval` wrote."""
    title, found = "Evaluation", mapping(json.loads(model.card.text).get("evaluation"))
    if not found:
        how = f"gen-export eval {model.path.name} --data SOURCE --stamp measures and writes them"
        return Section(title, (), (f"No scores: {how}.",))
    floor = mapping(found.get("floor"))
    rows = [
        (spaced(name), _value(mapping(score)), shown(floor[name]) if name in floor else "")
        for name, score in mapping(found.get("scores")).items()
    ]
    about = fields("", found, skipped=("scores", "floor"))
    note = "The floor is what held-out images score in place of the file's."
    return Section(title, _kept(about, Table("", ("score", "value", "floor"), rows)), note=note)


def _value(score: Any) -> str:
    """A score with its error, where it has one."""
    error = number(score.get("error"))
    return shown(score.get("value")) + ("" if error is None else f" ± {error:.2g}")


def _kept(*blocks: Block | None) -> list[Block]:
    return [block for block in blocks if block is not None]
