"""Who is believed about whom it asks for, on every surface; who is not finds what everybody may find."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from service.api_keys import service as api_keys
from service.chatflows.run import Quoted
from service.chatflows.types import Passage, Sources
from service.predictions.service import ask_store
from service.resources import Resources
from service.viewers import HEADER
from tests.application import speak
from tests.service.chatflows.flows import edge, graph, node, rag
from tests.service.document_stores.talk import API, Talk

pytestmark = pytest.mark.usefixtures("worker")

OPEN, HR = "The canteen of the house opens at noon.", "The salary of the canteen's cook is secret."
QUESTION = "What is said of the canteen?"
ANNA = ["user:anna", "group:hr"]


@pytest.fixture(autouse=True)
def _all_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers rest on all passages that a flow finds, whether they answer the question or not."""

    async def quoted(_resources: Resources, _question: str, passages: Sequence[Passage]) -> Quoted:
        return Quoted(tuple(f"{item.text}\n" for item in passages), tuple(passages), bool(passages))

    monkeypatch.setattr("service.predictions.backing.quoted", quoted)


@pytest.fixture
async def store(talk: Talk) -> str:
    """A document store of one open document and one of the group hr."""
    made = await talk.store()
    await talk.upsert(made, ("open.txt", OPEN))
    await talk.upsert(made, ("hr.txt", HR), principals=["group:hr"])
    return made


async def flow(client: httpx.AsyncClient, store: str, **columns: Any) -> str:
    """A flow that quotes from the document store."""
    body = {"name": "Flow", "type": "CHATFLOW", "flowData": rag(store), **columns}
    response = await client.post("/api/v1/chatflows", json=body)
    assert response.status_code == 200, response.text
    return str(response.json()["id"])


async def predicted(client: httpx.AsyncClient, path: str, **body: Any) -> set[str]:
    """The passages that an answer may rest on, by file, whole and streamed alike."""
    headers = body.pop("headers", {})
    found = []
    for streaming in (False, True):
        response = await client.post(
            f"/api/v1/{path}", json={"question": QUESTION, "streaming": streaming, **body}, headers=headers
        )
        assert response.status_code == 200, response.text
        found.append({name for name in ("open.txt", "hr.txt") if name in response.text})
    assert found[0] == found[1]
    return found[0]


async def queried(
    client: httpx.AsyncClient, store: str, *, headers: dict[str, str] | None = None, **body: Any
) -> set[str]:
    """The files that a query finds something of."""
    asked = {"storeId": store, "query": QUESTION, **body}
    response = await client.post(f"{API}/vectorstore/query", json=asked, headers=headers)
    assert response.status_code == 200, response.text
    return {doc["metadata"]["source"] for doc in response.json()["docs"]}


async def key_of(resources: Resources, workspace: UUID, scopes: Sequence[str], **more: Any) -> str:
    """The secret of a new key."""
    _, secret = await api_keys.create(resources.database, workspace, "other", scopes, **more)
    return secret


async def test_a_query_is_for_whom_it_says(client: httpx.AsyncClient, store: str) -> None:
    assert await queried(client, store) == {"open.txt", "hr.txt"}
    assert await queried(client, store, principals=ANNA) == {"open.txt", "hr.txt"}
    assert await queried(client, store, principals=["user:bert"]) == {"open.txt"}
    assert await queried(client, store, principals=[]) == {"open.txt"}
    assert await queried(client, store, headers={HEADER: "user:bert, group%3Ahr"}) == {"open.txt", "hr.txt"}
    assert await queried(client, store, headers={HEADER: "user:bert"}) == {"open.txt"}
    both = {"storeId": store, "query": QUESTION, "principals": ANNA}
    refused = await client.post(f"{API}/vectorstore/query", json=both, headers={HEADER: "user:bert"})
    assert refused.status_code == 422


async def test_a_restricted_store_shows_nobody_what_nobody_was_named_for(client: httpx.AsyncClient, store: str) -> None:
    changed = await client.put(f"{API}/store/{store}", json={"restricted": True})
    assert changed.json()["restricted"] is True
    assert await queried(client, store) == set()
    assert await queried(client, store, principals=[]) == set()
    assert await queried(client, store, principals=ANNA) == {"hr.txt"}
    chunks = (await client.get(f"{API}/chunks/{store}/all/1")).json()["chunks"]
    assert [chunk["principals"] for chunk in chunks] == [None, ["group:hr"]]
    assert await predicted(client, f"prediction/{await flow(client, store)}") == set()


