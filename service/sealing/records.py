"""The columns that hold configurations, and how they are gone through."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from stores.records.database import Connection
from stores.vector.points import encode


@dataclass(frozen=True, slots=True)
class Place:
    """A table with configurations: columns whose JSON has sealed fields, and columns of text sealed as a whole."""

    table: str
    fields: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


PLACES = (
    Place("document_stores", ("embedding_config", "vector_store_config", "record_manager_config")),
    Place("loaders", ("loader_config", "splitter_config")),
    Place("documents", ("recipe", "origin")),
    Place("jobs", ("payload",)),
    Place("executions", ("data", "pause", "context", "action")),
    Place("flow_schedules", ("form",)),
    Place("webhook_secrets", texts=("secret",)),
    Place("webhook_deliveries", texts=("url", "secret")),
    Place(
        "chatflows",
        texts=(
            "flow_data", "chatbot_config", "api_config", "analytic", "speech_to_text", "text_to_speech",
            "follow_up_prompts", "mcp_server_config",
        ),
    ),
    Place("tools", texts=("schema", "func")),
    Place("variables", texts=("value",)),
)  # fmt: skip
"""Every place. Answers kept for an Idempotency-Key are not among them: they go after a day."""


async def page(connection: Connection, place: Place, after: UUID, most: int) -> list[Mapping[str, Any]]:
    """Rows of a place by id: the id, the workspace and the columns as they lie."""
    columns = sql.SQL(", ").join(map(sql.Identifier, (*place.fields, *place.texts)))
    cursor = await connection.execute(
        sql.SQL("SELECT id, workspace_id, {} FROM {} WHERE id > %(after)s ORDER BY id LIMIT %(most)s").format(
            columns, sql.Identifier(place.table)
        ),
        {"after": after, "most": most},
    )
    return list(await cursor.fetchall())


async def replace(connection: Connection, place: Place, row: Mapping[str, Any], column: str, value: Any) -> bool:
    """Put a value in the place of what the row was read with; False when somebody else wrote it meanwhile."""
    before = row[column]
    if column in place.fields:
        before, value = Jsonb(before, encode), Jsonb(value, encode)
    cursor = await connection.execute(
        sql.SQL("UPDATE {table} SET {column} = %(value)s WHERE id = %(id)s AND {column} = %(before)s").format(
            table=sql.Identifier(place.table), column=sql.Identifier(column)
        ),
        {"id": row["id"], "before": before, "value": value},
    )
    return cursor.rowcount == 1


async def fact(connection: Connection, name: str) -> str | None:
    """What is noted of the installation."""
    cursor = await connection.execute("SELECT value FROM instance_facts WHERE name = %(name)s", {"name": name})
    row = await cursor.fetchone()
    return row["value"] if row else None


async def note(connection: Connection, name: str, value: str) -> None:
    """Note it, in place of what was noted before."""
    await connection.execute(
        "INSERT INTO instance_facts (name, value) VALUES (%(name)s, %(value)s)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        {"name": name, "value": value},
    )
