"""SentencePiece's unigram segmentation (Kudo 2018) over the model's vocabulary: the likeliest pieces of a text.

Written here because the library that does it keeps these 250,000 pieces in 250 MB of memory and takes most of a second
to load them; a dictionary takes 45 MB and a tenth. Words repeat, so their pieces are remembered. A test compares the
pieces with the library's.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache

START, END, UNKNOWN = 0, 2, 3
SPECIAL = 4
"""Pieces before this one, and the last, are marks for the model and never text."""
SPACE = "\u2581"
_SPACES = re.compile(f"[ {SPACE}]+")
_UNKNOWN_PENALTY = 10.0
_REMEMBERED = 1 << 16
_LONGEST_REMEMBERED = 40


class UnigramTokenizer:
    """Text to piece numbers, without the marks of start and end. Safe for several threads."""

    def __init__(self, pieces: Sequence[str], scores: Sequence[float], replaced: Mapping[int, str]) -> None:
        """`scores` are the pieces' log-likelihoods; `replaced` says how characters are written."""
        self._numbers = {piece: number for number, piece in enumerate(pieces[:-1]) if number >= SPECIAL}
        self._scores = scores
        self._replaced = replaced
        self._longest = max(map(len, self._numbers))
        self._unknown = min(scores) - _UNKNOWN_PENALTY
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._segment)

    def encode(self, text: str) -> list[int]:
        """The pieces of a text, which begins as if after a space."""
        written = unicodedata.normalize("NFC", text).translate(self._replaced)
        pieces: list[int] = []
        for word in _SPACES.sub(" ", written).removeprefix(" ").split(" "):
            marked = SPACE + word
            segment = self._remembered if len(marked) <= _LONGEST_REMEMBERED else self._segment
            pieces += segment(marked)
        return pieces

    def _segment(self, word: str) -> tuple[int, ...]:
        """The segmentation with the best sum of scores (Viterbi); characters without a piece are unknown, a run of them
        once."""
        length = len(word)
        best = [0.0] + [float("-inf")] * length
        came = [(0, UNKNOWN)] * (length + 1)
        find, scores = self._numbers.get, self._scores
        for start in range(length):
            so_far = best[start]
            if so_far + self._unknown > best[start + 1]:
                best[start + 1], came[start + 1] = so_far + self._unknown, (start, UNKNOWN)
            for end in range(start + 1, min(start + self._longest, length) + 1):
                number = find(word[start:end])
                if number is not None and so_far + scores[number] > best[end]:
                    best[end], came[end] = so_far + scores[number], (start, number)
        pieces: list[int] = []
        at = length
        while at > 0:
            at, number = came[at]
            if number != UNKNOWN or not pieces or pieces[-1] != UNKNOWN:
                pieces.append(number)
        return tuple(reversed(pieces))
