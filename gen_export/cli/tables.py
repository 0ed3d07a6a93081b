"""Tables whose cells are taken literally: they come from a file and may hold markup or escapes."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text


def table(
    title: str, columns: Iterable[str], rows: "Iterable[Iterable[str | Text]]", show_header: bool = True
) -> "Table":
    """A table; a cell that is a `Text` keeps its style."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(title=Text(printable(title)), title_justify="left", box=box.SIMPLE_HEAD, show_header=show_header)
    for column in columns:
        made.add_column(Text(printable(column)), overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(printable(cell)) for cell in row))
    return made


def printable(text: str) -> str:
    """The text without control characters, which a terminal would obey."""
    return "".join(character if character.isprintable() else "?" for character in text)
