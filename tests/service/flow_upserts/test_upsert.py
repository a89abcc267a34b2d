"""A chatflow's vector store is filled from its graph and from files, and answers from what was brought."""

import asyncio
import json
from uuid import UUID, uuid4

import httpx
import pytest

from service.api_keys import service as api_keys
from service.document_stores.types import Owner
from service.resources import Resources
from service.worker.runner import Runner
from stores.vector import open_vector_store
from stores.vector.base import UnknownCollection
from tests.service.chatflows.flows import edge, node
from tests.service.flow_upserts.conftest import API, Flows
from tests.service.flow_upserts.flows import HANDBOOK, fake, filled, loader, opened
from tests.stores.vector.servers import chroma_server  # noqa: F401  # fixture
from tests.stubs.web_site import Answer, WebSite

COUNTS = ("numAdded", "numDeleted", "numUpdated", "numSkipped", "totalKeys")


def counts(answer: dict[str, int]) -> tuple[int, ...]:
    """The counts of an answer."""
    return tuple(answer[name] for name in COUNTS)


TEXT = "Every employee has 30 days of paid leave a year."


async def test_what_the_graph_holds_is_upserted_and_answers(flows: Flows, worker: Runner) -> None:
    flow = await flows.make(filled(loader("plainText", text=TEXT)))
    assert await flows.ask(flow, "How many days of leave?") == []
    first = await flows.upsert(flow)
    assert counts(first) == (1, 0, 0, 0, 1)
    assert first["addedDocs"][0]["pageContent"] == TEXT
    assert first["storeId"] == str(Owner(UUID(flow), "store_0", "").store_id)
    assert counts(await flows.upsert(flow)) == (0, 0, 0, 1, 1)
    assert await flows.ask(flow, "How many days of leave?") == [TEXT]
    await flows.talk.holds_together()


async def test_an_empty_body_is_enough(flows: Flows, worker: Runner) -> None:
    flow = await flows.make(filled(loader("plainText", text=TEXT), embedding=fake()))
    response = await flows.client.post(f"{API}/vector/upsert/{flow}", headers={"Content-Type": "application/json"})
    assert response.status_code == 200, response.text
    assert {"numAdded", "numUpdated", "numDeleted", "numSkipped"} <= response.json().keys()


async def test_a_changed_graph_replaces_what_it_brought(flows: Flows, worker: Runner) -> None:
    flow = await flows.make(filled(loader("plainText", text=TEXT), embedding=fake()))
    await flows.upsert(flow)
    changed = filled(loader("plainText", text="Every employee has 31 days."), embedding=fake())
    await flows.client.put(f"{API}/chatflows/{flow}", json={"flowData": changed})
    assert counts(await flows.upsert(flow)) == (1, 1, 0, 0, 1)


async def test_files_need_the_flows_consent_and_are_not_dropped_in_silence(flows: Flows, worker: Runner) -> None:
    flow = await flows.make(filled(loader("textFile"), embedding=fake()))
    refused = await flows.send(flow, ("handbook.txt", HANDBOOK))
    assert refused.status_code == 422
    assert refused.json()["code"] == "files_refused"
    assert "'txtFile' (or 'files') of the node 'textFile'" in refused.json()["message"]


@pytest.mark.parametrize("name", ["txtFile", "files"])
async def test_either_name_opens_the_flow_for_files(flows: Flows, worker: Runner, name: str) -> None:
    flow = await flows.make(filled(loader("textFile"), embedding=fake()), apiConfig=opened(textFile=[name]))
    assert (await flows.upsert(flow, ("handbook.txt", HANDBOOK)))["numAdded"] == 1


async def test_file_upload_opens_the_flow_for_files(flows: Flows, worker: Runner) -> None:
    stores = {"store_0": ("postgres", {"fileUpload": True, "host": "db.example", "tableName": "documents"})}
    flow = await flows.make(filled(loader("textFile"), stores=stores, embedding=fake()))
    answer = await flows.upsert(flow, ("handbook.txt", HANDBOOK))
    assert answer["numAdded"] == 1
    assert "host, tableName have no effect" in answer["notes"][0]


