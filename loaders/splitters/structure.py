"""What a splitter has to know of a Markdown text: its headings, its tables, its fenced code."""

import re
from bisect import bisect_right
from dataclasses import dataclass, field

from loaders.base import short

# These run on hostile text: each is linear in the length of a line.
_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*))?$")
_CLOSING = re.compile(r"(?:^|[ \t])#+[ \t]*$")
_SETEXT = re.compile(r" {0,3}(=+|-{2,})[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_RULE = re.compile(r"\|?[ \t]*:?-+:?(?:[ \t]*\|[ \t]*:?-+:?)*(?:[ \t]*\|)?$")
_LONGEST_HEADING = 1000
_MARKS = re.compile(r"[*`]+|!?\[([^\]]*)\]\([^)]*\)")
_NO_PARAGRAPH = ("#", ">", "|", "- ", "* ", "+ ", "```", "~~~")


@dataclass(frozen=True, slots=True)
class Section:
    """The text from one heading to the next, with the titles of the headings above it and its own."""

    start: int
    level: int
    """0 for the text before the first heading."""
    path: tuple[str, ...]
    body: int
    """Where the text after the heading's own lines begins."""


@dataclass(frozen=True, slots=True)
class Block:
    """A table or fenced code, in whole lines; `rows` is where a table's first row below its header begins."""

    start: int
    end: int
    rows: int
    table: bool


@dataclass(slots=True)
class Structure:
    """Sections (at least one, the first starting at 0) and blocks, in order; none overlap."""

    sections: list[Section]
    blocks: list[Block]
    _starts: list[int] = field(init=False)
    _block_starts: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self._starts = [section.start for section in self.sections]
        self._block_starts = [block.start for block in self.blocks]

    def block(self, at: int) -> Block | None:
        """The block that a cut at `at` would cut: it starts before `at` and ends after."""
        index = bisect_right(self._block_starts, at) - 1
        found = self.blocks[index] if index >= 0 else None
        return found if found is not None and found.start < at < found.end else None

    def section(self, at: int) -> Section:
        """The section that the character at `at` belongs to."""
        return self.sections[bisect_right(self._starts, at) - 1]

    def heading(self, start: int, end: int) -> str:
        """The headings that all of `start` to `end` stands under, or else those above its start, joined by ` > ` and
        no longer than other metadata are."""
        first = bisect_right(self._starts, start) - 1
        path = self.sections[first].path
        common = path
        for section in self.sections[first + 1 : bisect_right(self._starts, max(end - 1, start))]:
            length = 0
            while length < min(len(common), len(section.path)) and common[length] == section.path[length]:
                length += 1
            common = common[:length]
        return short(" > ".join(common or path))


def structure_of(text: str) -> Structure:
    """Reads the structure of `text` in one pass over its lines.

    Headings are ATX (`# Title`) or setext (underlined) ones outside fenced code; tables are those with a delimiter row.
    """
    outline = _Outline()
    blocks: list[Block] = []
    lines = _Lines(text)
    above = ""  # the line before, while it may be the title of a setext heading
    above_start = 0
    while lines.next():
        line = lines.line
        stripped = line.lstrip(" ")
        fence = _FENCE.match(line) if stripped[:3] in ("```", "~~~") else None
        if fence:
            blocks.append(lines.fenced(fence.group(1)))
        elif stripped.startswith("#") and len(line) <= _LONGEST_HEADING and (atx := _ATX.match(line)):
            outline.add(lines.start, len(atx.group(1)), _CLOSING.sub("", atx.group(2) or ""), lines.end)
        elif above and stripped[:1] in ("=", "-") and (underline := _SETEXT.match(line)):
            outline.add(above_start, 1 if underline.group(1)[0] == "=" else 2, above, lines.end)
        elif "|" in line and (table := lines.table()):
            blocks.append(table)
        elif stripped and not above and not stripped.startswith(_NO_PARAGRAPH) and lines.after_blank:
            above, above_start = stripped[:_LONGEST_HEADING].strip(), lines.start
            continue
        above = ""
    return Structure(outline.sections, blocks)


class _Outline:
    """Sections as they are found, with the headings that are still open."""

    def __init__(self) -> None:
        self.sections = [Section(0, 0, (), 0)]
        self._open: list[tuple[int, str]] = []

    def add(self, start: int, level: int, title: str, body: int) -> None:
        """A heading at `start`, its text from `body` on."""
        title = " ".join(_MARKS.sub(lambda match: match.group(1) or "", title).split())
        while self._open and self._open[-1][0] >= level:
            self._open.pop()
        self._open.append((level, title))
        if start == 0:
            self.sections.clear()
        path = tuple(name for _, name in self._open if name)
        self.sections.append(Section(start, level, path, body))


class _Lines:
    """A cursor over the lines of a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.start = self.end = 0
        self.line = ""
        self.after_blank = True

    def next(self) -> bool:
        if self.end >= len(self._text):
            return False
        self.after_blank = not self.line.strip()
        self.start, (self.line, self.end) = self.end, self._at(self.end)
        return True

    def _at(self, start: int) -> tuple[str, int]:
        """The line that starts at `start`, without its break, and where the next one starts."""
        end = self._text.find("\n", start)
        end = len(self._text) if end < 0 else end
        return self._text[start:end], min(end + 1, len(self._text))

    def fenced(self, mark: str) -> Block:
        start = self.start
        closing = re.compile(rf" {{0,3}}{re.escape(mark)}{mark[0]}*[ \t]*$")
        while self.next():
            if closing.match(self.line):
                break
        self.line = ""
        return Block(start, self.end, start, table=False)

    def table(self) -> Block | None:
        """The table whose header is this line; the cursor moves to its last row."""
        rule, rows = self._at(self.end)
        if "|" not in rule or "-" not in rule or not _RULE.match(rule.strip()):
            return None
        start = self.start
        self.next()
        while self.end < len(self._text) and "|" in self._at(self.end)[0]:
            self.next()
        return Block(start, self.end, rows, table=True)
