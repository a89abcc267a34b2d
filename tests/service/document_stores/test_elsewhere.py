"""Document stores whose vectors are in a server of their own: Chroma and Qdrant over HTTP, through the guard."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from service.document_stores.check.leftovers import tidy
from service.document_stores.check.repair import repair
from service.document_stores.check.service import check
from service.providers.embedding.fake import FakeEmbedder
from service.resources import Resources
from service.worker import postgres
from stores.vector import open_vector_store
from stores.vector.base import Point, UnknownCollection, VectorStore
from stores.vector.qdrant import QdrantVectorStore
from tests.ports import held_ports
from tests.service.document_stores.talk import API, FAKE, Talk, passages
from tests.stores.vector.qdrant_server import QdrantServer
from tests.stores.vector.servers import chroma_server  # noqa: F401  # fixture
from tests.stores.vector.test_own_backend import install

pytestmark = pytest.mark.usefixtures("worker")

EAST = [1.0, *[0.0] * 15]
EMBEDDING = {"embeddingName": FAKE["name"], "embeddingConfig": FAKE["config"]}


@dataclass(frozen=True, slots=True)
class Place:
    """A server, as forms name it, and a look at it past the service."""

    name: str
    config: dict[str, Any]
    vectors: VectorStore


@pytest.fixture
async def server() -> AsyncIterator[QdrantServer]:
    """Qdrant, that answers while it is listening."""
    made = QdrantServer()
    yield made
    await made.engine.close()


@pytest.fixture
async def chroma(chroma_server: str) -> AsyncIterator[Place]:  # noqa: F811
    """A Chroma server with a collection of somebody else's."""
    vectors = open_vector_store(f"chroma://{chroma_server}")
    await vectors.create("docs", 16)
    await vectors.upsert("docs", [Point("theirs", EAST)])
    yield Place("chroma", {"chromaURL": f"http://{chroma_server}", "collectionName": "docs"}, vectors)
    assert await vectors.ids("docs") == ["theirs"]
    await vectors.drop("docs")
    await vectors.close()


@pytest.fixture
async def qdrant(server: QdrantServer) -> AsyncIterator[Place]:
    """A Qdrant server with a collection of somebody else's."""
    vectors = QdrantVectorStore(server.client)
    await vectors.create("docs", 16)
    await vectors.upsert("docs", [Point("theirs", EAST)])
    async with server.listening() as where:
        yield Place("qdrant", {"qdrantServerUrl": f"http://{where}", "qdrantCollection": "docs"}, vectors)
    server.key = ""
    assert await vectors.ids("docs") == ["theirs"]
    await vectors.close()


@pytest.fixture(params=["chroma", "qdrant"])
def place(request: pytest.FixtureRequest) -> Place:
    """Each of them."""
    found: Place = request.getfixturevalue(request.param)
    return found


def at(place: Place, **fields: Any) -> dict[str, Any]:
    """A document store's field for its vector store."""
    return {"vectorStoreConfig": json.dumps({"name": place.name, "config": {**place.config, **fields}})}


async def located(talk: Talk, store: str) -> tuple[str, dict[str, Any] | None]:
    """The collection of a document store, and where it is."""
    (row,) = await talk.rows(
        "SELECT c.name, c.backend FROM document_stores s JOIN collections c ON c.name = s.collection WHERE s.id = %s",
        store,
    )
    return row["name"], row["backend"]


async def move(talk: Talk, store: str, name: str, config: dict[str, Any], status: int = 202) -> dict[str, Any]:
    """A re-index to another vector store: the job when it has ended, or the refusal."""
    body = {"storeId": store, "vectorStoreName": name, "vectorStoreConfig": config}
    response = await talk.client.post(f"{API}/vectorstore/reindex", json=body)
    assert response.status_code == status, response.text
    return await talk.end(response.json()["url"]) if status == 202 else dict(response.json())


def heads(docs: list[dict[str, Any]]) -> list[str]:
    """The first word of each chunk."""
    return [doc["pageContent"].split()[0] for doc in docs]


