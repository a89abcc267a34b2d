"""OpenDocument text, spreadsheets and presentations (ODT, ODS, ODP) to Markdown."""

import datetime
import re
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from langchain_core.documents import Document

from loaders import archives, xml
from loaders.base import Failure, Format, Loader, LoaderError, Source, document, required
from loaders.marks import escaped
from loaders.sheets import MOST_CELLS, Span, Value, markdown_of, too_many
from loaders.tables import markdown_table

_URN = "urn:oasis:names:tc:opendocument:xmlns:"
_TEXT, _TABLE, _OFFICE = f"{{{_URN}text:1.0}}", f"{{{_URN}table:1.0}}", f"{{{_URN}office:1.0}}"
_STYLE, _TITLE_STYLE = f"{{{_URN}style:1.0}}", "Title"
_DRAW = f"{{{_URN}drawing:1.0}}"
_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_NOT_READ = frozenset({_TEXT + "tracked-changes", _OFFICE + "annotation", _OFFICE + "forms", _TEXT + "note-citation"})
_PRESENTATION, _PLACE = f"{{{_URN}presentation:1.0}}", f"{{{_URN}svg-compatible:1.0}}"
_MARGIN_CLASSES = frozenset({"page-number", "footer", "header", "date-time"})
_SHAPES = frozenset(
    {_DRAW + name for name in ("custom-shape", "rect", "ellipse", "circle", "polygon", "path", "caption")}
)
_THROUGH = _SHAPES | frozenset(
    {_TEXT + "section", _TEXT + "table-of-content", _TEXT + "index-body", _DRAW + "frame", _DRAW + "text-box",
     _DRAW + "g", _TEXT + "numbered-paragraph", _TEXT + "alphabetical-index", _TEXT + "bibliography"}
)  # fmt: skip
_LENGTH = re.compile(r"-?[0-9]{1,6}(?:\.[0-9]{1,6})?")
_HEADING = re.compile(r"#{1,6} (.+)")
_DEEPEST = 256  # deeper than the XML parser goes
_MOST_REPEATED = 1000


class _OpenDocumentLoader(Loader):
    """What both kinds share: the checked archive, its title, its body."""

    kind: ClassVar[str]
    """The element of the body that the kind has."""

    def _open(self, source: Source) -> tuple[str, Any]:
        """The document's title (may be empty) and the element of its body."""
        if not source.read().strip():
            raise LoaderError(Failure.EMPTY, "The file is empty.")
        with source.open() as file:
            names = archives.check(file, doctypes=True)
        if "content.xml" not in names:
            raise LoaderError(Failure.CORRUPT, "The archive is not an OpenDocument file.")
        with source.open() as file, zipfile.ZipFile(file) as archive:
            if "META-INF/manifest.xml" in names and b"encryption-data" in archive.read("META-INF/manifest.xml"):
                raise LoaderError(Failure.ENCRYPTED, "The document is protected by a password.")
            root = xml.parse(archive.read("content.xml"), "document")
            meta = xml.parse(archive.read("meta.xml"), "document") if "meta.xml" in names else None
        body = root.find(f"{_OFFICE}body/{_OFFICE}{self.kind}")
        if body is None:
            raise LoaderError(Failure.CORRUPT, f"The OpenDocument file holds no {self.kind}.")
        title = meta.find(f".//{_TITLE}") if meta is not None else None
        self._titles = {_TITLE_STYLE, *_styles_of_titles(root)}
        return (xml.words(title) if title is not None else ""), body


def _styles_of_titles(root: Any) -> Iterator[str]:
    """The names of automatic styles, which every change by hand makes, that stand for the style of titles."""
    for style in root.iterfind(f"{_OFFICE}automatic-styles/{_STYLE}style"):
        if style.get(_STYLE + "parent-style-name") == _TITLE_STYLE:
            yield style.get(_STYLE + "name", "")


