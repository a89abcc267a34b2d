"""Word documents (DOCX) to Markdown, in document order."""

import posixpath
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from itertools import islice
from typing import Any, BinaryIO

from docx.opc.exceptions import PackageNotFoundError
from docx.opc.part import PartFactory
from docx.oxml.ns import qn
from docx.package import Package
from docx.parts.document import DocumentPart
from langchain_core.documents import Document
from lxml import etree  # type: ignore[import-untyped]  # ships no types

from loaders import archives, charts, equations, ole, xml
from loaders.base import Failure, Format, Loader, LoaderError, Source, document, required
from loaders.doc import DocLoader
from loaders.html import markdown_of
from loaders.marks import escaped
from loaders.numbering import BULLET, Numbering
from loaders.tables import headed_table
from loaders.unicode import decode

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_EQUATIONS = (equations.NAMESPACE + "oMath", equations.NAMESPACE + "oMathPara")
_OTHER_KINDS = (
    "application/vnd.ms-word.document.macroEnabled.main+xml",
    "application/vnd.ms-word.template.macroEnabledTemplate.main+xml",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml",
)
"""Types of documents with macros and of templates, which python-docx does not know."""
_HEADING = re.compile(r"heading ([1-9])", re.IGNORECASE)
_LIST = re.compile(r"list (bullet|number|paragraph)", re.IGNORECASE)
_NOTES = (("footnotes", "footnote"), ("endnotes", "endnote"))
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_MARGINS = ("header", "footer")
_PAGE_NUMBER = re.compile(r"\W*+(?:page|seite|p\.|s\.)?\W*+\d*+(?:\s*+(?:of|von|/)\s*+\d*+)?\W*+", re.IGNORECASE)
_WINGDINGS = {
    0x6F: "\u2610", 0xA8: "\u2610", 0x72: "\u2610", 0xFD: "\u2612", 0xFE: "\u2611", 0xFC: "\u2713", 0xFB: "\u2717",
    0xE0: "\u2192", 0xDF: "\u2190", 0xF0: "\u21e8", 0x4A: "\u263a",
}  # fmt: skip
"""What forms show by symbols of that font: boxes, ticks, arrows."""
_DEEPEST = 50


class DocxLoader(Loader):
    """One document of `markdown` format: headings, paragraphs, lists, tables, text boxes, then foot- and endnotes.

    First come the headers and footers of its pages, each once and without page numbers. Numbers of headings and lists
    stand as Word shows them. Deleted text of tracked changes, hidden text and comments are left out, inserted text is
    read. The title is the document property, else the first heading or paragraph of style Title, else the file's name.
    The archive is checked (`archives.check`) before any of it is parsed; entities are not resolved and nothing outside
    is read.
    An old document (DOC), which comes by the same field of forms, is read by `DocLoader`.
    """

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The file as one document."""
        with source.open() as file:
            head = file.read(len(ole.MAGIC))
        if not head.strip():
            raise LoaderError(Failure.EMPTY, "The file is empty.")
        if head == ole.MAGIC:
            ole.refuse_encrypted(source)
            yield from DocLoader().load(source, options)
            return
        with source.open() as file:
            names = archives.check(file)
        if "[Content_Types].xml" not in names:
            raise LoaderError(Failure.CORRUPT, "The archive is not a Word document.")
        try:
            with source.open() as file:
                archive = archives.transitional(file)
                try:
                    opened = _open(archive)
                except KeyError:
                    opened = _open(_connected(archive))
            reader = _Reader(opened)
            margins = list(reader.margins())
            reader.title = ""
            blocks = [*margins, *reader.blocks(opened.element.body, 0), *reader.notes()]
            title = str(opened.core_properties.title or "") or reader.title
        except (
            PackageNotFoundError,
            KeyError,
            ValueError,
            AttributeError,
            zipfile.BadZipFile,
            etree.LxmlError,
        ) as error:
            raise LoaderError(Failure.CORRUPT, "The Word document is damaged.") from error
        text = "\n\n".join(blocks)
        yield required(document(source, text, title=title, form=Format.MARKDOWN), "The document has no text.")


def _open(file: BinaryIO) -> Any:
    """The document or template in `file`; `docx.Document` refuses all but plain documents by their type."""
    for kind in _OTHER_KINDS:
        PartFactory.part_type_for.setdefault(kind, DocumentPart)
    main = Package.open(file).main_document_part
    if not isinstance(main, DocumentPart):
        raise LoaderError(Failure.CORRUPT, "The archive is not a Word document.")
    return main.document


def _connected(file: BinaryIO) -> BinaryIO:
    """An archive that `archives.check` let pass, without relations to parts that it does not hold.

    Programs leave such behind, mostly of pictures, and open them; libraries do not.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    made = BytesIO()
    with zipfile.ZipFile(file) as archive, zipfile.ZipFile(made, "w") as written:
        names = frozenset(archive.namelist())
        for entry in archive.infolist():
            data = archive.read(entry)
            if entry.filename.endswith(".rels"):
                root = etree.fromstring(data, parser)
                folder = posixpath.dirname(posixpath.dirname(entry.filename))
                for relation in list(root.iterchildren("{*}Relationship")):
                    if (
                        relation.get("TargetMode") != "External"
                        and _part(folder, relation.get("Target", "")) not in names
                    ):
                        root.remove(relation)
                data = etree.tostring(root)
            written.writestr(entry, data)
    made.seek(0)
    return made


