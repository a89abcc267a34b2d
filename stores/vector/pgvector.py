"""Vectors in Postgres through pgvector: one table a collection, and once it is complete one HNSW index.

A table `vectors_<collection>` holds `id`, `embedding` (unit length, as `vector` or `halfvec`) and `metadata`. HNSW
indexes end at 2,000 dimensions for `vector` and 4,000 for `halfvec`: wider `vector` collections index a half-precision
cast and score the candidates exactly, and beyond 4,000 the search is a scan. Vectors travel in Postgres' binary form.
"""

import struct
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any, ClassVar, LiteralString, Self
from urllib.parse import SplitResult
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from psycopg import InterfaceError, OperationalError, errors, sql
from psycopg.rows import DictRow, tuple_row
from psycopg_pool import PoolClosed, PoolTimeout

from stores.records.database import Binary, Connection, Database
from stores.vector.base import (
    Capability,
    Match,
    Point,
    Unavailable,
    UnknownCollection,
    Vector,
    VectorStore,
    WrongDimension,
    url_options,
)
from stores.vector.filters import Filter
from stores.vector.hnsw import MAX_EF_SEARCH, Tuning, found_first
from stores.vector.jsonb import compile_filter
from stores.vector.points import bounded, checked_name, decode, encode_metadata, unit, unit_rows

HNSW_LIMITS = {"vector": 2000, "halfvec": 4000}
"""Dimensions that pgvector's HNSW takes, by column type."""

MEASURED_AGAIN = 60.0
"""Seconds after which a collection is asked for its size again."""


class Precision(StrEnum):
    """The column type of the vectors."""

    FULL = "vector"
    HALF = "halfvec"


def pack(row: NDArray[np.float32], precision: Precision) -> bytes:
    """The vector as pgvector's `recv` functions read it: dimension, 0, big-endian floats."""
    kind = ">f4" if precision is Precision.FULL else ">f2"
    return Binary(struct.pack(">hh", len(row), 0) + row.astype(kind).tobytes())


@dataclass(frozen=True, slots=True)
class _Table:
    """What is needed to write SQL for a collection."""

    collection: str
    dimension: int
    precision: Precision
    found: int = 0
    """What `hnsw.found_first` says of its points."""
    points: float = field(default=0, compare=False)
    """As many as the last analysis counted."""

    @property
    def name(self) -> sql.Identifier:
        return _identifier(self.collection)

    @property
    def indexed(self) -> str | None:
        """The type that the HNSW index holds, None where there is no index."""
        for kind in (self.precision.value, Precision.HALF.value):
            if self.dimension <= HNSW_LIMITS[kind]:
                return kind
        return None

    @property
    def cast(self) -> sql.SQL:
        return sql.SQL("::vector") if self.precision is Precision.FULL else sql.SQL("::halfvec")

    @property
    def index_expression(self) -> sql.Composable:
        """The column, or its half-precision cast, exactly as the index has it."""
        if self.indexed == self.precision.value:
            return sql.SQL("embedding")
        return sql.SQL("(embedding::halfvec({}))").format(sql.Literal(self.dimension))


