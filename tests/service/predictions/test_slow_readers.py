"""Readers that do not read: what waits for them is bounded, and nobody else waits."""

import asyncio
import json
import socket
from uuid import uuid4

import pytest

from service.chatflows.types import Token
from service.predictions.events import End
from service.predictions.runs import AT_ONCE, LAG, PIECE, Running
from tests.benchmarks.streams import Stream, many
from tests.service.predictions.conftest import House
from tests.service.predictions.scripted import Scripted
from tests.service.predictions.test_stops import until
from tests.stubs.openai_server import REPLY, Script


async def test_text_that_nobody_reads_grows_together_and_loses_nothing() -> None:
    running = Running(uuid4(), "c")
    words = [f"{number} " for number in range(100_000)]
    for word in words:
        running.say(Token(word))
    running.say(End())
    assert len(running.events) < LAG + 10 + sum(map(len, words)) // (PIECE - 10)
    read: list[str] = []
    while len(running.events) > (start := len(read)):
        events = await running.read(start, 1)
        assert len(events) <= AT_ONCE
        read += [event.text if isinstance(event, Token) else "" for event in events]
    assert "".join(read) == "".join(words)


async def test_what_was_read_never_changes() -> None:
    running = Running(uuid4(), "c")
    for number in range(2 * LAG):
        running.say(Token(f"{number} "))
    first = [*await running.read(0, 1)]
    for number in range(2 * LAG):
        running.say(Token(f"{number} "))
    assert running.events[: len(first)] == first
    running = Running(uuid4(), "c")
    for number in range(4 * LAG):
        running.say(Token(f"{number} "))
        assert len(await running.read(number, 1)) == 1


async def test_saying_nothing_is_no_silence() -> None:
    running = Running(uuid4(), "c")
    reading = asyncio.create_task(running.read(0, 30))
    await asyncio.sleep(0)
    running.say()
    await asyncio.sleep(0)
    assert not reading.done(), "the reader would send a heartbeat"
    running.say(End())
    assert await reading == [End()]


def test_a_socket_that_stops_reading_holds_up_nobody(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = house.quoting()
    scripted = Scripted([Token("word " * 40) for _ in range(4_900)])

    async def ready(*_: object, **__: object) -> Scripted:
        return scripted

    monkeypatch.setattr("service.predictions.service.ready", ready)
    body = json.dumps({"question": "Q?", "streaming": True, "chatId": "slow"}).encode()
    host = house.live.url.removeprefix("http://").split(":")
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((host[0], int(host[1])))
        head = f"POST /api/v1/prediction/{flow} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        connection.sendall(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        # the run ends although nobody reads, its million characters in few pieces
        stored = until(lambda: house.messages(flow), 30)
        assert len(stored[1]["content"]) == 4_900 * 200
        assert house.ask(flow).status_code == 200
        assert _waiting(house) < 1_000_000
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_000_000)
        connection.settimeout(20)
        stream = b""
        while b'"end"' not in stream[-200:]:
            stream += connection.recv(65536)
    assert stream.count(b"word ") == 4_900 * 40 + 40  # the first token stands in `start` too


def _waiting(house: House) -> int:
    """Bytes that the server holds of streams that it could not send yet."""

    async def look() -> int:
        transports = list(asyncio.get_running_loop()._transports.values())  # type: ignore[attr-defined]
        return sum(transport.get_write_buffer_size() for transport in transports)

    return house.live.run(look())


def test_many_streams_at_once_all_end(house: House) -> None:
    house.stub.script(Script(token_delay=0.05), times=None)
    flow = house.writing(memory={}, model={"timeout": 120_000})
    found = asyncio.run(many(house.live.url, f"/api/v1/prediction/{flow}", 60))
    assert [item for item in found if not isinstance(item, Stream)] == []
    assert {(item.text, item.ended) for item in found if isinstance(item, Stream)} == {(REPLY, True)}
    assert len(house.messages(flow)) == 120
