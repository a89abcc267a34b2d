"""The rows of messages: listed, counted, deleted. Predictions write them."""

from typing import Any, LiteralString
from uuid import UUID

from psycopg import sql
from psycopg.rows import DictRow

from service.feedback.types import Feedback, Rating
from service.messages.types import Message, Totals, Wanted
from stores.records.database import Scope

_CHOSEN: LiteralString = """
    SELECT m.*, f.id AS feedback_id, f.rating, f.content AS feedback_content, f.created_at AS feedback_at,
        lead(f.rating) OVER (PARTITION BY m.session_id, m.caller ORDER BY m.sequence) AS next_rating
    FROM chat_messages m LEFT JOIN feedback f ON f.message_id = m.id
    WHERE m.workspace_id = %(workspace)s AND m.chatflow_id = %(chatflow)s
        AND (%(types)s::text[] = '{}' OR m.chat_type = ANY(%(types)s))
        AND (%(chat)s::text IS NULL OR m.chat_id = %(chat)s)
        AND (%(session)s::text IS NULL OR m.session_id = %(session)s)
        AND (%(memory)s::text IS NULL OR m.memory_type = %(memory)s)
        AND (%(start)s::timestamptz IS NULL OR m.created_at >= %(start)s)
        AND (%(end)s::timestamptz IS NULL OR m.created_at <= %(end)s)
        AND (%(everything)s OR (position('/' IN m.caller) = 0 AND m.caller NOT IN (
            SELECT 'key:' || k.id FROM api_keys k
            WHERE k.workspace_id = %(workspace)s AND k.principals IS NOT NULL)))
"""
"""The messages that pass the conditions, each with its feedback and the rating of the next one in its session."""

_RATED: LiteralString = """
    (%(message)s::uuid IS NULL OR id = %(message)s)
    AND (%(ratings)s::text[] = '{}' OR rating = ANY(%(ratings)s)
        OR (role = 'userMessage' AND next_rating = ANY(%(ratings)s)))
"""

_PARTS = {"chosen": sql.SQL(_CHOSEN), "rated": sql.SQL(_RATED)}

_PAGE = sql.SQL("""
    WITH chosen AS ({chosen}), rated AS (SELECT * FROM chosen WHERE {rated}),
    sessions AS (
        SELECT session_id, caller FROM rated GROUP BY session_id, caller
        ORDER BY max(sequence) DESC OFFSET %(offset)s LIMIT %(sessions)s)
    SELECT rated.* FROM rated JOIN sessions USING (session_id, caller)
    ORDER BY CASE WHEN %(newest_first)s THEN -sequence ELSE sequence END LIMIT %(most)s
""").format(**_PARTS)

_COUNT = sql.SQL("""
    WITH chosen AS ({chosen})
    SELECT count(*) AS messages, count(DISTINCT (session_id, caller)) AS sessions, count(rating) AS feedback,
        count(*) FILTER (WHERE rating = 'THUMBS_UP') AS positive
    FROM chosen WHERE {rated}
""").format(**_PARTS)

_DELETE = sql.SQL("""
    WITH chosen AS ({chosen})
    DELETE FROM chat_messages WHERE workspace_id = %(workspace)s
        AND id IN (SELECT id FROM chosen WHERE {rated}) RETURNING id, chat_id, execution_id
""").format(**_PARTS)


def _conditions(chatflow: UUID, wanted: Wanted) -> dict[str, Any]:
    return {
        "chatflow": chatflow,
        "types": list(wanted.types),
        "chat": wanted.chat,
        "session": wanted.session,
        "memory": wanted.memory,
        "message": wanted.message,
        "start": wanted.start,
        "end": wanted.end,
        "ratings": [rating.value for rating in wanted.ratings],
        "everything": wanted.everything,
    }


def _message(row: DictRow) -> Message:
    feedback = None
    if row["feedback_id"] is not None:
        feedback = Feedback(
            row["feedback_id"],
            row["chatflow_id"],
            row["chat_id"],
            row["id"],
            Rating(row["rating"]),
            row["feedback_content"],
            row["feedback_at"],
        )
    return Message(
        id=row["id"],
        chatflow=row["chatflow_id"],
        role=row["role"],
        content=row["content"],
        chat_type=row["chat_type"],
        chat=row["chat_id"],
        session=row["session_id"],
        memory=row["memory_type"],
        lead_email=row["lead_email"],
        follow_up_prompts=row["follow_up_prompts"],
        execution=row["execution_id"],
        source_documents=row["source_documents"],
        used_tools=row["used_tools"],
        file_annotations=row["file_annotations"],
        agent_reasoning=row["agent_reasoning"],
        reason_content=row["reason_content"],
        file_uploads=row["file_uploads"],
        artifacts=row["artifacts"],
        action=row["action"],
        created_at=row["created_at"],
        feedback=feedback,
    )


async def page(
    scope: Scope, chatflow: UUID, wanted: Wanted, *, newest_first: bool, offset: int, sessions: int | None, most: int
) -> list[Message]:
    """Messages in the order in which they were stored: `most` at most, those of `sessions` sessions from `offset` on,
    the sessions last talked in first."""
    rows = await scope.all(
        _PAGE,
        newest_first=newest_first,
        offset=offset,
        sessions=sessions,
        most=most,
        **_conditions(chatflow, wanted),
    )
    return [_message(row) for row in rows]


async def count(scope: Scope, chatflow: UUID, wanted: Wanted) -> Totals:
    """What `page` would list, in numbers."""
    row = await scope.one(_COUNT, **_conditions(chatflow, wanted))
    assert row is not None
    return Totals(row["messages"], row["sessions"], row["feedback"], row["positive"])


async def delete(scope: Scope, chatflow: UUID, wanted: Wanted) -> tuple[int, list[str], list[UUID]]:
    """Remove messages, their feedback with them; how many, the conversations that have none any more, and the
    executions that wrote them."""
    rows = await scope.all(_DELETE, **_conditions(chatflow, wanted))
    chats = sorted({row["chat_id"] for row in rows})
    left = await scope.all(
        "SELECT DISTINCT chat_id FROM chat_messages WHERE workspace_id = %(workspace)s AND chatflow_id = %(chatflow)s"
        " AND chat_id = ANY(%(chats)s)",
        chatflow=chatflow,
        chats=chats,
    )
    ran = {row["execution_id"] for row in rows if row["execution_id"] is not None}
    return len(rows), sorted(set(chats) - {row["chat_id"] for row in left}), sorted(ran)
