"""Evaluations are paused, cancelled, resumed and removed; versions are told apart; what has changed is told."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from service.chatflows import service as chatflows
from service.datasets import service as datasets
from service.datasets.types import RowDraft
from service.document_stores import service as document_stores
from service.errors import Conflict, NotFound, TooLarge, Unprocessable
from service.evaluations import service
from service.evaluations.types import Evaluation, EvaluationState, MetricWish, ResultFilter, Sort
from service.jobs import service as jobs
from service.jobs.service import NothingToRetry
from service.jobs.types import JobState
from service.worker.runner import Runner
from tests.service.evaluations.lab import Lab, flow_target, store_target
from tests.stubs.openai_server import OpenAIStub, Script


async def under_way(lab: Lab, made: Evaluation, least: int = 1) -> None:
    """Wait until so many cases are kept."""
    async with asyncio.timeout(30):
        while (await lab.get(made)).done < least:  # noqa: ASYNC110 - as clients do
            await asyncio.sleep(0.01)


@pytest.fixture
async def slow(lab: Lab, stub: OpenAIStub) -> UUID:
    """A flow that takes a while for each answer."""
    stub.script(Script(reply="Leave stands here.", first_delay=0.05), times=None)
    return await lab.writing(await lab.shelf("Leave"), stub.url)


async def test_a_cancelled_evaluation_keeps_its_results_and_says_so(
    lab: Lab, worker: Runner, slow: UUID, stub: OpenAIStub
) -> None:
    made = await lab.make(await lab.dataset(60), flow_target(slow))
    await under_way(lab, made, 3)
    ended = await service.cancel(lab.resources, lab.workspace, made.id)
    assert ended.state is EvaluationState.CANCELLED
    assert ended.error is not None
    assert ended.error["code"] == "cancelled"
    await asyncio.sleep(2.5)
    now = await lab.get(made)
    asked = len(stub.requests)
    assert 3 <= now.done < 60
    assert now.done == len(await lab.results(made))
    await asyncio.sleep(0.3)
    assert len(stub.requests) == asked, "models are asked behind the end"
    # and it goes on with what is left
    again = await service.resume(lab.resources, lab.workspace, made.id)
    assert again.job != made.job
    ended = await lab.end(again)
    assert (ended.state, ended.done, ended.error) == (EvaluationState.COMPLETED, 60, None)
    with pytest.raises(NothingToRetry):
        await service.resume(lab.resources, lab.workspace, made.id)


async def test_a_paused_evaluation_asks_nothing_until_it_is_resumed(lab: Lab, worker: Runner, slow: UUID) -> None:
    made = await lab.make(await lab.dataset(40), flow_target(slow))
    await under_way(lab, made, 2)
    paused = await service.pause(lab.resources, lab.workspace, made.id)
    assert paused.state is EvaluationState.PAUSED
    progress = await service.progress(lab.resources.database, lab.workspace, made.id)
    assert progress.state is EvaluationState.PAUSED
    assert progress.total == 40
    await asyncio.sleep(2.2)
    done = (await lab.get(made)).done
    await asyncio.sleep(0.3)
    assert (await lab.get(made)).done == done < 40
    await service.resume(lab.resources, lab.workspace, made.id)
    ended = await lab.end(made)
    assert (ended.state, ended.done) == (EvaluationState.COMPLETED, 40)
    with pytest.raises(Conflict):
        await service.pause(lab.resources, lab.workspace, made.id)


async def test_progress_tells_rate_and_what_is_left(lab: Lab, worker: Runner, slow: UUID) -> None:
    made = await lab.make(await lab.dataset(60), flow_target(slow))
    waiting = await service.progress(lab.resources.database, lab.workspace, made.id)
    assert (waiting.done, waiting.total, waiting.failed) == (0, 60, 0)
    await under_way(lab, made, 5)
    progress = await service.progress(lab.resources.database, lab.workspace, made.id)
    assert progress.state is EvaluationState.RUNNING
    assert progress.stage == "asking"
    assert progress.rate is not None
    assert progress.rate > 0
    assert progress.eta_seconds is not None
    await service.cancel(lab.resources, lab.workspace, made.id)


async def test_a_removed_evaluation_stops_and_leaves_nothing(lab: Lab, worker: Runner, slow: UUID) -> None:
    made = await lab.make(await lab.dataset(60), flow_target(slow))
    await under_way(lab, made)
    assert await service.delete(lab.resources, lab.workspace, [made.id, uuid4()]) == 1
    with pytest.raises(NotFound):
        await lab.get(made)
    assert made.job is not None
    assert (await jobs.get(lab.resources.database, lab.workspace, made.job)).state is JobState.CANCELLED
    await asyncio.sleep(2.5)
    for rows in (
        await lab.talk.rows("SELECT 1 AS one FROM evaluation_rows"),
        await lab.talk.rows("SELECT 1 AS one FROM evaluation_results"),
    ):
        assert not rows


async def test_the_same_name_makes_versions(lab: Lab, worker: Runner) -> None:
    store, dataset = await lab.shelf(), await lab.dataset(2)
    first = await lab.make(dataset, store_target(store, topK=2))
    other = await lab.make(dataset, store_target(store), name="Weekly")
    await lab.end(first)
    second = await service.run_again(lab.resources, lab.workspace, first.id)
    assert (second.version, second.versions, second.is_latest) == (2, 2, True)
    assert second.plan.targets[0].options == {"topK": 2}
    assert second.plan.measures == first.plan.measures
    assert not (await lab.get(first)).is_latest
    found = await service.versions(lab.resources.database, lab.workspace, first.id)
    assert [(item.id, item.version) for item in found] == [(first.id, 1), (second.id, 2)]
    page, total = await service.page(lab.resources.database, lab.workspace, 0, 1)
    assert total == 2
    assert [item.id for item in page] == [second.id, first.id], "the name used last, its newest version first"
    page, _ = await service.page(lab.resources.database, lab.workspace, 1, 5)
    assert [item.id for item in page] == [other.id]
    await lab.end(second)
    assert await service.delete(lab.resources, lab.workspace, [second.id], all_versions=True) == 2


async def test_what_has_changed_since_is_told(lab: Lab, worker: Runner, slow: UUID) -> None:
    store, dataset = await lab.shelf("Pension"), await lab.dataset(2)
    made = await lab.make(dataset, flow_target(slow), store_target(store))
    told = await service.outdated(lab.resources, lab.workspace, made.id)
    assert (told.any, told.dataset, [item.outdated for item in told.targets]) == (False, False, [False, False])
    await datasets.add_row(lab.resources.database, lab.workspace, dataset, RowDraft("And this?", "That."))
    response = await lab.client.put(f"/api/v1/chatflows/{slow}", json={"name": "Renamed"})
    assert response.status_code == 200
    told = await service.outdated(lab.resources, lab.workspace, made.id)
    assert (told.any, told.dataset, [item.outdated for item in told.targets]) == (True, True, [True, False])
    await chatflows.delete(lab.resources, lab.workspace, slow)
    await datasets.delete(lab.resources.database, lab.workspace, dataset)
    told = await service.outdated(lab.resources, lab.workspace, made.id)
    assert (told.dataset, [item.outdated for item in told.targets]) == (None, [None, False])
    with pytest.raises(NotFound):
        await service.run_again(lab.resources, lab.workspace, made.id)
    await lab.end(made)


async def test_rows_are_asked_as_they_were_when_it_was_made(lab: Lab, worker: Runner, slow: UUID) -> None:
    rows = [RowDraft(f"Question {number}?", "Leave stands here.") for number in range(30)]
    dataset = await lab.dataset([*rows, RowDraft("A draft?", draft=True)])
    made = await lab.make(dataset, flow_target(slow), metrics=[MetricWish("exactMatch")])
    assert made.rows == 30
    await under_way(lab, made)
    await datasets.delete(lab.resources.database, lab.workspace, dataset)
    ended = await lab.end(made)
    assert (ended.state, ended.done, ended.failed) == (EvaluationState.COMPLETED, 30, 0)
    asked = await service.rows(lab.resources.database, lab.workspace, made.id, 0, 100)
    assert [row.question for row, _ in asked] == [row.input for row in rows]


async def test_a_target_that_goes_meanwhile_fails_its_cases_alone(lab: Lab, worker: Runner, slow: UUID) -> None:
    store = await lab.shelf("Pension")
    made = await lab.make(await lab.dataset(60), flow_target(slow), store_target(store))
    await under_way(lab, made, 4)
    await chatflows.delete(lab.resources, lab.workspace, slow)
    ended = await lab.end(made)
    assert (ended.state, ended.done) == (EvaluationState.COMPLETED, 120)
    results = await lab.results(ended)
    broken = [item for item in results if item.error]
    assert ended.failed == len(broken) > 0
    assert {item.target for item in broken} == {0}
    assert all(str(slow) in item.error for item in broken)
    assert all(score.error for item in broken for score in item.scores.values())
    found, total = await service.results(
        lab.resources.database, lab.workspace, made.id, ResultFilter(errors=True), 0, 5
    )
    assert total == len(broken)
    assert len(found) == 5


async def test_a_document_store_that_is_gone_fails_every_case_and_says_why(lab: Lab, worker: Runner) -> None:
    store, dataset = await lab.shelf("Leave"), await lab.dataset(5)
    await worker_pauses(lab)
    made = await lab.make(dataset, store_target(store))
    paused = await service.pause(lab.resources, lab.workspace, made.id)
    await document_stores.delete(lab.resources, lab.workspace, store)
    await service.resume(lab.resources, lab.workspace, paused.id)
    ended = await lab.end(made)
    assert (ended.state, ended.done, ended.failed) == (EvaluationState.COMPLETED, 5, 5)


async def worker_pauses(lab: Lab) -> None:
    """Wait until nothing is under way."""
    await lab.talk.settled()


async def test_what_cannot_be_run_is_refused_by_name(lab: Lab, worker: Runner) -> None:
    store, dataset = await lab.shelf("Leave"), await lab.dataset(2)
    target = store_target(store)
    with pytest.raises(NotFound, match="Dataset"):
        await lab.make(uuid4(), target)
    with pytest.raises(NotFound, match="Chatflow"):
        await lab.make(dataset, flow_target(uuid4()))
    with pytest.raises(Unprocessable, match="targets"):
        await lab.make(dataset)
    with pytest.raises(Unprocessable, match="repeats"):
        await lab.make(dataset, target, repeats=21)
    with pytest.raises(Unprocessable, match="name"):
        await lab.make(dataset, target, name=" ")
    with pytest.raises(Unprocessable, match="chat model"):
        await lab.make(dataset, target, metrics=[MetricWish("faithfulness")])
    with pytest.raises(Unprocessable, match=r"options\.topK"):
        await lab.make(dataset, store_target(store, topK=0))
    with pytest.raises(Unprocessable, match=r"options\.limit"):
        await lab.make(dataset, store_target(store, limit=5))
    empty = await lab.dataset([RowDraft("A draft?", draft=True)])
    with pytest.raises(Unprocessable, match="no rows"):
        await lab.make(empty, target)
    rows = await lab.talk.rows("SELECT 1 AS one FROM evaluations")
    assert not rows
    assert not await lab.talk.rows("SELECT 1 AS one FROM jobs WHERE kind = 'evaluate'")


async def test_too_many_cases_are_refused_before_anything_is_kept(lab: Lab, worker: Runner) -> None:
    store, dataset = await lab.shelf("Leave"), await lab.dataset(30)
    small = lab.resources.settings.model_copy(update={"max_evaluation_cases": 59})
    object.__setattr__(lab.resources, "settings", small)
    with pytest.raises(TooLarge, match="max_evaluation_cases"):
        await lab.make(dataset, store_target(store), repeats=2)
    assert not await lab.talk.rows("SELECT 1 AS one FROM evaluation_rows")


async def test_results_come_worst_and_slowest_first(lab: Lab, worker: Runner) -> None:
    store, dataset = await lab.shelf(), await lab.dataset(12)
    ended = await lab.end(await lab.make(dataset, store_target(store, topK=3), metrics=[MetricWish("mrr@3")]))
    database = lab.resources.database
    worst, total = await service.results(
        database, lab.workspace, ended.id, ResultFilter(sort=Sort.SCORE, label="mrr@3"), 0, 50
    )
    values = [item.result.scores["mrr@3"].value for item in worst]
    assert total == 12
    assert values == sorted(value for value in values if value is not None)
    slowest, _ = await service.results(database, lab.workspace, ended.id, ResultFilter(sort=Sort.SLOWEST), 0, 50)
    times = [item.result.taken.latency or 0 for item in slowest]
    assert times == sorted(times, reverse=True)
    with pytest.raises(Unprocessable, match="none of this evaluation's"):
        await service.results(database, lab.workspace, ended.id, ResultFilter(sort=Sort.SCORE, label="x"), 0, 5)


async def test_nothing_of_another_workspace_is_seen(lab: Lab, worker: Runner, foreign_workspace: UUID) -> None:
    store, dataset = await lab.shelf("Leave"), await lab.dataset(2)
    made = await lab.end(await lab.make(dataset, store_target(store)))
    database = lab.resources.database
    for read in (
        service.get(database, foreign_workspace, made.id),
        service.versions(database, foreign_workspace, made.id),
        service.progress(database, foreign_workspace, made.id),
        service.summary(database, foreign_workspace, made.id),
        service.rows(database, foreign_workspace, made.id, 0, 5),
        service.results(database, foreign_workspace, made.id, ResultFilter(), 0, 5),
        service.scores(database, foreign_workspace, made.id, 0, "recall@4"),
        service.outdated(lab.resources, foreign_workspace, made.id),
        service.run_again(lab.resources, foreign_workspace, made.id),
        service.cancel(lab.resources, foreign_workspace, made.id),
        service.resume(lab.resources, foreign_workspace, made.id),
    ):
        with pytest.raises(NotFound):
            await read
    assert await service.page(database, foreign_workspace, 0, 5) == ([], 0)
    assert await service.delete(lab.resources, foreign_workspace, [made.id], all_versions=True) == 0
    assert (await lab.get(made)).created_at - made.created_at == timedelta(0)
