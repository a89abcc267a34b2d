"""CSV and TSV as a Markdown table."""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import StringIO
from itertools import pairwise, takewhile
from typing import Any, ClassVar

from langchain_core.documents import Document

from loaders.base import Failure, Format, Loader, LoaderError, Source, document, required
from loaders.marks import escaped
from loaders.tables import is_number, markdown_table
from loaders.text import read_text
from loaders.unicode import clean

_DELIMITERS = (",", ";", "\t", "|")
_RARE = ("^",)
"""Looked for only where a table is expected, and taken only where it gives a flawless one."""
_DECLARED = re.compile(r"\ufeff?\"?sep=([^\w\s\"]|\t)\"?[ ]*(?:\n|\Z)", re.IGNORECASE)
"""The line by which Excel is told the delimiter; it is no row."""
_SAMPLE_ROWS = 50
_MOST_CAPTIONS = 10
"""Rows of a single cell at the beginning; more are data."""


def parse(text: str, delimiter: str, *, blanks: bool = True) -> Iterator[list[str]]:
    """The rows of delimited `text`; a quote that never closes takes the rest into its cell, as spreadsheets do.

    Without `blanks` those before a cell do not belong to it, so that a quote may stand behind them."""
    csv.field_size_limit(max(len(text), 131072))
    yield from csv.reader(StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=not blanks)


def sniff(text: str, *, strict: bool = False) -> str:
    """The delimiter of `text`: the one that its first line declares (`sep=;`), else the one that gives the most columns
    the same number of times; `,` when none does.

    With `strict` the answer is empty unless at least three rows all have the same number, two or more, of columns and
    no cell starts with a blank, as those of prose with commas do.
    """
    declared = _DECLARED.match(text)
    if declared:
        return declared.group(1)
    best, best_score = "", 0.0
    for delimiter in _DELIMITERS if strict else (*_DELIMITERS, *_RARE):
        rows = [row for row, _ in zip(_rows(text, delimiter), range(_SAMPLE_ROWS), strict=False)]
        widths = [len(row) for row in rows]
        if not widths or max(widths) < 2:
            continue
        usual = max(set(widths), key=lambda width: (widths.count(width), width))
        share = widths.count(usual) / len(widths)
        if (strict or delimiter in _RARE) and not _tabular(rows, share):
            continue
        score = share * (1 - 1 / usual) if usual > 1 else 0.0
        if score > best_score:
            best, best_score = delimiter, score
    return best or ("" if strict else ",")


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    try:
        yield from (row for row in parse(text, delimiter) if row)
    except csv.Error:
        return


def _tabular(rows: Sequence[Sequence[str]], share: float) -> bool:
    if len(rows) < 3 or share < 1 or len(rows[0]) < 2:
        return False
    header = rows[0]
    if not all(cell.strip() for cell in header) or len(set(header)) < len(header) or max(map(len, header)) > 60:
        return False
    later = [cell for row in rows for cell in row[1:]]
    return sum(cell.startswith(" ") for cell in later) <= len(later) / 10


class CsvLoader(Loader):
    """The whole table as one document of `markdown` format, titled with the name of the file without suffix.

    The delimiter is the one of Excel's `sep=` line, else found by its regularity. First rows of a single cell above
    wider ones are captions: the first becomes the title and a heading, others stand below it. Where a header follows an
    empty row, another table begins. `columnName` reads only
    that column: a document of `text` format a row, with `row` from 1.
    """

    options: ClassVar[Mapping[str, Any]] = {"columnName": ""}
    delimiter: ClassVar[str] = ""

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The table, or the rows of one column."""
        text = clean(read_text(source))
        if not text.strip():
            raise LoaderError(Failure.EMPTY, "The table is empty.")
        declared = _DECLARED.match(text)
        delimiter = sniff(text[:65536]) if declared or not self.delimiter else self.delimiter
        text = text[declared.end() :] if declared else text
        try:
            rows, starts = _rows_of(parse(text, delimiter, blanks=delimiter == "\t"))
        except csv.Error as error:
            raise LoaderError(Failure.CORRUPT, f"The table cannot be read: {error}.") from error
        above = list(takewhile(_is_caption, rows[: _MOST_CAPTIONS + 1]))
        if len(above) > min(_MOST_CAPTIONS, len(rows) - 2):
            above = []
        rows = rows[len(above) :]
        captions = [" ".join(row[0].split()) for row in above]
        title = captions[0] if captions else source.stem
        column = str(options.get("columnName") or "").strip()
        if column:
            yield from _column(source, rows, column, title)
            return
        table = "\n\n".join(map(markdown_table, _tables(rows, [start - len(above) for start in starts])))
        heads = [f"# {title}", *map(escaped, captions[1:])] if captions else []
        text = "\n\n".join([*heads, table]) if table else ""
        yield required(document(source, text, title=title, form=Format.MARKDOWN), "The table is empty.")


def _rows_of(parsed: Iterable[list[str]]) -> tuple[list[list[str]], list[int]]:
    """The rows that hold something, and which of them stand below an empty one."""
    rows: list[list[str]] = []
    starts: list[int] = []
    gap = False
    for row in parsed:
        if any(map(str.strip, row)):
            if gap:
                starts.append(len(rows))
            rows.append(row)
            gap = False
        else:
            gap = True
    return rows, starts


def _tables(rows: Sequence[Sequence[str]], starts: Sequence[int]) -> Iterator[Sequence[Sequence[str]]]:
    """The rows, parted below empty ones where a row begins that is a header for sure: else they are data, and keep
    the header above them."""
    begun = 0
    for start, end in pairwise([*(start for start in starts if start > 0), len(rows)]):
        if start > begun and _has_header(rows[start:end]):
            yield rows[begun:start]
            begun = start
    yield rows[begun:]


def _has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names all columns, and in a column below it there are but numbers."""
    head = [cell.strip() for cell in rows[0]]
    while head and not head[-1]:
        head.pop()
    widest = max(max((at for at, cell in enumerate(row, start=1) if cell.strip()), default=0) for row in rows)
    if len(rows) < 2 or len(head) < 2 or len(head) != widest or len(set(head)) < len(head) or not all(head):
        return False
    if any(map(is_number, head)):
        return False
    return any(
        all(is_number(cell) for row in rows[1:] if at < len(row) and (cell := row[at].strip()))
        and any(at < len(row) and row[at].strip() for row in rows[1:])
        for at in range(len(head))
    )


def _is_caption(row: Sequence[str]) -> bool:
    return bool(row[0].strip()) and not any(map(str.strip, row[1:]))


class TsvLoader(CsvLoader):
    """CSV whose delimiter is the tabulator."""

    delimiter: ClassVar[str] = "\t"


def _column(source: Source, rows: list[list[str]], column: str, title: str) -> Iterator[Document]:
    header = [cell.strip() for cell in rows[0]] if rows else []
    if column not in header:
        raise LoaderError(
            Failure.BAD_OPTION, f"columnName: there is no column {column!r}; the columns are {', '.join(header)}."
        )
    index = header.index(column)
    found = False
    for number, row in enumerate(rows[1:], start=1):
        made = document(source, row[index] if index < len(row) else "", title=title, row=number)
        if made is not None:
            found = True
            yield made
    if not found:
        raise LoaderError(Failure.EMPTY, f"The column {column!r} is empty.")
