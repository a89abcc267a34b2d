"""Every limit can be read, and whoever crosses one is told which."""

import asyncio
import json
import os
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.limits.table import LIMITS
from service.resources import Resources
from service.settings import PREFIX, Settings
from service.worker.runner import Runner
from tests.service.document_stores.talk import API, Talk, passages


def limit(resources: Resources, **values: Any) -> None:
    """Give limits of the running application other values."""
    object.__setattr__(resources.settings, "__dict__", {**resources.settings.__dict__, **values})


def refused(response: httpx.Response, status: int, name: str) -> str:
    message: str = response.json()["message"]
    assert (response.status_code, message.split(":")[0]) == (status, name), message
    return message


async def test_any_key_reads_every_limit(client: httpx.AsyncClient, limited: httpx.AsyncClient) -> None:
    rows = (await limited.get("/api/v1/limits")).json()
    assert rows == (await client.get("/api/v1/limits")).json()
    assert [row["name"] for row in rows] == [item.name for item in LIMITS]
    assert len({row["name"] for row in rows}) == len(rows)
    shown = {row["name"]: row for row in rows}
    assert shown["max_upload"] == {
        "name": "max_upload",
        "value": 100 * 1024 * 1024,
        "unit": "bytes",
        "description": "A file",
        "setting": "RAGSTONE_MAX_UPLOAD",
    }
    assert (shown["question"]["value"], shown["question"]["setting"]) == (100_000, None)
    assert all(isinstance(row["value"], (int, float)) and row["description"] for row in rows)


async def test_a_changed_setting_is_shown(client: httpx.AsyncClient, resources: Resources) -> None:
    limit(resources, max_files=7)
    shown = {row["name"]: row["value"] for row in (await client.get("/api/v1/limits")).json()}
    assert shown["max_files"] == 7


def test_every_setting_that_is_a_most_is_listed() -> None:
    named = {item.source for item in LIMITS}
    assert {name for name in Settings.model_fields if name.startswith("max_")} <= named
    assert all(item.fixed or item.source in Settings.model_fields for item in LIMITS)
    assert PREFIX == "RAGSTONE_"


async def test_too_many_files_are_refused_by_name(talk: Talk) -> None:
    store = await talk.store()
    limit(talk.resources, max_files=3)
    files = [(f"{number}.txt", "x") for number in range(4)]
    assert "3" in refused(await talk.send(store, *files), 413, "max_files")
    assert await talk.rows("SELECT id FROM jobs") == []


async def test_a_field_that_is_too_long_is_refused_by_name(talk: Talk) -> None:
    store = await talk.store()
    text = json.dumps({"big": "x" * (16 * 1024 * 1024)})
    refused(await talk.send(store, ("a.txt", "x"), metadata=text), 413, "max_field")


@pytest.mark.usefixtures("worker")
async def test_chunks_that_are_too_long_fail_by_name(talk: Talk) -> None:
    store = await talk.store()
    limit(talk.resources, max_chunk_text=100)
    response = await talk.send(store, ("a.txt", passages("Alpha")))
    assert response.status_code == 422
    assert "max_chunk_text" in response.json()["message"]
    assert [document["errorCode"] for document in await talk.documents(store)] == ["too_large"]
    await talk.holds_together()


