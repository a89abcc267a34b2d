"""Jobs that are paused, resumed, cancelled and retried keep what they did, and nothing waits for nobody."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import httpx
import pytest

from service.jobs import service as jobs
from service.jobs.types import JobState
from service.providers.embedding.fake import FakeEmbedder
from service.resources import Resources
from service.worker.housekeeping import keep_house
from service.worker.runner import Runner
from tests.service.document_stores.talk import Talk, passages
from tests.service.document_stores.test_races import Gate

MANY = [f"Topic{number}" for number in range(200)]


@pytest.fixture
def gate(embedder: FakeEmbedder, monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(embedder, monkeypatch)


@asynccontextmanager
async def working(resources: Resources) -> AsyncIterator[Runner]:
    stop = asyncio.Event()
    runner = Runner(resources, alone=True)
    task = asyncio.create_task(runner.run(stop))
    yield runner
    stop.set()
    await task


async def state(talk: Talk, job: str) -> str:
    return str((await talk.client.get(job)).json()["state"])


async def ask(talk: Talk, job: str, verb: str) -> httpx.Response:
    return await talk.client.post(f"{job}/{verb}")


async def test_a_running_job_that_is_paused_keeps_what_it_did_and_goes_on_there(
    talk: Talk, gate: Gate, embedder: FakeEmbedder
) -> None:
    async with working(talk.resources):
        store = await talk.store()
        gate.free = 2
        job = await talk.start(store, ("a.txt", passages(*MANY)))
        await gate.waiting.wait()
        async with asyncio.timeout(30):
            while (await talk.client.get(job)).json()["done"] < 64:  # noqa: ASYNC110 - as clients do
                await asyncio.sleep(0.02)
        paused = (await ask(talk, job, "pause")).json()
        assert paused["state"] == "paused"
        assert paused["finishedDate"] is None
        done = paused["done"]
        assert done >= 64
        gate.open.set()
        await asyncio.sleep(0.3)
        assert (await talk.client.get(job)).json()["done"] == done
        assert (await ask(talk, job, "pause")).json()["state"] == "paused"
        assert (await talk.client.get("/api/v1/jobs?state=paused")).json()[0]["url"] == job
        assert [document["state"] for document in await talk.documents(store)] == ["pending"]
        assert (await talk.read(store))["status"] == "UPSERTING"
        assert (await ask(talk, job, "resume")).json()["state"] in ("queued", "running")
        ended = await talk.end(job)
        assert (ended["state"], ended["result"]["numAdded"]) == ("done", 200)
        await talk.holds_together()
        assert (await talk.chunks(store))["count"] == 200


async def test_a_queued_job_that_is_paused_does_not_start_until_it_is_resumed(talk: Talk) -> None:
    store = await talk.store()
    job = await talk.start(store, ("a.txt", "Alpha."))
    await ask(talk, job, "pause")
    async with working(talk.resources) as runner:
        other = await talk.start(store, ("b.txt", "Beta."))
        assert (await talk.end(other))["state"] == "done"
        assert await state(talk, job) == "paused"
        await talk.rows("UPDATE jobs SET updated_at = now() - interval '1 day' WHERE state = 'paused' RETURNING id")
        assert await runner._queue_forgotten() == 0
        await ask(talk, job, "resume")
        ended = await talk.end(job)
        assert (ended["state"], ended["attempts"]) == ("done", 1)
        await talk.holds_together()


async def test_pauses_are_no_starts_in_vain_and_no_time_at_work(talk: Talk) -> None:
    store = await talk.store()
    job = await talk.start(store, ("a.txt", "Alpha."))
    await talk.rows(
        "UPDATE jobs SET state = 'paused', idle_starts = 5, attempts = 5, done = 10, total = 20,"
        " started_at = now() - interval '110 seconds', paused_at = now() - interval '100 seconds' RETURNING id"
    )
    assert (await talk.client.get(job)).json()["rate"] == pytest.approx(1.0, rel=0.1)
    await ask(talk, job, "resume")
    row = (await talk.rows("SELECT idle_starts, paused_seconds, paused_at FROM jobs"))[0]
    assert (row["idle_starts"], round(row["paused_seconds"]), row["paused_at"]) == (0, 100, None)
    assert (await talk.client.get(job)).json()["rate"] == pytest.approx(1.0, rel=0.1)


async def test_a_paused_job_can_be_cancelled_and_leaves_nothing(talk: Talk, gate: Gate) -> None:
    async with working(talk.resources):
        store = await talk.store()
        gate.free = 2
        job = await talk.start(store, ("a.txt", passages(*MANY)))
        await gate.waiting.wait()
        async with asyncio.timeout(30):
            while not await talk.rows("SELECT 1 AS one FROM chunks WHERE NOT live"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await ask(talk, job, "pause")
        gate.open.set()
        await asyncio.sleep(0.3)
        cancelled = (await talk.client.delete(job)).json()
        assert (cancelled["state"], cancelled["error"]["code"]) == ("cancelled", "cancelled")
        assert [document["errorCode"] for document in await talk.documents(store)] == ["cancelled"]
        await talk.holds_together()
        assert (await talk.chunks(store))["count"] == 0


async def test_documents_of_a_cancelled_job_say_so_at_once_without_any_worker(talk: Talk) -> None:
    store = await talk.store()
    job = await talk.start(store, ("a.txt", "Alpha."), ("b.txt", "Beta."))
    await talk.client.delete(job)
    found = [(document["state"], document["errorCode"]) for document in await talk.documents(store)]
    assert found == [("failed", "cancelled")] * 2


async def test_verbs_for_jobs_that_have_ended_are_refused(talk: Talk) -> None:
    store = await talk.store()
    job = await talk.start(store, ("a.txt", "Alpha."))
    assert (await ask(talk, job, "retry")).status_code == 409
    await talk.client.delete(job)
    for verb in ("pause", "resume"):
        refused = await ask(talk, job, verb)
        assert (refused.status_code, "cancelled" in refused.json()["message"]) == (409, True)
    assert await state(talk, job) == "cancelled"
    missing = f"/api/v1/jobs/{uuid4()}"
    assert [(await ask(talk, missing, verb)).status_code for verb in ("pause", "resume", "retry")] == [404] * 3


async def test_retry_takes_the_documents_that_failed_and_no_others(
    talk: Talk, embedder: FakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with working(talk.resources):
        store = await talk.store()
        limits = talk.resources.settings.__dict__
        object.__setattr__(talk.resources.settings, "__dict__", {**limits, "max_chunk_text": 1000})
        job = await talk.start(store, ("good.txt", passages("Alpha")), ("bad.txt", "x" * 2000), splitter={
            "name": "recursiveCharacterTextSplitter", "config": {"chunkSize": 5000, "chunkOverlap": 0}})  # fmt: skip
        ended = await talk.end(job)
        assert (ended["state"], [item["name"] for item in ended["result"]["failed"]]) == ("done", ["bad.txt"])
        object.__setattr__(talk.resources.settings, "__dict__", limits)
        embedder.calls.clear()
        again = await ask(talk, job, "retry")
        assert again.status_code == 202
        assert again.headers["Location"] == again.json()["url"] != job
        ended = await talk.end(again.json()["url"])
        assert (ended["state"], ended["result"]["numAdded"], ended["result"]["documents"]) == ("done", 1, 1)
        assert [len(texts) for texts in embedder.calls] == [1]
        assert {document["name"]: document["state"] for document in await talk.documents(store)} == {
            "good.txt": "ready", "bad.txt": "ready"
        }  # fmt: skip
        nothing = await ask(talk, job, "retry")
        assert (nothing.status_code, nothing.json()["code"]) == (409, "nothing_to_retry")
        await talk.holds_together()


async def test_retry_of_a_cancelled_job_does_its_documents_from_their_uploads(talk: Talk) -> None:
    store = await talk.store()
    job = await talk.start(store, ("a.txt", passages("Alpha")), ("b.txt", passages("Beta")))
    await talk.client.delete(job)
    async with working(talk.resources):
        replaced = await talk.upsert(store, ("b.txt", passages("Gamma")))
        assert replaced["numAdded"] == 1
        ended = await talk.end((await ask(talk, job, "retry")).json()["url"])
        assert (ended["state"], ended["result"]["numAdded"]) == ("done", 1)
        assert sorted(text.split()[0] for text in await talk.texts(store)) == ["Alpha", "Gamma"]
        await talk.holds_together()


async def test_retry_of_a_failed_replacement_replaces(talk: Talk) -> None:
    store = await talk.store()
    async with working(talk.resources):
        first = await talk.upsert(store, ("a.txt", passages("Alpha")), ("b.txt", passages("Beta")), ("empty.txt", " "))
        await talk.upsert(store, ("beside.txt", passages("Beside")))
    job = await talk.start(store, ("c.txt", passages("Gamma")), docId=first["docId"], replaceExisting="true")
    await talk.client.delete(job)
    assert {document["name"]: document["state"] for document in await talk.documents(store)} == {
        "a.txt": "ready", "b.txt": "ready", "empty.txt": "failed", "c.txt": "failed", "beside.txt": "ready"
    }  # fmt: skip
    async with working(talk.resources):
        await talk.upsert(store, ("b.txt", passages("Beta", "Delta")))  # wanted again meanwhile
        again = (await ask(talk, job, "retry")).json()["url"]
        ended = await talk.end(again)
        assert (ended["state"], ended["result"]["numAdded"], ended["result"]["numDeleted"]) == ("done", 1, 1)
        assert ended["result"]["failed"] == []
        names = [document["name"] for document in await talk.documents(store)]
        assert sorted(names) == ["b.txt", "beside.txt", "c.txt"]
        assert sorted(text.split()[0] for text in await talk.texts(store)) == ["Beside", "Beta", "Delta", "Gamma"]
        for ended_job in (job, again):
            assert (await ask(talk, ended_job, "retry")).json()["code"] == "nothing_to_retry"
        await talk.holds_together()


async def test_a_retry_only_removes_where_nothing_else_is_left(talk: Talk, gate: Gate) -> None:
    store = await talk.store()
    manager = {"name": "postgresRecordManager", "config": {"cleanup": "full", "namespace": "n"}}
    gate.open.set()
    async with working(talk.resources):
        await talk.upsert(store, ("a.txt", passages("Alpha")), recordManager=manager)
        elsewhere = {**manager, "config": {"cleanup": "none", "namespace": "other"}}
        await talk.upsert(store, ("d.txt", passages("Delta")), recordManager=elsewhere)
    # a job that is cancelled between its last document and its end
    held = await talk.start(store, ("e.txt", passages("Epsilon")), recordManager=manager)
    await talk.rows("UPDATE documents SET state = 'ready', digest = NULL WHERE name = 'e.txt' RETURNING id")
    await talk.client.delete(held)
    async with working(talk.resources):
        ended = await talk.end((await ask(talk, held, "retry")).json()["url"])
        assert (ended["state"], ended["result"]["numDeleted"]) == ("done", 1)
        assert sorted(text.split()[0] for text in await talk.texts(store)) == ["Delta"]


async def test_a_job_that_is_put_on_the_queue_again_keeps_its_lock(
    talk: Talk, resources: Resources, workspace: UUID
) -> None:
    queued = "SELECT lock FROM procrastinate_jobs WHERE args ->> 'job_id' = %s"
    async with resources.database.write(workspace) as scope:
        payload = {"storeId": str(uuid4()), "docIds": [], "blobs": []}
        job = await jobs.submit(scope, resources.queue, "ingest", payload=payload, lock="fetch:1")
    await jobs.pause(resources.database, workspace, job.id)
    async with working(resources), asyncio.timeout(30):
        while await talk.rows(queued, str(job.id)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await jobs.resume(resources.database, resources.queue, workspace, job.id)
    assert await talk.rows(queued, str(job.id)) == [{"lock": "fetch:1"}]
    lose = "DELETE FROM procrastinate_jobs WHERE args ->> 'job_id' = %s RETURNING id"
    await talk.rows(lose, str(job.id))
    await talk.rows("UPDATE jobs SET updated_at = now() - interval '1 hour' WHERE id = %s RETURNING id", job.id)
    runner = Runner(resources)
    await runner._queue.open()
    assert await runner._queue_forgotten() == 1
    assert await talk.rows(queued, str(job.id)) == [{"lock": "fetch:1"}]


async def test_a_job_without_parts_is_retried_as_a_whole(talk: Talk, resources: Resources, workspace: UUID) -> None:
    async with resources.database.write(workspace) as scope:
        job = await jobs.submit(scope, resources.queue, "purge_store", payload={"storeId": str(uuid4())})
    await jobs.cancel(resources.database, resources.queue, workspace, job.id)
    again = await jobs.retry(resources.database, resources.queue, workspace, job.id)
    assert (again.kind, again.payload, again.state) == ("purge_store", job.payload, JobState.QUEUED)


async def test_a_retry_under_an_idempotency_key_is_one_job(talk: Talk) -> None:
    store = await talk.store()
    job = await talk.start(store, ("a.txt", "Alpha."))
    await talk.client.delete(job)
    headers = {"Idempotency-Key": "again"}
    first = await talk.client.post(f"{job}/retry", headers=headers)
    second = await talk.client.post(f"{job}/retry", headers=headers)
    assert (first.status_code, first.headers["Location"]) == (202, second.headers["Location"])
    assert len(await talk.rows("SELECT id FROM jobs")) == 2


async def test_jobs_are_forgotten_after_their_time_and_documents_keep_their_reason(talk: Talk) -> None:
    store = await talk.store()
    old, young = await talk.start(store, ("a.txt", "Alpha.")), await talk.start(store, ("b.txt", "Beta."))
    for job in (old, young):
        await talk.client.delete(job)
    await talk.rows(
        "UPDATE jobs SET finished_at = now() - interval '31 days' WHERE id = %s RETURNING id", UUID(old.split("/")[-1])
    )
    await keep_house(talk.resources)
    assert (await talk.client.get(old)).status_code == 404
    assert (await talk.client.get(young)).status_code == 200
    assert [document["errorCode"] for document in await talk.documents(store)] == ["cancelled"] * 2


async def test_steering_needs_the_permission_to_upsert(talk: Talk, limited: httpx.AsyncClient) -> None:
    store = await talk.store()
    job = await talk.start(store, ("a.txt", "Alpha."))
    assert [(await limited.post(f"{job}/{verb}")).status_code for verb in ("pause", "resume", "retry")] == [403] * 3
    assert (await limited.get(job)).status_code == 200


@pytest.mark.parametrize("seed", range(3))
async def test_pauses_and_cancels_at_any_moment_lose_and_double_nothing(talk: Talk, seed: int) -> None:
    async with working(talk.resources):
        store = await talk.store()
        job = await talk.start(store, ("a.txt", passages(*MANY, f"Seed{seed}")), ("b.txt", passages(*MANY)))
        for number in range(4):
            await asyncio.sleep(0.02 * (seed + number))
            await ask(talk, job, "pause")
            await ask(talk, job, "resume")
        ended = await talk.end(job, seconds=90)
        assert (ended["state"], ended["result"]["numAdded"]) == ("done", 401), ended
        await talk.holds_together()
