"""The one door to Postgres: a pool of connections, transactions, and the workspace that a transaction works for."""

import asyncio
import select
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection, OperationalError
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format
from psycopg.rows import DictRow, dict_row
from psycopg.sql import Composed
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from stores.records.sealing import Keyless, Sealer


class Binary(bytes):
    """A parameter in the binary form of a type that the driver does not know: the statement names it by a cast."""


class _BinaryDumper(Dumper):
    format = Format.BINARY
    oid = 0

    def dump(self, obj: Buffer) -> Buffer:
        return obj


class Connection(AsyncConnection[DictRow]):
    """A connection to Postgres that knows who seals what is written over it."""

    sealer: Sealer = Keyless()


class Pool(AsyncConnectionPool[Connection]):
    """A pool whose line loses no cancellation.

    Who waits for a connection is woken by `asyncio.wait_for`, which before Python 3.12 swallows a cancellation that
    comes with the connection. That is no rare moment: a task puts its connection back as its last deed, another one
    waits for it, and is cancelled because the first is done. If it works in a loop, as who renews a lease, it would
    never end, nor would whoever waits for its end.
    """

    async def getconn(self, timeout: float | None = None) -> Connection:  # noqa: ASYNC109 - the pool's signature
        """A connection, to be put back. Raises `PoolTimeout`, `PoolClosed`."""
        task = asyncio.current_task()
        before = task.cancelling() if task else 0
        try:
            connection = await super().getconn(timeout)
        except OperationalError:
            if task and task.cancelling() > before:
                raise asyncio.CancelledError from None
            raise
        if task and task.cancelling() > before:
            await self.putconn(connection)
            raise asyncio.CancelledError
        return connection


Params = Sequence[Any] | Mapping[str, Any]
Statement = LiteralString | Composed
"""SQL that was written here, never put together from callers' values."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A transaction bound to one workspace: what every `records.py` function takes as its first argument.

    The workspace id is always available to SQL as `%(workspace)s`.
    """

    connection: Connection
    workspace: UUID

    async def all(self, sql: Statement, **params: Any) -> list[DictRow]:
        """Every row of the statement's result, as dicts."""
        cursor = await self.connection.execute(sql, {**params, "workspace": self.workspace})
        return await cursor.fetchall()

    async def one(self, sql: Statement, **params: Any) -> DictRow | None:
        """The first row, or None. A statement that comes again and again is planned for all that might come."""
        cursor = await self.connection.execute(sql, {**params, "workspace": self.workspace})
        return await cursor.fetchone()

    async def one_planned(self, sql: Statement, **params: Any) -> DictRow | None:
        """As `one`, with the statement planned for these parameters each time."""
        cursor = await self.connection.execute(sql, {**params, "workspace": self.workspace}, prepare=False)
        return await cursor.fetchone()

    async def run(self, sql: Statement, **params: Any) -> int:
        """Execute and say how many rows were touched."""
        cursor = await self.connection.execute(sql, {**params, "workspace": self.workspace})
        return cursor.rowcount

    def sealed(self, value: Any) -> Any:
        """A JSON value as it may lie in the database: its secrets are sealed."""
        return self.connection.sealer.seal(value, self.workspace)

    def opened(self, value: Any) -> Any:
        """A JSON value that was `sealed`, or never was, in the clear."""
        return self.connection.sealer.open(value, self.workspace)

    async def many(self, sql: Statement, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute once per row, pipelined."""
        async with self.connection.cursor() as cursor:
            await cursor.executemany(sql, [{**row, "workspace": self.workspace} for row in rows])


async def _check(connection: Connection) -> None:
    """Raise when the server has closed an idle connection, so that the pool replaces it.

    A server that goes away says so: only a connection with something to read is worth a round trip.
    """
    poller = select.poll()  # a selector would make and close a descriptor for every check
    poller.register(connection.fileno(), select.POLLIN)
    if poller.poll(0):
        await AsyncConnectionPool.check_connection(connection)


class _Lent(AbstractAsyncContextManager[Connection]):
    """A connection of the pool for the length of a block. Written as a class, and without the pool's own context, which
    would commit what autocommit has committed: every request comes by here several times."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def __aenter__(self) -> Connection:
        self._connection = await self._pool.getconn()
        return self._connection

    async def __aexit__(self, *exc: object) -> None:
        await self._pool.putconn(self._connection)  # which closes a connection that a statement was interrupted on


class _Reading(AbstractAsyncContextManager[Scope]):
    """A lent connection, bound to a workspace."""

    def __init__(self, lent: _Lent, workspace: UUID) -> None:
        self._lent = lent
        self._workspace = workspace

    async def __aenter__(self) -> Scope:
        return Scope(await self._lent.__aenter__(), self._workspace)

    async def __aexit__(self, *exc: object) -> None:
        await self._lent.__aexit__(*exc)


class Database:
    """A pool of connections to one Postgres. Open with `async with Database(url) as database`.

    Connections that the server closed meanwhile (a restart, a failover) are replaced when they are asked for.
    """

    def __init__(
        self,
        url: str,
        *,
        size: int = 16,
        timeout: float = 30.0,
        patience: float = 0.0,
        sealer: Sealer | None = None,
    ) -> None:
        """`url` is a libpq URL; `size` the most connections held; `timeout` seconds to wait for a free one, `patience`
        for what another transaction has locked (0: as long as it takes); `sealer` seals configurations: without one
        they can be neither written nor read in the clear."""
        self.url = url
        self._patience = patience
        self._sealer = sealer or Keyless()
        self.pool = Pool(
            url,
            min_size=1,
            max_size=size,
            timeout=timeout,
            open=False,
            check=_check,
            configure=self._prepare,
            connection_class=Connection,
            kwargs={"row_factory": dict_row, "application_name": "ragstone"},
        )

    async def _prepare(self, connection: Connection) -> None:
        """Autocommit is not among the pool's `kwargs`: the queue's listener opens a connection with these and a mode of
        its own."""
        connection.sealer = self._sealer
        connection.adapters.register_dumper(Binary, _BinaryDumper)
        await connection.set_autocommit(True)
        if self._patience:
            await connection.execute(
                "SELECT set_config('lock_timeout', %s, false)", (f"{self._patience * 1000:.0f}ms",)
            )

    async def __aenter__(self) -> "Database":
        await self.pool.open(wait=True)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.pool.close()

    @property
    def idle(self) -> bool:
        """Whether this process has at most one statement on its way."""
        stats = self.pool.get_stats()
        return stats.get("pool_size", 0) - stats.get("pool_available", 0) <= 1 and not stats.get("requests_waiting", 0)

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """A pooled connection in autocommit mode: each statement is its own transaction."""
        return _Lent(self.pool)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside a transaction: committed at the end of the block, rolled back when it raises."""
        async with self.pool.connection() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def write(self, workspace: UUID) -> AsyncIterator[Scope]:
        """A transaction bound to a workspace."""
        async with self.transaction() as connection:
            yield Scope(connection, workspace)

    def read(self, workspace: UUID) -> AbstractAsyncContextManager[Scope]:
        """A connection bound to a workspace, without a transaction around the statements (one round trip fewer)."""
        return _Reading(_Lent(self.pool), workspace)

    async def alive(self, *, patience: float = 2.0) -> bool:
        """Whether the server answers within `patience` seconds."""
        try:
            async with self.pool.connection(timeout=patience) as connection:
                await connection.execute("SELECT 1")
        except (OperationalError, PoolTimeout):
            return False
        return True