class PgVectorStore(VectorStore):
    """A vector store in the service's own Postgres, in the caller's transaction where that is wanted."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.FILTER,
            Capability.NARROW,
            Capability.TRANSACTION,
            Capability.PERSISTENT,
        }
    )

    def __init__(self, database: Database, *, precision: Precision = Precision.FULL) -> None:
        """`precision` is used by collections that are created; existing ones keep theirs."""
        self._database = database
        self._precision = precision
        self._connection: Connection | None = None
        self._tables: dict[str, tuple[_Table, float]] = {}
        self._tuned: WeakKeyDictionary[Connection, Tuning] = WeakKeyDictionary()

    @classmethod
    def open(cls, url: SplitResult, database: object) -> Self:
        options = url_options(url, {"type": [each.value for each in Precision]})
        if not isinstance(database, Database):
            raise TypeError("pgvector lives in the service's database, and none was given")
        return cls(database, precision=Precision(options.get("type", Precision.FULL.value)))

    @property
    def idle(self) -> bool:
        return self._connection is None and self._database.idle

    def within(self, connection: object) -> "PgVectorStore":
        if not isinstance(connection, Connection):
            raise TypeError(f"a connection of the service's database is needed, not {type(connection).__name__}")
        joined = PgVectorStore(self._database, precision=self._precision)
        joined._connection = connection
        joined._tables = self._tables
        joined._tuned = self._tuned
        return joined

    async def create(self, collection: str, dimension: int) -> None:
        table = _Table(collection, dimension, self._precision)
        async with self._transaction(collection) as connection:
            # One maker at a time: CREATE TABLE IF NOT EXISTS alone fails when two run at once.
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"vectors_{collection}",))
            known = await self._find(connection, collection)
            if known is None:
                await connection.execute(_create_statement(table))
            elif known.dimension != dimension:
                raise WrongDimension(f"{collection} holds vectors of {known.dimension} numbers, not {dimension}")

    async def complete(self, collection: str) -> None:
        async with self._session(collection) as connection:
            table = await self._table(connection, collection)
            for name, definition in _indexes(collection, table):
                if await _usable(connection, name):
                    continue
                # What is left of an attempt that died is no index, and in the way.
                await connection.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(sql.Identifier(name)))
                await connection.execute(_MEMORY_FOR_INDEX.format(table.name), (_in_memory(table),))
                try:
                    await connection.execute(
                        sql.SQL("CREATE INDEX CONCURRENTLY {} ON {}").format(sql.Identifier(name), definition)
                    )
                finally:
                    await connection.execute("RESET maintenance_work_mem")
        self._tables.pop(collection, None)

    async def drop(self, collection: str) -> None:
        self._tables.pop(collection, None)
        async with self._transaction(collection) as connection:
            await connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(_identifier(collection)))

    async def upsert(self, collection: str, points: Sequence[Point]) -> None:
        async with self._transaction(collection) as connection:
            table = await self._table(connection, collection)
            rows = unit_rows(points, table.dimension)
            last = {
                point.id: (point.id, pack(row, table.precision), encode_metadata(point.metadata))
                for point, row in zip(points, rows, strict=True)
            }
            statement = sql.SQL(
                "INSERT INTO {} (id, embedding, metadata) VALUES (%s, %s{}, %s::jsonb)"
                " ON CONFLICT (id) DO UPDATE SET embedding = excluded.embedding, metadata = excluded.metadata"
            ).format(table.name, table.cast)
            async with connection.cursor() as cursor:
                # In the order of ids, so that two writers of the same points wait for each other and never deadlock.
                await cursor.executemany(statement, [last[key] for key in sorted(last)])

    async def delete(self, collection: str, ids: Sequence[str]) -> None:
        async with self._transaction(collection) as connection:
            table = await self._table(connection, collection)
            # Locked in the order of ids, as `upsert` does.
            statement = sql.SQL(
                "DELETE FROM {0} WHERE id IN (SELECT id FROM {0} WHERE id = ANY(%s) ORDER BY id FOR UPDATE)"
            ).format(table.name)
            await connection.execute(statement, (list(ids),))

    async def query(self, collection: str, vector: Vector, limit: int, *, where: Filter | None = None) -> list[Match]:
        async with self._session(collection) as connection:
            table = await self._table(connection, collection)
            row = unit(vector, table.dimension)
            if limit <= 0:
                return []
            if table.indexed is not None and 2 * limit <= MAX_EF_SEARCH:
                await self._tune(connection, Tuning.of(table.points, limit, filtered=where is not None))
                found = await _select(connection, table, row, limit, where, approximate=True)
                if len(found) == limit:
                    return found
            return await _select(connection, table, row, limit, where, approximate=False)

    async def among(self, collection: str, vector: Vector, limit: int, ids: Sequence[str]) -> list[Match]:
        async with self._session(collection) as connection:
            table = await self._table(connection, collection)
            params = {"vector": pack(unit(vector, table.dimension), table.precision), "ids": list(ids)}
            statement = _nearest(table, sql.SQL("id = ANY(%(ids)s)"), False, max(limit, 0)).as_bytes()
            return _matches(await _scored(connection, statement, params))

    async def get(self, collection: str, ids: Sequence[str]) -> list[Point]:
        async with self._session(collection) as connection:
            table = await self._table(connection, collection)
            statement = sql.SQL(
                "SELECT id, embedding::vector::real[] AS embedding, metadata::text AS metadata FROM {}"
                " WHERE id = ANY(%s) ORDER BY id"
            )
            rows = await _rows(connection, statement.format(table.name), (list(ids),))
            return [Point(row["id"], row["embedding"], decode(row["metadata"])) for row in rows]

    async def score(self, collection: str, vector: Vector, ids: Sequence[str]) -> dict[str, float]:
        async with self._session(collection) as connection:
            table = await self._table(connection, collection)
            packed = pack(unit(vector, table.dimension), table.precision)
            rows = await _scored(connection, _scoring(table), (packed, list(ids)), prepare=True)
            return {key: bounded(score) for key, score in rows}

    async def ids(self, collection: str, *, after: str = "", limit: int = 1000) -> list[str]:
        async with self._session(collection) as connection:
            table = await self._table(connection, collection)
            statement = sql.SQL("SELECT id FROM {} WHERE id > %s ORDER BY id LIMIT %s").format(table.name)
            return [row["id"] for row in await _rows(connection, statement, (after, max(limit, 0)))]

    async def count(self, collection: str, *, where: Filter | None = None) -> int:
        async with self._session(collection) as connection:
            table = await self._table(connection, collection)
            condition, params = _condition(where)
            statement = sql.SQL("SELECT count(*) AS points FROM {} WHERE {}").format(table.name, condition)
            rows = await _rows(connection, statement, params)
            return int(rows[0]["points"])

    async def _tune(self, connection: Connection, wanted: Tuning) -> None:
        """Give the connection the settings of a search, unless it has them."""
        held = self._tuned.pop(connection, None)
        if self._connection is not None:  # a transaction that is rolled back takes its settings along
            held = None
        if held is None or not held.serves(wanted):
            await connection.execute(_TUNE, wanted.params)
            held = wanted
        if self._connection is None:
            self._tuned[connection] = held

    @asynccontextmanager
    async def _session(self, collection: str) -> AsyncIterator[Connection]:
        """A connection, with Postgres' errors told in the port's words."""
        checked_name(collection)
        try:
            if self._connection is not None:
                yield self._connection
            else:
                async with self._database.connection() as connection:
                    yield connection
        except errors.UndefinedTable as problem:
            self._tables.pop(collection, None)
            raise UnknownCollection(collection) from problem
        except errors.DataException as problem:
            # Another process dropped the collection and made it again with another dimension.
            self._tables.pop(collection, None)
            raise WrongDimension(f"{collection}: {problem}") from problem
        except (OperationalError, InterfaceError, PoolTimeout, PoolClosed) as problem:
            raise Unavailable(f"Postgres does not answer: {problem}") from problem

    @asynccontextmanager
    async def _transaction(self, collection: str) -> AsyncIterator[Connection]:
        async with self._session(collection) as connection, connection.transaction():
            yield connection

    async def _table(self, connection: Connection, collection: str) -> _Table:
        kept, until = self._tables.get(collection, (None, 0.0))
        if kept is not None and time.monotonic() < until:
            return kept
        table = await self._find(connection, collection)
        if table is None:
            raise UnknownCollection(collection)
        # A table that another transaction has not committed may yet go away again.
        if self._connection is None:
            self._tables[collection] = table, time.monotonic() + MEASURED_AGAIN
        return table

    async def _find(self, connection: Connection, collection: str) -> _Table | None:
        rows = await _rows(
            connection,
            sql.SQL(
                "SELECT atttypmod AS dimension, format_type(atttypid, NULL) AS precision, reltuples AS points"
                " FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid"
                " WHERE attrelid = to_regclass(%s) AND attname = 'embedding'"
            ),
            (f"vectors_{collection}",),
        )
        if not rows:
            return None
        precision = Precision(rows[0]["precision"].rpartition(".")[2])
        points = rows[0]["points"]
        return _Table(collection, int(rows[0]["dimension"]), precision, found_first(points), points)


async def _select(
    connection: Connection,
    table: _Table,
    row: NDArray[np.float32],
    limit: int,
    where: Filter | None,
    *,
    approximate: bool,
) -> list[Match]:
    """The nearest points through the index, or by a scan of what the filter lets through."""
    params: dict[str, Any] = {"vector": pack(row, table.precision)}
    if approximate:
        params["nearby"] = pack(row, Precision(table.indexed or Precision.FULL))
    if where is None:
        statement = _unfiltered(table, approximate, limit)
    else:
        condition, filtering = _condition(where)
        params |= filtering
        statement = _nearest(table, condition, approximate, limit).as_bytes()
    return _matches(await _scored(connection, statement, params, prepare=where is None))


def _matches(rows: Sequence[tuple[str, float]]) -> list[Match]:
    # most are within bounds, and each search has hundreds
    ordered = sorted([(-score if -1 <= score <= 1 else -bounded(score), key) for key, score in rows])
    return [Match(key, -score) for score, key in ordered]


@lru_cache(maxsize=512)
def _unfiltered(table: _Table, approximate: bool, limit: int) -> bytes:
    """The statement of most searches, written out once: putting it together costs as much as sending it."""
    return _nearest(table, None, approximate, limit).as_bytes()


@lru_cache(maxsize=512)
def _scoring(table: _Table) -> bytes:
    """The statement that scores points by their ids, which every hybrid search asks too."""
    statement = sql.SQL("SELECT id, 1 - (embedding <=> %s{}) AS score FROM {} WHERE id = ANY(%s::text[])")
    return statement.format(table.cast, table.name).as_bytes()


def _nearest(table: _Table, condition: sql.Composable | None, approximate: bool, limit: int) -> sql.Composed:
    if approximate:
        cast = sql.SQL("::vector") if table.indexed == Precision.FULL else sql.SQL("::halfvec")
        order = sql.SQL("{} <=> %(nearby)s{}").format(table.index_expression, cast)
        template = _NEAREST if table.found <= limit else _NEAREST_OF_FOUND
    else:
        # Adding zero keeps the planner from the HNSW index, whose answer may be short.
        order = sql.SQL("(embedding <=> %(vector)s{}) + 0").format(table.cast)
        template = _NEAREST
    # The limit is part of the text, so that the plan of a prepared statement knows it.
    return template.format(
        cast=table.cast,
        table=table.name,
        condition=condition or sql.SQL("true"),
        order=order,
        limit=sql.Literal(limit),
        found=sql.Literal(table.found),
    )


_TUNE: LiteralString = (
    "SELECT set_config('hnsw.iterative_scan', %(scan)s, false), set_config('hnsw.ef_search', %(breadth)s, false),"
    " set_config('hnsw.max_scan_tuples', %(most)s, false),"
    " set_config('hnsw.scan_mem_multiplier', %(memory)s, false), set_config('random_page_cost', %(random)s, false)"
)

_NEAREST = sql.SQL(
    "SELECT id, 1 - (embedding <=> %(vector)s{cast}) AS score FROM {table} AS points"
    " WHERE {condition} ORDER BY {order}, id LIMIT {limit}"
)

# What a search finds that goes on is sorted by what is no order of the index.
_NEAREST_OF_FOUND = sql.SQL(
    "SELECT id, score FROM ("
    "SELECT id, 1 - (embedding <=> %(vector)s{cast}) AS score FROM {table} AS points"
    " WHERE {condition} ORDER BY {order}, id LIMIT {found}"
    ") AS found ORDER BY score + 0 DESC, id LIMIT {limit}"
)


async def _rows(
    connection: Connection,
    statement: sql.SQL | sql.Composed | bytes,
    params: Sequence[Any] | Mapping[str, Any],
    *,
    prepare: bool = False,
) -> list[DictRow]:
    """The rows of a statement. It is planned each time unless `prepare`: a plan for all parameters knows no filter."""
    async with connection.cursor() as cursor:
        await cursor.execute(statement, params, prepare=prepare)
        return await cursor.fetchall()


async def _scored(
    connection: Connection, statement: bytes, params: Sequence[Any] | Mapping[str, Any], *, prepare: bool = False
) -> list[tuple[str, float]]:
    """The rows of ids and scores that a statement gives; as `_rows`, in the form that is read the quickest."""
    async with connection.cursor(binary=True, row_factory=tuple_row) as cursor:
        await cursor.execute(statement, params, prepare=prepare)
        return await cursor.fetchall()


def _identifier(collection: str) -> sql.Identifier:
    return sql.Identifier(f"vectors_{checked_name(collection)}")


def _condition(where: Filter | None) -> tuple[sql.Composable, dict[str, Any]]:
    if where is None:
        return sql.SQL("true"), {}
    compiled = compile_filter(where, sql.SQL("metadata"))
    return compiled.expression, dict(compiled.params)


def _create_statement(table: _Table) -> sql.Composed:
    return sql.SQL(
        'CREATE TABLE {} (id text COLLATE "C" PRIMARY KEY, embedding {}({}) NOT NULL, metadata jsonb NOT NULL)'
    ).format(table.name, sql.SQL(table.precision.value), sql.Literal(table.dimension))


def _indexes(collection: str, table: _Table) -> list[tuple[str, sql.Composed]]:
    """The names of its indexes, and what they are of."""
    metadata = sql.SQL("{} USING gin (metadata jsonb_path_ops)").format(table.name)
    found = [(f"vectors_{collection}_gin", metadata)]
    if table.indexed is not None:
        kind = sql.SQL("vector_cosine_ops") if table.indexed == "vector" else sql.SQL("halfvec_cosine_ops")
        vectors = sql.SQL("{} USING hnsw ({} {})").format(table.name, table.index_expression, kind)
        found.append((f"vectors_{collection}_hnsw", vectors))
    return found


async def _usable(connection: Connection, name: str) -> bool:
    """Whether there is such an index, and it is whole: one whose building failed or was cancelled stays, unused."""
    statement = sql.SQL("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)")
    rows = await _rows(connection, statement, (name,))
    return bool(rows and rows[0]["indisvalid"])


def _in_memory(table: _Table) -> int:
    """Bytes of a point while pgvector builds its graph: the vector, 32 neighbours of 16 bytes, what holds them."""
    return table.dimension * (4 if table.indexed == Precision.FULL else 2) + 900


_MEMORY_FOR_INDEX = sql.SQL("""
    SELECT set_config('maintenance_work_mem', least(
        (SELECT setting::bigint FROM pg_settings WHERE name = 'maintenance_work_mem'),
        65536 + (SELECT count(*) FROM {}) * %s / 1024
    ) || 'kB', false)
""")
"""As much as the graph needs, where that is less than what Postgres may take: it is taken as a whole."""
