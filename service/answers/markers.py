"""Source numbers in answers: `[1]`, and of several as models write them, `[2, 3]` and `[4-6]`."""

import re
from collections.abc import Callable, Sequence
from itertools import chain

MARKER = r"\[\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*\]"
"""The pattern of a source number, or of several, in an answer."""
MOST = 50
"""Sources that one range may name."""

_MARKER = re.compile(rf"((?<! ) *)({MARKER})")
"""With the spaces before it: they go where it goes."""
_BEGUN = re.compile(r"(?<! ) *\[(?:\d[\d\s,;–-]{0,100})?\Z")
"""What may become a marker with the next piece of a text."""
_PART = re.compile(r"(\d{1,3})(?:\s*[–-]\s*(\d{1,3}))?")


def numbers_of(marker: str) -> list[int]:
    """The numbers that a marker names, in its order, each once."""
    parts = _PART.findall(marker)
    ranges = (range(int(first), min(int(last or first), int(first) + MOST) + 1) for first, last in parts)
    return list(dict.fromkeys(chain.from_iterable(ranges)))


def renumbered(text: str, numbers: Sequence[int], *, strays: bool) -> str:
    """The text with `numbers[n - 1]` in place of every n in its markers; one whose number is 0 goes. `strays`: others
    stay as they are, else they go."""

    def marker(found: re.Match[str]) -> str:
        before, marked = found.groups()
        named = numbers_of(marked)
        known = [n for n in named if 0 < n <= len(numbers)]
        if not known and strays:
            return found[0]
        gone = [n for n in named if not (numbers[n - 1] if n in known else strays)]
        kept = dict.fromkeys(numbers[n - 1] if n in known else n for n in named if n not in gone)
        return f"{before}[{', '.join(map(str, kept))}]" if kept else ""

    return _MARKER.sub(marker, text)


class Renumbering:
    """Gives the markers of a text that comes in pieces other numbers, as `renumbered` does; strays stay."""

    def __init__(self, numbers: Callable[[], Sequence[int]]) -> None:
        """`numbers` are asked for whenever there is a marker."""
        self._numbers = numbers
        self._held = ""

    def take(self, piece: str) -> str:
        """What can be said of the text so far."""
        text = self._held + piece
        begun = _BEGUN.search(text)
        place = len(text) if begun is None else begun.start()
        self._held = text[place:]
        return self._renumbered(text[:place])

    def rest(self) -> str:
        """What was held back, now that the text has ended."""
        held, self._held = self._held, ""
        return self._renumbered(held)

    def _renumbered(self, text: str) -> str:
        if "[" not in text:
            return text
        numbers = self._numbers()
        same = all(number == place for place, number in enumerate(numbers, 1))
        return text if same else renumbered(text, numbers, strays=True)
