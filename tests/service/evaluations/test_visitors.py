"""Visitors are answered while an evaluation is under way."""

import asyncio
from contextlib import AsyncExitStack
from uuid import uuid4

from service.evaluations import service
from service.evaluations.types import EvaluationState
from service.worker.runner import Runner
from tests.service.evaluations.lab import Lab, flow_target
from tests.stubs.openai_server import OpenAIStub, Script

CASES = 200
VISITORS = 10


async def answered(lab: Lab, flow: object, question: str) -> None:
    """Ask as a visitor does."""
    response = await lab.client.post(f"/api/v1/prediction/{flow}", json={"question": question})
    assert response.status_code == 200, response.text
    assert response.json()["text"] == "Leave stands here."


async def test_visitors_wait_for_no_more_cases_than_are_asked_at_once(
    lab: Lab, worker: Runner, stub: OpenAIStub
) -> None:
    stub.script(Script(reply="Leave stands here.", first_delay=0.02), times=None)
    flow = await lab.writing(await lab.shelf("Leave"), stub.url)
    await answered(lab, flow, "Warm?")
    made = await lab.make(await lab.dataset(CASES), flow_target(flow))
    async with asyncio.timeout(30):
        while (await lab.get(made)).done < 1:  # noqa: ASYNC110 - as clients do
            await asyncio.sleep(0.01)
    places = lab.resources.settings.evaluation_concurrency
    overtaken = []
    for number in range(VISITORS):
        question, before = f"Visitor {number}?", len(stub.requests)
        await answered(lab, flow, question)
        asked = next(
            place for place, item in enumerate(stub.requests) if question in str(item.body["messages"][-1]["content"])
        )
        overtaken.append(asked - before)
    under_way = await lab.get(made)
    assert under_way.state is EvaluationState.RUNNING
    assert under_way.done < CASES
    # those in flight, and those whose turn came as the visitor's chunks were looked up: far less than are left
    assert sorted(overtaken)[VISITORS // 2] <= 3 * places, overtaken
    await service.cancel(lab.resources, lab.workspace, made.id)


async def test_visitors_need_none_of_the_places_of_evaluations(lab: Lab, worker: Runner, stub: OpenAIStub) -> None:
    stub.script(Script(reply="Leave stands here."), times=None)
    flow = await lab.writing(await lab.shelf("Leave"), stub.url)
    dataset = await lab.dataset(3)
    async with AsyncExitStack() as held:
        for _ in range(lab.resources.settings.evaluation_concurrency):
            await held.enter_async_context(lab.resources.evaluating.place(uuid4()))
        made = await lab.make(dataset, flow_target(flow))
        for number in range(VISITORS):
            await answered(lab, flow, f"Visitor {number}?")
        assert (await lab.get(made)).done == 0
        assert len(stub.requests) == VISITORS
    assert (await lab.end(made)).done == 3