async def test_vectors_are_kept_searched_edited_and_deleted_in_the_server_that_is_named(
    talk: Talk, resources: Resources, place: Place
) -> None:
    store = await talk.store(**at(place))
    await talk.upsert(store, ("a.txt", passages("Alpha", "Beta", "Gamma")), metadata={"lang": "de", "page": 3})
    await talk.upsert(store, ("b.txt", passages("Delta", "Epsilon")), metadata={"lang": "en", "page": 9})
    collection, backend = await located(talk, store)
    assert backend is not None
    assert backend["url"].startswith(f"{place.name}://127.0.0.1:")
    assert await place.vectors.count(collection) == 5
    with pytest.raises(UnknownCollection):
        await resources.vectors.count(collection)
    texts = {text.split()[0]: text for text in await talk.texts(store)}
    assert heads(await talk.query(store, texts["Beta"]))[0] == "Beta"
    where = {"lang": "en", "page": {"$gt": 3}}
    assert set(heads(await talk.query(store, texts["Beta"], filter=where))) == {"Delta", "Epsilon"}

    chunk = next(one for one in (await talk.chunks(store))["chunks"] if one["pageContent"].startswith("Alpha"))
    path = f"{API}/chunks/{store}/{chunk['docId']}/{chunk['id']}"
    edited = await talk.client.put(path, json={"pageContent": "Eta is new.", "metadata": {"lang": "fr"}})
    assert edited.status_code == 200, edited.text
    assert heads(await talk.query(store, "Eta is new.", filter={"lang": "fr"})) == ["Eta"]
    assert (await talk.client.delete(path)).status_code == 200
    assert await place.vectors.count(collection) == 4
    await talk.holds_together()

    assert (await talk.client.delete(f"{API}/store/{store}")).status_code == 200
    await talk.settled()
    with pytest.raises(UnknownCollection):
        await place.vectors.count(collection)


async def test_the_doctor_mends_what_a_server_lost_or_has_too_many(
    talk: Talk, resources: Resources, place: Place
) -> None:
    store = await talk.store(**at(place))
    await talk.upsert(store, ("a.txt", passages("Alpha", "Beta", "Gamma")))
    collection, _ = await located(talk, store)
    kept, lost, *_ = await place.vectors.ids(collection)
    await place.vectors.upsert(collection, [Point("9999999999", EAST)])
    await place.vectors.delete(collection, [lost])
    assert len(await check(resources)) == 2
    assert [line async for line in repair(resources)]
    assert {kept, lost} < set(await place.vectors.ids(collection))
    await talk.holds_together()
    await place.vectors.drop(collection)
    assert [line async for line in repair(resources)]
    assert await place.vectors.count(collection) == 3


async def test_vectors_move_from_server_to_server_and_nothing_is_embedded(
    talk: Talk, resources: Resources, chroma: Place, qdrant: Place, embedder: FakeEmbedder
) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha", "Beta", "Gamma")), metadata={"lang": "de"})
    own = [{"text": "Theirs is this.", "vector": EAST}]
    given = await talk.client.post(f"{API}/upsert/{store}", json={"chunks": own, "source": "faq"})
    assert given.status_code == 200, given.text
    question = (await talk.texts(store))[0]
    before = await talk.query(store, question, topK=10)
    former: VectorStore = resources.vectors
    for name, config, vectors in [
        (chroma.name, chroma.config, chroma.vectors),
        (qdrant.name, qdrant.config, qdrant.vectors),
        ("pgvector", {}, resources.vectors),
        (chroma.name, chroma.config, chroma.vectors),
    ]:
        old, _ = await located(talk, store)
        made = len(embedder.calls)
        ended = await move(talk, store, name, config)
        assert ended["state"] == "done", ended
        assert ended["result"]["vectorStore"] == name
        assert [call for call in embedder.calls[made:] if call != (question,)] == []
        new, backend = await located(talk, store)
        assert (backend is None) == (vectors is resources.vectors)
        points = await vectors.get(new, await vectors.ids(new))
        assert sum(abs(point.vector[0] - 1) < 1e-5 for point in points) == 1  # what a caller brought is kept
        assert len(points) == 4
        with pytest.raises(UnknownCollection):
            await former.count(old)
        after = await talk.query(store, question, topK=10)
        assert [(doc["pageContent"], pytest.approx(doc["score"], abs=1e-5)) for doc in before] == [
            (doc["pageContent"], doc["score"]) for doc in after
        ]
        assert (await talk.read(store))["vectorStoreConfig"]
        former = vectors
        await talk.holds_together()


