"""Blobs on their way into the records: gone again if they do not get there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from stores.blobs.base import Blob, BlobStore


class Pending:
    """Blobs that nothing refers to yet."""

    def __init__(self) -> None:
        """None so far."""
        self._keys: list[str] = []

    def add(self, blob: Blob) -> Blob:
        """One more; returns it."""
        self._keys.append(blob.key)
        return blob

    def referred(self) -> None:
        """Everything refers to them that is to: call it as the last thing before the commit. Nobody knows whether a
        commit that fails was one, so from then on they stay; the sweep finds those that belong to nobody after all."""
        self._keys.clear()

    @property
    def keys(self) -> tuple[str, ...]:
        """Those that are to go."""
        return tuple(self._keys)


@asynccontextmanager
async def pending(blobs: BlobStore) -> AsyncIterator[Pending]:
    """Blobs that are deleted when the block ends, with an error or without, unless they are `referred` to by then."""
    held = Pending()
    try:
        yield held
    finally:
        for key in held.keys:
            await blobs.delete(key)
