"""What commands print: results on stdout, for people or as JSON; everything else on stderr."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def print_json(value: Any) -> None:
    """The result as JSON on stdout; dates and ids as text."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str), flush=True)


def say(text: str) -> None:
    """A remark on stderr."""
    print(text, file=sys.stderr, flush=True)


def moment(value: str | None) -> str:
    """A date of the API for a table, to the minute, in UTC as it came."""
    return value[:16].replace("T", " ") if value else ""


def console(*, remarks: bool = False) -> "Console":
    """A console for tables on stdout, or for progress on stderr."""
    from rich.console import Console

    stream = sys.stderr if remarks else sys.stdout
    # Into a file or a pipe, lines are as long as they need to be.
    return Console(file=stream, highlight=False, width=None if stream.isatty() else 240)


WHOLE = frozenset({"id"})
"""Columns that stay on one line in a narrow terminal too: they are copied from it."""


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on stdout: no lines, columns as wide as they need to be. A cell may be rich's `Text`, with its colour."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in WHOLE)
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text("" if cell is None else str(cell)) for cell in row))
    console().print(table)
