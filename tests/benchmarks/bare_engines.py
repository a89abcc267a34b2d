"""The floor under retrieval: the two statements that a hybrid search cannot do without, by a client of their own."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2
from psycopg_pool import AsyncConnectionPool

from service.document_stores.types import StoreRow
from service.retrieval.fusion import candidates
from service.retrieval.pipeline import SPARE
from service.settings import Settings
from stores.lexical.analysis import analyse_query
from tests.benchmarks.synthetic import Question

LIMIT = candidates(SPARE * 10)
"""Vectors that a search for ten chunks takes from the index."""
POINTS_PER_RESULT, MOST_RESULTS = 250, 4096
"""Points of a large collection for each one that Chroma is asked for, which makes its searches as broad."""
LEAST_BREADTH, MOST_BREADTH, POINTS_PER_STEP = 400, 1000, 200
"""`hnsw.ef_search` of these searches, and the points for each one that it grows by."""
POINTS_PER_FOUND, FOUND_STEP = 300, 500
"""Beyond `MOST_BREADTH`, the points for each one that is found before the nearest of them are taken."""

POSTINGS = """
    SELECT term, string_agg(postings, '' ORDER BY segment) FROM lexical_postings
    WHERE store_id = %s AND term = ANY(%s::text[]) GROUP BY term
"""
TEXTS = "SELECT text, metadata FROM chunks WHERE store_id = %s AND number = ANY(%s::int[])"

Near = Callable[[Question], Awaitable[list[int]]]
"""The numbers of the nearest chunks."""


@dataclass(frozen=True, slots=True)
class Bare:
    """One document store's indexes, called directly."""

    pool: AsyncConnectionPool
    store: StoreRow
    near: Near

    async def search(self, question: Question) -> object:
        """Nearest vectors and posting lists at once, then the texts of the first ten."""
        numbers, lists = await asyncio.gather(self.near(question), self._postings(question))
        async with self.pool.connection() as connection:
            cursor = await connection.execute(TEXTS, (self.store.id, numbers[:10]))
            return lists, await cursor.fetchall()

    async def _postings(self, question: Question) -> list[tuple[object, ...]]:
        terms = [variant for group in analyse_query(question.text, ("en",)) for variant in group.variants]
        async with self.pool.connection() as connection:
            cursor = await connection.execute(POSTINGS, (self.store.id, terms), binary=True)
            return await cursor.fetchall()


@asynccontextmanager
async def opened(settings: Settings, store: StoreRow, points: int) -> AsyncIterator[Bare]:
    """The document store's indexes. Its vectors, so many of them, are in Postgres or in a server of Chroma."""
    breadth = min(max(LEAST_BREADTH, points // POINTS_PER_STEP), MOST_BREADTH)
    assert settings.database_url is not None
    url = urlsplit(settings.vector_store.get_secret_value())
    found = math.ceil(points / POINTS_PER_FOUND / FOUND_STEP) * FOUND_STEP
    going_on = " -c hnsw.iterative_scan=relaxed_order -c hnsw.scan_mem_multiplier=16" if found > MOST_BREADTH else ""
    pool = AsyncConnectionPool(
        settings.database_url.get_secret_value(),
        min_size=2,
        open=False,
        # the index itself is the floor: over a small table, the planner may find a scan as cheap
        kwargs={"autocommit": True, "options": f"-c hnsw.ef_search={breadth} -c enable_seqscan=off{going_on}"},
    )
    await pool.open(wait=True)
    async with pool, httpx2.AsyncClient(base_url=f"http://{url.netloc}/api/v2", trust_env=False) as client:
        results = max(LIMIT, min(points // POINTS_PER_RESULT, MOST_RESULTS))
        near = await _chroma(client, store, results) if url.netloc else _postgres(pool, store, url.query, found)
        yield Bare(pool, store, near)


def _postgres(pool: AsyncConnectionPool, store: StoreRow, query: str, found: int) -> Near:
    kind = "halfvec" if "halfvec" in query else "vector"
    # the table's name comes from the service
    nearest = f"FROM vectors_{store.collection} ORDER BY embedding <=> %(vector)s::{kind} LIMIT"
    statement = f"SELECT id {nearest} {LIMIT}"
    if found > MOST_BREADTH:
        inner = f"SELECT id, embedding <=> %(vector)s::{kind} AS distance {nearest} {found}"
        statement = f"SELECT id FROM ({inner}) AS found ORDER BY distance + 0 LIMIT {LIMIT}"

    async def near(question: Question) -> list[int]:
        async with pool.connection() as connection:
            cursor = await connection.execute(statement, {"vector": str(question.vector.tolist())})
            return [int(row[0]) for row in await cursor.fetchall()]

    return near


async def _chroma(client: httpx2.AsyncClient, store: StoreRow, results: int) -> Near:
    home = "/tenants/default_tenant/databases/default_database/collections"
    found = (await client.get(f"{home}/{store.collection}")).json()

    async def near(question: Question) -> list[int]:
        body = {"query_embeddings": [question.vector.tolist()], "n_results": results, "include": ["distances"]}
        answer = await client.post(f"{home}/{found['id']}/query", json=body)
        return [int(key) for key in answer.json()["ids"][0]]

    return near
