"""Recursive cutting at separators, as LangChain's and Flowise's splitters of that name do it, with exact offsets.

LangChain gives pieces without their places, and looking them up is slow and ambiguous in repetitive text; so the
algorithm runs here over spans. A test compares the pieces with LangChain's own.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from loaders.splitters.base import Span, Splitter, SplitterError, strip
from loaders.splitters.cutting import cut
from loaders.splitters.structure import Structure

_SEPARATORS = ("\n\n", "\n", " ", "")


class RecursiveSplitter(Splitter):
    """Cuts at the first of `separators` (a list, or a JSON list as text) that occurs, pieces that are still too large
    at the next one, down to single characters. Small neighbours are joined up to the size. Sizes are in characters.

    A table of a Markdown document that is larger than a chunk is cut between its rows, and every chunk of it begins
    with its header. A separator stays at the beginning of the piece after it. When the list does not end with the empty
    separator, it is added: no chunk may be larger than the size.
    """

    version = 2

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self.separators = self.choose(options)
        self._patterns = [re.compile(self.pattern(separator)) if separator else None for separator in self.separators]

    def choose(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        """The separators to try, in order."""
        value = options.get("separators")
        if isinstance(value, str) and value.strip():
            try:
                value = json.loads(value)
            except json.JSONDecodeError as error:
                raise SplitterError("separators", f"separators must be a JSON list of strings: {error}.") from error
        if not value or isinstance(value, str):
            return _SEPARATORS
        if not isinstance(value, Sequence) or not all(isinstance(separator, str) for separator in value):
            raise SplitterError("separators", "separators must be a list of strings.")
        return _complete(value)

    def pattern(self, separator: str) -> str:
        """The regular expression for a separator."""
        return re.escape(separator)

    def settings(self) -> Mapping[str, str | int | Sequence[str]]:
        """The sizes and the separators."""
        return {**super().settings(), "separators": list(self.separators)}

    def spans(self, text: str, structure: Structure | None) -> Iterable[Span]:
        """The pieces of `text`; of its structure only tables count that are larger than a chunk."""
        at = 0
        for block in structure.blocks if structure else ():
            if block.table and block.end - block.start > self.size:
                yield from self._plain(text, at, block.start)
                yield from cut(text, block.start, block.end, self.size, self.overlap, structure)
                at = block.end
        yield from self._plain(text, at, len(text))

    def _plain(self, text: str, start: int, end: int) -> Iterator[Span]:
        for first, last in self._cut(text, start, end, 0):
            first, last = strip(text, first, last)
            if first < last:
                yield Span(first, last)

    def _cut(self, text: str, start: int, end: int, level: int) -> Iterator[tuple[int, int]]:
        index = level
        while (pattern := self._patterns[index]) is not None and not pattern.search(text, start, end):
            index += 1
        if pattern is None:
            step = self.size - self.overlap
            for at in range(start, max(end - self.overlap, start + 1), step):
                yield at, min(at + self.size, end)
            return
        small: list[tuple[int, int]] = []
        for piece in _pieces(pattern, text, start, end):
            if piece[1] - piece[0] < self.size:
                small.append(piece)
                continue
            yield from self._join(small)
            small = []
            if piece[1] - piece[0] == self.size:
                yield piece
            else:
                yield from self._cut(text, *piece, index + 1)
        yield from self._join(small)

    def _join(self, pieces: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """Neighbouring pieces joined up to the size, each chunk beginning with pieces of the one before within the
        overlap."""
        first = 0
        for index, (_, end) in enumerate(pieces):
            start = pieces[first][0]
            if index > first and end - start > self.size:
                yield start, pieces[index - 1][1]
                before = pieces[index - 1][1]
                while first < index and (
                    before - pieces[first][0] > self.overlap or end - pieces[first][0] > self.size
                ):
                    first += 1
        if pieces:
            yield pieces[first][0], pieces[-1][1]


class CharacterSplitter(RecursiveSplitter):
    """Cuts at one `separator` (a blank line by default). Flowise leaves pieces that are larger than the size as they
    are; here they are cut further, at words."""

    def choose(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        """The one separator, then words."""
        value = options.get("separator")
        if value is not None and not isinstance(value, str):
            raise SplitterError("separator", "separator must be a text.")
        return _complete([value or "\n\n", " "])


class CodeSplitter(RecursiveSplitter):
    """Cuts source code where the definitions of its `language` begin."""

    def choose(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        """The language's separators, which LangChain keeps."""
        from langchain_text_splitters import Language, RecursiveCharacterTextSplitter

        named = str(options.get("language") or "").strip().lower()
        try:
            return _complete(RecursiveCharacterTextSplitter.get_separators_for_language(Language(named)))
        except ValueError as error:
            known = ", ".join(sorted(language.value for language in Language))
            raise SplitterError("language", f"language must be one of {known}; not {named!r}.") from error

    def pattern(self, separator: str) -> str:
        """Separators of languages are regular expressions already."""
        return separator


def _complete(separators: Sequence[str]) -> tuple[str, ...]:
    kept = list(separators)
    if "" in kept:
        del kept[kept.index("") :]
    return (*kept, "")


def _pieces(pattern: re.Pattern[str], text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """`start` to `end`, cut before every match."""
    last = start
    for found in pattern.finditer(text, start, end):
        if found.start() > last:
            yield last, found.start()
            last = found.start()
    if last < end:
        yield last, end
