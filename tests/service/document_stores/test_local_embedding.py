"""Which bundled model a document store gets, and that it keeps it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from service.document_stores import local_embedding, records
from service.document_stores.local_embedding import chosen, settled
from service.providers.defaults import Defaults
from service.providers.embedding import LOCAL, MINILM, MULTILINGUAL
from service.providers.embedding.e5.weights import weights_file
from tests.service.document_stores.talk import API, Talk

ENGLISH = "Employees of the company may take up to twenty-five days of paid leave in a calendar year."
GERMAN = "Beschäftigte des Unternehmens haben im Kalenderjahr Anspruch auf fünfundzwanzig Tage bezahlten Urlaub."
CHINESE = "公司员工每年可享受二十五天带薪年假，未休完的假期可以转入下一年。"
CODES = "PA-22-150 | 30.27 | N5921D | 8/12/2007 | KTLH | 29.92 | M-555 | 1147 | 22"

needs_wheel = pytest.mark.skipif(weights_file() is None, reason="the package with the weights is for Linux on x86-64")


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        ([], MINILM),
        ([""], MINILM),
        ([ENGLISH], MINILM),
        ([GERMAN], MULTILINGUAL),
        ([CHINESE], MULTILINGUAL),
        (["年假二十五天"], MULTILINGUAL),
        ([CODES] * 10, MINILM),
        (["Año"], MINILM),
        ([ENGLISH] * 9 + [GERMAN], MINILM),
        ([ENGLISH] * 2 + [GERMAN], MULTILINGUAL),
        ([ENGLISH] * 100 + [GERMAN] * 100, MINILM),
    ],
)
def test_a_real_share_of_other_languages_takes_the_multilingual_model(texts: Sequence[str], name: str) -> None:
    assert chosen(texts) == name


def test_vectors_settle_it_then_the_settings_then_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    e5 = {"model": "multilingual-e5-small"}
    monkeypatch.setattr(local_embedding, "weights_file", lambda: Path("there"))
    assert settled(None, Defaults()) is None
    assert settled({"model": "text-embedding-3-small"}, Defaults()) is None
    assert settled(e5, Defaults()) == settled(e5, Defaults(embedding=MINILM)) == MULTILINGUAL
    assert settled({"model": "all-MiniLM-L6-v2"}, Defaults(embedding=MULTILINGUAL)) == MINILM
    assert settled(None, Defaults(embedding=MULTILINGUAL)) == MULTILINGUAL
    assert settled(e5, Defaults(embedding_model_path=Path("model"))) == LOCAL
    monkeypatch.setattr(local_embedding, "weights_file", lambda: None)
    assert settled(None, Defaults()) == MINILM


async def model_of(talk: Talk, store: str) -> str:
    """The model that the vectors of a document store were made by."""
    async with talk.resources.database.read(talk.workspace) as scope:
        row = await records.get(scope, UUID(store))
    assert row is not None
    assert row.embedding is None or row.embedding.name != "fake"
    return str((row.fingerprint or {}).get("model"))


async def plain_store(talk: Talk) -> str:
    """A document store with nothing configured."""
    made: str = (await talk.client.post(f"{API}/store", json={"name": "Plain"})).json()["id"]
    return made


async def first(talk: Talk, store: str, question: str) -> str:
    """The source of the chunk that answers best."""
    found = await talk.query(store, question, topK=1)
    return str(found[0]["metadata"]["source"])


@needs_wheel
@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("texts", "question", "model"),
    [
        (
            {"leave.txt": GERMAN, "travel.txt": "Reisekosten werden innerhalb von dreißig Tagen erstattet."},
            "Wie lange dürfen Angestellte in die Ferien?",
            "multilingual-e5-small",
        ),
        (
            {"leave.txt": CHINESE, "travel.txt": "差旅费应在三十天内报销，并附上发票原件。"},
            "职工一年能放多少天假？",
            "multilingual-e5-small",
        ),
        (
            {"leave.txt": ENGLISH, "travel.txt": "Travel costs are paid back within thirty days of the trip."},
            "How long may staff go on holiday?",
            "all-MiniLM-L6-v2",
        ),
    ],
)
async def test_a_document_store_chooses_by_its_first_text_and_keeps_to_it(
    talk: Talk, texts: dict[str, str], question: str, model: str
) -> None:
    store = await plain_store(talk)
    await talk.upsert(store, *texts.items())
    assert await model_of(talk, store) == model
    assert await first(talk, store, question) == "leave.txt"
    await talk.upsert(store, ("other.txt", ENGLISH if "e5" in model else GERMAN))
    assert await model_of(talk, store) == model
    again = await talk.upsert(store, *texts.items())
    assert again["numSkipped"] == 2
    updated = await talk.client.put(
        f"{API}/store/{store}", json={"embeddingConfig": json.dumps({"name": LOCAL, "config": {}})}
    )
    assert updated.status_code == 200, updated.text
    assert await first(talk, store, question) == "leave.txt"


@pytest.mark.usefixtures("worker")
async def test_without_the_wheel_every_document_store_gets_the_first_model(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_embedding, "weights_file", lambda: None)
    store = await plain_store(talk)
    await talk.upsert(store, ("leave.txt", GERMAN))
    assert await model_of(talk, store) == "all-MiniLM-L6-v2"
    assert await first(talk, store, "Wie viele Tage Urlaub?") == "leave.txt"


@needs_wheel
@pytest.mark.usefixtures("worker")
async def test_a_document_store_of_the_first_model_is_given_the_other_by_a_reindex(talk: Talk) -> None:
    store = await plain_store(talk)
    await talk.upsert(store, ("english.txt", ENGLISH))
    await talk.upsert(store, ("leave.txt", GERMAN))
    assert await model_of(talk, store) == "all-MiniLM-L6-v2"
    body: dict[str, Any] = {"storeId": store, "embeddingName": MULTILINGUAL}
    response = await talk.client.post(f"{API}/vectorstore/reindex", json=body)
    assert response.status_code == 202, response.text
    assert (await talk.end(response.headers["Location"]))["state"] == "done"
    assert await model_of(talk, store) == "multilingual-e5-small"
    assert await first(talk, store, "Wie lange dürfen Angestellte in die Ferien?") == "leave.txt"


@needs_wheel
@pytest.mark.usefixtures("worker")
async def test_chunks_that_are_indexed_later_choose_too(talk: Talk) -> None:
    store = await plain_store(talk)
    await talk.upsert(store, ("leave.txt", GERMAN))
    assert await model_of(talk, store) == "multilingual-e5-small"
    gone = await talk.client.delete(f"{API}/vectorstore/{store}")
    assert gone.status_code == 200, gone.text
    assert await model_of(talk, store) == "None"
    response = await talk.client.post(
        f"{API}/vectorstore/insert", json={"storeId": store}, headers={"Prefer": "respond-async"}
    )
    assert response.status_code in (200, 202), response.text
    if response.status_code == 202:
        await talk.end(response.headers["Location"])
    assert await model_of(talk, store) == "multilingual-e5-small"
