"""The rows that count calls: one for each chatflow and address, until its window ends."""

from datetime import datetime
from uuid import UUID

from stores.records.database import Connection

_SPEND = """
    INSERT INTO call_windows AS w (chatflow_id, client, calls, ends_at)
    VALUES (%(flow)s, %(client)s, 1, clock_timestamp() + make_interval(secs => %(seconds)s))
    ON CONFLICT (chatflow_id, client) DO UPDATE SET
        calls = CASE WHEN w.ends_at <= clock_timestamp() THEN 1 ELSE least(w.calls + 1, 2000000000) END,
        ends_at = CASE WHEN w.ends_at <= clock_timestamp() THEN excluded.ends_at
            ELSE least(w.ends_at, excluded.ends_at) END
    RETURNING calls, ends_at, clock_timestamp() AS now
"""


async def spend(connection: Connection, flow: UUID, client: str, seconds: int) -> tuple[int, datetime, datetime]:
    """Count a call: how many there are in its window with this one, when the window ends, and what time it is there.
    A window that has become shorter ends sooner."""
    cursor = await connection.execute(_SPEND, {"flow": flow, "client": client, "seconds": seconds})
    row = await cursor.fetchone()
    assert row is not None
    return row["calls"], row["ends_at"], row["now"]


async def forget_ended(connection: Connection) -> int:
    """Remove the rows whose window has ended."""
    cursor = await connection.execute("DELETE FROM call_windows WHERE ends_at <= clock_timestamp()")
    return cursor.rowcount
