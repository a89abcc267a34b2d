"""Windows of tokens."""

import hashlib
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from loaders.splitters.base import Span, Splitter, SplitterError, strip
from loaders.splitters.structure import Structure

Tokens: TypeAlias = Callable[[str], Sequence[tuple[int, int]]]
"""A tokenizer: the places (start, end in characters) of a text's tokens, in order."""

_BLOCK = 1 << 12
_FIRST_CJK = "\u2e80"
"""From here on scripts are written without blanks between words."""
_ESTIMATE = re.compile(
    # CJK, kana and Hangul: a token a character; else up to six letters, up to three digits, or any other sign
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]|[^\W\d_]{1,6}?(?![^\W\d_])|[^\W\d_]{6}|\d{1,3}|[^\w\s]|_"
)


class TokenSplitter(Splitter):
    """Chunks of at most `chunkSize` tokens that share `chunkOverlap` tokens, cut between words where possible.

    What is counted depends on `tokenizer`, an argument of the constructor or an option: the path of a Hugging Face
    `tokenizer.json` counts that model's tokens, exactly and without its special ones; a callable (argument only) counts
    what it returns. Without one, tokens are estimated, and not those of any model: a CJK character, each six letters or
    each three digits of a word, or another sign count as one. Flowise's `encodingName` (`gpt2`, `cl100k_base`, …) is
    accepted but does not change the count: those vocabularies would have to be downloaded.
    """

    version = 2

    def __init__(self, options: Mapping[str, Any], tokenizer: Path | Tokens | None = None) -> None:
        super().__init__(options)
        if tokenizer is None and options.get("tokenizer"):
            tokenizer = Path(str(options["tokenizer"]))
        if isinstance(tokenizer, Path):
            self._tokens, self._counted = _from_file(tokenizer)
        elif tokenizer is not None:
            self._tokens = tokenizer
            self._counted = (
                f"{getattr(tokenizer, '__module__', '')}:{getattr(tokenizer, '__qualname__', repr(tokenizer))}"
            )
        else:
            self._tokens, self._counted = estimate, "estimate"

    def settings(self) -> Mapping[str, str | int | Sequence[str]]:
        """The sizes and what is counted."""
        return {**super().settings(), "tokenizer": self._counted}

    def spans(self, text: str, structure: Structure | None) -> Iterable[Span]:
        """The pieces of `text`; one that begins below the header of a table repeats the header, unless that would fill
        more than half of it."""
        starts = [0, *(start for start, _ in _through(self._tokens, text))][1:] or [0]
        starts[0] = 0  # what stands before the first token goes with it
        first = 0
        while first < len(starts):
            header, taken = self._header(text, starts, starts[first], structure)
            last = min(first + self.size - taken, len(starts))
            if last < len(starts):
                last = _between_words(text, starts, first, last)
            start, end = strip(text, starts[first], starts[last] if last < len(starts) else len(text))
            if start < end:
                yield Span(start, end, header)
            if last == len(starts):
                return
            first = max(_word_start(text, starts, max(last - self.overlap, first + 1), last), first + 1)

    def _header(self, text: str, starts: Sequence[int], at: int, structure: Structure | None) -> tuple[str, int]:
        """The header rows to repeat for a piece that begins at `at`, and their tokens."""
        block = structure.block(at) if structure else None
        if block is None or not block.table or at < block.rows:
            return "", 0
        taken = bisect_left(starts, block.rows) - bisect_left(starts, block.start)
        return (text[block.start : block.rows], taken) if taken * 2 <= self.size else ("", 0)


def estimate(text: str) -> list[tuple[int, int]]:
    """Places of estimated tokens, see `TokenSplitter`."""
    return [found.span() for found in _ESTIMATE.finditer(text)]


def _from_file(path: Path) -> tuple[Tokens, str]:
    from tokenizers import Tokenizer

    try:
        data = path.read_bytes()
        tokenizer = Tokenizer.from_buffer(data)
    except (OSError, ValueError) as error:
        raise SplitterError("tokenizer", f"The tokenizer {path.name} cannot be read.") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def tokens(text: str) -> Sequence[tuple[int, int]]:
        offsets: Sequence[tuple[int, int]] = tokenizer.encode(text, add_special_tokens=False).offsets
        return offsets

    return tokens, hashlib.sha256(data).hexdigest()[:16]


def _through(tokens: Tokens, text: str) -> Iterable[tuple[int, int]]:
    """Tokens of the whole text, taken in blocks that end at white space: tokenizers slow down on long input."""
    at = 0
    while at < len(text):
        end = min(at + _BLOCK, len(text))
        if end < len(text):
            end = max(text.rfind(" ", at, end), text.rfind("\n", at, end)) + 1 or end
        previous = -1
        for start, stop in tokens(text[at:end]):
            if stop > start > previous:  # several tokens of one character count as one place
                previous = start
                yield at + start, at + stop
        at = end


def _starts_word(text: str, place: int) -> bool:
    before, after = text[place - 1 : place], text[place]
    return not (before.isalnum() and after.isalnum() and before < _FIRST_CJK and after < _FIRST_CJK)


def _between_words(text: str, starts: Sequence[int], first: int, last: int) -> int:
    """The last token from `last` backwards that begins a word, not further than half of the window."""
    for index in range(last, first + max((last - first) // 2, 1), -1):
        if _starts_word(text, starts[index]):
            return index
    return last


def _word_start(text: str, starts: Sequence[int], low: int, high: int) -> int:
    """The first token from `low` on that begins a word; `high` when there is none."""
    for index in range(low, high):
        if _starts_word(text, starts[index]):
            return index
    return high
