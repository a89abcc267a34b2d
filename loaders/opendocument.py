"""OpenDocument text, spreadsheets and presentations (ODT, ODS, ODP) to Markdown."""

import datetime
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from langchain_core.documents import Document

from loaders.base import Failure, Format, Loader, LoaderError, Source, document, required
from loaders.odf import DRAW, DRAWN, OFFICE, PRESENTATION, TABLE, TEXT, URN, Package, count
from loaders.sheets import MOST_CELLS, Place, Span, Value, markdown_of, too_many

_MARGIN_CLASSES = frozenset({"page-number", "footer", "header", "date-time"})
_PLACE = f"{{{URN}svg-compatible:1.0}}"
_LENGTH = re.compile(r"-?[0-9]{1,6}(?:\.[0-9]{1,6})?")
_HEADING = re.compile(r"#{1,6} (.+)")
_MOST_REPEATED = 1000
_BESIDE = (OFFICE + "annotation", *DRAWN)
"""What a cell of a sheet holds beside its value."""


class OdtLoader(Loader):
    """One document of `markdown` format: headings, paragraphs, lists, tables, text boxes, charts and notes where they
    stand. Headings and items of lists have the numbers that the document shows.

    Deleted text of tracked changes and comments are left out. The title is the document's property, else the first
    heading, else the file's name.
    """

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The file as one document."""
        opened = Package(source, "text")
        blocks = list(opened.blocks(opened.body))
        heading = next((found[1] for block in blocks if (found := _HEADING.match(block))), "")
        text = "\n\n".join(blocks)
        yield required(
            document(source, text, title=opened.title or heading, form=Format.MARKDOWN), "The document has no text."
        )


class OdsLoader(Loader):
    """A document of `markdown` format a sheet, with the sheet's name as `sheet`.

    Cells stand as they are displayed, below them the comments on them, texts of shapes and titles of charts. The
    title is the document's property, else the file's name without suffix.
    """

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The sheets in order."""
        opened = Package(source, "spreadsheet")
        left = MOST_CELLS
        found = False
        for table in opened.body.iterfind(TABLE + "table"):
            name = table.get(TABLE + "name", "")
            sheet = _sheet(table, left, opened)
            left -= sum(map(len, sheet.grid.values()))
            text = markdown_of(name, sheet.grid, sheet.merged, sheet.notes, sheet.drawn)
            made = document(source, text, title=opened.title or source.stem, form=Format.MARKDOWN, sheet=name)
            if made is not None:
                found = True
                yield made
        if not found:
            raise LoaderError(Failure.EMPTY, "No sheet has a filled cell.")


class OdpLoader(Loader):
    """A document of `markdown` format a slide, with its number as `page` and the count as `pages`.

    A slide's title is a heading; then come its texts, lists and tables from top to bottom, last the speaker's notes.
    Slide numbers, dates and footers are left out, slides without text too. The title is the document's property, else
    the first slide's, else the file's name.
    """

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The slides in order."""
        opened = Package(source, "presentation")
        slides = [[block for block in _slide(page, opened) if block] for page in opened.body.iterfind(DRAW + "page")]
        heading = _HEADING.match(next(iter(slides[0]), "")) if slides else None
        title = opened.title or (heading[1] if heading else "")
        found = False
        for number, blocks in enumerate(slides, start=1):
            text = "\n\n".join(blocks)
            made = document(source, text, title=title, form=Format.MARKDOWN, page=number, pages=len(slides))
            if made is not None:
                found = True
                yield made
        if not found:
            raise LoaderError(Failure.EMPTY, f"None of the {len(slides)} slides has text.")


def _slide(page: Any, opened: Package) -> Iterator[str]:
    notes = page.find(PRESENTATION + "notes")
    shapes = [each for each in page if each is not notes and _is_shown(each)]
    title = next((each for each in shapes if each.get(PRESENTATION + "class") == "title"), None)
    words = " ".join(map(opened.line, title.iter(TEXT + "p"))) if title is not None else ""
    yield f"# {' '.join(words.split())}" if words.strip() else ""
    for shape in sorted(shapes, key=_height):
        if shape is not title:
            yield "\n\n".join(opened.block(shape))
    boxes = filter(_is_shown, () if notes is None else notes)
    told = [text for box in boxes for text in opened.block(box)]
    yield "Notes: " + "\n".join(told) if told else ""


def _is_shown(shape: Any) -> bool:
    return shape.get(PRESENTATION + "class") not in _MARGIN_CLASSES


def _height(shape: Any) -> tuple[float, float]:
    """Where a shape lies on its slide, from the top, then from the left."""
    top, left = (_LENGTH.match(shape.get(_PLACE + name, "")) for name in ("y", "x"))
    return (float(top[0]) if top else 0.0), (float(left[0]) if left else 0.0)


@dataclass(slots=True)
class _Sheet:
    """The filled cells of a sheet, the merged ones, comments on cells, and the texts of what is drawn on it."""

    grid: dict[int, dict[int, Value]] = field(default_factory=dict)
    merged: list[Span] = field(default_factory=list)
    notes: dict[Place, str] = field(default_factory=dict)
    drawn: list[str] = field(default_factory=list)


def _sheet(table: Any, left: int, opened: Package) -> _Sheet:
    """A filled cell or row that is repeated more than `_MOST_REPEATED` times is the pattern of an area, not data: it
    stands once."""
    made = _Sheet()
    for shapes in table.iterchildren(TABLE + "shapes"):
        made.drawn += opened.blocks(shapes)
    number = 0
    for row in table.iter(TABLE + "table-row"):
        times = count(row, "number-rows-repeated")
        filled: dict[int, Value] = {}
        at = 0
        for piece in row.iterchildren(TABLE + "table-cell", TABLE + "covered-table-cell"):
            repeated = count(piece, "number-columns-repeated")
            value = _value(piece, opened)
            if value not in ("", None):
                filled.update(dict.fromkeys(range(at, at + (repeated if repeated <= _MOST_REPEATED else 1)), value))
                height, width = count(piece, "number-rows-spanned"), count(piece, "number-columns-spanned")
                if height > 1 or width > 1:
                    made.merged.append((number, at, number + height - 1, at + width - 1))
            for child in piece.iterchildren(*_BESIDE):
                if child.tag == OFFICE + "annotation":
                    words = map(opened.line, child.iterchildren(TEXT + "p"))
                    made.notes[number, at] = " ".join(filter(None, words))
                else:
                    made.drawn += opened.block(child)
            at += repeated
        if filled:
            again = times if times <= _MOST_REPEATED else 1
            left -= len(filled) * again
            if left < 0:
                raise too_many()
            made.grid.update({number + index: filled for index in range(again)})
        number += times
    return made


def _value(piece: Any, opened: Package) -> Value:
    text = " ".join(filter(None, (opened.line(part) for part in piece.iterchildren(TEXT + "p", TEXT + "h"))))
    kind = piece.get(OFFICE + "value-type", "string")
    if kind == "float" and (not text or _plain(text)):
        return _plain(text) or _plain(piece.get(OFFICE + "value", ""))
    if kind == "date":
        stamp = piece.get(OFFICE + "date-value", "")
        try:
            return datetime.datetime.fromisoformat(stamp)
        except ValueError:
            return text or stamp
    return text or piece.get(OFFICE + "value") or piece.get(OFFICE + "string-value")


def _plain(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
