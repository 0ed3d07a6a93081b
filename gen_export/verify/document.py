"""The list of all facts as a document: `python -m gen_export.verify.document` writes docs/facts.md."""

from pathlib import Path

import gen_export.verify.facts  # noqa: F401 - registers the facts
from gen_export.verify.fact import FACTS, KINDS, Fact

PATH = Path("docs/facts.md")
_HEAD = """# Facts

What `gen-export verify` checks, generated from the checks themselves by `python -m gen_export.verify.document`.

Names are those of the TorchLean theorems that the facts restate; names that begin with `gen_export.` are ours. Facts
with files are checked on exported files, through ONNX Runtime; the others, with `--mathematics`, on the functions of
`gen_export/spec` that train, export and verify the models.

| evidence | meaning |
|---|---|
"""
_TITLES = {
    "2": "Objectives",
    "3.2": "VAE",
    "4.2": "VQ-VAE",
    "5.2": "GAN",
    "6.5": "The forward law of diffusion",
    "6.6": "Samplers of diffusion",
    "6.7": "The image sampler",
    "8.1": "Masked objectives and collapse",
    "8.2": "Masks",
    "": "Ours",
}


def facts_document() -> str:
    """The document."""
    kinds = "".join(f"| {kind} | {meaning} |\n" for kind, meaning in KINDS.items())
    return _HEAD + kinds + "".join(_section(section) for section in _TITLES)


def _section(section: str) -> str:
    """The facts of one section as a table."""
    facts = [fact for fact in FACTS.values() if fact.section == section]
    title = f"{_TITLES[section]} (section {section})" if section else _TITLES[section]
    head = f"\n## {title}\n\n| fact | statement | hypotheses | files | evidence |\n|---|---|---|---|---|\n"
    return head + "".join(map(_row, facts))


def _row(fact: Fact) -> str:
    others = "".join(f"<br>also `{name}`" for name in fact.aliases)
    others += "".join(f"<br>in place of `{name}`, which does not exist" for name in fact.replaces)
    graphs = ", ".join(fact.graphs)
    files = f"{', '.join(fact.families)}: {graphs}" if fact.families else "none"
    cells = (f"`{fact.name}`{others}", fact.statement, fact.hypotheses, files, fact.kind)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


if __name__ == "__main__":
    PATH.write_text(facts_document(), encoding="utf-8")
