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
    Place("evaluations", ("plan",)),
)  # fmt: skip
"""Every place besides credentials and the answers that are kept for an Idempotency-Key."""


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


async def credentials(connection: Connection, after: UUID, newest: int, most: int) -> list[Mapping[str, Any]]:
    """Credentials that another key than the newest has sealed, by id."""
    cursor = await connection.execute(
        "SELECT id, key_version, sealed FROM credentials WHERE id > %(after)s AND key_version <> %(newest)s"
        " ORDER BY id LIMIT %(most)s",
        {"after": after, "newest": newest, "most": most},
    )
    return list(await cursor.fetchall())


async def replace_credential(connection: Connection, row: Mapping[str, Any], version: int, sealed: bytes) -> bool:
    """`replace` for a credential."""
    cursor = await connection.execute(
        "UPDATE credentials SET key_version = %(version)s, sealed = %(sealed)s"
        " WHERE id = %(id)s AND key_version = %(before)s AND sealed = %(held)s",
        {"id": row["id"], "before": row["key_version"], "held": row["sealed"], "version": version, "sealed": sealed},
    )
    return cursor.rowcount == 1


async def answers(connection: Connection, after: tuple[str, str], most: int) -> list[Mapping[str, Any]]:
    """Answers that are kept for an Idempotency-Key, by whose and which it is."""
    cursor = await connection.execute(
        "SELECT owner, key, workspace_id, body FROM idempotency_keys WHERE (owner, key) > (%(owner)s, %(key)s)"
        " AND body IS NOT NULL ORDER BY owner, key LIMIT %(most)s",
        {"owner": after[0], "key": after[1], "most": most},
    )
    return list(await cursor.fetchall())


async def replace_answer(connection: Connection, row: Mapping[str, Any], body: bytes) -> bool:
    """`replace` for a kept answer."""
    cursor = await connection.execute(
        "UPDATE idempotency_keys SET body = %(body)s WHERE owner = %(owner)s AND key = %(key)s AND body = %(held)s",
        {"owner": row["owner"], "key": row["key"], "held": row["body"], "body": body},
    )
    return cursor.rowcount == 1


async def others(connection: Connection) -> int:
    """How many connections besides this one use the database."""
    cursor = await connection.execute(
        "SELECT count(*) AS count FROM pg_stat_activity WHERE datname = current_database()"
        " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    row = await cursor.fetchone()
    return int(row["count"]) if row else 0


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
