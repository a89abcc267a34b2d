"""Following a job: events as it gets further, the last one named by how it ended."""

import asyncio
import json
from typing import Any
from uuid import UUID

import httpx
import pytest

from service.api_keys import service as api_keys
from service.jobs import watch
from service.settings import Settings
from service.worker.runner import Runner
from tests.service.document_stores.talk import Talk, passages
from tests.service.predictions.live import Live

MANY = [f"Topic{number}" for number in range(300)]


def events(text: str) -> list[tuple[str, dict[str, Any]]]:
    """The events of a stream; comments are left out."""
    found = []
    for frame in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in frame.splitlines() if not line.startswith(":"))
        if fields:
            assert set(fields) == {"id", "event", "data"}
            found.append((fields["event"], json.loads(fields["data"])))
    return found


async def test_progress_comes_as_events_until_the_end(talk: Talk, worker: Runner) -> None:
    store = await talk.store()
    job = await talk.start(store, ("a.txt", passages(*MANY)))
    response = await talk.client.get(f"{job}/events", timeout=60)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert (response.headers["cache-control"], response.headers["x-accel-buffering"]) == ("no-cache", "no")
    found = events(response.text)
    assert {name for name, _ in found[:-1]} <= {"progress"}
    name, last = found[-1]
    assert (name, last["state"], last["done"], last["result"]["numAdded"]) == ("done", "done", 300, 300)
    assert last == (await talk.client.get(job)).json()
    done = [status["done"] for _, status in found]
    assert done == sorted(done)
    assert all({"stage", "done", "total", "rate", "etaSeconds"} <= set(status) for _, status in found)


async def test_who_comes_late_or_again_gets_the_end_at_once(talk: Talk) -> None:
    store = await talk.store()
    job = await talk.start(store, ("a.txt", "Alpha."))
    await talk.client.delete(job)
    for headers in ({}, {"Last-Event-ID": "17"}, {"Last-Event-ID": "nonsense"}):
        found = events((await talk.client.get(f"{job}/events", headers=headers)).text)
        assert [(name, status["error"]["code"]) for name, status in found] == [("cancelled", "cancelled")]


async def test_changes_of_state_are_events_and_silence_is_a_comment(
    talk: Talk, settings: Settings, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a socket, as only there a stream comes in pieces; followers of one job are woken by signals."""
    monkeypatch.setattr(watch, "FOLLOW_SECONDS", 0.3)
    store = await talk.store()
    job = await talk.start(store, ("a.txt", "Alpha."))
    with Live(settings) as live:
        async with httpx.AsyncClient(base_url=live.url, headers={"Authorization": f"Bearer {key}"}) as client:
            async with client.stream("GET", f"{job}/events", timeout=30) as response:
                seen: list[str] = []
                async for line in response.aiter_lines():
                    if line.startswith(":") and "paused" not in seen:
                        await talk.client.post(f"{job}/pause")
                    elif line.startswith("data: "):
                        seen.append(json.loads(line.removeprefix("data: "))["state"])
                        if seen[-1] == "paused":
                            await talk.client.post(f"{job}/resume")
                            await asyncio.sleep(0.5)
                            await talk.client.delete(job)
            assert seen[:2] == ["queued", "paused"]
            assert seen[-1] == "cancelled"


async def test_a_key_that_is_ended_follows_no_more(talk: Talk, settings: Settings) -> None:
    made, secret = await api_keys.create(talk.resources.database, talk.workspace, "follower")
    job = await talk.start(await talk.store(), ("a.txt", "Alpha."))
    headers = {"Authorization": f"Bearer {secret}"}
    with Live(settings) as live:
        client = httpx.AsyncClient(base_url=live.url, headers=headers)
        async with client, client.stream("GET", f"{job}/events", timeout=30) as response, asyncio.timeout(5):
            lines = response.aiter_lines()
            assert (await anext(lines)).startswith("id: ")
            await api_keys.revoke(talk.resources.database, talk.workspace, made.id)
            rest = [line async for line in lines]
    assert sum(line.startswith("event: ") for line in rest) == 1, "nothing but what was sent before"
    assert live.resources.holders._reading == {}


async def test_a_follower_that_leaves_is_forgotten(talk: Talk, settings: Settings, key: str) -> None:
    store = await talk.store()
    job = await talk.start(store, ("a.txt", "Alpha."))
    with Live(settings) as live:
        async with httpx.AsyncClient(base_url=live.url, headers={"Authorization": f"Bearer {key}"}) as client:
            async with client.stream("GET", f"{job}/events", timeout=30) as response:
                async for _ in response.aiter_lines():
                    break
            async with asyncio.timeout(10):
                while live.resources.watch._following:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)


async def test_a_call_may_wait_for_the_end(talk: Talk, worker: Runner) -> None:
    store = await talk.store()
    job = await talk.start(store, ("a.txt", passages("Alpha")))
    assert (await talk.client.get(f"{job}?wait=30", timeout=60)).json()["state"] == "done"
    for wrong in ("-1", "61", "soon"):
        refused = await talk.client.get(f"{job}?wait={wrong}")
        assert (refused.status_code, "wait" in refused.json()["message"]) == (422, True)


async def test_waiting_ends_after_its_time(talk: Talk) -> None:
    store = await talk.store()
    job = await talk.start(store, ("a.txt", "Alpha."))
    assert (await talk.client.get(f"{job}?wait=0.2")).json()["state"] == "queued"


async def test_jobs_of_another_workspace_cannot_be_followed(talk: Talk, foreign: httpx.AsyncClient) -> None:
    store = await talk.store()
    job = await talk.start(store, ("a.txt", "Alpha."))
    assert (await foreign.get(f"{job}/events")).status_code == 404


async def test_a_workspace_holds_so_many_streams_and_no_more(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "MOST_FOLLOWERS", 2)
    job = await talk.start(await talk.store(), ("a.txt", "Offices close at 18:00."))
    jobs, number = talk.resources.watch, UUID(job.rsplit("/", 1)[1])
    streams = [(await jobs.follow(talk.workspace, number)).states() for _ in range(2)]
    for stream in streams:
        assert await anext(stream) is not None
    refused = await talk.client.get(f"{job}/events")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
    assert refused.json()["message"].startswith("job_streams: ")
    for stream in streams:
        await stream.aclose()
    free = (await jobs.follow(talk.workspace, number)).states()
    assert await anext(free) is not None
    await free.aclose()
