"""The properties of paragraphs in old Word documents, as [MS-DOC] stores them: headings, lists, cells of tables."""

import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace

from loaders.numbering import Level, List, Lists, Number

_FIB_PAIRS, _STYLES, _PROPERTIES, _LISTS, _NUMBERS = 0x9A, 1, 13, 73, 74
"""Where the places of parts in the table stream are written, and which is which."""
_PAGE = 512
_PAPER = 0x3FFFFF
_TITLE = 62
_HEADINGS = range(1, 10)
_BODY = 9
_LEVELS = 9
_IN_TABLE, _ROW_END, _DEPTH, _INNER_CELL, _INNER_ROW = 0x2416, 0x2417, 0x6649, 0x244B, 0x244C
_LEVEL, _LIST, _OUTLINE, _STYLE = 0x260A, 0x460B, 0x2640, 0x4600
_TABLE_WIDTHS = 0xD608
_SIZES = (1, 1, 2, 4, 2, 2, 0, 3)
"""Bytes of a property by the first bits of its code; 0 is told by its first byte."""
_KINDS = {0: "decimal", 1: "upperRoman", 2: "lowerRoman", 3: "upperLetter", 4: "lowerLetter", 22: "decimalZero",
          23: "bullet", 255: "none"}  # fmt: skip
_MOST_BASES = 20


@dataclass(frozen=True, slots=True)
class Paragraph:
    """What is known of a paragraph: the level of its heading (0: it is none), its list (from 1; 0: none) and its
    place in that, and where it stands in tables."""

    heading: int = 0
    list: int = 0
    level: int = 0
    in_table: bool = False
    ends_row: bool = False
    is_inner: bool = False
    """In a table within a cell."""


class Paragraphs:
    """The paragraphs of one document by the places of their last characters in the stream of its text."""

    def __init__(self, data: bytes, table: bytes) -> None:
        """`data` is the stream of the text, `table` that of its tables. Parts that are damaged count as missing."""
        self._data = data
        self._starts: list[int] = []
        self._found: list[Paragraph] = []
        self.lists = Lists({}, {})
        try:
            self._styles = list(_styles(_part(data, table, _STYLES)))
            for start, style, properties in _runs(data, _part(data, table, _PROPERTIES)):
                self._starts.append(start)
                self._found.append(_with(self._style(style), properties, self._styles))
            self.lists = Lists(*_lists(data, table))
        except (struct.error, IndexError):
            self._starts, self._found = self._starts[: len(self._found)], self._found[: len(self._starts)]
        order = sorted(range(len(self._starts)), key=self._starts.__getitem__)
        self._starts, self._found = [self._starts[at] for at in order], [self._found[at] for at in order]

    def at(self, place: int) -> Paragraph:
        """The properties of the paragraph whose last character lies there."""
        index = bisect_right(self._starts, place) - 1
        return self._found[index] if index >= 0 else Paragraph()

    def _style(self, number: int) -> Paragraph:
        return _styled(number, self._styles)


@dataclass(frozen=True, slots=True)
class _Style:
    kind: int
    base: int
    properties: bytes


def _styled(number: int, styles: "list[_Style | None]") -> Paragraph:
    """What the style of a paragraph says of it."""
    chain: list[_Style] = []
    while number < len(styles) and len(chain) < _MOST_BASES and (style := styles[number]) is not None:
        chain.append(style)
        number = style.base
    made = Paragraph()
    for style in reversed(chain):
        if style.kind in _HEADINGS:
            made = replace(made, heading=style.kind, level=style.kind - 1)
        made = replace(made, heading=1) if style.kind == _TITLE else made
        made = _with(made, style.properties, styles)
    return made


def _with(base: Paragraph, properties: bytes, styles: "list[_Style | None]") -> Paragraph:
    """A paragraph with its own properties on top of those of its style."""
    made = base
    for code, value in _sprms(properties):
        number = int.from_bytes(value, "little")
        if code == _STYLE:
            made = _styled(number, styles)
        elif code == _IN_TABLE:
            made = replace(made, in_table=bool(number))
        elif code == _ROW_END:
            made = replace(made, ends_row=bool(number))
        elif code == _DEPTH:
            made = replace(made, in_table=number > 0, is_inner=1 < number < _PAGE)
        elif code in (_INNER_CELL, _INNER_ROW):
            made = replace(made, is_inner=bool(number))
        elif code == _LEVEL:
            made = replace(made, level=min(number, _LEVELS - 1))
        elif code == _LIST:
            made = replace(made, list=number if 0 < number < 0x07FF else 0)
        elif code == _OUTLINE:
            made = replace(made, heading=number + 1 if number < _BODY else 0)
    return made