async def test_a_document_store_with_vectors_is_not_configured_for_another_place(talk: Talk, chroma: Place) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha", "Beta")))
    name, config = chroma.name, chroma.config
    body = {"storeId": store, "vectorStoreName": name, "vectorStoreConfig": config, **EMBEDDING}
    component = {"name": name, "config": config}
    for response in (
        await talk.client.post(f"{API}/vectorstore/save", json=body),
        await talk.client.post(
            f"{API}/vectorstore/update",
            json={key: body[key] for key in ("storeId", "vectorStoreName", "vectorStoreConfig")},
        ),
        await talk.client.put(f"{API}/store/{store}", json={"vectorStoreConfig": json.dumps(component)}),
        await talk.send(store, ("b.txt", "Gamma"), vectorStore=component),
    ):
        assert (response.status_code, response.json()["code"]) == (409, "vector_store_changed"), response.text
        assert f"ragstone store reindex {store} --vector-store" in response.json()["message"]
        assert "chroma at 127.0.0.1:" in response.json()["message"]
    assert await located(talk, store) == (f"ds_{store.replace('-', '')}", None)

    assert (await talk.client.delete(f"{API}/vectorstore/{store}")).status_code == 200
    assert (await talk.client.post(f"{API}/vectorstore/save", json=body)).status_code == 200
    filled = await talk.client.post(f"{API}/vectorstore/insert", json={"storeId": store})
    assert filled.status_code == 200, filled.text
    collection, backend = await located(talk, store)
    assert backend is not None
    assert await chroma.vectors.count(collection) == 2
    await talk.holds_together()


async def test_an_empty_document_store_follows_its_configuration(talk: Talk, chroma: Place, qdrant: Place) -> None:
    store = await talk.store(**at(chroma))
    await talk.upsert(store, ("a.txt", passages("Alpha")))
    old, _ = await located(talk, store)
    (loader,) = (await talk.read(store))["loaders"]
    assert (await talk.client.delete(f"{API}/loader/{store}/{loader['id']}")).status_code == 200
    await talk.settled()
    await talk.upsert(store, ("a.txt", passages("Beta")), vectorStore={"name": "qdrant", "config": qdrant.config})
    collection, _ = await located(talk, store)
    assert await qdrant.vectors.count(collection) == 1
    with pytest.raises(UnknownCollection):
        await chroma.vectors.count(old)
    await talk.holds_together()


async def credential(talk: Talk, name: str, hosts: str = "127.0.0.1", **values: str) -> str:
    """A new credential."""
    body = {"name": "key", "credentialName": name, "plainDataObj": {**values, "allowedHosts": hosts}}
    response = await talk.client.post("/api/v1/credentials", json=body)
    assert response.status_code == 200, response.text
    made: str = response.json()["id"]
    return made


