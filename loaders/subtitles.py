"""Subtitles (WebVTT, SubRip): what is said and by whom, without the times."""

import re
from collections.abc import Iterator, Mapping
from html import unescape
from typing import Any, ClassVar

from langchain_core.documents import Document

from loaders.base import Failure, Loader, LoaderError, Source, document, required
from loaders.text import read_text
from loaders.unicode import clean

_TIMES = re.compile(r"(?:\d{1,4}:)?\d{1,2}:\d{2}[.,]\d{1,3}[ \t]+-->[ \t]+(?:\d{1,4}:)?\d{1,2}:\d{2}[.,]\d{1,3}")
_VOICE = re.compile(r"<v(?:\.[^ \t<>]{0,100})?[ \t]{1,9}([^<>]{1,200})>")
_TAG = re.compile(r"</?[A-Za-z0-9:.][^<>]*>|\{\\[^{}]*\}")
_SENTENCE_END = re.compile(r"[.!?…][\"'”’)]*\Z")
_LONGEST_PARAGRAPH = 1000


class VttLoader(Loader):
    """One document of `text` format, titled by the file's name without suffix.

    What one speaker says in a row is a paragraph `Speaker: text`; without speakers paragraphs end with a sentence.
    Notes, styles and regions are left out, lines that are repeated while captions roll stand once.
    """

    kind: ClassVar[str] = "WebVTT"

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The words as one document."""
        text = clean(read_text(source))
        if not text.strip():
            raise LoaderError(Failure.EMPTY, "The file is empty.")
        if not _TIMES.search(text):
            raise LoaderError(Failure.CORRUPT, f"The file has no {self.kind} subtitles.")
        spoken = "\n\n".join(_paragraphs(_lines(text)))
        yield required(document(source, spoken, title=source.stem), "The subtitles have no words.")


class SrtLoader(VttLoader):
    """SubRip: the same without speakers of their own."""

    kind: ClassVar[str] = "SubRip"


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Speaker (or nothing) and words of each line that is said."""
    before: list[str] = []
    for block in re.split(r"\n[ \t]*\n", text):
        lines = block.split("\n")
        times = next((at for at, line in enumerate(lines) if _TIMES.match(line.strip())), None)
        if times is None:
            continue
        said: list[str] = []
        speaker = ""
        for line in lines[times + 1 :]:
            voice = _VOICE.search(line)
            speaker = unescape(voice.group(1)).strip() if voice else speaker
            words = " ".join(unescape(_TAG.sub("", line)).split())
            if words and words not in before:
                yield speaker, words
            said += [words] if words else []
        before = said


def _paragraphs(lines: Iterator[tuple[str, str]]) -> Iterator[str]:
    speaking = ""
    words: list[str] = []
    length = 0
    for speaker, said in lines:
        ended = length > _LONGEST_PARAGRAPH / 2 and bool(_SENTENCE_END.search(words[-1]))
        if words and (speaker != speaking or ended or length > _LONGEST_PARAGRAPH):
            yield _paragraph(speaking, words)
            words, length = [], 0
        speaking = speaker
        words.append(said)
        length += len(said)
    if words:
        yield _paragraph(speaking, words)


def _paragraph(speaker: str, words: list[str]) -> str:
    return f"{speaker}: {' '.join(words)}" if speaker else " ".join(words)
