"""A point's metadata and conditions on them in Chroma's words.

Chroma keeps a schema of every key that any point has, and reads it for every request: so the keys of a collection are
few. Facts are one array under `FACTS`; bounds are a key for each field, `b:` and the bound. Chroma adds the keys of a
replaced point to those it had: bounds may be out of date, and are asked only what a point has, which a point of another
time may pass in error and none may fail. The array of facts is never empty, so it is replaced as a whole.
"""

from collections.abc import Mapping
from typing import Any

from stores.vector.base import Point
from stores.vector.facts import AtLeast, AtMost, Every, Has, Lacks, Narrow, Some, narrowed, traits
from stores.vector.filters import Filter
from stores.vector.order import place
from stores.vector.points import encode_metadata

RECORD, PLACE, FACTS = "record", "place", "facts"
"""The keys that every point has: its metadata as JSON text, the place of its id, its facts."""
NO_FACT = "="
"""Stands in every array of facts, and is none: a fact has a name before the sign."""

MAX_TESTS = 300
"""Comparisons in a condition; the server's database refuses about three times as many."""
_LONG = MAX_TESTS // 3


def asked_of(where: Filter) -> dict[str, Any] | None:
    """A condition in Chroma's words that everything passes which passes `where`; None when there is none."""
    narrow = narrowed(where)
    asked = None if narrow is None else _words(narrow)
    return None if asked is None or _tests(asked) > MAX_TESTS else asked


def kept(point: Point) -> dict[str, Any]:
    """What Chroma keeps beside a vector. Raises `BadMetadata`."""
    record = encode_metadata(point.metadata)
    known = traits(point.metadata)
    bounds = {f"b:{bound}": value for bound, value in known.bounds.items()}
    return {RECORD: record, PLACE: place(point.id), FACTS: [NO_FACT, *known.facts], **bounds}


def _words(narrow: Narrow) -> dict[str, Any] | None:
    match narrow:
        case Has(facts):
            # A long list would make the whole condition too large: its field is left to `matches`.
            return _joined("$or", [{FACTS: {"$contains": fact}} for fact in facts]) if len(facts) <= _LONG else None
        case Lacks(facts):
            return (
                _joined("$and", [{FACTS: {"$not_contains": fact}} for fact in facts]) if len(facts) <= _LONG else None
            )
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
