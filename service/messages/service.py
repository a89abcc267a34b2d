"""List, count and delete the messages of a chatflow."""

from dataclasses import replace
from uuid import UUID

from service.attachments import service as attachments
from service.chatflows import service as chatflows
from service.executions import service as executions
from service.messages import records
from service.messages.types import Message, Totals, Wanted
from stores.records.database import Database

ROOM = 16 * 1024 * 1024
"""Bytes of executions that a list of messages carries: the newest ones. Of others it tells all but their nodes."""


async def page(
    database: Database,
    workspace: UUID,
    chatflow: UUID,
    wanted: Wanted,
    *,
    newest_first: bool,
    offset: int = 0,
    sessions: int | None = None,
    most: int,
) -> list[Message]:
    """Messages in order of time; see `records.page`. Raises `NotFound` for a chatflow that the workspace lacks."""
    await chatflows.get(database, workspace, chatflow)
    async with database.read(workspace) as scope:
        found = await records.page(
            scope, chatflow, wanted, newest_first=newest_first, offset=offset, sessions=sessions, most=most
        )
        ids = {item.execution for item in found if item.execution is not None}
        ran = await executions.of_messages(scope, sorted(ids), ROOM)
    return [replace(item, ran=ran.get(item.execution)) if item.execution else item for item in found]


async def count(database: Database, workspace: UUID, chatflow: UUID, wanted: Wanted) -> Totals:
    """Messages, sessions and ratings in numbers. Raises `NotFound`."""
    await chatflows.get(database, workspace, chatflow)
    async with database.read(workspace) as scope:
        return await records.count(scope, chatflow, wanted)


async def delete(database: Database, workspace: UUID, chatflow: UUID, wanted: Wanted) -> int:
    """Remove messages with their feedback, the executions that wrote them, and the files of conversations of which
    nothing is left: what the flow remembers is made of these messages, so it forgets them too. Says how many. Raises
    `NotFound`."""
    await chatflows.get(database, workspace, chatflow)
    async with database.write(workspace) as scope:
        gone, chats, ran = await records.delete(scope, chatflow, wanted)
        await attachments.expire(scope, chatflow, chats)
        await executions.drop(scope, chatflow, None if wanted == Wanted() else chats, ran)
    return gone
