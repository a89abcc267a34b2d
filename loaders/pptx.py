"""PowerPoint presentations (PPTX) to Markdown, a document a slide."""

import re
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from langchain_core.documents import Document

from loaders import archives, charts, ole, xml
from loaders.base import Failure, Format, Loader, LoaderError, Source, document
from loaders.marks import escaped
from loaders.tables import headed_table

_POWERPOINT = "application/vnd.ms-powerpoint."
_WITH_MACROS = tuple(f"{_POWERPOINT}{kind}.macroEnabled.main+xml" for kind in ("template", "slideshow"))
"""Types of presentations that python-pptx does not know."""
_NO_TITLE = re.compile(r"slide \d+|powerpoint presentation|presentation\d*", re.IGNORECASE)
_LONGEST_TITLE = 200
_DEEPEST = 30
_MARGIN_PLACEHOLDERS = frozenset({13, 15, 16})  # slide number, footer, date of PP_PLACEHOLDER


class PptxLoader(Loader):
    """A document of `markdown` format a slide, with its number as `page` and the count as `pages`.

    A slide's title is a heading; then come its texts, lists, tables, charts and diagrams from top to bottom, last the
    speaker's notes. Slide numbers, dates and footers are left out, slides without text too. The title is the
    presentation's property, else the first slide's title, else the file's name.
    """

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The slides in order."""
        if not source.read().strip():
            raise LoaderError(Failure.EMPTY, "The file is empty.")
        ole.refuse_encrypted(source)
        with source.open() as file:
            if "[Content_Types].xml" not in archives.check(file):
                raise LoaderError(Failure.CORRUPT, "The archive is not a PowerPoint presentation.")
        title, slides = _read(source)
        found = False
        for number, text in enumerate(slides, start=1):
            made = document(source, text, title=title, form=Format.MARKDOWN, page=number, pages=len(slides))
            if made is not None:
                found = True
                yield made
        if not found:
            raise LoaderError(Failure.EMPTY, f"None of the {len(slides)} slides has text.")


def _read(source: Source) -> tuple[str, list[str]]:
    from lxml import etree  # type: ignore[import-untyped]  # ships no types
    from pptx.exc import PythonPptxError

    try:
        with source.open() as file:
            opened = _open(file)
        slides = list(opened.slides)
        named = str(opened.core_properties.title or "").strip()
        first = next((text for text in map(_heading, slides[:1]) if text), "")
        title = named if named and not _NO_TITLE.fullmatch(named) else first
        return title, ["\n\n".join(filter(None, _slide(slide))) for slide in slides]
    except (
        PythonPptxError, LookupError, ValueError, AttributeError, TypeError, zipfile.BadZipFile, etree.LxmlError,
    ) as error:  # fmt: skip
        raise LoaderError(Failure.CORRUPT, "The presentation is damaged.") from error


def _open(file: BinaryIO) -> Any:
    """The presentation, template or show in `file`; `pptx.Presentation` refuses all but the first by its type."""
    from pptx.opc.package import PartFactory
    from pptx.package import Package
    from pptx.parts.presentation import PresentationPart

    for kind in _WITH_MACROS:
        PartFactory.part_type_for.setdefault(kind, PresentationPart)
    main = Package.open(file).main_document_part
    if not isinstance(main, PresentationPart):
        raise LoaderError(Failure.CORRUPT, "The archive is not a PowerPoint presentation.")
    return main.presentation


def _heading(slide: Any) -> str:
    """The title of a slide, unless that is where its whole text stands."""
    shape = slide.shapes.title
    title = " ".join(shape.text_frame.text.split()) if shape is not None else ""
    return title if len(title) <= _LONGEST_TITLE else ""


def _slide(slide: Any) -> Iterator[str]:
    heading = _heading(slide)
    title = slide.shapes.title
    if heading:
        yield f"# {heading}"
    for shape in _in_order(slide.shapes):
        if not heading or shape.shape_id != title.shape_id:
            yield from map(escaped, _shape(shape, 0))
    if slide.has_notes_slide:
        frame = slide.notes_slide.notes_text_frame
        notes = "\n".join(filter(None, map(_line, frame.paragraphs))) if frame is not None else ""
        yield escaped(f"Notes: {notes}") if notes else ""


def _in_order(shapes: Any) -> list[Any]:
    """From top to bottom, then left to right; shapes that take their place from the layout keep theirs at the front."""
    return sorted(shapes, key=lambda shape: (shape.top or 0, shape.left or 0))


def _shape(shape: Any, depth: int) -> Iterator[str]:
    if shape.is_placeholder and shape.placeholder_format.type in _MARGIN_PLACEHOLDERS:
        return
    if hasattr(shape, "shapes"):  # a group
        for inner in _in_order(shape.shapes) if depth < _DEEPEST else ():
            yield from _shape(inner, depth + 1)
    elif getattr(shape, "has_table", False):
        yield _table(shape.table)
    elif getattr(shape, "has_chart", False):
        yield from charts.texts(shape.chart.element)
    elif shape.has_text_frame:
        yield _paragraphs(shape.text_frame.paragraphs)
    else:
        yield from _diagram(shape)


def _table(table: Any) -> str:
    """A cell over several rows stands in each, so that rows can be read alone; one over several columns in the
    first."""
    rows = [["" if cell.is_spanned else cell.text for cell in row.cells] for row in table.rows]
    spans: list[tuple[int, int]] = []
    for number, row in enumerate(table.rows):
        for at, cell in enumerate(row.cells):
            if cell.is_merge_origin:
                for below in rows[number + 1 : number + cell.span_height]:
                    below[at] = cell.text
                spans += [] if number else [(at, cell.span_width)]
    return headed_table(rows, spans)


def _line(paragraph: Any) -> str:
    return " ".join(paragraph.text.replace("\v", " ").split())


def _paragraphs(paragraphs: Any) -> str:
    """Paragraphs as lines; those below the first level as items of a list."""
    lines = [(paragraph.level, _line(paragraph)) for paragraph in paragraphs]
    return "\n".join(f"{'  ' * (level - 1)}- {text}" if level else text for level, text in lines if text)


def _diagram(shape: Any) -> Iterator[str]:
    """The texts of a SmartArt diagram, which lie in a part of their own."""
    ids = {value for part in shape.element.iter() for value in part.attrib.values()}
    for key, relation in shape.part.rels.items():
        if key in ids and relation.reltype.endswith(charts.DIAGRAM) and not relation.is_external:
            yield from charts.diagram(xml.parse(relation.target_part.blob))
