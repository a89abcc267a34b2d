"""Begin, resume and keep the runs of agentflows, and show them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from service.chatflows import service as chatflows
from service.chatflows.run import Run
from service.chatflows.types import Chatflow, Decision, HumanInput, Paused, RunStatus
from service.errors import NotFound
from service.executions import records
from service.executions.recording import LEASE_SECONDS, executed
from service.executions.recording import Recording as Recording
from service.executions.recording import state_of as state_of_nodes
from service.executions.recording import storable as storable
from service.executions.types import (
    AlreadyAnswered,
    AnotherNodeWaits,
    Answer,
    Execution,
    Filter,
    NothingWaits,
    Once,
    Owner,
    SeveralWait,
    Waiting,
)
from stores.records.database import Database, Scope

if TYPE_CHECKING:
    from service.resources import Resources


LOOK_SECONDS = 1.0

ROOM = 16_000_000
"""Bytes that the nodes of a page of executions may take, and once more its flows."""


class BegunBefore(AlreadyAnswered):
    """This run has begun before."""

    code = "begun_before"


# Runs


async def begin(
    database: Database,
    run: Run,
    *,
    caller: str,
    kind: str,
    answer: Answer | None = None,
    execution: UUID | None = None,
    kept: bool = True,
    remembers: bool = False,
    admit: Callable[[Run], None] | None = None,
    parent: UUID | None = None,
    once: Once | None = None,
) -> tuple[Run, Recording]:
    """Note that a run of an agentflow begins, or take up the one that `answer` is for; the run as it is to be run.

    `caller` and `kind` are what its messages are stored under; `execution` is the id of a new one, where it was chosen
    before; `kept`: False where nothing of the flow's conversations is to be kept; `remembers`: the flow goes on from
    what the session's last run left; `admit` raises what speaks against a new run, before anything is noted; `parent`:
    the run that called the flow; `once` is done in the transaction that takes up the run which waits.
    Raises `NothingWaits`, `AlreadyAnswered`, `AnotherNodeWaits`, `SeveralWait`, `NotFound` when the flow is gone, and
    `BegunBefore` for an id whose run has begun.
    """
    assert run.chatflow is not None
    owner = Owner(run.chatflow, caller, run.session, run.chat, kind, parent)
    if answer is not None:
        return await _resume(database, run, owner, answer, kept=kept, once=once)
    context = storable({"question": run.question, "form": run.form, "webhook": run.webhook})
    chosen = execution or uuid4()
    async with database.read(run.workspace) as scope:
        if remembers and (nodes := await records.last(scope, owner)) is not None:
            run = replace(run, last=Paused(executed(nodes), state_of_nodes(nodes)))
        if admit is not None:
            admit(run)
        hold = await records.insert(scope, chosen, owner, context, LEASE_SECONDS)
        if hold is None:
            if await records.state_of(scope, chosen) is not None:
                raise BegunBefore
            raise chatflows.missing(run.chatflow)
    recording = Recording(database, run.workspace, hold, {}, kept=kept, attended=run.kept)
    recording.begin()
    return replace(run, execution=hold.id), recording


async def _resume(
    database: Database, run: Run, owner: Owner, answer: Answer, *, kept: bool, once: Once | None
) -> tuple[Run, Recording]:
    async with database.write(run.workspace) as scope:
        if once is not None:
            await once(scope)
        await _check_one(scope, owner, answer)
        waiting = await records.claim(scope, owner, answer, LEASE_SECONDS)
        if waiting is None:
            await _refuse(scope, owner, answer)
    assert waiting is not None
    recording = Recording(database, run.workspace, waiting.hold, waiting.usage, kept=kept)
    recording.begin()
    return _continued(run, waiting, answer), recording


async def check(database: Database, workspace: UUID, owner: Owner, answer: Answer) -> None:
    """Raises what `begin` would raise for this answer now."""
    async with database.read(workspace) as scope:
        await _check_one(scope, owner, answer)
        if not await records.waiting(scope, owner, answer):
            await _refuse(scope, owner, answer)


async def _check_one(scope: Scope, owner: Owner, answer: Answer) -> None:
    """An answer that names nothing counts where one run waits. Raises `SeveralWait`, naming where they do."""
    if answer.node or answer.action:
        return
    nodes = await records.waiting(scope, owner, answer)
    if len(nodes) > 1:
        places = ", ".join(f"'{node}'" for node in dict.fromkeys(nodes))
        raise SeveralWait(
            f"{len(nodes)} runs of this session wait for an answer: name the node of one by humanInput.startNodeId"
            f" ({places}), or answer by the `action` of its message"
        )


async def _refuse(scope: Scope, owner: Owner, answer: Answer) -> None:
    """Why nothing waits for an answer, raised."""
    answered, waits_at = await records.unclaimed(scope, owner, answer)
    if answered:
        raise AlreadyAnswered
    if waits_at is not None:
        raise AnotherNodeWaits(f"humanInput.startNodeId: the run waits at the node '{waits_at}'")
    raise NothingWaits


def _continued(run: Run, waiting: Waiting, answer: Answer) -> Run:
    """The run with what it had done and what was answered. Question, form and webhook are those that it began with."""
    context, pause = waiting.context, waiting.pause
    return replace(
        run,
        execution=waiting.hold.id,
        question=str(context.get("question") or ""),
        form=context.get("form"),
        webhook=context.get("webhook"),
        human=HumanInput(Decision.PROCEED if answer.proceed else Decision.REJECT, waiting.node, answer.feedback),
        paused=Paused(executed(pause.get("executed") or ()), pause.get("state") or {}, pause.get("progress") or {}),
    )


async def standing(database: Database, workspace: UUID, execution: UUID) -> RunStatus | None:
    """How a run is now; one whose process has died is an ERROR. None for an unknown one."""
    async with database.read(workspace) as scope:
        state = await records.state_of(scope, execution)
    if state is None:
        return None
    return RunStatus.ERROR if state[0] is RunStatus.INPROGRESS and not state[2] else state[0]


async def ended(database: Database, workspace: UUID, execution: UUID) -> tuple[RunStatus, str | None] | None:
    """How a run ended, and its error, as soon as no process runs it any more; None for an unknown one."""
    while True:
        async with database.read(workspace) as scope:
            state = await records.state_of(scope, execution)
        if state is None:
            return None
        if not state[2]:
            return state[0], state[1]
        await asyncio.sleep(LOOK_SECONDS)


async def told(database: Database, workspace: UUID, execution: UUID) -> tuple[UUID, str, str] | None:
    """The newest answer that a run has written: id, text, conversation; None without one."""
    async with database.read(workspace) as scope:
        return await records.told(scope, execution)


# What people see


async def get(database: Database, workspace: UUID, execution: UUID, *, everything: bool = True) -> Execution:
    """An execution, else `NotFound`. `everything`: also one that was made for somebody with principals."""
    async with database.read(workspace) as scope:
        found = await records.get(scope, execution)
        if found is None or not (everything or not await records.bound(scope, execution)):
            raise missing(execution)
    return found


async def public(database: Database, execution: UUID) -> Execution:
    """An execution that its owner made public, else `NotFound`."""
    async with database.connection() as connection:
        found = await records.public(connection, execution)
    if found is None:
        raise missing(execution)
    return found


async def page(
    database: Database, workspace: UUID, wanted: Filter, offset: int, size: int
) -> tuple[list[tuple[Execution, Chatflow]], int]:
    """Executions with their flows, last changed first, and how many there are in all. Their nodes come with them as far
    as they fit into `ROOM`."""
    async with database.read(workspace) as scope:
        found, total = await records.page(scope, wanted, offset, size, ROOM)
    flows = {}
    for flow_id in {item.chatflow for item in found}:
        try:
            flows[flow_id] = await chatflows.get(database, workspace, flow_id)
        except NotFound:
            continue  # deleted since, and its executions with it
    return [(item, flows[item.chatflow]) for item in found if item.chatflow in flows], total


async def of_messages(scope: Scope, ids: Sequence[UUID], room: int) -> Mapping[UUID, Execution]:
    """Executions by their ids, the newest with their nodes as far as these fit into `room` bytes."""
    return await records.of_ids(scope, ids, room) if ids else {}


async def publish(
    database: Database, workspace: UUID, execution: UUID, changes: Mapping[str, bool | None], *, everything: bool = True
) -> Execution:
    """Change what `changes` names: `is_public`. Raises `NotFound`."""
    await get(database, workspace, execution, everything=everything)
    if "is_public" in changes:
        async with database.write(workspace) as scope:
            if not await records.publish(scope, execution, changes["is_public"]):
                raise missing(execution)
    return await get(database, workspace, execution, everything=everything)


async def delete(database: Database, workspace: UUID, ids: Sequence[UUID]) -> int:
    """Remove executions; their messages stay. Says how many went."""
    async with database.write(workspace) as scope:
        return await records.delete(scope, ids)


async def delete_in(scope: Scope, ids: Sequence[UUID]) -> int:
    """`delete` in the caller's transaction."""
    return await records.delete(scope, ids)


async def drop(scope: Scope, chatflow: UUID, chats: Sequence[str] | None, ids: Sequence[UUID] = ()) -> int:
    """Remove, in the caller's transaction, the executions of conversations of which nothing is left (None: of all of
    the flow's), and those of `ids` of which no message tells any more; says how many went."""
    return await records.drop(scope, chatflow, chats, ids)


def missing(execution: object) -> NotFound:
    """There is no such execution: the message names it."""
    return NotFound(f"Execution {execution} not found")


async def end_lost(resources: "Resources") -> int:
    """Note of every run whose process has died that it failed; says how many there were."""
    async with resources.database.connection() as connection:
        return await records.end_lost(connection)
