"""PDF by its text layer and its layout, a document a page."""

import ctypes
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from typing import Any, ClassVar

import pypdfium2 as pdfium
import pypdfium2.raw as raw_api
from langchain_core.documents import Document

from loaders import layout, ocr
from loaders.base import Failure, Format, Loader, LoaderError, Source, document, required, short
from loaders.marks import escaped
from loaders.unicode import clean

_PASSWORD_ERRORS = (4, 5)  # FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY (an unknown kind of protection)
_SOFT_HYPHEN = re.compile("[\x02\ufffe]\\s*\n?")
_LAM_ALEF = re.compile("[\u0622\u0623\u0625\u0627\u0671]\u0644")
_END = b"%%EOF"
_NO_TITLE = re.compile(
    r"\(?(anonymous|unspecified|untitled( \w+)?)\)?|microsoft (word|excel|powerpoint) - .*"
    r"|.*\.(docx?|pptx?|xlsx?|indd|qxd|pdf|tex|dvi|rtf)",
    re.IGNORECASE,
)
_PER_PAGE, _PER_FILE = "perPage", "perFile"
_TITLE_PAGES = 3
"""Pages from the first in which a title is looked for."""
_BETWEEN_CELLS = 0.9
"""White space between the cells of a row, in sizes of the row's type; a justified line's blanks are narrower."""
_WRAPPED = 3
"""Lines below a row in which a further row is looked for."""
_MARGIN = 6
"""Lines at the end of a page, and at the start of the next, between which a table may go on: what stands there on every
page may part it."""
_BOLD = re.compile(r"bold|black|heavy|demi|medi\b|cmbx", re.IGNORECASE)
_BOLD_WEIGHT = 600
_DPI, _POINTS = 300, 72
"""Dots of a page that is read as a picture, and points, an inch."""
_SAMPLED = 200
"""Characters, at least, by which it is told how a page's text is turned."""
_MOST_RANGES, _MOST_BOOKMARKS = 20, 10_000
_STAMP_LINES, _SCAN_OBJECTS, _SCAN_SHARE = 2, 1000, 0.85
"""Of a page that is a picture with a stamp: lines of text and objects at most, the picture's share at least."""


