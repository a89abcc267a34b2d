"""Cuts a chunk into what an answer may quote: sentences, list items and table rows, each with its place.

Headings and questions are no answers; they are the context of what follows. The splitter knows no language, only
marks: sentence ends of Latin and CJK scripts, initials, ordinals, and the abbreviations of English and German.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

LONGEST = 480
"""Characters of a unit; a longer run without a sentence end is cut between words."""

_END = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s+\S)|[。！？]+[」』”）]*")
_STARTS_LOW = re.compile(r"\s+[^\w\"'“„«(\[£$€]*[a-zäöüß]")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"„“])(?:[^\W\d_]|[^\W\d_](?:\.\s?[^\W\d_])+|abs|art|bzw|ca|co|corp|dept|dipl|dr|ed|eng|est|etc|evtl|fig|ggf"
    r"|gmbh|hrsg|inc|inkl|jr|ltd|max|min|mio|mr|mrd|mrs|ms|mt|no|nr|op|pp|prof|resp|rev|s|sen|sog|sr|st|str|tel|u\.s|usw"
    r"|vgl|vol|vs|zzgl|jan|feb|apr|aug|sept|sep|oct|okt|nov|dec|dez)\.$",
    re.IGNORECASE,
)
_ORDINAL = re.compile(
    r"(?:^|\s)(?:am|vom|zum|der|dem|den|des|die|das|im|ab|bis|seit|und|–|-)\s+\d{1,2}\.$|(?:^|\s)\d{1,2}\.$"
)
_MONTH = re.compile(
    r"\s+(?:jan|feb|mär|maer|apr|mai|jun|jul|aug|sep|okt|nov|dez|jahrhundert|stock|klasse|etage)", re.IGNORECASE
)
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(.*?)\s*#*\s*$")
_RULE_ROW = re.compile(r"^\s*\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)*\|?\s*$")
_ITEM = re.compile(r"^\s*(?:[-*+•–]|\d{1,3}[.)])\s+")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)\s]*(?:\s+\"[^\"]*\")?\)")
_EMPHASIS = re.compile(r"(\*\*|__|(?<![\w*])\*(?=\S)|(?<=\S)\*(?![\w*])|`)")
_ESCAPE = re.compile(r"\\([\\`*_{}\[\]()#+\-.!|<>~])")
_TAG = re.compile(r"<br\s*/?>", re.IGNORECASE)
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Unit:
    """A quotable piece of a chunk: `text` as it is shown, `context` above it, and its span in the chunk."""

    text: str
    context: str
    start: int
    end: int
    is_row: bool = False

    @property
    def is_fragment(self) -> bool:
        """Running text that does not end as a sentence does."""
        return not self.is_row and self.text[-1] not in ".!?…。！？\"'”’»)]」』”）"


def units(chunk: str, context: str = "") -> list[Unit]:
    """The quotable pieces of a chunk in reading order; `context` is what stands above the chunk."""
    found: list[Unit] = []
    header: list[str] = []
    asked = ""
    for start, end, kind in _blocks(chunk):
        block = chunk[start:end]
        if kind == "heading":
            context, header, asked = shown(_HEADING.sub(r"\1", block)), [], ""
        elif kind == "row":
            cells = _cells(block)
            if _next_is_rule(chunk, end):
                header = cells
            elif not _RULE_ROW.match(block):
                text = _row_text(header, cells)
                if text:
                    found.append(Unit(text, context, start, end, is_row=True))
        else:
            header = []
            for unit in _sentences(chunk, start, end, asked or context):
                if unit.text.endswith(("?", "？")):
                    asked = unit.text
                elif asked and unit.context != asked:
                    found.append(replace(unit, context=asked))
                else:
                    found.append(unit)
    return found


def shown(text: str) -> str:
    """Text without Markdown's marks, on one line."""
    plain = _EMPHASIS.sub("", _LINK.sub(r"\1", _TAG.sub(" ", text)))
    return _SPACE.sub(" ", _ESCAPE.sub(r"\1", plain)).strip()


