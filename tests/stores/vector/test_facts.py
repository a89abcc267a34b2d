"""Facts and bounds let everything through that a filter lets through, and little more."""

from typing import Any

import pytest
from hypothesis import given

from stores.vector.facts import (
    LONG,
    MAX_FACTS,
    OVERFLOW,
    AtLeast,
    AtMost,
    Every,
    Has,
    Lacks,
    Narrow,
    Some,
    Traits,
    narrowed,
    traits,
)
from stores.vector.filters import matches, parse
from tests.conformance.test_vector_stores import FILTERS, RECORDS
from tests.stores.vector.cases import FILTER_CASES, METADATA


def holds(narrow: Narrow | None, known: Traits) -> bool:
    """What a backend makes of a condition."""
    match narrow:
        case None:
            return True
        case Has(facts):
            return bool({*facts} & {*known.facts})
        case Lacks(facts):
            return not {*facts} & {*known.facts}
        case AtLeast(bound, value):
            return bound in known.bounds and known.bounds[bound] >= value
        case AtMost(bound, value):
            return bound in known.bounds and known.bounds[bound] <= value
        case Every(parts):
            return all(holds(part, known) for part in parts)
        case Some(parts):
            return any(holds(part, known) for part in parts)


@given(FILTERS, RECORDS)
def test_what_passes_a_filter_passes_its_condition(source: dict[str, Any], metadata: dict[str, Any]) -> None:
    where = parse(source)
    assert holds(narrowed(where), traits(metadata)) or not matches(where, metadata)
    assert holds(narrowed(where, negated=True), traits(metadata)) or matches(where, metadata)


@pytest.mark.parametrize(("source", "expected"), FILTER_CASES)
def test_the_condition_of_values_and_presence_is_exact(source: dict[str, Any], expected: str) -> None:
    if any(operator in str(source) for operator in ("$gt", "$lt")):
        pytest.skip("bounds are rounded")
    condition = narrowed(parse(source))
    assert "".join(key for key, metadata in METADATA.items() if holds(condition, traits(metadata))) == expected


def test_a_long_text_is_known_by_its_hash_and_not_taken_for_another() -> None:
    first, second = "x" * LONG + "y", "x" * LONG + "z"
    known = traits({"a": first})
    assert all(len(fact) < LONG for fact in known.facts)
    assert holds(narrowed(parse({"a": first})), known)
    assert not holds(narrowed(parse({"a": second})), known)


def test_a_point_with_too_many_facts_is_looked_at_every_time() -> None:
    known = traits({"a": list(range(MAX_FACTS))})
    assert known.facts == (OVERFLOW,)
    for source in (
        {"a": 3},
        {"a": {"$exists": True}},
        {"a": {"$gt": 3}},
        {"a": {"$ne": -1}},
        {"b": {"$exists": False}},
    ):
        assert holds(narrowed(parse(source)), known), source


def test_names_and_values_are_not_taken_for_each_other() -> None:
    known = traits({"a": "b=sc", "a%": 1})
    assert not holds(narrowed(parse({"a=sb": "c"})), known)
    assert not holds(narrowed(parse({"a": 1})), known)
    assert holds(narrowed(parse({"a=sb": {"$ne": "c"}})), known)


def test_numbers_beyond_a_float_keep_their_side() -> None:
    known = traits({"n": 10**400, "m": -(10**400)})
    assert holds(narrowed(parse({"n": {"$gt": 10**399}})), known)
    assert holds(narrowed(parse({"m": {"$lt": -1e308}})), known)
    assert not holds(narrowed(parse({"m": {"$gt": 0}})), known)
