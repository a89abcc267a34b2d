"""Old Word documents (DOC), by the piece table that [MS-DOC] describes."""

import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from langchain_core.documents import Document

from loaders import ole
from loaders.base import Failure, Format, Loader, LoaderError, Source, document, required
from loaders.marks import escaped
from loaders.tables import markdown_table
from loaders.unicode import decode

_WORD_97 = 193
"""The `nFib` from which on the piece table is Unicode."""

_MARKS = (0xA5EC, 0xA5DC)
_ENCRYPTED, _TABLE_STREAM = 0x0100, 0x0200
_CELL = "\x07"
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
    """One document: the text with its foot- and endnotes, of `markdown` format when it holds tables, else `text`.

    Results of fields are read, their instructions not; headers, footers and comments are left out. Styles are not read,
    so headings are plain lines. The title is the document's property, else the file's name.
    """

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The file as one document."""
        with ole.opened(source, "Word document") as container:
            if not container.exists("WordDocument"):
                raise LoaderError(Failure.CORRUPT, "The file is not a Word document.")
            text = _text(container)
            title = _title(container)
        marked, tables = _with_tables(_without_fields(text))
        form = Format.MARKDOWN if tables else Format.TEXT
        yield required(document(source, marked, title=title, form=form), "The document has no text.")


def _title(container: Any) -> str:
    properties = container.get_metadata()
    title = decode(properties.title, f"cp{properties.codepage}").strip("\0 ") if properties.title else ""
    return title if len(title) >= _SHORTEST_TITLE else ""


def _text(container: Any) -> str:
    """The characters of the main text, the footnotes and the endnotes."""
    data = container.openstream("WordDocument").read()
    mark, version = struct.unpack_from("<HH", data)
    (flags,) = struct.unpack_from("<H", data, 0x0A)
    if mark not in _MARKS:
        raise LoaderError(Failure.CORRUPT, "The Word document has no file information block.")
    if flags & _ENCRYPTED:
        raise LoaderError(Failure.ENCRYPTED, "The Word document is protected by a password.")
    if version < _WORD_97:
        first, end = struct.unpack_from("<II", data, 0x18)
        return str(data[first:end].decode("cp1252", "replace"))
    main, footnotes, headers, _, comments, endnotes = struct.unpack_from("<6I", data, 0x4C)
    start, size = struct.unpack_from("<II", data, 0x01A2)
    table = container.openstream("1Table" if flags & _TABLE_STREAM else "0Table").read()
    every = "".join(_pieces(data, _piece_table(table[start : start + size])))
    notes = main + footnotes
    later = notes + headers + comments
    return every[:notes] + "\r" + every[later : later + endnotes]


def _piece_table(clx: bytes) -> bytes:
    """The piece table behind the property modifiers that may stand before it."""
    at = 0
    while at < len(clx) and clx[at] == 1:
        at += 3 + struct.unpack_from("<H", clx, at + 1)[0]
    if at >= len(clx) or clx[at] != 2:
        raise LoaderError(Failure.CORRUPT, "The Word document has no table of its pieces.")
    (size,) = struct.unpack_from("<I", clx, at + 1)
    return clx[at + 5 : at + 5 + size]


def _pieces(data: bytes, table: bytes) -> Iterator[str]:
    """The text of each piece: `n + 1` character positions, then `n` descriptors of eight bytes. A piece lies at an
    offset in UTF-16, or, with bit 30 set, at half of it in Windows-1252."""
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
            yield data[start : start + length].decode("cp1252", "replace")
        else:
            yield data[place : place + 2 * length].decode("utf-16-le", "replace")


def _without_fields(text: str) -> str:
    """The text without the instructions of fields, which stand from 13h to 14h, or to 15h when there is no result."""
    parts: list[str] = []
    hidden: list[bool] = []
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


def _with_tables(text: str) -> tuple[str, bool]:
    """The text with its tables in Markdown, and whether there are any."""
    blocks: list[str] = []
    cells: list[str] = []
    tables = False
    for paragraph in re.split("(?<=[\r\x07\x0c])", text):
        if paragraph.endswith(_CELL):
            cells.append(paragraph[:-1])
            continue
        if cells:
            made = _table(cells)
            blocks += ["", *made, ""]
            tables = tables or made[0].startswith("|")
            cells = []
        blocks.append(paragraph.translate(_SIGNS).rstrip("\n"))
    if cells:
        blocks += ["", *_table(cells)]
    whole = re.sub(r"\n{3,}", "\n\n", "\n".join(blocks))
    return escaped(whole) if tables else whole, tables


def _table(cells: list[str]) -> list[str]:
    """The cells as a table. Each row ends in an empty cell; the number of columns is the one that fits all rows.

    Where none does, as in tables of uneven rows, each cell is a line.
    """
    texts = [" ".join(cell.translate(_SIGNS).split()) for cell in cells]
    for width in range(2, min(_WIDEST, len(texts)) + 1):
        if len(texts) % width == 0 and not any(texts[width - 1 :: width]) and any(texts[:width]):
            return [markdown_table([texts[at : at + width - 1] for at in range(0, len(texts), width)])]
    return [text for text in texts if text] or [""]
