"""The vector store port: collections of points, searched by nearness to a vector.

Scores are on one scale for every backend: cosine similarity in [-1, 1], higher is nearer. A store need not be
given unit vectors. Equal scores are ordered by id, so that order is stable.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple, Protocol, Self
from urllib.parse import SplitResult, parse_qsl

from numpy.typing import NDArray

from stores.vector.filters import Filter

Metadata = Mapping[str, Any]
"""JSON object; values come back with the types they went in with."""

Vector = Sequence[float] | NDArray[Any]
"""One embedding, `dimension` finite numbers."""


class VectorStoreError(Exception):
    """A vector store refused or failed."""


class WrongDimension(VectorStoreError):
    """A vector has another size than its collection."""


class NotFinite(VectorStoreError):
    """A vector holds NaN or an infinity, or is all zeros."""


class UnknownCollection(VectorStoreError):
    """The collection was never created, or was dropped."""


class BadMetadata(VectorStoreError):
    """Metadata are no JSON object that Postgres can keep: NaN, NUL characters, half surrogate pairs, other types."""


class BadUrl(VectorStoreError):
    """The URL of a store names an option or a value that its backend does not know."""


class Unavailable(VectorStoreError):
    """The backend cannot be reached or does not answer."""


class Refused(VectorStoreError):
    """The backend answers, and refuses what it is asked: its key is wrong, or it cannot take the request."""


class Unsupported(VectorStoreError):
    """The backend does not declare the capability that this call needs."""


class Capability(StrEnum):
    """What a backend can do beyond the required minimum; declared in the class, never guessed."""

    FILTER = "filter"
    """`query` and `count` take a filter."""
    NARROW = "narrow"
    """A filter narrows the search in the index itself, so that one which lets much through costs little more."""
    TRANSACTION = "transaction"
    """`within(connection)` joins the caller's Postgres transaction."""
    PERSISTENT = "persistent"
    """Points survive closing and opening the store."""


@dataclass(frozen=True, slots=True)
class Point:
    """A chunk as a vector store sees it: its id, its embedding, and the metadata that filters may look at."""

    id: str
    vector: Vector
    metadata: Metadata = field(default_factory=dict)


class Match(NamedTuple):  # and no dataclass: a search makes hundreds, and a tuple is made in a third of the time
    """A point found by a query. `score` is cosine similarity in [-1, 1], higher is nearer."""

    id: str
    score: float


class Network(Protocol):
    """A way to other hosts that reaches only those that the operator lets be called."""

    def http_client(self, *, timeout: Any = None) -> Any:
        """An `httpx2.AsyncClient`; to be closed."""

    def httpx_transport(self) -> Any:
        """An `httpx.AsyncBaseTransport`, for libraries that are built on that."""


