"""Runs that are due, missed, under way, killed; by a clock that the test holds."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from service.document_stores import records
from service.resources import Resources
from service.sync import service
from service.worker.runner import Runner
from service.worker.schedules import queue_due
from tests.locks import held_up
from tests.service.document_stores.talk import API, passages
from tests.service.sync.keeper import Keeper
from tests.service.sync.test_folders import write

LATER = datetime(2100, 1, 1, 12, tzinfo=UTC)
"""Far from every clock's now, so that what is queued is queued by this clock."""


async def due_at(keeper: Keeper, source: str) -> datetime:
    rows = await keeper.talk.rows("SELECT next_run_at FROM sync_sources WHERE id = %s", UUID(source))
    found: datetime = rows[0]["next_run_at"]
    return found


async def put_due(keeper: Keeper, source: str, moment: datetime | None) -> None:
    await keeper.talk.rows("UPDATE sync_sources SET next_run_at = %s WHERE id = %s RETURNING id", moment, UUID(source))


async def jobs_of(keeper: Keeper) -> list[UUID]:
    return [row["id"] for row in await keeper.talk.rows("SELECT id FROM jobs WHERE kind = 'sync' ORDER BY created_at")]


async def test_an_interval_begins_at_once_and_a_cron_expression_waits(keeper: Keeper, wiki: Path) -> None:
    at_once = await keeper.folder(wiki, schedule={"every": "6h"})
    (wiki / "deep").mkdir()
    waits = await keeper.folder(wiki / "deep", schedule={"cron": "0 3 * * *", "timezone": "Europe/Berlin"})
    assert await due_at(keeper, at_once) <= datetime.now(UTC)
    assert await due_at(keeper, waits) > datetime.now(UTC)
    shown = await keeper.read(waits)
    assert shown["schedule"] == {"cron": "0 3 * * *", "timezone": "Europe/Berlin", "every": None}
    assert (await keeper.read(at_once))["schedule"] == {"cron": None, "timezone": None, "every": "6h"}


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_who_changes_a_source_and_who_deletes_its_loader_lock_in_one_order(
    keeper: Keeper, wiki: Path, resources: Resources, method: str
) -> None:
    source, other = await keeper.folder(wiki), keeper.talk.client
    body = {"deleteMissing": True} if method == "PUT" else None
    async with resources.database.transaction() as connection:  # as who deletes the loader
        await connection.execute("SELECT 1 FROM document_stores FOR NO KEY UPDATE")
        await connection.execute("SELECT 1 FROM loaders FOR UPDATE")
        changed = asyncio.create_task(other.request(method, f"{API}/sources/{source}", json=body))
        await held_up(resources.database, changed)
        await connection.execute("SELECT 1 FROM sync_sources FOR UPDATE NOWAIT")
    assert (await changed).status_code == 200


async def test_a_schedule_missed_many_times_runs_once(keeper: Keeper, wiki: Path, resources: Resources) -> None:
    source = await keeper.folder(wiki, schedule={"every": "6h"})
    begun = LATER - timedelta(days=30)
    await put_due(keeper, source, begun)
    assert await service.queue_due(resources, LATER) == 1
    assert await service.queue_due(resources, LATER) == 0
    following = await due_at(keeper, source)
    assert LATER < following <= LATER + timedelta(hours=6)
    assert (following - begun) % timedelta(hours=6) == timedelta(0)
    assert len(await jobs_of(keeper)) == 1


async def test_a_run_under_way_is_never_doubled(keeper: Keeper, wiki: Path, resources: Resources) -> None:
    source = await keeper.folder(wiki, schedule={"every": "1m"})
    await put_due(keeper, source, LATER)
    assert await service.queue_due(resources, LATER) == 1
    assert await service.queue_due(resources, LATER + timedelta(minutes=2)) == 0  # it waits for its next time
    assert await due_at(keeper, source) == LATER + timedelta(minutes=3)
    run = await keeper.talk.client.post(f"{API}/sources/{source}/run")
    assert UUID(run.json()["id"]) == (await jobs_of(keeper))[0]
    forced = await keeper.talk.client.post(f"{API}/sources/{source}/run", json={"force": True})
    assert (forced.status_code, forced.json()["code"]) == (409, "conflict")
    assert len(await jobs_of(keeper)) == 1


