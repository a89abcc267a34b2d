"""The application on a socket, in a thread, and a document store whose passages the test gives."""

import asyncio
import socket
import threading
import time
from collections.abc import Coroutine
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID, uuid4

import uvicorn

from service.app import create_app
from service.document_stores.types import FoundChunk
from service.errors import NotFound
from service.resources import Resources
from service.settings import Settings

DEFAULT_WORKSPACE = UUID("00000000-0000-4000-8000-000000000001")


T = TypeVar("T")


class Shelf:
    """Stands for the search of document stores; `asked` holds the queries, `filled` more stores that hold the same."""

    def __init__(self) -> None:
        """Nothing on it."""
        self.store = uuid4()
        self.filled: set[UUID] = set()
        self.asked: list[str] = []
        self.chunks = [
            self._chunk(0, "Every employee has 30 days of paid leave a year.", "Leave"),
            self._chunk(1, "The office in Bergen opens at eight o'clock.", "Hours"),
        ]

    def _chunk(self, position: int, text: str, heading: str) -> FoundChunk:
        metadata = {"source": "handbook.md", "title": "Handbook", "heading": heading, "docId": str(self.store)}
        return FoundChunk(uuid4(), text, metadata, 0.9 - position / 10, None, uuid4(), self.store, position)

    async def search(
        self, _resources: Resources, workspace: UUID, store: UUID, query: str, *, k: int = 4, **_options: Any
    ) -> list[FoundChunk]:
        """The chunks, whatever is asked."""
        await self.look(_resources, workspace, store)
        self.asked.append(query)
        return self.chunks[:k]

    async def look(self, _resources: Resources, workspace: UUID, store: UUID) -> None:
        """Raises `NotFound` for another document store."""
        if store not in {self.store, *self.filled} or workspace != DEFAULT_WORKSPACE:
            raise NotFound(f"Document store {store} not found")


class Live(AbstractContextManager["Live"]):
    """The application, serving on loopback. `url` is its root."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is started yet."""
        self._socket = socket.socket(proto=socket.IPPROTO_TCP)  # without it asyncio leaves Nagle on: 40 ms an answer
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.app = create_app(settings)
        config = uvicorn.Config(
            self.app, log_level="critical", access_log=False, ws="none", timeout_graceful_shutdown=5
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="live", daemon=True)
        self.loop: asyncio.AbstractEventLoop | None = None

    def _serve(self) -> None:
        async def serve() -> None:
            self.loop = asyncio.get_running_loop()
            await self._server.serve(sockets=[self._socket])

        asyncio.run(serve())

    @property
    def resources(self) -> Resources:
        """What the application has opened."""
        opened: Resources = self.app.state.resources
        return opened

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something on the application's loop."""
        assert self.loop is not None
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def __enter__(self) -> Self:
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("the application did not start")
            time.sleep(0.002)
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
