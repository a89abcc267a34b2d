"""JSON in the words of a model, and what is checked of it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.json_schema import Check
from service.model_json import found

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ('Here it is:\n```json\n{"a": [1, 2]}\n```\nAnything else?', {"a": [1, 2]}),
        ("```\n[1]\n```", [1]),
        ('```json\n{"a": 1}', {"a": 1}),
        ('The answer is {"a": {"b": 2}} as [1] says.', {"a": {"b": 2}}),
        ("42", 42),
    ],
)
def test_json_is_found(text: str, value: Any) -> None:
    assert found(text) == value


@pytest.mark.parametrize("text", ["", "nothing here", "{not json}", "[" * 10_000])
def test_where_there_is_none_it_says_so(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        found(text)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=3), VALUES, min_size=1, max_size=3))
def test_a_value_between_words_is_found(value: dict[str, Any]) -> None:
    import json

    assert found(f"Sure.\n```json\n{json.dumps(value)}\n```\nDone.") == value
    assert found(f"Sure: {json.dumps(value)} Done.") == value


def test_problems_are_named_with_their_place() -> None:
    check = Check({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer"}}}})
    assert check.problems({"a": [1]}) == ""
    assert check.problems({"a": [1, "x"]}) == "a.1: 'x' is not of type 'integer'"


def test_a_schema_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        Check({"type": "nothing"})


def test_expressions_of_others_are_not_run() -> None:
    slow = {"type": "string", "pattern": "^(a+)+$"}
    schema = {"properties": {"pattern": slow}, "patternProperties": {"(a+)+$": {}}, "additionalProperties": False}
    assert Check(schema).problems({"pattern": "a" * 64 + "!", "b" + "a" * 64 + "!": 1}) == ""


def test_references_lead_nowhere() -> None:
    assert "refers to" in Check({"$ref": "http://127.0.0.1:1/schema.json"}).problems(1)
    assert "refers to" in Check({"$ref": "#"}).problems(1)
