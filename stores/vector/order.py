"""Walking a collection in the order of its ids where a backend cannot sort by them.

Each point keeps the place of its id, a whole number that never falls as ids rise. Ids are then read in windows of
places that hold a page and not much more, and sorted here.
"""

from collections.abc import Awaitable, Callable, Sequence

LETTERS = 10
"""Characters of an id that its place tells apart."""
CODES = 39
"""Digits and small letters have a code of their own; what lies before, between and behind them shares one each."""
SPACE = CODES**LETTERS
"""Places are below this, and so whole numbers that a double-precision float holds exactly."""

ReadWindow = Callable[[int, int, int | None], Awaitable[Sequence[str]]]
"""The ids whose place is at least the first number and below the second, at most so many, in any order."""


def place(key: str) -> int:
    """The place of an id in [0, SPACE). `a < b` implies `place(a) <= place(b)`."""
    code, sole = 0, True
    for index in range(LETTERS):
        here = 0
        # Behind a character that shares its code nothing counts: "A9" comes before "B0".
        if sole and index < len(key):
            here, sole = _code(key[index])
        code = code * CODES + here
    return code


def _code(letter: str) -> tuple[int, bool]:
    """The code of a character, and whether it is its own."""
    if letter < "0":
        return 0, False  # as the end of the id, which comes before everything
    if letter <= "9":
        return 1 + ord(letter) - ord("0"), True
    if letter < "a":
        return 11, False
    if letter <= "z":
        return 12 + ord(letter) - ord("a"), True
    return CODES - 1, False


async def walk(read: ReadWindow, after: str, limit: int) -> list[str]:
    """Up to `limit` ids above `after` in their order."""
    found: list[str] = []
    low, high, enough = place(after), SPACE, 4 * limit
    while low < SPACE and len(found) < limit:
        keys = await read(low, high, enough)
        if len(keys) >= enough:
            # Too many: the window ends behind the part of them that the page needs, unless one place has them all.
            closer = place(sorted(keys)[limit]) + 1
            if closer < high:
                high = closer
                continue
            keys = await read(low, high, None)
        found += sorted(key for key in keys if key > after)
        low, high = high, SPACE
    return found[: max(limit, 0)]
