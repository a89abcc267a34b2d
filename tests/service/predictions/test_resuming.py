"""Streams that break and are gone on with: nothing is lost, nothing repeated."""

import re
import time
import tracemalloc
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from service.api_keys import service as api_keys
from service.chatflows.types import Passage, Sources, Token
from service.predictions import runs
from service.predictions.events import End
from service.predictions.runs import Running, Runs
from service.predictions.writing import Writer
from service.settings import Settings
from tests.service.predictions.conftest import House
from tests.service.predictions.live import DEFAULT_WORKSPACE, Live
from tests.service.predictions.test_stops import LONG, begun, until
from tests.stubs.openai_server import Script

FLOW = UUID(int=1)
FRAME = re.compile(rb"id:(\S+)\n(message:\ndata:.*\n\n)")


def url(house: House, flow: str) -> str:
    """Where a flow is asked."""
    return f"{house.live.url}/api/v1/prediction/{flow}"


def some_frames(house: House, flow: str, most: int, **headers: str) -> list[tuple[str, bytes]]:
    """The first frames of a resumable stream, with their ids; then the client goes away."""
    body = {"question": "How many days of leave?", "streaming": True, "resumable": True, "chatId": "c1"}
    with httpx.stream("POST", url(house, flow), json=body, headers=headers, timeout=30) as response:
        assert response.status_code == 200, response.read()
        read = b""
        for part in response.iter_raw():
            read += part
            if len(found := frames(read)) >= most:
                return found[:most]
    return frames(read)


def frames(stream: bytes) -> list[tuple[str, bytes]]:
    """Ids and bytes of frames."""
    return [(identity.decode(), frame) for identity, frame in FRAME.findall(stream)]


def rest(house: House, flow: str, last: str, **headers: str) -> httpx.Response:
    """The stream behind a frame."""
    return httpx.post(url(house, flow), headers={"Last-Event-ID": last, **headers}, timeout=30)


def test_a_stream_goes_on_behind_every_frame_of_it(house: House) -> None:
    flow = house.writing(memory={})
    every = some_frames(house, flow, 1000)
    assert every[-1][1] == b'message:\ndata:{"event":"end","data":"[DONE]"}\n\n'
    assert len({identity for identity, _ in every}) == len(every)
    for number, (identity, _) in enumerate(every):
        again = rest(house, flow, identity)
        assert again.headers["content-type"] == "text/event-stream"
        assert frames(again.content) == every[number + 1 :]
    assert len(house.stub.requests) == 1
    assert len(house.messages(flow)) == 2


def test_a_client_that_comes_back_finds_the_model_still_at_work(house: House) -> None:
    house.stub.script(Script(reply=LONG, token_delay=0.01))
    flow = house.writing()
    first = some_frames(house, flow, 5)
    time.sleep(0.1)
    more = frames(rest(house, flow, first[-1][0]).content)
    texts = re.findall(rb'"token","data":"([^"]*)"', b"".join(frame for _, frame in [*first, *more]))
    assert b"".join(texts).decode() == LONG
    assert house.messages(flow)[1]["state"] == "complete"


def test_a_client_that_does_not_come_back_stops_the_model_in_the_end(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "PATIENCE", 0.2)
    house.stub.script(Script(reply=LONG, token_delay=0.05))
    flow = house.writing()
    some_frames(house, flow, 4)
    request = begun(house)
    assert until(lambda: request.disconnected)
    assert until(lambda: house.messages(flow))[1]["state"] == "aborted"


def test_nobody_else_goes_on_with_a_stream(house: House, settings: Settings) -> None:
    flow, other = house.writing(), house.writing()
    identity = some_frames(house, flow, 1000)[2][0]
    _, secret = house.live.run(api_keys.create(house.live.resources.database, DEFAULT_WORKSPACE, "other"))
    refused: list[httpx.Response] = [
        rest(house, flow, identity, Authorization=f"Bearer {secret}"),
        rest(house, other, identity),
        *(rest(house, flow, junk) for junk in ("x", "..", identity[:-1] + "99", identity + "9" * 9, "a.b.c")),
    ]
    with Live(settings) as process:
        refused.append(
            httpx.post(f"{process.url}/api/v1/prediction/{flow}", headers={"Last-Event-ID": identity}, timeout=30)
        )
    for response in refused:
        assert (response.status_code, response.json()["code"]) == (410, "stream_gone")
    assert rest(house, flow, identity).status_code == 200


def test_a_stream_that_nobody_asked_to_keep_has_no_ids_and_is_not_kept(house: House) -> None:
    flow = house.writing()
    stream = house.ask(flow, streaming=True).content
    assert b"id:" not in stream
    assert house.live.resources.runs._resumable == {}


def test_ended_runs_are_kept_for_a_while_and_within_bounds(monkeypatch: pytest.MonkeyPatch, house: House) -> None:
    flow = house.writing()
    held = house.live.resources.runs
    first = some_frames(house, flow, 1000)[0][0]
    monkeypatch.setattr(runs, "KEPT_BYTES", until(lambda: held._held) * 2.5)
    ids = [first, *(some_frames(house, flow, 1000)[0][0] for _ in range(3))]
    assert [rest(house, flow, identity).status_code for identity in ids] == [410, 410, 200, 200]
    monkeypatch.setattr(runs, "KEPT_SECONDS", 0.05)
    identity = some_frames(house, flow, 1000)[0][0]
    assert until(lambda: rest(house, flow, identity).status_code == 410)


async def test_five_hundred_ended_streams_hold_no_more_memory_than_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "KEPT_BYTES", 2_000_000)
    kept = Runs()

    async def work(running: Running) -> None:
        running.say(Sources((Passage(str(uuid4()), running.id * 50, {"source": running.id}, 0.5),)))
        for number in range(30):
            running.say(Token(f"{number} "))
        running.say(End())

    tracemalloc.start()
    try:
        for _ in range(500):
            await kept.start(FLOW, "c1", work, resumable=True).wait()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < runs.KEPT_BYTES
    assert 50 < len(kept._resumable) == len(kept._ended) < 500
    await kept.close()
    assert (kept._held, kept._resumable) == (0, {})


def test_a_stream_that_is_gone_on_with_begins_a_bubble_only_where_none_was_begun() -> None:
    said: list[Any] = [Sources(()), Token("a"), End()]
    every = frames(Writer(run="r").write(said))
    assert [identity for identity, _ in every] == ["r.0.1", "r.0.2", "r.1.0", "r.2.0", "r.3.0"]
    for number in range(len(said)):
        behind = [frame for frame in every if frame[0] > f"r.{number}.0"]
        assert frames(Writer(run="r", start=number, before=said[:number]).write(said[number:])) == behind
    assert frames(Writer(run="r", start=0, skip=1).write(said)) == every[1:]