class VectorStore(ABC):
    """Keeps points in named collections and finds the nearest ones.

    A collection name is `[a-z0-9_]{3,40}`, chosen by the server. Every method that names a collection raises
    `UnknownCollection` when it does not exist, except `create` and `drop`; `Unavailable` when the backend is out of
    reach; `Unsupported` when a capability is needed that the class does not declare.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset()

    @property
    def filters(self) -> bool:
        """Whether it declares FILTER; a view of a store says what that store says."""
        return Capability.FILTER in self.capabilities

    @property
    def narrows(self) -> bool:
        """Whether it declares NARROW; a view of a store says what that store says."""
        return Capability.NARROW in self.capabilities

    @property
    def idle(self) -> bool:
        """Whether `score` is quick here and nothing else is asked just now: to compare what may turn out not to be
        needed keeps nobody waiting."""
        return False

    @classmethod
    @abstractmethod
    def open(cls, url: SplitResult, database: object) -> Self:
        """The store that the URL configures. `database` is the service's `Database`. Raises `BadUrl`."""

    @classmethod
    def open_guarded(cls, url: SplitResult, secret: str, network: Network) -> Self:
        """As `open`, for a URL that a caller named and not the operator: no request goes but through `network`.
        `secret` is the server's key, "" without one. Raises `BadUrl`, and `Unsupported` where `open` is all there is.
        """
        raise Unsupported(f"{cls.__name__} is opened for the operator alone")

    @abstractmethod
    async def create(self, collection: str, dimension: int) -> None:
        """Make an empty collection; a no-op when it exists with this dimension, else `WrongDimension`. Searches are
        right at once; those among many points may be slow until it is `complete`."""

    async def complete(self, collection: str) -> None:  # noqa: B027 - most indexes grow point by point
        """Build what makes a collection of many points quick to search, from then on with every point; takes minutes
        over millions of points, and joins no transaction. Points may come and go meanwhile. May be done twice."""

    @abstractmethod
    async def drop(self, collection: str) -> None:
        """Remove a collection with its points; a no-op when there is none."""

    @abstractmethod
    async def upsert(self, collection: str, points: Sequence[Point]) -> None:
        """Add points, replacing those whose id exists. All or nothing; the last of equal ids wins.

        Raises `WrongDimension`, `NotFinite` and `BadMetadata` before anything is written.
        """

    @abstractmethod
    async def delete(self, collection: str, ids: Sequence[str]) -> None:
        """Remove points by id; unknown ids are no error."""

    @abstractmethod
    async def query(self, collection: str, vector: Vector, limit: int, *, where: Filter | None = None) -> list[Match]:
        """The `limit` nearest points, best first; `[]` for limit 0, all points for a limit beyond the size."""

    async def around(self, collection: str, vector: Vector, limit: int) -> Mapping[str, float]:
        """The scores of the nearest points in any order: of `limit` of them, and of all others that the search came by.
        As far as the index knows, no further point is nearer than the last of these.

        A backend whose index tells of more points than it is asked for has a method of its own.
        """
        return dict(await self.query(collection, vector, limit))

    async def among(self, collection: str, vector: Vector, limit: int, ids: Sequence[str]) -> list[Match]:
        """The `limit` nearest of these points, best first; unknown ids are left out.

        Meant for thousands of ids: selective filters are answered so, whatever the backend's index makes of them. A
        backend whose engine can tell the nearest of some points has a method of its own.
        """
        scores = await self.score(collection, vector, ids)
        best = sorted(scores, key=lambda key: (-scores[key], key))[: max(limit, 0)]
        return [Match(key, scores[key]) for key in best]

    @abstractmethod
    async def get(self, collection: str, ids: Sequence[str]) -> list[Point]:
        """These points with their unit vectors, in id order; ids that do not exist are left out."""

    @abstractmethod
    async def score(self, collection: str, vector: Vector, ids: Sequence[str]) -> dict[str, float]:
        """The exact scores of these points; ids that do not exist are left out."""

    @abstractmethod
    async def ids(self, collection: str, *, after: str = "", limit: int = 1000) -> list[str]:
        """Up to `limit` point ids above `after` in id order: how `doctor` walks a collection."""

    @abstractmethod
    async def count(self, collection: str, *, where: Filter | None = None) -> int:
        """How many points the collection holds, or how many of them the filter lets through."""

    def within(self, connection: object) -> "VectorStore":
        """This store, writing inside the caller's Postgres transaction (capability TRANSACTION), else `Unsupported`."""
        raise Unsupported(f"{type(self).__name__} cannot join a Postgres transaction")

    async def close(self) -> None:  # noqa: B027 - most stores hold nothing, so this is a default and no hole
        """Give back connections and files. The store is not used afterwards."""


def url_options(url: SplitResult, known: Mapping[str, Sequence[str] | None]) -> dict[str, str]:
    """The options after `?`, checked against the known ones and, where listed, their values. Raises `BadUrl`."""
    options = dict(parse_qsl(url.query, keep_blank_values=True))
    for name, value in options.items():
        if name not in known:
            raise BadUrl(f"{url.scheme} has no option {name!r}; known are {', '.join(known) or 'none'}")
        values = known[name]
        if values is not None and value not in values:
            raise BadUrl(f"{url.scheme} option {name} is one of {', '.join(values)}, not {value!r}")
    return options


def url_port(url: SplitResult, usual: int) -> int:
    """The port of a server's URL, or the usual one. Raises `BadUrl`."""
    try:
        return url.port or usual
    except ValueError as problem:
        raise BadUrl(f"{url.scheme}: {problem}") from problem