class PdfLoader(Loader):
    """A document for each page that has text (`usage` perPage), or one for the file (perFile).

    Lines that are set as headings and simple tables become Markdown's (see `layout`); a file that has neither is of
    `text` format. The title is the document's own, else its first heading in the largest type. A page that begins
    within a section carries the section's heading as `heading`; in a file without headings its bookmark.

    Files that only carry an owner's password (restrictions) are read; a file that needs a password is ENCRYPTED. A file
    that ends before its end mark, or one with a page that cannot be read, is CORRUPT rather than read in part. Words
    that were hyphenated at a line's end are joined.

    A page that shows something but has no text layer is read as a picture; its document carries `ocr_confidence`. So is
    what lies below a line or two that were printed upon a picture of the whole page. Where that cannot be done, every
    document of the file names such pages as `pages_without_text`, and a file that has no other pages is EMPTY.
    """

    options: ClassVar[Mapping[str, Any]] = {"usage": _PER_PAGE}

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The pages in order."""
        usage = options.get("usage") or _PER_PAGE
        if usage not in (_PER_PAGE, _PER_FILE):
            raise LoaderError(Failure.BAD_OPTION, f"usage must be {_PER_PAGE} or {_PER_FILE}, not {usage!r}.")
        pdf = _open(source)
        try:
            named = str(pdf.get_metadata_value("Title") or "").strip()
            lines: list[list[layout.Line]] = []
            columns = 0
            for index in range(len(pdf)):
                lines.append(_lines(pdf, index, columns))
                columns = _columns_below(lines[-1], columns)
            read = layout.pages(lines)
            sections = _above(read) if any(page.headings for page in read) else _bookmarked(pdf)
            counts = [sum(bool(line.text.strip()) for line in found) for found in lines]
            empty = [index for index, count in enumerate(counts) if not count]
            sparse = (index for index, count in enumerate(counts) if 0 < count <= _STAMP_LINES)
            scans = _scans(source, pdf, empty, [index for index in sparse if _is_stamped(pdf, index)])
        finally:
            pdf.close()
        texts = [_SOFT_HYPHEN.sub("", page.text) for page in read]
        marked = any(page.headings or page.has_table for page in read)
        form = Format.MARKDOWN if marked else Format.TEXT
        title = _first_heading(read) if not named or _NO_TITLE.fullmatch(named) else named
        for index, reading in scans.read.items():
            below = escaped(reading.text) if marked else reading.text
            texts[index] = "\n\n".join(filter(None, (texts[index].strip(), below)))
        if usage == _PER_FILE:
            joined = "\n\n".join(text for text in texts if text.strip())
            whole = required(document(source, joined, title=title, form=form, pages=len(read)), _no_text(read, scans))
            whole.metadata.update(scans.provenance(None))
            yield whole
            return
        found = False
        for page, heading in zip(range(len(read)), sections, strict=True):
            made = document(source, texts[page], title=title, form=form, page=page + 1, pages=len(read))
            if made is not None:
                found = True
                if heading:
                    made.metadata["heading"] = short(clean(heading))
                made.metadata.update(scans.provenance(page))
                yield made
        if not found:
            raise LoaderError(Failure.EMPTY, _no_text(read, scans))


def _first_heading(read: Sequence[layout.Page]) -> str:
    every = [heading for page in read[:_TITLE_PAGES] for heading in page.headings]
    return next((heading.text for heading in sorted(every, key=lambda heading: heading.level)), "")


def _above(read: Sequence[layout.Page]) -> list[str]:
    """For each page the headings that are open where it begins, as splitters write them."""
    path: list[layout.Heading] = []
    made: list[str] = []
    for page in read:
        made.append(_joined(path))
        for heading in page.headings:
            path = _below(path, heading)
    return made


def _bookmarked(pdf: Any) -> list[str]:
    """For each page the bookmarks that it lies below, the first of its own included: they mostly name what its top
    says."""
    marks: dict[int, list[layout.Heading]] = {}
    for mark in islice(pdf.get_toc(), _MOST_BOOKMARKS):
        target, text = mark.get_dest(), " ".join(clean(mark.get_title()).split())
        page = target.get_index() if target is not None else None
        if page is not None and text:
            marks.setdefault(page, []).append(layout.Heading(text, mark.level))
    path: list[layout.Heading] = []
    made: list[str] = []
    for page in range(len(pdf)):
        for place, heading in enumerate(marks.get(page, ())):
            path = _below(path, heading)
            if not place:
                made.append(_joined(path))
        if page not in marks:
            made.append(_joined(path))
    return made


def _below(path: Sequence[layout.Heading], heading: layout.Heading) -> list[layout.Heading]:
    return [*(each for each in path if each.level < heading.level), heading]


def _joined(path: Sequence[layout.Heading]) -> str:
    return " > ".join(heading.text for heading in path)


def _no_text(read: Sequence[layout.Page], scans: "_Scans") -> str:
    told = f"None of the {len(read)} pages has a text layer; they are empty or scanned images."
    return f"{told} {scans.why}" if scans.unread else told


@dataclass(frozen=True, slots=True)
class _Scans:
    """What became of the pages that show more than their text layer says, by their index."""

    read: dict[int, ocr.Reading]
    unread: list[int]
    why: str

    def provenance(self, page: int | None) -> dict[str, int | str]:
        """What the document of a page (of the file: None) says about pictures."""
        found: dict[str, int | str] = {}
        if page in self.read:
            found["ocr_confidence"] = self.read[page].confidence
        if self.unread:
            found["pages_without_text"] = _ranges([index + 1 for index in self.unread])
        return found


def _scans(source: Source, pdf: Any, empty: Sequence[int], stamped: Sequence[int]) -> _Scans:
    """Reads the pages of `empty` that show something, then `stamped` ones without what is printed upon them.

    Raises `LoaderError(TOO_LARGE)` when `empty` ones are beyond the limits of a file.
    """
    scans: dict[int, ocr.Reading] = {}
    unread: list[int] = []
    why = ""
    pages = [*empty, *stamped]
    for place, index in enumerate(pages):
        try:
            picture = _picture(pdf, index, render=source.ocr is not None, bare=place >= len(empty))
            reading = ocr.recognise(source, picture) if picture is not None else None
            if reading is not None and reading.text:
                scans[index] = reading
        except LoaderError as error:
            if error.failure is Failure.CORRUPT or (error.failure is Failure.TOO_LARGE and place < len(empty)):
                raise
            why = error.message
            if error.failure is Failure.TOO_LARGE:
                unread += pages[place:]
                break
            unread.append(index)
    return _Scans(scans, sorted(unread), why)


def _stamps(page: Any) -> list[Any]:
    """The objects of a page's text, where all of it is printed upon a picture of the whole page; else none.

    The text layer of a scan that was read already is invisible, or lies below the picture.
    """
    left, bottom, right, top = page.get_bbox()
    seen = 0.0
    found: list[Any] = []
    for count, each in enumerate(page.get_objects()):
        if count >= _SCAN_OBJECTS:
            return []
        if each.type == raw_api.FPDF_PAGEOBJ_TEXT:
            if (
                seen < _SCAN_SHARE * (right - left) * (top - bottom)
                or raw_api.FPDFTextObj_GetTextRenderMode(each) == raw_api.FPDF_TEXTRENDERMODE_INVISIBLE
            ):
                return []
            found.append(each)
        elif each.type == raw_api.FPDF_PAGEOBJ_IMAGE:
            west, south, east, north = _bounds(each)
            width, height = min(east, right) - max(west, left), min(north, top) - max(south, bottom)
            seen += max(width, 0.0) * max(height, 0.0)  # a scan may be cut into strips
    return found


def _bounds(each: Any) -> tuple[float, float, float, float]:
    """Where an object lies on its page, whatever forms it is nested in."""
    box: tuple[float, float, float, float] = each.get_bounds()
    while (each := each.container) is not None:
        box = each.get_matrix().on_rect(*box)
    return box


def _picture(pdf: Any, index: int, *, render: bool, bare: bool) -> ocr.Picture | None:
    """A page as a picture (an empty one unless it is to be rendered), `bare` of stamps; None when nothing is on it."""
    with _page(pdf, index) as page:
        if raw_api.FPDFPage_CountObjects(page.raw) <= 0:
            return None
        if not render:
            return ocr.Picture(0, 0, 0, b"")
        for stamp in _stamps(page) if bare else ():
            raw_api.FPDFPageObj_SetIsActive(stamp, False)
        width, height = page.get_size()
        scale = _DPI / _POINTS
        scale *= ocr.scale_to_fit(max(1.0, width * scale), max(1.0, height * scale))
        bitmap = page.render(scale=scale, grayscale=True)
        try:
            rows = memoryview(bitmap.buffer).cast("B")
            step, wide = bitmap.stride, bitmap.width
            grey = b"".join(rows[at : at + wide] for at in range(0, bitmap.height * step, step))
            if grey.count(grey[:1]) == len(grey):  # objects that leave no trace, such as blanks
                return None
            return ocr.Picture(wide, bitmap.height, round(scale * _POINTS), grey)
        finally:
            bitmap.close()


def _ranges(numbers: Sequence[int]) -> str:
    """`1-3, 7`; cut after some."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    words = [str(first) if first == last else f"{first}-{last}" for first, last in ranges[:_MOST_RANGES]]
    return ", ".join(words + ["..."] * (len(ranges) > _MOST_RANGES))


