"""Cuts a stretch of text into spans at the best places: the core of the `default` and `markdown` splitters.

A window as large as a chunk is laid at the current place. The cut is the last boundary of the strongest kind that
leaves the chunk at least half full: blank line, then end of sentence, list item or table row, then line, clause, word.
Text without any is cut at the size. Every window is scanned a fixed number of times, so time is linear.
"""

import re
import unicodedata
from collections.abc import Iterator

from loaders.splitters.base import Span, strip
from loaders.splitters.structure import Block, Structure

_CLOSING = r"[\"'”’»)\]」』）】]*(?:\[\d{1,3}\])*"  # quotes, brackets, numbers of notes
_PARAGRAPH = re.compile(r"\n[ \t]*\n\s*")
_SENTENCE = re.compile(
    # Latin and others: a mark, no number before a full stop unless a long one (a list's 1. is no end), then a blank
    rf"(?:(?<=[^\d\s][.!?…])|(?<=\d\d\d[.])|(?<=\d[!?…])|(?<=[।؟۔։።])){_CLOSING}\s+(?=[^\sa-z])"
    # CJK: the mark itself, no blank needed
    rf"|[。！？｡]{_CLOSING}\s*"
    # list items and table rows
    r"|\n(?=[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t])|\n(?= {0,3}\|)"
)
_LINE = re.compile(r"\n\s*")
_CLAUSE = re.compile(r"[,;:–—][ \t\n]+|[，、；：]")
_SPACE = re.compile(r"\s+")
_STRENGTHS = (_PARAGRAPH, _SENTENCE, _LINE, _CLAUSE, _SPACE)
_WHOLE = (_PARAGRAPH, _SENTENCE)
_JOINED = frozenset("\u200d\ufe0e\ufe0f")


def cut(text: str, start: int, end: int, size: int, overlap: int, structure: Structure | None) -> Iterator[Span]:
    """Spans of at most `size` characters, prefix included, that cover `start` to `end` of `text` but for white space
    at their edges.

    A chunk begins up to `overlap` characters before the end of the one before: at the beginning of a sentence, at that
    of a word only when the cut is within a sentence. Rows of tables are only cut when one is larger than a chunk; a
    chunk that begins within a table repeats the table's header, unless that would fill more than half of it. Tables and
    code do not overlap.
    """
    done = start  # up to here everything is in a chunk
    at, stop = strip(text, start, end)
    while at < stop:
        prefix = _header(text, at, size, structure)
        room = size - len(prefix)
        if stop - at <= room:
            yield Span(at, stop, prefix)
            return
        place, whole = _place(text, at, max(at, done), at + room, structure)
        first, last = strip(text, at, place)
        if first < last:
            yield Span(first, last, prefix)
        done = place
        at = strip(text, _back(text, at, place, overlap, whole, structure), stop)[0]


def _header(text: str, at: int, size: int, structure: Structure | None) -> str:
    """The header rows to repeat for a chunk that begins at `at`."""
    block = structure.block(at) if structure else None
    if block is None or not block.table or at <= block.rows:
        return ""
    header = text[block.start : block.rows]
    return header if len(header) * 2 <= size else ""


def _place(text: str, at: int, done: int, limit: int, structure: Structure | None) -> tuple[int, bool]:
    """Where the chunk from `at` ends (after `done`, at most at `limit`), and whether a sentence ends there."""
    half = max(at + (limit - at) // 2, done + 1)
    for strength in _STRENGTHS:
        place = _last(strength, text, half, limit, structure)
        if place:
            return place, strength in _WHOLE
    # Nothing in the latter half: a shorter chunk is better than a cut row, a cut row better than a cut word.
    for strength in _STRENGTHS:
        place = _last(strength, text, done + 1, half, structure)
        if place:
            return place, strength in _WHOLE
    for found in _reversed(_SPACE, text, done + 1, limit):
        return found, False
    place = limit
    while place > max(half, limit - 32) and (
        unicodedata.combining(text[place]) or _JOINED & {text[place], text[place - 1]}
    ):
        place -= 1
    return place, False


def _last(strength: re.Pattern[str], text: str, low: int, high: int, structure: Structure | None) -> int:
    """The last boundary of this strength from `low` to `high` at which may be cut; 0 when there is none."""
    for place in _reversed(strength, text, low, high):
        if structure is None or _allowed(text, place, structure):
            return place
    return 0


def _reversed(strength: re.Pattern[str], text: str, low: int, high: int) -> Iterator[int]:
    # Begins a little earlier and ends a little later than where ends of matches are wanted: matches have a length.
    ends = [found.end() for found in strength.finditer(text, max(low - 8, 0), min(high + 2, len(text)))]
    return (end for end in reversed(ends) if low <= end <= high)


def _allowed(text: str, place: int, structure: Structure) -> bool:
    """Not within a table's header or a row of it, not within a line of code, not within or right below a heading."""
    block = structure.block(place)
    if block is not None:
        return text[place - 1] == "\n" and place > block.rows if block.table else _line_start(text, place)
    # The text above the cut belongs to the section of the character before it.
    section = structure.section(place - 1)
    return section.level == 0 or bool(text[section.body : place].strip())


def _line_start(text: str, place: int) -> bool:
    return not text[text.rfind("\n", 0, place) + 1 : place].strip()


def _back(text: str, at: int, place: int, overlap: int, whole: bool, structure: Structure | None) -> int:
    """Where the chunk after a cut at `place` begins. `whole`: a sentence ends at the cut."""
    low = max(place - overlap, at + 1)
    if low >= place or (structure is not None and _in_block(structure, low, place)):
        return place
    for strength in (_SENTENCE,) if whole else (_SENTENCE, _SPACE):
        for found in strength.finditer(text, max(low - 8, 0), place):
            if low <= found.end() < place and (structure is None or _allowed(text, found.end(), structure)):
                return found.end()
    return place if whole or not text[low:place].isalnum() else low


def _in_block(structure: Structure, low: int, high: int) -> bool:
    found: Block | None = structure.block(low + 1) or structure.block(high)
    return found is not None