async def test_a_key_is_sent_to_its_hosts_and_may_be_replaced(talk: Talk, server: QdrantServer, qdrant: Place) -> None:
    key = await credential(talk, "qdrantApi", qdrantApiKey="secret-one")
    store = await talk.store(**at(qdrant, credential=key))
    server.key = "secret-one"
    await talk.upsert(store, ("a.txt", passages("Alpha", "Beta")))
    collection, backend = await located(talk, store)
    assert backend is not None
    assert "secret-one" not in json.dumps(backend)
    assert len(await talk.query(store, "Alpha")) == 2

    server.key = "secret-two"
    asked = {"storeId": store, "query": "Alpha"}
    wrong = await talk.client.post(f"{API}/vectorstore/query", json=asked)
    assert wrong.status_code == 502
    assert "qdrant at 127.0.0.1:" in wrong.json()["message"]
    assert "secret" not in wrong.text
    new = {"qdrantApiKey": "secret-two", "allowedHosts": "127.0.0.1"}
    body = {"name": "key", "credentialName": "qdrantApi", "plainDataObj": new}
    assert (await talk.client.put(f"/api/v1/credentials/{key}", json=body)).status_code == 200
    assert len(await talk.query(store, "Alpha")) == 2

    other = await credential(talk, "qdrantApi", qdrantApiKey="secret-two")
    config = {**qdrant.config, "credential": other}
    body = {"storeId": store, "vectorStoreName": "qdrant", "vectorStoreConfig": config, **EMBEDDING}
    assert (await talk.client.post(f"{API}/vectorstore/save", json=body)).status_code == 200
    assert (await talk.client.delete(f"/api/v1/credentials/{key}")).status_code == 200
    assert len(await talk.query(store, "Beta")) == 2
    assert (await located(talk, store))[0] == collection
    server.key = ""
    assert (await talk.client.delete(f"/api/v1/credentials/{other}")).status_code == 200
    gone = await talk.client.post(f"{API}/vectorstore/query", json=asked)
    assert (gone.status_code, other in gone.json()["message"]) == (409, True)


@pytest.mark.parametrize(
    ("name", "config", "status", "named"),
    [
        ("weaviate", {}, 422, ["vectorStore.name", "weaviate", "pgvector", "chroma", "qdrant"]),
        ("pinecone", {"pineconeMetadataFilter": {"a": {"$near": 1}}}, 422, ["pineconeMetadataFilter", "$near"]),
        ("memory", {}, 422, ["vectorStore.name", "memory"]),
        ("chroma", {"chromaURL": "localhost:8000"}, 422, ["vectorStore.config.chromaURL", "http://"]),
        ("chroma", {"chromaURL": "http://chroma.example:8000/api"}, 422, ["chromaURL", "path"]),
        ("chroma", {"chromaURL": "http://me:secret-word@chroma.example"}, 422, ["chromaURL", "credentials"]),
        ("chroma", {"chromaURL": "http://chroma.example:99999"}, 422, ["chromaURL"]),
        ("chroma", {"chromaURL": "http://10.0.0.7:8000"}, 422, ["10.0.0.7", "RAGSTONE_EGRESS_ALLOW"]),
        ("qdrant", {"qdrantServerUrl": "ftp://qdrant.example"}, 422, ["qdrantServerUrl"]),
        ("qdrant", {"qdrantServerUrl": "http://a.example", "credential": "x"}, 400, ["credential", "'x'"]),
        ("qdrant", {"qdrantFilter": {"must": [{"has_id": [1]}]}}, 422, ["qdrantFilter", "must[0]"]),
        ("chroma", {"chromaMetadataFilter": '{"a": {"$near": 1}}'}, 422, ["chromaMetadataFilter", "$near"]),
    ],
)
async def test_a_place_that_cannot_be_used_is_refused_before_anything_is_written(
    talk: Talk, name: str, config: dict[str, Any], status: int, named: list[str]
) -> None:
    component = {"name": name, "config": config}
    body = {"name": "Notes", "vectorStoreConfig": json.dumps(component)}
    store = await talk.store()
    for response in (
        await talk.client.post(f"{API}/store", json=body),
        await talk.send(store, ("a.txt", "Alpha"), vectorStore=component),
    ):
        assert response.status_code == status, response.text
        assert all(word in response.json()["message"] for word in named), response.text
        assert "secret-word" not in response.text
    assert await talk.rows("SELECT 1 AS one FROM documents") == []


