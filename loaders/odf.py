"""What OpenDocument files of all kinds share: the package, and its elements as Markdown blocks."""

import re
import zipfile
from collections.abc import Iterator
from typing import Any

from loaders import archives, xml
from loaders.base import Failure, LoaderError, Source
from loaders.marks import escaped
from loaders.numbering import BULLET
from loaders.outlines import Outlines, Place
from loaders.tables import markdown_table

URN = "urn:oasis:names:tc:opendocument:xmlns:"
TEXT, TABLE, OFFICE = f"{{{URN}text:1.0}}", f"{{{URN}table:1.0}}", f"{{{URN}office:1.0}}"
DRAW, PRESENTATION = f"{{{URN}drawing:1.0}}", f"{{{URN}presentation:1.0}}"
_STYLE, _CHART, _TITLE_STYLE = f"{{{URN}style:1.0}}", f"{{{URN}chart:1.0}}", "Title"
_TITLE, _HREF = "{http://purl.org/dc/elements/1.1/}title", "{http://www.w3.org/1999/xlink}href"
_MATH = "{http://www.w3.org/1998/Math/MathML}"
_PARAGRAPHS = (TEXT + "p", TEXT + "h")
_NOT_READ = frozenset(
    {TEXT + "tracked-changes", OFFICE + "annotation", OFFICE + "forms", TEXT + "note-citation", TEXT + "page-number",
     TEXT + "number"}
)  # fmt: skip
_SHAPES = frozenset(
    {DRAW + name for name in ("custom-shape", "rect", "ellipse", "circle", "polygon", "path", "caption", "connector")}
)
DRAWN = _SHAPES | frozenset({DRAW + "frame", DRAW + "g", DRAW + "a"})
_THROUGH = DRAWN | frozenset(
    {TEXT + "section", TEXT + "table-of-content", TEXT + "index-body", DRAW + "text-box", TEXT + "numbered-paragraph",
     TEXT + "alphabetical-index", TEXT + "bibliography"}
)  # fmt: skip
_OBJECT = "/content.xml"
_OWN_DATA = "."
"""Where a chart says that its numbers are: not in the document around it."""
_COLUMN = re.compile(r"\$?([A-Z]{1,3})\$?[0-9]")
_NO_NUMBER = frozenset({"NaN", "1.#NAN"})
_DEEPEST = 256  # deeper than the XML parser goes


