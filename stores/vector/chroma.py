"""Vectors in a Chroma server: `chroma://host:port`, with `?ssl=true`, `tenant`, `database` and `token`.

The server is spoken to by its REST interface (version 2), so nothing of Chroma is installed here. It runs anywhere, or
on this machine by `chroma run --path folder`; its embedded engine belongs to a single process, and this service has at
least two. Requests go straight to a URL that is the operator's setting, and through the guarded client of `Network` to
one that a caller named.

A collection holds unit vectors in cosine space. Chroma's metadata know neither nesting nor null, so a point keeps its
metadata as JSON text, and its facts beside it (`wording`); arrays of texts, which these are, need Chroma 1.5.
"""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar
from urllib.parse import SplitResult, quote, unquote

import numpy as np
import orjson
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
    WrongDimension,
    url_options,
    url_port,
)
from stores.vector.breadth import WIDEST, Breadth
from stores.vector.filters import Filter, matches
from stores.vector.order import walk
from stores.vector.points import bounded, checked_name, decode, ranked, unit, unit_rows
from stores.vector.wording import PLACE, RECORD, asked_of, kept

if TYPE_CHECKING:
    from httpx2 import AsyncClient, Timeout

T = TypeVar("T")

PORT = 8000
"""Where `chroma run` listens."""
SPARE = 16
"""Points asked for beyond the limit, so that a tie at its edge is seen."""
FEW = 200
"""Points whose vectors are read and compared here, at .14 ms each; of more of them, the engine tells the nearest, which
takes it 7 ms among 10,000 points and 130 ms among 120,000."""
EF_SEARCH = 200
"""Breadth of a search in the index at least: it is as broad as the number of points that it is asked for."""
NAMED = 4
"""How many times narrower a search among named points is: of a million, it finds .97 of the nearest ten of 10,000 in
150 ms, and .98 in 400 if it is as broad as others."""
READ = 1_000
"""Points read at a time."""
NUMBERS = 400_000
"""Numbers of vectors that one request writes at most: well below the size that a server takes."""
PAUSES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds before each further try, where the server's parts do not fit together."""
JSON = {"Content-Type": "application/json"}
CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 60.0


@dataclass(slots=True)
class _Collection:
    id: str
    dimension: int
    breadth: Breadth = field(default_factory=Breadth)


class _Missing(Exception):
    """The server knows no such thing."""


class _Taken(Exception):
    """The name is in use."""


class _Unsettled(Exception):
    """The server keeps vectors and metadata apart, and is just writing or removing some: what it read of the one does
    not fit the other."""


class _Unknown(_Unsettled):
    """A search among points names one that is not there, or no longer."""