async def test_files_go_to_the_loader_of_their_kind(flows: Flows, worker: Runner) -> None:
    stores = {"store_0": ("postgres", {"fileUpload": True})}
    loaders = loader("textFile"), loader("csvFile"), loader("jsonFile")
    flow = await flows.make(filled(*loaders, stores=stores, embedding=fake()))
    answer = await flows.upsert(
        flow,
        ("a.txt", HANDBOOK),
        ("b.csv", "name,age\nAda,36\nBob,41\n"),
        ("c.json", '{"city": "Bergen"}'),
        ("d.md", "# D\n\nText"),
    )
    assert answer["failed"] == []
    store = await flows.talk.read(answer["storeId"])
    by_loader = {item["loaderId"]: item["source"] for item in store["loaders"]}
    assert by_loader == {"textFile": "a.txt", "csvFile": "b.csv", "jsonFile": "c.json", "file": "d.md"}


async def test_a_file_that_no_loader_takes_is_named(flows: Flows) -> None:
    flow = await flows.make(filled(loader("csvFile"), stores={"store_0": ("postgres", {"fileUpload": True})}))
    refused = await flows.send(flow, ("report.pdf", b"%PDF-1.4"))
    assert refused.status_code == 422
    assert "'report.pdf' (pdfFile)" in refused.json()["message"]


async def test_what_a_conversation_brings_only_it_finds(flows: Flows, worker: Runner) -> None:
    stores = {"store_0": ("postgres", {"fileUpload": "true", "topK": "10"})}
    flow = await flows.make(
        filled(loader("textFile", metadata={"team": "hr"}), loader("plainText", text=TEXT), stores=stores)
    )
    await flows.upsert(flow)
    mine = await flows.upsert(flow, ("note.txt", "My salary is 4711 crowns."), chatId="mine")
    assert mine["addedDocs"][0]["metadata"]["team"] == "hr"
    await flows.upsert(flow, ("note.txt", "My salary is 5822 crowns."), chatId="other")
    assert set(await flows.ask(flow, "What is my salary?", "mine")) == {"My salary is 4711 crowns."}
    assert set(await flows.ask(flow, "What is my salary?", "other")) == {"My salary is 5822 crowns."}
    assert await flows.ask(flow, "What is my salary?", "third") == []
    assert await flows.ask(flow, "How many days of leave?", "third") == [TEXT]


async def test_splitter_options_reach_the_chunks_and_overrides_need_their_gate(flows: Flows, worker: Runner) -> None:
    text = "One sentence stands here. " * 40
    graph = filled(loader("plainText", text=text), embedding=fake(), splitter={"chunkSize": 500, "chunkOverlap": 0})
    closed = await flows.make(graph)
    plain = await flows.upsert(closed, overrideConfig={"chunkSize": 100})
    gate = opened(Cut=["chunkSize"])
    open_ = await flows.make(graph, apiConfig=gate)
    cut = await flows.upsert(open_, overrideConfig={"chunkSize": {"splitter_0": 100}, "chunkOverlap": 50})
    other = await flows.upsert(open_, overrideConfig={"chunkSize": {"store_0": 50}})
    assert plain["numAdded"] == 3
    assert cut["numAdded"] > 10
    assert other["totalKeys"] == 3
    assert sum(len(doc["pageContent"]) for doc in plain["addedDocs"]) <= len(text)  # an overlap of 0 is one of 0


async def test_form_fields_beside_files_are_overrides(flows: Flows, worker: Runner) -> None:
    graph = filled(loader("textFile"), embedding=fake(), splitter={"chunkSize": 500, "chunkOverlap": "0"})
    flow = await flows.make(graph, apiConfig=opened(textFile=["files"], Cut=["chunkSize"]))
    assert (await flows.upsert(flow, ("a.txt", "One sentence stands here. " * 40), chunkSize="100"))["numAdded"] > 10


@pytest.mark.parametrize("name", ["inMemoryEmbeddingCache", "redisEmbeddingsCache"])
async def test_the_embedding_behind_a_cache_embeds(flows: Flows, worker: Runner, name: str) -> None:
    data = json.loads(filled(loader("plainText", text="Alpha."), embedding=node("cache_0", name, "Cache")))
    data["nodes"].append(fake())
    data["edges"].append(edge("fake_0", "cache_0", "embeddings"))
    flow = await flows.make(json.dumps(data))
    assert (await flows.upsert(flow))["numAdded"] == 1


async def test_a_document_store_can_be_copied(flows: Flows, worker: Runner) -> None:
    store = await flows.talk.store()
    await flows.talk.upsert(store, ("a.md", "# A\n\nAlpha stands here."), ("b.txt", HANDBOOK))
    graph = filled(loader("documentStore", selectedStore=store), loader("textFile"), embedding=fake())
    flow = await flows.make(graph)
    answer = await flows.upsert(flow)
    assert answer["numAdded"] == 2
    assert answer["notes"] == ["textFile (textFile_0) takes files"]
    assert (await flows.upsert(flow))["numSkipped"] == 2
    await flows.talk.holds_together()