def _open(source: Source) -> Any:
    data = source.read()
    if not data.strip():
        raise LoaderError(Failure.EMPTY, "The file is empty.")
    if b"%PDF-" not in data[:1024]:
        raise LoaderError(Failure.CORRUPT, "The file is not a PDF.")
    try:
        pdf = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        if error.err_code in _PASSWORD_ERRORS:
            raise LoaderError(Failure.ENCRYPTED, "The PDF is protected by a password.") from error
        raise LoaderError(Failure.CORRUPT, "The PDF is damaged and cannot be opened.") from error
    if _END not in data:
        pdf.close()
        raise LoaderError(Failure.CORRUPT, "The PDF breaks off before its end.")
    return pdf


@contextmanager
def _page(pdf: Any, index: int) -> Iterator[Any]:
    """A page while it is open. Raises `LoaderError(CORRUPT)` for what cannot be read of it."""
    try:
        page = pdf[index]
        try:
            yield page
        finally:
            page.close()
    except pdfium.PdfiumError as error:
        raise LoaderError(Failure.CORRUPT, f"Page {index + 1} of the PDF is damaged.") from error


def _columns_below(lines: Sequence[layout.Line], columns: int) -> int:
    """The columns of a table that a page may end with, and 0 where it ends with none; `columns` are those of the page
    before."""
    ends = (at for at in range(len(lines) - 1, max(len(lines) - 1 - _MARGIN, -1), -1) if len(lines[at].cells) > 1)
    end = next(ends, -1)
    for at in range(end, -1, -1):
        line = lines[at]
        if line.bold or not line.cells:
            found = len(line.cells) if line.bold else columns if at < _MARGIN else 0
            return found if found == len(lines[end].cells) else 0
    return columns if end >= 0 and columns == len(lines[end].cells) else 0


