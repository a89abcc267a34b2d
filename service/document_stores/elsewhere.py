"""A vector store that is not the service's own: its failures name it, and those that its owner mends say so."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Self
from urllib.parse import SplitResult

from service.errors import ServiceError, Unprocessable, UpstreamFailed
from stores.vector.base import Match, Point, Refused, Unavailable, Unsupported, Vector, VectorStore
from stores.vector.filters import Filter


class Elsewhere(VectorStore):
    """Hands every call on. It never joins the caller's transaction, whatever the store behind it can do.

    Raises `UpstreamFailed` where the port says `Refused`, `Unprocessable` for `Unsupported`, and the guard's refusal as
    it is, so that jobs end with the reason; `Unavailable` names the store.
    """

    def __init__(self, inner: VectorStore, title: str) -> None:
        """`title` is how failures name it."""
        self._inner = inner
        self._title = title

    @property
    def filters(self) -> bool:
        return self._inner.filters

    @property
    def narrows(self) -> bool:
        return self._inner.narrows

    @classmethod
    def open(cls, url: SplitResult, database: object) -> Self:
        """Raises `Unsupported`: there is none without a store behind it."""
        raise Unsupported("a store behind this one is needed")

    async def create(self, collection: str, dimension: int) -> None:
        with self._told():
            await self._inner.create(collection, dimension)

    async def complete(self, collection: str) -> None:
        with self._told():
            await self._inner.complete(collection)

    async def drop(self, collection: str) -> None:
        with self._told():
            await self._inner.drop(collection)

    async def upsert(self, collection: str, points: Sequence[Point]) -> None:
        with self._told():
            await self._inner.upsert(collection, points)

    async def delete(self, collection: str, ids: Sequence[str]) -> None:
        with self._told():
            await self._inner.delete(collection, ids)

    async def query(self, collection: str, vector: Vector, limit: int, *, where: Filter | None = None) -> list[Match]:
        with self._told():
            return await self._inner.query(collection, vector, limit, where=where)

    async def around(self, collection: str, vector: Vector, limit: int) -> Mapping[str, float]:
        with self._told():
            return await self._inner.around(collection, vector, limit)

    async def among(self, collection: str, vector: Vector, limit: int, ids: Sequence[str]) -> list[Match]:
        with self._told():
            return await self._inner.among(collection, vector, limit, ids)

    async def get(self, collection: str, ids: Sequence[str]) -> list[Point]:
        with self._told():
            return await self._inner.get(collection, ids)

    async def score(self, collection: str, vector: Vector, ids: Sequence[str]) -> dict[str, float]:
        with self._told():
            return await self._inner.score(collection, vector, ids)

    async def ids(self, collection: str, *, after: str = "", limit: int = 1000) -> list[str]:
        with self._told():
            return await self._inner.ids(collection, after=after, limit=limit)

    async def count(self, collection: str, *, where: Filter | None = None) -> int:
        with self._told():
            return await self._inner.count(collection, where=where)

    async def close(self) -> None:
        await self._inner.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except Unavailable as error:
            if (refusal := _refusal(error)) is not None:
                raise refusal from error
            raise Unavailable(f"{self._title}: {error}") from error
        except Refused as error:
            raise UpstreamFailed(f"{self._title}: {error}") from error
        except Unsupported as error:
            raise Unprocessable(f"{self._title}: {error}") from error


def _refusal(error: BaseException | None) -> ServiceError | None:
    """What the guard said, where a library has made a failure of its own of it."""
    while error is not None:
        if isinstance(error, ServiceError):
            return error
        source = getattr(error, "source", None)
        error = source if isinstance(source, BaseException) else error.__cause__
    return None
