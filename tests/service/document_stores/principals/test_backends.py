"""On every backend a viewer finds what it may find, all of it, and nothing else: compared with everything, by hand."""

import random
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from service.document_stores.search import search
from service.document_stores.sight import FIELD
from service.resources import Resources
from service.retrieval.pipeline import of_strategy
from service.viewers import EVERYTHING, Viewer
from tests.service.document_stores.backends import chroma_server, settings  # noqa: F401  # fixtures
from tests.service.document_stores.talk import API, Talk, passages

pytestmark = pytest.mark.usefixtures("worker")

PEOPLE = ["user:anna", "user:Anna", "group:hr", "group:it", "группа:ß"]
TOPICS = ["Alpha", "Beta", "Gamma", "Delta", "Epsilon", "Zeta"]
DOCUMENTS = 14


def drawn(chance: random.Random) -> list[str] | None:
    """The principals of a document: of many nobody's in particular, of few nobody at all."""
    return None if chance.random() < 0.4 else chance.sample(PEOPLE, chance.randrange(4))


def may(viewer: Viewer, principals: Sequence[str] | None, *, restricted: bool) -> bool:
    """Whether a viewer may find a document: the rule, once more."""
    if viewer.everything:
        return not restricted
    return not restricted if principals is None else not viewer.principals.isdisjoint(principals)


async def change(talk: Talk, store: str, *changes: dict[str, Any]) -> None:
    """Say who may find documents."""
    response = await talk.client.put(f"{API}/principals/{store}", json={"changes": list(changes)})
    assert response.status_code == 200, response.text


async def found(talk: Talk, store: str, text: str, viewer: Viewer, strategy: str, k: int = 100) -> dict[UUID, float]:
    """The scores of the chunks that a viewer finds, best first."""
    chunks = await search(
        talk.resources, talk.workspace, UUID(store), text, viewer=viewer, k=k, retrieval=of_strategy(strategy)
    )
    assert all(FIELD not in chunk.metadata for chunk in chunks)
    return {chunk.id: chunk.score for chunk in chunks}


@pytest.mark.parametrize("strategy", ["hybrid", "similarity"])
async def test_viewers_find_what_they_may_and_all_of_it(talk: Talk, resources: Resources, strategy: str) -> None:
    chance = random.Random(f"{strategy} {resources.settings.vector_store}")
    store = await talk.store()
    texts = [passages(*chance.sample(TOPICS, 2)) for _ in range(DOCUMENTS)]
    files = [(f"{place}.txt", text.replace("here", f"in part {place}")) for place, text in enumerate(texts)]
    await talk.upsert(store, *files)
    documents = [document["id"] for document in await talk.documents(store)]
    of: dict[UUID, str] = {}
    for row in await talk.rows("SELECT id, document_id FROM chunks"):
        of[row["id"]] = str(row["document_id"])
    held: dict[str, list[str] | None] = dict.fromkeys(documents)
    for restricted in (False, False, True):
        await talk.client.put(f"{API}/store/{store}", json={"restricted": False})
        touched = chance.sample(documents, DOCUMENTS // 2)
        held |= {document: drawn(chance) for document in touched}
        await change(talk, store, *({"documentId": each, "principals": held[each]} for each in touched))
        text = passages(chance.choice(TOPICS), words=5)
        everything = await found(talk, store, text, EVERYTHING, strategy)
        assert everything.keys() == of.keys() or strategy == "hybrid"
        assert (await talk.client.put(f"{API}/store/{store}", json={"restricted": restricted})).status_code == 200
        viewers = [Viewer(frozenset(chance.sample(PEOPLE, size))) for size in (0, 1, 2, 5)]
        for viewer in (*viewers, EVERYTHING):
            allowed = {
                one: score for one, score in everything.items() if may(viewer, held[of[one]], restricted=restricted)
            }
            for k in (1, 3, 100):
                shown = await found(talk, store, text, viewer, strategy, k)
                assert shown == pytest.approx({one: allowed[one] for one in shown}, abs=1e-6)
                best = list(allowed.values())[:k]  # which ones these are, where some tie, is open
                assert list(shown.values()) == pytest.approx(best, abs=1e-6)
    await talk.holds_together()


async def test_a_change_is_in_force_at_once_and_embeds_nothing(talk: Talk, resources: Resources, embedder: Any) -> None:
    store = await talk.store()
    made = await talk.upsert(store, ("a.txt", passages("Alpha")), ("b.txt", passages("Beta")), principals=["user:anna"])
    anna, bert = Viewer(frozenset({"user:anna"})), Viewer(frozenset({"user:bert"}))
    text = passages("Alpha", words=3)
    assert [len(await found(talk, store, text, each, "hybrid")) for each in (anna, bert, Viewer())] == [2, 0, 0]
    calls = len(embedder.calls)
    await change(talk, store, {"source": "file:a.txt", "principals": ["user:bert"]})
    embedded = len(embedder.calls) - calls
    assert [len(await found(talk, store, text, each, "hybrid")) for each in (anna, bert, Viewer())] == [1, 1, 0]
    await change(talk, store, {"docId": made["docId"], "principals": None})
    assert [len(await found(talk, store, text, each, "hybrid")) for each in (anna, bert, Viewer())] == [2, 2, 2]
    assert embedded == 0
    await change(talk, store, {"docId": made["docId"], "principals": []})
    assert [len(await found(talk, store, text, each, "hybrid")) for each in (anna, bert, Viewer())] == [0, 0, 0]
    assert len(await found(talk, store, text, EVERYTHING, "hybrid")) == 2
    await talk.holds_together()
    (row,) = await talk.rows("SELECT count(*) AS n FROM documents WHERE unmarked")
    assert row["n"] == 0
