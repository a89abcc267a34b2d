"""Rich Text (RTF) by striprtf."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from langchain_core.documents import Document

from loaders.base import Failure, Format, Loader, LoaderError, Source, document
from loaders.marks import escaped
from loaders.tables import markdown_table

_TITLE = re.compile(r"\{\\title[ \r\n]?((?:[^{}\\]|\\.){1,1000})\}", re.DOTALL)
_CODEPAGE = re.compile(rb"\\ansicpg[0-9]{1,5}")
_NOTE = re.compile(rb"\{(?:\\\*)?\\footnote(?![a-z])")
_HIDDEN = re.compile(rb"\{(?:\\(?!(?:v|deleted)(?![a-z]))[a-z]++-?+[0-9]*+[ \r\n]*+)*+\\(?:v|deleted)(?![a-z0-9])")
"""Where a run begins that is hidden, or was deleted in a tracked change."""
_BRACE = re.compile(rb"\\[\\{}]|[{}]")
_START = b"{\\rtf"


def text_of(data: bytes) -> str:
    """The text of RTF without what is hidden, its tables as rows whose cells end in `|`, its footnotes last.

    Raises `LoaderError(CORRUPT)`.
    """
    from striprtf.striprtf import rtf_to_text

    try:
        made: str = rtf_to_text(  # type: ignore[no-untyped-call]  # the library has no types
            _with_notes_last(_without_hidden(data)).decode("latin-1"), encoding="cp1252", errors="replace"
        )
    except (ValueError, LookupError, TypeError, OverflowError) as error:
        raise LoaderError(Failure.CORRUPT, f"The RTF document is damaged: {error}.") from error
    return made.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # it leaves pairs of surrogates apart


def _without_hidden(data: bytes) -> bytes:
    parts: list[bytes] = []
    at = 0
    while (found := _HIDDEN.search(data, at)) and (end := _closing(data, found.end())):
        parts.append(data[at : found.start()])
        at = end + 1
    return b"".join([*parts, data[at:]])


def _with_notes_last(data: bytes) -> bytes:
    """RTF with its footnotes as paragraphs at the end, as what is marked as one is left out."""
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
    """One document, of `markdown` format when it holds tables, else of `text` format.

    The title is the document's property, else the file's name.
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
        text, tables = _with_tables(text_of(data))
        made = document(source, text, title=title, form=Format.MARKDOWN if tables else Format.TEXT)
        if made is None:
            raise LoaderError(Failure.EMPTY, "The document has no text.")
        yield made


def _with_tables(text: str) -> tuple[str, bool]:
    """The text with its rows of cells as Markdown tables, and whether there are any."""
    blocks: list[str] = []
    rows: list[list[str]] = []
    tables = False
    for line in [*text.splitlines(), ""]:
        if line.endswith("|") and line.count("|") > 1:
            rows.append(line[:-1].split("|"))
            continue
        if rows:
            blocks += ["", markdown_table(rows), ""]
            rows, tables = [], True
        blocks.append(line)
    made = re.sub(r"\n{3,}", "\n\n", "\n".join(blocks))
    return escaped(made) if tables else made, tables
