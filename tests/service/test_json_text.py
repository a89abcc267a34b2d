"""JSON as programs, people and models write it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.json_text import AT_ONCE, MAX_DEPTH, lenient

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=9,
)


@given(VALUES)
def test_json_is_read_as_it_is(value: Any) -> None:
    assert lenient(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{a: 1, 'b': [.5, +2,],}", {"a": 1, "b": [0.5, 2]}),
        ("{ // what it is\n a: /* one */ 1}", {"a": 1}),
        (r"\[\"a\", \{\"b\": \'c\'\}\]", ["a", {"b": "c"}]),
        (r'["a \[b\]", "say \"hi\"",]', ["a [b]", 'say "hi"']),
    ],
)
def test_what_people_and_models_write_is_read_too(text: str, value: Any) -> None:
    assert lenient(text) == value


@pytest.mark.parametrize(
    "text",
    ["", "words", "{a: }", "[1] 2", "[" * 100_000, "[" * (MAX_DEPTH + 1) + "," + "]" * (MAX_DEPTH + 1)],
    ids=len,
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        lenient(text)


def test_only_short_texts_are_read_so() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        lenient("[1," + " " * AT_ONCE + "]")
