"""Cuts a chunk into what an answer may quote: sentences, list items and table rows, each with its place.

Headings and questions are no answers; they are the context of what follows. Lines of a paragraph belong together
unless they are set as lines: short ones without a sentence end before a capital (addresses, receipts), and fields
(`name: value`) below each other. Both are read together, as far as they fit. The splitter knows no language, only
marks: sentence ends of Latin and CJK scripts, initials, ordinals, and the abbreviations of English and German.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from service.answers.markers import MARKER
from service.answers.words import FUNCTION_WORDS

LONGEST = 480
"""Characters of a unit; a longer run without a sentence end is cut between words."""

_LONGEST_LEAD = 200
_LONGEST_NAME = 80
"""Characters of a heading without marks, or of the value that names a record."""
_SHORT = 0.75
"""A line is short below this share of the paragraph's width, which is at least `_NARROW`."""
_NARROW = 50

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
_LINK = re.compile(r"!?\[([^\]]*)\]\(\s*<?[^)\s]*>?(?:\s+[\"'][^\"']*[\"'])?\s*\)")
_LIVE = re.compile(r"!(?=\[)|\](?=[(\[])|<(?=[a-zA-Z/!?])")
"""Where Markdown or HTML would begin an image, a link or an element."""
_NUMBERED = re.compile(rf"(?<![\w\]])(?:{MARKER})+")
"""What reads as the number of a source, or as several. An index, as in `list[0]`, stands right behind a name."""
_ROUND = str.maketrans("[]", "()")
_EMPHASIS = re.compile(r"(\*\*|__|(?<![\w*])\*(?=\S)|(?<=\S)\*(?![\w*])|`)")
_ESCAPE = re.compile(r"\\([\\`*_{}\[\]()#+\-.!|<>~])")
_TAG = re.compile(r"<br\s*/?>", re.IGNORECASE)
_FIELD = re.compile(r"\s*([^\W\d_][^:.!?|]{0,39}):\s+(\S.*)")
_AMOUNT = re.compile(r"[$€£%]|\d\s*$")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Unit:
    """A quotable piece of a chunk: `text` as it is shown, `context` above it, and its span in the chunk."""

    text: str
    context: str
    start: int
    end: int
    is_row: bool = False
    lead: str = ""
    """The sentence that introduces a list item and ends in a colon; without it the item may not be understood."""

    @property
    def is_fragment(self) -> bool:
        """Running text that does not end as a sentence does."""
        return not self.is_row and self.text[-1] not in ".!?…。！？\"'”’»)]」』”）"


def units(chunk: str, context: str = "") -> list[Unit]:
    """The quotable pieces of a chunk in reading order; `context` is what stands above the chunk."""
    found: list[Unit] = []
    header: list[str] = []
    asked = lead = ""
    for start, end, kind in _blocks(chunk):
        block = chunk[start:end]
        if kind == "heading":
            context, header, asked, lead = shown(_HEADING.sub(r"\1", block)), [], "", ""
        elif kind == "row":
            cells = _cells(block)
            if _next_is_rule(chunk, end):
                header = cells
            elif not _RULE_ROW.match(block):
                text = _row_text(header, cells)
                if text:
                    found.append(Unit(text, context, start, end, is_row=True))
        elif kind == "lines":
            found.extend(_record(chunk, start, end, context))
        else:
            header = []
            sentences = list(_sentences(chunk, start, end, asked or context))
            item = bool(_ITEM.match(block))
            if item and lead and found and found[-1].text == lead:
                found.pop()  # it says nothing without its items, which carry it
            for unit in sentences:
                if unit.text.endswith(("?", "？")):
                    asked = unit.text
                else:
                    below = replace(unit, context=asked) if asked else unit
                    found.append(replace(below, lead=lead) if item and lead else below)
            if not item:
                last = sentences[-1].text if sentences else ""
                lead = last if last.endswith(":") and len(last) <= _LONGEST_LEAD else ""
    return found


def _record(chunk: str, start: int, end: int, context: str) -> Iterator[Unit]:
    """Lines that are read together: as many as fit into a unit, each below the first line when they do not all fit."""
    spans = _field_spans(chunk, start, end)
    named = context
    while spans:
        count = 1
        while count < len(spans) and spans[count][1] - spans[0][0] <= LONGEST:
            count += 1
        (first, stop), last = spans[0], spans[count - 1][1]
        if stop - first > LONGEST:
            yield from _sentences(chunk, first, stop, named)
        elif text := _joined([shown(chunk[a:b]) for a, b in spans[:count]]):
            yield Unit(text, named, first, last, is_row=True)
        if spans[0][0] == start and stop - first <= _LONGEST_NAME:
            named = shown(chunk[first:stop])
        spans = spans[count:]