async def test_a_full_queue_asks_to_wait_before_anything_is_kept(talk: Talk, foreign: httpx.AsyncClient) -> None:
    store = await talk.store()
    limit(talk.resources, max_queued_jobs=2)
    for number in range(2):
        await talk.start(store, (f"{number}.txt", "x"))
    response = await talk.send(store, ("3.txt", "x"), headers={"Idempotency-Key": "later"})
    refused(response, 429, "max_queued_jobs")
    assert int(response.headers["Retry-After"]) > 0
    text = {"loader": {"name": "plainText", "config": {"text": "x"}}}
    refused(await talk.client.post(f"{API}/upsert/{store}", json=text), 429, "max_queued_jobs")
    assert len(await talk.documents(store)) == 2
    assert [key async for key in talk.resources.blobs.keys()] == [  # noqa: SIM118 - a method of the port
        row["blob"] for row in await talk.rows("SELECT blob FROM documents ORDER BY blob")
    ]
    job = (await talk.rows("SELECT id FROM jobs ORDER BY created_at"))[0]["id"]
    await talk.client.delete(f"/api/v1/jobs/{job}")
    headers = {"Idempotency-Key": "later", "Prefer": "respond-async"}
    assert (await talk.send(store, ("3.txt", "x"), headers=headers)).status_code == 202
    made = (await foreign.post(f"{API}/store", json={"name": "Other"})).json()["id"]
    files = {"files": ("a.txt", b"x")}
    other = await foreign.post(f"{API}/upsert/{made}", files=files, headers={"Prefer": "respond-async"})
    assert other.status_code == 202


async def test_a_full_disk_refuses_uploads_and_keeps_answering(talk: Talk, worker: Runner) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha")))
    limit(talk.resources, min_free_disk=2**60)
    refused(await talk.send(store, ("b.txt", "x")), 507, "min_free_disk")
    text = {"loader": {"name": "plainText", "config": {"text": "x"}}}
    refused(await talk.client.post(f"{API}/upsert/{store}", json=text), 507, "min_free_disk")
    assert len(await talk.query(store, "Alpha")) == 1
    limit(talk.resources, min_free_disk=0)
    await talk.upsert(store, ("b.txt", "Room again."))
    await talk.holds_together()


async def test_a_page_that_is_too_large_is_refused_by_name(client: httpx.AsyncClient, resources: Resources) -> None:
    limit(resources, max_page=5)
    refused(await client.get(f"{API}/store?page=1&limit=6"), 422, "max_page")
    assert (await client.get(f"{API}/store?page=1&limit=5")).status_code == 200
    for number in range(6):
        await client.post(f"{API}/store", json={"name": f"Store {number}"})
    assert len((await client.get(f"{API}/store")).json()) == 5


async def test_the_document_names_the_header_of_every_write(app: FastAPI) -> None:
    for item in app.openapi()["paths"].values():
        for method, operation in item.items():
            names = [parameter["name"] for parameter in operation.get("parameters", ())]
            assert ("Idempotency-Key" in names) == (method in ("post", "put", "patch", "delete")), operation


async def test_many_small_uploads_at_once_are_taken_or_told_to_wait_and_leave_no_descriptors(talk: Talk) -> None:
    store = await talk.store()
    limit(talk.resources, max_queued_jobs=50)

    async def upload(number: int) -> int:
        response = await talk.send(store, (f"{number}.txt", "Small."), headers={"Prefer": "respond-async"})
        return response.status_code

    await asyncio.gather(*(upload(number) for number in range(20)))
    before = len(os.listdir("/proc/self/fd"))
    answers = Counter(await asyncio.gather(*(upload(number) for number in range(20, 220))))
    assert set(answers) <= {202, 429, 503}, answers
    assert answers[429] > 50, answers
    assert len(await talk.documents(store)) == 20 + answers[202]
    assert len([key async for key in talk.resources.blobs.keys()]) == 20 + answers[202]  # noqa: SIM118
    assert len(os.listdir("/proc/self/fd")) <= before + 5


async def test_a_database_that_has_too_much_to_do_asks_to_come_back(talk: Talk) -> None:
    pool = talk.resources.database.pool
    pool.timeout = 0.2
    async with AsyncExitStack() as busy:
        for _ in range(pool.max_size):
            await busy.enter_async_context(talk.resources.database.connection())
        response = await talk.client.get(f"{API}/store")
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert int(response.headers["Retry-After"]) > 0
    assert (await talk.client.get(f"{API}/store")).status_code == 200