async def test_a_document_store_of_pinecones_is_kept_here_and_its_filter_holds(talk: Talk) -> None:
    fields = {"pineconeIndex": "notes", "credential": str(uuid4())}
    place = {"name": "pinecone", "config": {**fields, "pineconeMetadataFilter": {"kind": {"$eq": "new"}}}}
    store = await talk.store(vectorStoreConfig=json.dumps(place))
    await talk.upsert(store, ("a.txt", "Alpha stands first."), metadata={"kind": "new"})
    await talk.upsert(store, ("b.txt", "Beta stands second."), metadata={"kind": "old"})
    assert (await located(talk, store))[1] is None
    assert [found["pageContent"] for found in await talk.query(store, "stands")] == ["Alpha stands first."]


async def test_a_credential_for_other_hosts_or_products_is_not_sent(talk: Talk, qdrant: Place) -> None:
    foreign = await credential(talk, "qdrantApi", hosts="", qdrantApiKey="secret-one")
    other = await credential(talk, "openAIApi", openAIApiKey="sk-secret")
    for held, status, named in [(foreign, 403, "127.0.0.1"), (other, 422, "qdrantApiKey")]:
        body = {"name": "Notes", **at(qdrant, credential=held)}
        response = await talk.client.post(f"{API}/store", json=body)
        assert (response.status_code, named in response.json()["message"]) == (status, True), response.text


async def test_a_backend_of_another_package_is_named_by_its_scheme(
    talk: Talk, resources: Resources, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, tmp_path)
    shelf = {"name": "shelf", "config": {"url": "shelf://"}}
    store = await talk.store(vectorStoreConfig=json.dumps(shelf))
    await talk.upsert(store, ("a.txt", passages("Alpha", "Beta")))
    collection, backend = await located(talk, store)
    assert backend == {"url": "shelf:", "credential": None}
    with pytest.raises(UnknownCollection):
        await resources.vectors.count(collection)
    assert len(await talk.query(store, "stands")) == 2
    await talk.holds_together()
    ended = await move(talk, store, "pgvector", {})
    assert ended["state"] == "done", ended
    key = await credential(talk, "httpBearerToken", hosts="shelf.example", token="secret-one")
    for config, named in [
        ({"url": "chroma://shelf.example"}, "shelf://"),
        ({"url": "shelf://shelf.example:7"}, "RAGSTONE_EGRESS_ALLOW=shelf.example:7"),
        ({"url": "shelf:///etc"}, "RAGSTONE_VECTOR_STORE"),
        ({"url": "shelf://shelf.example?api_key=x"}, "credentials"),
        ({"url": "shelf://shelf.example", "credential": key}, "credential"),
    ]:
        refused = await move(talk, store, "shelf", config, 422)
        assert named in refused["message"], refused


async def test_without_a_url_the_services_own_vector_store_is_used(talk: Talk, resources: Resources) -> None:
    config = {"name": "chroma", "config": {"collectionName": "docs", "chromaMetadataFilter": '{"lang": "de"}'}}
    store = await talk.store(vectorStoreConfig=json.dumps(config))
    await talk.upsert(store, ("a.txt", passages("Alpha")), metadata={"lang": "de"})
    await talk.upsert(store, ("b.txt", passages("Beta")), metadata={"lang": "en"})
    collection, backend = await located(talk, store)
    assert backend is None
    assert await resources.vectors.count(collection) == 2
    assert heads(await talk.query(store, "stands here")) == ["Alpha"]


@pytest.fixture
def port() -> Iterator[int]:
    """A port where a server may come and go, and no other."""
    with held_ports(1) as (port,):
        yield port