def _blocks(chunk: str) -> Iterator[tuple[int, int, str]]:
    """Spans of headings, table rows, list items and paragraphs; line breaks inside a paragraph are soft."""
    begun: int | None = None
    ended = 0
    lines = _lines(chunk)
    for number, (start, end) in enumerate(lines):
        line = chunk[start:end]
        kind = _kind(line, lines, number, chunk)
        if kind in ("text", "item") and begun is not None and kind == "text":
            ended = end
            continue
        if begun is not None:
            yield begun, ended, "text"
            begun = None
        if kind in ("text", "item"):
            begun, ended = start, end
        elif kind != "blank":
            yield start, end, kind
    if begun is not None:
        yield begun, ended, "text"


def _lines(chunk: str) -> list[tuple[int, int]]:
    spans, start = [], 0
    for line in chunk.splitlines(keepends=True):
        spans.append((start, start + len(line.rstrip())))
        start += len(line)
    return spans


def _kind(line: str, lines: list[tuple[int, int]], number: int, chunk: str) -> str:
    if not line.strip():
        return "blank"
    if _HEADING.match(line):
        return "heading"
    if line.lstrip().startswith("|") or _RULE_ROW.match(line):
        return "row"
    if _ITEM.match(line) and not line.isupper():
        return "item"
    alone_before = number == 0 or not chunk[slice(*lines[number - 1])].strip()
    alone_after = number + 1 < len(lines) and not chunk[slice(*lines[number + 1])].strip()
    if alone_before and alone_after and len(line) <= 80 and line.rstrip()[-1] not in '.!?…:;,。！？"”':
        return "heading"
    return "text"


def _next_is_rule(chunk: str, end: int) -> bool:
    following = chunk[end:].lstrip("\r\n ").split("\n", 1)[0]
    return bool(following.strip()) and "-" in following and bool(_RULE_ROW.match(following))


def _cells(row: str) -> list[str]:
    inner = row.strip().removeprefix("|").removesuffix("|")
    return [shown(cell) for cell in re.split(r"(?<!\\)\|", inner)]


def _row_text(header: list[str], cells: list[str]) -> str:
    named = [
        f"{name}: {cell}" if name else cell
        for name, cell in zip(header + [""] * (len(cells) - len(header)), cells, strict=False)
        if cell
    ]
    return ", ".join(named)


def _sentences(chunk: str, start: int, end: int, context: str) -> Iterator[Unit]:
    begin = start
    for stop in [*_ends(chunk, start, end), end]:
        mark = _ITEM.match(chunk[begin:stop])
        first = begin + (mark.end() if mark else len(chunk[begin:stop]) - len(chunk[begin:stop].lstrip()))
        for a, b in _pieces(chunk, first, stop):
            text = shown(chunk[a:b])
            if sum(letter.isalnum() for letter in text) >= 2:
                yield Unit(text, context, a, b)
        begin = stop


def _ends(chunk: str, start: int, end: int) -> Iterator[int]:
    for match in _END.finditer(chunk, start, end):
        stop = match.end()
        if chunk[match.start()] in "。！？":
            yield stop
            continue
        if _STARTS_LOW.match(chunk, stop):
            continue
        before = chunk[max(start, stop - 24) : stop]
        if match.group() == ".":
            if _ABBREVIATION.search(before):
                continue
            ordinal = _ORDINAL.search(before)
            if ordinal and (ordinal.group().strip()[0].isalpha() or _MONTH.match(chunk, stop)):
                continue
            if ordinal and before.strip() == chunk[start:stop].strip():
                continue
        yield stop


def _pieces(chunk: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while end - start > LONGEST:
        cut = chunk.rfind(" ", start, start + LONGEST)
        cut = cut if cut > start else start + LONGEST
        yield start, cut
        start = cut
    if start < end:
        yield start, end
