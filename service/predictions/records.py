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
    source_documents, usage, memory_type, lead_email)
VALUES
    (%(user_id)s, %(workspace)s, %(chatflow)s, %(caller)s, %(session)s, %(chat)s, %(type)s, 'userMessage',
        %(question)s, %(state)s, NULL, NULL, %(memory)s, %(lead)s),
    (%(answer_id)s, %(workspace)s, %(chatflow)s, %(caller)s, %(session)s, %(chat)s, %(type)s, 'apiMessage',
        %(answer)s, %(state)s, %(sources)s, %(usage)s, %(memory)s, NULL)
"""


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