class OdtLoader(_OpenDocumentLoader):
    """One document of `markdown` format: headings, paragraphs, lists, tables, text boxes and notes where they stand.

    Deleted text of tracked changes and comments are left out. The title is the document's property, else the first
    heading, else the file's name.
    """

    kind: ClassVar[str] = "text"

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The file as one document."""
        title, body = self._open(source)
        for paragraph in body.iter(_TEXT + "p"):
            if paragraph.get(_TEXT + "style-name") in self._titles:
                paragraph.tag = _TEXT + "h"
        blocks = list(_blocks(body, 0))
        heading = next((found[1] for block in blocks if (found := _HEADING.match(block))), "")
        text = "\n\n".join(blocks)
        yield required(
            document(source, text, title=title or heading, form=Format.MARKDOWN), "The document has no text."
        )


class OdsLoader(_OpenDocumentLoader):
    """A document of `markdown` format a sheet, with the sheet's name as `sheet`.

    Cells stand as they are displayed. The title is the document's property, else the file's name without suffix.
    """

    kind: ClassVar[str] = "spreadsheet"

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The sheets in order."""
        title, body = self._open(source)
        left = MOST_CELLS
        found = False
        for table in body.iterfind(_TABLE + "table"):
            name = table.get(_TABLE + "name", "")
            grid, merged = _grid(table, left)
            left -= sum(map(len, grid.values()))
            text = markdown_of(name, grid, merged)
            made = document(source, text, title=title or source.stem, form=Format.MARKDOWN, sheet=name)
            if made is not None:
                found = True
                yield made
        if not found:
            raise LoaderError(Failure.EMPTY, "No sheet has a filled cell.")


