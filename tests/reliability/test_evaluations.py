"""Workers that are killed in the middle of evaluations: no finished case is asked again, nothing is lost or doubled."""

import asyncio
import signal
from uuid import UUID

import httpx

from service.evaluations import service
from service.evaluations.types import OPEN, EvaluationState, MetricWish, Result
from service.resources import Resources
from tests.reliability.test_kills import happens
from tests.service.document_stores.talk import Talk
from tests.service.document_stores.test_kills import Start, start, stub  # noqa: F401
from tests.service.evaluations.lab import Lab, flow_target, store_target
from tests.stubs.openai_server import OpenAIStub, Script

ROWS = 30
KILLS = 2


async def test_a_worker_killed_in_the_middle_of_an_evaluation_asks_no_finished_case_again(
    client: httpx.AsyncClient,
    resources: Resources,
    workspace: UUID,
    stub: OpenAIStub,  # noqa: F811
    start: Start,  # noqa: F811
) -> None:
    lab = Lab(client, resources, workspace, Talk(client, resources, workspace))
    stub.script(Script(reply="Leave stands here.", first_delay=0.03), times=None)
    worker = start()
    flow = await lab.writing(await lab.shelf("Leave"), stub.url)
    made = await lab.make(await lab.dataset(ROWS), flow_target(flow), metrics=[MetricWish("tokenF1")])
    for number in range(1, KILLS + 1):
        asked = ROWS * number // (KILLS + 1)
        await happens(lambda least=asked: len(stub.requests) >= least)  # type: ignore[misc]
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        kept = await lab.get(made)
        assert kept.state in OPEN
        assert kept.done == len(await lab.results(made)), "the count and the results are kept together"
        worker = start()
    ended = await lab.end(made, seconds=120)
    assert (ended.state, ended.done, ended.failed) == (EvaluationState.COMPLETED, ROWS, 0)
    assert [item.place for item in await lab.results(made)] == list(range(ROWS))
    in_vain = 4 * resources.settings.evaluation_concurrency
    assert ROWS <= len(stub.requests) <= ROWS + KILLS * in_vain


async def test_an_evaluation_that_was_killed_says_what_an_undisturbed_one_says(
    client: httpx.AsyncClient,
    resources: Resources,
    workspace: UUID,
    start: Start,  # noqa: F811
) -> None:
    lab = Lab(client, resources, workspace, Talk(client, resources, workspace))
    first = start()
    store, dataset = await lab.shelf(), await lab.dataset(100)
    metrics = [MetricWish("recall@2"), MetricWish("mrr@6"), MetricWish("ndcg@6")]
    whole = await lab.end(await lab.make(dataset, store_target(store, topK=6), metrics=metrics, repeats=2), seconds=120)
    killed = await lab.make(dataset, store_target(store, topK=6), metrics=metrics, repeats=2, name="Killed")
    while (await lab.get(killed)).done < 50:  # noqa: ASYNC110 - as clients do
        await asyncio.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert (await lab.get(killed)).done < 200
    start()
    killed = await lab.end(killed, seconds=120)
    assert (killed.state, killed.done, killed.failed) == (EvaluationState.COMPLETED, 200, 0)
    assert [said(item) for item in await lab.results(killed)] == [said(item) for item in await lab.results(whole)]
    one, other = [await service.summary(resources.database, workspace, item.id) for item in (whole, killed)]
    assert one.targets[0].measures == other.targets[0].measures


def said(result: Result) -> tuple[object, ...]:
    """What a result says, without the times."""
    found = tuple(item.chunk_id for item in result.found or ())
    return (
        result.place,
        result.repeat,
        found,
        tuple(sorted((name, item.value) for name, item in result.scores.items())),
    )
