"""Blobs as files in a folder, two levels deep, written aside and renamed when complete."""

import asyncio
import hashlib
import os
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from stores.blobs.base import Blob, BlobStore, BlobTooLarge, UnknownBlob

KEY = re.compile(r"[0-9a-f]{32}")
PIECE = 1024 * 1024


class LocalBlobStore(BlobStore):
    """Files under `root`; the key is the file's name."""

    def __init__(self, root: Path) -> None:
        """`root` is made, with access for its owner only, when the first blob is written."""
        self._root = root

    def _file(self, key: str) -> Path:
        if not KEY.fullmatch(key):
            raise UnknownBlob(f"no blob {key[:40]!r}")
        return self._root / key[:2] / key

    async def put(self, stream: BinaryIO, *, limit: int) -> Blob:
        writing = asyncio.ensure_future(asyncio.to_thread(self._put, stream, limit))
        try:
            return await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait([writing])  # a thread goes on to its end
            if writing.exception() is None:
                await self.delete(writing.result().key)
            raise

    def _put(self, stream: BinaryIO, limit: int) -> Blob:
        key = uuid4().hex
        target = self._file(key)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside = target.with_suffix(".part")
        digest, size = hashlib.sha256(), 0
        try:
            with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                while piece := stream.read(PIECE):
                    size += len(piece)
                    if size > limit:
                        raise BlobTooLarge(limit)
                    digest.update(piece)
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            aside.rename(target)
            _sync(target.parent)
        finally:
            aside.unlink(missing_ok=True)
        return Blob(key, size, digest.digest())

    @asynccontextmanager
    async def path(self, key: str) -> AsyncIterator[Path]:
        file = self._file(key)
        if not await asyncio.to_thread(file.is_file):
            raise UnknownBlob(f"no blob {key}")
        yield file

    async def delete(self, key: str) -> None:
        await asyncio.to_thread(self._file(key).unlink, missing_ok=True)

    async def keys(self, digit: str = "") -> AsyncIterator[str]:
        for folder in await asyncio.to_thread(_entries, self._root):
            if folder.name.startswith(digit) and folder.is_dir():
                for file in await asyncio.to_thread(_entries, folder):
                    if KEY.fullmatch(file.name):
                        yield file.name

    async def age(self, key: str) -> float:
        try:
            return time.time() - (await asyncio.to_thread(self._file(key).stat)).st_mtime
        except FileNotFoundError:
            raise UnknownBlob(f"no blob {key}") from None

    async def forget_unfinished(self, age: float, digit: str = "") -> int:
        return await asyncio.to_thread(self._forget_unfinished, time.time() - age, digit)

    def _forget_unfinished(self, before: float, digit: str) -> int:
        forgotten = 0
        for aside in self._root.glob(f"{digit}*/*.part"):
            with suppress(FileNotFoundError):  # completed meanwhile
                if aside.stat().st_mtime < before:
                    aside.unlink()
                    forgotten += 1
        return forgotten


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _sync(folder: Path) -> None:
    """Make a rename in this folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