class OdpLoader(_OpenDocumentLoader):
    """A document of `markdown` format a slide, with its number as `page` and the count as `pages`.

    A slide's title is a heading; then come its texts, lists and tables from top to bottom, last the speaker's notes.
    Slide numbers, dates and footers are left out, slides without text too. The title is the document's property, else
    the first slide's, else the file's name.
    """

    kind: ClassVar[str] = "presentation"

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The slides in order."""
        title, body = self._open(source)
        slides = [[block for block in _slide(page) if block] for page in body.iterfind(_DRAW + "page")]
        heading = _HEADING.match(next(iter(slides[0]), "")) if slides else None
        title = title or (heading[1] if heading else "")
        found = False
        for number, blocks in enumerate(slides, start=1):
            text = "\n\n".join(blocks)
            made = document(source, text, title=title, form=Format.MARKDOWN, page=number, pages=len(slides))
            if made is not None:
                found = True
                yield made
        if not found:
            raise LoaderError(Failure.EMPTY, f"None of the {len(slides)} slides has text.")


def _slide(page: Any) -> Iterator[str]:
    notes = page.find(_PRESENTATION + "notes")
    shapes = [each for each in page if each is not notes and each.get(_PRESENTATION + "class") not in _MARGIN_CLASSES]
    title = next((each for each in shapes if each.get(_PRESENTATION + "class") == "title"), None)
    words = " ".join(map(_inline, title.iter(_TEXT + "p"))) if title is not None else ""
    yield f"# {' '.join(words.split())}" if words.strip() else ""
    for shape in sorted(shapes, key=_height):
        if shape is not title:
            yield "\n\n".join(_block(shape, 0, plain=False))
    told = [] if notes is None else [text for box in notes.iter(_DRAW + "text-box") for text in _blocks(box, 0)]
    yield "Notes: " + "\n".join(told) if told else ""


def _height(shape: Any) -> tuple[float, float]:
    """Where a shape lies on its slide, from the top, then from the left."""
    top, left = (_LENGTH.match(shape.get(_PLACE + name, "")) for name in ("y", "x"))
    return (float(top[0]) if top else 0.0), (float(left[0]) if left else 0.0)


def _count(element: Any, name: str) -> int:
    value = element.get(_TABLE + name, "1")
    return max(int(value), 1) if value.isdecimal() and len(value) < 9 else 1


def _grid(table: Any, left: int) -> tuple[dict[int, dict[int, Value]], list[Span]]:
    """The filled cells and the merged ones. A filled cell or row that is repeated more than `_MOST_REPEATED` times is
    the pattern of an area, not data: it stands once."""
    grid: dict[int, dict[int, Value]] = {}
    merged: list[Span] = []
    number = 0
    for row in table.iter(_TABLE + "table-row"):
        times = _count(row, "number-rows-repeated")
        filled: dict[int, Value] = {}
        at = 0
        for piece in row.iterchildren(_TABLE + "table-cell", _TABLE + "covered-table-cell"):
            repeated = _count(piece, "number-columns-repeated")
            value = _value(piece)
            if value not in ("", None):
                filled.update(dict.fromkeys(range(at, at + (repeated if repeated <= _MOST_REPEATED else 1)), value))
                height, width = _count(piece, "number-rows-spanned"), _count(piece, "number-columns-spanned")
                if height > 1 or width > 1:
                    merged.append((number, at, number + height - 1, at + width - 1))
            at += repeated
        if filled:
            again = times if times <= _MOST_REPEATED else 1
            left -= len(filled) * again
            if left < 0:
                raise too_many()
            grid.update({number + index: filled for index in range(again)})
        number += times
    return grid, merged


def _value(piece: Any) -> Value:
    text = " ".join(filter(None, (_inline(part) for part in piece.iterchildren(_TEXT + "p", _TEXT + "h"))))
    kind = piece.get(_OFFICE + "value-type", "string")
    if kind == "float" and (not text or _plain(text)):
        return _plain(text) or _plain(piece.get(_OFFICE + "value", ""))
    if kind == "date":
        stamp = piece.get(_OFFICE + "date-value", "")
        try:
            return datetime.datetime.fromisoformat(stamp)
        except ValueError:
            return text or stamp
    return text or piece.get(_OFFICE + "value") or piece.get(_OFFICE + "string-value")


def _plain(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _blocks(parent: Any, depth: int) -> Iterator[str]:
    """The Markdown blocks of what `parent` holds; plain text in a cell of a table needs no marks against reading it
    for something else."""
    plain = parent.tag == _TABLE + "table-cell"
    for child in parent:
        yield from _block(child, depth, plain=plain)


def _block(child: Any, depth: int, *, plain: bool) -> Iterator[str]:
    """The blocks of one element; `plain` in a cell of a table, where lists and tables are
    their words."""
    if child.tag in _NOT_READ:
        return
    if child.tag == _TEXT + "h":
        text = _inline(child)
        level = child.get(_TEXT + "outline-level", "1")
        yield from [f"{'#' * min(int(level), 6) if level.isdecimal() else '#'} {text}"] if text else []
    elif child.tag == _TEXT + "p":
        text = _inline(child, lines=True)
        yield from filter(None, [text if plain else escaped(text)])
        for box in child.iter(_DRAW + "text-box"):
            yield from _blocks(box, depth + 1) if depth < _DEEPEST else ()
    elif child.tag == _TEXT + "list":
        items = list(_items(child, 0))
        yield from (item.lstrip(" ")[2:] for item in items) if plain else filter(None, ["\n".join(items)])
    elif child.tag == _TABLE + "table":
        rows = _rows(child)
        yield from filter(None, (word for row in rows for word in row) if plain else [markdown_table(rows)])
    elif child.tag in _THROUGH and depth < _DEEPEST:
        yield from _blocks(child, depth + 1)


def _items(parent: Any, level: int) -> Iterator[str]:
    for item in parent.iterchildren(_TEXT + "list-item", _TEXT + "list-header"):
        words = [_inline(part) for part in item.iterchildren(_TEXT + "p", _TEXT + "h")]
        text = " ".join(filter(None, words))
        if text:
            yield f"{'  ' * level}- {text}"
        for inner in item.iterchildren(_TEXT + "list"):
            yield from _items(inner, level + 1) if level < _DEEPEST else ()


def _rows(table: Any) -> Iterator[list[str]]:
    """Cell texts by row; a cell over several rows stands in each, one over several columns in the first."""
    above: dict[int, tuple[int, str]] = {}
    for row in table.iter(_TABLE + "table-row"):
        if next(row.iterancestors(_TABLE + "table")) is not table:
            continue
        cells: list[str] = []
        for piece in row.iterchildren(_TABLE + "table-cell", _TABLE + "covered-table-cell"):
            at = len(cells)
            left, text = above.pop(at, (0, ""))
            if piece.tag == _TABLE + "table-cell":
                left, text = _count(piece, "number-rows-spanned"), " ".join(_blocks(piece, 0))
            if left > 1:
                above[at] = (left - 1, text)
            cells += [text, *[""] * (min(_count(piece, "number-columns-repeated"), 100) - 1)]
        yield cells


def _inline(element: Any, *, lines: bool = False) -> str:
    """The text of a paragraph; spaces and tabs that have elements of their own too, notes in parentheses."""
    parts = [element.text or ""]
    for child in element:
        if child.tag == _TEXT + "s":
            parts.append(" ")
        elif child.tag == _TEXT + "tab":
            parts.append("\t")
        elif child.tag == _TEXT + "line-break":
            parts.append("\n" if lines else " ")
        elif child.tag == _TEXT + "note":
            parts.append(f" ({xml.words(body)})" if (body := child.find(_TEXT + "note-body")) is not None else "")
        elif child.tag not in _NOT_READ and child.tag not in (_DRAW + "frame", _DRAW + "g"):
            parts.append(_inline(child, lines=lines) if isinstance(child.tag, str) else "")
        parts.append(child.tail or "")
    return "".join(parts).strip() if element.tag in (_TEXT + "p", _TEXT + "h") else "".join(parts)
