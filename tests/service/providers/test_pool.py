"""The pool of embedders: what is in use is never closed, however many there are."""

from collections.abc import AsyncIterator

import pytest

from service.egress.client import Egress
from service.providers.embedding import pool as pools
from service.providers.embedding.base import Embedder
from service.providers.embedding.fake import FakeEmbedder
from service.providers.embedding.pool import EmbedderPool
from service.settings import load


@pytest.fixture
async def pool(tmp_path: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EmbedderPool]:
    """Keeps two that nobody wants."""
    monkeypatch.setattr(pools, "MAX_OPEN", 2)
    egress = Egress()
    opened = EmbedderPool(load({}, {"data": tmp_path}), egress)
    yield opened
    await opened.close()
    await egress.close()


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[Embedder]:
    """The embedders that were closed."""
    found: list[Embedder] = []

    async def aclose(self: Embedder) -> None:
        found.append(self)

    monkeypatch.setattr(FakeEmbedder, "aclose", aclose)
    return found


async def test_embedders_that_are_in_use_stay_open(pool: EmbedderPool, closed: list[Embedder]) -> None:
    used = [await pool.get("fake", {"dimensions": size}) for size in (3, 4, 5, 6)]
    assert closed == []
    assert [await pool.get("fake", {"dimensions": size}) for size in (3, 4, 5, 6)] == used


async def test_the_one_that_was_not_wanted_for_longest_goes_first(
    pool: EmbedderPool, closed: list[Embedder], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [await pool.get("fake", {"dimensions": size}) for size in (3, 4, 5)]
    await made[0].embed_array(["a"])
    monkeypatch.setattr(pools, "IDLE_SECONDS", -1.0)
    await pool.get("fake", {"dimensions": 6})
    assert closed == made[1:3]
    assert await pool.get("fake", {"dimensions": 3}) is made[0]


async def test_the_bundled_one_stays(
    pool: EmbedderPool, closed: list[Embedder], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = await pool.get()
    monkeypatch.setattr(pools, "IDLE_SECONDS", -1.0)
    for size in (3, 4, 5):
        await pool.get("fake", {"dimensions": size})
    assert await pool.get() is bundled
    assert len(closed) == 2
