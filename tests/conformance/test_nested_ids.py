"""Ids that stand in bodies: those of another workspace are answered for like those that nobody has (S14)."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from service.resources import Resources
from tests.conformance.test_routes import described, make_credential, make_document_store

LOADER = {"loaderId": "plainText", "loaderConfig": {"text": "a"}}
MODEL = {"name": "chatOpenAI", "inputs": {"modelName": "m"}}
QUESTION = {"query": "Hello?", **LOADER}


def told(response: httpx.Response, *ids: str) -> tuple[int, str]:
    """What an answer tells, whatever the id."""
    text = response.text
    for item in ids:
        text = text.replace(item, "ID")
    return response.status_code, text


async def test_a_document_store_named_in_a_body(
    app: FastAPI, client: httpx.AsyncClient, foreign: httpx.AsyncClient, resources: Resources
) -> None:
    store = await make_document_store(client, resources)
    before = (await client.get(f"/api/v1/document-store/store/{store}")).json()
    seen = 0
    for operation in described(app):
        if "storeId" not in dict(operation.properties()) or operation.method == "GET":
            continue
        seen += 1
        loader, unknown = str(uuid4()), str(uuid4())
        answers = []
        for identifier in (store, unknown):
            body: dict[str, Any] = {**(operation.body or {}), **QUESTION, "storeId": identifier}
            answers.append(await foreign.request(operation.method, operation.url(loader), json=body))
        assert answers[0].status_code == 404, f"{operation}: {answers[0].text}"
        assert told(answers[0], store, loader) == told(answers[1], unknown, loader), str(operation)
    assert seen >= 6
    assert (await client.get(f"/api/v1/document-store/store/{store}")).json() == before


@pytest.mark.parametrize("door", ["store", "upsert", "insert", "save", "reindex", "describe", "preview", "source"])
async def test_a_credential_named_in_a_configuration(
    client: httpx.AsyncClient, foreign: httpx.AsyncClient, resources: Resources, door: str
) -> None:
    theirs, unknown = await make_credential(client, resources), str(uuid4())
    store = await make_document_store(foreign, resources)
    answers = []
    for credential in (theirs, unknown):
        config = {"modelName": "m", "credential": credential, "basepath": "http://127.0.0.1:9/v1"}
        named = {"storeId": store, "embeddingName": "openAIEmbeddings", "embeddingConfig": config}
        embedding = {"name": "openAIEmbeddings", "config": config}
        place = {"repoLink": "http://127.0.0.1:9/owner/name", "credential": credential, "maxRetries": 0}
        path, body = {
            "store": ("store", {"name": "a", "embeddingConfig": embedding}),
            "upsert": (
                f"upsert/{store}",
                {"loader": {"name": "plainText", "config": {"text": "a"}}, "embedding": embedding},
            ),
            "insert": ("vectorstore/insert", named),
            "save": ("vectorstore/save", named),
            "reindex": ("vectorstore/reindex", named),
            "describe": (f"generate-tool-desc/{store}", {"selectedChatModel": {**MODEL, "credential": credential}}),
            "preview": ("loader/preview", {"loaderId": "github", "loaderConfig": place}),
            "source": (f"store/{store}/sources", {"connector": "github", "config": place}),
        }[door]
        answers.append(await foreign.post(f"/api/v1/document-store/{path}", json=body))
    if door == "source":  # nobody is asked before its first run
        assert [answer.status_code for answer in answers] == [200, 200]
        return
    assert 400 <= answers[0].status_code < 500, answers[0].text
    assert told(answers[0], theirs) == told(answers[1], unknown)
    assert "sk-canary" not in answers[0].text
