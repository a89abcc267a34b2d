"""Rows of cells to Markdown tables, the one way for all loaders."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile

from loaders.marks import Piece, escaped

_LONGEST_HEAD = 60
_NUMBER = re.compile(r"(?!(?:19|20)\d\d\Z)[-+(]?[$€£¥]?\s?\d[\d.,]*\s?[%)]?")


def cell(value: str) -> str:
    """A cell's text on one line, with `|` escaped."""
    return " ".join(value.split()).replace("|", "\\|")


def headed_table(rows: Sequence[Sequence[str]], spans: Iterable[tuple[int, int]]) -> str:
    """The rows as `markdown_table` has them, with the first two as one header where cells of the first reach over
    several columns that the second names. Long ones are captions: they stand above the table instead. `spans` are
    those cells of the first row: first column and number of columns.

    The second row is one of data where it has numbers there (years aside), or text below other text.
    """
    over = {column: at for at, width in spans if width > 1 for column in range(at, at + width)}
    if len(rows) < 3 or not over:
        return markdown_table(rows)
    wide = max(len(rows[0]), len(rows[1]), max(over) + 1)
    top, below = ([*row, *[""] * (wide - len(row))] for row in rows[:2])
    for column in range(wide):
        if column in over:
            if not below[column].strip() or _NUMBER.fullmatch(below[column].strip()):
                return markdown_table(rows)
        elif top[column] and below[column] and top[column] != below[column]:
            return markdown_table(rows)
    captions = [escaped(cell(top[at])) for at in dict.fromkeys(over.values()) if len(top[at]) > _LONGEST_HEAD]
    top = ["" if column in over and len(text) > _LONGEST_HEAD else text for column, text in enumerate(top)]
    pairs = ((top[over.get(column, column)], below[column]) for column in range(wide))
    head = [" ".join(dict.fromkeys(filter(None, pair))) for pair in pairs]
    return "\n\n".join([*captions, markdown_table([head, *rows[2:]])])


def is_number(text: str) -> bool:
    """Whether a cell holds an amount: digits with what may stand around them, but no year."""
    return _NUMBER.fullmatch(text) is not None


def captioned_table(rows: Sequence[Sequence[str]]) -> Iterator[Piece]:
    """A table below its first rows of one cell, which are its captions; one of a single column is lines."""
    widest = max(map(len, rows), default=0)
    captions = list(takewhile(lambda row: len(row) == 1, rows))
    for (caption,) in captions:
        yield False, f"\n{caption}\n" if widest > 1 else caption
    if widest > 1:
        yield True, markdown_table(rows[len(captions) :])


def markdown_table(rows: Iterable[Sequence[str]]) -> str:
    """The rows as a Markdown table whose header is the first of them; empty rows and columns are left out.

    Ragged rows are filled up. No rows give an empty string.
    """
    cells = [[cell(value) for value in row] for row in rows]
    cells = [row for row in cells if any(row)]
    if not cells:
        return ""
    width = max(len(row) for row in cells)
    used = [index for index in range(width) if any(index < len(row) and row[index] for row in cells)]
    if len(used) < width or any(len(row) < width for row in cells):
        cells = [[row[i] if i < len(row) else "" for i in used] for row in cells]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    lines.insert(1, "|" + " --- |" * len(used))
    return "\n".join(lines)
