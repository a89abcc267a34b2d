"""Vectors in Qdrant: a server or cluster (`qdrant://host:port`, with `?ssl=true`, `api_key` and `prefix`), or a folder.

A collection holds unit vectors by cosine distance. The id of a point here is made from the port's id, which its payload
keeps beside the metadata as JSON text, the `facts` that filters look for, and the place by which ids are walked. A
server gets indexes over all of these, so it can be one that refuses filters without.

`qdrant:///folder` is the client library's own engine, for trials and tests: it compares a query with every point, and
belongs to one process, so `ragstone up`, which has two, cannot use it. Requests go straight to a server that is the
operator's setting, and through the guarded transport of `Network` to one that a caller named.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import SplitResult, unquote
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from stores.vector.base import (
    BadUrl,
    Capability,
    Match,
    Network,
    Point,
    Refused,
    Unavailable,
    UnknownCollection,
    Vector,
    VectorStore,
    VectorStoreError,
    WrongDimension,
    url_options,
    url_port,
)
from stores.vector.breadth import Breadth
from stores.vector.filters import Filter, matches
from stores.vector.order import walk
from stores.vector.payload import (
    BOUNDS,
    FACTS,
    ID,
    PLACE,
    RECORD,
    condition,
    id_of,
    metadata_of,
    payload,
    point_key,
    vector_of,
)
from stores.vector.points import bounded, checked_name, ranked, unit, unit_rows

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient, models

PORT = 6333
"""Where a server listens."""
SPARE = 16
"""Points asked for beyond the limit, so that a tie at its edge is seen."""
BREADTH = 128
"""Breadth of a search in the index, at least."""
READ = 1_000
"""Points read at a time."""
NUMBERS = 400_000
"""Numbers of vectors that one request writes at most: well below the size that a server takes."""
MAX_INDEXES = 64
"""Indexes over the bounds of fields that a collection gets at most."""
SECONDS = 60
"""How long an answer may take."""
MISSING = "qdrant needs a library: pip install 'ragstone[qdrant]'"


@dataclass(frozen=True, slots=True)
class _Collection:
    name: str
    dimension: int
    indexes: set[str] | None
    """Fields of the payload that a server has an index for; None: a folder, which has none."""
    breadth: Breadth = field(default_factory=Breadth)


class QdrantVectorStore(VectorStore):
    """A vector store in Qdrant.

    A write larger than a request travels in several: when the server fails in between, the first of them are kept, and
    writing again completes them.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.FILTER, Capability.NARROW, Capability.PERSISTENT}
    )

    def __init__(self, connect: "Callable[[], AsyncQdrantClient]", *, server: bool = True, prefix: str = "") -> None:
        """`connect` makes the client with the first call; `prefix` comes before the names of collections."""
        self._connect = connect
        self._server = server
        self._prefix = prefix
        self._opening = asyncio.Lock()
        self._client: AsyncQdrantClient | None = None
        self._known: dict[str, _Collection] = {}

    @classmethod
    def open(cls, url: SplitResult, database: object) -> Self:
        options = url_options(url, {"ssl": ["true", "false"], "api_key": None, "prefix": None})
        if find_spec("qdrant_client") is None:
            raise VectorStoreError(MISSING)
        if url.hostname is None:
            if not url.path.strip("/") or options.keys() & {"ssl", "api_key"}:
                raise BadUrl("qdrant needs a server (qdrant://host:port) or a folder (qdrant:///folder)")
            folder = unquote(url.path)
            return cls(lambda: _local(folder), server=False, prefix=options.get("prefix", ""))
        if url.path.strip("/"):
            raise BadUrl("qdrant takes either a server or a folder")
        host, port, ssl = url.hostname, url_port(url, PORT), options.get("ssl") == "true"
        return cls(lambda: _remote(host, port, ssl, options.get("api_key", "")), prefix=options.get("prefix", ""))

    @classmethod
    def open_guarded(cls, url: SplitResult, secret: str, network: Network) -> Self:
        options = url_options(url, {"ssl": ["true", "false"]})
        if find_spec("qdrant_client") is None:
            raise VectorStoreError(MISSING)
        if url.hostname is None or url.path.strip("/"):
            raise BadUrl("qdrant needs a server: qdrant://host:port")
        host, port, ssl = url.hostname, url_port(url, PORT), options.get("ssl") == "true"
        return cls(lambda: _remote(host, port, ssl, secret, network.httpx_transport()))

    async def create(self, collection: str, dimension: int) -> None:
        with self._session(collection):
            client = await self._opened()
            known = await self._find(client, collection) or await self._make(client, collection, dimension)
            if known.dimension != dimension:
                raise WrongDimension(f"{collection} holds vectors of {known.dimension} numbers, not {dimension}")
            await self._index(client, known, {FACTS: "keyword", PLACE: "integer"})

    async def drop(self, collection: str) -> None:
        with self._session(collection):
            client = await self._opened()
            self._known.pop(collection, None)
            await client.delete_collection(self._prefix + collection, timeout=SECONDS)

    async def upsert(self, collection: str, points: Sequence[Point]) -> None:
        from qdrant_client import models

        with self._session(collection):
            client, known = await self._opened_with(collection)
            rows = unit_rows(points, known.dimension)
            last = {
                point.id: models.PointStruct(id=point_key(point.id), vector=row.tolist(), payload=payload(point))
                for point, row in zip(points, rows, strict=True)
            }
            structs = list(last.values())
            bounds = {f"{BOUNDS}.{name}": "float" for each in structs for name in (each.payload or {})[BOUNDS]}
            await self._index(client, known, bounds)
            size = max(1, min(READ, NUMBERS // known.dimension))
            for start in range(0, len(structs), size):
                await client.upsert(known.name, structs[start : start + size], wait=True)

    async def delete(self, collection: str, ids: Sequence[str]) -> None:
        with self._session(collection):
            client, known = await self._opened_with(collection)
            for keys in _parts(list(dict.fromkeys(ids))):
                await client.delete(known.name, keys, wait=True)

    async def query(self, collection: str, vector: Vector, limit: int, *, where: Filter | None = None) -> list[Match]:
        return await self._search(collection, vector, limit, where, None)

    async def among(self, collection: str, vector: Vector, limit: int, ids: Sequence[str]) -> list[Match]:
        return await self._search(collection, vector, limit, None, ids)

    async def get(self, collection: str, ids: Sequence[str]) -> list[Point]:
        with self._session(collection):
            client, known = await self._opened_with(collection)
            found = []
            for keys in _parts(sorted(set(ids))):
                records = await client.retrieve(known.name, keys, with_payload=[ID, RECORD], with_vectors=True)
                found += [Point(id_of(each), vector_of(each), metadata_of(each)) for each in records]
            return sorted(found, key=lambda point: point.id)

    async def score(self, collection: str, vector: Vector, ids: Sequence[str]) -> dict[str, float]:
        with self._session(collection):
            client, known = await self._opened_with(collection)
            row = unit(vector, known.dimension).astype(np.float64)
            scores: dict[str, float] = {}
            for keys in _parts(list(dict.fromkeys(ids))):
                for each in await client.retrieve(known.name, keys, with_payload=[ID], with_vectors=True):
                    scores[id_of(each)] = bounded(float(vector_of(each).astype(np.float64) @ row))
            return scores

    async def ids(self, collection: str, *, after: str = "", limit: int = 1000) -> list[str]:
        with self._session(collection):
            client, known = await self._opened_with(collection)

            async def window(low: int, high: int, most: int | None) -> list[str]:
                from qdrant_client import models

                within = models.FieldCondition(key=PLACE, range=models.Range(gte=low, lt=high))
                keys: list[str] = []
                async for records in _pages(client, known, models.Filter(must=[within]), [ID], most or READ):
                    keys += map(id_of, records)
                    if most is not None:
                        break
                return keys

            return await walk(window, after, limit)

    async def count(self, collection: str, *, where: Filter | None = None) -> int:
        with self._session(collection):
            client, known = await self._opened_with(collection)
            if where is None:
                return (await client.count(known.name, exact=True)).count
            passed = 0
            async for records in _pages(client, known, _asked(where), [RECORD], READ):
                passed += sum(matches(where, metadata_of(each)) for each in records)
            return passed

    async def _search(
        self, collection: str, vector: Vector, limit: int, where: Filter | None, among: Sequence[str] | None
    ) -> list[Match]:
        with self._session(collection):
            client, known = await self._opened_with(collection)
            row = unit(vector, known.dimension)
            scores = await _nearest(client, known, row, limit, where, among) if limit > 0 else {}
            return [Match(key, scores[key]) for key in ranked(scores, limit)]

    async def close(self) -> None:
        client, self._client = self._client, None
        self._known.clear()
        if client is not None:
            await client.close()

    async def _opened(self) -> "AsyncQdrantClient":
        async with self._opening:
            if self._client is None:
                await asyncio.to_thread(import_module, "qdrant_client")  # which takes a second, once
                try:
                    self._client = self._connect()
                except (RuntimeError, OSError) as problem:
                    raise Unavailable(f"Qdrant cannot be opened: {problem}") from problem
            return self._client

    async def _opened_with(self, collection: str) -> "tuple[AsyncQdrantClient, _Collection]":
        client = await self._opened()
        known = self._known.get(collection) or await self._find(client, collection)
        if known is None:
            raise UnknownCollection(collection)
        return client, known

    async def _find(self, client: "AsyncQdrantClient", collection: str) -> _Collection | None:
        from qdrant_client import models

        try:
            with self._session(collection):
                info = await client.get_collection(self._prefix + collection)
        except UnknownCollection:
            return None
        vectors = info.config.params.vectors
        if not isinstance(vectors, models.VectorParams):
            raise VectorStoreError(f"the collection {self._prefix}{collection} was not made by this service")
        known = _Collection(self._prefix + collection, vectors.size, set(info.payload_schema) if self._server else None)
        return self._known.setdefault(collection, known)

    async def _make(self, client: "AsyncQdrantClient", collection: str, dimension: int) -> _Collection:
        from qdrant_client import models
        from qdrant_client.http.exceptions import UnexpectedResponse

        params = models.VectorParams(size=dimension, distance=models.Distance.COSINE)
        try:
            await client.create_collection(self._prefix + collection, vectors_config=params, timeout=SECONDS)
        except (UnexpectedResponse, ValueError):
            found = await self._find(client, collection)  # made by somebody else a moment ago
            if found is None:
                raise
            return found
        known = _Collection(self._prefix + collection, dimension, set() if self._server else None)
        return self._known.setdefault(collection, known)

    async def _index(self, client: "AsyncQdrantClient", known: _Collection, kinds: Mapping[str, str]) -> None:
        """Give a server the indexes that it lacks: type by field of the payload."""
        from qdrant_client import models

        if known.indexes is None:
            return
        for name, kind in kinds.items():
            if name not in known.indexes and (len(known.indexes) < MAX_INDEXES or kind != "float"):
                await client.create_payload_index(known.name, name, models.PayloadSchemaType(kind), wait=True)
                known.indexes.add(name)

    @contextmanager
    def _session(self, collection: str) -> Iterator[None]:
        """Qdrant's errors, told in the port's words."""
        checked_name(collection)
        from qdrant_client.common.client_exceptions import QdrantException
        from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

        try:
            yield
        except UnexpectedResponse as problem:
            self._known.pop(collection, None)
            raise _translated(collection, problem) from problem
        except (ApiException, QdrantException) as problem:
            said = getattr(problem, "source", None) or problem
            raise Unavailable(f"Qdrant does not answer: {said or type(said).__name__}") from problem
        except JSONDecodeError as problem:
            raise Unavailable("Qdrant does not answer: something else does, at its address") from problem
        except ValueError as problem:  # how the engine of a folder says it
            if not str(problem).startswith("Collection") or not str(problem).endswith("not found"):
                raise
            self._known.pop(collection, None)
            raise UnknownCollection(collection) from problem


def _translated(collection: str, problem: Any) -> VectorStoreError:
    status, said = problem.status_code or 0, problem.content.decode(errors="replace")[:300]
    if status == 404:
        return UnknownCollection(collection)
    if status == 400 and "dimension" in said:
        return WrongDimension(f"{collection}: {said}")
    if status >= 500 or status == 429:
        return Unavailable(f"Qdrant fails with status {status}: {said}")
    return Refused(f"Qdrant refuses the request with status {status}: {said}")


def _remote(host: str, port: int, ssl: bool, key: str, transport: Any = None) -> "AsyncQdrantClient":
    from qdrant_client import AsyncQdrantClient

    # Its own check of versions would be a request in a thread, whose warning nobody reads; the key goes as a header,
    # as the library warns of keys over plain HTTP, which is how one speaks to a server in one's own network.
    return AsyncQdrantClient(
        host=host,
        port=port,
        https=ssl,
        headers={"api-key": key} if key else None,
        timeout=SECONDS,
        check_compatibility=False,
        trust_env=False,
        **({"transport": transport} if transport is not None else {}),
    )


def _local(folder: str) -> "AsyncQdrantClient":
    from qdrant_client import AsyncQdrantClient

    return AsyncQdrantClient(path=folder)


async def _nearest(
    client: "AsyncQdrantClient",
    known: _Collection,
    row: NDArray[np.float32],
    limit: int,
    where: Filter | None,
    among: Sequence[str] | None,
) -> dict[str, float]:
    """The scores of the nearest points that pass `where`, or are `among` these, at least `limit` of them where there
    are so many."""
    from qdrant_client import models

    asked = _asked(where)
    if among is not None:
        asked = models.Filter(must=[models.HasIdCondition(has_id=[point_key(key) for key in among])])
    wanted, exact = limit + SPARE, known.indexes is None or among is not None
    breadth = BREADTH if exact else max(BREADTH, await known.breadth.at_least(lambda: _about(client, known)))
    while True:
        params = models.SearchParams(hnsw_ef=max(breadth, wanted), exact=exact)
        found = await client.query_points(
            known.name,
            query=row.tolist(),
            query_filter=asked,
            search_params=None if known.indexes is None else params,
            limit=wanted,
            with_payload=[ID] if where is None else [ID, RECORD],
        )
        passed = [each for each in found.points if where is None or matches(where, metadata_of(each))]
        scores = {id_of(each): bounded(each.score) for each in passed}
        best = ranked(scores, limit)
        if len(found.points) < wanted:
            if exact or len(best) == limit:
                return scores
            exact = True  # the index found fewer points than there may be
        # More points may score like the last one than were asked for: which of them come first is decided by id.
        elif len(best) == limit and bounded(found.points[-1].score) < scores[best[-1]]:
            return scores
        else:
            wanted *= 8


async def _about(client: "AsyncQdrantClient", known: _Collection) -> int:
    """About how many points there are."""
    return (await client.count(known.name, exact=False)).count


async def _pages(
    client: "AsyncQdrantClient", known: _Collection, asked: "models.Filter | None", fields: list[str], size: int
) -> "AsyncIterator[list[models.Record]]":
    """All points that pass a condition of Qdrant's, page by page."""
    offset: Any = None
    while True:
        records, offset = await client.scroll(known.name, asked, limit=size, offset=offset, with_payload=fields)
        yield records
        if offset is None:
            return


def _parts(keys: list[str]) -> Iterator[list[int | str | UUID]]:
    """The ids of points that stand for ids of the port, in parts."""
    for start in range(0, len(keys), READ):
        yield [point_key(key) for key in keys[start : start + READ]]


def _asked(where: Filter | None) -> "models.Filter | None":
    """What to ask of Qdrant for a filter; None when it is to look at all points."""
    from qdrant_client import models

    asked = None if where is None else condition(where)
    return None if asked is None else models.Filter.model_validate(asked)
