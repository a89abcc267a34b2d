"""Old Word documents (DOC), by the piece table that [MS-DOC] describes."""

import re
import struct
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from langchain_core.documents import Document

from loaders import marks, ole
from loaders.base import Failure, Format, Loader, LoaderError, Source, document, required
from loaders.marks import Piece
from loaders.numbering import BULLET, Lists
from loaders.paragraphs import Paragraph, Paragraphs
from loaders.tables import captioned_table, markdown_table
from loaders.unicode import decode

_WORD_97 = 193
"""The `nFib` from which on the piece table is Unicode."""

_MARKS = (0xA5EC, 0xA5DC)
_ENCRYPTED, _TABLE_STREAM = 0x0100, 0x0200
_CELL = "\x07"
_END = re.compile("[\r\x07\x0c]")
"""What paragraphs end with."""
_SIGNS = str.maketrans(
    {
        "\x0b": "\n",
        "\x0c": "\n",
        "\x1e": "-",
        "\x1f": "",
        "\x0d": "\n",
        "\xa0": " ",
        **dict.fromkeys("\x01\x02\x03\x04\x05\x08"),
    }
)
_WIDEST = 63
_SHORTEST_TITLE = 3  # Word takes the first letters of the text for a title


class DocLoader(Loader):
    """One document: the text with its foot- and endnotes and its text boxes, of `markdown` format when it holds tables
    or headings, else `text`.

    Headings are told by their styles; they and items of lists have the numbers that Word shows. Results of fields are
    read, their instructions not; headers, footers and comments are left out. The title is the document's property,
    else the first heading, else the file's name.
    """

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The file as one document."""
        with ole.opened(source, "Word document") as container:
            if not container.exists("WordDocument"):
                raise LoaderError(Failure.CORRUPT, "The file is not a Word document.")
            pieces = list(_blocks(_text(container)))
            title = _title(container)
        text, heading, is_marked = marks.joined(pieces)
        form = Format.MARKDOWN if is_marked else Format.TEXT
        yield required(document(source, text, title=title or heading, form=form), "The document has no text.")


def _title(container: Any) -> str:
    properties = container.get_metadata()
    title = decode(properties.title, f"cp{properties.codepage}").strip("\0 ") if properties.title else ""
    return title if len(title) >= _SHORTEST_TITLE else ""


@dataclass(frozen=True, slots=True)
class _Text:
    """Pieces of the text with the places of their first characters in the stream and their bytes a character; the
    ranges of characters to read, and what is known of the paragraphs."""

    pieces: Sequence[tuple[str, int, int]]
    ranges: Sequence[range]
    paragraphs: Paragraphs | None = None


def _text(container: Any) -> _Text:
    """The characters of the main text, the footnotes, the endnotes and the text boxes."""
    data = container.openstream("WordDocument").read()
    mark, version = struct.unpack_from("<HH", data)
    (flags,) = struct.unpack_from("<H", data, 0x0A)
    if mark not in _MARKS:
        raise LoaderError(Failure.CORRUPT, "The Word document has no file information block.")
    if flags & _ENCRYPTED:
        raise LoaderError(Failure.ENCRYPTED, "The Word document is protected by a password.")
    if version < _WORD_97:
        first, end = struct.unpack_from("<II", data, 0x18)
        text = data[first:end].decode("cp1252", "replace")
        return _Text([(text, first, 1)], [range(len(text))])
    main, footnotes, headers, _, comments, endnotes, boxes = struct.unpack_from("<7I", data, 0x4C)
    start, size = struct.unpack_from("<II", data, 0x01A2)
    table = container.openstream("1Table" if flags & _TABLE_STREAM else "0Table").read()
    pieces = list(_pieces(data, _piece_table(table[start : start + size])))
    later = main + footnotes + headers + comments
    ranges = [range(main + footnotes), range(later, later + endnotes + boxes)]
    return _Text(pieces, ranges, Paragraphs(data, table))


def _piece_table(clx: bytes) -> bytes:
    """The piece table behind the property modifiers that may stand before it."""
    at = 0
    while at < len(clx) and clx[at] == 1:
        at += 3 + struct.unpack_from("<H", clx, at + 1)[0]
    if at >= len(clx) or clx[at] != 2:
        raise LoaderError(Failure.CORRUPT, "The Word document has no table of its pieces.")
    (size,) = struct.unpack_from("<I", clx, at + 1)
    return clx[at + 5 : at + 5 + size]


def _pieces(data: bytes, table: bytes) -> Iterator[tuple[str, int, int]]:
    """The text of each piece, where it lies, and its bytes a character: `n + 1` character positions, then `n`
    descriptors of eight bytes. A piece lies at an offset in UTF-16, or, with bit 30 set, at half of it in
    Windows-1252."""
    count = (len(table) - 4) // 12
    positions = struct.unpack_from(f"<{count + 1}I", table)
    read = 0
    for index in range(count):
        (place,) = struct.unpack_from("<I", table, 4 * (count + 1) + 8 * index + 2)
        length = positions[index + 1] - positions[index]
        read += length
        if length < 0 or read > len(data):  # characters can be shared by pieces only in a made-up file
            raise LoaderError(Failure.CORRUPT, "The pieces of the Word document overlap.")
        if place & 0x40000000:
            start = (place & 0x3FFFFFFF) // 2
            yield data[start : start + length].decode("cp1252", "replace"), start, 1
        else:
            text = data[place : place + 2 * length].decode("utf-16-le", "replace")
            if len(text) < length:  # characters of two units: each is counted
                text = "".join(map(chr, struct.unpack_from(f"<{length}H", data, place)))
            yield text, place, 2


def _paragraphs(text: _Text) -> Iterator[tuple[str, str, Paragraph]]:
    """The text of each paragraph without the instructions of fields, its last character, and what is known of it.

    Instructions stand from 13h to 14h, or to 15h when there is no result; they may go over several paragraphs."""
    whole = "".join(piece for piece, _, _ in text.pieces)
    begins = list(accumulate((len(piece) for piece, _, _ in text.pieces), initial=0))
    for each in text.ranges:
        hidden: list[bool] = []
        shown = ""
        at = each.start
        while at < min(each.stop, len(whole)):
            found = _END.search(whole, at, each.stop)
            end = found.start() if found else min(each.stop, len(whole))
            shown += _visible(whole[at:end], hidden)
            at = end + 1
            if any(hidden) and at < each.stop:
                continue
            paragraph = Paragraph()
            if found and text.paragraphs is not None:
                number = bisect_right(begins, end) - 1
                _, start, width = text.pieces[number]
                paragraph = text.paragraphs.at(start + width * (end - begins[number]))
            yield (
                shown.encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
                found[0] if found else "",
                paragraph,
            )
            shown = ""


def _visible(text: str, hidden: list[bool]) -> str:
    """What is shown of a text; `hidden` are the fields that are open where it begins, then those where it ends."""
    parts: list[str] = []
    for piece in re.split("([\x13\x14\x15])", text):
        if piece == "\x13":
            hidden.append(True)
        elif piece == "\x14" and hidden:
            hidden[-1] = False
        elif piece == "\x15" and hidden:
            hidden.pop()
        elif piece not in ("\x13", "\x14", "\x15") and not any(hidden):
            parts.append(piece)
    return "".join(parts)


def _blocks(text: _Text) -> Iterator[Piece]:
    """The paragraphs and tables in order."""
    table = _Table()
    lists = text.paragraphs.lists if text.paragraphs is not None else Lists({}, {})
    for raw, end, known in _paragraphs(text):
        words = raw.translate(_SIGNS)
        mark = lists.count(str(known.list), known.level) if known.list else None
        number = mark[0] if mark and mark[0] != BULLET else ""
        if end == _CELL or known.in_table:
            words = " ".join(f"{number} {words}".split() if words.strip() else ())
            table.add(words, is_cell=end == _CELL and not known.is_inner, ends_row=known.ends_row)
            continue
        yield from table.ended()
        line = " ".join(words.split())
        if known.heading and line:
            yield True, " ".join(filter(None, ("#" * min(known.heading, 6), number, line)))
        elif mark and mark[0] and line:
            yield False, f"{'  ' * mark[1]}{mark[0]} {line}"
        else:
            yield False, words
    yield from table.ended()


class _Table:
    """Collects the cells of a table; not every file tells where its rows end."""

    def __init__(self) -> None:
        self._rows: list[list[str]] = []
        self._cells: list[str] = []
        self._parts: list[str] = []

    def add(self, words: str, *, is_cell: bool, ends_row: bool) -> None:
        """A paragraph of a cell, by which the cell or the row may end."""
        if ends_row:
            self._rows.append(self._cells)
            self._cells, self._parts = [], []
            return
        self._parts.append(words)
        if is_cell:
            self._cells.append(" ".join(filter(None, self._parts)))
            self._parts = []

    def ended(self) -> Iterator[Piece]:
        """The table, which ends here, and nothing where there is none."""
        if self._rows:
            yield from captioned_table([row for row in [*self._rows, self._cells] if any(row)])
        elif self._cells:
            yield from _table(self._cells)
        yield from ((False, part) for part in self._parts if part)
        self._rows, self._cells, self._parts = [], [], []


def _table(cells: list[str]) -> Iterator[Piece]:
    """The cells as a table. Each row ends in an empty cell; the number of columns is the one that fits all rows.

    Where none does, as in tables of uneven rows, each cell is a line.
    """
    for width in range(2, min(_WIDEST, len(cells)) + 1):
        if len(cells) % width == 0 and not any(cells[width - 1 :: width]) and any(cells[:width]):
            yield True, markdown_table([cells[at : at + width - 1] for at in range(0, len(cells), width)])
            return
    yield False, "\n".join(["", *filter(None, cells), ""])