async def test_what_a_document_store_fetched_is_copied_as_it_is(flows: Flows, worker: Runner) -> None:
    store = await flows.talk.store()
    async with WebSite() as site:
        site["/leave"] = Answer("<html><body><p>Thirty days of leave.</p></body></html>")
        body = {"loader": {"name": "cheerioWebScraper", "config": {"url": f"{site.url}/leave"}}}
        made = await flows.client.post(f"{API}/document-store/upsert/{store}", json=body)
        assert made.status_code == 200, made.text
        site["/leave"] = Answer(status=503)
        flow = await flows.make(filled(loader("documentStore", selectedStore=store), embedding=fake()))
        assert (await flows.upsert(flow))["numAdded"] == 1
        assert [each.path for each in site.requests].count("/leave") == 1
    await flows.talk.holds_together()


async def test_the_answer_can_be_left_to_a_job(flows: Flows, worker: Runner) -> None:
    flow = await flows.make(filled(loader("plainText", text=TEXT), embedding=fake()))
    response = await flows.send(flow, headers={"Prefer": "respond-async"})
    assert response.status_code == 202
    job = await flows.talk.end(response.headers["Location"])
    assert job["result"]["numAdded"] == 1


async def test_of_several_vector_stores_one_must_be_named(flows: Flows, worker: Runner) -> None:
    stores = {"one": ("faiss", {"basePath": "/srv/faiss"}), "two": ("memoryVectorStore", {})}
    flow = await flows.make(filled(loader("plainText", text=TEXT), stores=stores, embedding=fake()))
    refused = await flows.send(flow)
    assert (refused.status_code, refused.json()["code"]) == (422, "ambiguous_vector_store")
    assert "one, two" in refused.json()["message"]
    first = await flows.upsert(flow, stopNodeId="one")
    second = await flows.upsert(flow, stopNodeId="two")
    assert first["storeId"] != second["storeId"]
    assert "basePath" in first["notes"][0]
    for wrong in ("three", "chain_0"):
        refused = await flows.send(flow, stopNodeId=wrong)
        assert (refused.status_code, refused.json()["code"]) == (422, "no_vector_store")
        assert "one, two" in refused.json()["message"]


async def test_the_store_that_takes_files_is_meant(flows: Flows, worker: Runner) -> None:
    stores = {"one": ("faiss", {}), "two": ("postgres", {"fileUpload": True})}
    flow = await flows.make(filled(loader("plainText", text=TEXT), stores=stores, embedding=fake()))
    assert (await flows.upsert(flow))["storeId"] == str(Owner(UUID(flow), "two", "").store_id)
    both = {name: ("postgres", {"fileUpload": True}) for name in ("one", "two")}
    flow = await flows.make(filled(loader("plainText", text=TEXT), stores=both))
    assert (await flows.send(flow)).json()["code"] == "ambiguous_vector_store"


@pytest.mark.parametrize("name", ["weaviate", "milvus", "somethingNew"])
async def test_other_products_are_refused_with_what_to_use_instead(flows: Flows, name: str) -> None:
    flow = await flows.make(filled(loader("plainText", text=TEXT), stores={"other_0": (name, {})}))
    refused = await flows.send(flow)
    assert refused.status_code == 422
    assert all(known in refused.json()["message"] for known in ("other_0", "postgres", "documentStoreVS"))
    asked = await flows.client.post(f"{API}/prediction/{flow}", json={"question": "Q"})
    assert asked.status_code == 422
    assert "other_0" in asked.json()["message"]


async def test_a_flow_without_a_vector_store_says_so(flows: Flows) -> None:
    from tests.service.chatflows.flows import rag

    store = uuid4()
    refused = await flows.send(await flows.make(rag(store)))
    assert (refused.status_code, refused.json()["code"]) == (422, "no_vector_store")
    assert f"/api/v1/document-store/upsert/{store}" in refused.json()["message"]
    refused = await flows.send(await flows.make('{"nodes":[],"edges":[]}'))
    assert refused.json()["code"] == "no_vector_store"


