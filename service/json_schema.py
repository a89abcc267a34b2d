"""Checks JSON values against a JSON Schema that others wrote, within bounds."""

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import cache
from typing import Any

MOST_PROBLEMS = 5
"""What is wrong with a value: so many things are told at once."""
LONGEST = 200
"""Characters of one of them."""

MOST_LOOKS = 100_000
"""Keywords of a schema that are held against a value. References can stand for billions: each to two others, or to
themselves in two ways for each level of the value."""

_NAMED = frozenset({"properties", "$defs", "definitions", "dependentSchemas"})
"""Keywords that hold schemas by names of their own."""


_looks: ContextVar[int] = ContextVar("looks")


class _TooMuch(Exception):
    """There is no end to it."""


@cache
def _kind() -> Any:
    """The validator, which counts what it does."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    def counted(keyword: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
        def look(*given: Any) -> Iterator[Any]:
            _looks.set(_looks.get() + 1)
            if _looks.get() > MOST_LOOKS:
                raise _TooMuch
            yield from keyword(*given) or ()

        return look

    keywords = {name: counted(made) for name, made in Draft202012Validator.VALIDATORS.items()}
    return extend(Draft202012Validator, keywords)  # type: ignore[no-untyped-call]


class Check:
    """A schema, ready to check values. References to elsewhere are never followed.

    Patterns are not checked: a regular expression of others can take for ever.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        """Raises `ValueError` for what is no schema."""
        from jsonschema import Draft202012Validator, SchemaError
        from referencing import Registry

        kept = _without_patterns(schema)
        try:
            Draft202012Validator.check_schema(kept)
        except SchemaError as error:
            raise ValueError(error.message[:LONGEST]) from None
        self._validator = _kind()(kept, registry=Registry())

    def problems(self, value: Any) -> str:
        """What is wrong with a value, each thing with its place; empty: nothing."""
        from referencing.exceptions import Unresolvable

        found: list[str] = []
        _looks.set(0)
        try:
            for error in self._validator.iter_errors(value):
                place = ".".join(map(str, error.absolute_path))
                found.append(f"{place}: {error.message[:LONGEST]}" if place else error.message[:LONGEST])
                if len(found) == MOST_PROBLEMS:
                    break
        except _TooMuch:
            return "there is too much to check"
        except (Unresolvable, RecursionError):
            return "the schema refers to what is not in it, or to itself without end"
        return "; ".join(found)


def _without_patterns(schema: Any, *, named: bool = False) -> Any:
    if isinstance(schema, list):
        return [_without_patterns(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    gone: set[str] = set()
    if not named:
        gone = {"pattern", "patternProperties"}
        if "patternProperties" in schema:
            gone |= {"additionalProperties", "unevaluatedProperties"}  # what else there may be is not known then
    return {
        name: _without_patterns(item, named=not named and name in _NAMED)
        for name, item in schema.items()
        if name not in gone
    }
