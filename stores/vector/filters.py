"""The one filter grammar: conditions on metadata, written the way MongoDB writes them.

    {"lang": "de"}                                       lang equals "de"
    {"page": {"$gte": 3, "$lt": 9}}                      several conditions on one field: all must hold
    {"lang": "de", "loc.page": {"$in": [1, 2]}}          several fields: all must hold; dots walk into objects
    {"$or": [{"a": 1}, {"$not": {"b": {"$exists": true}}}]}

Meaning, the same on every backend (`matches` is the reference that the conformance suite compares them with):

- **Values** are strings, numbers, booleans and null. A date is an ISO 8601 string and compares as a string, which is
  chronological as long as all values are written in the same form and time zone.
- **Types** are never converted. 1 equals 1.0; `true` is not 1; "1" is not 1. A comparison between different types is
  false, never an error.
- **Strings** are ordered by Unicode code point.
- **`$eq`, `$in`** hold when the field's value equals the operand, one of the operands. `null` equals a field that is
  there and holds null, not a missing field.
- **`$gt`, `$gte`, `$lt`, `$lte`** take a string or a number.
- **An array** matches when one of its elements does, so `{"tags": "x"}` means "tags contains x". Arrays in arrays and
  objects in arrays match nothing, and a path does not walk through an array.
- **A missing field** (or an object where a value is expected) makes every condition false but `{"$exists": false}`
  and what says "not": `$ne` is exactly `$not $eq`, `$nin` exactly `$not $in`, so both hold for a missing field.
- **The empty filter** `{}` matches everything; `$in: []` matches nothing.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Scalar = str | int | float | bool | None

MAX_DEPTH = 10
"""Levels of `$and`, `$or`, `$not` that a filter may nest."""
MAX_CONDITIONS = 256
"""Conditions that a filter may hold in all."""
MAX_VALUES = 4096
"""Operands that one `$in` may list."""
MAX_PATH = 256
"""Characters of a field path."""
MAX_STRING = 8192
"""Characters of a string operand."""


class FilterError(ValueError):
    """A filter does not follow the grammar. The message names the place and the remedy."""

    def __init__(self, path: str, problem: str, remedy: str) -> None:
        """`path` leads to the fault from the filter's root; `remedy` says what to write instead."""
        super().__init__(f"filter{path}: {problem}; {remedy}")
        self.path = path
        self.problem = problem
        self.remedy = remedy


class Operator(StrEnum):
    """The conditions of the tree. `$ne` and `$nin` are parsed into `Not` of their positive forms."""

    EQ = "$eq"
    GT = "$gt"
    GTE = "$gte"
    LT = "$lt"
    LTE = "$lte"
    IN = "$in"
    EXISTS = "$exists"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition on one field; `values` has one element except for `$in`, and one bool for `$exists`."""

    path: tuple[str, ...]
    operator: Operator
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class And:
    """All parts hold; no parts: always true."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part holds."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: "Filter"


Filter = Condition | And | Or | Not

EVERYTHING = And(())
"""The filter that matches everything, which `{}` means."""

_FIELD_OPERATORS = "$eq $ne $gt $gte $lt $lte $in $nin $exists $not"
_LOGICAL = "$and $or $not"


def parse(source: object) -> Filter:
    """The filter that a JSON object means. Raises `FilterError`."""
    return _Parser().document(source, "", 1)


def both(first: Filter | None, second: Filter | None) -> Filter | None:
    """The filter that holds when both hold; None stands for no filter."""
    parts = tuple(part for part in (first, second) if part is not None and part != EVERYTHING)
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else And(parts)


def fields(where: Filter) -> set[tuple[str, ...]]:
    """The paths that a filter has conditions on."""
    match where:
        case And(parts) | Or(parts):
            return set().union(*map(fields, parts))
        case Not(part):
            return fields(part)
        case Condition(path):
            return {path}


def matches(condition: Filter, metadata: Mapping[str, Any]) -> bool:
    """Whether the metadata satisfy the filter: the reference semantics of the grammar."""
    match condition:
        case And(parts):
            return all(matches(part, metadata) for part in parts)
        case Or(parts):
            return any(matches(part, metadata) for part in parts)
        case Not(part):
            return not matches(part, metadata)
        case Condition(path, operator, values):
            found, value = _lookup(metadata, path)
            if operator is Operator.EXISTS:
                return found is values[0]
            candidates = value if isinstance(value, list | tuple) else (value,)
            return found and any(_holds(candidate, operator, operand) for candidate in candidates for operand in values)


def _lookup(metadata: Mapping[str, Any], path: tuple[str, ...]) -> tuple[bool, Any]:
    value: Any = metadata
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return False, None
        value = value[name]
    return True, value


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "other"


def _holds(value: Any, operator: Operator, operand: Any) -> bool:
    kind = _kind(value)
    if kind != _kind(operand) or kind == "other":
        return False
    match operator:
        case Operator.EQ | Operator.IN:
            return bool(value == operand)
        case Operator.GT:
            return bool(value > operand)
        case Operator.GTE:
            return bool(value >= operand)
        case Operator.LT:
            return bool(value < operand)
        case Operator.LTE:
            return bool(value <= operand)
        case Operator.EXISTS:
            return False