class ChromaVectorStore(VectorStore):
    """A vector store in a Chroma server.

    A write larger than a request travels in several: when the server fails in between, the first of them are kept, and
    writing again completes them.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.FILTER, Capability.PERSISTENT})

    def __init__(self, connect: "Callable[[], AsyncClient]", database: str) -> None:
        """`connect` makes the client with the first request; `database` is the path of tenant and database."""
        self._connect = connect
        self._database = database
        self._client: AsyncClient | None = None
        self._known: dict[str, _Collection] = {}
        self._batch = 0

    @classmethod
    def open(cls, url: SplitResult, database: object) -> Self:
        base, home, token = _place(url)
        return cls(lambda: _client(base, token), home)

    @classmethod
    def open_guarded(cls, url: SplitResult, secret: str, network: Network) -> Self:
        base, home, _ = _place(url)
        return cls(lambda: _guarded(base, secret, network), home)

    async def create(self, collection: str, dimension: int) -> None:
        known = await self._find(checked_name(collection)) or await self._make(collection, dimension)
        if known.dimension != dimension:
            raise WrongDimension(f"{collection} holds vectors of {known.dimension} numbers, not {dimension}")

    async def drop(self, collection: str) -> None:
        self._known.pop(checked_name(collection), None)
        try:
            await self._send("DELETE", f"{self._database}/collections/{collection}")
        except _Missing:
            return

    async def upsert(self, collection: str, points: Sequence[Point]) -> None:
        async def write(known: _Collection) -> None:
            rows = unit_rows(points, known.dimension)
            last = {point.id: (row, kept(point)) for point, row in zip(points, rows, strict=True)}
            size = min(await self._largest_batch(), max(1, NUMBERS // known.dimension))
            for keys in _parts(list(last), size):
                body = {
                    "ids": keys,
                    "embeddings": [b64encode(last[key][0].astype("<f4").tobytes()).decode() for key in keys],
                    "metadatas": [last[key][1] for key in keys],
                }
                await self._ask(known, "upsert", body)

        await self._with(collection, write)

    async def delete(self, collection: str, ids: Sequence[str]) -> None:
        async def remove(known: _Collection) -> None:
            for keys in _parts(list(dict.fromkeys(ids)), READ):
                await self._ask(known, "delete", {"ids": keys})

        await self._with(collection, remove)

    async def query(self, collection: str, vector: Vector, limit: int, *, where: Filter | None = None) -> list[Match]:
        async def search(known: _Collection) -> list[Match]:
            row = unit(vector, known.dimension)
            scores = await self._nearest(known, row, limit, where) if limit > 0 else {}
            return [Match(key, scores[key]) for key in ranked(scores, limit)]

        return await self._with(collection, search)

    async def around(self, collection: str, vector: Vector, limit: int) -> Mapping[str, float]:
        async def search(known: _Collection) -> dict[str, float]:
            row = unit(vector, known.dimension)
            return await self._nearest(known, row, limit, None, whole=True) if limit > 0 else {}

        return await self._with(collection, search)

    async def among(self, collection: str, vector: Vector, limit: int, ids: Sequence[str]) -> list[Match]:
        async def search(known: _Collection) -> list[Match]:
            row, keys = unit(vector, known.dimension), list(dict.fromkeys(ids))
            if limit <= 0:
                return []
            few = len(keys) <= FEW
            scores = await (self._scores(known, row, keys) if few else self._best(known, row, keys, limit))
            return [Match(key, scores[key]) for key in ranked(scores, limit)]

        return await self._with(collection, search)

    async def get(self, collection: str, ids: Sequence[str]) -> list[Point]:
        async def read(known: _Collection) -> list[Point]:
            found = []
            for keys in _parts(sorted(set(ids)), READ):
                got = await self._rows(known, keys, "metadatas")
                found += [
                    Point(key, np.asarray(row, np.float32), decode(record[RECORD]))
                    for key, row, record in zip(got["ids"], got["embeddings"], got["metadatas"], strict=True)
                ]
            return sorted(found, key=lambda point: point.id)

        return await self._with(collection, read)

    async def score(self, collection: str, vector: Vector, ids: Sequence[str]) -> dict[str, float]:
        async def compare(known: _Collection) -> dict[str, float]:
            row, keys = unit(vector, known.dimension), list(dict.fromkeys(ids))
            return await self._scores(known, row, keys)

        return await self._with(collection, compare)

    async def ids(self, collection: str, *, after: str = "", limit: int = 1000) -> list[str]:
        async def read(known: _Collection) -> list[str]:
            async def window(low: int, high: int, most: int | None) -> list[str]:
                within = [{PLACE: {"$gte": low}}, {PLACE: {"$lt": high}}]
                got = await self._ask(known, "get", {"where": {"$and": within}, "include": [], "limit": most})
                return [str(key) for key in got["ids"]]

            return await walk(window, after, limit)

        return await self._with(collection, read)

    async def count(self, collection: str, *, where: Filter | None = None) -> int:
        async def number(known: _Collection) -> int:
            if where is None:
                return int(await self._ask(known, "count", None))
            return len(await self._passing(known, where))

        return await self._with(collection, number)

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    # Searching

    async def _nearest(
        self, known: _Collection, row: NDArray[np.float32], limit: int, where: Filter | None, whole: bool = False
    ) -> dict[str, float]:
        """The scores of the nearest points that pass `where`: at least `limit` of them where there are so many, and all
        that the index told of for the `whole`."""
        wanted, breadth = limit + SPARE, await self._breadth(known)
        body: dict[str, Any] = {"query_embeddings": [row.tolist()], "where": None if where is None else asked_of(where)}
        body["include"] = ["distances"] if where is None else ["distances", "metadatas"]
        while wanted <= WIDEST:
            got = await self._ask(known, "query", {**body, "n_results": max(wanted, breadth)})
            keys, gaps = got["ids"][0], got["distances"][0]
            if not whole:
                keys, gaps = keys[:wanted], gaps[:wanted]
            scores = {key: bounded(1.0 - gap) for key, gap in zip(keys, gaps, strict=True)}
            lowest = min(scores.values(), default=0.0)
            if where is not None:
                passed = set(_passed(keys, got["metadatas"][0][: len(keys)], where))
                scores = {key: score for key, score in scores.items() if key in passed}
            best = ranked(scores, limit)
            # More points may score like the last one than were asked for: which of them come first is decided by id.
            if len(best) == limit and (len(keys) < wanted or lowest < scores[best[-1]]):
                return scores
            if len(keys) < wanted:
                if len(keys) == int(await self._ask(known, "count", None)):
                    return scores  # of all points
                break  # the index found fewer points than there may be
            wanted *= 8
        keys = await self._passing(known, where)
        return await self._scores(known, row, keys)

    async def _best(
        self, known: _Collection, row: NDArray[np.float32], keys: list[str], limit: int
    ) -> dict[str, float]:
        """The scores of the nearest of these points, told by the engine: its vectors travel slowly."""
        wanted = min(max(limit + SPARE, await self._breadth(known) // NAMED), len(keys))
        body = {"query_embeddings": [row.tolist()], "ids": keys, "n_results": wanted, "include": ["distances"]}
        try:
            got = await self._ask(known, "query", body)
        except _Unknown:
            return await self._scores(known, row, keys)
        scores = {key: bounded(1.0 - gap) for key, gap in zip(got["ids"][0], got["distances"][0], strict=True)}
        best = ranked(scores, limit)
        if len(scores) < wanted or (wanted < len(keys) and min(scores.values()) == scores[best[-1]]):
            return await self._scores(known, row, keys)  # others may be as near as those that came
        return scores

    async def _breadth(self, known: _Collection) -> int:
        """How many points a search is to ask for, whatever it wants of them."""

        async def count() -> int:
            return int(await self._ask(known, "count", None))

        return await known.breadth.at_least(count)

    async def _passing(self, known: _Collection, where: Filter | None) -> list[str]:
        """The ids of all points that pass `where`."""
        body = {"where": None if where is None else asked_of(where), "include": [] if where is None else ["metadatas"]}
        keys: list[str] = []
        async for got in self._pages(known, body):
            keys += _passed(got["ids"], got["metadatas"], where)
        return keys

    async def _pages(self, known: _Collection, body: Mapping[str, Any]) -> AsyncIterator[Any]:
        offset, full = 0, True
        while full:
            got = await self._ask(known, "get", {**body, "limit": READ, "offset": offset})
            yield got
            offset, full = offset + READ, len(got["ids"]) == READ

    async def _scores(self, known: _Collection, row: NDArray[np.float32], keys: list[str]) -> dict[str, float]:
        scores: dict[str, float] = {}
        for part in _parts(keys, READ):
            got = await self._rows(known, part)
            if got["ids"]:
                products = np.asarray(got["embeddings"], np.float64) @ row.astype(np.float64)
                scores |= {key: bounded(float(one)) for key, one in zip(got["ids"], products, strict=True)}
        return scores

    async def _rows(self, known: _Collection, keys: list[str], *more: str) -> Any:
        """Points with their vectors, and what `more` names."""
        got = await self._ask(known, "get", {"ids": keys, "include": ["embeddings", *more]})
        if len(got["embeddings"] or ()) < len(got["ids"]):
            raise _Unsettled("some points have no vector")
        return got

    # Collections

    async def _find(self, collection: str) -> _Collection | None:
        try:
            found = await self._send("GET", f"{self._database}/collections/{collection}")
        except _Missing:
            return None
        dimension = (found["metadata"] or {}).get("dimension") or found["dimension"] or 0
        known = self._known[collection] = _Collection(found["id"], int(dimension))
        return known

    async def _make(self, collection: str, dimension: int) -> _Collection:
        space = {"hnsw": {"space": "cosine", "ef_search": EF_SEARCH}}
        body = {"name": collection, "metadata": {"dimension": dimension}, "configuration": space}
        try:
            made = await self._send("POST", f"{self._database}/collections", body)
        except _Taken:
            found = await self._find(collection)  # made by somebody else a moment ago
            if found is None:
                raise Unavailable(f"Chroma neither makes nor knows {collection}") from None
            return found
        except _Missing as problem:
            raise Refused(f"Chroma refuses the request: {problem}") from problem
        known = self._known[collection] = _Collection(made["id"], dimension)
        return known

    async def _with(self, collection: str, work: Callable[[_Collection], Awaitable[T]]) -> T:
        """Run `work` on a collection; again, a moment later, while the server is not done with what others write."""
        for pause in PAUSES:
            try:
                return await self._once(collection, work)
            except _Unsettled:
                await asyncio.sleep(pause)
        try:
            return await self._once(collection, work)
        except _Unsettled as problem:
            raise Unavailable(f"Chroma fails: {problem}") from problem

    async def _once(self, collection: str, work: Callable[[_Collection], Awaitable[T]]) -> T:
        """Run `work` on a collection; looked up again when the one that is known was dropped, and perhaps made anew."""
        known = self._known.get(checked_name(collection))
        if known is not None:
            try:
                return await work(known)
            except _Missing:
                self._known.pop(collection, None)
        found = await self._find(collection)
        try:
            if found is not None:
                return await work(found)
        except _Missing:
            self._known.pop(collection, None)
        raise UnknownCollection(collection)

    # Requests

    async def _ask(self, known: _Collection, verb: str, body: Mapping[str, Any] | None) -> Any:
        path = f"{self._database}/collections/{known.id}/{verb}"
        return await self._send("GET" if body is None else "POST", path, body)

    async def _largest_batch(self) -> int:
        if not self._batch:
            self._batch = int((await self._send("GET", "/pre-flight-checks"))["max_batch_size"])
        return self._batch

    async def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """What the server answers. Raises `_Missing`, `_Taken`, `_Unsettled`, and the errors of the port."""
        from httpx2 import HTTPError

        client = self._client = self._client or self._connect()
        try:
            content = None if body is None else orjson.dumps(body)
            response = await client.request(method, path, content=content, headers=JSON if content else None)
            answer = orjson.loads(response.content)
        except (HTTPError, ValueError, OSError) as problem:
            raise Unavailable(f"Chroma does not answer: {str(problem) or type(problem).__name__}") from problem
        if response.is_success:
            return answer
        said = str(answer.get("message", answer) if isinstance(answer, dict) else answer)[:300]
        match response.status_code:
            case 404:
                raise _Missing(said)
            case 412 if "segment" in said:  # of a collection that is being dropped
                raise _Missing(said)
            case 409:
                raise _Taken(said)
            case 400 if "dimension" in said:
                raise WrongDimension(said)
            case 500 if "finding id" in said:
                raise _Unknown(said)
            case 500 if "Nothing found on disk" in said:  # while the first points are written
                raise _Unsettled(said)
            case status if status >= 500 or status == 429:
                raise Unavailable(f"Chroma fails with status {status}: {said}")
            case status:
                raise Refused(f"Chroma refuses the request with status {status}: {said}")


def _place(url: SplitResult) -> tuple[str, str, str]:
    """Where the server's interface is, the path of tenant and database in it, and the key. Raises `BadUrl`."""
    options = url_options(url, {"ssl": ["true", "false"], "tenant": None, "database": None, "token": None})
    if url.hostname is None:
        folder = unquote(url.path) or "folder"
        raise BadUrl(
            "chroma needs a server, as its engine belongs to one process: `ragstone up` starts it; elsewhere do so by"
            f" `chroma run --path {folder} --port {PORT}` and use chroma://localhost:{PORT}"
        )
    if url.path.strip("/"):
        raise BadUrl("chroma takes no path; tenant and database are options")
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    scheme = "https" if options.get("ssl") == "true" else "http"
    tenant, name = options.get("tenant", "default_tenant"), options.get("database", "default_database")
    base = f"{scheme}://{host}:{url_port(url, PORT)}/api/v2"
    return base, f"/tenants/{quote(tenant, safe='')}/databases/{quote(name, safe='')}", options.get("token", "")


def _guarded(base: str, token: str, network: Network) -> "AsyncClient":
    client: AsyncClient = network.http_client(timeout=_patience())
    client.base_url = base
    if token:
        client.headers["x-chroma-token"] = token
    return client


def _patience() -> "Timeout":
    from httpx2 import Timeout

    return Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)


def _client(base: str, token: str) -> "AsyncClient":
    from httpx2 import AsyncClient, Limits

    return AsyncClient(
        base_url=base,
        headers={"x-chroma-token": token} if token else None,
        timeout=_patience(),
        limits=Limits(max_connections=32, max_keepalive_connections=8),
        trust_env=False,
    )


def _parts(keys: list[str], size: int) -> list[list[str]]:
    return [keys[start : start + size] for start in range(0, len(keys), size)]


def _passed(keys: Sequence[str], records: Sequence[Any] | None, where: Filter | None) -> list[str]:
    if where is None or records is None:
        return list(keys)
    return [key for key, record in zip(keys, records, strict=True) if matches(where, decode(record[RECORD]))]
