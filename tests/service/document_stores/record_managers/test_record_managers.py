"""The record managers of the contract: what `none`, `incremental` and `full` leave."""

from collections.abc import Sequence
from typing import Any

import pytest

from service.providers.embedding.fake import FakeEmbedder
from tests.service.document_stores.talk import API, Talk, passages

pytestmark = pytest.mark.usefixtures("worker")

NAMES = ("postgresRecordManager", "SQLiteRecordManager", "MySQLRecordManager")


def manager(cleanup: str | None, name: str = NAMES[0], **config: Any) -> dict[str, Any]:
    """A record manager as Flowise's forms send it."""
    connection = {"host": "db.internal", "database": "flowise", "port": "5432", "ssl": True, "tableName": "records"}
    mode = {} if cleanup is None else {"cleanup": cleanup}
    return {"name": name, "config": {**connection, **mode, **config}}


def counts(answer: dict[str, Any]) -> tuple[int, int, int, int]:
    return answer["numAdded"], answer["numUpdated"], answer["numSkipped"], answer["numDeleted"]


async def topics(talk: Talk, store: str) -> list[str]:
    return [text.split()[0] for text in await talk.texts(store)]


@pytest.mark.parametrize("name", NAMES)
async def test_none_adds_what_is_new_and_lets_what_was_there_stay(
    talk: Talk, embedder: FakeEmbedder, name: str
) -> None:
    store = await talk.store()
    asked = manager("none", name)
    await talk.upsert(store, ("a.txt", passages("Alpha", "Beta")), recordManager=asked)
    answer = await talk.upsert(store, ("a.txt", passages("Alpha", "Gamma")), recordManager=asked)
    assert counts(answer) == (1, 0, 1, 0)
    assert answer["totalKeys"] == 3
    assert await topics(talk, store) == ["Alpha", "Gamma", "Beta"]
    assert "Beta stands" in (await talk.query(store, "Beta stands here Beta3", topK=1))[0]["pageContent"]
    embedder.calls.clear()
    assert counts(await talk.upsert(store, ("a.txt", passages("Alpha", "Gamma")))) == (0, 0, 2, 0)
    back = await talk.upsert(store, ("a.txt", passages("Alpha", "Beta")))  # the store remembers its record manager
    assert counts(back) == (0, 0, 2, 0)
    assert await topics(talk, store) == ["Alpha", "Beta", "Gamma"]
    assert all(not any("Beta" in text for text in call) for call in embedder.calls)
    await talk.holds_together()


async def test_without_a_mode_the_contracts_default_is_none(talk: Talk) -> None:
    store = await talk.store()
    for topic in ("Alpha", "Beta"):
        await talk.upsert(store, ("a.txt", passages(topic)), recordManager=manager(None))
    assert sorted(await topics(talk, store)) == ["Alpha", "Beta"]
    await talk.holds_together()


async def test_incremental_removes_what_a_source_no_longer_has_and_nothing_else(talk: Talk) -> None:
    store = await talk.store()
    asked = manager("incremental")
    await talk.upsert(store, ("a.txt", passages("Alpha", "Beta")), ("b.txt", passages("Other")), recordManager=asked)
    assert counts(await talk.upsert(store, ("a.txt", passages("Alpha", "Gamma")))) == (1, 0, 1, 1)
    assert sorted(await topics(talk, store)) == ["Alpha", "Gamma", "Other"]
    await talk.holds_together()


async def test_incremental_removes_what_none_kept_even_from_unchanged_content(talk: Talk) -> None:
    store = await talk.store()
    for topic in ("Alpha", "Beta"):
        await talk.upsert(store, ("a.txt", passages(topic)), recordManager=manager("none"))
    answer = await talk.upsert(store, ("a.txt", passages("Beta")), recordManager=manager("incremental"))
    assert counts(answer) == (0, 0, 1, 1)
    assert await topics(talk, store) == ["Beta"]
    await talk.holds_together()


async def test_full_removes_every_source_that_the_upsert_did_not_bring(talk: Talk) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha")), ("b.txt", passages("Beta", "Bravo")))
    await talk.upsert(store, ("c.txt", passages("Gamma")))
    answer = await talk.upsert(
        store, ("b.txt", passages("Beta", "Bruno")), ("d.txt", passages("Delta")), recordManager=manager("full")
    )
    assert counts(answer) == (2, 0, 1, 3)
    assert answer["totalKeys"] == 3
    assert sorted(await topics(talk, store)) == ["Beta", "Bruno", "Delta"]
    assert [document["name"] for document in await talk.documents(store)] == ["b.txt", "d.txt"]
    assert counts(await talk.upsert(store, ("b.txt", passages("Beta", "Bruno")))) == (0, 0, 2, 1)
    await talk.holds_together()