class Package:
    """An OpenDocument file that was checked and opened: its body, its title, and how its elements read."""

    def __init__(self, source: Source, kind: str) -> None:
        """`kind` is the element of the body that the file has to have. Raises `LoaderError`."""
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
            meta, styles = (
                xml.parse(archive.read(name), "document") if name in names else None
                for name in ("meta.xml", "styles.xml")
            )
            self._objects = {name.removesuffix(_OBJECT): archive.read(name) for name in names if name.endswith(_OBJECT)}
        body = root.find(f"{OFFICE}body/{OFFICE}{kind}")
        if body is None:
            raise LoaderError(Failure.CORRUPT, f"The OpenDocument file holds no {kind}.")
        title = meta.find(f".//{_TITLE}") if meta is not None else None
        self.body = body
        self.title = xml.words(title) if title is not None else ""
        self._titles = {_TITLE_STYLE, *_styles_of_titles(root)}
        self._outlines = Outlines(root, *([styles] if styles is not None else []))

    def blocks(self, parent: Any, depth: int = 0) -> Iterator[str]:
        """The Markdown blocks of what `parent` holds; plain text in a cell of a table needs no marks against reading it
        for something else."""
        plain = parent.tag == TABLE + "table-cell"
        for child in parent:
            yield from self.block(child, depth, plain=plain)

    def block(self, child: Any, depth: int = 0, *, plain: bool = False) -> Iterator[str]:
        """The blocks of one element; `plain` in a cell of a table, where lists and tables are their words."""
        if child.tag in _NOT_READ:
            return
        if child.tag in _PARAGRAPHS:
            if plain:
                mark = self._outlines.heading(child) if child.tag == TEXT + "h" else ""
                yield from [f"{mark} {text}".lstrip()] if (text := self.line(child)) else []
            elif child.tag == TEXT + "h" or child.get(TEXT + "style-name") in self._titles:
                yield from self._heading(child, self._outlines.heading(child) if child.tag == TEXT + "h" else "")
            else:
                yield from filter(None, [escaped(self.line(child, breaks=True))])
            yield from self._drawn(child, depth)
        elif child.tag == TEXT + "list":
            yield from self._list(child, None, depth, plain=plain)
        elif child.tag == TABLE + "table":
            rows = self._rows(child)
            yield from filter(None, (word for row in rows for word in row) if plain else [markdown_table(rows)])
        elif child.tag == DRAW + "object":
            yield from self._chart(child)
        elif child.tag in _THROUGH and depth < _DEEPEST:
            yield from self.blocks(child, depth + 1)

    def line(self, element: Any, *, breaks: bool = False) -> str:
        """The text of a paragraph; spaces and tabs that have elements of their own too, notes in parentheses, formulas
        as they were typed. What is drawn beside it is left out."""
        parts = [element.text or ""]
        for child in element:
            if child.tag == TEXT + "s":
                parts.append(" ")
            elif child.tag == TEXT + "tab":
                parts.append("\t")
            elif child.tag == TEXT + "line-break":
                parts.append("\n" if breaks else " ")
            elif child.tag == TEXT + "note":
                parts.append(f" ({xml.words(body)})" if (body := child.find(TEXT + "note-body")) is not None else "")
            elif child.tag in DRAWN:
                parts += map(self._formula, child.iter(DRAW + "object"))
            elif child.tag not in _NOT_READ:
                parts.append(self.line(child, breaks=breaks) if isinstance(child.tag, str) else "")
            parts.append(child.tail or "")
        return "".join(parts).strip() if element.tag in _PARAGRAPHS else "".join(parts)

    def _chart(self, found: Any) -> Iterator[str]:
        """The titles of an embedded chart and, where they stand nowhere else in the file, its numbers as a table."""
        root = self._object(found)
        chart = root.find(f"{OFFICE}body/{OFFICE}chart/{_CHART}chart") if root is not None else None
        if chart is None:
            return
        for name in ("title", "subtitle"):
            words = (xml.words(title) for title in chart.iterchildren(_CHART + name))
            yield from map(escaped, filter(None, words))
        table = chart.find(TABLE + "table")
        if table is not None and chart.get(_HREF, _OWN_DATA) == _OWN_DATA:
            yield from filter(None, [markdown_table(_series(chart, list(self._rows(table))))])

    def _object(self, found: Any) -> Any:
        """The root of the file that is embedded at an element; None where there is none."""
        data = self._objects.get(found.get(_HREF, "").removeprefix("./").rstrip("/"))
        return xml.parse(data, "document") if data is not None else None

    def _formula(self, found: Any) -> str:
        root = self._object(found)
        return xml.words(root.find(f".//{_MATH}annotation")) if root is not None and root.tag == _MATH + "math" else ""

    def _heading(self, found: Any, mark: str) -> Iterator[str]:
        level = found.get(TEXT + "outline-level", "1")
        text = self.line(found)
        if text:
            yield " ".join(filter(None, ("#" * min(int(level), 6) if level.isdecimal() else "#", mark, text)))

    def _drawn(self, parent: Any, depth: int) -> Iterator[str]:
        """The blocks of what is drawn beside a paragraph."""
        for child in parent:
            if child.tag in DRAWN:
                yield from self.block(child, depth + 1) if depth < _DEEPEST else ()
            elif child.tag != TEXT + "note":
                yield from self._drawn(child, depth)

    def _list(self, found: Any, above: Place | None, depth: int, *, plain: bool) -> Iterator[str]:
        """A list as one block, apart from headings that stand in it, and from what is drawn beside its items; in a
        cell each item is one, with its number."""
        lines: list[str] = []
        for line, block in self._items(found, above, depth, plain=plain):
            if line and not plain:
                lines.append(line)
                continue
            if lines:
                yield "\n".join(lines)
                lines = []
            yield line or block
        if lines:
            yield "\n".join(lines)

    def _items(self, found: Any, above: Place | None, depth: int, *, plain: bool) -> Iterator[tuple[str, str]]:
        """The lines of a list's items, and the blocks that stand between them."""
        place = self._outlines.opened(found, above)
        for item in found.iterchildren(TEXT + "list-item", TEXT + "list-header"):
            mark = self._outlines.item(item, place)
            words: list[str] = []
            blocks: list[str] = []
            for part in item.iterchildren(*_PARAGRAPHS):
                if part.tag == TEXT + "h" and not plain:
                    blocks += self._heading(part, mark.replace(BULLET, ""))
                    mark = ""
                elif blocks and not words:
                    blocks += self.block(part, depth, plain=plain)
                    continue
                else:
                    words.append(self.line(part))
                blocks += self._drawn(part, depth)
            text = " ".join(filter(None, words))
            if text and plain:
                yield f"{mark} {text}" if mark not in ("", BULLET) else text, ""
            elif text:
                yield f"{'  ' * (place.level - 1)}{mark or BULLET} {text}", ""
            yield from (("", block) for block in blocks)
            for inner in item.iterchildren(TEXT + "list"):
                yield from self._items(inner, place, depth, plain=plain) if place.level < _DEEPEST else ()

    def _rows(self, table: Any) -> Iterator[list[str]]:
        """Cell texts by row; a cell over several rows stands in each, one over several columns in the first."""
        above: dict[int, tuple[int, str]] = {}
        for row in table.iter(TABLE + "table-row"):
            if next(row.iterancestors(TABLE + "table")) is not table:
                continue
            cells: list[str] = []
            for piece in row.iterchildren(TABLE + "table-cell", TABLE + "covered-table-cell"):
                at = len(cells)
                left, text = above.pop(at, (0, ""))
                if piece.tag == TABLE + "table-cell":
                    left, text = count(piece, "number-rows-spanned"), " ".join(self.blocks(piece))
                if left > 1:
                    above[at] = (left - 1, text)
                cells += [text, *[""] * (min(count(piece, "number-columns-repeated"), 100) - 1)]
            yield cells