async def test_any_number_of_workers_queue_each_run_once(keeper: Keeper, wiki: Path, resources: Resources) -> None:
    for number in range(8):
        (wiki / str(number)).mkdir()
        await put_due(keeper, await keeper.folder(wiki / str(number), schedule={"every": "1h"}), LATER)
    queued = await asyncio.gather(*(service.queue_due(resources, LATER) for _ in range(4)))
    assert sum(queued) == 8
    assert len(await jobs_of(keeper)) == 8


async def test_a_clock_that_is_set_back_gives_a_new_time_and_no_run(
    keeper: Keeper, wiki: Path, resources: Resources
) -> None:
    source = await keeper.folder(wiki, schedule={"every": "1h"})
    await put_due(keeper, source, LATER)
    assert await service.queue_due(resources, LATER) == 1
    yesterday = LATER - timedelta(days=1)
    assert await service.queue_due(resources, yesterday) == 0
    assert await due_at(keeper, source) == yesterday + timedelta(hours=1)
    assert await service.queue_due(resources, yesterday) == 0
    assert len(await jobs_of(keeper)) == 1


async def test_nothing_is_due_that_is_switched_off_or_without_a_schedule(
    keeper: Keeper, wiki: Path, resources: Resources
) -> None:
    off = await keeper.folder(wiki, schedule={"every": "1h"}, enabled=False)
    (wiki / "deep").mkdir()
    plain = await keeper.folder(wiki / "deep")
    assert await service.queue_due(resources, LATER) == 0
    assert (await keeper.read(off))["nextRunDate"] is None
    assert (await keeper.read(plain))["schedule"] is None
    on = await keeper.talk.client.put(f"{API}/sources/{off}", json={"enabled": True})
    assert on.json()["nextRunDate"] is not None
    assert await service.queue_due(resources, LATER) == 1
    bare = await keeper.talk.client.put(f"{API}/sources/{off}", json={"schedule": None})
    assert (bare.json()["schedule"], bare.json()["nextRunDate"]) == (None, None)


async def test_a_new_schedule_counts_from_now_and_another_change_leaves_it(keeper: Keeper, wiki: Path) -> None:
    source = await keeper.folder(wiki, schedule={"cron": "0 3 * * *"})
    before = await due_at(keeper, source)
    await keeper.talk.client.put(f"{API}/sources/{source}", json={"name": "Another"})
    assert (await due_at(keeper, source), (await keeper.read(source))["name"]) == (before, "Another")
    await keeper.talk.client.put(f"{API}/sources/{source}", json={"schedule": {"cron": "0 4 * * *"}})
    assert (await due_at(keeper, source)).hour == 4


async def test_a_worker_runs_what_is_due(keeper: Keeper, wiki: Path, resources: Resources, worker: Runner) -> None:
    write(wiki / "a.txt", passages("apple"))
    source = await keeper.folder(wiki, schedule={"every": "6h"})
    await queue_due(resources)
    await keeper.talk.settled()
    assert await keeper.names() == ["a.txt"]
    shown = await keeper.read(source)
    assert shown["lastRun"]["state"] == "done"
    assert await due_at(keeper, source) > datetime.now(UTC)


async def test_a_removed_source_cancels_its_run(keeper: Keeper, wiki: Path) -> None:
    source = await keeper.folder(wiki)
    job = (await keeper.talk.client.post(f"{API}/sources/{source}/run")).json()
    assert (await keeper.talk.client.delete(f"{API}/sources/{source}")).status_code == 200
    assert (await keeper.talk.client.get(job["url"])).json()["state"] == "cancelled"


