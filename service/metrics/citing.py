"""Which sources the sentences of an answer cite, and whether the words of a source back a sentence."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.answers.units import units
from service.answers.words import FUNCTION_WORDS, met, words
from service.metrics.wording import MARKER

_MARKER = re.compile(MARKER)
_MARKERS_BEHIND = re.compile(rf"([.!?…。！？]+[\"'”’»)]*)((?:[ \t]*{MARKER})+)")
_LINKED = re.compile(r"(\[\d{1,3}\])\([^()\s]{0,500}\)")
_PART = re.compile(r"(\d{1,3})(?:\s*[–-]\s*(\d{1,3}))?")
_FIGURE = re.compile(r"(?<!\d)\d{1,3}(?:[.,’'\u00a0\u202f ]\d{3})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,]\d+)*")
_THOUSANDS = re.compile(r"[.,’'\u00a0\u202f ](?=\d{3}(?!\d))")

MOST_CITED = 50
"""Sources that one range like [1-9] may name."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, list item or table row of an answer, without its markers, and the numbers that it cites."""

    text: str
    cites: tuple[int, ...]


def sentences(answer: str) -> list[Sentence]:
    """What an answer says, piece by piece. Numbers right behind the end of a sentence belong to it; headings and
    questions say nothing."""
    # the splitter would give numbers behind a full stop to the next sentence
    inside = _MARKERS_BEHIND.sub(lambda found: f"{found[2]}{found[1]} ", _LINKED.sub(r"\1", answer))
    pieces = [unit.text for unit in units(inside)] or [line for line in inside.splitlines() if line.strip()]
    found = [Sentence(" ".join(_MARKER.sub("", piece).split()), tuple(_cited(piece))) for piece in pieces]
    return [sentence for sentence in found if words(sentence.text)]


def _cited(piece: str) -> Iterator[int]:
    seen = set()
    for marker in _MARKER.findall(piece):
        for first, last in _PART.findall(marker):
            for number in range(int(first), min(int(last or first), int(first) + MOST_CITED) + 1):
                if number not in seen:
                    seen.add(number)
                    yield number


def figures(text: str) -> set[str]:
    """The numbers of a text, however their thousands are set apart: "1,000.50" and "1.000,50" are both "1000.50"."""
    return {_THOUSANDS.sub("", found).replace(",", ".") for found in _FIGURE.findall(text)}


def coverage(sentence: str, source: str) -> float:
    """The share of a sentence's distinct words that are met in a source, in [0, 1]; small words and figures aside. 1
    for a sentence without any other."""
    wanted = {word for word in words(sentence) if word not in FUNCTION_WORDS and not any(map(str.isdigit, word))}
    return len(met(wanted, source)) / len(wanted) if wanted else 1.0


def holds_figures(sentence: str, source: str) -> bool:
    """Whether every number of a sentence stands in a source."""
    return figures(sentence) <= figures(source)


def pieces(source: str) -> Sequence[str]:
    """The sentences and rows of a source, the source itself where it has none."""
    return [
        f"{unit.context}: {unit.text}" if unit.is_row and unit.context else unit.text for unit in units(source)
    ] or [source]