def _part(folder: str, target: str) -> str:
    """The part that a relation leads to, from the folder of the part that it starts at."""
    return posixpath.normpath(posixpath.join("/", folder, target.partition("#")[0])).removeprefix("/")


class _Reader:
    """Walks the XML of one document; `title` is known after `blocks`."""

    def __init__(self, opened: Any) -> None:
        self._opened = opened
        styles = list(opened.styles.element.iterchildren(_W + "style"))
        self._styles = _style_names(styles)
        self._hidden = _hidden_styles(styles)
        self._numbering = Numbering(next(self._parts("numbering"), None), styles)
        self.title = ""

    def blocks(self, parent: Any, depth: int) -> Iterator[str]:
        """Markdown blocks of the children of `parent`; consecutive list items are one block."""
        items: list[str] = []
        for child in parent.iterchildren():
            made = list(self._block(child, depth))
            if not made:
                continue
            if len(made) == 1 and isinstance(made[0], _Item):
                items += made
                continue
            if items:
                yield "\n".join(items)
                items = []
            yield from made
        if items:
            yield "\n".join(items)

    def _block(self, child: Any, depth: int) -> Iterator[str]:
        if child.tag == _W + "p":
            text = self._paragraph(child)
            if text:
                yield text
            for box in _shown(child, "txbxContent"):
                yield from self.blocks(box, depth + 1) if depth < _DEEPEST else ()
            for drawing in _shown(child, "drawing"):
                yield from self._drawing(drawing)
        elif child.tag == _W + "tbl":
            table = headed_table(list(self._rows(child)), _first_spans(child))
            if table:
                yield table
        elif child.tag == _W + "altChunk":
            yield from self._page(child)
        elif child.tag == _W + "sdt" and depth < _DEEPEST:
            for content in child.iterchildren(_W + "sdtContent"):
                yield from self.blocks(content, depth + 1)
        elif child.tag in (_W + "ins", _W + "customXml", _W + "smartTag") and depth < _DEEPEST:
            yield from self.blocks(child, depth + 1)

    def _paragraph(self, paragraph: Any) -> str:
        key = _style(paragraph)
        style = self._styles.get(key, "")
        properties = paragraph.find(qn("w:pPr"))
        mark = self._numbering.mark(properties, key)  # paragraphs without text count, too
        text = self._text(paragraph).strip()
        if not text:
            return ""
        level = 0
        if properties is not None:
            outline = properties.find(qn("w:outlineLvl"))
            level = _outline_level(outline)
        heading = _HEADING.match(style)
        level = min(int(heading.group(1)), 6) if heading else level
        if style.lower() == "title":
            level = 1
        if level:
            text = " ".join(text.split())
            self.title = self.title or text
            return " ".join(filter(None, ("#" * level, mark[0].replace(BULLET, "") if mark else "", text)))
        if mark is None and _LIST.match(style):
            mark = BULLET, 0
        if mark is None or not mark[0]:
            return escaped(text)
        return _Item(f"{'  ' * mark[1]}{mark[0]} {' '.join(text.split())}")

    def _words(self, paragraph: Any) -> str:
        """A paragraph in a cell or a note: its number, unless it is a dot, and its text."""
        mark = self._numbering.mark(paragraph.find(qn("w:pPr")), _style(paragraph))
        text = self._text(paragraph).strip()
        return f"{mark[0]} {text}" if text and mark and mark[0] not in ("", BULLET) else text

    def _text(self, paragraph: Any) -> str:
        """The text of a paragraph's runs, those in links and insertions too, without what is hidden and without its
        text boxes."""
        parts: list[str] = []
        skipped = {_W + "txbxContent", _FALLBACK, _W + "pPr", _W + "del", _W + "moveFrom"}
        hidden = _style(paragraph) in self._hidden
        stack = [iter(paragraph)]
        while stack:
            child = next(stack[-1], None)
            if child is None:
                stack.pop()
            elif child.tag == _W + "t":
                parts.append(child.text or "")
            elif child.tag == _W + "tab":
                parts.append("\t")
            elif child.tag in (_W + "br", _W + "cr"):
                parts.append("\n")
            elif child.tag == _W + "noBreakHyphen":
                parts.append("-")
            elif child.tag == _W + "sym":
                parts.append(_symbol(child))
            elif child.tag == _W + "checkBox":
                parts.append(_box(child))
            elif child.tag in _EQUATIONS:
                parts.append(equations.line(child))
            elif child.tag not in skipped and not (child.tag == _W + "r" and self._is_hidden(child, hidden)):
                stack.append(iter(child))
        return "".join(parts)

    def _is_hidden(self, run: Any, inherited: bool) -> bool:
        properties = run.find(_W + "rPr")
        if properties is None:
            return inherited
        hidden = properties.find(_W + "vanish")
        if hidden is not None:
            return _is_on(hidden)
        style = properties.find(_W + "rStyle")
        return inherited or (style is not None and style.get(_W + "val") in self._hidden)

    def _page(self, chunk: Any) -> Iterator[str]:
        """A page of HTML that stands in the document as a part of its own, as programs that write reports put it."""
        relation = self._opened.part.rels.get(chunk.get(_RELATION))
        if relation is not None and not relation.is_external and "html" in relation.target_part.content_type:
            yield from filter(None, [markdown_of(decode(relation.target_part.blob))[1]])

    def _drawing(self, drawing: Any) -> Iterator[str]:
        """The texts of charts and diagrams, which lie in parts of their own."""
        ids = {value for part in drawing.iter() for value in part.attrib.values()}
        for key, relation in self._opened.part.rels.items():
            if key not in ids or relation.is_external:
                continue
            if relation.reltype.endswith(charts.CHART):
                yield from map(escaped, charts.texts(xml.parse(relation.target_part.blob)))
            elif relation.reltype.endswith(charts.DIAGRAM):
                yield from map(escaped, charts.diagram(xml.parse(relation.target_part.blob)))

    def _rows(self, table: Any) -> Iterator[list[str]]:
        """Cell texts by row. A cell over several rows stands in each, so that rows can be read alone; a cell over
        several columns stands in the first."""
        above: list[str] = []
        for row in _through(table, _W + "tr"):
            if row.find(f"{_W}trPr/{_W}del") is not None:
                continue
            cells: list[str] = []
            for cell in _through(row, _W + "tc"):
                width, continued = _span(cell)
                if continued:
                    text = above[len(cells)] if len(cells) < len(above) else ""
                else:
                    text = " ".join(filter(None, map(self._words, _shown(cell, "p"))))
                cells += [text, *[""] * (width - 1)]
            above = cells
            yield cells

    def margins(self) -> Iterator[str]:
        """The headers, then the footers that the document's sections show, each text once, without page numbers."""
        shown = {"default", *(["even"] if self._opened.settings.odd_and_even_pages_header_footer else [])}
        seen = {""}
        for kind in _MARGINS:
            for section in self._opened.element.body.iter(_W + "sectPr"):
                first = section.find(_W + "titlePg")
                kinds = shown | ({"first"} if first is not None and _is_on(first) else set())
                for reference in section.iterchildren(f"{_W}{kind}Reference"):
                    part = self._opened.part.rels.get(reference.get(_RELATION))
                    if part is None or part.is_external or reference.get(_W + "type", "default") not in kinds:
                        continue
                    for block in self.blocks(xml.parse(part.target_part.blob), 0):
                        if block not in seen and any(map(str.isalnum, block)) and not _PAGE_NUMBER.fullmatch(block):
                            seen.add(block)
                            yield block

    def notes(self) -> Iterator[str]:
        """The texts of foot- and endnotes, each as a paragraph."""
        for kind, tag in _NOTES:
            for root in self._parts(kind):
                for note in root.iter(_W + tag):
                    text = " ".join(filter(None, map(self._words, _shown(note, "p"))))
                    if text:
                        yield escaped(text)

    def _parts(self, kind: str) -> Iterator[Any]:
        """The roots of the document's parts of a kind."""
        for relation in self._opened.part.rels.values():
            if not relation.is_external and relation.reltype.endswith(f"/{kind}"):
                yield xml.parse(relation.target_part.blob)


