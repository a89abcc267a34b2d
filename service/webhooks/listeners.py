"""Who looks on while a flow is called: its runs' events, written to the database, from whatever process they run in.

A listener is a row that lives for as long as somebody reads. Runs of a flow without listeners write nothing.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from uuid import UUID, uuid4

from service.chatflows import service as chatflows
from service.errors import NotFound
from service.predictions.service import Prediction
from service.predictions.writing import HEARTBEAT, Writer, frame
from service.resources import Resources
from service.webhooks import records
from service.webhooks.trigger import trigger_of
from service.worker.postgres import OUT_OF_REACH

log = logging.getLogger("ragstone.webhooks")

LISTEN_SECONDS = 120.0
"""How long a listener is waited for that does not read."""
LOOK_SECONDS = 0.25
BEAT_SECONDS = 15.0
WAIT_SECONDS = 5.0
AT_ONCE = 64
"""Bundles of frames that a listener reads at a time."""

_tasks: set[asyncio.Task[None]] = set()


class NobodyListens(NotFound):
    """There is no such listener, or it has gone."""

    code = "no_listener"


async def register(resources: Resources, workspace: UUID, flow_id: UUID) -> UUID:
    """A listener of a flow. Raises `NotFound`, `NoWebhook`."""
    trigger_of(await chatflows.get(resources.database, workspace, flow_id))
    listener = uuid4()
    async with resources.database.write(workspace) as scope:
        if not await records.listen(scope, listener, flow_id, LISTEN_SECONDS):
            raise chatflows.missing(flow_id)
    return listener


async def unregister(resources: Resources, workspace: UUID, flow_id: UUID, listener: UUID) -> None:
    """Nobody looks on any more. Raises `NotFound` for an unknown flow."""
    await chatflows.get(resources.database, workspace, flow_id)
    async with resources.database.write(workspace) as scope:
        await records.gone(scope, listener, flow_id)


async def attend(resources: Resources, workspace: UUID, flow_id: UUID, listener: UUID) -> int:
    """Begin to read: the number behind which new frames come. Raises `NotFound`, `NobodyListens`."""
    await chatflows.get(resources.database, workspace, flow_id)
    async with resources.database.read(workspace) as scope:
        if not await records.still(scope, listener, flow_id, LISTEN_SECONDS):
            raise NobodyListens(f"Listener {listener} not found")
        return await records.newest(scope, flow_id)


async def watch(
    resources: Resources, workspace: UUID, flow_id: UUID, listener: UUID, after: int, left: asyncio.Event
) -> AsyncIterator[bytes]:
    """The frames of a flow's runs from now on, until `left` is set or the listener is taken away."""
    yield frame("listenerReady", {"listenerId": str(listener)})
    beat = renewed = asyncio.get_running_loop().time()
    while not left.is_set():
        async with resources.database.read(workspace) as scope:
            found = await records.frames(scope, flow_id, after, AT_ONCE)
            now = asyncio.get_running_loop().time()
            if now - renewed > BEAT_SECONDS:
                renewed = now
                if not await records.still(scope, listener, flow_id, LISTEN_SECONDS):
                    return
        for _, text in found:
            yield text.encode()
        if found:
            after, beat = found[-1][0], now
        elif now - beat > BEAT_SECONDS:
            beat = now
            yield HEARTBEAT
        if not found:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await left.wait()


async def mirror(resources: Resources, workspace: UUID, flow_id: UUID, prediction: Prediction) -> None:
    """Show a run that has begun to those who look on, if anybody does."""
    async with resources.database.read(workspace) as scope:
        if not await records.watched(scope, flow_id):
            return
    task = asyncio.create_task(_shown(resources, workspace, flow_id, prediction))
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


async def _shown(resources: Resources, workspace: UUID, flow_id: UUID, prediction: Prediction) -> None:
    running, writer, read = prediction.running, Writer(full=True), 0
    try:
        while not running.done or read < len(running.events):
            events = await running.read(read, WAIT_SECONDS)
            read += len(events)
            if events:
                async with resources.database.read(workspace) as scope:
                    await records.tell(scope, flow_id, writer.write(events).decode())
        async with resources.database.read(workspace) as scope:
            await records.tell(scope, flow_id, frame("executionEnd", {"chatId": prediction.chat}).decode())
    except OUT_OF_REACH as error:
        log.warning("Those who look on at chatflow %s miss a run: %s", flow_id, error)
