"""Streams, byte for byte, and that they say what whole answers say."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.chatflows.types import Passage, Sources, Token
from service.predictions.events import Abort, End, Event, Failure, Metadata
from service.predictions.writing import Writer, frame
from service.providers.errors import ProviderTimeout
from tests.service.predictions.conftest import House
from tests.stubs.openai_server import Lie, Script


def events(stream: bytes, *, beside: bool = False) -> list[tuple[str, Any]]:
    """Name and data of every event; every byte of the stream is accounted for. `beside`: other keys may stand there."""
    found = []
    for part in stream.removesuffix(b"\n\n").split(b"\n\n"):
        if part == b":heartbeat":
            continue
        head, _, line = part.partition(b"\n")
        assert head == b"message:"
        assert line.startswith(b'data:{"event":"')
        payload = json.loads(line.removeprefix(b"data:"))
        assert list(payload) == ["event", "data"] or beside
        found.append((payload["event"], payload["data"]))
    return found


def text_of(found: list[tuple[str, Any]]) -> str:
    """The answer in a stream."""
    return "".join(data for name, data in found if name == "token")


def test_frames_are_exact() -> None:
    passage = Passage("7", "Text", {"source": "a.md"}, 0.5)
    said: list[Event] = [
        Token("Hé"),
        Token(" you"),
        Sources((passage,)),
        Metadata("c", "m", "Q?", "s", "Buffer Memory"),
        End(),
    ]
    assert Writer().write(said).decode() == (
        'message:\ndata:{"event":"start","data":"Hé"}\n\n'
        'message:\ndata:{"event":"token","data":"Hé"}\n\n'
        'message:\ndata:{"event":"token","data":" you"}\n\n'
        'message:\ndata:{"event":"sourceDocuments","data":'
        '[{"pageContent":"Text","metadata":{"source":"a.md","score":0.5,"chunkId":"7"}}]}\n\n'
        'message:\ndata:{"event":"metadata","data":{"chatId":"c","chatMessageId":"m","question":"Q?","sessionId":"s",'
        '"memoryType":"Buffer Memory"}}\n\n'
        'message:\ndata:{"event":"end","data":"[DONE]"}\n\n'
    )


def test_a_failure_and_an_abort_have_their_events() -> None:
    assert Writer(full=True).write([Failure(ProviderTimeout("Too slow.")), End()]) == (
        b'message:\ndata:{"event":"error","data":"Too slow."}\n\nmessage:\ndata:{"event":"end","data":"[DONE]"}\n\n'
    )
    assert events(Writer().write([Token("a"), Abort(), End()]))[-2:] == [("abort", "[DONE]"), ("end", "[DONE]")]


def test_an_answer_without_a_token_still_starts() -> None:
    assert events(Writer().write([Sources(()), End()]))[:2] == [("start", ""), ("token", "")]


@given(st.text(st.characters()))
def test_any_text_is_one_line_that_loses_nothing(text: str) -> None:
    written = frame("token", text + "data:image/png" + "\u2028\x85")
    lines = written.decode("utf-8", "strict").splitlines()
    assert len(lines) == 3
    assert lines[1].count("data:") == 1
    expected = text.encode("utf-8", "replace").decode() + "data:image/png" + "\u2028\x85"
    assert json.loads(lines[1].removeprefix("data:"))["data"] == expected


def test_a_stream_has_the_headers_and_the_order_of_the_contract(house: House) -> None:
    flow = house.writing(memory={})
    response = house.ask(flow, streaming=True, chatId="c1")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["connection"] == "keep-alive"
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["transfer-encoding"] == "chunked"
    found = events(response.content)
    names = [name for name, _ in found]
    assert names == ["start", *["token"] * 10, "sourceDocuments", "metadata", "end"]
    assert found[0][1] == found[1][1] == "The"
    metadata = dict(found)["metadata"]
    assert list(metadata) == ["chatId", "chatMessageId", "question", "sessionId", "memoryType", "usageMetadata"]
    assert metadata["chatMessageId"] == str(house.messages(flow)[1]["id"])
    assert dict(found)["end"] == "[DONE]"


def test_streaming_may_be_a_text_and_nothing_else_streams(house: House) -> None:
    flow = house.quoting()
    assert house.ask(flow, streaming="true").headers["content-type"] == "text/event-stream"
    others: list[Any] = [False, "false", "True", 1, "1", None, {}]
    for value in others:
        assert house.ask(flow, streaming=value).headers["content-type"] == "application/json", value


def test_a_flow_that_cannot_stream_answers_whole(house: House) -> None:
    flow = house.writing(model={"streaming": False})
    assert house.client.get(f"/chatflows-streaming/{flow}").json() == {"isStreaming": False}
    assert house.ask(flow, streaming=True).json()["text"] == "The stub has an answer. It comes in two sentences."


def test_a_multipart_call_streams(house: House) -> None:
    flow = house.quoting()
    url = f"{house.live.url}/api/v1/prediction/{flow}"
    parts = {"question": (None, "How many days of leave?"), "streaming": (None, "true"), "history": (None, "[]")}
    found = events(httpx.post(url, files=parts).content)
    assert text_of(found) == "Every employee has 30 days of paid leave a year. [1]"
    refused = httpx.post(url, files={"question": (None, "Q"), "files": ("a.txt", b"text")})
    assert refused.status_code == 422
    assert "files" in refused.json()["message"]
    assert httpx.post(url, data={"question": "How many days of leave?"}).status_code == 200


@pytest.mark.parametrize("patience", [2.0], ids=["impatient"])
@pytest.mark.parametrize(
    ("script", "status", "code"),
    [
        (Script(hang=True), 504, "provider_timeout"),
        (Script(status=401), 502, "provider_bad_credential"),
        (Script(status=429, retry_after=1), 429, "provider_rate_limited"),
        (Script(status=500), 503, "provider_unavailable"),
        (Script(lie=Lie.NOT_JSON), 502, "provider_malformed"),
        (Script(lie=Lie.EMPTY_OBJECT), 502, "provider_malformed"),
        (Script(finish_reason="content_filter"), 422, "provider_content_refused"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_every_misbehaviour_of_a_model_has_an_end(house: House, script: Script, status: int, code: str) -> None:
    house.stub.script(script, times=None)
    flow = house.writing(model={"timeout": 400})
    plain = house.own(flow)
    assert (plain.status_code, plain.json()["code"]) == (status, code)
    assert {"statusCode", "success", "message", "stack", "error"} <= plain.json().keys()
    found = events(house.own(flow, streaming=True).content)
    assert [name for name, _ in found[-2:]] == ["error", "end"]
    if script.lie is not Lie.EMPTY_OBJECT:  # whole, it has no shape; as a stream, it has no events
        assert found[-2][1] == plain.json()["message"]
    assert "sk-stub" not in found[-2][1]
    kept = house.messages(flow)
    assert {item["state"] for item in kept} <= {"failed"}
    assert bool(kept) == bool(text_of(found))


def test_a_model_that_stops_in_mid_answer_ends_the_stream_and_what_it_wrote_is_kept(house: House) -> None:
    flow = house.writing()
    house.stub.script(Script(stop_after=3))
    found = events(house.ask(flow, chatId="c1", streaming=True).content)
    assert [name for name, _ in found] == ["start", "token", "token", "token", "error", "end"]
    assert [item["state"] for item in house.messages(flow)] == ["failed", "failed"]
    assert house.messages(flow)[1]["content"] == text_of(found)
    before = len(house.stub.requests)
    assert house.ask(flow, chatId="c1").status_code == 200
    assert len(house.stub.requests) == before + 1  # nothing to rephrase with


WORDS = st.text(st.sampled_from("abc é\n\u2028:data"), min_size=0, max_size=40)
ENDS: list[dict[str, Any]] = [{}, {"stop_after": 2}, {"status": 400}]


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(reply=WORDS, ending=st.sampled_from(ENDS))
def test_a_stream_says_what_the_whole_answer_says(house: House, reply: str, ending: dict[str, Any]) -> None:
    flow = _kept_flow(house)
    house.stub.reset()
    house.stub.script(Script(reply=reply, **ending), times=None)
    plain = house.own(flow)
    found = events(house.own(flow, streaming=True).content)
    data = dict(found)
    if "stop_after" in ending and "error" in data:  # only a stream can stop half way
        assert plain.json()["text"].startswith(text_of(found))
    elif plain.status_code == 200:
        assert text_of(found) == plain.json()["text"]
        assert data["sourceDocuments"] == plain.json()["sourceDocuments"]
        assert data["metadata"]["question"] == plain.json()["question"]
    else:
        assert data["error"] == plain.json()["message"]
        assert "metadata" not in data
    assert found[-1] == ("end", "[DONE]")


_flows: dict[int, str] = {}


def _kept_flow(house: House) -> str:
    """One flow for all examples."""
    if id(house) not in _flows:
        _flows[id(house)] = house.writing()
    return _flows[id(house)]
