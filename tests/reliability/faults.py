"""A process that dies between two side effects: nothing of it happens any more, its `finally` blocks included."""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import psycopg
import pytest

from service.document_stores.elsewhere import Elsewhere
from service.resources import Resources
from stores.records.database import Connection

VECTORS = ("create", "drop", "upsert", "delete")
BLOBS = ("put", "delete")


class Crash(BaseException):
    """The process dies here."""


class Faults:
    """Watches every commit, every write to a vector store that joins no transaction, every file written or removed,
    and dies before one of them. What a dead process would tidy up stays as it is until `revive`.

    `lost`: in place of dying, the answer to one commit is lost: the transaction is committed, and its caller is told
    that the connection broke.
    """

    def __init__(self, resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen = 0
        self.at: int | None = None
        self.lost: int | None = None
        self.commits = 0
        self.dead = False
        self.database = database = resources.database
        self._transaction = database.transaction
        self._connection = database.connection
        monkeypatch.setattr(database, "transaction", self._guarded)
        monkeypatch.setattr(database, "connection", self._lent)
        for name in VECTORS:
            monkeypatch.setattr(resources.vectors, name, self._watched(getattr(resources.vectors, name)))
            monkeypatch.setattr(Elsewhere, name, self._watched(getattr(Elsewhere, name)))
        for name in BLOBS:
            monkeypatch.setattr(resources.blobs, name, self._watched(getattr(resources.blobs, name)))

    def arm(self, at: int | None = None, *, lost: int | None = None) -> None:
        """Die before the side effect with this number, counted from 0 and from now; or lose the answer to a commit."""
        self.seen = self.commits = 0
        self.at, self.lost = at, lost

    def revive(self) -> None:
        """Another process takes over, and does not die."""
        self.dead = False
        self.at = self.lost = None

    def _cut(self) -> None:
        self._alive()
        mine, self.seen = self.seen, self.seen + 1
        if mine == self.at:
            self.dead = True
            raise Crash

    def _alive(self) -> None:
        if self.dead:
            raise Crash

    @asynccontextmanager
    async def _guarded(self) -> AsyncIterator[Connection]:
        self._alive()
        async with self._transaction() as connection:
            yield connection
            self._cut()
        mine, self.commits = self.commits, self.commits + 1
        if mine == self.lost:
            raise psycopg.OperationalError("the connection broke while the commit was answered")

    def _lent(self) -> AbstractAsyncContextManager[Connection]:
        self._alive()
        return self._connection()

    def _watched(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @functools.wraps(call)
        async def watched(*arguments: Any, **options: Any) -> Any:
            self._cut()
            return await call(*arguments, **options)

        return watched
