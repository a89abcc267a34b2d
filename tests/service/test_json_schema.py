"""Values held against schemas that others wrote, within bounds."""

from typing import Any

from service.json_schema import Check

REFERS: dict[str, Any] = {
    "$defs": {
        **{f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(40)},
        "d40": {"type": "null"},
    },
    "$ref": "#/$defs/d0",
}
"""A billion ways to find out that a value is not null."""

TWICE: dict[str, Any] = {
    "anyOf": [{"properties": {"x": {"$ref": "#"}}, "required": [name]} for name in ("y", "z")],
}
"""Each level of a value is looked at in two ways."""


def test_references_that_stand_for_billions_are_given_up() -> None:
    assert Check(REFERS).problems(1) == "there is too much to check"


def test_a_schema_that_refers_to_itself_twice_is_given_up() -> None:
    value: dict[str, Any] = {}
    for _ in range(40):
        value = {"x": value}
    assert Check(TWICE).problems(value) == "there is too much to check"


def test_large_values_are_checked_whole() -> None:
    schema = {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "integer"}}}}
    assert Check(schema).problems([{"a": 1}] * 10_000) == ""
    assert "9999.a" in Check(schema).problems([{"a": 1}] * 9_999 + [{"a": "x"}])


def test_each_value_has_the_whole_bound() -> None:
    check = Check({"type": "array", "items": {"type": "integer"}})
    for _ in range(5):
        assert check.problems([1] * 30_000) == ""
