"""Filters for backends that know no such grammar: a point's metadata as facts and bounds, and what to ask of them.

A backend keeps three things beside a point's metadata: its *facts*, short texts such as `lang=sde` that say which
values a field holds and which fields are there; the *bounds* of its fields, the least and the greatest number; and the
metadata themselves as JSON text. `narrowed` turns a filter into a condition on facts and bounds that everything passes
which passes the filter. What the backend lets through is then compared with `filters.matches`, so that a filter means
the same everywhere and a backend needs no more than "has this text" and "lies in this range".
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from stores.vector.filters import MAX_PATH, And, Condition, Filter, Not, Operator, Or, Scalar

MAX_FACTS = 1_000
"""Facts that a point keeps. One with more has `OVERFLOW` instead of the others, and is looked at every time."""
LONG = 128
"""Characters of a text that a fact spells out; a longer one is known by its hash."""
OVERFLOW = "..."
"""The fact that a point has more facts than are kept."""

_LARGEST = 1e300
_ORDERED = 6
"""Bytes of a text that its bounds look at: as a number exact in a double-precision float."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What a backend can look for in a point."""

    facts: tuple[str, ...]
    bounds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Has:
    """At least one of these facts is there."""

    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lacks:
    """None of these facts is there."""

    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AtLeast:
    """This bound is there and not below the value."""

    bound: str
    value: float


@dataclass(frozen=True, slots=True)
class AtMost:
    """This bound is there and not above the value."""

    bound: str
    value: float


@dataclass(frozen=True, slots=True)
class Every:
    """All parts hold; there are at least two."""

    parts: tuple["Narrow", ...]


@dataclass(frozen=True, slots=True)
class Some:
    """At least one of the parts holds; there are at least two."""

    parts: tuple["Narrow", ...]


Narrow = Has | Lacks | AtLeast | AtMost | Every | Some


def traits(metadata: Mapping[str, Any]) -> Traits:
    """The facts and bounds of metadata."""
    facts: dict[str, None] = {}
    bounds: dict[str, float] = {}
    for path, value in _fields(metadata, ()):
        facts[_present(path)] = None
        for each in value if isinstance(value, list) else [value]:
            if not isinstance(each, Mapping | list):
                facts[_fact(path, each)] = None
                _widen(bounds, path, each)
    return Traits(tuple(facts) if len(facts) <= MAX_FACTS else (OVERFLOW,), bounds)


def narrowed(where: Filter, *, negated: bool = False) -> Narrow | None:
    """A condition that everything passes which passes `where` (with `negated`: which does not); None: there is none."""
    match where:
        case And(parts) | Or(parts):
            each = [narrowed(part, negated=negated) for part in parts]
            return _all(each) if isinstance(where, And) is not negated else _any(each)
        case Not(part):
            return narrowed(part, negated=not negated)
        case Condition(path, Operator.EXISTS, values):
            present = _present(path)
            return Has((present, OVERFLOW)) if values[0] is not negated else Lacks((present,))
        case Condition(path, Operator.EQ | Operator.IN, values):
            facts = tuple(dict.fromkeys(_fact(path, value) for value in values))
            if negated:
                return Lacks(facts) if facts else None
            return Has((*facts, OVERFLOW))
        case Condition(path, operator, values):
            # Bounds are rounded, so they say what can hold and not what cannot.
            return None if negated else _range(path, operator, values[0])


def _all(parts: list[Narrow | None]) -> Narrow | None:
    known = tuple(part for part in parts if part is not None)
    return known[0] if len(known) == 1 else Every(known) if known else None


def _any(parts: list[Narrow | None]) -> Narrow | None:
    known = tuple(part for part in parts if part is not None)
    if len(known) < len(parts):
        return None
    return known[0] if len(known) == 1 else Some(known) if known else Has((OVERFLOW,))


def _range(path: tuple[str, ...], operator: Operator, value: Scalar) -> Narrow:
    kind, number = _measured(value)
    if operator in (Operator.GT, Operator.GTE):
        return AtLeast(_bound(path, kind, ">"), number)
    return AtMost(_bound(path, kind, "<"), number)


def _fields(value: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every field that a path leads to, objects included; no path leads to other names."""
    for name, part in value.items():
        path = (*above, name)
        if not name or "." in name or sum(map(len, path)) + len(above) > MAX_PATH:
            continue
        yield path, part
        if isinstance(part, Mapping):
            yield from _fields(part, path)


def _name(path: tuple[str, ...]) -> str:
    """The path as text without "=", which ends it in a fact."""
    return ".".join(path).replace("%", "%25").replace("=", "%3D")


def _present(path: tuple[str, ...]) -> str:
    return _name(path)


def _fact(path: tuple[str, ...], value: Scalar) -> str:
    return f"{_name(path)}={_spelled(value)}"


def _spelled(value: Scalar) -> str:
    """A value as text, equal for equal values and only for them."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"s{value}" if len(value) <= LONG else f"h{sha256(value.encode()).hexdigest()}"
    return f"n{value if isinstance(value, int) else int(value) if value.is_integer() else repr(value)}"


def _bound(path: tuple[str, ...], kind: str, side: str) -> str:
    return f"{side}{kind}{_name(path)}"


def _measured(value: Scalar) -> tuple[str, float]:
    """A number or a text as a number that never falls as values rise, and which of both it was."""
    if isinstance(value, str):
        return "s", float(int.from_bytes(value.encode()[:_ORDERED].ljust(_ORDERED, b"\0")))
    assert value is not None
    return "n", float(max(-_LARGEST, min(_LARGEST, value)))


def _widen(bounds: dict[str, float], path: tuple[str, ...], value: Scalar) -> None:
    if value is None or isinstance(value, bool):
        return
    kind, number = _measured(value)
    least, greatest = _bound(path, kind, "<"), _bound(path, kind, ">")
    bounds[least] = min(bounds.get(least, number), number)
    bounds[greatest] = max(bounds.get(greatest, number), number)
