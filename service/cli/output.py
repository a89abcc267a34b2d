"""What commands print: results on stdout, for people or as JSON; everything else on stderr.

Names, answers and passages are whatever somebody put into the service. A terminal obeys control characters: it could be
made to change its title, to hide lines or to type for whoever reads. None of them is printed.
"""

import json
import re
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202d\u202e]")
"""All but tabs and ends of lines; those of 8 bits too, and what turns the direction of writing round."""


def plain(text: str) -> str:
    """The text with U+FFFD for each control character; as long as before."""
    return text if text.isprintable() else _CONTROLS.sub("\ufffd", text)


def print_json(value: Any) -> None:
    """The result as JSON on stdout; dates and ids as text. What a terminal would obey is escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    print(_CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text), flush=True)


def print_text(text: str, end: str = "\n") -> None:
    """A result for people on stdout."""
    print(plain(text.replace("\r\n", "\n")), end=end, flush=True)


def say(text: str) -> None:
    """A remark on stderr."""
    print(plain(text), file=sys.stderr, flush=True)


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
        cells = [cell if isinstance(cell, Text) else Text("" if cell is None else str(cell)) for cell in row]
        for cell in cells:
            cell.plain = plain(cell.plain)  # rich leaves some of them in
        table.add_row(*cells)
    console().print(table)
