"""Take an archive in, as a durable upload and a job."""

import asyncio
from collections.abc import AsyncIterator
from typing import BinaryIO, cast
from uuid import UUID, uuid4

from service.document_stores import records as stores
from service.document_stores.archive.checking import begin
from service.document_stores.archive.writing import Draft, draft, packed, stream
from service.errors import TooLarge, Unprocessable
from service.jobs import service as jobs
from service.jobs.types import Job
from service.limits.service import check_room
from service.resources import Resources
from stores.blobs.base import BlobTooLarge
from stores.blobs.pending import pending

WAITING_NAME = "(import)"


class Pulled:
    """A stream of pieces that come by the event loop, as a file that a thread reads."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        """Made in the event loop that the pieces belong to."""
        self._pieces = pieces
        self._loop = asyncio.get_running_loop()
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, at least one; empty at the end. Raises what the pieces raise. Blocks."""
        while not self._rest:
            try:
                self._rest = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
            except EOFError:
                return b""
        piece, self._rest = (self._rest, b"") if size < 0 else (self._rest[:size], self._rest[size:])
        return piece

    async def _next(self) -> bytes:
        try:
            return await anext(self._pieces)
        except StopAsyncIteration:
            raise EOFError from None


async def take_in(
    resources: Resources, workspace: UUID, file: BinaryIO | Pulled, name: str | None, incoming: int = 0
) -> Job:
    """Keep an archive and queue the job that makes a new document store of it, which nobody sees before it is whole.
    `incoming`: the bytes that it is said to have.

    Raises `BadArchive` for what does not even begin as one, `TooLarge`, `Unprocessable` for an empty name, and what
    says that disk or queue are full.
    """
    if name is not None and not name.strip():
        raise Unprocessable("name: must not be empty")
    await check_room(resources, workspace, incoming)
    limit = resources.settings.max_archive
    store_id = uuid4()
    async with pending(resources.blobs) as held:
        try:
            blob = held.add(await resources.blobs.put(cast(BinaryIO, file), limit=limit))
        except BlobTooLarge:
            raise TooLarge(f"max_archive: the archive is larger than {limit} bytes") from None
        payload = {"storeId": str(store_id), "blob": blob.key, "name": name.strip() if name else None}
        async with resources.blobs.path(blob.key) as path:
            await asyncio.to_thread(begin, path, resources.settings)
        async with resources.database.write(workspace) as scope:
            await stores.insert(scope, store_id, name.strip() if name else WAITING_NAME, None)
            await stores.mark_deleted(scope, store_id)
            job = await jobs.submit(scope, resources.queue, "import", store_id=store_id, payload=payload)
            held.referred()
    return job


__all__ = ["Draft", "Pulled", "draft", "packed", "stream", "take_in"]
