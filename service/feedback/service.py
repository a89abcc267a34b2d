"""Take feedback from whoever got the answer; show it to those who own the chatflow."""

from datetime import datetime
from uuid import UUID, uuid4

from service.chatflows import service as chatflows
from service.errors import BadRequest, NotFound
from service.feedback import records
from service.feedback.types import Feedback, Rating
from service.resources import Resources
from stores.records.database import Database


async def give(
    resources: Resources,
    message_id: UUID,
    rating: Rating,
    content: str | None,
    *,
    chatflow: UUID | None,
    chat: str | None,
    origin: str | None,
) -> Feedback:
    """Keep what somebody says of an answer, in place of what was said of it before.

    The message's id opens it: only who got the answer knows that. Raises `NotFound` for an unknown message,
    `BadRequest` for a chatflow or a conversation that is not the message's, `OriginRefused`.
    """
    async with resources.database.connection() as connection:
        message = await records.message_of(connection, message_id)
    if message is None:
        raise NotFound(f"Message {message_id} not found")
    for name, given, own in (("chatflowid", chatflow, message["chatflow_id"]), ("chatId", chat, message["chat_id"])):
        if given is not None and given != own:
            raise BadRequest(f"{name}: the message {message_id} is of another one")
    await chatflows.check_origin(resources, message["chatflow_id"], origin)
    asked = Feedback(uuid4(), message["chatflow_id"], message["chat_id"], message_id, rating, content, datetime.min)
    async with resources.database.write(message["workspace_id"]) as scope:
        kept = await records.put(scope, asked)
    if kept is None:
        raise NotFound(f"Message {message_id} not found")
    return kept


async def change(
    resources: Resources, feedback_id: UUID, rating: Rating | None, content: str | None, *, origin: str | None
) -> None:
    """Change what was said; None leaves it. Raises `NotFound`, `OriginRefused`."""
    async with resources.database.connection() as connection:
        owner = await records.owner_of(connection, feedback_id)
    if owner is None:
        raise NotFound(f"Feedback {feedback_id} not found")
    await chatflows.check_origin(resources, owner["chatflow_id"], origin)
    async with resources.database.write(owner["workspace_id"]) as scope:
        if not await records.change(scope, feedback_id, rating, content):
            raise NotFound(f"Feedback {feedback_id} not found")


async def page(
    database: Database,
    workspace: UUID,
    chatflow: UUID,
    *,
    chat: str | None,
    newest_first: bool,
    start: datetime | None,
    end: datetime | None,
    limit: int,
) -> list[Feedback]:
    """The feedback to a chatflow's answers in order of time. Raises `NotFound`."""
    await chatflows.get(database, workspace, chatflow)
    async with database.read(workspace) as scope:
        return await records.page(
            scope, chatflow, chat=chat, newest_first=newest_first, start=start, end=end, limit=limit
        )
