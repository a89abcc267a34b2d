"""The rows of webhooks: secrets, what is sent back, who looks on."""

from uuid import UUID

from psycopg.rows import DictRow

from service.webhooks.types import Callback, Delivery, DeliveryState
from stores.records.database import Connection, Scope

# Secrets


async def keep_secret(scope: Scope, secret_id: UUID, chatflow: UUID, secret: str) -> bool:
    """The secret of a flow, in place of a former one; False when the flow is gone."""
    count = await scope.run(
        "INSERT INTO webhook_secrets (id, workspace_id, chatflow_id, secret)"
        " SELECT %(id)s, %(workspace)s, f.id, %(secret)s FROM chatflows f"
        " WHERE f.id = %(chatflow)s AND f.workspace_id = %(workspace)s FOR KEY SHARE OF f"
        " ON CONFLICT (chatflow_id) DO UPDATE SET secret = excluded.secret, created_at = now()",
        id=secret_id,
        chatflow=chatflow,
        secret=scope.connection.sealer.seal_text(secret, scope.workspace),
    )
    return count == 1


async def drop_secret(scope: Scope, chatflow: UUID) -> int:
    """Forget the secret of a flow."""
    return await scope.run(
        "DELETE FROM webhook_secrets WHERE workspace_id = %(workspace)s AND chatflow_id = %(chatflow)s",
        chatflow=chatflow,
    )


async def secret_of(scope: Scope, chatflow: UUID) -> str | None:
    """The secret of a flow, as it is now."""
    row = await scope.one(
        "SELECT secret FROM webhook_secrets WHERE workspace_id = %(workspace)s AND chatflow_id = %(chatflow)s",
        chatflow=chatflow,
    )
    return scope.connection.sealer.open_text(row["secret"], scope.workspace) if row else None


# Deliveries


def _delivery(connection: Connection, row: DictRow) -> Delivery:
    opened = {name: connection.sealer.open_text(row[name], row["workspace_id"]) for name in ("url", "secret")}
    callback = Callback(
        row["chatflow_id"], row["chat_id"], opened["url"], opened["secret"], row["own_secret"], row["body"]
    )
    return Delivery(
        id=row["id"],
        workspace=row["workspace_id"],
        callback=callback,
        state=DeliveryState(row["state"]),
        attempts=row["attempts"],
        next_at=row["next_at"],
        last_status=row["last_status"],
        last_error=row["last_error"],
        created_at=row["created_at"],
        ended_at=row["ended_at"],
    )


async def insert(scope: Scope, delivery: UUID, callback: Callback, again_seconds: float) -> bool:
    """Something to send; it is looked at again after `again_seconds`. False when the flow is gone."""
    sealer = scope.connection.sealer
    count = await scope.run(
        "INSERT INTO webhook_deliveries (id, workspace_id, chatflow_id, chat_id, url, secret, own_secret, body,"
        " next_at) SELECT %(id)s, %(workspace)s, f.id, %(chat)s, %(url)s, %(secret)s, %(own)s, %(body)s,"
        " now() + make_interval(secs => %(again)s)"
        " FROM chatflows f WHERE f.id = %(chatflow)s AND f.workspace_id = %(workspace)s FOR KEY SHARE OF f"
        " ON CONFLICT (id) DO NOTHING",
        id=delivery,
        chatflow=callback.chatflow,
        chat=callback.chat,
        url=sealer.seal_text(callback.url, scope.workspace),
        secret=sealer.seal_text(callback.secret, scope.workspace) if callback.secret else "",
        own=callback.own_secret,
        body=callback.body,
        again=again_seconds,
    )
    return count == 1


async def get(scope: Scope, delivery: UUID) -> Delivery | None:
    """Something that is or was to be sent."""
    row = await scope.one(
        "SELECT * FROM webhook_deliveries WHERE workspace_id = %(workspace)s AND id = %(id)s", id=delivery
    )
    return _delivery(scope.connection, row) if row else None


async def page(scope: Scope, chatflow: UUID, offset: int, size: int) -> tuple[list[Delivery], int]:
    """What was sent for a flow, newest first, and how much there is in all."""
    rows = await scope.all(
        "SELECT *, count(*) OVER () AS total FROM webhook_deliveries WHERE workspace_id = %(workspace)s"
        " AND chatflow_id = %(chatflow)s ORDER BY created_at DESC, id OFFSET %(offset)s LIMIT %(size)s",
        chatflow=chatflow,
        offset=offset,
        size=size,
    )
    return [_delivery(scope.connection, row) for row in rows], rows[0]["total"] if rows else 0


async def arrived(scope: Scope, delivery: UUID, status: int) -> None:
    """It was taken."""
    await scope.run(
        "UPDATE webhook_deliveries SET state = 'delivered', attempts = attempts + 1, last_status = %(status)s,"
        " last_error = NULL, next_at = NULL, ended_at = now(), body = ''"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s AND state = 'pending'",
        id=delivery,
        status=status,
    )


async def failed(scope: Scope, delivery: UUID, status: int | None, error: str, again_seconds: float | None) -> None:
    """It was not taken, and is sent again after `again_seconds`; None: never."""
    await scope.run(
        "UPDATE webhook_deliveries SET attempts = attempts + 1, last_status = %(status)s, last_error = %(error)s,"
        " state = CASE WHEN %(again)s::float8 IS NULL THEN 'failed' ELSE state END,"
        " next_at = now() + make_interval(secs => %(again)s),"
        " ended_at = CASE WHEN %(again)s::float8 IS NULL THEN now() END"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s AND state = 'pending'",
        id=delivery,
        status=status,
        error=error,
        again=again_seconds,
    )