async def test_a_failed_run_can_be_retried_as_a_new_one(
    keeper: Keeper, wiki: Path, resources: Resources, worker: Runner
) -> None:
    source = await keeper.folder(wiki)
    wiki.rmdir()
    job = await keeper.run(source)
    assert job["state"] == "failed"
    write(wiki / "a.txt", passages("apple"))
    again = await keeper.talk.client.post(f"{job['url']}/retry")
    assert again.status_code in (200, 202), again.text
    ended = await keeper.talk.end(again.json()["url"])
    assert (ended["state"], ended["result"]["numAdded"]) == ("done", 1)
    assert (await keeper.read(source))["lastRun"]["id"] == again.json()["id"]


@pytest.mark.usefixtures("worker")
async def test_a_retry_is_as_forced_as_its_run_and_none_where_nothing_failed(keeper: Keeper, wiki: Path) -> None:
    write(wiki / "a.txt", passages("apple"))
    source = await keeper.folder(wiki)
    job = await keeper.run(source)
    refused = await keeper.talk.client.post(f"{job['url']}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "nothing_to_retry")
    (wiki / "a.txt").unlink()
    wiki.rmdir()
    job = await keeper.run(source, force=True)
    assert job["state"] == "failed"
    wiki.mkdir()
    again = await keeper.talk.client.post(f"{job['url']}/retry")
    assert (await keeper.talk.end(again.json()["url"]))["result"]["left"] == 1
    write(wiki / "empty.txt", "")
    job = await keeper.run(source)
    assert (job["state"], len(job["result"]["failed"])) == ("done", 1)
    assert (await keeper.talk.client.post(f"{job['url']}/retry")).status_code == 202
    await keeper.talk.holds_together()


async def test_a_deleted_loader_takes_its_source_and_its_run_along(keeper: Keeper, wiki: Path) -> None:
    source = await keeper.folder(wiki)
    loader = (await keeper.read(source))["docId"]
    job = (await keeper.talk.client.post(f"{API}/sources/{source}/run")).json()
    gone = await keeper.talk.client.delete(f"{API}/loader/{keeper.store}/{loader}")
    assert gone.status_code == 200, gone.text
    assert (await keeper.talk.client.get(f"{API}/sources/{source}")).status_code == 404
    assert (await keeper.talk.client.get(f"{API}/store/{keeper.store}/sources")).json() == []
    assert (await keeper.talk.client.get(job["url"])).json()["state"] == "cancelled"


async def test_sources_are_for_those_who_may_and_of_one_workspace(
    keeper: Keeper, wiki: Path, foreign: httpx.AsyncClient, limited: httpx.AsyncClient
) -> None:
    source = await keeper.folder(wiki)
    paths = [("GET", f"store/{keeper.store}/sources"), ("POST", f"store/{keeper.store}/sources")]
    paths += [(method, f"sources/{source}") for method in ("GET", "PUT", "DELETE")]
    paths += [("POST", f"sources/{source}/run")]
    body = {"connector": "github", "config": {"repoLink": "owner/name"}}
    for method, path in paths:
        assert (await foreign.request(method, f"{API}/{path}", json=body)).status_code == 404, path
        assert (await limited.request(method, f"{API}/{path}", json=body)).status_code == 403, path
    assert (await keeper.read(source))["lastRun"] is None


async def test_a_source_is_changed_and_shown_without_a_look_at_its_documents(
    keeper: Keeper, wiki: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = await keeper.folder(wiki, enabled=False)

    async def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a loader may hold a hundred thousand documents")

    monkeypatch.setattr(records, "loaders_of", refuse)
    path = f"{API}/sources/{source}"
    changed = await keeper.talk.client.put(path, json={"schedule": {"every": "1d"}})
    assert changed.status_code == 200, changed.text
    assert (await keeper.read(source))["config"]["folderPath"] == str(wiki)
