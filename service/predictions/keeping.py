"""What is kept of a prediction, and for how long."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

from service.attachments import service as attachments
from service.chatflows.keeping import LONGEST
from service.executions import service as executions
from service.predictions import records
from service.predictions.showing import source_document, used_tool
from service.predictions.types import Exchange
from service.predictions.uploads import Brought
from service.predictions.usage import Spent
from service.predictions.written import Written
from service.resources import Resources
from stores.records.database import Scope

log = logging.getLogger("ragstone.predictions")

Ending = Callable[[Scope], Awaitable[None]]

AT_ONCE = 500
"""Messages that housekeeping removes in one go."""


def columns(written: Written, spent: Spent) -> Mapping[str, Any]:
    """What a run has produced, as the fields of its `Exchange`."""
    reasoning = None
    if written.thoughts:
        reasoning = {"thinking": "".join(written.thoughts), "thinkingDuration": written.thought_seconds}
    return {
        "answer": written.answer,
        "sources": None if written.sources is None else [source_document(item) for item in written.sources],
        "usage": spent.shown(full=True) if spent.models else None,
        "tools": None if written.tools is None else [used_tool(item) for item in written.tools],
        "artifacts": written.artifacts,
        "action": written.action,
        "reasoning": reasoning,
        "execution": written.execution,
    }


async def keep(
    resources: Resources,
    workspace: UUID,
    exchange: Exchange,
    brought: Brought | None = None,
    ending: Ending | None = None,
) -> None:
    """Store both messages of an exchange, and the files that it brought; `ending` writes down in the same transaction
    how the run of an agentflow ended."""
    database = resources.database
    alone = ending is None and not (brought and brought.named)  # one statement needs no transaction of ours
    async with database.read(workspace) if alone else database.write(workspace) as scope:
        if not await records.store(scope, exchange):
            log.warning("Chatflow %s was deleted while it answered", exchange.chatflow)
        else:
            if brought is not None:
                await brought.keep(resources, scope, exchange.user_id)
            if ending is not None:
                await ending(scope)
    if brought is not None:
        await brought.settle(resources.blobs)


async def forget_old(resources: Resources) -> int:
    """Remove the messages that are older than their flow or the settings say, feedback with them, and have the files of
    conversations go of which nothing is left; says how many messages went."""
    gone = 0
    while True:
        async with resources.database.connection() as connection:
            found = await records.outlived(connection, resources.settings.message_days, LONGEST, AT_ONCE)
        for workspace, flow, messages in found:
            async with resources.database.write(workspace) as scope:
                count, chats, ran = await records.forget(scope, flow, messages)
                await attachments.expire(scope, flow, chats)
                await executions.drop(scope, flow, chats, ran)
            gone += count
        if sum(len(messages) for _, _, messages in found) < AT_ONCE:
            return gone