def count(element: Any, name: str) -> int:
    """A number of cells or rows that an attribute of tables tells; 1 where it does not."""
    value = element.get(TABLE + name, "1")
    return max(int(value), 1) if value.isdecimal() and len(value) < 9 else 1


def _styles_of_titles(root: Any) -> Iterator[str]:
    """The names of automatic styles, which every change by hand makes, that stand for the style of titles."""
    for style in root.iterfind(f"{OFFICE}automatic-styles/{_STYLE}style"):
        if style.get(_STYLE + "parent-style-name") == _TITLE_STYLE:
            yield style.get(_STYLE + "name", "")


def _series(chart: Any, rows: list[list[str]]) -> list[list[str]]:
    """A chart's own table; what its points lie at stands first, as it does not in the table."""
    rows = [["" if text in _NO_NUMBER else text for text in row] for row in rows]
    domain = chart.find(f".//{_CHART}series/{_CHART}domain")
    named = (
        _COLUMN.search(domain.get(TABLE + "cell-range-address", "").rpartition(".")[2]) if domain is not None else None
    )
    if named is None:
        return rows
    at = 0
    for letter in named[1]:
        at = at * 26 + ord(letter) - 64
    return [
        [row[at - 1] if place else "", *row[: at - 1], *row[at:]] if at <= len(row) else row
        for place, row in enumerate(rows)
    ]
