"""Blobs that nothing refers to go again, and those that something may refer to stay."""

import io
from pathlib import Path

import pytest

from stores.blobs.local import LocalBlobStore
from stores.blobs.pending import pending


async def kept(blobs: LocalBlobStore) -> int:
    return len([key async for key in blobs.keys()])  # noqa: SIM118 - no mapping


async def test_a_block_that_fails_keeps_nothing(tmp_path: Path) -> None:
    blobs = LocalBlobStore(tmp_path)

    async def upload() -> None:
        async with pending(blobs) as held:
            for number in range(3):
                held.add(await blobs.put(io.BytesIO(b"%d" % number), limit=9))
            assert await kept(blobs) == 3
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await upload()
    assert await kept(blobs) == 0


async def test_what_is_referred_to_stays_even_if_its_commit_fails(tmp_path: Path) -> None:
    blobs = LocalBlobStore(tmp_path)

    async def upload() -> None:
        async with pending(blobs) as held:
            held.add(await blobs.put(io.BytesIO(b"bytes"), limit=9))
            held.referred()
            raise ConnectionError("the server went away while it committed")

    with pytest.raises(ConnectionError):
        await upload()
    assert await kept(blobs) == 1
