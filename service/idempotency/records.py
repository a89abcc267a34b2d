"""The rows of requests that came with an Idempotency-Key."""

from uuid import UUID

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from service.idempotency.types import LEASE_SECONDS, NOBODY, Answer, Asked, Entry
from stores.records.database import Connection


def _sealed(connection: Connection, asked: Asked, answer: Answer) -> bytes | None:
    """Answers repeat what was sent, configurations among it."""
    return None if answer.body is None else connection.sealer.seal_bytes(answer.body, asked.workspace or NOBODY)


def _opened(connection: Connection, row: DictRow) -> bytes | None:
    return None if row["body"] is None else connection.sealer.open_bytes(row["body"], row["workspace_id"] or NOBODY)


def _taken(asked: Asked, holder: UUID, hours: float) -> dict[str, object]:
    """The row of a key that `holder` takes for so long."""
    return {
        "owner": asked.owner,
        "key": asked.key,
        "workspace": asked.workspace,
        "fingerprint": asked.fingerprint,
        "request": asked.request,
        "holder": holder,
        "kept": hours * 3600,
    }


async def claim(connection: Connection, asked: Asked, holder: UUID, hours: float) -> bool:
    """Take a key: one that is new or expired, or the same request's whose process died. False when it is taken."""
    cursor = await connection.execute(
        "INSERT INTO idempotency_keys AS k (owner, key, workspace_id, fingerprint, request, holder, leased_until,"
        " expires_at) VALUES (%(owner)s, %(key)s, %(workspace)s, %(fingerprint)s, %(request)s, %(holder)s,"
        " now() + make_interval(secs => %(lease)s), now() + make_interval(secs => %(kept)s))"
        " ON CONFLICT (owner, key) DO UPDATE SET workspace_id = excluded.workspace_id,"
        " fingerprint = excluded.fingerprint, request = excluded.request, holder = excluded.holder,"
        " leased_until = excluded.leased_until, status = NULL, headers = NULL, body = NULL, created_at = now(),"
        " expires_at = excluded.expires_at"
        " WHERE (k.status IS NULL AND k.leased_until < now() AND k.fingerprint = excluded.fingerprint)"
        " OR (k.expires_at < now() AND (k.status IS NOT NULL OR k.leased_until < now()))",
        {**_taken(asked, holder, hours), "lease": LEASE_SECONDS},
    )
    return cursor.rowcount == 1


async def find(connection: Connection, owner: str, key: str) -> Entry | None:
    """What stands under a key."""
    cursor = await connection.execute(
        "SELECT workspace_id, fingerprint, request, status, headers, body FROM idempotency_keys"
        " WHERE owner = %(owner)s AND key = %(key)s",
        {"owner": owner, "key": key},
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    answer = None
    if row["status"] is not None:
        headers = tuple((name, value) for name, value in row["headers"])
        answer = Answer(row["status"], headers, _opened(connection, row))
    return Entry(row["fingerprint"], row["request"], answer)


async def renew(connection: Connection, asked: Asked, holder: UUID) -> bool:
    """Prolong the lease of an execution; False when the key is no longer its."""
    cursor = await connection.execute(
        "UPDATE idempotency_keys SET leased_until = now() + make_interval(secs => %(lease)s)"
        " WHERE owner = %(owner)s AND key = %(key)s AND holder = %(holder)s AND status IS NULL",
        {"owner": asked.owner, "key": asked.key, "holder": holder, "lease": LEASE_SECONDS},
    )
    return cursor.rowcount == 1


async def keep(connection: Connection, asked: Asked, holder: UUID, answer: Answer) -> bool:
    """Store the answer of an execution; False when the key is no longer its."""
    cursor = await connection.execute(
        "UPDATE idempotency_keys SET status = %(status)s, headers = %(headers)s, body = %(body)s"
        " WHERE owner = %(owner)s AND key = %(key)s AND holder = %(holder)s AND status IS NULL",
        {
            "owner": asked.owner,
            "key": asked.key,
            "holder": holder,
            "status": answer.status,
            "headers": Jsonb([list(pair) for pair in answer.headers]),
            "body": _sealed(connection, asked, answer),
        },
    )
    return cursor.rowcount == 1


async def release(connection: Connection, asked: Asked, holder: UUID) -> None:
    """Free the key of an execution that is not to be answered for."""
    await connection.execute(
        "DELETE FROM idempotency_keys WHERE owner = %(owner)s AND key = %(key)s AND holder = %(holder)s"
        " AND status IS NULL",
        {"owner": asked.owner, "key": asked.key, "holder": holder},
    )


async def reserve(connection: Connection, asked: Asked, holder: UUID, hours: float) -> bool:
    """Take a key that is new or expired without executing anything for it; False when it is taken."""
    cursor = await connection.execute(
        "INSERT INTO idempotency_keys AS k (owner, key, workspace_id, fingerprint, request, holder, leased_until,"
        " expires_at) VALUES (%(owner)s, %(key)s, %(workspace)s, %(fingerprint)s, %(request)s, %(holder)s, now(),"
        " now() + make_interval(secs => %(kept)s))"
        " ON CONFLICT (owner, key) DO UPDATE SET holder = excluded.holder, created_at = now(),"
        " expires_at = excluded.expires_at WHERE k.expires_at < now()",
        _taken(asked, holder, hours),
    )
    return cursor.rowcount == 1


async def holder_of(connection: Connection, asked: Asked) -> UUID | None:
    """Who has taken a key."""
    cursor = await connection.execute(
        "SELECT holder FROM idempotency_keys WHERE owner = %(owner)s AND key = %(key)s",
        {"owner": asked.owner, "key": asked.key},
    )
    row = await cursor.fetchone()
    return row["holder"] if row else None


async def forget_expired(connection: Connection, most: int) -> int:
    """Remove up to `most` keys that have had their time, and that nobody executes; says how many."""
    cursor = await connection.execute(
        "DELETE FROM idempotency_keys WHERE (owner, key) IN (SELECT owner, key FROM idempotency_keys"
        " WHERE expires_at < now() AND (status IS NOT NULL OR leased_until < now())"
        " LIMIT %(most)s FOR UPDATE SKIP LOCKED)",
        {"most": most},
    )
    return cursor.rowcount