@pytest.mark.parametrize("surface", ["prediction", "internal-prediction"])
async def test_a_prediction_is_for_whom_a_key_says(client: httpx.AsyncClient, store: str, surface: str) -> None:
    path = f"{surface}/{await flow(client, store)}"
    assert await predicted(client, path) == {"open.txt"}  # for nobody in particular, whoever calls
    assert await predicted(client, path, principals=ANNA) == {"open.txt", "hr.txt"}
    assert await predicted(client, path, headers={HEADER: "group:hr"}) == {"open.txt", "hr.txt"}
    assert await predicted(client, path, principals=["user:bert"]) == {"open.txt"}
    form = {"question": (None, QUESTION), "principals": (None, json.dumps(ANNA))}
    whole = await client.post(f"/api/v1/{path}", files=form)
    assert (whole.status_code, "hr.txt" in whole.text) == (200, True), whole.text
    for odd in ("group:hr", [""], [1], ["a\nb"], ["*"], ["x"] * 2000, {"a": 1}):
        response = await client.post(f"/api/v1/{path}", json={"question": QUESTION, "principals": odd})
        assert response.status_code == 422, odd


async def test_who_may_not_read_everything_is_not_believed(
    app: FastAPI,
    client: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
    resources: Resources,
    workspace: UUID,
    store: str,
) -> None:
    path = f"prediction/{await flow(client, store)}"
    assert await predicted(anonymous, path) == {"open.txt"}
    weak = await key_of(resources, workspace, ["chatflows:view", "documentStores:create"])
    async with speak(app, weak) as other, speak(app, "no such key") as unknown:
        assert await predicted(other, path) == {"open.txt"}
        for caller in (anonymous, other, unknown):
            for body, headers in [({"principals": ANNA}, {}), ({}, {HEADER: "group:hr"})]:
                response = await caller.post(f"/api/v1/{path}", json={"question": QUESTION, **body}, headers=headers)
                assert (response.status_code, response.json()["code"]) == (403, "principals_not_believed")
        named = {"principals": "group:hr", "$principals": "group:hr", "viewer": "group:hr"}
        for override in ({"overrideConfig": named}, {"overrideConfig": {"vars": named}}, {"vars": named}):
            assert await predicted(other, path, **override) == {"open.txt"}
        upsert = {"principals": ["user:me"], "loader": {"name": "plainText", "config": {"text": "x"}}}
        assert (await other.post(f"{API}/upsert/{store}", json=upsert)).status_code == 403
        change = {"changes": [{"source": "file:hr.txt", "principals": None}]}
        assert (await other.put(f"{API}/principals/{store}", json=change)).status_code == 403


async def test_a_bound_key_asks_in_one_name_and_opens_nothing_else(
    app: FastAPI, client: httpx.AsyncClient, resources: Resources, workspace: UUID, store: str
) -> None:
    path = f"prediction/{await flow(client, store)}"
    secret = await key_of(resources, workspace, ["*"], principals=ANNA)
    async with speak(app, secret) as bound:
        assert await predicted(bound, path) == {"open.txt", "hr.txt"}
        assert await predicted(bound, path, principals=["user:anna"]) == {"open.txt"}
        response = await bound.post(f"/api/v1/{path}", json={"question": QUESTION, "principals": ["user:bert"]})
        assert response.status_code == 403
        for get in (f"{API}/store", f"{API}/chunks/{store}/all/1", "/api/v1/chatflows"):
            assert (await bound.get(get)).status_code == 403
        query = {"storeId": store, "query": QUESTION}
        assert (await bound.post(f"{API}/vectorstore/query", json=query)).status_code == 403


