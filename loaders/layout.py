"""The layout of PDF pages: lines with their type become Markdown with headings, paragraphs and simple tables.

What counts is relative to the body, the size of type in which most characters are set. A heading is a short line in
larger type, or one in bold type of the body's size that stands apart. A table is a bold line of several cells above
lines with as many cells that lie below them. Anything else keeps its lines, with an empty line where the space between
two lines is larger than usual: nothing is left out, and nothing is moved.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from loaders.marks import escaped
from loaders.tables import markdown_table

_LARGER = 1.15
"""Type of a heading, in sizes of the body's."""
_APART = 1.3
"""Distance of two lines of which the second begins a paragraph, in usual distances."""
_HEADING_LINES = 3
_LONGEST_HEADING = 200
_LONGEST_BOLD = 80
_LONGEST_NUMBER = 8
_SENTENCE_WORDS = 4
_DEEPEST = 6
_NO_HEADING_END = (".", ",", ";", ":", "-", "\ufffe", "\x02")
_RULE = re.compile(r"[-=_*~]{3,}")
_DIGITS = re.compile(r"\d+")
_AMOUNT = re.compile(r"[$€£¥]\s?\d|\d\s?[$€£¥%]")
_PAGE_NUMBER = re.compile(r"\W*(?:page|seite|p\.|s\.)?\s*0(?:\s*(?:of|von|/)\s*0)?\W*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece of a line with white space around it: its text, its left and right edge in points."""

    text: str
    left: float
    right: float


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a page: its type by its first and last character, and where it lies, in points from below."""

    text: str
    size: float = 0.0
    """0 where the type is not known; such a line is body text."""
    bold: bool = False
    bottom: float = 0.0
    cells: tuple[Cell, ...] = ()
    """Only known for bold lines, for larger ones than the line above, and below a line with cells."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading that was found; level 1 is the largest type of the document."""

    text: str
    level: int


@dataclass(frozen=True, slots=True)
class Page:
    """A page as Markdown, and its headings in order."""

    text: str
    headings: tuple[Heading, ...]
    has_table: bool


def pages(read: Sequence[Sequence[Line]]) -> list[Page]:
    """The pages of one document, read together as the body's type is that of the whole."""
    layout = _Layout(read)
    found: list[list[_Block]] = []
    for lines in read:
        found.append(layout.blocks(lines, layout.open_table(found[-1]) if found else None))
    levels = sorted({size for blocks in found for block in blocks if (size := block.heading)}, reverse=True)
    marked = bool(levels) or any(block.rows for blocks in found for block in blocks)
    return [_page(blocks, levels, marked=marked) for blocks in found]


@dataclass(slots=True)
class _Block:
    """Lines that belong together; `heading` is the size of a heading's type, 0 for other blocks."""

    lines: list[Line]
    heading: float = 0.0
    rows: list[list[str]] | None = None
    header: Line | None = None
    """Of a table; it may stand on an earlier page."""

    @property
    def text(self) -> str:
        if self.rows:
            return markdown_table(self.rows)
        if self.heading:
            return " ".join(" ".join(line.text.split()) for line in self.lines)
        return "\n".join(line.text.rstrip() for line in self.lines)


class _Layout:
    """What is usual in a document: the size of its body, the distances of its lines, what all its pages repeat."""

    def __init__(self, read: Sequence[Sequence[Line]]) -> None:
        sizes: Counter[float] = Counter()
        bold = 0
        for line in (line for lines in read for line in lines if line.size):
            sizes[_rounded(line.size)] += len(line.text)
            bold += len(line.text) * line.bold
        self._body = sizes.most_common(1)[0][0] if sizes else 0.0
        self._plain = 2 * bold < sum(sizes.values())
        self._pitch = _pitches(read)
        self._prose = {_type(lines[index]) for lines in read for index in _long_runs(lines)}
        on_pages = Counter(text for lines in read for text in {_masked(line) for line in lines})
        self._running = {text for text, count in on_pages.items() if count >= max(2, len(read) / 2)}

    def blocks(self, lines: Sequence[Line], above: _Block | None = None) -> list[_Block]:
        """The blocks of a page; `above` is the table that the page before ends with."""
        found: list[_Block] = []
        index = 0
        while index < len(lines):
            table = _table(lines, index)
            header: Line | None = lines[index]
            if not table and above is not None:
                table, header = _goes_on(above, lines, index), above.header
                above = above if not table and self._is_furniture(lines[index]) else None
            if table:
                count, rows = table
                found.append(_Block(list(lines[index : index + count]), rows=rows, header=header))
                above = None
            elif count := self._heading(lines, index):
                line = lines[index]
                size = _rounded(line.size) if line.size >= _LARGER * self._body else self._body
                found.append(_Block(list(lines[index : index + count]), heading=size))
            else:
                count = 1
                line = lines[index]
                if line.text.strip():
                    if not found or found[-1].heading or found[-1].rows or self._begins(found[-1].lines[-1], line):
                        found.append(_Block([]))
                    found[-1].lines.append(line)
            index += count
        return found

    def open_table(self, blocks: Sequence[_Block]) -> _Block | None:
        """The table that a page ends with, apart from what all pages end with."""
        for block in reversed(blocks):
            if block.rows:
                return block
            if not all(map(self._is_furniture, block.lines)):
                break
        return None

    def _is_furniture(self, line: Line) -> bool:
        text = _masked(line)
        return not text or text in self._running or _PAGE_NUMBER.fullmatch(text) is not None

    def _begins(self, above: Line, line: Line) -> bool:
        """Whether a paragraph begins with `line`: more space than usual, another column, a ruler."""
        if _RULE.fullmatch(above.text.strip()) or _RULE.fullmatch(line.text.strip()):
            return True
        pitch = self._pitch.get(_rounded(line.size))
        if not above.size or pitch is None:
            return False
        down = above.bottom - line.bottom
        return down > _APART * pitch or down < -pitch

    def _heading(self, lines: Sequence[Line], index: int) -> int:
        """How many lines from here are a heading; 0 when there is none."""
        line = lines[index]
        if not self._body or line.size < 0.95 * self._body or not line.text.strip():
            return 0
        if _type(line) in self._prose or len(line.cells) > 2:  # most lines: what costs more is asked behind this
            return 0
        run = _run(lines, index)
        text = " ".join(each.text.strip() for each in run)
        if len(run) > _HEADING_LINES or len(text) > _LONGEST_HEADING or not _names(text):
            return 0
        if self._is_furniture(line):
            return 0
        if len(line.cells) == 2 and len(line.cells[0].text) > _LONGEST_NUMBER:
            return 0
        if line.size >= _LARGER * self._body:
            return len(run)
        if not (self._plain and line.bold and len(run) == 1 and len(text) <= _LONGEST_BOLD):
            return 0
        if text.endswith(_NO_HEADING_END) or (index and not self._begins(lines[index - 1], line)):
            return 0
        after = (lines[at].text.strip() for at in range(index + 1, len(lines)))
        below = next((text for text in after if text), "")
        return 0 if below[:1].islower() else 1


def _run(lines: Sequence[Line], index: int) -> list[Line]:
    """The lines from here on that are set alike, one below the other."""
    run = [lines[index]]
    for at in range(index + 1, len(lines)):  # a slice would be the whole page each time
        line = lines[at]
        down = run[-1].bottom - line.bottom
        if _type(line) != _type(run[0]) or not line.text.strip() or not 0 <= down <= 1.6 * line.size:
            break
        run.append(line)
    return run


def _type(line: Line) -> tuple[float, bool]:
    return _rounded(line.size), line.bold


def _long_runs(lines: Sequence[Line]) -> Iterator[int]:
    """The first lines of runs that are too long for a heading: they are set in the type of running text."""
    index = 0
    while index < len(lines):
        run = len(_run(lines, index))
        if run > _HEADING_LINES:
            yield index
        index += run


def _names(text: str) -> bool:
    """Whether a text may be a heading by its words: no sentence, amount, list of figures, or line of contents."""
    letters, digits = sum(letter.isalpha() for letter in text), sum(letter.isdigit() for letter in text)
    sentence = text.endswith((".", ";", ",", ":")) and len(text.split()) > _SENTENCE_WORDS
    return letters > digits and not (text[0].islower() or sentence or _AMOUNT.search(text) or "...." in text)


def _masked(line: Line) -> str:
    return _DIGITS.sub("0", " ".join(line.text.split()))


def _page(blocks: Sequence[_Block], levels: Sequence[float], *, marked: bool) -> Page:
    """The page of these blocks; `marked` where any of the file is a mark of Markdown."""
    headings = []
    texts = []
    for block in blocks:
        text = block.text
        if block.heading:
            heading = Heading(text, min(levels.index(block.heading) + 1, _DEEPEST))
            headings.append(heading)
            text = f"{'#' * heading.level} {text}"
        elif marked and not block.rows:
            text = escaped(text)
        texts.append(text)
    return Page("\n\n".join(texts), tuple(headings), any(block.rows for block in blocks))


def _table(lines: Sequence[Line], index: int) -> tuple[int, list[list[str]]] | None:
    """The table whose header is this line: how many lines it takes, and its rows.

    Its header is bold, its rows are not, and their cells lie below those of the header. A line of one cell that lies
    below another than the first column goes on with that cell.
    """
    header = lines[index]
    if not header.bold or len(header.cells) < 2:
        return None
    found = _rows(header, lines, index + 1, header)
    return (found[0] + 1, found[1]) if found else None


def _goes_on(table: _Block, lines: Sequence[Line], index: int) -> tuple[int, list[list[str]]] | None:
    """The rows with which a table of the page before goes on from this line, below its header again: how many lines
    they take, and the rows.

    Only what is set like its last row, in columns at the same places, is taken for such; of two columns only several
    rows, as such lines are common.
    """
    header, line = table.header, lines[index]
    if header is None or line.bold or len(line.cells) != len(header.cells):
        return None
    last = next((each for each in reversed(table.lines) if len(each.cells) == len(header.cells)), header)
    if last is header or _type(last) != _type(line):
        return None
    if not all(_is_below(cell, over, line.size) for cell, over in zip(line.cells, last.cells, strict=True)):
        return None
    found = _rows(header, lines, index, None)
    return found if found and len(found[1]) > (2 if len(header.cells) == 2 else 1) else None


def _is_below(cell: Cell, over: Cell, size: float) -> bool:
    """Whether two cells of a column begin, or end, at the same place."""
    return min(abs(cell.left - over.left), abs(cell.right - over.right)) < size / 4


def _rows(header: Line, lines: Sequence[Line], index: int, above: Line | None) -> tuple[int, list[list[str]]] | None:
    """The header and the rows from a line on, and how many lines they take; `above` is the line over the first."""
    rows = [[cell.text for cell in header.cells]]
    begin = index
    while index < len(lines):
        line = lines[index]
        down = above.bottom - line.bottom if above is not None else line.size
        if line.bold or not line.cells or not 0 < down < 4 * line.size:
            break
        columns = [_column(header, cell) for cell in line.cells]
        if columns == list(range(len(header.cells))):
            rows.append([cell.text for cell in line.cells])
        elif len(rows) > 1 and len(columns) == 1 and columns[0] and down < 1.6 * line.size:
            rows[-1][columns[0]] += f" {line.cells[0].text}"
        else:
            break
        above = line
        index += 1
    return (index - begin, rows) if len(rows) > 1 else None


def _column(header: Line, cell: Cell) -> int | None:
    """The column that a cell lies in: the last one that begins before the cell ends."""
    begun = [column for column, over in enumerate(header.cells) if over.left < cell.right]
    return begun[-1] if begun else None


def _pitches(read: Sequence[Sequence[Line]]) -> dict[float, float]:
    """The usual distance of two lines, from one to the next below it, for each size of type."""
    steps: dict[float, Counter[float]] = {}
    for lines in read:
        for above, line in pairwise(lines):
            down = above.bottom - line.bottom
            if above.size and 0.8 * line.size < down < 3 * line.size:
                steps.setdefault(_rounded(line.size), Counter())[_rounded(down)] += 1
    return {size: each.most_common(1)[0][0] for size, each in steps.items()}


def _rounded(points: float) -> float:
    return round(points * 2) / 2