class _Item(str):
    """An item of a list: those that follow one another are one block."""

    __slots__ = ()


def _first_spans(table: Any) -> Iterator[tuple[int, int]]:
    """The cells of a table's first row: first column and number of columns."""
    at = 0
    for row in islice(_through(table, _W + "tr"), 1):
        for cell in _through(row, _W + "tc"):
            width, _ = _span(cell)
            yield at, width
            at += width


def _span(cell: Any) -> tuple[int, bool]:
    """How many columns a cell takes, and whether it continues the one above."""
    properties = cell.find(qn("w:tcPr"))
    if properties is None:
        return 1, False
    span = properties.find(qn("w:gridSpan"))
    value = span.get(qn("w:val"), "1") if span is not None else "1"
    merge = properties.find(qn("w:vMerge"))
    continued = merge is not None and merge.get(qn("w:val"), "continue") == "continue"
    return (min(max(int(value), 1), 100) if value.isdecimal() and len(value) < 5 else 1), continued


def _style(paragraph: Any) -> str:
    """The id of a paragraph's style."""
    named = paragraph.find(f"{_W}pPr/{_W}pStyle")
    return str(named.get(_W + "val", "")) if named is not None else ""


def _symbol(symbol: Any) -> str:
    """The character that a symbol shows, by its font; nothing where that is not known."""
    code = int(symbol.get(_W + "char", "0"), 16)
    if 0xF000 <= code <= 0xF0FF:
        return _WINGDINGS.get(code - 0xF000, "") if symbol.get(_W + "font") == "Wingdings" else ""
    return chr(code) if 0x20 <= code < 0xD800 else ""


