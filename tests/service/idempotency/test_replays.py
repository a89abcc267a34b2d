"""The same request with the same Idempotency-Key is executed once, whatever happens to it."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from service.api_keys import service as api_keys
from service.idempotency import service as idempotency
from service.idempotency.types import MAX_BODY
from service.resources import Resources
from service.settings import Settings
from service.worker.runner import Runner
from tests.application import speak
from tests.ports import held_ports
from tests.service.document_stores.talk import API, Talk, part, passages

STORE = f"{API}/store"


def fresh() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid4())}


def error(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


async def stores(client: httpx.AsyncClient) -> int:
    return len((await client.get(STORE)).json())


async def test_a_repeated_request_is_answered_with_the_first_answer(client: httpx.AsyncClient) -> None:
    key, body = fresh(), {"name": "Zoë's handbook"}
    first = await client.post(STORE, json=body, headers=key)
    again = await client.post(STORE, json=body, headers=key)
    assert (first.status_code, again.status_code) == (200, 200)
    assert (again.content, again.headers["content-type"]) == (first.content, first.headers["content-type"])
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["X-Content-Type-Options"] == "nosniff"
    assert await stores(client) == 1
    other = await client.post(STORE, json=body, headers=fresh())
    assert other.json()["id"] != first.json()["id"]
    await client.post(STORE, json=body)
    assert await stores(client) == 3


async def test_a_key_in_the_quotes_of_the_draft_is_the_same_key(client: httpx.AsyncClient) -> None:
    first = await client.post(STORE, json={"name": "A"}, headers={"Idempotency-Key": '"abc"'})
    again = await client.post(STORE, json={"name": "A"}, headers={"Idempotency-Key": "abc"})
    assert first.json() == again.json()


async def test_fifty_at_once_are_one_execution(client: httpx.AsyncClient) -> None:
    key, body = fresh(), {"name": "Once"}
    answers = await asyncio.gather(*(client.post(STORE, json=body, headers=key) for _ in range(50)))
    assert await stores(client) == 1
    done = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert done
    assert len({answer.content for answer in done}) == 1
    assert {error(answer) for answer in refused} <= {(409, "idempotency_key_in_use")}
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
    assert (await client.post(STORE, json=body, headers=key)).headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize(
    ("method", "path", "content", "kind"),
    [
        ("POST", STORE, b'{"name": "B"}', "application/json"),
        ("POST", f"{STORE}?x=1", b'{"name": "A"}', "application/json"),
        ("POST", "/api/v1/credentials", b'{"name": "A"}', "application/json"),
        ("PUT", f"{STORE}/01980000-0000-4000-8000-000000000000", b'{"name": "A"}', "application/json"),
        ("POST", STORE, b'{"name": "A"}', "text/plain"),
    ],
)
async def test_another_request_under_the_key_is_refused(
    client: httpx.AsyncClient, method: str, path: str, content: bytes, kind: str
) -> None:
    key = fresh()
    await client.post(STORE, content=b'{"name": "A"}', headers={**key, "Content-Type": "application/json"})
    response = await client.request(method, path, content=content, headers={**key, "Content-Type": kind})
    assert error(response) == (422, "idempotency_key_reused")
    assert "Idempotency-Key" in response.json()["message"]
    assert f"POST {STORE}" in response.json()["message"]
    assert await stores(client) == 1


@pytest.mark.parametrize("value", ["", " ", "x" * 256, "ä", "tab\there"])
async def test_a_key_that_cannot_be_used_is_refused(client: httpx.AsyncClient, value: str) -> None:
    for keys in ([value], ["twice", value]):
        request = client.build_request("POST", STORE, json={"name": "A"})
        request.headers = httpx.Headers([*request.headers.raw, *((b"Idempotency-Key", one.encode()) for one in keys)])
        assert error(await client.send(request)) == (422, "idempotency_key_unusable")
    assert await stores(client) == 0


async def test_keys_are_those_of_their_api_key(
    app: FastAPI, client: httpx.AsyncClient, foreign: httpx.AsyncClient, resources: Resources, workspace: Any
) -> None:
    key, body = fresh(), {"name": "Mine"}
    mine = (await client.post(STORE, json=body, headers=key)).json()["id"]
    assert (await foreign.post(STORE, json=body, headers=key)).json()["id"] != mine
    _, secret = await api_keys.create(resources.database, workspace, "colleague")
    async with speak(app, secret) as colleague:
        assert (await colleague.post(STORE, json=body, headers=key)).json()["id"] != mine


async def test_failures_of_what_was_executed_are_replayed(client: httpx.AsyncClient) -> None:
    key, path = fresh(), f"{STORE}/{uuid4()}"
    first = await client.delete(path, headers=key)
    again = await client.delete(path, headers=key)
    assert (first.status_code, again.status_code, again.content) == (404, 404, first.content)
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_refusals_before_the_execution_leave_the_key_free(
    client: httpx.AsyncClient, anonymous: httpx.AsyncClient, limited: httpx.AsyncClient
) -> None:
    key = fresh()
    assert (await anonymous.post(STORE, json={"name": "A"}, headers=key)).status_code == 401
    assert (await limited.post(STORE, json={"name": "A"}, headers=key)).status_code == 403
    assert (
        await client.post(STORE, content=b"{", headers={**key, "Content-Type": "application/json"})
    ).status_code == 400
    assert (await client.post(STORE, json={"name": [1]}, headers=key)).status_code == 422
    made = await client.post(STORE, json={"name": "A"}, headers=key)
    assert made.status_code == 200
    assert "Idempotent-Replayed" not in made.headers


async def test_a_bug_is_replayed_as_what_it_was(
    app: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    async def broken(*_: object, **__: object) -> None:
        calls.append(1)
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr("service.document_stores.service.create", broken)
    key = fresh()
    first = await client.post(STORE, json={"name": "A"}, headers=key)
    again = await client.post(STORE, json={"name": "A"}, headers=key)
    assert (error(first), error(again)) == ((500, "internal"), (500, "internal"))
    assert again.content == first.content
    assert len(calls) == 1


async def test_a_form_is_the_same_with_another_boundary(talk: Talk, worker: Runner) -> None:
    store = await talk.store()
    key = fresh()
    big = "".join(passages(f"Topic{number}") for number in range(3000))  # more than is held in memory
    assert len(big) > 1024 * 1024

    async def send(name: str, *, boundary: str, **data: str) -> httpx.Response:
        headers = {**key, "Content-Type": f"multipart/form-data; boundary={boundary}"}
        files = [part((name, "Small.")), part(("big.txt", big))]
        return await talk.client.post(f"{API}/upsert/{store}", files=files, data=data, headers=headers, timeout=120)

    splitter = json.dumps({"name": "recursiveCharacterTextSplitter", "config": {"chunkSize": 100_000}})
    first = await send("a.txt", boundary="one", splitter=splitter)
    again = await send("a.txt", boundary="two--two", splitter=splitter)
    assert first.status_code == 200, first.text
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"
    for other in (await send("b.txt", boundary="3", splitter=splitter), await send("a.txt", boundary="4")):
        assert error(other) == (422, "idempotency_key_reused")
    assert len(await talk.rows("SELECT id FROM jobs WHERE kind = 'ingest'")) == 1
    await talk.holds_together()


async def test_an_accepted_job_is_replayed_with_its_location(talk: Talk) -> None:
    store, key = await talk.store(), fresh()
    headers = {**key, "Prefer": "respond-async"}
    first = await talk.send(store, ("a.txt", "Alpha."), headers=headers)
    again = await talk.send(store, ("a.txt", "Alpha."), headers=headers)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Preference-Applied"] == "respond-async"
    assert len(await talk.rows("SELECT id FROM jobs")) == 1


async def test_while_the_first_runs_the_others_are_told_to_wait(talk: Talk, resources: Resources) -> None:
    store, key = await talk.store(), fresh()
    first = asyncio.create_task(talk.send(store, ("a.txt", "Alpha."), headers=key))
    while not await talk.rows("SELECT id FROM jobs"):  # noqa: ASYNC110 - as clients do
        await asyncio.sleep(0.01)
    waiting = await talk.send(store, ("a.txt", "Alpha."), headers=key)
    assert error(waiting) == (409, "idempotency_key_in_use")
    assert waiting.headers["Retry-After"] == "1"
    assert error(await talk.send(store, ("a.txt", "Beta."), headers=key)) == (422, "idempotency_key_reused")
    stop = asyncio.Event()
    running = asyncio.create_task(Runner(resources).run(stop))
    answer = await first
    assert answer.status_code == 200
    assert (await talk.send(store, ("a.txt", "Alpha."), headers=key)).content == answer.content
    stop.set()
    await running


async def test_a_key_is_fresh_after_its_time_and_swept_out(talk: Talk, client: httpx.AsyncClient) -> None:
    key, body = fresh(), {"name": "Daily"}
    first = await client.post(STORE, json=body, headers=key)
    kept = await talk.rows("SELECT extract(epoch FROM expires_at - created_at) / 3600 AS hours FROM idempotency_keys")
    assert [round(row["hours"], 3) for row in kept] == [24]
    await talk.rows("UPDATE idempotency_keys SET expires_at = now() - interval '1 second' RETURNING key")
    other = await client.post(STORE, json={"name": "Another day"}, headers=key)
    assert other.status_code == 200
    assert other.json()["id"] != first.json()["id"]
    assert await idempotency.forget_expired(talk.resources) == 0
    await talk.rows("UPDATE idempotency_keys SET expires_at = now() - interval '1 second' RETURNING key")
    assert await idempotency.forget_expired(talk.resources) == 1
    assert await talk.rows("SELECT key FROM idempotency_keys") == []


async def test_an_answer_that_is_too_large_is_not_kept_but_its_execution_is(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.http.idempotency.MAX_BODY", 10)
    key = fresh()
    first = await talk.client.post(STORE, json={"name": "A"}, headers=key)
    assert first.status_code == 200
    again = await talk.client.post(STORE, json={"name": "A"}, headers=key)
    assert error(again) == (409, "idempotency_answer_not_kept")
    assert "200" in again.json()["message"]
    assert str(MAX_BODY) in again.json()["message"]
    assert await stores(talk.client) == 1


async def test_the_lease_is_renewed_while_the_request_runs(
    talk: Talk, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.idempotency.service.RENEW_SECONDS", 0.05)
    store, key = await talk.store(), fresh()
    first = asyncio.create_task(talk.send(store, ("a.txt", "Alpha."), headers=key))
    while not await talk.rows("SELECT id FROM jobs"):  # noqa: ASYNC110 - as clients do
        await asyncio.sleep(0.01)
    await talk.rows("UPDATE idempotency_keys SET leased_until = now() - interval '1 second' RETURNING key")
    while not await talk.rows("SELECT key FROM idempotency_keys WHERE leased_until > now()"):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert (await talk.send(store, ("a.txt", "Alpha."), headers=key)).status_code == 409
    job = (await talk.rows("SELECT id FROM jobs"))[0]["id"]
    await talk.client.delete(f"/api/v1/jobs/{job}")
    assert (await first).status_code == 409
    assert (await talk.send(store, ("a.txt", "Alpha."), headers=key)).headers["Idempotent-Replayed"] == "true"


@contextmanager
def served(settings: Settings, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """An API process of its own on the same database, and its URL."""
    with held_ports(1) as (port,), serving(settings, log, port) as process:
        yield process, f"http://127.0.0.1:{port}"


@contextmanager
def serving(settings: Settings, log: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The process; killed in the end."""
    assert settings.database_url is not None
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RAGSTONE_")} | {
        "RAGSTONE_DATABASE_URL": settings.database_url.get_secret_value(),
        "RAGSTONE_DATA": str(settings.data),
        "RAGSTONE_PORT": str(port),
    }
    with log.open("wb") as output:
        command = [sys.executable, "-m", "service.cli", "serve"]
        process = subprocess.Popen(command, env=environ, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def answers(client: httpx.AsyncClient) -> None:
    """Wait until a process that starts answers."""
    async with asyncio.timeout(60):
        while True:
            try:
                await client.get("/healthz")
                return
            except httpx.TransportError:
                await asyncio.sleep(0.05)


async def test_after_a_crash_the_request_is_executed_once_more(
    talk: Talk, resources: Resources, settings: Settings, key: str, tmp_path: Path
) -> None:
    """kill -9 of a process that executes a request: its key is free when its lease has run out."""
    store, mine = await talk.store(), fresh()
    file = ("a.txt", passages("Alpha"))
    with served(settings, tmp_path / "serve.log") as (process, url):
        async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as other:
            await answers(other)
            lost = asyncio.create_task(Talk(other, resources, talk.workspace).send(store, file, headers=mine))
            while not await talk.rows("SELECT id FROM jobs"):  # noqa: ASYNC110 - as clients do
                await asyncio.sleep(0.01)
            process.kill()
            with pytest.raises(httpx.TransportError):
                await lost
    assert error(await talk.send(store, file, headers=mine)) == (409, "idempotency_key_in_use")
    await talk.rows("UPDATE idempotency_keys SET leased_until = now() - interval '1 second' RETURNING key")
    assert error(await talk.send(store, ("a.txt", "Beta"), headers=mine)) == (422, "idempotency_key_reused")
    stop = asyncio.Event()
    running = asyncio.create_task(Runner(resources).run(stop))
    done = await talk.send(store, file, headers=mine)
    assert done.status_code == 200, done.text
    assert (await talk.send(store, file, headers=mine)).content == done.content
    assert len(await talk.rows("SELECT id FROM jobs WHERE kind = 'ingest'")) == 2
    assert len(await talk.texts(store)) == 1
    await talk.holds_together()
    stop.set()
    await running
