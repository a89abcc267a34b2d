"""Source numbers in answers: `[1]`, and of several as models write them, `[2, 3]` and `[4-6]`."""

import re
from collections.abc import Sequence
from itertools import chain

MARKER = r"\[\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*\]"
"""The pattern of a source number, or of several, in an answer."""
MOST = 50
"""Sources that one range may name."""

_MARKER = re.compile(MARKER)
_PART = re.compile(r"(\d{1,3})(?:\s*[–-]\s*(\d{1,3}))?")


def numbers_of(marker: str) -> list[int]:
    """The numbers that a marker names, in its order, each once."""
    parts = _PART.findall(marker)
    ranges = (range(int(first), min(int(last or first), int(first) + MOST) + 1) for first, last in parts)
    return list(dict.fromkeys(chain.from_iterable(ranges)))


def renumbered(text: str, numbers: Sequence[int], *, strays: bool) -> str:
    """The text with `numbers[n - 1]` in place of every n in its markers. `strays`: others stay as they are, else they
    go."""

    def marker(found: re.Match[str]) -> str:
        named = numbers_of(found[0])
        known = [n for n in named if 0 < n <= len(numbers)]
        if not known:
            return found[0] if strays else ""
        kept = (numbers[n - 1] if n in known else n for n in named if strays or n in known)
        return f"[{', '.join(map(str, dict.fromkeys(kept)))}]"

    return _MARKER.sub(marker, text)
