"""Bodies that are read an element at a time say the same as `json.loads`."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import json_text
from service.document_stores.own_chunks.body import read_form, read_object
from service.errors import TooLarge
from service.json_text import AT_ONCE, MOST_VALUES

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=10,
)
objects = st.dictionaries(st.sampled_from(["chunks", "a", "b", "source"]) | st.text(max_size=3), values, max_size=5)


def read(text: str) -> Any:
    """The body as `json.loads` would have it."""
    taken: list[list[Any]] = []

    def take(elements: Iterator[Any]) -> None:
        taken.append(list(elements))

    found = read_object(text, "chunks", take)
    return {**found, "chunks": taken[0]} if taken else found


@given(objects | values, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_it_is_what_json_loads_reads(value: Any, indent: int | str | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert read(text) == value
    assert read(f" \n{text}\r\n") == value


@given(objects | values, st.integers(1, 40), st.booleans())
def test_long_bodies_are_read_as_short_ones(value: Any, at_once: int, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "AT_ONCE", at_once)
        assert read(text) == value
        for cut in range(1, len(text)):
            with pytest.raises(ValueError, match=r"."):
                read(f"{text[:cut]}\x01")


FLOOD = "[" + "[],     " * MOST_VALUES + "[]]"


@pytest.mark.parametrize("form", ["{}", '{{"metadata":{}}}', '{{"chunks":[{{"metadata":{}}}]}}', '{{"a":{0},"b":{0}}}'])
def test_values_without_number_are_refused(form: str) -> None:
    text = form.format(FLOOD)
    with pytest.raises(ValueError, match=f"more than {MOST_VALUES} values"):
        read(text)


def test_short_members_are_held_to_what_all_of_them_may_hold() -> None:
    part = "[" + "[]," * (MOST_VALUES // 2) + "[]]"
    assert len(part) < AT_ONCE
    members = ",".join(f'"m{number}":{part}' for number in range(8))
    with pytest.raises(ValueError, match=f"more than {MOST_VALUES} values"):
        read(f"{{{members}}}")


def test_a_chunk_of_values_without_number_in_a_form_is_refused() -> None:
    with pytest.raises(TooLarge, match="max_values: a chunk has more than"):
        read_form({"chunks": f"[{FLOOD}]"}, lambda elements: [].extend(elements))


def test_many_chunks_may_hold_more_values_together() -> None:
    chunks = [{"vector": [0.5] * 4000} for _ in range(120)]
    assert read(json.dumps({"chunks": chunks, "source": "a"})) == {"chunks": chunks, "source": "a"}


def test_a_long_file_in_a_body_is_read() -> None:
    value = {"loader": {"config": {"file": "data:" + "QUJD" * AT_ONCE}}, "source": "a"}
    assert read(json.dumps(value)) == value


@given(objects, st.data())
def test_what_json_loads_refuses_is_refused(value: Any, data: st.DataObject) -> None:
    text = json.dumps(value)
    at = data.draw(st.integers(0, len(text) - 1))
    broken = text[:at] + data.draw(st.sampled_from(["", ",", "}", "]", '"', ":", "[", "{", "x"])) + text[at + 1 :]
    try:
        expected = json.loads(broken)
    except ValueError:
        with pytest.raises(ValueError, match=r"."):
            read(broken)
    else:
        keys = json.loads(broken, object_pairs_hook=lambda pairs: [key for key, _ in pairs])
        if not isinstance(keys, list) or keys.count("chunks") < 2:
            assert read(broken) == expected


@pytest.mark.parametrize("text", ['{"chunks":[1,]}', '{"chunks":[,1]}', '{"chunks":[1 2]}', '{"chunks":[1]]}', "{,}"])
def test_near_misses_are_refused(text: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        read(text)


def test_depth_is_a_fault_of_the_body() -> None:
    with pytest.raises(json.JSONDecodeError):
        read('{"chunks":[' + "[" * 200_000 + "]" * 200_000 + "]}")