class _Parser:
    """Turns JSON into the tree and counts conditions on the way."""

    def __init__(self) -> None:
        self.conditions = 0

    def document(self, source: object, path: str, depth: int) -> Filter:
        if not isinstance(source, Mapping):
            raise FilterError(path, f"{_json_name(source)} is no filter", 'write an object such as {"field": "value"}')
        if depth > MAX_DEPTH:
            raise FilterError(path, f"nested deeper than {MAX_DEPTH} levels", "flatten $and, $or and $not")
        parts: list[Filter] = []
        for key, value in source.items():
            if not isinstance(key, str):
                raise FilterError(path, f"the key {key!r} is no string", "name a field or an operator")
            here = f"{path}.{key}"
            if key.startswith("$"):
                parts.append(self.logical(key, value, here, depth))
            else:
                parts.append(self.field(_field_path(key, here), value, here, depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def logical(self, key: str, value: object, path: str, depth: int) -> Filter:
        if key == "$not":
            return Not(self.document(value, path, depth + 1))
        if key not in ("$and", "$or"):
            raise FilterError(path, f"{key} is unknown here", f"known are {_LOGICAL}, and fields by name")
        if not isinstance(value, Sequence) or isinstance(value, str) or not value:
            raise FilterError(path, f"{key} needs a list of filters", f'write {{"{key}": [{{...}}, {{...}}]}}')
        parts = tuple(self.document(part, f"{path}[{index}]", depth + 1) for index, part in enumerate(value))
        return And(parts) if key == "$and" else Or(parts)

    def field(self, field: tuple[str, ...], value: object, path: str, depth: int) -> Filter:
        if not isinstance(value, Mapping):
            return self.condition(field, "$eq", value, path)
        if depth > MAX_DEPTH:
            raise FilterError(path, f"nested deeper than {MAX_DEPTH} levels", "flatten $and, $or and $not")
        if not value:
            raise FilterError(path, "no condition is given", f"use one of {_FIELD_OPERATORS}")
        parts: list[Filter] = []
        for operator, operand in value.items():
            here = f"{path}.{operator}"
            if not isinstance(operator, str) or not operator.startswith("$"):
                raise FilterError(here, "an object is no value to compare with", "name inner fields with dots: a.b")
            if operator == "$not":
                if not isinstance(operand, Mapping):
                    raise FilterError(here, "$not needs conditions", 'write {"$not": {"$gt": 3}}')
                parts.append(Not(self.field(field, operand, here, depth + 1)))
            else:
                parts.append(self.condition(field, operator, operand, here))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def condition(self, field: tuple[str, ...], operator: str, operand: object, path: str) -> Filter:
        self.conditions += 1
        if self.conditions > MAX_CONDITIONS:
            raise FilterError(path, f"more than {MAX_CONDITIONS} conditions", "use $in for many values of one field")
        match operator:
            case "$eq" | "$ne":
                positive = Condition(field, Operator.EQ, (_scalar(operand, path),))
            case "$in" | "$nin":
                positive = Condition(field, Operator.IN, _scalars(operand, path))
            case "$exists":
                if not isinstance(operand, bool):
                    raise FilterError(path, f"$exists cannot take {_json_name(operand)}", "write true or false")
                positive = Condition(field, Operator.EXISTS, (operand,))
            case "$gt" | "$gte" | "$lt" | "$lte":
                value = _scalar(operand, path)
                if value is None or isinstance(value, bool):
                    raise FilterError(path, f"{operator} cannot take {_json_name(value)}", "use a number or a string")
                positive = Condition(field, Operator(operator), (value,))
            case _:
                raise FilterError(path, f"{operator} is unknown", f"known are {_FIELD_OPERATORS}")
        return Not(positive) if operator in ("$ne", "$nin") else positive


def _field_path(key: str, path: str) -> tuple[str, ...]:
    names = tuple(key.split("."))
    if len(key) > MAX_PATH or not all(names):
        raise FilterError(path, "this is no field path", f"names joined by dots, at most {MAX_PATH} characters")
    _text(key, path)
    return names


def _scalars(operand: object, path: str) -> tuple[Scalar, ...]:
    if not isinstance(operand, Sequence) or isinstance(operand, str | bytes):
        raise FilterError(path, f"{_json_name(operand)} is no list", "write the values as a list: [1, 2]")
    if len(operand) > MAX_VALUES:
        raise FilterError(path, f"more than {MAX_VALUES} values", "split the query")
    return tuple(_scalar(value, f"{path}[{index}]") for index, value in enumerate(operand))


def _scalar(value: object, path: str) -> Scalar:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return _text(value, path)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise FilterError(path, f"{value} is no JSON number", "use a finite number")
        return value
    remedy = "use $in for several values" if isinstance(value, Sequence) else "use a string, number, boolean or null"
    raise FilterError(path, f"{_json_name(value)} is no value to compare with", remedy)


def _text(value: str, path: str) -> str:
    if len(value) > MAX_STRING:
        raise FilterError(path, f"a string longer than {MAX_STRING} characters", "compare with a shorter value")
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise FilterError(path, "a string that holds NUL or half a surrogate pair", "use valid Unicode text")
    return value


def _json_name(value: object) -> str:
    kind = _kind(value)
    if kind != "other":
        return "null" if value is None else f"a {kind}"
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, Sequence) else f"a Python {type(value).__name__}"