async def test_a_conversation_of_one_viewer_is_not_told_to_another(
    client: httpx.AsyncClient, resources: Resources, store: str
) -> None:
    memory = rag(store, memory={"sessionId": ""})
    body = {"name": "Flow", "type": "CHATFLOW", "flowData": memory}
    made = (await client.post("/api/v1/chatflows", json=body)).json()["id"]
    seen: list[int] = []
    from service.chatflows.steps.conversational_retrieval import ConversationalRetrieval

    answer = ConversationalRetrieval.answer

    def noting(self: Any, run: Any) -> Any:
        seen.append(len(run.history))
        return answer(self, run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConversationalRetrieval, "answer", noting)
        for principals in (ANNA, ANNA, ["user:bert"], None, ANNA[::-1]):
            asked = {"question": QUESTION, "chatId": "one", "principals": principals}
            assert (await client.post(f"/api/v1/prediction/{made}", json=asked)).status_code == 200
    assert seen == [0, 2, 0, 0, 4]


async def test_a_bound_key_that_asks_for_nobody_is_not_told_what_it_was_told(
    app: FastAPI, client: httpx.AsyncClient, resources: Resources, workspace: UUID, store: str
) -> None:
    flow_id = await flow(client, store)
    secret = await key_of(resources, workspace, ["*"], principals=ANNA)
    async with speak(app, secret) as bound:
        bodies: list[dict[str, Any]] = [{}, {}, {"principals": []}, {"principals": ["user:anna"]}]
        for named in bodies:
            asked = {"question": QUESTION, "chatId": "one", **named}
            assert (await bound.post(f"/api/v1/prediction/{flow_id}", json=asked)).status_code == 200
    async with resources.database.read(workspace) as scope:
        rows = await scope.all("SELECT caller, count(*) AS n FROM chat_messages GROUP BY caller ORDER BY n")
    assert [row["n"] for row in rows] == [2, 2, 4]


async def test_several_headers_name_nobody(client: httpx.AsyncClient, store: str) -> None:
    twice = [(HEADER, "group:hr"), (HEADER, "user:bert")]
    query = {"storeId": store, "query": QUESTION}
    path = f"/api/v1/prediction/{await flow(client, store)}"
    for refused in (
        await client.post(f"{API}/vectorstore/query", json=query, headers=twice),
        await client.post(path, json={"question": QUESTION}, headers=twice),
    ):
        assert refused.status_code == 422
        assert HEADER in refused.text


async def test_an_answer_is_replayed_only_for_whom_it_was(client: httpx.AsyncClient, store: str) -> None:
    path = f"/api/v1/prediction/{await flow(client, store)}"
    for streaming in (False, True):
        once = {"Idempotency-Key": f"key {streaming}"}
        body = {"question": QUESTION, "streaming": streaming}
        first = await client.post(path, json=body, headers={**once, HEADER: "group:hr"})
        assert HR in first.text
        for others in ({HEADER: "user:bert"}, {HEADER: ""}, {}):
            refused = await client.post(path, json=body, headers={**once, **others})
            assert (refused.status_code, HR in refused.text) == (422, False)
        again = await client.post(path, json=body, headers={**once, HEADER: "group:hr"})
        assert again.headers["Idempotent-Replayed"] == "true"


async def test_vector_stores_of_flows_hold_to_it_and_copies_too(
    client: httpx.AsyncClient, talk: Talk, store: str
) -> None:
    parts = [
        node("copy_0", "documentStore", "Document Loaders", {"selectedStore": store}),
        node("store_0", "memoryVectorStore", "Vector Stores", {}, outputs={"output": "retriever"}),
        node("chain_0", "conversationalRetrievalQAChain", "Chains", {"returnSourceDocuments": True}),
    ]
    links = [edge("copy_0", "store_0", "document"), edge("store_0", "chain_0", "vectorStoreRetriever")]
    body = {"name": "Flow", "type": "CHATFLOW", "flowData": graph(parts, links)}
    made = (await client.post("/api/v1/chatflows", json=body)).json()["id"]
    copied = await client.post(f"/api/v1/vector/upsert/{made}", json={}, timeout=60)
    assert copied.status_code == 200, copied.text
    assert await predicted(client, f"prediction/{made}") == {"open.txt"}
    assert await predicted(client, f"prediction/{made}", principals=ANNA) == {"open.txt", "hr.txt"}


async def test_asking_without_a_flow_is_for_nobody_unless_it_says(
    resources: Resources, workspace: UUID, store: str
) -> None:
    events = [event async for event in ask_store(resources, workspace, UUID(store), "Whose salary is secret?")]
    shown = [passage for event in events if isinstance(event, Sources) for passage in event.passages]
    assert HR not in {passage.text for passage in shown}


