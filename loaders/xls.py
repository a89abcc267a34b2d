"""Old Excel workbooks (XLS) by xlrd."""

import datetime
import os
import struct
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from langchain_core.documents import Document

from loaders import ole
from loaders.base import Failure, Format, Loader, LoaderError, Source, document
from loaders.numerals import shown
from loaders.sheets import MOST_CELLS, Shown, Span, Value, markdown_of, too_many


class XlsLoader(Loader):
    """A document of `markdown` format a sheet, in order, with the sheet's name as `sheet`; titled by the file's name.

    Formulas stand with the value that was stored with them, numbers with the percents, currency and units of their
    formats. Below its cells stand the comments on them.
    """

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The sheets in order."""
        data = source.read()
        if not data.strip():
            raise LoaderError(Failure.EMPTY, "The file is empty.")
        ole.refuse_encrypted(source)
        if data.startswith(b"PK"):
            raise LoaderError(Failure.CORRUPT, "The file is no old Excel workbook (XLS).")
        found = False
        for name, text in _sheets(data):
            made = document(source, text, title=source.stem, form=Format.MARKDOWN, sheet=name)
            if made is not None:
                found = True
                yield made
        if not found:
            raise LoaderError(Failure.EMPTY, "No sheet of the workbook has a filled cell.")


def _sheets(data: bytes) -> Iterator[tuple[str, str]]:
    import xlrd
    from xlrd.biffh import XLRDError
    from xlrd.compdoc import CompDocError

    left = MOST_CELLS
    with open(os.devnull, "w", encoding="utf-8") as log:  # xlrd tells of oddities there
        try:
            book = xlrd.open_workbook(file_contents=data, formatting_info=True, ragged_rows=True, logfile=log)
            for sheet in book.sheets():
                grid = {number: _row(sheet, number, book.datemode) for number in range(sheet.nrows)}
                left -= sum(map(len, grid.values()))
                if left < 0:
                    raise too_many()
                spans: list[Span] = [(top, at, end - 1, right - 1) for top, end, at, right in sheet.merged_cells]
                notes = {place: note.text for place, note in sheet.cell_note_map.items()}
                yield sheet.name, markdown_of(sheet.name, grid, spans, notes)
        except XLRDError as error:
            if "encrypted" in str(error).lower():
                raise LoaderError(Failure.ENCRYPTED, "The workbook is protected by a password.") from error
            raise LoaderError(Failure.CORRUPT, f"The workbook is damaged: {error}.") from error
        except (
            CompDocError, struct.error, AssertionError, LookupError, ValueError, TypeError, AttributeError,
            OverflowError, ArithmeticError,
        ) as error:  # fmt: skip
            raise LoaderError(Failure.CORRUPT, f"The workbook is damaged: {type(error).__name__}.") from error


def _row(sheet: Any, number: int, datemode: Literal[0, 1]) -> dict[int, Value]:
    made: dict[int, Value] = {}
    for at, cell in enumerate(sheet.row(number)):
        value = _value(cell, datemode)
        code = sheet.book.format_map[sheet.book.xf_list[cell.xf_index].format_key].format_str
        if cell.ctype == 3 and code.startswith(("[h", "[m", "[s")):
            value = datetime.timedelta(days=cell.value)
        elif cell.ctype == 2:  # a number
            text = shown(cell.value, code)
            value = Shown(text) if text is not None else value
        if value not in ("", None):
            made[at] = value
    return made


def _value(cell: Any, datemode: Literal[0, 1]) -> Value:
    import xlrd

    if cell.ctype == xlrd.XL_CELL_DATE:
        return _date(cell.value, datemode)
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return bool(cell.value)
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return str(xlrd.error_text_from_code.get(cell.value, "#ERROR"))
    if cell.ctype in (xlrd.XL_CELL_TEXT, xlrd.XL_CELL_NUMBER):
        found: str | float = cell.value
        return found
    return None


def _date(number: float, datemode: Literal[0, 1]) -> Value:
    import xlrd

    try:
        made: datetime.datetime = xlrd.xldate_as_datetime(number, datemode)
    except (xlrd.xldate.XLDateError, OverflowError, ValueError):
        return number  # a number that only looks like a date
    return made.time() if 0 <= number < 1 else made