async def test_a_filter_of_the_node_is_in_force_and_checked(flows: Flows, worker: Runner) -> None:
    def graph(chosen: str) -> str:
        loaders = (
            loader("plainText", "hr", text="Leave is 30 days.", metadata='{"team": "hr"}'),
            loader("plainText", "it", text="Leave is 25 days.", metadata='{"team": "it"}'),
        )
        return filled(*loaders, stores={"store_0": ("postgres", {"pgMetadataFilter": chosen})}, embedding=fake())

    flow = await flows.make(graph('{"team": "it"}'))
    assert (await flows.upsert(flow))["numAdded"] == 2
    assert await flows.ask(flow, "How many days of leave?") == ["Leave is 25 days."]
    bad = await flows.make(graph('{"team": {"$near": 1}}'))
    refused = await flows.client.post(f"{API}/prediction/{bad}", json={"question": "How many days?"})
    assert refused.status_code == 422
    assert all(word in refused.json()["message"] for word in ("store_0", "pgMetadataFilter", "$near"))


async def test_a_node_that_names_a_server_keeps_its_vectors_there(
    flows: Flows,
    worker: Runner,
    chroma_server: str,  # noqa: F811
) -> None:
    def graph(**inputs: str) -> str:
        loaders = (
            loader("plainText", "hr", text="Leave is 30 days.", metadata='{"team": "hr"}'),
            loader("plainText", "it", text="Leave is 25 days.", metadata='{"team": "it"}'),
        )
        inputs = {"collectionName": "docs", "chromaMetadataFilter": '{"team": "it"}', **inputs}
        return filled(*loaders, stores={"store_0": ("chroma", inputs)}, embedding=fake())

    flow = await flows.make(graph(chromaURL=f"http://{chroma_server}"))
    answer = await flows.upsert(flow)
    assert answer["numAdded"] == 2
    assert any("collectionName" in note and "collections" in note for note in answer["notes"])
    (row,) = await flows.talk.rows("SELECT name, backend FROM collections")
    assert row["backend"]["url"] == f"chroma://{chroma_server}"
    vectors = open_vector_store(f"chroma://{chroma_server}")
    assert await vectors.count(row["name"]) == 2
    assert await flows.ask(flow, "How many days of leave?") == ["Leave is 25 days."]
    await flows.talk.holds_together()

    await flows.client.put(f"{API}/chatflows/{flow}", json={"flowData": graph()})
    moved = await flows.send(flow)
    assert (moved.status_code, moved.json()["code"]) == (409, "vector_store_changed")
    assert (await flows.client.delete(f"{API}/chatflows/{flow}")).status_code == 200
    await flows.talk.settled()
    with pytest.raises(UnknownCollection):
        await vectors.count(row["name"])
    await vectors.close()


@pytest.mark.parametrize("name", ["chroma", "qdrant"])
async def test_a_node_that_names_no_server_says_where_its_vectors_are(flows: Flows, worker: Runner, name: str) -> None:
    where = {"must": [{"key": "metadata.team", "match": {"value": "it"}}]} if name == "qdrant" else {"team": "it"}
    inputs = {"chromaMetadataFilter": where, "qdrantFilter": where, "qdrantCollection": "docs"}
    loaders = (
        loader("plainText", "hr", text="Leave is 30 days.", metadata='{"team": "hr"}'),
        loader("plainText", "it", text="Leave is 25 days.", metadata='{"team": "it"}'),
    )
    flow = await flows.make(filled(*loaders, stores={"store_0": (name, inputs)}, embedding=fake()))
    answer = await flows.upsert(flow)
    assert any("names no server" in note for note in answer["notes"])
    assert (await flows.talk.rows("SELECT backend FROM collections")) == [{"backend": None}]
    assert await flows.ask(flow, "How many days of leave?") == ["Leave is 25 days."]


async def test_a_node_whose_server_may_not_be_called_is_refused(flows: Flows) -> None:
    stores = {"store_0": ("qdrant", {"qdrantServerUrl": "http://10.0.0.7:6333"})}
    flow = await flows.make(filled(loader("plainText", text=TEXT), stores=stores, embedding=fake()))
    refused = await flows.send(flow)
    assert (refused.status_code, "RAGSTONE_EGRESS_ALLOW" in refused.json()["message"]) == (422, True)
    assert await flows.talk.rows("SELECT id FROM document_stores") == []


async def test_nothing_to_upsert_is_said(flows: Flows) -> None:
    flow = await flows.make(filled(loader("textFile", txtFile='FILE-STORAGE::["../../etc/passwd"]')))
    refused = await flows.send(flow)
    assert refused.status_code == 400
    assert "left behind" in refused.json()["message"]
    flow = await flows.make(filled())
    assert "no document loader" in (await flows.send(flow)).json()["message"]