async def test_an_explanation_is_silent_on_what_may_not_be_seen(
    client: httpx.AsyncClient, store: str, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.retrieval.narrowing.FEW", 0)  # as with very many chunks: points are asked
    await talk.upsert(store, ("menu.txt", "The canteen serves soup."))
    (row,) = await talk.rows("SELECT id FROM documents WHERE name = 'open.txt'")
    await talk.rows(
        "UPDATE documents SET principals = '{group:hr}', unmarked = true WHERE id = %s RETURNING id", row["id"]
    )
    for stage in ("similarity", "hybrid"):
        asked = {"storeId": store, "query": QUESTION, "principals": ["user:bob"], "explain": True, "strategy": stage}
        answer = (await client.post(f"{API}/vectorstore/query", json=asked)).json()
        (found,) = answer["docs"]
        told = {entry["id"] for each in answer["trace"]["stages"] for entry in (*each["candidates"], *each["cut"])}
        assert told == {found["id"]}


async def test_metadata_neither_claim_nor_show_principals(client: httpx.AsyncClient, talk: Talk) -> None:
    store = await talk.store()
    await talk.upsert(store, ("hr.txt", HR), metadata={"$principals": ["user:eve"]}, principals=["group:hr"])
    assert await queried(client, store, principals=["user:eve"]) == set()
    assert await queried(client, store, principals=ANNA) == {"hr.txt"}
    for where in ({"$principals": "group:hr"}, {"$principals": {"$exists": True}}, {"$not": {"$principals": "x"}}):
        refused = await client.post(f"{API}/vectorstore/query", json={"storeId": store, "query": "x", "filter": where})
        assert refused.status_code == 422


async def test_principals_stay_through_uploads_and_moves(client: httpx.AsyncClient, talk: Talk) -> None:
    store = await talk.store()
    first = await talk.upsert(store, ("hr.txt", HR), principals=ANNA)
    await talk.upsert(store, ("hr.txt", HR + " It was raised."))
    (document,) = await talk.documents(store)
    assert document["principals"] == sorted(ANNA)
    assert await queried(client, store, principals=["user:bert"]) == set()
    # what comes in through the loader later, too
    await talk.upsert(store, ("more.txt", OPEN), docId=first["docId"], replaceExisting="false")
    refreshed = await client.post(f"{API}/refresh/{store}", json={})
    assert refreshed.status_code == 200, refreshed.text
    assert await queried(client, store, principals=ANNA) >= {"hr.txt"}
    # another upload names others: nobody else finds the former content meanwhile or after
    await talk.upsert(store, ("hr.txt", HR), principals=["user:bert"])
    assert "hr.txt" in await queried(client, store, principals=["user:bert"])
    assert "hr.txt" not in await queried(client, store, principals=ANNA)
    exported = await client.get(f"{API}/store/{store}/export")
    assert exported.status_code == 200
    imported = await client.post(
        f"{API}/import", content=exported.content, headers={"Content-Type": "application/x-tar"}
    )
    assert imported.status_code in (200, 202), imported.text
    await talk.settled()
    other = next(row["id"] for row in (await client.get(f"{API}/store")).json() if row["id"] != store)
    assert "hr.txt" in await queried(client, other, principals=["user:bert"])
    assert "hr.txt" not in await queried(client, other, principals=ANNA)
    await talk.holds_together()


async def test_changes_name_what_is_not_there(client: httpx.AsyncClient, store: str) -> None:
    absent = "00000000-0000-4000-8000-00000000000f"
    for change in ({"documentId": absent}, {"docId": absent}, {"source": "file:no.txt"}):
        body = {"changes": [{**change, "principals": []}]}
        response = await client.put(f"{API}/principals/{store}", json=body)
        assert (response.status_code, "changes[0]" in response.text) == (404, True)
    for bad in ({}, {"documentId": absent, "source": "x"}):
        response = await client.put(f"{API}/principals/{store}", json={"changes": [{**bad, "principals": []}]})
        assert response.status_code == 422
    assert (
        await client.put(f"{API}/principals/{absent}", json={"changes": [{"source": "x", "principals": None}]})
    ).status_code == 404