def _box(box: Any) -> str:
    """A box of a form, as it is ticked."""
    ticked = box.find(_W + "checked")
    ticked = box.find(_W + "default") if ticked is None else ticked
    return "\u2612" if ticked is not None and _is_on(ticked) else "\u2610"


def _is_on(switch: Any) -> bool:
    return switch.get(_W + "val", "1") not in ("0", "false", "off")


def _hidden_styles(styles: Iterable[Any]) -> set[str]:
    """The ids of styles whose text is hidden, those that are based on such a one too."""
    hidden = set[str]()
    for style in styles:  # a base stands before what is based on it
        switch, base = style.find(f"{_W}rPr/{_W}vanish"), style.find(_W + "basedOn")
        if _is_on(switch) if switch is not None else base is not None and base.get(_W + "val") in hidden:
            hidden.add(style.get(_W + "styleId", ""))
    return hidden


def _shown(parent: Any, name: str) -> Iterator[Any]:
    """The elements of a name in `parent`, without those that only programs which cannot show it take in its place."""
    for found in parent.iter(_W + name):
        if next(found.iterancestors(_FALLBACK), None) is None:
            yield found


def _through(parent: Any, tag: str) -> Iterator[Any]:
    """Children of `parent` with `tag`, also those inside content controls."""
    for child in parent.iterchildren():
        if child.tag == tag:
            yield child
        elif child.tag in (_W + "sdt", _W + "sdtContent", _W + "ins", _W + "customXml"):
            yield from _through(child, tag)


def _outline_level(outline: Any) -> int:
    value = outline.get(qn("w:val"), "9") if outline is not None else "9"
    return int(value) + 1 if value in ("0", "1", "2", "3", "4", "5") else 0


def _style_names(styles: Iterable[Any]) -> dict[str, str]:
    """Style names by id; a style that is none of Word's own has the name of the heading it is based on."""
    names: dict[str, str] = {}
    bases: dict[str, str] = {}
    for style in styles:
        key = style.get(qn("w:styleId"), "")
        name, base = style.find(qn("w:name")), style.find(qn("w:basedOn"))
        names[key] = name.get(qn("w:val"), "") if name is not None else ""
        bases[key] = base.get(qn("w:val"), "") if base is not None else ""
    resolved = dict(names)
    for key in names:
        at = key
        for _ in range(10):
            if _HEADING.match(names.get(at, "")):
                resolved[key] = names[at]
                break
            at = bases.get(at, "")
    return resolved