async def test_full_looks_at_its_own_namespace_only(talk: Talk) -> None:
    store = await talk.store()
    for name, namespace in (("a.txt", "one"), ("b.txt", "one"), ("c.txt", "two")):
        asked = manager("incremental", namespace=namespace)
        await talk.upsert(store, (name, passages(name[0].upper())), recordManager=asked)
    answer = await talk.upsert(store, ("d.txt", passages("D")), recordManager=manager("full", namespace="one"))
    assert counts(answer) == (1, 0, 0, 2)
    assert sorted(await topics(talk, store)) == ["C", "D"]
    await talk.holds_together()


async def test_a_full_upsert_that_fails_removes_nothing(talk: Talk) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha")))
    response = await talk.send(store, ("broken.pdf", b"%PDF-1.7 nothing"), recordManager=manager("full"))
    assert response.status_code == 422
    await talk.settled()
    assert await topics(talk, store) == ["Alpha"]
    states = {document["name"]: document["state"] for document in await talk.documents(store)}
    assert states == {"a.txt": "ready", "broken.pdf": "failed"}


async def test_full_with_own_chunks_and_with_a_loader_that_is_read_again(talk: Talk) -> None:
    store = await talk.store()
    first = await talk.upsert(store, ("a.txt", passages("Alpha")))
    await talk.upsert(store, ("b.txt", passages("Beta")))
    again = await talk.upsert(store, docId=first["docId"], replaceExisting="true", recordManager=manager("full"))
    assert counts(again) == (0, 0, 1, 1)
    body = {"chunks": [{"pageContent": "Own."}], "source": "own"}
    response = await talk.client.post(f"{API}/upsert/{store}", json=body)
    assert counts(response.json()) == (1, 0, 0, 1)
    assert await talk.texts(store) == ["Own."]
    await talk.holds_together()


@pytest.mark.parametrize("naming", ["source", "article"])
async def test_the_source_id_key_says_which_uploads_are_one_source(talk: Talk, naming: str) -> None:
    store = await talk.store()
    asked = manager("incremental", sourceIdKey=naming)
    await talk.upsert(store, ("draft.txt", passages("Alpha")), metadata={naming: "article-7"}, recordManager=asked)
    answer = await talk.upsert(store, ("final.txt", passages("Beta")), metadata={naming: "article-7"})
    assert counts(answer) == (1, 0, 0, 1)
    await talk.upsert(store, ("final.txt", passages("Gamma")), metadata={naming: "article-8"})
    assert sorted(await topics(talk, store)) == ["Beta", "Gamma"]
    await talk.holds_together()


BAD: Sequence[tuple[dict[str, Any], str]] = [
    (manager("sometimes"), "recordManager.config.cleanup"),
    (manager("none", namespace=7), "recordManager.config.namespace"),
    (manager("none", sourceIdKey=["a"]), "recordManager.config.sourceIdKey"),
    (manager("none", tableName={}), "recordManager.config.tableName"),
    ({"name": "redisRecordManager", "config": {}}, "recordManager.name"),
    ({"config": {"cleanup": "full"}}, "recordManager.name"),
]


@pytest.mark.parametrize(("asked", "field"), BAD)
async def test_wrong_values_are_named(talk: Talk, asked: dict[str, Any], field: str) -> None:
    store = await talk.store()
    response = await talk.send(store, ("a.txt", "Text."), recordManager=asked)
    assert (response.status_code, field in response.json()["message"]) == (422, True)
    assert await talk.documents(store) == []


async def test_fields_are_laid_over_those_of_the_document_store(talk: Talk) -> None:
    store = await talk.store()
    await talk.upsert(store, ("a.txt", passages("Alpha")), recordManager=manager("none", namespace="n"))
    await talk.upsert(store, ("b.txt", passages("Beta")), recordManager={"config": {"cleanup": "full"}})
    assert await topics(talk, store) == ["Beta"]
    kept = (await talk.read(store))["recordManagerConfig"]
    assert (kept["name"], kept["config"]["cleanup"], kept["config"]["namespace"]) == (NAMES[0], "full", "n")
