"""One attempt at a run, as it is written down while it goes on."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from service.chatflows.types import ActionWanted, Executed, FlowStatus, NodesExecuted, Paused, RunStatus, StepEvent
from service.executions import records
from service.executions.types import Hold, Outcome
from service.predictions.text import clean
from service.worker.postgres import OUT_OF_REACH
from stores.records.database import Database, Scope

log = logging.getLogger("ragstone.executions")

LEASE_SECONDS = 60.0
"""A run whose process says nothing of it for so long has ended with its process."""

RENEW_SECONDS = 15.0

WRITE_SECONDS = 2.0
"""How often the nodes that have run are written at most."""

OFTEN = 256 * 1024
"""Bytes of nodes up to which they are written while the run goes on; larger ones are at its end."""


class Recording:
    """Notes what a run says, renews its lease, and writes how it ended. `begin` it, then `close` it, whatever happens.

    The end is written by `end` in the transaction that stores the messages, or by `fail` when nothing is stored."""

    def __init__(
        self,
        database: Database,
        workspace: UUID,
        hold: Hold,
        spent: Mapping[str, Any],
        *,
        kept: bool = True,
        attended: bool = True,
    ) -> None:
        """`spent`: the usage of attempts before this one. What is not `kept` goes when the run has ended, as nothing is
        to be known of the flow's conversations; one that waits for a person stays until it is answered, unless there is
        nobody who could (`attended`)."""
        self.id = hold.id
        self.ended = False
        """Whether its end has been written."""
        self._database = database
        self._workspace = workspace
        self._hold = hold
        self._spent = spent
        self._kept = kept
        self._attended = attended
        self._nodes: Sequence[Executed] | None = None
        self._written: Sequence[Executed] | None = None
        self._status: RunStatus | None = None
        self._action: Mapping[str, Any] | None = None
        self._paused: Paused | None = None
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Keep the lease from now on."""
        self._task = asyncio.create_task(self._keep())

    def note(self, event: StepEvent) -> None:
        """What the run says; most of it is not for the execution."""
        match event:
            case NodesExecuted():
                self._nodes = event.nodes
                self._news.set()
            case FlowStatus():
                self._status = event.status
            case ActionWanted():
                self._action, self._paused = event.action, event.paused

    async def end(
        self,
        scope: Scope,
        *,
        error: str | None = None,
        stopped: bool = False,
        usage: Mapping[str, Any] | None = None,
        answer: UUID | None = None,
    ) -> None:
        """Write how it ended. `stopped`: by somebody, before its end; `answer`: the message that it wrote."""
        await self._release()
        state = self._outcome(error, stopped=stopped)
        waits = state is RunStatus.STOPPED
        if not self._kept and not (waits and self._attended):
            await records.delete(scope, [self.id])
            self.ended = True
            return
        outcome = Outcome(
            state,
            None if self._nodes is None else shown(self._nodes),
            storable(self._action) if waits else None,
            self._waits_at() if waits else None,
            self._pause() if waits else None,
            added(self._spent, usage),
            None if error is None else clean(error),
        )
        if not await records.end(scope, self._hold, outcome, answer):
            log.warning("Execution %s was deleted, or taken up by another answer, before it ended", self.id)
        self.ended = True

    async def fail(self, error: str | None, *, stopped: bool = False, usage: Mapping[str, Any] | None = None) -> None:
        """`end` by itself."""
        async with self._database.read(self._workspace) as scope:
            await self.end(scope, error=error, stopped=stopped, usage=usage)

    async def close(self) -> None:
        """Write no more. A run that has no end by then is over when its lease is."""
        await self._release()

    def _outcome(self, error: str | None, *, stopped: bool) -> RunStatus:
        if stopped:
            return RunStatus.TERMINATED
        if error is not None:
            return RunStatus.TIMEOUT if self._status is RunStatus.TIMEOUT else RunStatus.ERROR
        if self._status in (None, RunStatus.INPROGRESS):
            return RunStatus.FINISHED if self._action is None else RunStatus.STOPPED
        assert self._status is not None
        return self._status

    def _waits_at(self) -> str:
        """The node that waits: the one that says so last, else the one that the action names."""
        for node in reversed(self._nodes or ()):
            if node.status is RunStatus.STOPPED:
                return node.node
        data = (self._action or {}).get("data")
        named = data.get("nodeId") if isinstance(data, Mapping) else None
        return str(named or "")

    def _pause(self) -> Mapping[str, Any]:
        """What the run goes on from: as it says, else what can be told from its nodes."""
        if self._paused is None:
            nodes = shown(self._nodes or ())
            return {"executed": nodes, "state": state_of(nodes), "progress": {}}
        paused = self._paused
        return {
            "executed": shown(paused.executed),
            "state": storable(paused.state),
            "progress": storable(paused.progress),
        }

    async def _release(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _keep(self) -> None:
        held = True
        while held:
            with suppress(TimeoutError):
                async with asyncio.timeout(RENEW_SECONDS):
                    await self._news.wait()
            self._news.clear()
            held = await self._write()
            await asyncio.sleep(WRITE_SECONDS)

    async def _write(self) -> bool:
        nodes = None
        if self._nodes is not self._written and self._nodes is not None:
            self._written = self._nodes
            nodes = shown(self._nodes)
            if _size(nodes) > OFTEN:
                nodes = None
        try:
            async with self._database.read(self._workspace) as scope:
                return await records.renew(scope, self._hold, nodes, LEASE_SECONDS)
        except OUT_OF_REACH as error:
            log.warning("Execution %s cannot be written now: %s", self.id, error)
            return True


def shown(nodes: Sequence[Executed]) -> list[dict[str, Any]]:
    """Nodes as they are kept, which is as answers show them (contract 1.2)."""
    return [
        {
            "nodeId": node.node,
            "nodeLabel": node.label,
            "data": storable(node.data),
            "previousNodeIds": list(node.previous),
            "status": node.status.value,
        }
        for node in nodes
    ]


def executed(nodes: Sequence[Mapping[str, Any]]) -> tuple[Executed, ...]:
    """The counterpart of `shown`."""
    return tuple(
        Executed(
            str(node["nodeId"]),
            str(node["nodeLabel"]),
            node["data"],
            tuple(node["previousNodeIds"]),
            RunStatus(node["status"]),
        )
        for node in nodes
    )


def state_of(nodes: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The flow's state as the last of these nodes left it."""
    states = (node["data"].get("state") for node in reversed(nodes))
    return next((state for state in states if isinstance(state, Mapping)), {})


def storable(value: Any) -> Any:
    """A JSON value that a database can hold: text without NUL and halves of characters, only finite numbers."""
    if isinstance(value, str):
        return clean(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {clean(str(key)): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [storable(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else clean(str(value))


def added(before: Mapping[str, Any], now: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The usage of all attempts together: numbers add up, the rest is the newest's."""
    if not before or not now:
        return now or before or None
    total = {**before, **now}
    for name, value in now.items():
        earlier = before.get(name)
        if _is_number(value) and _is_number(earlier):
            total[name] = value + earlier
        elif isinstance(value, Mapping) and isinstance(earlier, Mapping):
            total[name] = added(earlier, value)
    return total


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _size(value: Any) -> int:
    """About how many bytes a JSON value takes."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(len(key) + _size(item) for key, item in value.items())
    if isinstance(value, list):
        return sum(_size(item) for item in value)
    return 8
