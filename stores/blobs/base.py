"""The blob store port: uploaded files, kept under names that the server makes."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO


class BlobError(Exception):
    """A blob could not be read or written."""


class UnknownBlob(BlobError):
    """There is no blob of this key."""


class BlobTooLarge(BlobError):
    """The stream is longer than the limit; nothing was kept."""

    def __init__(self, limit: int) -> None:
        """`limit` in bytes."""
        super().__init__(f"larger than the limit of {limit} bytes")
        self.limit = limit


@dataclass(frozen=True, slots=True)
class Blob:
    """What was kept: its key, its length in bytes, the SHA-256 of its bytes."""

    key: str
    size: int
    sha256: bytes


class BlobStore(ABC):
    """Keeps byte streams. Keys are made by the store and safe in paths; callers' file names never reach it."""

    @abstractmethod
    async def put(self, stream: BinaryIO, *, limit: int) -> Blob:
        """Keep the rest of `stream`; durable when this returns. Raises `BlobTooLarge` above `limit` bytes."""

    @abstractmethod
    def path(self, key: str) -> AbstractAsyncContextManager[Path]:
        """A local file with the blob's bytes, for as long as the block lasts. Raises `UnknownBlob`."""

    @abstractmethod
    async def delete(self, key: str) -> None:
        """Remove a blob; unknown keys are no error."""

    @abstractmethod
    def keys(self, digit: str = "") -> AsyncIterator[str]:
        """Every key there is, in no order, or those that begin with this hexadecimal digit: how orphans are found."""

    @abstractmethod
    async def age(self, key: str) -> float:
        """Seconds since the blob was kept. Raises `UnknownBlob`."""

    @abstractmethod
    async def forget_unfinished(self, age: float, digit: str = "") -> int:
        """Remove what `put` left when its process died, where it is older than `age` seconds; says how much. `digit` as
        for `keys`."""
