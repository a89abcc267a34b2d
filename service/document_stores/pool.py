"""Open vector stores besides the service's own, one for each place and key, shared by all that a process does."""

import asyncio
import time
from hashlib import sha256
from urllib.parse import urlsplit

from service.document_stores.elsewhere import Elsewhere
from service.document_stores.types import Backend
from service.egress.client import Egress
from service.egress.errors import ALLOW, place_of
from service.errors import Unprocessable
from service.settings import PREFIX
from stores.records.database import Database
from stores.vector import vector_store_class
from stores.vector.base import BadUrl, Unsupported, VectorStore, VectorStoreError

MAX_OPEN = 64
"""Stores kept open; the one not used for longest goes first."""

GRACE_SECONDS = 600.0
"""How long one that went may still be in use, and is not closed."""


class VectorPool:
    """Opens vector stores on first use and closes them with the process."""

    def __init__(self, database: Database, egress: Egress) -> None:
        """Nothing is opened yet."""
        self._database = database
        self._egress = egress
        self._open: dict[str, Elsewhere] = {}
        self._leaving: list[tuple[float, Elsewhere]] = []
        self._lock = asyncio.Lock()

    def check(self, backend: Backend, secret: str = "") -> None:
        """Raises `Unprocessable` for a place that cannot be opened, or may not be, as far as that is known unasked."""
        self._made(backend, secret)

    async def get(self, backend: Backend, secret: str) -> VectorStore:
        """The store at this place, opened by this key. Raises as `check`."""
        key = sha256(f"{backend.url}\n{secret}".encode()).hexdigest()  # keys do not stay in memory as keys
        async with self._lock:
            store = self._open.pop(key, None) or self._made(backend, secret)
            self._open[key] = store
            now = time.monotonic()
            if len(self._open) > MAX_OPEN:
                self._leaving.append((now, self._open.pop(next(iter(self._open)))))
            for went, one in self._leaving:
                if went + GRACE_SECONDS < now:
                    await one.close()
            self._leaving = [each for each in self._leaving if each[0] + GRACE_SECONDS >= now]
        return store

    async def close(self) -> None:
        """Close every store."""
        for store in [*self._open.values(), *(one for _, one in self._leaving)]:
            await store.close()
        self._open.clear()
        self._leaving.clear()

    def _made(self, backend: Backend, secret: str) -> Elsewhere:
        parts = urlsplit(backend.url)
        try:
            kind = vector_store_class(parts.scheme)
            try:
                store = kind.open_guarded(parts, secret, self._egress)
            except Unsupported:
                self._check_trusted(backend, secret)
                store = kind.open(parts, self._database)
        except (BadUrl, VectorStoreError) as error:
            raise Unprocessable(f"The vector store {backend.title} cannot be used: {error}") from error
        return Elsewhere(store, backend.title)

    def _check_trusted(self, backend: Backend, secret: str) -> None:
        """A backend that does not go through the guard is only opened where the operator has named the host."""
        if secret:
            raise BadUrl("it takes no credential")
        parts = urlsplit(backend.url)
        if not parts.hostname and (parts.path or parts.query):
            raise BadUrl(f"files of this machine are for {PREFIX}VECTOR_STORE to name")
        if parts.hostname and not self._egress.guard.named(parts.hostname, parts.port):
            place = place_of(parts.hostname, parts.port) if parts.port else parts.hostname
            raise BadUrl(f"its host is not one that the operator has named: start with {ALLOW}={place}")
