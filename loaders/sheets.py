"""Sheets of spreadsheets to Markdown, the one way for XLSX, XLS and ODS."""

import datetime
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from loaders.base import Failure, LoaderError
from loaders.marks import escaped
from loaders.tables import cell, headed_table


@dataclass(frozen=True, slots=True)
class Shown:
    """A number as its cell shows it."""

    text: str


Value = str | int | float | bool | Shown | datetime.date | datetime.time | datetime.timedelta | None
"""What a cell holds; a `datetime` is a date."""

Span = tuple[int, int, int, int]
"""A merged cell: first row, first column, last row, last column, from 0."""

Place = tuple[int, int]
"""A cell by its row and its column, from 0."""

Grid = Mapping[int, Mapping[int, Value]]
"""The filled cells of a sheet by row and column, from 0."""

MOST_CELLS = 5_000_000
"""Filled cells of one workbook."""


def too_many() -> LoaderError:
    """The failure of a workbook with more than `MOST_CELLS`."""
    return LoaderError(Failure.TOO_LARGE, f"The workbook has more than {MOST_CELLS} filled cells.")


def readable(value: Value) -> str:
    """A cell's text: whole numbers without a point, dates by ISO 8601 without an empty time, durations in
    hours, others as they are."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, Shown):
        return value.text
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else format(value, ".15g")
    if isinstance(value, datetime.datetime):
        midnight = value.time() == datetime.time()
        return value.date().isoformat() if midnight else value.isoformat(" ", "seconds")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        sign, seconds = "-" if value < datetime.timedelta() else "", abs(round(value.total_seconds()))
        return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return str(value)


def markdown_of(
    name: str,
    grid: Grid,
    merged: Sequence[Span] = (),
    notes: Mapping[Place, str] = MappingProxyType({}),
    drawn: Iterable[str] = (),
) -> str:
    """A sheet: its name as heading, its tables, and lines that hold one cell as text, then the comments on its cells
    (`notes`) and what is `drawn` upon it, in Markdown; empty when there is none of these.

    Empty rows part tables; rows of data after one go on with the table above, so that they keep its header. A cell
    merged over several rows stands in each that has other cells, so that rows can be read alone. A header of two rows,
    the first with merged cells, becomes one.
    """
    rows = {number: {at: readable(value) for at, value in row.items()} for number, row in grid.items()}
    numeric = {number for number, row in grid.items() if any(_is_data(value) for value in row.values())}
    rows = {
        number: filled for number, row in rows.items() if (filled := {at: text for at, text in row.items() if text})
    }
    _spread(rows, merged)
    told = [_note(place, text, rows) for place, text in sorted(notes.items()) if text.strip()]
    blocks = [escaped(block) for block in _blocks(rows, numeric, _wide(merged))]
    blocks += [*map(escaped, told), *drawn]
    return "\n\n".join([f"# {cell(name)}", *blocks]) if blocks else ""


def _note(place: Place, text: str, rows: Mapping[int, Mapping[int, str]]) -> str:
    """A comment with what stands in its cell, and first in the row of that: it is not beside them."""
    row, column = place
    cells = rows.get(row, {})
    first = cells[min(cells)] if cells else ""
    about = ", ".join(dict.fromkeys(filter(None, (first, cells.get(column, "")))))
    letters, left = "", column + 1
    while left:
        left, letter = divmod(left - 1, 26)
        letters = chr(ord("A") + letter) + letters
    return f"Note on {about or 'cell'} ({letters}{row + 1}): {' '.join(text.split())}"


def _is_data(value: Value) -> bool:
    return value is not None and not isinstance(value, str)


def _spread(rows: dict[int, dict[int, str]], merged: Sequence[Span]) -> None:
    for top, left, bottom, _ in merged:
        text = rows.get(top, {}).get(left, "")
        if not text or bottom == top:
            continue
        # A merged cell can be as tall as the sheet, a sheet can have as many merged cells as rows.
        numbers = (
            range(top + 1, bottom + 1) if bottom - top <= len(rows) else sorted(n for n in rows if top < n <= bottom)
        )
        for number in numbers:
            if number in rows:
                rows[number].setdefault(left, text)


def _wide(merged: Sequence[Span]) -> dict[int, list[tuple[int, int]]]:
    """The cells over several columns by their first row: first column and number of columns."""
    found: dict[int, list[tuple[int, int]]] = {}
    for top, left, _, right in merged:
        if left < right:
            found.setdefault(top, []).append((left, right - left + 1))
    return found


def _blocks(
    rows: Mapping[int, Mapping[int, str]], numeric: set[int], wide: Mapping[int, list[tuple[int, int]]]
) -> Iterator[str]:
    """Markdown blocks: tables, and between them lines of a single cell."""
    table: list[Mapping[int, str]] = []
    first, last = 0, -2
    for number in sorted(rows):
        row = rows[number]
        gap = number > last + 1
        last = number
        goes_on = not gap or (number in numeric and row.keys() <= _columns(table))
        if table and not goes_on:
            yield _table(table, wide.get(first, ()))
            table = []
        if len(row) == 1 and not (table and goes_on):
            yield cell(next(iter(row.values())))
        else:
            first = first if table else number
            table.append(row)
    if table:
        yield _table(table, wide.get(first, ()))


def _columns(table: list[Mapping[int, str]]) -> set[int]:
    return {at for row in table[:100] for at in row}


def _table(rows: list[Mapping[int, str]], wide: Sequence[tuple[int, int]]) -> str:
    """The rows as a table as wide as its used columns, however far right they stand; one column is plain lines."""
    used = sorted({at for row in rows for at in row})
    if len(used) == 1:
        return "\n".join(cell(text) for row in rows for text in row.values())
    spans = [(bisect_left(used, at), bisect_left(used, at + width) - bisect_left(used, at)) for at, width in wide]
    return headed_table([[row.get(at, "") for at in used] for row in rows], spans)
