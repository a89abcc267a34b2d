"""Conditions in Chroma's words, for its servers: facts and bounds stand beside a point's metadata as `f:` and `b:`."""

from collections.abc import Mapping
from typing import Any

from stores.vector.facts import AtLeast, AtMost, Every, Has, Lacks, Narrow, Some, narrowed
from stores.vector.filters import Filter

MAX_TESTS = 300
"""Comparisons in a condition; the server's database refuses about three times as many."""


def asked_of(where: Filter) -> dict[str, Any] | None:
    """A condition in Chroma's words that everything passes which passes `where`; None when there is none."""
    narrow = narrowed(where)
    asked = None if narrow is None else _words(narrow)
    return None if asked is None or _tests(asked) > MAX_TESTS else asked


def _words(narrow: Narrow) -> dict[str, Any] | None:
    match narrow:
        case Has(facts):
            # A long list would make the whole condition too large: its field is left to `matches`.
            return _joined("$or", [{f"f:{fact}": 1} for fact in facts]) if len(facts) <= MAX_TESTS // 3 else None
        case Lacks():
            return None
        case AtLeast(bound, value):
            return {f"b:{bound}": {"$gte": value}}
        case AtMost(bound, value):
            return {f"b:{bound}": {"$lte": value}}
        case Every(parts):
            return _joined("$and", [words for part in parts if (words := _words(part)) is not None])
        case Some(parts):
            known = [words for part in parts if (words := _words(part)) is not None]
            return _joined("$or", known) if len(known) == len(parts) else None


def _joined(word: str, parts: list[dict[str, Any]]) -> dict[str, Any] | None:
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else {word: parts}


def _tests(asked: Mapping[str, Any]) -> int:
    parts = asked.get("$and") or asked.get("$or")
    return sum(map(_tests, parts)) if parts else 1
