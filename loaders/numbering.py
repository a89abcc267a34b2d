"""The numbers that Word writes before paragraphs of its lists and before headings: they stand in no text."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_VAL, _ID = _W + "val", _W + "numId"
_LEVELS = 9
_MOST = 100_000
"""Numbers beyond are written as they are."""
_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"),
    (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip
BULLET = "-"
"""What stands before items of lists that are not numbered."""


@dataclass(frozen=True, slots=True)
class Level:
    """How one level of a list is numbered; `text` has `%1` where the number of the first level stands."""

    start: int = 1
    kind: str = "decimal"
    text: str = ""
    style: str = ""
    decimal: bool = False
    restart: int = _LEVELS
    """It begins anew below an item of a level above this one, counted from 1; 0 is never."""


@dataclass(slots=True)
class List:
    """A list by its levels from 0, and the numbers it has come to; `link` is the style that it has them of."""

    levels: dict[int, Level]
    link: str = ""
    counts: dict[int, int] = field(default_factory=dict)


Number = tuple[str, Mapping[int, int], Mapping[int, Level]]
"""The list that a number belongs to, where it begins anew by levels, its own levels."""


class Lists:
    """The lists of one document; numbers count on from paragraph to paragraph, so ask once for each, in order."""

    def __init__(self, lists: Mapping[str, List], numbers: Mapping[str, Number]) -> None:
        """`numbers` by the keys that paragraphs name: the list of each, where it begins anew or has levels of its own
        by their places."""
        self._lists = lists
        self._numbers = numbers
        self._begun = set[tuple[str, int]]()

    def count(self, key: str, at: int) -> tuple[str, int] | None:
        """What stands before the next paragraph with that number and level, as `Numbering.mark` has it."""
        if key not in self._numbers:
            return None
        abstract, starts, own = self._numbers[key]
        at = min(at, _LEVELS - 1)
        found = self._resolved(abstract)
        if found is None:
            return BULLET, at
        levels = {**found.levels, **own}
        if at in starts and (key, at) not in self._begun:
            found.counts.pop(at, None)
            self._begun.add((key, at))
        here = levels.get(at, Level())
        start = starts.get(at, here.start)
        found.counts[at] = found.counts.get(at, start - 1) + 1
        for deeper in [each for each in found.counts if at < each and at < levels.get(each, Level()).restart]:
            del found.counts[deeper]
        if here.kind == "bullet":
            return BULLET, at
        text = here.text
        for place in range(at + 1):
            each = levels.get(place, Level())
            count = found.counts.setdefault(place, each.start)
            text = text.replace(f"%{place + 1}", written(count, "decimal" if here.decimal else each.kind))
        return text.strip(), at

    def _resolved(self, abstract: str) -> List | None:
        return self._lists.get(abstract)


class Numbering(Lists):
    """The lists of a document by the parts of DOCX that say how they are numbered."""

    def __init__(self, lists: Any, styles: Iterable[Any]) -> None:
        """`lists` is the root of the part with the document's lists (None: it has none), `styles` its styles."""
        known: dict[str, List] = {}
        numbers: dict[str, Number] = {}
        self._styles: dict[str, tuple[str, str | None]] = {}
        self._bases: dict[str, str] = {}
        for child in lists if lists is not None else ():
            if child.tag == _W + "abstractNum":
                levels = dict(_level(level) for level in child.iterchildren(_W + "lvl"))
                known[child.get(_W + "abstractNumId", "")] = List(levels, _value(child, "numStyleLink"))
            elif child.tag == _W + "num":
                numbers[child.get(_ID, "")] = _number(child)
        super().__init__(known, numbers)
        for style in styles:
            key = style.get(_W + "styleId", "")
            self._bases[key] = _value(style, "basedOn")
            numbered = style.find(f"{_W}pPr/{_W}numPr")
            if numbered is not None:
                self._styles[key] = (_value(numbered, "numId"), _value(numbered, "ilvl") or None)

    def mark(self, properties: Any, style: str) -> tuple[str, int] | None:
        """What stands before a paragraph with these properties (None: none) and style: a number such as `4.2` or
        `b)`, or `BULLET`; and its level from 0. An empty number is one that is not shown. None: it is in no list.
        """
        numbered = properties.find(_W + "numPr") if properties is not None else None
        key, level = (_value(numbered, "numId"), _value(numbered, "ilvl")) if numbered is not None else ("", "")
        if not key:
            key, inherited = self._of_style(style)
            level = level or inherited or ""
        if key not in self._numbers:
            return None
        if level.isdecimal() and len(level) < 3:
            place = int(level)
        else:
            abstract, _, own = self._numbers[key]
            found = self._resolved(abstract)
            place = _place({**found.levels, **own}, style) if found is not None else 0
        return self.count(key, place)

    def _of_style(self, style: str) -> tuple[str, str | None]:
        for _ in range(10):
            if style in self._styles:
                return self._styles[style]
            style = self._bases.get(style, "")
        return "", None

    def _resolved(self, abstract: str) -> List | None:
        """The list by its id; one that only names a style has the levels of that style's list."""
        found = self._lists.get(abstract)
        if found is not None and found.link and not found.levels:
            number = self._numbers.get(self._styles.get(found.link, ("", None))[0])
            linked = self._lists.get(number[0]) if number else None
            found = linked or found
        return found


def _value(parent: Any, name: str) -> str:
    child = parent.find(_W + name)
    return child.get(_VAL, "") if child is not None else ""


def _whole(text: str, other: int) -> int:
    return int(text) if text.isdecimal() and len(text) < 7 else other


def _level(level: Any) -> tuple[int, Level]:
    kind = _value(level, "numFmt") or "decimal"
    legal = level.find(_W + "isLgl")
    decimal = legal is not None and legal.get(_VAL, "1") not in ("0", "false")
    made = Level(
        _whole(_value(level, "start"), 0),
        kind,
        _value(level, "lvlText"),
        _value(level, "pStyle"),
        decimal,
        _whole(_value(level, "lvlRestart"), _LEVELS),
    )
    return _whole(level.get(_W + "ilvl", "0"), 0), made


def _number(number: Any) -> Number:
    """The list that a number belongs to, and where it begins anew or is numbered in a way of its own."""
    starts: dict[int, int] = {}
    levels: dict[int, Level] = {}
    for override in number.iterchildren(_W + "lvlOverride"):
        at = _whole(override.get(_W + "ilvl", "0"), 0)
        if (begin := _value(override, "startOverride")).isdecimal():
            starts[at] = _whole(begin, 1)
        for level in override.iterchildren(_W + "lvl"):
            levels[at] = _level(level)[1]
    return _value(number, "abstractNumId"), starts, levels


def _place(levels: Mapping[int, Level], style: str) -> int:
    """The level that a style stands for."""
    return next((at for at, level in levels.items() if style and level.style == style), 0)


def written(count: int, kind: str) -> str:
    """A number of a list in one of the kinds of Word: `decimal`, `lowerLetter`, `upperRoman` and so on."""
    if kind == "none":
        return ""
    if not 0 < count < _MOST:
        return str(count)
    if kind in ("lowerLetter", "upperLetter"):  # after z comes aa, then bb
        letters = chr(ord("a") + (count - 1) % 26) * min((count - 1) // 26 + 1, 10)
        return letters.upper() if kind == "upperLetter" else letters
    if kind in ("lowerRoman", "upperRoman"):
        letters = ""
        for worth, letter in _ROMAN:
            times, count = divmod(count, worth)
            letters += letter * times
        return letters.upper() if kind == "upperRoman" else letters
    return f"{count:02}" if kind == "decimalZero" else str(count)