def _sprms(properties: bytes) -> Iterator[tuple[int, bytes]]:
    """The single properties: their codes and values."""
    at = 0
    while at + 2 < len(properties):
        (code,) = struct.unpack_from("<H", properties, at)
        at += 2
        size = _SIZES[code >> 13]
        if not size and code == _TABLE_WIDTHS:
            size = struct.unpack_from("<H", properties, at)[0] + 1
        elif not size:
            size = properties[at] + 1
        yield code, properties[at : at + size]
        at += size


def _part(data: bytes, table: bytes, number: int) -> bytes:
    start, size = struct.unpack_from("<II", data, _FIB_PAIRS + 8 * number)
    return table[start : start + size]


def _styles(sheet: bytes) -> "Iterator[_Style | None]":
    """The styles of the document; None for places without a style, and for those that are not of paragraphs."""
    (head, count, base) = struct.unpack_from("<HHH", sheet)
    at = 2 + head
    for _ in range(count):
        (size,) = struct.unpack_from("<H", sheet, at)
        style = sheet[at + 2 : at + 2 + size]
        at += 2 + size + size % 2
        if size < base + 2:
            yield None
            continue
        kind, of, _ = struct.unpack_from("<HHH", style)
        name = base + 2 + 2 * (struct.unpack_from("<H", style, base)[0] + 1)
        if of & 0xF != 1 or name + 4 > len(style):
            yield None if of & 0xF != 1 else _Style(kind & 0xFFF, of >> 4, b"")
            continue
        (width,) = struct.unpack_from("<H", style, name)
        yield _Style(kind & 0xFFF, of >> 4, style[name + 4 : name + 2 + width])


def _runs(data: bytes, table: bytes) -> Iterator[tuple[int, int, bytes]]:
    """For each run of the text, by its first byte, the style of its paragraph and the properties beside that."""
    count = (len(table) - 4) // 8
    for (page,) in struct.iter_unpack("<I", table[4 * (count + 1) : 4 * (count + 1) + 4 * count]):
        sheet = data[(page & _PAPER) * _PAGE : ((page & _PAPER) + 1) * _PAGE]
        runs = sheet[_PAGE - 1]
        for number, (start,) in enumerate(struct.iter_unpack("<I", sheet[: 4 * runs])):
            at = 2 * sheet[4 * (runs + 1) + 13 * number]
            if not at:
                yield start, 0, b""
                continue
            words, at = sheet[at], at + 1
            size = 2 * words - 1
            if not words:
                size, at = 2 * sheet[at], at + 1
            yield start, struct.unpack_from("<H", sheet, at)[0], sheet[at + 2 : at + size]


def _lists(data: bytes, table: bytes) -> tuple[dict[str, List], dict[str, Number]]:
    """The document's lists and the numbers that paragraphs name them by."""
    start, size = struct.unpack_from("<II", data, _FIB_PAIRS + 8 * _LISTS)
    lists: dict[str, List] = {}
    if size < 2:
        return {}, {}
    (count,) = struct.unpack_from("<H", table, start)
    at = start + 2 + 28 * count
    for number in range(count):
        key, flags = struct.unpack_from("<i22xB", table, start + 2 + 28 * number)
        levels: dict[int, Level] = {}
        for place in range(1 if flags & 1 else _LEVELS):
            levels[place], at = _level(table, at)
        lists[str(key)] = List(levels)
    start, size = struct.unpack_from("<II", data, _FIB_PAIRS + 8 * _NUMBERS)
    if size < 4:
        return lists, {}
    (count,) = struct.unpack_from("<I", table, start)
    at = start + 4 + 16 * count
    numbers: dict[str, Number] = {}
    for number in range(min(count, size // 16)):
        key, overrides = struct.unpack_from("<i8xB", table, start + 4 + 16 * number)
        begin: dict[int, int] = {}
        own: dict[int, Level] = {}
        at += 4
        for _ in range(overrides):
            first, flags = struct.unpack_from("<iI", table, at)
            at += 8
            if flags & 0x20:
                own[flags & 0xF], at = _level(table, at)
            elif flags & 0x10:
                begin[flags & 0xF] = first
        numbers[str(number + 1)] = (str(key), begin, own)
    return lists, numbers


def _level(table: bytes, at: int) -> tuple[Level, int]:
    """A level of a list, and where the next begins. In its text characters below 9 stand for numbers of levels."""
    start, kind, flags, characters, paragraphs, limit = struct.unpack_from("<iBB18xBBB", table, at)
    at += 28 + paragraphs + characters
    (length,) = struct.unpack_from("<H", table, at)
    raw = table[at + 2 : at + 2 + 2 * length].decode("utf-16-le", "replace")
    text = "".join(f"%{ord(letter) + 1}" if ord(letter) < _LEVELS else letter for letter in raw)
    restart = limit if flags & 8 else _LEVELS
    return Level(
        start, _KINDS.get(kind, "decimal"), text, decimal=bool(flags & 4), restart=restart
    ), at + 2 + 2 * length
