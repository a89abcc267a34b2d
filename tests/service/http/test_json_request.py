"""Large JSON bodies are read beside the event loop, and read as small ones are."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import json_text
from service.http.json_request import JsonRequest
from service.json_text import AT_ONCE, read

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)

BROKEN = ['{"a": 1', '{"a" 1}', "[1,]", '{"a": "b\n"}', '{"a": 1} x', "nope", "[1 2]", '"\\u12"', "{1: 2}", " "]


@given(VALUES)
def test_long_texts_read_as_short_ones(value: Any) -> None:
    text = json.dumps(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "AT_ONCE", 0)
        assert read(text) == read(text.encode()) == read("\ufeff" + text) == value


@pytest.mark.parametrize("text", BROKEN)
def test_long_texts_fail_as_short_ones(text: str) -> None:
    padded = text.ljust(AT_ONCE + 1) if text != " " else text * (AT_ONCE + 1)
    with pytest.raises(json.JSONDecodeError) as wanted:
        json.loads(padded)
    with pytest.raises(json.JSONDecodeError) as got:
        read(padded)
    assert (got.value.msg, got.value.pos) == (wanted.value.msg, wanted.value.pos)


def test_what_is_nested_too_deeply_is_refused() -> None:
    deep = "[" * (AT_ONCE // 2 + 1) + "]" * (AT_ONCE // 2 + 1)
    with pytest.raises(RecursionError):
        read(deep)


async def test_others_are_served_while_a_large_body_is_read() -> None:
    body = b"[" + b",".join([b'{"a":"%s"}' % (100 * b"x")] * 90_000) + b"]"
    done = False

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def tick() -> int:
        ticks = 0
        while not done:
            await asyncio.sleep(0)
            ticks += 1
        return ticks

    ticking = asyncio.create_task(tick())
    value = await JsonRequest({"type": "http", "method": "POST", "headers": []}, receive).json()
    done = True
    assert len(value) == 90_000
    assert await ticking > 10
