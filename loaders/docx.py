"""Word documents (DOCX) to Markdown, in document order."""

import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

from docx.opc.exceptions import PackageNotFoundError
from docx.opc.part import PartFactory
from docx.oxml.ns import qn
from docx.package import Package
from docx.parts.document import DocumentPart
from langchain_core.documents import Document
from lxml import etree  # type: ignore[import-untyped]  # ships no types

from loaders import archives, equations, ole
from loaders.base import Failure, Format, Loader, LoaderError, Source, document, required
from loaders.doc import DocLoader
from loaders.marks import escaped
from loaders.tables import markdown_table

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
_DEEPEST = 50


class DocxLoader(Loader):
    """One document of `markdown` format: headings, paragraphs, lists, tables, text boxes, then foot- and endnotes.

    Deleted text of tracked changes is left out, inserted text is read. Headers and footers of pages are not. The title
    is the document property, else the first heading or paragraph of style Title, else the file's name. The archive is
    checked (`archives.check`) before any of it is parsed; entities are not resolved and nothing outside is read.
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
                opened = _open(file)
            reader = _Reader(opened)
            blocks = [*reader.blocks(opened.element.body, 0), *reader.notes()]
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


class _Reader:
    """Walks the XML of one document; `title` is known after `blocks`."""

    def __init__(self, opened: Any) -> None:
        self._opened = opened
        self._styles = _style_names(opened.styles.element)
        self.title = ""

    def blocks(self, parent: Any, depth: int) -> Iterator[str]:
        """Markdown blocks of the children of `parent`; consecutive list items are one block."""
        items: list[str] = []
        for child in parent.iterchildren():
            made = list(self._block(child, depth))
            if len(made) == 1 and _is_item(made[0], child):
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
        elif child.tag == _W + "tbl":
            table = markdown_table(self._rows(child))
            if table:
                yield table
        elif child.tag == _W + "sdt" and depth < _DEEPEST:
            for content in child.iterchildren(_W + "sdtContent"):
                yield from self.blocks(content, depth + 1)
        elif child.tag in (_W + "ins", _W + "customXml", _W + "smartTag") and depth < _DEEPEST:
            yield from self.blocks(child, depth + 1)

    def _paragraph(self, paragraph: Any) -> str:
        text = _text(paragraph).strip()
        if not text:
            return ""
        properties = paragraph.find(qn("w:pPr"))
        style = ""
        level = 0
        if properties is not None:
            named = properties.find(qn("w:pStyle"))
            style = self._styles.get(named.get(qn("w:val"), ""), "") if named is not None else ""
            outline = properties.find(qn("w:outlineLvl"))
            level = _outline_level(outline)
        heading = _HEADING.match(style)
        level = min(int(heading.group(1)), 6) if heading else level
        if style.lower() == "title":
            level = 1
        if level:
            text = " ".join(text.split())
            self.title = self.title or text
            return f"{'#' * level} {text}"
        if _LIST.match(style) or (properties is not None and properties.find(qn("w:numPr")) is not None):
            return f"{'  ' * _indent(properties)}- {' '.join(text.split())}"
        return escaped(text)

    def _rows(self, table: Any) -> Iterator[list[str]]:
        """Cell texts by row. A cell over several rows stands in each, so that rows can be read alone; a cell over
        several columns stands in the first."""
        above: list[str] = []
        for row in _through(table, _W + "tr"):
            cells: list[str] = []
            for cell in _through(row, _W + "tc"):
                width, continued = _span(cell)
                if continued:
                    text = above[len(cells)] if len(cells) < len(above) else ""
                else:
                    text = " ".join(filter(None, (_text(part) for part in _shown(cell, "p"))))
                cells += [text, *[""] * (width - 1)]
            above = cells
            yield cells

    def notes(self) -> Iterator[str]:
        """The texts of foot- and endnotes, each as a paragraph."""
        for relation in self._opened.part.rels.values():
            for kind, tag in _NOTES:
                if relation.is_external or not relation.reltype.endswith("/" + kind):
                    continue
                parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
                root = etree.fromstring(relation.target_part.blob, parser)
                for note in root.iter(_W + tag):
                    text = " ".join(filter(None, (_text(part).strip() for part in _shown(note, "p"))))
                    if text:
                        yield escaped(text)


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


def _text(paragraph: Any) -> str:
    """The text of a paragraph's runs, those in links and insertions too, without its text boxes."""
    parts: list[str] = []
    skipped = {_W + "txbxContent", _FALLBACK, _W + "pPr", _W + "del", _W + "moveFrom"}
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
        elif child.tag in _EQUATIONS:
            parts.append(equations.line(child))
        elif child.tag not in skipped:
            stack.append(iter(child))
    return "".join(parts)


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


def _is_item(text: str, child: Any) -> bool:
    return child.tag == _W + "p" and text.lstrip().startswith("- ") and "\n" not in text


def _outline_level(outline: Any) -> int:
    value = outline.get(qn("w:val"), "9") if outline is not None else "9"
    return int(value) + 1 if value in ("0", "1", "2", "3", "4", "5") else 0


def _indent(properties: Any) -> int:
    level = properties.find(f"{qn('w:numPr')}/{qn('w:ilvl')}") if properties is not None else None
    value = level.get(qn("w:val"), "0") if level is not None else "0"
    return int(value) if value.isdecimal() and len(value) == 1 else 0


def _style_names(styles: Iterable[Any]) -> dict[str, str]:
    """Style names by id; a style that is none of Word's own has the name of the heading it is based on."""
    names: dict[str, str] = {}
    bases: dict[str, str] = {}
    for style in styles:
        if style.tag != _W + "style":
            continue
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
