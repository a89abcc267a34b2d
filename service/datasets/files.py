"""Rows in files: CSV (RFC 4180, any encoding) and JSON Lines, read all or nothing, written piece by piece.

A CSV's first column is the question, its second the expected answer. With headers, further columns named `sources`,
`metadata` and `draft` are read as JSON, which is how an export writes them; any other column is passed over.
"""

import base64
import binascii
import csv
import io
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from loaders.unicode import decode
from service.datasets.service import MAX_CELL, MAX_ROWS
from service.datasets.types import Row, RowDraft
from service.datasets.wire import row_of, sources_of
from service.errors import TooLarge, Unprocessable
from service.json_text import parsed
from service.spreadsheets import harmless

LONGEST_COLUMN = 131_072
"""Characters of a column that are read."""
MAX_FILES = 50
"""CSV files within one text."""

COLUMNS = ("input", "output", "sources", "metadata", "draft")
FURTHER = COLUMNS[2:]


@dataclass(frozen=True, slots=True)
class File:
    """A file with its name, for messages."""

    name: str
    content: bytes


def data_files(text: str, field: str = "csvFile") -> list[File]:
    """The files of `data:text/csv;base64,<base64>,filename:<name>`, or of a JSON array of such in a text.

    Raises `Unprocessable`, naming the field.
    """
    if not text.lstrip().startswith("["):
        return [_data_file(text, field)]
    try:
        parts = parsed(text)
    except ValueError as error:
        raise Unprocessable(f"{field}: is no JSON array: {error}") from None
    if not isinstance(parts, list) or not parts or not all(isinstance(item, str) for item in parts):
        raise Unprocessable(f"{field}: must be a data URI, or a JSON array of such")
    if len(parts) > MAX_FILES:
        raise Unprocessable(f"{field}: {len(parts)} files; one call brings at most {MAX_FILES}")
    return [_data_file(item, f"{field}[{place}]") for place, item in enumerate(parts)]


def _data_file(text: str, field: str) -> File:
    head, _, rest = text.strip().partition(",")
    if not head.startswith("data:") or not head.endswith(";base64") or not rest:
        raise Unprocessable(f"{field}: must be data:text/csv;base64,<base64>,filename:<name>")
    encoded, _, name = rest.partition(",")
    try:
        content = base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError):
        raise Unprocessable(f"{field}: its base64 is broken") from None
    return File(name.removeprefix("filename:").strip()[:200] or field, content)


def csv_rows(files: Sequence[File], *, headers: bool) -> list[RowDraft]:
    """The rows of CSV files, one after the other. With `headers` the first row is skipped, and that of a later file
    where it says the same. Raises `Unprocessable`, naming file and row; `TooLarge`."""
    rows: list[RowDraft] = []
    first: list[str] | None = None
    for file in files:
        for number, cells in _records(file):
            if headers and (first is None or (number == 1 and cells == first)):
                first = cells
                continue
            rows.append(_csv_row(file, number, cells, first or ()))
            _check_count(rows)
    if not rows:
        raise Unprocessable(f"{files[0].name if files else 'csvFile'}: holds no rows")
    return rows


def _records(file: File) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV with their numbers from 1; lines without anything are passed over."""
    csv.field_size_limit(LONGEST_COLUMN)  # one for the whole process, which loaders raise where they run in it
    reader = csv.reader(io.StringIO(decode(file.content), newline=""), strict=True)
    number = 0
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise Unprocessable(f"{file.name}: row {number + 1}: {_wrong(error)}") from None
        number += 1
        if any(cells):
            yield number, cells


def _wrong(error: csv.Error) -> str:
    told = str(error)
    if "field limit" in told:
        return f"a column has more than {MAX_CELL} characters"
    return "a quote is not closed" if "unexpected end" in told else told


def _csv_row(file: File, number: int, cells: Sequence[str], header: Sequence[str]) -> RowDraft:
    where = f"{file.name}: row {number}"
    if len(cells) < 2:
        hint = "; columns are separated by commas" if ";" in cells[0] or "\t" in cells[0] else ""
        raise Unprocessable(f"{where}: has one column in place of two, question and answer{hint}")
    fields: dict[str, Any] = {"input": cells[0], "output": cells[1]}
    for name, cell in zip(header[2:], cells[2:], strict=False):
        key = name.strip().casefold()
        if key in FURTHER and cell.strip():
            try:
                fields[key] = parsed(cell)
            except ValueError as error:
                raise Unprocessable(f"{where}: {key}: is no JSON: {error}") from None
    return row_of(where, fields)


def jsonl_rows(files: Sequence[File]) -> list[RowDraft]:
    """The rows of JSON Lines: an object a line, with `input`, and `output`, `sources`, `metadata`, `draft` as they are.
    Raises `Unprocessable`, naming file and row; `TooLarge`."""
    rows: list[RowDraft] = []
    for file in files:
        for number, line in enumerate(decode(file.content).split("\n"), 1):
            if not line.strip():
                continue
            where = f"{file.name}: row {number}"
            try:
                value = parsed(line)
            except ValueError as error:
                raise Unprocessable(f"{where}: is no JSON: {error}") from None
            rows.append(row_of(where, value))
            _check_count(rows)
    if not rows:
        raise Unprocessable(f"{files[0].name if files else 'jsonlFile'}: holds no rows")
    return rows


def file_rows(files: Sequence[File], *, headers: bool) -> list[RowDraft]:
    """The rows of plain files: JSON Lines by their names or by their beginning, else CSV."""
    rows: list[RowDraft] = []
    for lines, group in groupby(files, is_jsonl):
        alike = list(group)
        rows += jsonl_rows(alike) if lines else csv_rows(alike, headers=headers)
        _check_count(rows)
    return rows


def is_jsonl(file: File) -> bool:
    """Whether a file holds JSON Lines."""
    name = file.name.casefold()
    if name.endswith((".jsonl", ".ndjson", ".jl")):
        return True
    return not name.endswith(".csv") and file.content.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")


def _check_count(rows: Sequence[RowDraft]) -> None:
    if len(rows) > MAX_ROWS:
        raise TooLarge(f"dataset_rows: a dataset has at most {MAX_ROWS} rows")


async def as_csv(batches: AsyncIterator[list[Row]], *, spreadsheet: bool = False) -> AsyncIterator[bytes]:
    """The rows as CSV in UTF-8 with headers, piece by piece; an import reads them back as they were. For a
    `spreadsheet`, an apostrophe stands before what it would take for a formula."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    async for rows in batches:
        for row in rows:
            texts = [row.input, row.output]
            if spreadsheet:
                texts = [harmless(text) for text in texts]
            writer.writerow([*texts, _json(sources_of(row)), _json(dict(row.metadata)), _json(row.draft)])
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()
    if rest := buffer.getvalue():
        yield rest.encode()


async def as_jsonl(batches: AsyncIterator[list[Row]]) -> AsyncIterator[bytes]:
    """The rows as JSON Lines in UTF-8, piece by piece; an import reads them back as they were."""
    async for rows in batches:
        lines = (
            _json(
                {
                    "input": row.input,
                    "output": row.output,
                    "sources": sources_of(row),
                    "metadata": dict(row.metadata),
                    "draft": row.draft,
                }
            )
            for row in rows
        )
        yield "".join(f"{line}\n" for line in lines).encode()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