async def test_a_server_that_is_away_stops_no_delete_and_is_named(
    talk: Talk, resources: Resources, server: QdrantServer, monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    monkeypatch.setattr(postgres, "AGAIN_SECONDS", 0)
    place = Place("qdrant", {"qdrantServerUrl": f"http://127.0.0.1:{port}"}, QdrantVectorStore(server.client))
    store = await talk.store(**at(place))
    async with server.listening(port):
        await talk.upsert(store, ("a.txt", passages("Alpha", "Beta", "Gamma")))
    collection, _ = await located(talk, store)

    away = await talk.client.post(f"{API}/vectorstore/query", json={"storeId": store, "query": "Alpha"})
    assert (away.status_code, away.headers["Retry-After"]) == (503, "5")
    assert f"qdrant at 127.0.0.1:{port}" in away.json()["message"]
    chunk = (await talk.chunks(store))["chunks"][0]
    path = f"{API}/chunks/{store}/{chunk['docId']}/{chunk['id']}"
    assert (await talk.client.put(path, json={"pageContent": "Eta"})).status_code == 503
    assert (await talk.client.delete(path)).status_code == 200
    (finding,) = await check(resources)
    assert f"127.0.0.1:{port}" in finding.problem
    assert all("not mended" in line for line in [line async for line in repair(resources)])
    refused = await move(talk, store, "qdrant", {"qdrantServerUrl": f"http://127.0.0.1:{port + 1}"}, 503)
    assert f"127.0.0.1:{port + 1}" in refused["message"]

    async with server.listening(port):
        assert chunk["pageContent"] not in [doc["pageContent"] for doc in await talk.query(store, "stands", topK=9)]
        assert [line async for line in repair(resources)]
        await talk.holds_together()
    assert (await talk.client.delete(f"{API}/vectorstore/{store}")).status_code == 200
    async with server.listening(port):
        await talk.settled()
    with pytest.raises(UnknownCollection):
        await place.vectors.count(collection)
    assert await talk.rows("SELECT name FROM collections") == []


async def test_what_a_server_kept_while_it_was_away_for_long_is_removed_when_it_is_back(
    talk: Talk, resources: Resources, server: QdrantServer, monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    monkeypatch.setattr(postgres, "AGAIN_SECONDS", 0)
    vectors = QdrantVectorStore(server.client)
    stores, collections = [], []
    place = Place("qdrant", {"qdrantServerUrl": f"http://127.0.0.1:{port}"}, vectors)
    async with server.listening(port):
        for name in ("One", "Two"):
            stores.append(await talk.store(name, **at(place)))
            await talk.upsert(stores[-1], ("a.txt", passages("Alpha")))
            collections.append((await located(talk, stores[-1]))[0])
    assert (await talk.client.delete(f"{API}/vectorstore/{stores[0]}")).status_code == 200
    assert (await talk.client.delete(f"{API}/store/{stores[1]}")).status_code == 200
    await talk.settled()
    failed = await talk.rows("SELECT kind FROM jobs WHERE state = 'failed' ORDER BY kind")
    assert [row["kind"] for row in failed] == ["drop_vectors", "purge_store"]
    assert await talk.rows("SELECT id FROM chunks WHERE store_id = %s", stores[1]) == [], "its texts are gone"
    assert await talk.rows("SELECT term FROM lexical_postings WHERE store_id = %s", stores[1]) == []
    await talk.rows(
        "UPDATE document_stores SET deleted_at = now() - interval '1 hour' WHERE id = %s RETURNING id", stores[1]
    )
    assert await tidy(resources) == 1  # the purge is queued; the collection cannot be dropped yet
    await talk.settled()
    async with server.listening(port):
        assert await tidy(resources) == 2
        await talk.settled()
    assert await talk.rows("SELECT name FROM collections") == []
    assert len(await talk.rows("SELECT id FROM document_stores")) == 1
    for collection in collections:
        with pytest.raises(UnknownCollection):
            await vectors.count(collection)


async def test_who_leaves_a_server_that_is_gone_has_the_vectors_made_anew(
    talk: Talk, server: QdrantServer, embedder: FakeEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "AGAIN_SECONDS", 0)
    async with server.listening() as where:
        place = Place("qdrant", {"qdrantServerUrl": f"http://{where}"}, QdrantVectorStore(server.client))
        store = await talk.store(**at(place))
        await talk.upsert(store, ("a.txt", passages("Alpha", "Beta", "Gamma")))
    made = len(embedder.calls)
    ended = await move(talk, store, "pgvector", {})
    assert ended["state"] == "done", ended
    assert len(embedder.calls) > made
    assert len(await talk.query(store, "stands")) == 3