async def test_what_is_wrong_with_a_node_is_named(flows: Flows) -> None:
    credential = node("fake_0", "openAIEmbeddings", "Embeddings", {}, credential=str(uuid4()))
    flow = await flows.make(filled(loader("plainText", text=TEXT), embedding=credential))
    refused = await flows.send(flow)
    assert refused.status_code == 422
    assert "Credential" in refused.json()["message"]
    flow = await flows.make(filled(loader("plainText", text=TEXT), splitter={"chunkSize": "many"}))
    assert "chunkSize" in (await flows.send(flow)).json()["message"]
    assert await flows.talk.rows("SELECT id FROM document_stores") == []


async def test_a_flow_bound_to_a_key_needs_that_key(
    flows: Flows, resources: Resources, workspace: UUID, worker: Runner
) -> None:
    key, secret = await api_keys.create(resources.database, workspace, "flow")
    graph = filled(loader("plainText", text=TEXT), embedding=fake())
    flow = await flows.make(graph, apikeyid=str(key.id))
    assert (await flows.send(flow)).status_code == 401
    assert (await flows.send(flow, headers={"Authorization": f"Bearer {secret}"})).status_code == 200
    internal = await flows.client.post(f"{API}/vector/internal-upsert/{flow}", json={})
    assert internal.status_code == 200


async def test_links_that_stand_only_as_templates_count(flows: Flows, worker: Runner) -> None:
    data = json.loads(filled(loader("plainText", text=TEXT), embedding=fake(), splitter={"chunkSize": 30}))
    data["edges"] = []
    inputs = {item["id"]: item["data"]["inputs"] for item in data["nodes"]}
    inputs["store_0"] |= {"document": ["{{plainText_0.data.instance}}"], "embeddings": "{{fake_0.data.instance}}"}
    inputs["plainText_0"]["textSplitter"] = "{{splitter_0.data.instance}}"
    inputs["chain_0"] |= {
        "model": "{{chatLocal_0.data.instance}}",
        "vectorStoreRetriever": "{{store_0.data.instance}}",
    }
    flow = await flows.make(json.dumps(data))
    assert (await flows.upsert(flow))["numAdded"] > 1
    assert await flows.ask(flow, "How many days of leave?")


async def test_first_upserts_at_the_same_time_share_one_document_store(flows: Flows, worker: Runner) -> None:
    stores = {"store_0": ("postgres", {"fileUpload": True})}
    flow = await flows.make(filled(loader("textFile"), stores=stores, embedding=fake()))
    files = [(f"{number}.txt", f"{TEXT} {number}") for number in range(4)]
    answers = await asyncio.gather(*(flows.upsert(flow, file) for file in files))
    assert [answer["numAdded"] for answer in answers] == [1, 1, 1, 1]
    assert len({answer["storeId"] for answer in answers}) == 1
    await flows.talk.holds_together()


async def test_a_flow_that_is_deleted_takes_its_waiting_upsert_along(flows: Flows) -> None:
    flow = await flows.make(filled(loader("plainText", text=TEXT), embedding=fake()))
    location = (await flows.send(flow, headers={"Prefer": "respond-async"})).headers["Location"]
    await flows.client.delete(f"{API}/chatflows/{flow}")
    (job,) = await flows.talk.rows("SELECT state FROM jobs WHERE kind = 'ingest'")
    assert job["state"] == "cancelled"
    assert (await flows.client.get(location)).json()["state"] == "cancelled"
    assert (await flows.send(flow)).status_code == 404


async def test_a_document_store_deleted_on_its_own_is_made_again(flows: Flows, worker: Runner) -> None:
    flow = await flows.make(filled(loader("plainText", text=TEXT), embedding=fake()))
    store = (await flows.upsert(flow))["storeId"]
    await flows.client.delete(f"{API}/document-store/store/{store}")
    assert await flows.ask(flow, "How many days of leave?") == []
    await flows.talk.settled()
    again = await flows.upsert(flow)
    assert (again["storeId"], again["numAdded"]) == (store, 1)
    await flows.talk.holds_together()


async def test_another_embedding_than_before_is_refused(flows: Flows, worker: Runner) -> None:
    flow = await flows.make(filled(loader("plainText", text=TEXT), embedding=fake()))
    await flows.upsert(flow)
    other = node("fake_0", "fake", "Embeddings", {"dimension": 8})
    await flows.client.put(
        f"{API}/chatflows/{flow}", json={"flowData": filled(loader("plainText", text=TEXT), embedding=other)}
    )
    refused = await flows.send(flow)
    assert (refused.status_code, refused.json()["code"]) == (409, "embedding_changed")
    assert await flows.ask(flow, "How many days of leave?") == [TEXT]


