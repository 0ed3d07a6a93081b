"""What a page is made of: sections of fields, tables, pictures and charts, which the template shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from gen_export.report.charts import Chart
from gen_export.report.pictures import Picture

_LONGEST = 400
_ITEMS = 12


@dataclass(frozen=True, slots=True)
class Fields:
    """Names and values, one under the other."""

    kind: ClassVar[str] = "fields"
    title: str
    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of as many cells as there are columns; a long one is folded."""

    kind: ClassVar[str] = "table"
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures side by side, or where they are wide, in fewer columns."""

    kind: ClassVar[str] = "pictures"
    title: str
    pictures: Sequence[Picture]

    @property
    def wide(self) -> bool:
        """Whether they are strips."""
        return any(picture.width > 2 * picture.height for picture in self.pictures)


@dataclass(frozen=True, slots=True)
class Charts:
    """Charts side by side, and how to read them."""

    kind: ClassVar[str] = "charts"
    title: str
    charts: Sequence[Chart]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Commands:
    """Command lines, each with what is said of it."""

    kind: ClassVar[str] = "commands"
    title: str
    rows: Sequence[tuple[str, str]]


Block = Fields | Table | Pictures | Charts | Commands


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page.

    Attributes:
        title: Its heading.
        blocks: What it shows.
        missing: One line about each thing that is not there, and how to get it.
        note: What to know before reading it.
    """

    title: str
    blocks: Sequence[Block]
    missing: Sequence[str] = ()
    note: str = ""


def shown(value: Any) -> str:
    """A JSON value in a line: numbers short, lists and objects by their first items."""
    if isinstance(value, float):
        text = f"{value:.4g}"
    elif isinstance(value, Mapping):
        text = _joined([f"{name} {shown(each)}" for name, each in list(value.items())[: _ITEMS + 1]])
    elif isinstance(value, list):
        text = _joined([shown(each) for each in value[: _ITEMS + 1]])
    elif value is None or isinstance(value, bool):
        text = {None: "none", True: "yes", False: "no"}[value]
    else:
        text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def fields(title: str, section: Any, skipped: Sequence[str] = ()) -> Fields | None:
    """A JSON object as fields; None where it is none, or empty."""
    rows = [(spaced(name), shown(value)) for name, value in mapping(section).items() if name not in skipped]
    return Fields(title, rows) if rows else None


def mapping(value: Any) -> Mapping[str, Any]:
    """The JSON object itself; an empty one in the place of anything else."""
    return value if isinstance(value, Mapping) else {}


def number(value: Any) -> float | None:
    """A JSON number that can be drawn; None for anything else."""
    drawable = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e100
    return float(value) if drawable else None


def spaced(name: str) -> str:
    """A field's name as words."""
    return name.replace("_", " ")


def _joined(items: list[str]) -> str:
    return ", ".join(items if len(items) <= _ITEMS else [*items[:_ITEMS], "…"]) or "none"
