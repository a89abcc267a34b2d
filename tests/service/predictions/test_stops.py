"""Answers that are stopped: by the abort route, in whatever process, and by clients that go away."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import uuid4

import httpx
import pytest

from service.api_keys import service as api_keys
from service.predictions.events import End
from service.predictions.runs import Running, Runs
from service.settings import Settings
from tests.service.predictions.conftest import House
from tests.service.predictions.live import DEFAULT_WORKSPACE, Live
from tests.service.predictions.test_streams import events
from tests.stubs.openai_server import Recorded, Script

T = TypeVar("T")

LONG = " ".join(f"word{number}" for number in range(200))


def until(look: Callable[[], T | None], seconds: float = 10) -> T:
    """What `look` finds, once it finds something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.01)
    raise AssertionError("it did not happen")


def begun(house: House) -> Recorded:
    """The model's request once it has sent some tokens, or has begun to think about a whole answer."""

    def sent(item: Recorded) -> bool:
        return item.tokens_sent > 2 if item.body.get("stream") else True

    return until(lambda: next((item for item in house.stub.requests if sent(item)), None))


def in_background(call: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """The call in a thread, and the list that its result will be in."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(call()))
    thread.start()
    return thread, results


@pytest.mark.parametrize("streaming", [True, False])
def test_an_abort_stops_the_model_and_keeps_what_was_written(house: House, streaming: bool) -> None:
    house.stub.script(Script(reply=LONG, token_delay=0.03) if streaming else Script(hang=True))
    flow = house.writing()
    thread, results = in_background(lambda: house.ask(flow, chatId="c1", streaming=streaming))
    request = begun(house)
    answer = httpx.put(f"{house.live.url}/api/v1/chatmessage/abort/{flow}/c1")
    assert (answer.status_code, answer.json()) == (200, {"status": 200, "message": "Chat message aborted"})
    thread.join(10)
    assert until(lambda: request.disconnected)
    user, kept = house.messages(flow)
    assert (user["state"], kept["state"]) == ("aborted", "aborted")
    if streaming:
        assert kept["content"].startswith("word0 word1")
        found = events(results[0].content)
        assert found[-2:] == [("abort", "[DONE]"), ("end", "[DONE]")]
        assert "".join(data for name, data in found if name == "token") == kept["content"]
    else:
        assert results[0].json()["text"] == kept["content"] == ""


def test_an_abort_reaches_a_run_in_another_process(house: House, settings: Settings) -> None:
    house.stub.script(Script(reply=LONG, token_delay=0.03))
    flow = house.writing()
    with Live(settings) as other:
        thread, results = in_background(lambda: house.ask(flow, chatId="c1", streaming=True))
        begun(house)
        assert httpx.put(f"{other.url}/api/v1/chatmessage/abort/{flow}/c1").status_code == 200
        thread.join(10)
    assert events(results[0].content)[-2][0] == "abort"


@pytest.mark.parametrize("path", ["prediction", "internal-prediction"])
def test_a_key_that_is_ended_reads_no_further(house: House, settings: Settings, path: str) -> None:
    house.stub.script(Script(reply=LONG, token_delay=0.03))
    flow = house.writing()
    made, secret = house.live.run(api_keys.create(house.live.resources.database, DEFAULT_WORKSPACE, "reader"))
    asked = {"question": "How many?", "streaming": True, "resumable": True}
    headers = {"Authorization": f"Bearer {secret}"}
    url = f"{house.live.url}/api/v1/{path}/{flow}"
    with Live(settings) as other:
        thread, results = in_background(lambda: httpx.post(url, json=asked, headers=headers, timeout=30))
        request = begun(house)
        other.run(api_keys.revoke(other.resources.database, DEFAULT_WORKSPACE, made.id))
        thread.join(10)
    assert until(lambda: request.disconnected)
    assert "word199" not in results[0].text
    assert house.messages(flow)[1]["state"] == "aborted"


def test_an_abort_of_nothing_is_answered_alike(house: House) -> None:
    url = f"{house.live.url}/api/v1/chatmessage/abort"
    for path in ("nonsense/c1", "5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11/c1", "5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11/c1/"):
        assert httpx.put(f"{url}/{path}").json() == {"status": 200, "message": "Chat message aborted"}
    assert httpx.put(f"{url}/5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11").status_code == 412


@pytest.mark.parametrize("streaming", ["true", "false"])
def test_a_client_that_goes_away_stops_the_model(house: House, streaming: str) -> None:
    house.stub.script(Script(reply=LONG, token_delay=0.03) if streaming == "true" else Script(hang=True))
    flow = house.writing()
    body = b'{"question": "How many?", "streaming": ' + streaming.encode() + b"}"
    host = house.live.url.removeprefix("http://").split(":")
    with socket.create_connection((host[0], int(host[1]))) as connection:
        head = f"POST /api/v1/prediction/{flow} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        connection.sendall(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        request = begun(house)
    assert until(lambda: request.disconnected)
    (_, kept) = until(lambda: house.messages(flow))
    assert kept["state"] == "aborted"
    assert kept["content"].startswith("word0" if streaming == "true" else "")


@pytest.mark.parametrize("closing", [False, True])
async def test_a_run_that_is_stopped_before_its_first_step_comes_to_its_end(closing: bool) -> None:
    async def work(running: Running) -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            running.say(End())

    runs, flow = Runs(), uuid4()
    running = runs.start(flow, "c1", work, resumable=True)
    if not closing:
        runs.abort(flow, "c1")
        await running.wait()
    await runs.close()
    assert running.done
    assert running.events == [End()]


def test_the_end_of_the_service_keeps_what_was_written(house: House, settings: Settings) -> None:
    house.stub.script(Script(reply=LONG, token_delay=0.03))
    flow = house.writing()
    with Live(settings) as other:
        url = f"{other.url}/api/v1/prediction/{flow}"
        body = {"question": "How many?", "streaming": True}
        thread, _ = in_background(lambda: httpx.post(url, json=body, timeout=30).status_code)
        begun(house)
        other.run(other.resources.runs.close())
        thread.join(10)
    assert house.messages(flow)[1]["state"] == "aborted"


def test_sessions_of_one_caller_are_closed_to_every_other(house: House) -> None:
    flow = house.writing()
    house.ask(flow, "my secret is plum jam", chatId="guessable")
    url = f"{house.live.url}/api/v1/prediction/{flow}"
    for body in ({"chatId": "guessable"}, {"overrideConfig": {"sessionId": "guessable"}}):
        house.client.post(url, json={"question": "What is the secret?", **body})
        assert "plum jam" not in str(house.stub.requests[-1].body)
    other = house.writing()
    house.ask(other, "What is the secret?", chatId="guessable")
    assert "plum jam" not in str(house.stub.requests[-1].body)
    house.ask(flow, "What is it?", chatId="guessable")
    assert "plum jam" in str(house.stub.requests[-1].body)
