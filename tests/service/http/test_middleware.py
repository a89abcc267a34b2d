"""What every request passes before a route is chosen."""

import asyncio
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from service.http.middleware import Handover
from tests.service.predictions.live import Live


async def test_head_is_answered_as_get_without_the_body(anonymous: httpx.AsyncClient) -> None:
    for path in ("/api/v1/ping", "/api/v1/ping/", "/api/v1/version", "/healthz", "/openapi.json", "/api/v1/chatflows"):
        told, whole = await anonymous.head(path), await anonymous.get(path)
        assert (told.status_code, told.headers) == (whole.status_code, whole.headers), path
        assert told.content == b""


def test_a_connection_lives_on_after_head(live: Live) -> None:
    with httpx.Client(base_url=live.url) as client:
        for _ in range(3):
            assert client.head("/openapi.json").status_code == 200
            assert client.get("/api/v1/ping").text == "pong"


def test_head_is_refused_where_only_post_is_answered(live: Live) -> None:
    assert httpx.head(f"{live.url}/api/v1/prediction/5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11").status_code == 405


@pytest.mark.parametrize("begun", [False, True])
async def test_a_request_that_is_cut_off_unanswered_is_told_to_come_again(begun: bool) -> None:
    sent: list[Message] = []
    entered = asyncio.Event()

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        entered.set()
        await asyncio.Event().wait()

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Any:
        await asyncio.Event().wait()

    task = asyncio.create_task(Handover(application)({"type": "http"}, receive, send))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [message.get("status") for message in sent if "status" in message] == [200 if begun else 503]
    assert begun or (b"retry-after", b"1") in sent[0]["headers"]
    assert begun or b'"code":"ending"' in sent[1]["body"]
