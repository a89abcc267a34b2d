"""Uploads as files: what is kept, what is refused, what is left behind."""

import asyncio
import io
import stat
from hashlib import sha256
from pathlib import Path
from threading import Event

import pytest

from stores.blobs.base import BlobTooLarge, UnknownBlob
from stores.blobs.local import LocalBlobStore

CONTENT = "Grüße, 世界 \x00".encode() * 1000


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobStore:
    """A blob store on an empty folder that does not exist yet."""
    return LocalBlobStore(tmp_path / "blobs")


async def keys(blobs: LocalBlobStore) -> list[str]:
    """Every key there is."""
    return [key async for key in blobs.keys()]  # noqa: SIM118 - a method of ours, no dict


async def test_bytes_come_back_as_they_were(blobs: LocalBlobStore) -> None:
    blob = await blobs.put(io.BytesIO(CONTENT), limit=len(CONTENT))
    assert (blob.size, blob.sha256) == (len(CONTENT), sha256(CONTENT).digest())
    async with blobs.path(blob.key) as path:
        assert path.read_bytes() == CONTENT
    assert await keys(blobs) == [blob.key]


async def test_a_stream_is_read_from_where_it_stands(blobs: LocalBlobStore) -> None:
    stream = io.BytesIO(b"headbody")
    stream.seek(4)
    blob = await blobs.put(stream, limit=100)
    async with blobs.path(blob.key) as path:
        assert path.read_bytes() == b"body"


async def test_a_stream_beyond_the_limit_leaves_nothing(blobs: LocalBlobStore, tmp_path: Path) -> None:
    with pytest.raises(BlobTooLarge, match="limit of 10 bytes"):
        await blobs.put(io.BytesIO(b"x" * 11), limit=10)
    assert await keys(blobs) == []
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


async def test_a_stream_that_breaks_leaves_nothing(blobs: LocalBlobStore, tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise ConnectionResetError("the client went away")

    with pytest.raises(ConnectionResetError):
        await blobs.put(Broken(), limit=10)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


async def test_a_writer_that_is_cancelled_leaves_nothing(blobs: LocalBlobStore, tmp_path: Path) -> None:
    reading, go_on = Event(), Event()

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            reading.set()
            go_on.wait(10)
            return super().read(size)

    writing = asyncio.create_task(blobs.put(Slow(b"bytes"), limit=10))
    assert await asyncio.to_thread(reading.wait, 10)
    writing.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


async def test_only_the_owner_may_read(blobs: LocalBlobStore) -> None:
    blob = await blobs.put(io.BytesIO(b"secret"), limit=100)
    async with blobs.path(blob.key) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_deleted_blob_is_gone_and_deleting_it_again_is_no_error(blobs: LocalBlobStore) -> None:
    blob = await blobs.put(io.BytesIO(b"x"), limit=1)
    await blobs.delete(blob.key)
    await blobs.delete(blob.key)
    with pytest.raises(UnknownBlob):
        async with blobs.path(blob.key):
            pass


@pytest.mark.parametrize("key", ["", "../../etc/passwd", "/etc/passwd", "0" * 31, "0" * 33, "A" * 32, "0" * 31 + "\n"])
async def test_a_key_that_the_store_did_not_make_is_unknown(blobs: LocalBlobStore, key: str) -> None:
    with pytest.raises(UnknownBlob):
        async with blobs.path(key):
            pass
    with pytest.raises(UnknownBlob):
        await blobs.delete(key)
