"""The rows of chat messages, and the signal that stops a run."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg.errors import ForeignKeyViolation
from psycopg.types.json import Jsonb

from service.predictions.types import Exchange
from stores.records.database import Connection, Scope

CHANNEL = "ragstone_runs"
"""Signals carry what `runs.signal` writes."""

STORE = """
INSERT INTO chat_messages (id, workspace_id, chatflow_id, caller, session_id, chat_id, chat_type, role, content, state,
    source_documents, usage, memory_type, lead_email, used_tools, artifacts, action)
SELECT said.id, %(workspace)s, %(chatflow)s, %(caller)s, %(session)s, %(chat)s, %(type)s, said.role, said.content,
    %(state)s, said.sources, said.usage, %(memory)s, said.lead, said.tools, said.artifacts, said.action
FROM (VALUES
        (1, %(user_id)s::uuid, 'userMessage', %(question)s::text, NULL::jsonb, NULL::jsonb, %(lead)s::text,
            NULL::jsonb, NULL::jsonb, NULL::jsonb),
        (2, %(answer_id)s::uuid, 'apiMessage', %(answer)s::text, %(sources)s::jsonb, %(usage)s::jsonb, NULL,
            %(tools)s::jsonb, %(artifacts)s::jsonb, %(action)s::jsonb)
    ) AS said (place, id, role, content, sources, usage, lead, tools, artifacts, action),
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
        )
    except ForeignKeyViolation:
        return False
    return True


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


def _json(value: Sequence[Any] | Mapping[str, Any] | None) -> Jsonb | None:
    return None if value is None else Jsonb(value)
