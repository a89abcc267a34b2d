"""Excel workbooks (XLSX, XLSM) by calamine."""

import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_core.documents import Document

from loaders import archives, drawings, numerals, ole, xml
from loaders.base import Failure, Format, Loader, LoaderError, Source, document
from loaders.sheets import MOST_CELLS, Place, Shown, Span, Value, markdown_of, too_many

if TYPE_CHECKING:
    from python_calamine import CalamineSheet

_FILLED = re.compile(rb'<(?:\w+:)?c\b[^>]*?\br="([A-Z]{1,3})([0-9]{1,7})"[^>]*(?<!/)>')
_ROWS = re.compile(rb'<(?:\w+:)?row\b[^>]*?\br="([0-9]{1,7})"')
_COLUMNS = re.compile(rb'\br="([A-Z]{1,3})[0-9]')
_NUMBER = re.compile(
    rb'<(?:\w+:)?c\s+r="([A-Z]{1,3})([0-9]{1,7})"(?:\s+(?:t="n"|cm="[0-9]+"))*+\s+s="([0-9]+)"(?:\s+(?:t="n"|cm="[0-9]+"))*+\s*>'
)
"""A cell that holds a number in a format, as programs write it: where it lies, and the format's place."""
_MOST_SPANNED = 5_000_000
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class _Beside:
    """What stands apart from the values of a sheet's cells: the codes of formatted numbers by row and column, from 0,
    the comments, the texts of what is drawn."""

    formats: Mapping[int, Mapping[int, str]] = field(default_factory=dict)
    notes: Mapping[Place, str] = field(default_factory=dict)
    drawn: Sequence[str] = ()


_NOTHING = _Beside()

_TITLE = "{http://purl.org/dc/elements/1.1/}title"


