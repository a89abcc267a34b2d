"""The rows of chat messages, and the signal that stops a run."""

import json
import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg.errors import ForeignKeyViolation
from psycopg.types.json import Jsonb

from service.predictions.types import Exchange
from stores.records.database import Connection, Scope

ESCAPE = len("\\ud800")
_REFUSED = re.compile(
    r"\\\\|\\u0000|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
"""In JSON text: an escaped backslash, NUL, a surrogate pair, half of one."""

CHANNEL = "ragstone_runs"
"""Signals carry what `runs.signal` writes."""

STORE = """
INSERT INTO chat_messages (id, workspace_id, chatflow_id, caller, session_id, chat_id, chat_type, role, content, state,
    source_documents, usage, memory_type, lead_email, used_tools, artifacts, action, file_uploads, reason_content,
    follow_up_prompts, execution_id)
SELECT said.id, %(workspace)s, %(chatflow)s, %(caller)s, %(session)s, %(chat)s, %(type)s, said.role, said.content,
    %(state)s, said.sources, said.usage, %(memory)s, said.lead, said.tools, said.artifacts, said.action, said.uploads,
    said.reasoning, said.follow_ups, %(execution)s
FROM (VALUES
        (1, %(user_id)s::uuid, 'userMessage', %(question)s::text, NULL::jsonb, NULL::jsonb, %(lead)s::text,
            NULL::jsonb, NULL::jsonb, NULL::jsonb, %(uploads)s::jsonb, NULL::jsonb, NULL::text),
        (2, %(answer_id)s::uuid, 'apiMessage', %(answer)s::text, %(sources)s::jsonb, %(usage)s::jsonb, NULL,
            %(tools)s::jsonb, %(artifacts)s::jsonb, %(action)s::jsonb, NULL, %(reasoning)s::jsonb,
            %(follow_ups)s::text)
    ) AS said (place, id, role, content, sources, usage, lead, tools, artifacts, action, uploads, reasoning,
        follow_ups),
    set_config('synchronous_commit', 'off', true) AS mode
WHERE mode = 'off'
ORDER BY said.place
"""
"""Both rows in one statement, seen by everyone at once. Its transaction does not wait for the disk, which would be the
largest part of a prediction's latency: a crash of the database server (not of ours) can take the last half second of
conversations with it, and never one message of a pair."""


async def store(scope: Scope, exchange: Exchange) -> bool:
    """Both messages of an exchange, together or not at all; False when the flow was deleted meanwhile."""
    try:
        await scope.run(
            STORE,
            user_id=exchange.user_id,
            answer_id=exchange.answer_id,
            chatflow=exchange.chatflow,
            caller=exchange.caller,
            session=exchange.session,
            chat=exchange.chat,
            type=exchange.type.value,
            question=exchange.question,
            answer=exchange.answer,
            state=exchange.state.value,
            sources=_json(exchange.sources),
            usage=_json(exchange.usage),
            memory=exchange.memory,
            lead=exchange.lead,
            tools=_json(exchange.tools),
            artifacts=_json(exchange.artifacts),
            action=_json(exchange.action),
            uploads=_json(exchange.uploads),
            reasoning=_json(exchange.reasoning),
            follow_ups=None if exchange.follow_ups is None else json.dumps(exchange.follow_ups, ensure_ascii=False),
            execution=exchange.execution,
        )
    except ForeignKeyViolation:
        return False
    return True


async def outlived(
    connection: Connection, days: float, longest: float, limit: int
) -> list[tuple[UUID, UUID, list[UUID]]]:
    """Messages of all workspaces that are older than their flow says, or than `days` (0: for ever) where it does not
    (`longest` where that is more); by workspace and flow, `limit` in all."""
    cursor = await connection.execute(
        "SELECT workspace_id, chatflow_id, array_agg(id) AS ids FROM ("
        " SELECT m.id, m.workspace_id, m.chatflow_id FROM chatflows f JOIN chat_messages m ON m.chatflow_id = f.id"
        " WHERE coalesce(f.message_days, nullif(%(days)s::double precision, 0)) IS NOT NULL"
        " AND m.created_at < now()"
        " - make_interval(secs => 86400 * least(coalesce(f.message_days, %(days)s), %(longest)s))"
        " LIMIT %(limit)s) old GROUP BY workspace_id, chatflow_id",
        {"days": days, "longest": longest, "limit": limit},
    )
    return [(row["workspace_id"], row["chatflow_id"], row["ids"]) for row in await cursor.fetchall()]


async def forget(scope: Scope, chatflow: UUID, messages: Sequence[UUID]) -> tuple[int, list[str], list[UUID]]:
    """Remove messages, their feedback with them; how many, the conversations that have none any more, and the
    executions that wrote them."""
    rows = await scope.all(
        "DELETE FROM chat_messages WHERE workspace_id = %(workspace)s AND id = ANY(%(messages)s)"
        " RETURNING chat_id, execution_id",
        messages=list(messages),
    )
    chats = sorted({row["chat_id"] for row in rows})
    left = await scope.all(
        "SELECT DISTINCT chat_id FROM chat_messages WHERE workspace_id = %(workspace)s AND chatflow_id = %(chatflow)s"
        " AND chat_id = ANY(%(chats)s)",
        chatflow=chatflow,
        chats=chats,
    )
    ran = {row["execution_id"] for row in rows if row["execution_id"] is not None}
    return len(rows), sorted(set(chats) - {row["chat_id"] for row in left}), sorted(ran)


async def signal_abort(connection: Connection, payload: str) -> None:
    """Tell every process to stop a run."""
    await connection.execute("SELECT pg_notify(%(channel)s, %(payload)s)", {"channel": CHANNEL, "payload": payload})


async def messages(scope: Scope, chatflow: UUID) -> list[dict[str, Any]]:
    """The messages of a flow, oldest first."""
    return await scope.all(
        "SELECT * FROM chat_messages WHERE workspace_id = %(workspace)s AND chatflow_id = %(chatflow)s"
        " ORDER BY sequence",
        chatflow=chatflow,
    )


def _json(value: Any) -> Jsonb | None:
    return None if value is None else Jsonb(value, dumps=_storable)


def _storable(value: Any) -> str:
    """JSON text that the database takes: tools and models write what it has no room for."""
    try:
        text = json.dumps(value, default=str, allow_nan=False)
    except ValueError:
        text = json.dumps(json.loads(json.dumps(value, default=str), parse_constant=lambda _name: None))
    return _REFUSED.sub(_replaced, text) if "\\u" in text else text


def _replaced(found: re.Match[str]) -> str:
    """Escapes as the database takes them: none of NUL, U+FFFD for halves of surrogate pairs."""
    escape = found.group()
    if escape == "\\u0000":
        return ""
    return escape if escape.startswith("\\\\") or len(escape) > ESCAPE else "\\ufffd"
