import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from psycopg import OperationalError

from service.errors import Conflict
from service.jobs import service as jobs
from service.jobs.types import FINAL, Job, JobState
from service.resources import Resources
from service.worker import jobs as kinds
from service.worker import runner as running
from service.worker.housekeeping import keep_house
from service.worker.postgres import PostgresQueue, Superseded
from service.worker.runner import Runner
from service.worker.schedules import queue_due
from service.worker.work import Work
from stores.records.database import Scope

Handler = Callable[[Work], Awaitable[Mapping[str, Any]]]

current: dict[str, Handler] = {}
"""What the job kind `test` does now; the table names `handle`, as it names functions by their place."""


async def handle(work: Work) -> Mapping[str, Any]:
    return await current["test"](work)


@pytest.fixture(autouse=True)
def a_kind_of_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(kinds.JOBS, "test", f"{__name__}:handle")
    monkeypatch.setattr(running, "LEASE_SECONDS", 0.05)


@asynccontextmanager
async def at_work(resources: Resources) -> AsyncIterator[Runner]:
    stop = asyncio.Event()
    runner = Runner(resources)
    task = asyncio.create_task(runner.run(stop))
    yield runner
    stop.set()
    await task


async def submit(resources: Resources, workspace: UUID) -> Job:
    async with resources.database.write(workspace) as scope:
        return await jobs.submit(scope, resources.queue, "test", payload={"n": 1})


async def ended(resources: Resources, workspace: UUID, job: Job) -> Job:
    found = await resources.watch.wait(workspace, job.id, 30)
    assert found.state in FINAL
    return found


async def test_a_job_ends_with_what_its_handler_returns(resources: Resources, workspace: UUID) -> None:
    async def work(work: Work) -> Mapping[str, Any]:
        return {"given": work.payload["n"]}

    current["test"] = work
    async with at_work(resources):
        job = await ended(resources, workspace, await submit(resources, workspace))
    assert (job.state, job.result, job.attempts) == (JobState.DONE, {"given": 1}, 1)


async def test_a_mistake_in_a_handler_fails_the_job_without_details(resources: Resources, workspace: UUID) -> None:
    async def work(work: Work) -> Mapping[str, Any]:
        raise ZeroDivisionError("a secret")

    current["test"] = work
    async with at_work(resources):
        job = await ended(resources, workspace, await submit(resources, workspace))
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert (job.error["status"], job.error["code"], "secret" in job.error["message"]) == (500, "internal", False)


async def test_a_job_ends_whose_lease_waits_for_the_connection_that_it_puts_back(
    resources: Resources, workspace: UUID
) -> None:
    pool = resources.database.pool

    async def work(work: Work) -> Mapping[str, Any]:
        async with AsyncExitStack() as held:
            for _ in range(pool.max_size):
                await held.enter_async_context(work.resources.database.connection())
            while not pool.get_stats()["requests_waiting"]:  # noqa: ASYNC110 - the pool has no event for it
                await asyncio.sleep(0.01)
        return {}

    current["test"] = work
    job = await submit(resources, workspace)
    async with asyncio.timeout(30):
        await Runner(resources)._run(str(job.id))
    assert (await ended(resources, workspace, job)).state is JobState.DONE