def _lines(pdf: Any, index: int, columns: int) -> list[layout.Line]:
    """The lines of a page; `columns` of a table that the page before may end with."""
    with _page(pdf, index) as page:
        layer = page.get_textpage()
        turned = page.get_rotation()
        try:
            turn = _turn(layer)
            if turn is not None and turn * 90 != turned:  # the order of the text is that of the page as it is seen
                layer.close()
                page.set_rotation(turn * 90)
                layer = page.get_textpage()
            return _read_lines(layer, _Layer(layer.raw, turn or 0), page.get_bbox(), columns)
        finally:
            layer.close()
            page.set_rotation(turned)


def _turn(layer: Any) -> int | None:
    """By how many quarters to the right a page is turned for its text to stand upright; None where it has no text."""
    count = layer.count_chars()
    angles = (raw_api.FPDFText_GetCharAngle(layer.raw, index) for index in range(0, count, count // _SAMPLED + 1))
    turns = Counter(-round(angle * 2 / math.pi) % 4 for angle in angles if angle >= 0)
    return turns.most_common(1)[0][0] if turns else None


@dataclass(frozen=True, slots=True)
class _Layer:
    """An open text page, and by how many quarters to the right it is turned."""

    raw: Any
    turn: int

    def upright(self, left: float, bottom: float, right: float, top: float) -> tuple[float, float, float, float]:
        """A box of the page as it lies once the page is turned: left, bottom, right and top."""
        return (
            (left, bottom, right, top),
            (bottom, -right, top, -left),
            (-right, -top, -left, -bottom),
            (-top, left, -bottom, right),
        )[self.turn]


def _is_stamped(pdf: Any, index: int) -> bool:
    with _page(pdf, index) as page:
        try:
            return bool(_stamps(page))
        except pdfium.PdfiumError:  # its text could be read, which is what counts
            return False


def _read_lines(page: Any, layer: _Layer, box: tuple[float, float, float, float], columns: int) -> list[layout.Line]:
    """The lines of an open text page in its order; those that lie outside of the page's `box` are left out. The first
    ones have their cells, whatever their type, where these are as many as `columns`."""
    text = _LAM_ALEF.sub(partial(_in_order, layer.raw), str(page.get_text_range()))
    box = layer.upright(*box)
    lines: list[layout.Line] = []
    at = 0
    for written in text.split("\r\n"):
        cells = any(len(line.cells) > 1 for line in lines[-_WRAPPED:])
        above = lines[-1].size if lines else 0.0
        line = _line(layer, written, at, box, above, cells=cells)
        if columns and not cells and line is not None and not line.cells and len(lines) < _MARGIN:
            parted = _line(layer, written, at, box, above, cells=True)
            line = parted if parted is not None and len(parted.cells) == columns else line
        if line is not None:
            lines.append(line)
        at += len(written) + 2
    return lines


def _in_order(raw: Any, found: re.Match[str]) -> str:
    """Two Arabic letters as they are written: those that one glyph shows come the wrong way round."""
    places = [_origin(raw, found.start()), _origin(raw, found.start() + 1)]
    return found[0][::-1] if places[0] == places[1] else found[0]


def _origin(raw: Any, place: int) -> tuple[float, float]:
    x, y = ctypes.c_double(), ctypes.c_double()
    raw_api.FPDFText_GetCharOrigin(raw, raw_api.FPDFText_GetCharIndexFromTextIndex(raw, place), x, y)
    return x.value, y.value


def _line(
    layer: _Layer, written: str, at: int, box: tuple[float, float, float, float], above: float, *, cells: bool
) -> layout.Line | None:
    text = written.strip()
    if not text:
        return layout.Line("")
    first = at + written.index(text[0])
    raw = layer.raw
    start, end = _character(raw, first, text[0]), _character(raw, first + len(text) - 1, text[-1])
    if start is None or end is None:
        return layout.Line(written)
    west, south, east, north = _frame(layer, start)
    left, bottom, right, top = box
    if east < left or west > right or north < bottom or south > top:
        return None
    bold = _is_bold(raw, start) and _is_bold(raw, end)
    size = _size(raw, start)
    parted = _cells(layer, text, first, size) if bold or cells or size > above else ()
    return layout.Line(written, size, bold, south, parted)


def _character(raw: Any, place: int, letter: str) -> int | None:
    """The index of a page's character by its place in the text; None when they do not agree."""
    index = int(raw_api.FPDFText_GetCharIndexFromTextIndex(raw, place))
    if index < 0:
        return None
    found = chr(raw_api.FPDFText_GetUnicode(raw, index))
    return (
        index if found == letter or _LAM_ALEF.fullmatch(found + letter) or _LAM_ALEF.fullmatch(letter + found) else None
    )


def _frame(layer: _Layer, index: int) -> tuple[float, float, float, float]:
    frame = raw_api.FS_RECTF()
    raw_api.FPDFText_GetLooseCharBox(layer.raw, index, frame)
    return layer.upright(frame.left, frame.bottom, frame.right, frame.top)


def _size(raw: Any, index: int) -> float:
    matrix = raw_api.FS_MATRIX()
    raw_api.FPDFText_GetMatrix(raw, index, matrix)
    scale = float(abs(complex(matrix.c, matrix.d)))
    return float(raw_api.FPDFText_GetFontSize(raw, index)) * (scale or 1.0)


def _is_bold(raw: Any, index: int) -> bool:
    name, flags = ctypes.create_string_buffer(128), ctypes.c_int()
    raw_api.FPDFText_GetFontInfo(raw, index, name, len(name), flags)
    if _names_bold(name.value):
        return True
    return int(raw_api.FPDFText_GetFontWeight(raw, index)) >= _BOLD_WEIGHT


@lru_cache(maxsize=1024)
def _names_bold(font: bytes) -> bool:
    return bool(_BOLD.search(font.decode("utf-8", "replace")))


def _cells(layer: _Layer, text: str, first: int, size: float) -> tuple[layout.Cell, ...]:
    found: list[layout.Cell] = []
    begin = 0
    for blank in [*re.finditer(r"\s+", text), None]:
        stop = blank.start() if blank else len(text)
        if blank and _gap(layer, first + stop - 1, first + blank.end()) < _BETWEEN_CELLS * size:
            continue
        found.append(layout.Cell(text[begin:stop], _edges(layer, first + begin)[0], _edges(layer, first + stop - 1)[1]))
        begin = blank.end() if blank else stop
    return tuple(found)


def _gap(layer: _Layer, before: int, after: int) -> float:
    return _edges(layer, after)[0] - _edges(layer, before)[1]


def _edges(layer: _Layer, place: int) -> tuple[float, float]:
    left, _, right, _ = _frame(layer, int(raw_api.FPDFText_GetCharIndexFromTextIndex(layer.raw, place)))
    return left, right
