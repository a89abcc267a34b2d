"""Permissions are held twice: by what is searched, and by the ledger that shows what was found. Each is tried alone
here, with the other taken away, so that a fault in one cannot hide behind the other."""

from typing import Any
from uuid import UUID

import pytest

from service.document_stores import search as searching
from service.document_stores.ledger.chunks import records as chunk_rows
from service.document_stores.ledger.types import ChunkRow
from service.document_stores.sight import SeenLedger, Sight
from service.retrieval import narrowing
from service.retrieval.base import Span
from service.retrieval.pipeline import of_strategy
from service.viewers import EVERYTHING, Viewer
from tests.service.document_stores.backends import chroma_server, settings  # noqa: F401  # fixtures
from tests.service.document_stores.talk import Talk, passages

pytestmark = pytest.mark.usefixtures("worker")

PEOPLE = ["anna", "bert"]
QUESTION = passages("Alpha", words=5)

best = chunk_rows.best


async def check_everybody(talk: Talk, strategy: str) -> None:
    """Each of two people finds the open document and their own, and who is neither the open one."""
    store = await talk.store()
    await talk.upsert(store, ("open.txt", passages("Alpha", words=40)))
    for place, name in enumerate(PEOPLE):
        await talk.upsert(store, (f"{name}.txt", passages("Alpha", words=20 + place)), principals=[f"user:{name}"])
    for name in (*PEOPLE, "nobody"):
        chunks = await searching.search(
            talk.resources,
            talk.workspace,
            UUID(store),
            QUESTION,
            viewer=Viewer(frozenset({f"user:{name}"})),
            k=100,
            retrieval=of_strategy(strategy),
        )
        own = {f"{name}.txt"} if name in PEOPLE else set()
        assert {chunk.metadata["source"] for chunk in chunks} == {"open.txt"} | own


async def _showing_everything(scope: Any, store: UUID, numbers: Any, limit: int, _viewer: Viewer) -> list[ChunkRow]:
    return await best(scope, store, numbers, limit, EVERYTHING)


@pytest.mark.parametrize("few", [narrowing.FEW, 0])
@pytest.mark.parametrize("strategy", ["similarity", "hybrid"])
async def test_what_is_searched_holds_without_the_ledger(
    talk: Talk, monkeypatch: pytest.MonkeyPatch, strategy: str, few: int
) -> None:
    """`few`: whether what may be found is named to the search, or the search narrows itself."""
    monkeypatch.setattr(chunk_rows, "best", _showing_everything)
    monkeypatch.setattr(narrowing, "FEW", few)
    await check_everybody(talk, strategy)


@pytest.mark.parametrize("strategy", ["similarity", "hybrid"])
async def test_the_ledger_holds_without_what_is_searched(
    talk: Talk, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    monkeypatch.setattr(searching, "seen_vectors", lambda vectors, _sight: vectors)
    monkeypatch.setattr(searching, "seen_words", lambda words, _ledger: words)
    monkeypatch.setattr(SeenLedger, "narrowed", property(lambda _ledger: False))
    await check_everybody(talk, strategy)


async def test_the_ledger_shows_no_neighbours_of_what_may_not_be_found(talk: Talk) -> None:
    store = await talk.store()
    await talk.upsert(store, ("anna.txt", passages("Alpha", "Beta")), principals=["user:anna"])
    (document,) = await talk.documents(store)
    row = await searching.store_of(talk.resources, talk.workspace, UUID(store))
    shown = []
    for viewer in (Viewer(frozenset({"user:anna"})), Viewer(frozenset({"user:bert"})), Viewer(), EVERYTHING):
        ledger = SeenLedger(talk.resources.database, talk.workspace, UUID(store), Sight.of(viewer, row))
        shown.append(len(await ledger.near([Span(UUID(document["id"]), 0, 9)], None)))
    assert shown == [2, 0, 0, 2]
