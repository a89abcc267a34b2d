"""Vector stores behind the whole of retrieval: how long, how exact, how large, beside the same indexes called directly.

For each store the corpus of `synthetic` goes in by an upsert of own chunks, as a client's would. Then queries run in
this process: through the default retrieval, and bare, by a client of their own: the statements that it cannot do
without (nearest vectors, posting lists, texts). What retrieval adds to these is the ratio. Figures of filters are
recall@10 of nearness search among what passes, against comparing with every vector.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import numpy as np

from service.document_stores import records
from service.document_stores.search import retrieval_of
from service.document_stores.sight import SeenLedger, Sight
from service.document_stores.types import StoreRow
from service.document_stores.vectors import vectors_of
from service.resources import Resources, open_resources
from service.retrieval.base import Call, Query, Question, Sources, point_id
from service.retrieval.fusion import candidates
from service.retrieval.narrowing import few_of, nearest
from service.settings import load
from service.viewers import EVERYTHING
from stores.lexical.base import Hits, Numbers
from stores.vector.base import Vector
from stores.vector.filters import matches, parse
from tests.benchmarks import bare_engines
from tests.benchmarks.harness import Service
from tests.benchmarks.measure import Measure, percentile
from tests.benchmarks.synthetic import Chunks, Vectors, asked, blocks, real_vectors
from tests.benchmarks.synthetic import Question as Asked

STORES = ("pgvector://", "pgvector://?type=halfvec", "chroma:///")
"""Stores that are measured unless others are named."""
QUERIES = 100
WARMING = 200
"""Other queries before those that are measured: a service that has been asked something knows what questions share, and
none of those that come."""
SHOWN = 10
MOST_ADDED = 1.3
LEAST_RECALL = 0.95
FILTERS: Mapping[str, Mapping[str, object]] = {
    "50 %": {"half": 0},
    "1 %": {"percent": "p7"},
    "0.01 %": {"rare": "r7"},
    "not 50 %": {"half": {"$ne": 0}},
    "range of 1 %": {"rank": {"$lt": 100}},
}


@dataclass(frozen=True, slots=True)
class Corpus:
    """What went in: the vectors of all chunks, and the queries."""

    vectors: Vectors
    questions: Sequence[Asked]
    warming: Sequence[Asked] = ()

    def exact(self, where: Mapping[str, object] | None) -> list[set[str]]:
        """The ids of the nearest chunks that pass, for each query."""
        passing = np.ones(len(self.vectors), bool)
        if where is not None:
            parsed, shape = parse(dict(where)), Chunks(0, self.vectors, [])
            passing = np.array([matches(parsed, shape.metadata(place)) for place in range(len(self.vectors))])
        numbers = np.flatnonzero(passing) + 1
        among = self.vectors[passing]
        scores = (among @ question.vector for question in self.questions)
        return [{point_id(int(number)) for number in numbers[np.argsort(-each)[:SHOWN]]} for each in scores]


@dataclass(frozen=True, slots=True)
class Built:
    """What bringing the corpus in took: by the clock, and of the processors by all of the service."""

    seconds: float
    cpu_seconds: float


def run(folder: Path, chunks: int, urls: Sequence[str]) -> Iterator[Measure]:
    """Build and measure each store on a data folder of its own."""
    real = asyncio.run(real_vectors())
    for place, url in enumerate(urls):
        with Service(folder / f"engine-{place}", {"RAGSTONE_VECTOR_STORE": url}) as service:
            begun, before = time.perf_counter(), service.usage().cpu_seconds
            store, vectors = fill(service, real, chunks)
            built = Built(time.perf_counter() - begun, service.usage().cpu_seconds - before)
            queries = asked(real, QUERIES + WARMING)
            corpus = Corpus(vectors, queries[:QUERIES], queries[QUERIES:])
            yield from asyncio.run(_measured(service, url, UUID(store), corpus, built))


def fill(service: Service, real: Vectors, chunks: int) -> tuple[str, Vectors]:
    """Upsert the corpus; the document store's id, and all vectors in the order of the chunks' numbers."""
    store: str = service.post("/document-store/store", {"name": "bench engines"})["id"]
    vectors = []
    for block in blocks(real, chunks):
        given = [
            {"pageContent": text, "metadata": block.metadata(place), "vector": block.vectors[place].tolist()}
            for place, text in enumerate(block.texts)
        ]
        body = {"source": f"block-{block.first}", "chunks": given, "embedding": {"name": "local", "config": {}}}
        service.post(f"/document-store/upsert/{store}", body)
        vectors.append(block.vectors)
    service.settle()
    return store, np.concatenate(vectors)


async def _measured(service: Service, url: str, store: UUID, corpus: Corpus, built: Built) -> list[Measure]:
    settings = load(
        {},
        {
            "data": service.data,
            "database_url": service.database_url(),
            "vector_store": service.vector_store or url,
            "secret_key": None,
        },
    )
    async with AsyncExitStack() as stack:
        resources = await stack.enter_async_context(open_resources(settings))
        sources, row = await _opened(resources, store)
        bare = await stack.enter_async_context(bare_engines.opened(settings, row, len(corpus.vectors)))
        found = Searches(resources, sources, bare)
        ours, theirs = await found.beside(corpus)
        recall = await found.recall(corpus, None)
        shares = {name: await found.recall(corpus, where) for name, where in FILTERS.items()}
    size, memory = service.disk(), service.engine_bytes()
    name = f"{url} with {len(corpus.vectors):,} chunks"
    facts = {
        "p50 ms": percentile(ours, 0.5) * 1000,
        "p99 ms": percentile(ours, 0.99) * 1000,
        "bare p50 ms": percentile(theirs, 0.5) * 1000,
        "build s": built.seconds,
        "build CPU s": built.cpu_seconds,
        "disk MB": size / 1e6,
        "engine MB": memory / 1e6,
    }
    ratio = facts["p50 ms"] / facts["bare p50 ms"]
    worst = min(shares.values())
    return [
        Measure(f"hybrid to bare, {name}", ratio, MOST_ADDED, "", "lower", facts),
        Measure(f"recall@10, {name}", recall, LEAST_RECALL),
        Measure(f"recall@10 with filters, {name}", worst, LEAST_RECALL, details=shares),
    ]


async def _opened(resources: Resources, store_id: UUID) -> tuple[Sources, StoreRow]:
    """What searches of the document store use, but for the embedder, whose time is its own."""
    async with resources.database.connection() as connection:
        cursor = await connection.execute("SELECT workspace_id FROM document_stores WHERE id = %s", (store_id,))
        found = await cursor.fetchone()
    assert found is not None
    workspace: UUID = found["workspace_id"]
    async with resources.database.read(workspace) as scope:
        row = await records.get(scope, store_id)
    assert row is not None
    assert row.collection is not None

    async def lexical(query: str, limit: int, *, allowed: Numbers | None = None) -> Hits:
        async with resources.database.read(workspace) as scope:
            return await resources.lexical.search(scope, store_id, query, limit, allowed=allowed)

    async def embed(text: str) -> Vector:
        raise AssertionError("queries bring their vectors")

    ledger = SeenLedger(resources.database, workspace, store_id, Sight.of(EVERYTHING, row))
    return Sources(await vectors_of(resources, row), row.collection, embed, lexical, ledger), row


@dataclass(frozen=True, slots=True)
class Searches:
    """Ways to search one document store."""

    resources: Resources
    sources: Sources
    bare: bare_engines.Bare

    async def beside(self, corpus: Corpus) -> tuple[list[float], list[float]]:
        """The seconds of each query, through retrieval and bare. They take turns in being the first, which finds what
        the question needs in fewer caches."""
        for question in corpus.warming:
            await self._hybrid(question)
            await self.bare.search(question)
        ours: list[float] = []
        theirs: list[float] = []
        for number, question in enumerate(corpus.questions):
            if number % 2:
                theirs.append(await _timed(self.bare.search, question))
            ours.append(await _timed(self._hybrid, question))
            if not number % 2:
                theirs.append(await _timed(self.bare.search, question))
        return ours, theirs

    async def _hybrid(self, question: Asked) -> object:
        return await retrieval_of(None).run(Query(question.text, SHOWN), self._with(question))

    async def recall(self, corpus: Corpus, where: Mapping[str, object] | None) -> float:
        """recall@10 of the nearness half as hybrid searches use it."""
        exact = corpus.exact(where)
        if not any(exact):
            return 1.0  # nothing passes in a corpus as small as this
        shares = []
        for question, best in zip(corpus.questions, exact, strict=True):
            call = Call(Query(question.text, SHOWN, parse(dict(where)) if where else None), self._with(question))
            vector = await call.sources.vector_of(Question(question.text))
            matched = await nearest(vector, candidates(SHOWN), call, await few_of(call))
            shares.append(len({*list(matched)[:SHOWN]} & best) / len(best))
        return sum(shares) / len(shares)

    def _with(self, question: Asked) -> Sources:
        async def embed(text: str) -> Vector:
            return question.vector

        return replace(self.sources, embed=embed)


async def _timed(search: Callable[[Asked], Awaitable[object]], question: Asked) -> float:
    begun = time.perf_counter()
    await search(question)
    return time.perf_counter() - begun