async def test_a_database_that_is_away_for_a_moment_fails_no_job(
    resources: Resources, workspace: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(work: Work) -> Mapping[str, Any]:
        if work.job.attempts == 1:
            raise OperationalError("the server closed the connection unexpectedly")
        return {}

    current["test"] = work
    monkeypatch.setattr("service.worker.postgres.AGAIN_SECONDS", 0)
    async with at_work(resources):
        job = await submit(resources, workspace)
        async with asyncio.timeout(30):
            while (await jobs.get(resources.database, workspace, job.id)).state not in FINAL:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    found = await jobs.get(resources.database, workspace, job.id)
    assert (found.state, found.attempts) == (JobState.DONE, 2)


async def test_a_job_that_never_gets_further_ends_after_some_starts(resources: Resources, workspace: UUID) -> None:
    async def work(work: Work) -> Mapping[str, Any]:
        raise OperationalError("gone")

    current["test"] = work
    runner, job = Runner(resources), await submit(resources, workspace)
    for _ in range(running.MAX_IDLE_STARTS):
        with pytest.raises(OperationalError):
            await runner._run(str(job.id))
    await runner._run(str(job.id))
    found = await jobs.get(resources.database, workspace, job.id)
    assert (found.state, (found.error or {})["code"]) == (JobState.FAILED, "worker_lost")


async def test_a_job_that_gets_further_may_be_started_often(resources: Resources, workspace: UUID) -> None:
    async def work(work: Work) -> Mapping[str, Any]:
        async with work.resources.database.write(work.job.workspace) as scope:
            await work.note(scope, "counting", work.job.attempts, 20, {"at": work.job.attempts})
        if work.job.attempts < 20:
            raise OperationalError("gone")
        return {"at": 20}

    current["test"] = work
    runner, job = Runner(resources), await submit(resources, workspace)
    for _ in range(19):
        with pytest.raises(OperationalError):
            await runner._run(str(job.id))
    await runner._run(str(job.id))
    found = await jobs.get(resources.database, workspace, job.id)
    assert (found.state, found.attempts, found.done) == (JobState.DONE, 20, 20)


async def test_a_worker_that_was_given_up_writes_nothing_any_more(resources: Resources, workspace: UUID) -> None:
    first = asyncio.Event()
    never, given_up = asyncio.Event(), asyncio.Event()
    wrote: list[int] = []

    async def work(work: Work) -> Mapping[str, Any]:
        if work.job.attempts == 1:
            first.set()
            await never.wait()
        await given_up.wait()
        async with work.resources.database.write(work.job.workspace) as scope:
            await work.note(scope, "writing", work.job.attempts, None)
            wrote.append(work.job.attempts)
        return {"by": work.job.attempts}

    current["test"] = work
    runner, job = Runner(resources), await submit(resources, workspace)
    stalled = asyncio.create_task(runner._run(str(job.id)))
    await first.wait()
    other = asyncio.create_task(Runner(resources)._run(str(job.id)))
    with pytest.raises(Superseded):  # its lease tells it, though its handler still waits
        await stalled
    given_up.set()
    await other
    found = await jobs.get(resources.database, workspace, job.id)
    assert (found.state, found.result, wrote) == (JobState.DONE, {"by": 2}, [2])


async def test_an_attempt_that_was_given_up_neither_prolongs_nor_returns_nor_ends_the_next_one(
    resources: Resources, workspace: UUID
) -> None:
    job = await submit(resources, workspace)
    async with resources.database.connection() as connection:
        first, second = await jobs.begin(connection, job.id), await jobs.begin(connection, job.id)
        assert first is not None
        assert second is not None
        assert not await jobs.renew(connection, first)
        await jobs.release(connection, first)
    async with resources.database.write(workspace) as scope:
        assert not await jobs.note(scope, first, "late", 1, 1)
        assert not await jobs.finish(scope, first, JobState.DONE, result={})
    found = await jobs.get(resources.database, workspace, job.id)
    assert (found.state, found.stage, found.attempts) == (JobState.RUNNING, second.stage, 2)
    async with resources.database.write(workspace) as scope:
        assert await jobs.note(scope, second, "working", 1, 1)
        assert await jobs.finish(scope, second, JobState.DONE, result={})


meanwhile: list[Callable[[Job], Awaitable[object]]] = []
"""What happens while `give_up` goes on."""


async def give_up(scope: Scope, job: Job, _error: Mapping[str, Any]) -> None:
    await scope.run("INSERT INTO instance_facts (name, value) VALUES ('given up', %(job)s)", job=str(job.id))
    for happens in meanwhile:
        await happens(job)


async def given_up(resources: Resources) -> bool:
    async with resources.database.connection() as connection:
        cursor = await connection.execute("SELECT 1 AS one FROM instance_facts WHERE name = 'given up'")
        return await cursor.fetchone() is not None


async def test_an_attempt_that_fails_after_it_was_given_up_gives_up_nothing(
    resources: Resources, workspace: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(work: Work) -> Mapping[str, Any]:
        async with work.resources.database.connection() as connection:
            assert await jobs.begin(connection, work.job.id) is not None  # another worker takes it up
        raise Conflict("late")

    current["test"] = work
    monkeypatch.setitem(kinds.GIVE_UP, "test", f"{__name__}:give_up")
    monkeypatch.setattr(running, "LEASE_SECONDS", 60.0)
    job = await submit(resources, workspace)
    with pytest.raises(Superseded):
        await Runner(resources)._run(str(job.id))
    assert (await jobs.get(resources.database, workspace, job.id)).state is JobState.RUNNING
    assert not await given_up(resources)


async def test_what_waits_for_a_job_is_not_given_up_when_the_job_ends_before_it_is_cancelled(
    resources: Resources, workspace: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def end(job: Job) -> None:
        async with resources.database.write(workspace) as scope:
            assert await jobs.finish(scope, job, JobState.DONE, result={})

    monkeypatch.setitem(kinds.GIVE_UP, "test", f"{__name__}:give_up")
    monkeypatch.setattr(f"{__name__}.meanwhile", [end])
    job = await submit(resources, workspace)
    async with resources.database.connection() as connection:
        assert await jobs.begin(connection, job.id) is not None
    async with resources.database.write(workspace) as scope:
        assert not await jobs.cancel_in(scope, resources.queue, job.id)
    assert (await jobs.get(resources.database, workspace, job.id)).state is JobState.DONE
    assert not await given_up(resources)


async def test_a_running_job_that_is_cancelled_is_stopped_by_its_lease(resources: Resources, workspace: UUID) -> None:
    begun = asyncio.Event()

    async def work(work: Work) -> Mapping[str, Any]:
        begun.set()
        await asyncio.Event().wait()
        return {}

    current["test"] = work
    runner, job = Runner(resources), await submit(resources, workspace)
    task = asyncio.create_task(runner._run(str(job.id)))
    await begun.wait()
    assert (await jobs.cancel(resources.database, resources.queue, workspace, job.id)).state is JobState.CANCELLED
    async with asyncio.timeout(10):
        await task


async def test_a_stopped_worker_gives_its_job_back_and_the_start_with_it(
    resources: Resources, workspace: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()

    async def work(work: Work) -> Mapping[str, Any]:
        begun.set()
        if work.job.attempts == 1:
            await asyncio.Event().wait()
        return {}

    current["test"] = work
    monkeypatch.setattr(running, "GRACE_SECONDS", 0.05)
    job = await submit(resources, workspace)
    async with at_work(resources):
        await begun.wait()
    back = await jobs.get(resources.database, workspace, job.id)
    assert (back.state, back.attempts, back.idle_starts) == (JobState.QUEUED, 1, 0)
    async with at_work(resources):
        assert (await ended(resources, workspace, job)).state is JobState.DONE


async def test_an_open_job_that_the_queue_has_lost_is_queued_again(resources: Resources, workspace: UUID) -> None:
    async def work(work: Work) -> Mapping[str, Any]:
        return {}

    current["test"] = work
    lost, fresh = await submit(resources, workspace), await submit(resources, workspace)
    async with resources.database.connection() as connection:
        await connection.execute("DELETE FROM procrastinate_jobs")
        await connection.execute("UPDATE jobs SET updated_at = now() - interval '1 hour' WHERE id = %s", (lost.id,))
    runner = Runner(resources)
    await runner._queue.open()
    assert await runner._queue_forgotten() == 1
    assert await runner._queue_forgotten() == 0
    async with at_work(resources):
        assert (await ended(resources, workspace, lost)).state is JobState.DONE
    assert (await jobs.get(resources.database, workspace, fresh.id)).state is JobState.QUEUED


async def test_a_job_of_a_worker_without_heartbeat_is_freed_once(resources: Resources, workspace: UUID) -> None:
    await submit(resources, workspace)
    async with resources.database.connection() as connection:
        await connection.execute(
            "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 minute')"
        )
        await connection.execute(
            "UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT max(id) FROM procrastinate_workers)"
        )
    queue = PostgresQueue(resources.database)
    await queue.open()
    assert await queue.free_stalled(120) == 0
    assert await queue.free_stalled(10) == 1
    assert await queue.free_stalled(10) == 0


async def test_a_chore_that_fails_ends_nothing(
    resources: Resources, workspace: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []

    async def chore() -> None:
        runs.append(1)
        if len(runs) == 1:
            raise ZeroDivisionError
        if len(runs) == 2:
            raise OperationalError("away")

    monkeypatch.setattr(running, "STALLED_SECONDS", 0.0)
    task = asyncio.create_task(Runner(resources)._every(0.01, chore))
    async with asyncio.timeout(10):
        while len(runs) < 4:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    task.cancel()


async def test_a_job_of_an_unknown_kind_says_so(resources: Resources, workspace: UUID) -> None:
    async with resources.database.write(workspace) as scope:
        job = await jobs.submit(scope, resources.queue, "juggling")
    await Runner(resources)._run(str(job.id))
    found = await jobs.get(resources.database, workspace, job.id)
    assert (found.state, "juggling" in (found.error or {})["message"]) == (JobState.FAILED, True)


@pytest.fixture
def slow_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(kinds.JOBS, "test_run", f"{__name__}:handle")
    monkeypatch.setattr("service.worker.postgres.RUNS", frozenset({"test_run"}))


async def submit_run(resources: Resources, workspace: UUID, flow: str) -> Job:
    async with resources.database.write(workspace) as scope:
        return await jobs.submit(scope, resources.queue, "test_run", payload={"flowId": flow})


@pytest.mark.usefixtures("slow_runs")
async def test_runs_that_wait_for_models_keep_no_other_job_waiting(resources: Resources, workspace: UUID) -> None:
    release, begun = asyncio.Event(), 0

    async def work(work: Work) -> Mapping[str, Any]:
        nonlocal begun
        if work.job.kind == "test_run":
            begun += 1
            await release.wait()
        return {}

    current["test"] = work
    places = resources.settings.run_concurrency
    runs = [await submit_run(resources, workspace, "a") for _ in range(places + 1)]
    async with at_work(resources):
        job = await ended(resources, workspace, await submit(resources, workspace))
        assert job.state is JobState.DONE
        async with asyncio.timeout(30):
            while begun < places:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        waiting = await jobs.get(resources.database, workspace, runs[-1].id)
        assert (begun, waiting.state) == (places, JobState.QUEUED)
        release.set()
        for run in runs:
            assert (await ended(resources, workspace, run)).state is JobState.DONE


@pytest.mark.usefixtures("slow_runs")
async def test_flows_take_turns_however_much_one_has_waiting(resources: Resources, workspace: UUID) -> None:
    order: list[str] = []

    async def work(work: Work) -> Mapping[str, Any]:
        order.append(work.payload["flowId"])
        return {}

    current["test"] = work
    object.__setattr__(resources, "settings", resources.settings.model_copy(update={"run_concurrency": 1}))
    waiting = [await submit_run(resources, workspace, flow) for flow in "aaaaabbc"]
    async with at_work(resources):
        for run in waiting:
            await ended(resources, workspace, run)
    assert "".join(order) == "abcabaaa"


@pytest.mark.parametrize("table", ["SCHEDULES", "HOUSEKEEPING", "JOBS"])
async def test_what_a_row_names_is_imported_beside_the_event_loop(
    resources: Resources, workspace: UUID, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, table: str
) -> None:
    name = f"imported_late_{table.lower()}"
    text = "import threading\nTHREAD = threading.get_ident()\nasync def work(_given):\n    return {} and 0\n"
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    for key in list(getattr(kinds, table)):
        monkeypatch.delitem(getattr(kinds, table), key)
    monkeypatch.setitem(getattr(kinds, table), "test", f"{name}:work")
    if table == "SCHEDULES":
        await queue_due(resources)
    elif table == "HOUSEKEEPING":
        await keep_house(resources)
    else:
        await Runner(resources)._run(str((await submit(resources, workspace)).id))
    assert threading.get_ident() != sys.modules.pop(name).THREAD