async def test_without_an_id_it_is_412(flows: Flows) -> None:
    for path in ("/vector/upsert", "/vector/upsert/", "/vector/internal-upsert"):
        assert (await flows.client.post(f"{API}{path}", json={})).status_code == 412


async def test_foreign_and_unknown_flows_are_not_found(flows: Flows, foreign: httpx.AsyncClient) -> None:
    flow = await flows.make(filled(loader("plainText", text=TEXT)))
    assert (await flows.send(flow, client=foreign)).status_code == 404
    assert (await flows.send(str(uuid4()))).status_code == 404
    assert (await flows.send("not-an-id")).status_code == 400


async def test_a_documentstore_of_a_node_is_no_part_of_the_list_and_goes_with_its_flow(
    flows: Flows, worker: Runner
) -> None:
    flow = await flows.make(filled(loader("plainText", text=TEXT), embedding=fake()))
    store = (await flows.upsert(flow))["storeId"]
    assert (await flows.client.get(f"{API}/document-store/store")).json() == []
    page = (await flows.client.get(f"{API}/document-store/store?page=2&limit=5")).json()
    assert page == {"data": [], "total": 0}
    assert (await flows.talk.read(store))["totalChunks"] == 1
    assert await flows.talk.query(store, "leave")
    deleted = await flows.client.delete(f"{API}/chatflows/{flow}")
    assert deleted.json()["affected"] == 1
    assert (await flows.client.get(f"{API}/document-store/store/{store}")).status_code == 404
    await flows.talk.holds_together()
    assert await flows.talk.rows("SELECT id FROM document_stores") == []
    assert await flows.talk.rows("SELECT id FROM chunks") == []
    assert await flows.talk.rows("SELECT id FROM upsert_history") == []
    assert [key async for key in flows.talk.resources.blobs.keys()] == []  # noqa: SIM118


async def test_a_page_of_the_web_is_fetched_once_and_again_when_it_changed(flows: Flows, worker: Runner) -> None:
    async with WebSite() as site:
        site["/leave"] = Answer(b"<html><body><h1>Leave</h1><p>Everybody has 30 days.</p></body></html>")
        page = loader("cheerioWebScraper", url=f"{site.url}/leave", limit="1", relativeLinksMethod="webCrawl")
        stores = {"store_0": ("postgres", {"fileUpload": True})}
        flow = await flows.make(filled(page, loader("textFile"), stores=stores, embedding=fake()))
        first = await flows.upsert(flow)
        assert first["numAdded"] == 1, first
        assert "30 days" in first["addedDocs"][0]["pageContent"]
        assert counts(await flows.upsert(flow)) == (0, 0, 0, 1, 1)
        seen = len(site.paths)
        brought = await flows.upsert(flow, ("note.txt", TEXT), chatId="c1")
        assert (brought["numAdded"], len(site.paths)) == (1, seen)  # a conversation's file fetches nothing
        site["/leave"] = Answer(b"<html><body><h1>Leave</h1><p>Everybody has 31 days.</p></body></html>")
        assert counts(await flows.upsert(flow))[:2] == (1, 1)
    await flows.talk.holds_together()


async def test_hostile_markers_stay_text(flows: Flows, worker: Runner) -> None:
    text = "{{$vars.secret}} FILE-STORAGE::x ${HOME} {{ 7*7 }}"
    flow = await flows.make(filled(loader("plainText", text=text), embedding=fake()))
    answer = await flows.upsert(flow, question=text, chatId="../../etc")
    assert answer["addedDocs"][0]["pageContent"] == text


async def test_bodies_are_checked(flows: Flows) -> None:
    flow = await flows.make(filled(loader("plainText", text=TEXT)))
    url = f"{API}/vector/upsert/{flow}"
    odd = await flows.client.post(url, files={"document": ("a.txt", b"x")})
    assert odd.status_code == 400
    assert "'files'" in odd.json()["message"]
    broken = await flows.client.post(url, files=[("files", ("a.txt", b"x"))], data={"overrideConfig": "{"})
    assert "overrideConfig" in broken.json()["message"]
    assert (await flows.client.post(url, content=b"{")).status_code == 400
    wrong = await flows.client.post(url, content=json.dumps({"chatId": [7]}))
    assert wrong.status_code == 422
    assert "chatId" in wrong.json()["message"]
