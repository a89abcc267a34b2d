"""Open vector stores are shared, bounded, and closed when nobody can use them any more."""

from uuid import uuid4

import pytest

from service.document_stores import pool as pools
from service.document_stores.elsewhere import Elsewhere
from service.document_stores.pool import VectorPool
from service.document_stores.types import Backend
from service.resources import Resources
from stores.vector.base import Capability, Unsupported, VectorStore
from stores.vector.memory import MemoryVectorStore


class Closing(MemoryVectorStore):
    """Remembers that it was closed."""

    closed = False

    async def close(self) -> None:
        self.closed = True


class Slow(MemoryVectorStore):
    """Its filters narrow nothing in an index."""

    capabilities = frozenset({Capability.FILTER})


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Closing]:
    """What the pool opens, in order."""
    opened: list[Closing] = []

    def make(_pool: VectorPool, backend: Backend, _secret: str) -> Elsewhere:
        opened.append(Closing())
        return Elsewhere(opened[-1], backend.title)

    monkeypatch.setattr(VectorPool, "_made", make)
    return opened


async def test_one_is_opened_for_each_place_and_key(resources: Resources, made: list[Closing]) -> None:
    pool = VectorPool(resources.database, resources.egress)
    one, other = Backend("chroma://a.example:1"), Backend("chroma://b.example:1")
    first = await pool.get(one, "key")
    assert await pool.get(Backend(one.url, uuid4()), "key") is first
    assert await pool.get(one, "another key") is not first
    assert await pool.get(other, "key") is not first
    await pool.close()
    assert [store.closed for store in made] == [True] * 3
    assert "key" not in repr(vars(pool))


async def test_the_one_not_used_for_longest_goes_first_and_is_closed_after_its_grace(
    resources: Resources, made: list[Closing], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "MAX_OPEN", 2)
    pool = VectorPool(resources.database, resources.egress)
    places = [Backend(f"chroma://{name}.example:1") for name in "abc"]
    for place in (places[0], places[1], places[0], places[2]):
        await pool.get(place, "")
    assert [store.closed for store in made] == [False] * 3
    monkeypatch.setattr(pools, "GRACE_SECONDS", -1.0)
    await pool.get(places[0], "")
    assert [store.closed for store in made] == [False, True, False]
    await pool.close()
    assert all(store.closed for store in made)


async def test_there_is_none_without_a_store_behind_it() -> None:
    with pytest.raises(Unsupported):
        Elsewhere.open(None, None)  # type: ignore[arg-type]


def test_a_store_elsewhere_narrows_as_the_store_behind_it_does() -> None:
    assert Elsewhere(MemoryVectorStore(), "memory").narrows
    assert not Elsewhere(Slow(), "slow").narrows


def test_a_store_elsewhere_is_asked_in_each_of_its_own_ways() -> None:
    ways = {name for name, part in vars(VectorStore).items() if callable(part) and not name.startswith("_")}
    # it joins no transaction
    assert ways - vars(Elsewhere).keys() == {"within"}