async def due(connection: Connection, limit: int, again_seconds: float) -> list[tuple[UUID, UUID]]:
    """Workspace and id of what is to be sent now; it is not due again before `again_seconds`."""
    cursor = await connection.execute(
        "UPDATE webhook_deliveries SET next_at = now() + make_interval(secs => %(again)s) WHERE id IN ("
        " SELECT id FROM webhook_deliveries WHERE state = 'pending' AND next_at <= now()"
        " ORDER BY next_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED) RETURNING workspace_id, id",
        {"limit": limit, "again": again_seconds},
    )
    return [(row["workspace_id"], row["id"]) for row in await cursor.fetchall()]


async def forget(connection: Connection, days: float, stale_seconds: float) -> int:
    """Remove what ended long ago, listeners that have gone, and frames that nobody reads any more."""
    cursor = await connection.execute(
        "WITH listeners AS (DELETE FROM webhook_listeners WHERE expires_at < now()),"
        " frames AS (DELETE FROM webhook_frames WHERE created_at < now() - make_interval(secs => %(stale)s))"
        " DELETE FROM webhook_deliveries WHERE state <> 'pending'"
        " AND ended_at < now() - make_interval(secs => 86400 * %(days)s)",
        {"days": days, "stale": stale_seconds},
    )
    return cursor.rowcount


# Listeners


async def listen(scope: Scope, listener: UUID, chatflow: UUID, seconds: float) -> bool:
    """Somebody looks on, for so long at least; False when the flow is gone."""
    count = await scope.run(
        "INSERT INTO webhook_listeners (id, workspace_id, chatflow_id, expires_at)"
        " SELECT %(id)s, %(workspace)s, f.id, now() + make_interval(secs => %(seconds)s) FROM chatflows f"
        " WHERE f.id = %(chatflow)s AND f.workspace_id = %(workspace)s FOR KEY SHARE OF f",
        id=listener,
        chatflow=chatflow,
        seconds=seconds,
    )
    return count == 1


async def still(scope: Scope, listener: UUID, chatflow: UUID, seconds: float) -> bool:
    """Somebody still looks on; False when the listener is unknown, or has gone."""
    count = await scope.run(
        "UPDATE webhook_listeners SET expires_at = now() + make_interval(secs => %(seconds)s)"
        " WHERE workspace_id = %(workspace)s AND id = %(id)s AND chatflow_id = %(chatflow)s AND expires_at >= now()",
        id=listener,
        chatflow=chatflow,
        seconds=seconds,
    )
    return count == 1


async def gone(scope: Scope, listener: UUID, chatflow: UUID) -> int:
    """Nobody looks on any more by this listener."""
    return await scope.run(
        "DELETE FROM webhook_listeners WHERE workspace_id = %(workspace)s AND id = %(id)s"
        " AND chatflow_id = %(chatflow)s",
        id=listener,
        chatflow=chatflow,
    )


async def watched(scope: Scope, chatflow: UUID) -> bool:
    """Whether anybody looks on."""
    row = await scope.one(
        "SELECT EXISTS (SELECT FROM webhook_listeners WHERE workspace_id = %(workspace)s"
        " AND chatflow_id = %(chatflow)s AND expires_at >= now()) AS watched",
        chatflow=chatflow,
    )
    return bool(row and row["watched"])


async def tell(scope: Scope, chatflow: UUID, frames: str) -> None:
    """Frames for those who look on, if the flow is still there. Those of one flow are written one after another, in the
    order of their numbers: a reader that has seen one has seen all before it."""
    await scope.run(
        "WITH turn AS (SELECT pg_advisory_xact_lock(hashtextextended(%(chatflow)s::text, 27)) AS taken)"
        " INSERT INTO webhook_frames (workspace_id, chatflow_id, frames)"
        " SELECT %(workspace)s, f.id, %(frames)s FROM turn, chatflows f"
        " WHERE f.id = %(chatflow)s AND f.workspace_id = %(workspace)s FOR KEY SHARE OF f",
        chatflow=chatflow,
        frames=frames,
    )


async def newest(scope: Scope, chatflow: UUID) -> int:
    """The number of the last frames of a flow; 0 without any."""
    row = await scope.one(
        "SELECT coalesce(max(sequence), 0) AS newest FROM webhook_frames WHERE workspace_id = %(workspace)s"
        " AND chatflow_id = %(chatflow)s",
        chatflow=chatflow,
    )
    return int(row["newest"]) if row else 0


async def frames(scope: Scope, chatflow: UUID, after: int, limit: int) -> list[tuple[int, str]]:
    """Frames behind a number, in their order."""
    rows = await scope.all(
        "SELECT sequence, frames FROM webhook_frames WHERE workspace_id = %(workspace)s"
        " AND chatflow_id = %(chatflow)s AND sequence > %(after)s ORDER BY sequence LIMIT %(limit)s",
        chatflow=chatflow,
        after=after,
        limit=limit,
    )
    return [(row["sequence"], row["frames"]) for row in rows]
