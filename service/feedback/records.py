"""The rows of feedback."""

from datetime import datetime
from uuid import UUID

from psycopg.rows import DictRow

from service.feedback.types import Feedback, Rating
from stores.records.database import Connection, Scope


def _feedback(row: DictRow) -> Feedback:
    return Feedback(
        id=row["id"],
        chatflow=row["chatflow_id"],
        chat=row["chat_id"],
        message=row["message_id"],
        rating=Rating(row["rating"]),
        content=row["content"],
        created_at=row["created_at"],
    )


async def message_of(connection: Connection, message_id: UUID) -> DictRow | None:
    """Workspace, chatflow and conversation of a message, in whatever workspace: how a public call learns whose answer
    it speaks of."""
    cursor = await connection.execute(
        "SELECT workspace_id, chatflow_id, chat_id FROM chat_messages WHERE id = %(id)s", {"id": message_id}
    )
    return await cursor.fetchone()


async def owner_of(connection: Connection, feedback_id: UUID) -> DictRow | None:
    """Workspace and chatflow of a feedback, in whatever workspace."""
    cursor = await connection.execute(
        "SELECT workspace_id, chatflow_id FROM feedback WHERE id = %(id)s", {"id": feedback_id}
    )
    return await cursor.fetchone()


async def put(scope: Scope, feedback: Feedback) -> Feedback | None:
    """Keep the feedback to a message, in place of an earlier one, which keeps its id and date; None when the message
    is gone."""
    row = await scope.one(
        "INSERT INTO feedback (id, workspace_id, chatflow_id, message_id, chat_id, rating, content)"
        " SELECT %(id)s, m.workspace_id, m.chatflow_id, m.id, m.chat_id, %(rating)s, %(content)s FROM chat_messages m"
        " JOIN chatflows f ON f.id = m.chatflow_id WHERE m.workspace_id = %(workspace)s AND m.id = %(message)s"
        " FOR KEY SHARE OF f, m"  # in the order in which a flow is deleted
        " ON CONFLICT (message_id) DO UPDATE SET rating = excluded.rating, content = excluded.content RETURNING *",
        id=feedback.id,
        message=feedback.message,
        rating=feedback.rating.value,
        content=feedback.content,
    )
    return _feedback(row) if row else None


async def change(scope: Scope, feedback_id: UUID, rating: Rating | None, content: str | None) -> bool:
    """Change what is not None; False when there is no such feedback."""
    touched = await scope.run(
        "UPDATE feedback SET rating = coalesce(%(rating)s, rating), content = coalesce(%(content)s, content)"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s",
        id=feedback_id,
        rating=rating and rating.value,
        content=content,
    )
    return touched == 1


async def page(
    scope: Scope,
    chatflow: UUID,
    *,
    chat: str | None,
    newest_first: bool,
    start: datetime | None,
    end: datetime | None,
    limit: int,
) -> list[Feedback]:
    """The feedback to a chatflow's answers in order of time."""
    rows = await scope.all(
        "SELECT * FROM feedback WHERE workspace_id = %(workspace)s AND chatflow_id = %(chatflow)s"
        " AND (%(chat)s::text IS NULL OR chat_id = %(chat)s)"
        " AND (%(start)s::timestamptz IS NULL OR created_at >= %(start)s)"
        " AND (%(end)s::timestamptz IS NULL OR created_at <= %(end)s)"
        " ORDER BY CASE WHEN %(newest_first)s THEN created_at END DESC, created_at, id LIMIT %(limit)s",
        chatflow=chatflow,
        chat=chat,
        newest_first=newest_first,
        start=start,
        end=end,
        limit=limit,
    )
    return [_feedback(row) for row in rows]
