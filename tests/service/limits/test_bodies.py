"""Bodies that come slowly, end early or lie about their length, over a real socket: nothing is left of them."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from service.api_keys import service as api_keys
from service.settings import Settings
from service.workspaces import DEFAULT_WORKSPACE
from tests.service.document_stores.talk import API
from tests.service.predictions.live import Live

PIECE = 64 * 1024
LARGE = 4 * 1024 * 1024  # more than is held in memory


@pytest.fixture
def live(settings: Settings) -> Iterator[Live]:
    """The application on a socket, with little patience."""
    with Live(settings.model_copy(update={"body_pause": 0.5, "body_rate": 100_000})) as live:
        yield live


@pytest.fixture
def client(live: Live) -> Iterator[httpx.Client]:
    _, secret = live.run(api_keys.create(live.resources.database, DEFAULT_WORKSPACE, "tests"))
    with httpx.Client(base_url=live.url, headers={"Authorization": f"Bearer {secret}"}, timeout=60) as opened:
        yield opened


def temporary_files() -> int:
    """Files of this process that have no name any more: bodies that were too large for memory."""
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(entry)
        except FileNotFoundError:
            continue
        found += target.endswith("(deleted)")
    return found


def eventually(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def opened(client: httpx.Client, path: str, length: int, *, key: bool) -> socket.socket:
    """A connection that has sent the head of an upload, and the head of its only part."""
    url = client.base_url
    connection = socket.create_connection((url.host, url.port))
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {url.host}\r\nAuthorization: {client.headers['authorization']}\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {length}\r\n"
        + ("Idempotency-Key: slow\r\n" if key else "")
        + '\r\n--b\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\n'
    )
    connection.sendall(head.encode())
    return connection


def answer(connection: socket.socket) -> bytes:
    connection.settimeout(30)
    received = b""
    try:
        while piece := connection.recv(PIECE):
            received += piece
    except ConnectionResetError:
        pass
    return received


@pytest.fixture
def path(client: httpx.Client) -> str:
    store = client.post(f"{API}/store", json={"name": "Slow"}).json()["id"]
    return f"{API}/upsert/{UUID(store)}"


@pytest.mark.parametrize("key", [False, True])
def test_a_body_that_pauses_is_refused_and_dropped(client: httpx.Client, live: Live, path: str, key: bool) -> None:
    before = temporary_files()
    with opened(client, path, 2 * LARGE, key=key) as connection:
        connection.sendall(b"x" * LARGE)
        received = answer(connection)
    assert received.startswith(b"HTTP/1.1 408 ")
    assert b"body_rate" in received
    assert b"request_timeout" in received
    eventually(lambda: temporary_files() == before)
    assert not list((live.resources.settings.data / "blobs").rglob("*.part"))


def test_a_body_that_trickles_is_refused(client: httpx.Client, path: str) -> None:
    with opened(client, path, LARGE, key=False) as connection:
        received = b""
        connection.settimeout(0.1)
        for _ in range(300):
            try:
                connection.sendall(b"x" * 100)
                received = connection.recv(PIECE)
                break
            except TimeoutError:
                continue
    assert received.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("key", [False, True])
def test_a_client_that_vanishes_leaves_nothing(client: httpx.Client, live: Live, path: str, key: bool) -> None:
    before = temporary_files()
    with opened(client, path, LARGE + 1000, key=key) as connection:
        connection.sendall(b"x" * LARGE)
        eventually(lambda: temporary_files() > before)
    eventually(lambda: temporary_files() == before)
    assert client.get(f"{API}/documents/{path.rsplit('/', 1)[1]}").json() == []

    async def keys() -> list[object]:
        async with live.resources.database.connection() as database:
            return list(await (await database.execute("SELECT key FROM idempotency_keys")).fetchall())

    assert live.run(keys()) == []


def test_a_length_that_is_too_large_is_refused_before_the_body(client: httpx.Client, path: str) -> None:
    with opened(client, path, 257 * 1024 * 1024, key=False) as connection:
        received = answer(connection)
    assert received.startswith(b"HTTP/1.1 413 ")
    assert b'"message":"max_request: ' in received


def test_more_than_was_announced_is_no_part_of_the_body(client: httpx.Client, path: str) -> None:
    """What follows is read as the next request, and is none."""
    body = b'{"name": "Short"}'
    url = client.base_url
    with socket.create_connection((url.host, url.port)) as connection:
        head = (
            f"POST {API}/store HTTP/1.1\r\nHost: {url.host}\r\nAuthorization: {client.headers['authorization']}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        connection.sendall(head.encode() + body + b'{"name": "Smuggled"}\r\n\r\n')
        received = answer(connection)
    assert b"HTTP/1.1 400 " in received
    assert "Smuggled" not in client.get(f"{API}/store").text


@pytest.mark.parametrize(
    "lie", ["Content-Length: 5\r\nContent-Length: 6", "Content-Length: 5\r\nTransfer-Encoding: chunked"]
)
def test_lengths_that_contradict_each_other_are_refused(client: httpx.Client, lie: str) -> None:
    url = client.base_url
    with socket.create_connection((url.host, url.port)) as connection:
        head = (
            f"POST {API}/store HTTP/1.1\r\nHost: {url.host}\r\nAuthorization: {client.headers['authorization']}\r\n"
            f"Content-Type: application/json\r\n{lie}\r\n\r\n"
        )
        connection.sendall(head.encode() + b'{"name": "Lie"}')
        received = answer(connection)
    assert received.startswith(b"HTTP/1.1 400 ")
    assert client.get(f"{API}/store").json() == []