class XlsxLoader(Loader):
    """A document of `markdown` format a sheet, in order, hidden ones too, with the sheet's name as `sheet`.

    Formulas stand with the value that was stored with them, numbers with the percents, currency and units of their
    formats. Below its cells stand the comments on them, texts of shapes and titles of charts. The title is the
    workbook's property, else the file's name without suffix. A sheet whose filled cells lie so far apart that the area
    between them cannot be held is TOO_LARGE; what a sheet declares as its size does not matter.
    """

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The sheets in order."""
        data = source.read()
        if not data.strip():
            raise LoaderError(Failure.EMPTY, "The file is empty.")
        ole.refuse_encrypted(source)
        with source.open() as file:
            if "[Content_Types].xml" not in archives.check(file):
                raise LoaderError(Failure.CORRUPT, "The archive is not an Excel workbook.")
        title, beside = _inspect(source)
        title = title or source.stem
        found = False
        for name, text in _sheets(source, beside):
            made = document(source, text, title=title, form=Format.MARKDOWN, sheet=name)
            if made is not None:
                found = True
                yield made
        if not found:
            raise LoaderError(Failure.EMPTY, "No sheet of the workbook has a filled cell.")


def _inspect(source: Source) -> tuple[str, list[_Beside]]:
    """The workbook's title and what stands beside the cells of its sheets, in the order of its list, once none of the
    sheets spans more than can be held in memory.
    """
    with source.open() as file, zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            if name.startswith("xl/worksheets/") and name.endswith(".xml"):
                _check_span(name, archive)
        try:
            title = xml.parse(archive.read("docProps/core.xml")).findtext(_TITLE)
        except (KeyError, LoaderError):
            title = ""
        return str(title or "").strip(), list(_beside(archive))


def _beside(archive: zipfile.ZipFile) -> Iterator[_Beside]:
    """For each sheet what stands beside its cells, as far as the parts that say so are neither missing nor damaged."""
    try:
        book = xml.parse(archive.read("xl/workbook.xml"))
        relations = xml.parse(archive.read("xl/_rels/workbook.xml.rels"))
    except (KeyError, LoaderError):
        return
    try:
        given = enumerate(_codes(xml.parse(archive.read("xl/styles.xml"))))
        codes = {b"%d" % place: code for place, code in given if numerals.shown(0, code) is not None}
    except (KeyError, LoaderError):
        codes = {}
    targets = {each.get("Id"): each.get("Target", "") for each in relations}
    names = frozenset(archive.namelist())
    for sheet in book.iterfind("{*}sheets/{*}sheet"):
        key = next((value for name, value in sheet.attrib.items() if name.endswith("}id")), "")
        target = targets.get(key, "")
        name = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
        if name in names:
            yield _Beside(_styled(name, archive, codes) if codes else {}, *drawings.upon(name, archive))
        else:
            yield _NOTHING


def _codes(styles: Any) -> Iterator[str]:
    """The code of each of the formats that cells refer to by their place."""
    own = {each.get("numFmtId", ""): each.get("formatCode", "") for each in styles.iterfind("{*}numFmts/{*}numFmt")}
    for each in styles.iterfind("{*}cellXfs/{*}xf"):
        key = each.get("numFmtId", "0")
        yield own.get(key) or numerals.BUILT_IN.get(int(key) if key.isdecimal() else 0, numerals.GENERAL)


def _styled(name: str, archive: zipfile.ZipFile, codes: Mapping[bytes, str]) -> dict[int, dict[int, str]]:
    found: dict[int, dict[int, str]] = {}
    for block in _blocks(name, archive):
        for letters, number, style in _NUMBER.findall(block):
            code = codes.get(style)
            if code:
                found.setdefault(int(number) - 1, {})[_column(letters) - 1] = code
    return found


def _check_span(name: str, archive: zipfile.ZipFile) -> None:
    """Refuses a sheet whose filled cells, as a dense area, would not fit into memory.

    A first look takes the last row and every column that is named; where their area is too large, cells that only
    carry a format, which spreadsheets like to write far out, are told from filled ones.
    """
    bottom, columns = 0, set[bytes]()
    for block in _blocks(name, archive):
        bottom = max(bottom, *map(int, _ROWS.findall(block)), 0)
        columns.update(_COLUMNS.findall(block))
    if bottom * max(map(_column, columns), default=0) <= _MOST_SPANNED:
        return
    rows, places = set[int](), set[int]()
    for block in _blocks(name, archive):
        for letters, number in _FILLED.findall(block):
            rows.add(int(number))
            places.add(_column(letters))
    height, width = (max(found) - min(found) + 1 if found else 0 for found in (rows, places))
    if height * width > _MOST_SPANNED:
        raise LoaderError(
            Failure.TOO_LARGE,
            f"The cells of {name} lie in {height} rows and {width} columns; "
            f"areas of more than {_MOST_SPANNED} cells are not read.",
        )


def _blocks(name: str, archive: zipfile.ZipFile) -> Iterator[bytes]:
    """A part of the archive in blocks that end before a tag."""
    rest = b""
    with archive.open(name) as part:
        while block := part.read(_BLOCK):
            block = rest + block
            cut = max(block.rfind(b"<"), 0)
            yield block[:cut]
            rest = block[cut:]
    yield rest


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _sheets(source: Source, beside: list[_Beside]) -> Iterator[tuple[str, str]]:
    from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum

    left = MOST_CELLS
    try:
        with source.open() as file, CalamineWorkbook.from_filelike(file) as book:
            for place, meta in enumerate(book.sheets_metadata):
                if meta.typ is not SheetTypeEnum.WorkSheet:
                    continue
                sheet = book.get_sheet_by_name(meta.name)
                more = beside[place] if place < len(beside) else _NOTHING
                grid = _grid(sheet, more.formats)
                left -= sum(map(len, grid.values()))
                if left < 0:
                    raise too_many()
                yield meta.name, markdown_of(meta.name, grid, _merged(sheet), more.notes, more.drawn)
    except (CalamineError, ValueError, OSError) as error:
        raise LoaderError(Failure.CORRUPT, f"The workbook is damaged: {error}.") from error


def _grid(sheet: "CalamineSheet", formats: Mapping[int, Mapping[int, str]]) -> dict[int, dict[int, Value]]:
    if sheet.start is None:
        return {}
    top, left = sheet.start
    grid: dict[int, dict[int, Value]] = {}
    for number, row in enumerate(sheet.to_python(), start=top):
        filled: dict[int, Value] = {at: value for at, value in enumerate(row, start=left) if value != ""}
        for at, code in formats.get(number, {}).items():
            value = filled.get(at)
            if isinstance(value, float) and (text := numerals.shown(value, code)) is not None:
                filled[at] = Shown(text)
        if filled:
            grid[number] = filled
    return grid


def _merged(sheet: "CalamineSheet") -> list[Span]:
    return [(*first, *last) for first, last in sheet.merged_cell_ranges or []]
