"""Pictures of text: what loaders hand to the step that reads them, and what comes back."""

import math
from dataclasses import dataclass
from typing import Protocol

from loaders.base import Failure, LoaderError, Source

UNAVAILABLE = (
    "Text in pictures is read by tesseract, which is not there: install it (Debian, Ubuntu: apt install tesseract-ocr),"
    " or let the setting RAGSTONE_TESSERACT name the program."
)
MOST_SENT = 25_000_000
"""Pixels of a picture that is read; larger ones are made smaller first. An A4 page at 300 dpi has 9 million."""

_LEAST_CONFIDENCE = 30
"""Words that tesseract is less sure of, in percent, are dots and lines more often than words."""

_COLUMNS, _WORD = 12, "5"


@dataclass(frozen=True, slots=True)
class Picture:
    """A page in shades of grey, a byte a pixel, rows from the top; `dpi` is 0 where it is not known."""

    width: int
    height: int
    dpi: int
    grey: bytes


@dataclass(frozen=True, slots=True)
class Reading:
    """The text of a picture, paragraphs apart, and how sure its words are, in percent."""

    text: str
    confidence: int


class Reader(Protocol):
    """Reads pictures for the loader of one file."""

    most_pixels: int
    """A picture with more is not decoded."""

    def read(self, picture: Picture) -> str:
        """Tesseract's table (TSV) of the words. Raises `LoaderError`."""


def recognise(source: Source, picture: Picture) -> Reading:
    """What stands in a picture of `source`; an empty text when nothing does.

    Raises `LoaderError`: OCR_UNAVAILABLE when there is nothing to read it with, TIMEOUT, MEMORY or CRASHED for this
    picture, TOO_LARGE when the file has more pictures than are read.
    """
    if source.ocr is None:
        raise LoaderError(Failure.OCR_UNAVAILABLE, UNAVAILABLE)
    return reading_of(source.ocr.read(picture))


def check_pixels(source: Source, width: int, height: int) -> None:
    """Refuses a picture that is too large to be decoded, before it is.

    Raises `LoaderError`: TOO_LARGE, or OCR_UNAVAILABLE when nobody would read it.
    """
    if source.ocr is None:
        raise LoaderError(Failure.OCR_UNAVAILABLE, UNAVAILABLE)
    if width * height > source.ocr.most_pixels:
        raise LoaderError(
            Failure.TOO_LARGE,
            f"ocr_pixels: the picture has {width} x {height} pixels, more than {source.ocr.most_pixels}.",
        )


def scale_to_fit(width: float, height: float) -> float:
    """By what to multiply sides so that at most `MOST_SENT` pixels are left; 1 at most."""
    return min(1.0, math.sqrt(MOST_SENT / (width * height)))


def reading_of(table: str) -> Reading:
    """The text of tesseract's TSV: lines as they stand, an empty line between paragraphs."""
    paragraphs: list[list[list[str]]] = []
    confidences: list[float] = []
    paragraph = line = None
    for row in table.split("\n")[1:]:
        cells = row.rstrip("\r").split("\t", _COLUMNS - 1)
        if len(cells) != _COLUMNS or cells[0] != _WORD or not cells[-1].strip():
            continue
        try:
            confidence = float(cells[10])
        except ValueError:
            continue
        if confidence < _LEAST_CONFIDENCE:
            continue
        if paragraph != (paragraph := tuple(cells[1:4])):
            paragraphs.append([])
            line = None
        if line != (line := cells[4]):
            paragraphs[-1].append([])
        paragraphs[-1][-1].append(cells[-1].strip())
        confidences.append(confidence)
    text = "\n\n".join("\n".join(" ".join(words) for words in lines) for lines in paragraphs)
    return Reading(text, round(sum(confidences) / len(confidences)) if confidences else 0)
