"""What fails for a while is tried again; what keeps failing is a counted error with its text: no pass, never NaN."""

import math
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import pytest

from service.datasets.types import RowDraft
from service.evaluations import patience, service
from service.evaluations.types import EvaluationState, Judge, MetricWish, ResultFilter
from service.evaluators import service as evaluators
from service.metrics.base import Outcome
from service.worker.runner import Runner
from tests.service.chatflows.flows import rag
from tests.service.evaluations.lab import Lab, flow_target, store_target
from tests.stubs.openai_server import Lie, OpenAIStub, Script

TRIES = 3
"""How often a provider is asked in one call: the adapters try twice more by themselves."""


class EveryThird:
    """The scripts of a server of which each third request goes wrong."""

    def __init__(self, broken: Script, fine: Script) -> None:
        self._numbers, self._broken, self._fine = count(1), broken, fine

    def next(self) -> Script:
        """How the next request is answered."""
        return self._broken if next(self._numbers) % 3 == 0 else self._fine


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of the service's own choosing are short."""
    monkeypatch.setattr(patience, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr("service.providers.pace.FIRST_PAUSE", 0.02)
    monkeypatch.setattr("service.providers.retries.FIRST_PAUSE", 0.01)


async def test_a_limit_is_waited_for_as_long_as_the_provider_asks(lab: Lab, worker: Runner, stub: OpenAIStub) -> None:
    flow = await lab.writing(await lab.shelf("Leave"), stub.url)
    stub.script(Script(status=429, retry_after=0.3), times=TRIES)
    stub.script(Script(reply="Leave stands here."), times=None)
    made = await lab.make(await lab.dataset(3), flow_target(flow), metrics=[MetricWish("latency")], concurrency=1)
    ended = await lab.end(made)
    assert (ended.state, ended.failed) == (EvaluationState.COMPLETED, 0)
    first, *others = await lab.results(ended)
    (attempt,) = first.attempts
    assert attempt.status == 429
    assert attempt.waited == 0.3
    assert all(not item.attempts for item in others)
    refused, asked = stub.requests[TRIES - 1 : TRIES + 1]
    assert asked.began - (refused.ended or 0) >= 0.28
    assert len(stub.requests) == TRIES + 3


async def test_what_fails_behind_all_attempts_is_a_counted_error_with_its_text(
    lab: Lab, worker: Runner, stub: OpenAIStub
) -> None:
    flow = await lab.writing(await lab.shelf("Leave"), stub.url)
    stub.script(Script(status=500), times=3 * TRIES)
    stub.script(Script(reply="Leave stands here."), times=None)
    passing = await evaluators.create(
        lab.resources.database, lab.workspace, "Says leave", "text", {"operator": "ContainsAny", "value": "leave"}
    )
    made = await lab.make(
        await lab.dataset(2),
        flow_target(flow),
        metrics=[MetricWish("exactMatch")],
        evaluators=[passing.id],
        retries=2,
        concurrency=1,
    )
    ended = await lab.end(made)
    assert (ended.state, ended.done, ended.failed) == (EvaluationState.COMPLETED, 2, 1)
    broken, fine = await lab.results(ended)
    assert len(broken.attempts) == 2
    assert [attempt.error for attempt in broken.attempts] == [broken.error] * 2
    assert len(broken.error) > 10
    assert {label: score.outcome for label, score in broken.scores.items()} == {
        "exactMatch": Outcome.ERROR,
        "Says leave": Outcome.ERROR,
    }
    assert fine.scores["Says leave"].value == 1.0
    summary = await service.summary(lab.resources.database, lab.workspace, ended.id)
    assert (summary.passed, summary.refused, summary.broken) == (1, 0, 1)
    (target,) = summary.targets
    assert target.failed == 1
    assert target.measures["exactMatch"].errors == 1
    assert target.measures["exactMatch"].rows == 1
    # such a case is asked again when the evaluation is resumed
    again = await lab.end(await service.resume(lab.resources, lab.workspace, ended.id))
    assert (again.done, again.failed) == (2, 0)
    now = await service.summary(lab.resources.database, lab.workspace, ended.id)
    assert (now.passed, now.broken) == (2, 0)


async def test_a_key_that_is_refused_is_not_tried_again(lab: Lab, worker: Runner, stub: OpenAIStub) -> None:
    flow = await lab.writing(await lab.shelf("Leave"), stub.url)
    stub.script(Script(status=401, error_code="invalid_api_key"), times=None)
    ended = await lab.end(await lab.make(await lab.dataset(2), flow_target(flow), retries=5))
    assert (ended.state, ended.failed) == (EvaluationState.COMPLETED, 2)
    assert len(stub.requests) == 2
    assert all(item.error and not item.attempts for item in await lab.results(ended))


@pytest.mark.parametrize(
    "broken", [Script(status=400), Script(reply="I would say that it is fine."), Script(lie=Lie.NOT_JSON)]
)
async def test_a_judge_that_fails_every_third_call_makes_errors_and_no_passes(
    lab: Lab, worker: Runner, stub: OpenAIStub, broken: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    fine = Script(reply='{"reason": "It is right.", "score": 1}')
    flow = await lab.flow(rag(await lab.shelf("Leave")))
    fields = [
        {"property": "score", "type": "number", "description": "1 is best", "required": True},
        {"property": "reason", "type": "string", "description": "why", "required": True},
    ]
    config = {"prompt": "Is {actualOutput} an answer to {question}?", "outputSchema": fields}
    graded = await evaluators.create(lab.resources.database, lab.workspace, "Right", "llm", config)
    monkeypatch.setattr(stub, "_scripts", EveryThird(broken, fine))
    judge = Judge("chatOpenAI", {"modelName": "stub-model", "basepath": stub.url})
    rows = await lab.dataset(9)
    made = await lab.make(
        rows, flow_target(flow), metrics=[], evaluators=[graded.id], judge=judge, retries=0, concurrency=1
    )  # one after another, so that no call which asks again is a third one too
    ended = await lab.end(made)
    assert (ended.state, ended.done, ended.failed) == (EvaluationState.COMPLETED, 9, 0)
    scores = [item.scores["Right"] for item in await lab.results(ended)]
    errors = [score for score in scores if score.error]
    values = [score.value for score in scores if score.value is not None]
    assert len(errors) + len(values) == 9
    assert all(math.isfinite(value) and value == 1.0 for value in values)
    told = (await service.summary(lab.resources.database, lab.workspace, ended.id)).targets[0].measures["Right"]
    assert (told.errors, told.scores, sum(told.reasons.values())) == (len(errors), len(values), len(errors))
    assert len(errors) == (3 if broken.status != 200 or broken.lie else 0), "words alone are asked for again"


async def test_a_judge_that_only_has_to_be_asked_again_makes_no_errors(
    lab: Lab, worker: Runner, stub: OpenAIStub
) -> None:
    flow = await lab.flow(rag(await lab.shelf("Leave")))
    stub.script(Script(status=503), times=TRIES)
    stub.script(Script(reply='{"reason": "So.", "score": 0.5}'), times=None)
    judge = Judge("chatOpenAI", {"modelName": "stub-model", "basepath": stub.url})
    wish = MetricWish("judged", {"prompt": "Is {actualOutput} good?"})
    made = await lab.make(await lab.dataset(2), flow_target(flow), metrics=[wish], judge=judge, concurrency=1)
    ended = await lab.end(made)
    results = await lab.results(ended)
    assert [item.scores["judged"].value for item in results] == [0.5, 0.5]
    (attempt,) = [attempt for item in results for attempt in item.attempts]
    assert attempt.error.startswith("judge: ")
    assert attempt.status == 503
    assert all(item.details["judge"]["calls"] == 1 for item in results)
    found, total = await service.results(
        lab.resources.database, lab.workspace, ended.id, ResultFilter(errors=True), 0, 5
    )
    assert (found, total) == ([], 0)


async def test_a_judge_that_cannot_be_opened_ends_the_evaluation_with_the_reason(lab: Lab, worker: Runner) -> None:
    store, dataset = await lab.shelf("Leave"), await lab.dataset(2)
    judge = Judge("chatAnthropic", {"modelName": "claude"})
    wish = MetricWish("judged", {"prompt": "Is it good?"})
    ended = await lab.end(await lab.make(dataset, store_target(store), metrics=[wish], judge=judge))
    assert ended.state is EvaluationState.FAILED
    assert ended.error is not None
    assert ended.error["message"]
    assert ended.done == 0


async def test_a_conversation_is_told_what_was_said_before_and_keeps_nothing(
    lab: Lab, worker: Runner, stub: OpenAIStub
) -> None:
    def reply(messages: Sequence[Mapping[str, Any]]) -> str:
        return f"Answer {sum(item['role'] == 'user' for item in messages)}"

    stub.script(Script(reply=reply), times=None)
    store = await lab.shelf("Leave")
    flow = await lab.writing(store, stub.url, memory={"memoryKey": "chat_history"})
    rows = [RowDraft(f"Question {number}?", "x") for number in range(4)]
    dataset = await lab.dataset(rows)
    alone = await lab.end(await lab.make(dataset, flow_target(flow), metrics=[MetricWish("exactMatch")]))
    before = len(stub.requests)
    others = [item for item in stub.requests if "Question 0?" not in str(item.body["messages"][-1])]
    assert all("Question 0?" not in str(item.body["messages"]) for item in others), "each is a conversation of its own"
    talk = await lab.end(
        await lab.make(dataset, flow_target(flow), metrics=[MetricWish("exactMatch")], conversation=True, repeats=2)
    )
    assert (alone.failed, talk.failed, talk.done) == (0, 0, 8)
    last = [item for item in stub.requests[before:] if "Question 3?" in str(item.body["messages"][-1])]
    assert last
    assert any("Question 0?" in str(item.body["messages"]) for item in last)
    kept = await lab.talk.rows("SELECT count(*) AS n FROM chat_messages")
    assert kept[0]["n"] == 0
    results = [item for item in await lab.results(talk) if item.repeat == 0]
    assert [item.place for item in results] == [0, 1, 2, 3]
