"""Rich Text (RTF) by striprtf."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from langchain_core.documents import Document

from loaders.base import Failure, Format, Loader, LoaderError, Source, document
from loaders.marks import Piece, joined
from loaders.tables import captioned_table

_TITLE = re.compile(r"\{\\title[ \r\n]?((?:[^{}\\]|\\.){1,1000})\}", re.DOTALL)
_CODEPAGE = re.compile(rb"\\ansicpg[0-9]{1,5}")
_NOTE = re.compile(rb"\{(?:\\\*)?\\(?:footnote|shptxt)(?![a-z])")
_HIDDEN = re.compile(rb"\{(?:\\(?!(?:v|deleted)(?![a-z]))[a-z]++-?+[0-9]*+[ \r\n]*+)*+\\(?:v|deleted)(?![a-z0-9])")
"""Where a run begins that is hidden, or was deleted in a tracked change."""
_BRACE = re.compile(rb"\\[\\{}]|[{}]")
_START = b"{\\rtf"
_HEADING, _ROW, _CELL_END, _ROW_END = "\x1f", "\x1c", "\x1d", "\x1e"
"""Marks of the start of a heading (its level follows) and of a row, and of the ends of a cell and of a row."""
_HEADING_STYLE = re.compile(rb"\{\\s([0-9]{1,4})(?![0-9])[^{}]*[ ](?:heading ([1-9])|title);", re.IGNORECASE)
_PARTS = re.compile(
    rb"\\(?:[\\{}]|s(?P<style>[0-9]{1,4})(?![0-9]) ?|(?P<part>trowd|nestcell|nestrow|cell|row)(?![a-z])-?[0-9]* ?)"
)
_TABLE_MARKS = {b"trowd": _ROW.encode(), b"cell": _CELL_END.encode(), b"row": _ROW_END.encode()}
_MARK = re.compile(rf"[ \t]*{_HEADING}([1-9])")
_BULLET = re.compile("^[ ]?[\uf000-\uf0ff\u00b7\u2022][ ]?\t")
"""Dots before items of lists, most of them in fonts of symbols."""


def text_of(data: bytes) -> str:
    """The text of RTF without what is hidden, its tables and headings in Markdown, its footnotes last.

    Raises `LoaderError(CORRUPT)`.
    """
    return _markdown(_text(data))[0]


def _text(data: bytes) -> str:
    """The text with `_ROW`, `_CELL_END`, `_ROW_END` and `_HEADING` where those are."""
    from striprtf.striprtf import rtf_to_text

    data = _marked(_with_notes_last(_without_hidden(data)))
    try:
        made: str = rtf_to_text(data.decode("latin-1"), encoding="cp1252", errors="replace")  # type: ignore[no-untyped-call]  # the library has no types
    except (ValueError, LookupError, TypeError, OverflowError) as error:
        raise LoaderError(Failure.CORRUPT, f"The RTF document is damaged: {error}.") from error
    return made.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # it leaves pairs of surrogates apart


def _marked(data: bytes) -> bytes:
    """RTF with marks in place of what parts tables, and before paragraphs in the styles of headings: its texts say
    neither where a row begins nor whether a cell has several paragraphs."""
    styles = {found[1]: found[2] or b"1" for found in _HEADING_STYLE.finditer(data)}

    def mark(found: re.Match[bytes]) -> bytes:
        if found["style"] is not None:
            return found[0] + (_HEADING.encode() + styles[found["style"]] if found["style"] in styles else b"")
        return _TABLE_MARKS.get(found["part"], b" ") if found["part"] else found[0]

    return _PARTS.sub(mark, data)


def _without_hidden(data: bytes) -> bytes:
    parts: list[bytes] = []
    at = 0
    while (found := _HIDDEN.search(data, at)) and (end := _closing(data, found.end())):
        parts.append(data[at : found.start()])
        at = end + 1
    return b"".join([*parts, data[at:]])


def _with_notes_last(data: bytes) -> bytes:
    """RTF with its footnotes and text boxes as paragraphs at the end, as what is marked as one is left out."""
    parts: list[bytes] = []
    notes: list[bytes] = []
    at = 0
    while (found := _NOTE.search(data, at)) and (end := _closing(data, found.end())):
        parts.append(data[at : found.start()])
        notes.append(b"\\par\\par{" + data[found.end() : end] + b"}")
        at = end + 1
    last = data.rfind(b"}", at) if notes else -1
    last = last if last >= 0 else len(data)
    return b"".join([*parts, data[at:last], *notes, data[last:]])


def _closing(data: bytes, at: int) -> int:
    """Where the group ends that `at` lies in; 0 when it does not."""
    depth = 1
    for found in _BRACE.finditer(data, at):
        depth += {b"{": 1, b"}": -1}.get(found.group(), 0)
        if not depth:
            return found.start()
    return 0


class RtfLoader(Loader):
    """One document, of `markdown` format when it holds tables or headings, else of `text` format.

    The title is the document's property, else the first heading, else the file's name.
    """

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The file as one document."""
        data = source.read()
        if not data.strip():
            raise LoaderError(Failure.EMPTY, "The file is empty.")
        if not data.lstrip().startswith(_START):
            raise LoaderError(Failure.CORRUPT, "The file is not RTF.")
        named = _TITLE.search(data[:65536].decode("latin-1"))
        codepage = _CODEPAGE.search(data[:1024])
        start = b"{\\rtf1\\ansi" + (codepage.group() if codepage else b"") + b" "
        title = text_of(start + named.group(1).encode("latin-1") + b"}") if named else ""
        text, heading, is_marked = _markdown(_text(data))
        made = document(source, text, title=title or heading, form=Format.MARKDOWN if is_marked else Format.TEXT)
        if made is None:
            raise LoaderError(Failure.EMPTY, "The document has no text.")
        yield made


def _markdown(text: str) -> tuple[str, str, bool]:
    """The text with its headings and tables in Markdown, the first heading, and whether there are any of both."""
    pieces: list[Piece] = []
    rows: list[list[str]] = []
    *parts, last = text.split(_ROW_END)
    for part in parts:
        before, cells = _row(part)
        if before.strip():
            pieces += [*captioned_table(rows), *_lines(before)]
            rows = []
        rows += [cells] if any(cells) else []
    pieces += [*captioned_table(rows), *_lines(last)]
    return joined(pieces)


def _row(part: str) -> tuple[str, list[str]]:
    """What stands before a row, and the texts of its cells; some programs write what a row is like a second time."""
    before, begun, row = part.partition(_ROW)
    if not begun:  # its first line is the row's
        start = part.find(_CELL_END) + 1 and part.rfind("\n", 0, part.find(_CELL_END)) + 1
        before, row = part[:start], part[start:]
    *cells, rest = row.replace(_ROW, "").split(_CELL_END)
    cells = [" ".join(_MARK.sub("", cell).split()) for cell in cells]
    if rest.strip() and cells:
        cells[-1] = f"{cells[-1]} {' '.join(rest.split())}".strip()
    return before, cells


def _lines(text: str) -> Iterator[Piece]:
    for line in text.replace(_ROW, "").replace(_CELL_END, " ").split("\n"):
        heading = _MARK.match(line)
        words = _MARK.sub("", line)
        if heading and words.strip():
            yield True, f"{'#' * min(int(heading[1]), 6)} {' '.join(words.split())}"
        else:
            yield False, _BULLET.sub("- ", words)