def _joined(lines: list[str]) -> str:
    """Lines as one: commas where no sentence ends."""
    parts = [line for line in lines if any(letter.isalnum() for letter in line)]
    return "".join(part + ("" if part is parts[-1] else " " if part[-1] in ".!?:;," else ", ") for part in parts)


def _field_spans(chunk: str, start: int, end: int) -> list[tuple[int, int]]:
    """The lines of a record; in one of fields, a line without a name goes on with the field above."""
    spans: list[tuple[int, int]] = []
    fields = bool(_FIELD.match(chunk[start:end]))
    for a, b in _lines(chunk[start:end]):
        if not fields or not spans or _FIELD.match(chunk[start + a : start + b]):
            spans.append((start + a, start + b))
        else:
            spans[-1] = (spans[-1][0], start + b)
    return spans


def shown(text: str) -> str:
    """Text without Markdown's marks, on one line."""
    plain = _EMPHASIS.sub("", _LINK.sub(r"\1", _TAG.sub(" ", text)))
    return _SPACE.sub(" ", _ESCAPE.sub(r"\1", plain)).strip()


def inert(text: str) -> str:
    """Text of a document as it may stand in an answer: what shows it as Markdown or HTML loads no image, runs nothing
    and makes no link whose target differs from what people read. Addresses that are written out stay. Numbers in square
    brackets get round ones: in an answer they would cite a source of ours, and mean one of the document's."""
    return _LIVE.sub(r"\g<0> ", _NUMBERED.sub(lambda found: found[0].translate(_ROUND), text))


def _blocks(chunk: str) -> Iterator[tuple[int, int, str]]:
    """Spans of headings, table rows, list items, records, lines and paragraphs in reading order."""
    lines = _lines(chunk)
    index = 0
    while index < len(lines):
        start, end = lines[index]
        kind = _kind(chunk[start:end])
        if kind in ("blank", "heading", "row"):
            if kind != "blank":
                yield start, end, kind
            index += 1
            continue
        last = index
        while last + 1 < len(lines) and _kind(chunk[slice(*lines[last + 1])]) == "text":
            last += 1
        after = next((chunk[a:b] for a, b in lines[last + 1 :] if chunk[a:b].strip()), "")
        yield from _paragraph(chunk, lines[index : last + 1], after)
        index = last + 1


def _paragraph(chunk: str, lines: list[tuple[int, int]], after: str) -> Iterator[tuple[int, int, str]]:
    """What lines without an empty one between them are; `after` is the next line in the chunk."""
    texts = [chunk[a:b] for a, b in lines]
    fields = sum(bool(_FIELD.match(text)) for text in texts)
    if len(lines) > 1 and _FIELD.match(texts[0]) and 2 * fields > len(lines):
        yield lines[0][0], lines[-1][1], "lines"
        return
    if len(lines) == 1:
        titles = _is_title(texts[0]) and bool(after.strip()) and not _stands_alone(after)
        yield *lines[0], "heading" if titles else "text"
        return
    width = max(*map(len, texts), _NARROW)
    alone = [_stands_alone(text, width) for text in texts]
    begin = 0
    for index, text in enumerate(texts):
        goes_on = index + 1 < len(texts) and (not alone[index] or not _starts_high(texts[index + 1], text))
        if goes_on or (index + 1 < len(texts) and alone[index] and alone[index + 1] and all(alone[begin:index])):
            continue
        if index > begin and all(alone[begin : index + 1]):
            kind = "lines"
        else:
            # The first line of a paragraph is its heading when running text follows in the paragraph.
            kind = "heading" if index == begin == 0 and index + 1 < len(texts) and _is_title(text) else "text"
        yield lines[begin][0], lines[index][1], kind
        begin = index + 1


def _is_title(text: str) -> bool:
    listed = _ITEM.match(text) and not text.isupper()
    return len(text) <= _LONGEST_NAME and _stands_alone(text) and not listed and not _AMOUNT.search(text)


def _stands_alone(text: str, width: int = 100) -> bool:
    """Whether a line ends before the margin, without a mark, on a word of weight; lines of running text do not."""
    text = text.strip()
    last = text.rpartition(" ")[2].casefold()
    return len(text) < _SHORT * width and text[-1:] not in '.!?…:;,-。！？"”»\ufffe' and last not in FUNCTION_WORDS


def _starts_high(text: str, above: str) -> bool:
    first = text.lstrip()[:1]
    return first.isupper() or first in "$€£•–" or (first.isdigit() and len(above) < _NARROW)


def _lines(chunk: str) -> list[tuple[int, int]]:
    spans, start = [], 0
    for line in chunk.splitlines(keepends=True):
        spans.append((start, start + len(line.rstrip())))
        start += len(line)
    return spans


def _kind(line: str) -> str:
    if not line.strip():
        return "blank"
    if _HEADING.match(line):
        return "heading"
    if line.lstrip().startswith("|") or _RULE_ROW.match(line):
        return "row"
    if _ITEM.match(line) and not line.isupper():
        return "item"
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
