"""The rows of workers, as seen from outside a worker."""

import psycopg
from psycopg.rows import TupleRow

Session = psycopg.Connection[TupleRow]


def newest_worker(connection: Session) -> int:
    """The number of the worker that registered last, 0 when none is registered. Numbers only grow."""
    row = connection.execute("SELECT coalesce(max(id), 0) FROM procrastinate_workers").fetchone()
    assert row is not None
    return int(row[0])


def living_workers(connection: Session, seconds: float) -> int:
    """How many workers gave a heartbeat in the last `seconds`."""
    row = connection.execute(
        "SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - make_interval(secs => %s)",
        (seconds,),
    ).fetchone()
    assert row is not None
    return int(row[0])
