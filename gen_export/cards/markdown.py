"""Values of a metadata document as Markdown that is taken literally, whatever a file says."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_ESCAPES = str.maketrans({"|": "\\|", "<": "&lt;", "[": "\\[", "]": "\\]", "\\": "\\\\"})
_LONGEST_LIST = 12


def plain(text: str) -> str:
    """The text in one line, without what would start a link, a tag, a table's cell or a terminal's command."""
    return "".join(letter if letter.isprintable() else " " for letter in text).translate(_ESCAPES).strip()


def shown(value: Any) -> str:
    """A JSON value: floats in four digits, lists by their first items, objects as `name value` pairs."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(map(shown, value[:_LONGEST_LIST])) + ", ..." * (len(value) > _LONGEST_LIST)
    if isinstance(value, Mapping):
        return ", ".join(f"{plain(str(name))} {shown(item)}" for name, item in value.items())
    return plain(str(value))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table of cells that are Markdown themselves."""
    lines = (columns, ["---"] * len(columns), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def fields(section: Mapping[str, Any]) -> str:
    """A section of the document as a table of its fields; lists of names included, those of nothing left out."""
    rows = [(plain(name.replace("_", " ")), shown(value)) for name, value in section.items() if value not in (None, [])]
    return table(("", ""), rows)
