"""The rows of chatflows, and what the edge looks up of one before it is known whose it is."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow

from service.chatflows.types import Chatflow, Draft, FlowType
from stores.records.database import Connection, Scope

CHANNEL = "ragstone_chatflows"
"""Signals carry the id of a flow that was changed or removed."""


SEALED = (
    "flow_data", "chatbot_config", "api_config", "analytic", "speech_to_text", "text_to_speech", "follow_up_prompts",
    "mcp_server_config",
)  # fmt: skip
"""Columns that hold texts of callers, kept byte for byte: sealed as a whole, as any of their fields may be a secret."""


SELECT = (
    "SELECT f.*, EXISTS (SELECT FROM webhook_secrets w WHERE w.chatflow_id = f.id) AS webhook_secret_configured"
    " FROM chatflows f"
)
"""Flows, and of each whether its webhook has a secret."""


def _flow(connection: Connection, row: DictRow) -> Chatflow:
    values = dict(row)
    for column in SEALED:
        if values[column]:
            values[column] = connection.sealer.open_text(values[column], row["workspace_id"])
    values["workspace"] = values.pop("workspace_id")
    values["type"] = FlowType(values["type"])
    for column in ("total", "message_days", "document_stores"):
        values.pop(column, None)
    return Chatflow(**values)


def _columns(scope: Scope, draft: Draft) -> dict[str, Any]:
    columns = asdict(draft)
    for column in SEALED:
        if columns[column]:
            columns[column] = scope.connection.sealer.seal_text(columns[column], scope.workspace)
    columns["type"] = draft.type.value
    return columns


async def insert(
    scope: Scope, flow_id: UUID, draft: Draft, *, message_days: float | None, document_stores: Sequence[UUID]
) -> Chatflow:
    """A new flow; `message_days`: for how long its messages are kept, None where it does not say; `document_stores`:
    those that its graph names."""
    row = await scope.one(
        "INSERT INTO chatflows (id, workspace_id, name, type, flow_data, deployed, is_public, api_key_id,"
        " chatbot_config, api_config, analytic, speech_to_text, text_to_speech, follow_up_prompts, category,"
        " mcp_server_config, message_days, document_stores)"
        " VALUES (%(id)s, %(workspace)s, %(name)s, %(type)s, %(flow_data)s, %(deployed)s, %(is_public)s,"
        " %(api_key_id)s, %(chatbot_config)s, %(api_config)s, %(analytic)s, %(speech_to_text)s, %(text_to_speech)s,"
        " %(follow_up_prompts)s, %(category)s, %(mcp_server_config)s,"
        " %(message_days)s, %(document_stores)s) RETURNING *",
        id=flow_id,
        message_days=message_days,
        document_stores=list(document_stores),
        **_columns(scope, draft),
    )
    assert row is not None
    return _flow(scope.connection, row)


async def update(
    scope: Scope,
    flow_id: UUID,
    draft: Draft,
    *,
    message_days: float | None,
    document_stores: Sequence[UUID] | None,
) -> Chatflow | None:
    """The flow with these columns and the next version, made known to all processes; None when there is none.
    `message_days` as `insert` has it, and `document_stores`: None where the graph is as it was."""
    row = await scope.one(
        "WITH changed AS (UPDATE chatflows SET name = %(name)s, type = %(type)s, flow_data = %(flow_data)s,"
        " deployed = %(deployed)s, is_public = %(is_public)s, api_key_id = %(api_key_id)s,"
        " chatbot_config = %(chatbot_config)s, api_config = %(api_config)s, analytic = %(analytic)s,"
        " speech_to_text = %(speech_to_text)s, text_to_speech = %(text_to_speech)s,"
        " follow_up_prompts = %(follow_up_prompts)s, category = %(category)s,"
        " mcp_server_config = %(mcp_server_config)s, message_days = %(message_days)s,"
        " document_stores = coalesce(%(document_stores)s::uuid[], document_stores),"
        # clients compare the date as text of milliseconds: two changes within one must still differ
        " version = version + 1, updated_at = greatest(now(), updated_at + interval '1 millisecond')"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s RETURNING *),"
        " told AS (SELECT pg_notify(%(channel)s, id::text) FROM changed)"
        " SELECT changed.*, EXISTS (SELECT FROM webhook_secrets w WHERE w.chatflow_id = changed.id)"
        " AS webhook_secret_configured FROM changed, told",
        id=flow_id,
        channel=CHANNEL,
        message_days=message_days,
        document_stores=None if document_stores is None else list(document_stores),
        **_columns(scope, draft),
    )
    return _flow(scope.connection, row) if row else None


async def get(scope: Scope, flow_id: UUID, *, lock: bool = False) -> Chatflow | None:
    """A flow of the workspace; `lock` keeps it from changing until the transaction ends, and lets others write what
    belongs to it."""
    if lock:
        row = await scope.one(
            SELECT + " WHERE f.workspace_id = %(workspace)s AND f.id = %(id)s FOR NO KEY UPDATE OF f", id=flow_id
        )
    else:
        row = await scope.one(SELECT + " WHERE f.workspace_id = %(workspace)s AND f.id = %(id)s", id=flow_id)
    return _flow(scope.connection, row) if row else None


async def page(scope: Scope, kind: FlowType | None, offset: int, size: int) -> tuple[list[Chatflow], int]:
    """Flows of one kind or all, last changed first, and how many there are in all."""
    rows = await scope.all(
        "SELECT f.*, count(*) OVER () AS total,"
        " EXISTS (SELECT FROM webhook_secrets w WHERE w.chatflow_id = f.id) AS webhook_secret_configured"
        " FROM chatflows f WHERE workspace_id = %(workspace)s"
        " AND (%(kind)s::text IS NULL OR type = %(kind)s)"
        " ORDER BY updated_at DESC, id LIMIT %(size)s OFFSET %(offset)s",
        kind=kind and kind.value,
        size=size,
        offset=offset,
    )
    total = rows[0]["total"] if rows else 0
    if not rows and offset:
        row = await scope.one(
            "SELECT count(*) AS total FROM chatflows WHERE workspace_id = %(workspace)s"
            " AND (%(kind)s::text IS NULL OR type = %(kind)s)",
            kind=kind and kind.value,
        )
        total = row["total"] if row else 0
    return [_flow(scope.connection, row) for row in rows], total


async def of_key(scope: Scope, key_id: UUID, *, only: bool) -> list[Chatflow]:
    """The flows that are bound to a key and, unless `only` these, those that are bound to none; last changed first."""
    rows = await scope.all(
        SELECT + " WHERE workspace_id = %(workspace)s"
        " AND (api_key_id = %(key)s OR (NOT %(only)s AND api_key_id IS NULL)) ORDER BY updated_at DESC, id",
        key=key_id,
        only=only,
    )
    return [_flow(scope.connection, row) for row in rows]


async def unread(connection: Connection, limit: int) -> list[tuple[UUID, UUID]]:
    """Flows of all workspaces of which nobody has noted what document stores they name: workspace and flow."""
    cursor = await connection.execute(
        "SELECT workspace_id, id FROM chatflows WHERE document_stores IS NULL ORDER BY id LIMIT %(limit)s",
        {"limit": limit},
    )
    return [(row["workspace_id"], row["id"]) for row in await cursor.fetchall()]


async def note_uses(scope: Scope, flow_id: UUID, document_stores: Sequence[UUID]) -> None:
    """Note the document stores that a flow names; it counts as unchanged."""
    await scope.run(
        "UPDATE chatflows SET document_stores = %(document_stores)s::uuid[]"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s",
        id=flow_id,
        document_stores=list(document_stores),
    )


async def delete(scope: Scope, flow_id: UUID) -> int:
    """Remove a flow with its messages; how many went."""
    row = await scope.one(
        "WITH gone AS (DELETE FROM chatflows WHERE workspace_id = %(workspace)s AND id = %(id)s RETURNING id),"
        " told AS (SELECT pg_notify(%(channel)s, id::text) FROM gone)"
        " SELECT count(*) AS affected FROM gone, told",
        id=flow_id,
        channel=CHANNEL,
    )
    return int(row["affected"]) if row else 0


async def find(connection: Connection, flow_id: UUID) -> Chatflow | None:
    """The flow in whatever workspace: how a public call learns whose flow it asks for."""
    cursor = await connection.execute("SELECT * FROM chatflows WHERE id = %(id)s", {"id": flow_id})
    row = await cursor.fetchone()
    return _flow(connection, row) if row else None


async def version(connection: Connection, flow_id: UUID) -> int | None:
    """The version of a flow in whatever workspace; None when there is no such flow."""
    cursor = await connection.execute("SELECT version FROM chatflows WHERE id = %(id)s", {"id": flow_id})
    row = await cursor.fetchone()
    return row["version"] if row else None


ENTER = """
SELECT f.version, f.workspace_id, f.api_key_id, k.id AS key_id, k.scopes AS key_scopes, k.principals AS key_principals,
    nullif(concat_ws(',',
        (SELECT string_agg(c.id || ' ' || c.updated_at, ',' ORDER BY c.id) FROM credentials c
            WHERE c.workspace_id = f.workspace_id AND c.id = ANY(%(named)s)),
        (SELECT string_agg(s.id::text, ',' ORDER BY s.id) FROM document_stores s
            WHERE s.workspace_id = f.workspace_id AND s.id = ANY(%(named)s) AND s.deleted_at IS NULL),
        (SELECT string_agg(o.id::text, ',' ORDER BY o.id) FROM chatflows o
            WHERE o.workspace_id = f.workspace_id AND o.id = ANY(%(named)s)),
        (SELECT string_agg(t.id::text, ',' ORDER BY t.id) FROM tools t
            WHERE t.workspace_id = f.workspace_id AND t.id = ANY(%(named)s))), '') AS stamp,
    (SELECT json_agg(json_build_array(m.role, m.content, m.brought) ORDER BY m.sequence DESC) FROM (
        SELECT role, content, sequence, CASE WHEN file_uploads IS NOT NULL THEN id END AS brought FROM chat_messages
        WHERE workspace_id = f.workspace_id AND chatflow_id = f.id AND session_id = %(session)s
            AND caller = coalesce('key:' || k.id, 'public') || %(viewer)s AND state <> 'failed'
        ORDER BY sequence DESC LIMIT %(turns)s) m) AS turns
FROM chatflows f
LEFT JOIN api_keys k ON k.hash = %(digest)s AND k.revoked_at IS NULL AND k.workspace_id = f.workspace_id
WHERE f.id = %(id)s
"""
"""All that a prediction has to know before it runs, in one round trip. `stamp` changes with the credentials that
the flow names, and as document stores, flows and tools that it names come and go;
`turns` are the newest of the session first, as [role, content, its id where files came with it]."""


async def enter(connection: Connection, **params: Any) -> Mapping[str, Any] | None:
    """The row of ENTER for `id`, `digest`, `session`, `viewer` (what `Caller.name` of the key is followed by),
    `named`, `turns`; None when there is no such flow."""
    cursor = await connection.execute(ENTER, params)
    return await cursor.fetchone()
