"""The numbers that OpenDocument programs write before items of lists and before headings: they stand in no text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loaders.numbering import BULLET, written

_URN = "urn:oasis:names:tc:opendocument:xmlns:"
_TEXT, _STYLE, _OFFICE = f"{{{_URN}text:1.0}}", f"{{{_URN}style:1.0}}", f"{{{_URN}office:1.0}}"
_XML_ID = "{http://www.w3.org/XML/1998/namespace}id"
_FORMATS = ("{urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0}num-list-format",
            _STYLE + "num-list-format")  # fmt: skip
_KINDS = {"1": "decimal", "a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman", "": "none"}
_STYLES_LEVEL = re.compile(r"%([0-9]{1,2})%")
_LEVELS = 10
_BASES = 20
"""Styles that are based on one another, at most."""


@dataclass(frozen=True, slots=True)
class _Level:
    """How one level of a list is numbered: `text` has `%1%` where the number of the first level stands."""

    kind: str
    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Place:
    """An open list: its style, its level from 1, and the numbers it has come to by their levels."""

    style: str
    level: int
    counts: dict[int, int]


class Outlines:
    """The lists of one document; numbers count on from item to item, so ask once for each, in order."""

    def __init__(self, *roots: Any) -> None:
        """`roots` are the document's content and its styles, as far as it has them."""
        self._styles: dict[str, Mapping[int, _Level]] = {}
        self._headings = Place("", 1, {})
        self._paragraphs: dict[str, tuple[str | None, str]] = {}
        self._known: dict[str, dict[int, int]] = {}
        for group in (found for root in roots for found in root.iterchildren(*_GROUPS)):
            for style in group.iterchildren(_TEXT + "list-style", _TEXT + "outline-style"):
                name = style.get(_STYLE + "name", "")
                self._styles.setdefault(name, dict(map(_level, style)))
                if style.tag == _TEXT + "outline-style":
                    self._headings = Place(name, 1, {})
            for style in group.iterchildren(_STYLE + "style"):
                parent = style.get(_STYLE + "parent-style-name", "")
                named = (style.get(_STYLE + "list-style-name"), parent)
                self._paragraphs.setdefault(style.get(_STYLE + "name", ""), named)

    def opened(self, found: Any, above: Place | None) -> Place:
        """The place of a list in the document or, `above` given, in an item of another list."""
        style = found.get(_TEXT + "style-name", "")
        if above is not None:
            return Place(style or above.style, above.level + 1, above.counts)
        first = next(found.iter(_TEXT + "p", _TEXT + "h"), None)
        style = style or (self._list_style(first) if first is not None else "") or ""
        begun = self._known.get(f"#{named}") if (named := found.get(_TEXT + "continue-list")) else None
        if begun is None and found.get(_TEXT + "continue-numbering") == "true":
            begun = self._known.get(style)
        counts = {} if begun is None else begun
        self._known[style] = self._known[f"#{found.get(_XML_ID) or id(found)}"] = counts
        return Place(style, 1, counts)

    def item(self, found: Any, place: Place) -> str:
        """What stands before an item at that place: a number such as `4.2.` or `b)`, `BULLET`, or nothing. An item
        that only holds a further list has none and is not counted."""
        first = next(found.iterchildren(), None)
        if found.tag != _TEXT + "list-item" or first is None or first.tag == _TEXT + "list":
            return ""
        if place.style not in self._styles:
            return BULLET
        return self._count(place, found.get(_TEXT + "start-value", ""))

    def heading(self, found: Any) -> str:
        """The number of a heading that stands in no list; may be empty."""
        level = found.get(_TEXT + "outline-level", "1")
        own = self._list_style(found)
        if found.get(_TEXT + "is-list-header") == "true" or not level.isdecimal() or len(level) > 2 or own == "":
            return ""
        start = found.get(_TEXT + "start-value", "")
        if not start and found.get(_TEXT + "restart-numbering") == "true":
            start = "1"
        mark = self._count(Place(self._headings.style, int(level), self._headings.counts), start)
        return mark.replace(BULLET, "")

    def _list_style(self, paragraph: Any) -> str | None:
        """The list style of a paragraph's style: empty where that is in no list, None where it does not say."""
        name = paragraph.get(_TEXT + "style-name", "")
        for _ in range(_BASES):
            style, name = self._paragraphs.get(name, (None, ""))
            if style is not None or not name:
                return style
        return None

    def _count(self, place: Place, start: str) -> str:
        levels, counts, at = self._styles.get(place.style, {}), place.counts, min(place.level, _LEVELS)
        here = levels.get(at)
        if start.isdecimal() and len(start) < 7:
            counts[at] = int(start)
        else:
            counts[at] = counts.get(at, (here.start if here else 1) - 1) + 1
        for deeper in [level for level in counts if level > at]:
            del counts[deeper]
        if here is None or here.kind in ("none", "bullet"):
            return BULLET if here is not None and here.kind == "bullet" else ""
        return _STYLES_LEVEL.sub(lambda found: _number(levels, counts, int(found[1])), here.text).strip().lstrip(".")


_GROUPS = (_OFFICE + "automatic-styles", _OFFICE + "styles")


def _number(levels: Mapping[int, _Level], counts: dict[int, int], at: int) -> str:
    level = levels.get(at)
    return written(counts.setdefault(at, level.start), level.kind) if level is not None else ""


def _level(level: Any) -> tuple[int, _Level]:
    at, start, over = (_whole(level.get(_TEXT + name, "1")) for name in ("level", "start-value", "display-levels"))
    if not level.tag.endswith(("-style-number", "outline-level-style")):
        return at, _Level("bullet", "", 1)
    kind = _KINDS.get(level.get(_STYLE + "num-format", ""), "decimal")
    text = next((named for name in _FORMATS if (named := level.get(name)) is not None), None)
    if text is None:
        numbers = ".".join(f"%{each}%" for each in range(max(1, at - over + 1), at + 1))
        text = f"{level.get(_STYLE + 'num-prefix', '')}{numbers}{level.get(_STYLE + 'num-suffix', '')}"
    return at, _Level(kind, text, start)


def _whole(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 7 else 1
