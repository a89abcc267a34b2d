"""List, count and delete the messages of a chatflow."""

from uuid import UUID

from service.attachments import service as attachments
from service.chatflows import service as chatflows
from service.messages import records
from service.messages.types import Message, Totals, Wanted
from stores.records.database import Database


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
        return await records.page(
            scope, chatflow, wanted, newest_first=newest_first, offset=offset, sessions=sessions, most=most
        )


async def count(database: Database, workspace: UUID, chatflow: UUID, wanted: Wanted) -> Totals:
    """Messages, sessions and ratings in numbers. Raises `NotFound`."""
    await chatflows.get(database, workspace, chatflow)
    async with database.read(workspace) as scope:
        return await records.count(scope, chatflow, wanted)


async def delete(database: Database, workspace: UUID, chatflow: UUID, wanted: Wanted) -> int:
    """Remove messages with their feedback, and the files of conversations of which nothing is left: what the flow
    remembers is made of these messages, so it forgets them too. Says how many. Raises `NotFound`."""
    await chatflows.get(database, workspace, chatflow)
    async with database.write(workspace) as scope:
        gone, chats = await records.delete(scope, chatflow, wanted)
        await attachments.expire(scope, chatflow, chats)
    return gone
