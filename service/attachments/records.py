"""The rows of attachments."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from psycopg.rows import DictRow

from service.attachments.types import HIDDEN, Attachment, Part
from stores.records.database import Connection, Scope

SELECT = (
    "SELECT id, chatflow_id, chat_id, caller, name, mime, size, blob, expires_at, visitor, message_id, place, part,"
    " letters FROM attachments"
)
"""Without the texts, which may be long."""


def _attachment(row: DictRow) -> Attachment:
    return Attachment(
        id=row["id"],
        chatflow=row["chatflow_id"],
        chat=row["chat_id"],
        caller=row["caller"],
        name=row["name"],
        mime=row["mime"],
        size=row["size"],
        blob=row["blob"],
        expires_at=row["expires_at"],
        visitor=row["visitor"],
        message=row["message_id"],
        place=row["place"],
        part=Part(row["part"]) if row["part"] else None,
        letters=row["letters"],
    )


async def hold_flow(scope: Scope, flow_id: UUID) -> bool:
    """Keep a chatflow from being deleted until the transaction ends, and its attachments from being counted by others;
    False when it is gone."""
    row = await scope.one(
        "SELECT 1 AS here FROM chatflows WHERE workspace_id = %(workspace)s AND id = %(flow)s FOR KEY SHARE",
        flow=flow_id,
    )
    if row is not None:
        await scope.run("SELECT pg_advisory_xact_lock(hashtextextended(%(name)s, 0))", name=f"attachments {flow_id}")
    return row is not None


async def holders(scope: Scope, flow_id: UUID) -> dict[str, int]:
    """What a chatflow's attachments take (`Attachment.taken`) by visitor; those of callers with a key under an empty
    name."""
    rows = await scope.all(
        "SELECT visitor, sum(size + letters)::bigint AS taken FROM attachments"
        " WHERE workspace_id = %(workspace)s AND chatflow_id = %(flow)s GROUP BY visitor",
        flow=flow_id,
    )
    return {row["visitor"]: int(row["taken"]) for row in rows}


async def displace(scope: Scope, flow_id: UUID, visitor: str) -> tuple[str, int]:
    """Remove the oldest attachment of a visitor who has one; its blob and what it took."""
    row = await scope.one(
        "DELETE FROM attachments WHERE id = (SELECT id FROM attachments WHERE workspace_id = %(workspace)s"
        " AND chatflow_id = %(flow)s AND visitor = %(visitor)s ORDER BY created_at, id LIMIT 1)"
        " RETURNING blob, size + letters AS taken",
        flow=flow_id,
        visitor=visitor,
    )
    assert row is not None
    return row["blob"], row["taken"]


async def insert(scope: Scope, rows: Sequence[Attachment]) -> None:
    """Keep attachments."""
    await scope.many(
        "INSERT INTO attachments (id, workspace_id, chatflow_id, chat_id, caller, name, mime, size, blob, expires_at,"
        " visitor, message_id, place, part, content, letters)"
        " VALUES (%(id)s, %(workspace)s, %(chatflow)s, %(chat)s, %(caller)s, %(name)s, %(mime)s, %(size)s, %(blob)s,"
        " %(expires_at)s, %(visitor)s, %(message)s, %(place)s, %(part)s, %(content)s, %(letters)s)",
        [
            {
                **{name: getattr(row, name) for name in Attachment.__dataclass_fields__},
                "part": row.part.value if row.part else None,
            }
            for row in rows
        ],
    )


async def of_chat(scope: Scope, flow_id: UUID, chat: str, limit: int) -> list[Attachment]:
    """The attachments of a conversation, newest first."""
    rows = await scope.all(
        SELECT + " WHERE workspace_id = %(workspace)s AND chatflow_id = %(flow)s"
        " AND chat_id = %(chat)s AND expires_at > now() AND (part = ANY(%(hidden)s)) IS NOT TRUE"
        " ORDER BY created_at DESC, id LIMIT %(limit)s",
        flow=flow_id,
        chat=chat,
        hidden=[part.value for part in HIDDEN],
        limit=limit,
    )
    return [_attachment(row) for row in rows]


async def named(scope: Scope, flow_id: UUID, chat: str, name: str, callers: Sequence[str]) -> Attachment | None:
    """The newest file of this name that one of these callers brought to a conversation."""
    row = await scope.one(
        SELECT + " WHERE workspace_id = %(workspace)s AND chatflow_id = %(flow)s"
        " AND chat_id = %(chat)s AND name = %(name)s AND caller = ANY(%(callers)s) AND expires_at > now()"
        " AND (part = ANY(%(hidden)s)) IS NOT TRUE"
        " ORDER BY created_at DESC, id LIMIT 1",
        flow=flow_id,
        chat=chat,
        name=name,
        callers=list(callers),
        hidden=[part.value for part in HIDDEN],
    )
    return _attachment(row) if row else None


async def of_messages(scope: Scope, flow_id: UUID, messages: Sequence[UUID]) -> list[Attachment]:
    """What came with these messages of a chatflow and is something to later ones, in its order within each."""
    rows = await scope.all(
        SELECT + " WHERE workspace_id = %(workspace)s AND chatflow_id = %(flow)s"
        " AND message_id = ANY(%(messages)s) AND part IS NOT NULL AND expires_at > now() ORDER BY message_id, place",
        flow=flow_id,
        messages=list(messages),
    )
    return [_attachment(row) for row in rows]


async def contents(scope: Scope, ids: Sequence[UUID], most: int) -> Mapping[UUID, str]:
    """The first `most` characters of the texts that are kept with attachments."""
    rows = await scope.all(
        "SELECT id, left(content, %(most)s) AS text FROM attachments WHERE workspace_id = %(workspace)s"
        " AND id = ANY(%(ids)s) AND content IS NOT NULL",
        ids=list(ids),
        most=most,
    )
    return {row["id"]: row["text"] for row in rows}


async def some_of_flow(scope: Scope, flow_id: UUID, limit: int) -> list[Attachment]:
    """Some attachments of a chatflow."""
    rows = await scope.all(
        SELECT + " WHERE workspace_id = %(workspace)s AND chatflow_id = %(flow)s LIMIT %(limit)s",
        flow=flow_id,
        limit=limit,
    )
    return [_attachment(row) for row in rows]


async def expire(scope: Scope, flow_id: UUID, chats: Sequence[str]) -> None:
    """End the time of the attachments of these conversations."""
    await scope.run(
        "UPDATE attachments SET expires_at = now() WHERE workspace_id = %(workspace)s AND chatflow_id = %(flow)s"
        " AND chat_id = ANY(%(chats)s) AND expires_at > now()",
        flow=flow_id,
        chats=list(chats),
    )


async def expired(connection: Connection, limit: int) -> list[tuple[UUID, str]]:
    """Attachments of all workspaces whose time is over, as id and blob."""
    cursor = await connection.execute(
        "SELECT id, blob FROM attachments WHERE expires_at < now() ORDER BY expires_at LIMIT %(limit)s",
        {"limit": limit},
    )
    return [(row["id"], row["blob"]) for row in await cursor.fetchall()]


async def forget(connection: Connection, ids: Sequence[UUID]) -> int:
    """Remove the rows of attachments whose blobs are gone."""
    cursor = await connection.execute("DELETE FROM attachments WHERE id = ANY(%(ids)s)", {"ids": list(ids)})
    return cursor.rowcount
