"""Each layer hides by itself what may not be seen: the vector store in its search, and the ledger in what is shown."""

from pathlib import Path

import httpx
import pytest

from service.document_stores.ledger.chunks import records
from service.document_stores.sight import SeenLedger
from service.settings import Settings, load
from tests.service.document_stores.talk import API, Talk
from tests.stores.vector.servers import chroma_server  # noqa: F401  # fixture

pytestmark = pytest.mark.usefixtures("worker")

OPEN, HR = "The canteen of the house opens at noon.", "The salary of the canteen's cook is secret."


@pytest.fixture(params=["pgvector://", "memory://", "qdrant://{folder}", "chroma://{chroma}"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, database_url: str) -> Settings:
    """As in the other tests here, on each vector store."""
    server = request.getfixturevalue("chroma_server") if "{chroma}" in request.param else ""
    url = request.param.format(folder=tmp_path / "vectors", chroma=server)
    place = {"data": tmp_path / "data", "database_url": database_url, "database_pool": 12}
    return load({}, {**place, "vector_store": url})


@pytest.fixture
async def store(talk: Talk) -> str:
    """A document store of one open document and one of the group hr."""
    made = await talk.store()
    await talk.upsert(made, ("open.txt", OPEN))
    await talk.upsert(made, ("hr.txt", HR), principals=["group:hr"])
    return made


async def found(client: httpx.AsyncClient, store: str, stage: str, *principals: str) -> set[str]:
    """The texts that a viewer finds."""
    body = {"storeId": store, "query": "the canteen", "principals": principals, "strategy": stage}
    response = await client.post(f"{API}/vectorstore/query", json=body)
    assert response.status_code == 200, response.text
    return {doc["pageContent"] for doc in response.json()["docs"]}


async def test_the_vector_store_hides_it_where_the_ledger_would_show_all(
    client: httpx.AsyncClient, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "_seen", lambda _viewer: ("", "", {}))
    monkeypatch.setattr("service.retrieval.narrowing.FEW", 0)  # as with very many chunks: points are asked
    assert await found(client, store, "similarity", "user:bob") == {OPEN}
    assert await found(client, store, "similarity", "group:hr") == {OPEN, HR}


@pytest.mark.parametrize("stage", ["similarity", "hybrid"])
async def test_the_ledger_hides_it_where_vectors_and_words_find_all(
    client: httpx.AsyncClient, store: str, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SeenLedger, "narrowed", False)
    monkeypatch.setattr("service.document_stores.search.seen_vectors", lambda vectors, _sight: vectors)
    monkeypatch.setattr("service.document_stores.search.seen_words", lambda search, _ledger: search)
    assert await found(client, store, stage, "user:bob") == {OPEN}
    assert await found(client, store, stage, "group:hr") == {OPEN, HR}
