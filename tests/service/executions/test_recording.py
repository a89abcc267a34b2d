"""What is written of a run while it goes on, and how its answer finds it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI

from service.chatflows import service as chatflows
from service.chatflows.run import Backing, Run
from service.chatflows.types import (
    ActionWanted,
    Decision,
    Draft,
    Executed,
    FlowStatus,
    FlowType,
    NodesExecuted,
    Paused,
    RunStatus,
)
from service.errors import NotFound
from service.executions import service
from service.executions.recording import Recording, added, storable
from service.executions.types import AlreadyAnswered, AnotherNodeWaits, Answer, Filter, NothingWaits
from service.resources import Resources

ACTION = {"id": "a1", "mapping": {"approve": "Proceed", "reject": "Reject"}, "data": {"nodeId": "human_0"}}
YES = Answer(proceed=True, node="human_0", feedback="fine")


def node(name: str, status: RunStatus = RunStatus.FINISHED, **data: Any) -> Executed:
    """A node that ran."""
    return Executed(name, name.title(), {"id": name, "name": name, **data}, (), status)


START = node("start_0", output={"question": "Shall I?"}, state={"n": 1})
WAITS = node("human_0", RunStatus.STOPPED, state={"n": 2}, input={"apiKey": "sk-canary"})
PAUSED = Paused((START, WAITS), {"n": 2}, {"step": 3, "token": "kept"})


@pytest.fixture
async def flow(app: FastAPI, resources: Resources, workspace: UUID) -> UUID:
    """An agentflow."""
    draft = Draft("Agents", FlowType.AGENTFLOW, '{"nodes":[],"edges":[]}')
    return (await chatflows.create(resources.database, workspace, draft)).id


@pytest.fixture
async def run(flow: UUID, workspace: UUID) -> Run:
    """A run of it."""
    backing = cast(Backing, None)
    return Run(workspace, flow, "c1", "s1", "Shall I?", (), backing, form={"a": 1}, webhook={"body": {"b": "\0x"}})


@pytest.fixture
async def recordings() -> AsyncIterator[list[Recording]]:
    """Recordings that are closed at the end."""
    opened: list[Recording] = []
    yield opened
    for item in opened:
        await item.close()


async def begun(resources: Resources, run: Run, **options: Any) -> tuple[Run, Recording]:
    """The run, begun by nobody in particular."""
    return await service.begin(resources.database, run, **{"caller": "public", "kind": "EXTERNAL", **options})


async def stopped(resources: Resources, run: Run, **options: Any) -> UUID:
    """A run that waits for a person."""
    _, recording = await begun(resources, run, **options)
    for event in (FlowStatus(RunStatus.INPROGRESS), NodesExecuted((START, WAITS)), FlowStatus(RunStatus.STOPPED)):
        recording.note(event)
    recording.note(ActionWanted(ACTION, PAUSED))
    async with resources.database.read(run.workspace) as scope:
        await recording.end(scope, usage={"input_tokens": 3})
    return recording.id


async def test_a_run_is_in_progress_until_it_says_otherwise(resources: Resources, run: Run, workspace: UUID) -> None:
    _, recording = await begun(resources, run)
    found = await service.get(resources.database, workspace, recording.id)
    assert (found.state, found.nodes, found.stopped_at) == (RunStatus.INPROGRESS, [], None)
    recording.note(NodesExecuted((START,)))
    async with asyncio.timeout(10):
        while not (await service.get(resources.database, workspace, recording.id)).nodes:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await recording.fail(None)
    found = await service.get(resources.database, workspace, recording.id)
    assert found.state is RunStatus.FINISHED
    assert found.stopped_at is not None
    assert found.nodes[0]["nodeId"] == "start_0"


@pytest.mark.parametrize(
    ("said", "error", "aborted", "state"),
    [
        (RunStatus.FINISHED, None, False, RunStatus.FINISHED),
        (RunStatus.INPROGRESS, None, False, RunStatus.FINISHED),
        (RunStatus.ERROR, "broken", False, RunStatus.ERROR),
        (RunStatus.TIMEOUT, "slow", False, RunStatus.TIMEOUT),
        (RunStatus.FINISHED, "not stored", False, RunStatus.ERROR),
        (RunStatus.INPROGRESS, None, True, RunStatus.TERMINATED),
        (RunStatus.TERMINATED, None, False, RunStatus.TERMINATED),
    ],
)
async def test_how_a_run_ends(
    resources: Resources, run: Run, workspace: UUID, said: RunStatus, error: str | None, aborted: bool, state: RunStatus
) -> None:
    _, recording = await begun(resources, run)
    recording.note(FlowStatus(said))
    await recording.fail(error, stopped=aborted)
    found = await service.get(resources.database, workspace, recording.id)
    assert (found.state, found.error) == (state, error)


async def test_an_answer_gets_the_run_as_it_was(resources: Resources, run: Run) -> None:
    execution = await stopped(resources, run)
    asked = replace(run, question="fine", form=None, webhook=None, chat="c2")
    found, recording = await begun(resources, asked, answer=YES)
    assert recording.id == execution
    assert (found.question, found.form, found.webhook) == ("Shall I?", {"a": 1}, {"body": {"b": "x"}})
    assert found.paused == PAUSED
    assert found.human is not None
    assert (found.human.decision, found.human.node, found.human.feedback) == (Decision.PROCEED, "human_0", "fine")
    await recording.fail(None, usage={"input_tokens": 4, "models": {}})
    shown = await service.get(resources.database, run.workspace, execution)
    assert (shown.state, shown.usage) == (RunStatus.FINISHED, {"input_tokens": 7, "models": {}})


async def test_only_one_of_many_answers_is_taken(resources: Resources, run: Run, recordings: list[Recording]) -> None:
    await stopped(resources, run)
    answers = [begun(resources, run, answer=YES) for _ in range(8)]
    found = await asyncio.gather(*answers, return_exceptions=True)
    taken = [item for item in found if isinstance(item, tuple)]
    recordings += [item[1] for item in taken]
    assert len(taken) == 1
    assert all(isinstance(item, AlreadyAnswered) for item in found if not isinstance(item, tuple))


async def test_an_answer_of_somebody_else_opens_nothing(resources: Resources, run: Run) -> None:
    await stopped(resources, run, caller="key:1")
    for other in (replace(run, session="s2"), replace(run, chatflow=uuid4()), run):
        with pytest.raises(NothingWaits):
            await begun(resources, other, answer=YES)


async def test_an_answer_to_another_node_is_told_which_one_waits(resources: Resources, run: Run) -> None:
    await stopped(resources, run)
    with pytest.raises(AnotherNodeWaits, match="human_0"):
        await begun(resources, run, answer=replace(YES, node="human_9"))


async def test_an_action_is_answered_by_its_id(resources: Resources, run: Run, recordings: list[Recording]) -> None:
    await stopped(resources, run)
    with pytest.raises(AnotherNodeWaits):
        await begun(resources, run, answer=Answer(proceed=False, action="a2"))
    found, recording = await begun(resources, run, answer=Answer(proceed=False, action="a1"))
    recordings.append(recording)
    assert found.human is not None
    assert found.human.decision is Decision.REJECT


async def test_an_answer_whose_run_failed_may_be_given_again(resources: Resources, run: Run) -> None:
    await stopped(resources, run)
    _, recording = await begun(resources, run, answer=YES)
    await recording.fail("the model is away")
    found, again = await begun(resources, run, answer=YES)
    assert found.paused == PAUSED
    await again.fail(None)
    with pytest.raises(AlreadyAnswered):
        await begun(resources, run, answer=YES)


async def test_a_run_whose_process_died_has_failed(resources: Resources, run: Run, workspace: UUID) -> None:
    lost = await stopped(resources, run)
    _, recording = await begun(resources, run, answer=YES)
    await recording.close()
    async with resources.database.connection() as connection:
        await connection.execute("UPDATE executions SET lease_until = now() - interval '1 second'")
    found = await service.get(resources.database, workspace, lost)
    assert found.state is RunStatus.ERROR
    assert "process" in str(found.error)
    assert found.stopped_at is not None
    listed, _ = await service.page(resources.database, workspace, Filter(state=RunStatus.ERROR), 0, 12)
    assert [item.id for item, _ in listed] == [lost]
    assert await service.end_lost(resources) == 1
    assert await service.end_lost(resources) == 0
    assert (await service.get(resources.database, workspace, lost)).state is RunStatus.ERROR
    _, again = await begun(resources, run, answer=YES)
    await recording.fail("too late")  # the process was only slow: what it says counts no more
    assert (await service.get(resources.database, workspace, lost)).state is RunStatus.INPROGRESS
    await again.fail(None)


async def test_where_nothing_is_kept_only_what_waits_is(resources: Resources, run: Run, workspace: UUID) -> None:
    execution = await stopped(resources, run, kept=False)
    assert (await service.get(resources.database, workspace, execution)).state is RunStatus.STOPPED
    _, recording = await begun(resources, run, answer=YES, kept=False)
    await recording.fail(None)
    with pytest.raises(NotFound):
        await service.get(resources.database, workspace, execution)


async def test_a_run_may_see_what_the_last_one_left(resources: Resources, run: Run) -> None:
    _, recording = await begun(resources, run)
    recording.note(NodesExecuted((START, node("agent_0", state={"n": 9}))))
    await recording.fail(None)
    found, again = await begun(resources, run, remembers=True)
    assert found.last is not None
    assert found.last.state == {"n": 9}
    await again.close()
    other, unknown = await begun(resources, replace(run, session="other"), remembers=True)
    assert other.last is None
    await unknown.close()


async def test_a_chosen_id_runs_once(resources: Resources, run: Run) -> None:
    chosen = uuid4()
    _, recording = await begun(resources, run, execution=chosen)
    assert recording.id == chosen
    with pytest.raises(service.BegunBefore):
        await begun(resources, run, execution=chosen)
    await recording.close()


async def test_secrets_lie_sealed(resources: Resources, run: Run) -> None:
    await stopped(resources, run)
    async with resources.database.connection() as connection:
        row = await (await connection.execute("SELECT data::text || pause::text AS text FROM executions")).fetchone()
    assert row is not None
    assert "sk-canary" not in row["text"]


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("a\0b\ud800", "ab\ufffd"),
        ({1: (1, 2.5, float("nan")), "x": {"y": None}}, {"1": [1, 2.5, None], "x": {"y": None}}),
        (UUID(int=1), str(UUID(int=1))),
    ],
)
def test_what_a_database_cannot_hold_is_made_to_fit(value: Any, kept: Any) -> None:
    assert storable(value) == kept


@pytest.mark.parametrize(
    ("before", "now", "total"),
    [
        ({}, None, None),
        ({"a": 1}, None, {"a": 1}),
        (
            {"a": 1, "m": {"x": {"n": 1}}},
            {"a": 2, "m": {"x": {"n": 3}, "y": 1}},
            {"a": 3, "m": {"x": {"n": 4}, "y": 1}},
        ),
    ],
)
def test_the_usage_of_attempts_adds_up(before: Mapping[str, Any], now: Any, total: Any) -> None:
    assert added(before, now) == total
