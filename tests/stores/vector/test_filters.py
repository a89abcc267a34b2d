"""The filter grammar: what parses, what is refused, and what the conditions mean."""

from typing import Any

import pytest

from stores.vector.filters import (
    EVERYTHING,
    MAX_CONDITIONS,
    MAX_DEPTH,
    MAX_VALUES,
    And,
    Condition,
    FilterError,
    Not,
    Operator,
    both,
    matches,
    parse,
)
from tests.stores.vector.cases import FILTER_CASES, METADATA


@pytest.mark.parametrize(("source", "expected"), FILTER_CASES, ids=[str(source) for source, _ in FILTER_CASES])
def test_each_condition_selects_the_listed_records(source: dict[str, Any], expected: str) -> None:
    condition = parse(source)
    assert "".join(key for key, metadata in METADATA.items() if matches(condition, metadata)) == expected


def test_the_empty_filter_is_no_filter() -> None:
    assert parse({}) == EVERYTHING
    assert matches(parse({}), {})


def test_implicit_equality_and_implicit_and_are_parsed() -> None:
    assert parse({"a": 1, "b.c": "x"}) == And(
        (Condition(("a",), Operator.EQ, (1,)), Condition(("b", "c"), Operator.EQ, ("x",)))
    )


def test_the_negative_operators_are_exactly_the_complement() -> None:
    assert parse({"a": {"$ne": 1}}) == Not(Condition(("a",), Operator.EQ, (1,)))
    assert parse({"a": {"$nin": [1]}}) == Not(Condition(("a",), Operator.IN, (1,)))


def test_filters_are_joined_and_empty_ones_fall_away() -> None:
    one, two = parse({"a": 1}), parse({"b": 2})
    assert both(None, EVERYTHING) is None
    assert both(one, None) == one
    assert both(one, two) == And((one, two))


def nested(depth: int) -> dict[str, Any]:
    """A filter with `depth` levels of $not."""
    source: dict[str, Any] = {"a": 1}
    for _ in range(depth):
        source = {"$not": source}
    return source


REFUSED: list[tuple[Any, str, str]] = [
    ([], "filter: a list is no filter", "write an object"),
    ("a", "a string is no filter", "write an object"),
    (None, "null is no filter", "write an object"),
    ({"a": {"$regex": "x"}}, "filter.a.$regex: $regex is unknown", "known are $eq"),
    ({"$nor": []}, "filter.$nor: $nor is unknown here", "known are $and"),
    ({"$and": []}, "filter.$and: $and needs a list", "write"),
    ({"$or": {"a": 1}}, "filter.$or: $or needs a list", "write"),
    ({"$or": [{"a": 1}, 3]}, "filter.$or[1]: a number is no filter", "write an object"),
    ({"a": [1]}, "filter.a: a list is no value", "use $in"),
    ({"a": {"b": 1}}, "filter.a.b: an object is no value", "with dots"),
    ({"a": {}}, "filter.a: no condition", "use one of"),
    ({"a": {"$not": 1}}, "filter.a.$not: $not needs conditions", "write"),
    ({"a": {"$in": "x"}}, "filter.a.$in: a string is no list", "as a list"),
    ({"a": {"$in": [[1]]}}, "filter.a.$in[0]: a list is no value", "use $in"),
    ({"a": {"$exists": 1}}, "filter.a.$exists: $exists cannot take a number", "true or false"),
    ({"a": {"$gt": True}}, "filter.a.$gt: $gt cannot take a boolean", "a number or a string"),
    ({"a": {"$lt": None}}, "filter.a.$lt: $lt cannot take null", "a number or a string"),
    ({"a": float("nan")}, "filter.a: nan is no JSON number", "finite"),
    ({"a": "x\0"}, "filter.a: a string that holds NUL", "valid Unicode"),
    ({"a": "\ud800"}, "half a surrogate pair", "valid Unicode"),
    ({"a..b": 1}, "filter.a..b: this is no field path", "joined by dots"),
    ({"": 1}, "no field path", "joined by dots"),
    ({"a": b"x"}, "filter.a: ", "use"),
    ({1: 1}, "the key 1 is no string", "name a field"),
    ({"a": "x" * 10_000}, "a string longer than", "shorter"),
    ({"a": {"$in": [1] * (MAX_VALUES + 1)}}, f"more than {MAX_VALUES} values", "split"),
    ({"$or": [{"a": 1}] * (MAX_CONDITIONS + 1)}, f"more than {MAX_CONDITIONS} conditions", "$in"),
    (nested(MAX_DEPTH), f"deeper than {MAX_DEPTH} levels", "flatten"),
]


@pytest.mark.parametrize(("source", "problem", "remedy"), REFUSED, ids=[problem for _, problem, _ in REFUSED])
def test_a_fault_is_refused_with_its_place_and_a_remedy(source: Any, problem: str, remedy: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse(source)
    assert problem in str(caught.value)
    assert remedy in caught.value.remedy


def test_a_filter_just_inside_the_limits_is_accepted() -> None:
    parse(nested(MAX_DEPTH - 1))
    parse({"$or": [{"a": 1}] * MAX_CONDITIONS})
    parse({"a": {"$in": [1] * MAX_VALUES}})
