"""Chunks, with vectors or without, in place of files."""

import json
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from service.document_stores.own_chunks.reading import plan
from service.document_stores.own_chunks.spool import OwnChunks
from service.errors import TooLarge
from service.json_text import MAX_DEPTH
from service.providers.embedding.fake import FakeEmbedder
from service.settings import load
from service.worker.runner import Runner
from tests.service.document_stores.talk import API, Talk, passages

pytestmark = pytest.mark.usefixtures("worker")

Json = dict[str, Any]


async def give(talk: Talk, store: str, *chunks: Json, source: str = "faq", **fields: Any) -> Json:
    """Chunks that must be taken: the answer."""
    response = await post(talk, store, chunks=list(chunks), source=source, **fields)
    assert response.status_code == 200, response.text
    answer: Json = response.json()
    return answer


async def post(talk: Talk, store: str, **body: Any) -> httpx.Response:
    return await talk.client.post(f"{API}/upsert/{store}", json=body)


def counts(answer: Json) -> tuple[int, int, int, int]:
    return answer["numAdded"], answer["numUpdated"], answer["numSkipped"], answer["numDeleted"]


async def test_metadata_are_nested_no_deeper_than_an_import_takes(talk: Talk) -> None:
    store = await talk.store()
    nested: Any = "x"
    for _ in range(MAX_DEPTH):
        nested = [nested]
    await give(talk, store, {"pageContent": "Deep.", "metadata": {"a": nested}})
    archive = (await talk.client.get(f"{API}/store/{store}/export")).content
    taken = await talk.client.post(f"{API}/import", content=archive)
    assert taken.status_code == 200, taken.text
    for metadata in ({"a": [nested]}, json.dumps({"a": [nested]})):
        response = await post(talk, store, chunks=[{"pageContent": "Deeper.", "metadata": metadata}], source="b")
        assert response.status_code == 422
        assert response.json()["message"] == f"chunks[0].metadata: nested more than {MAX_DEPTH} deep"


async def test_chunks_are_searchable_as_they_were_cut(talk: Talk) -> None:
    store = await talk.store()
    answer = await give(
        talk,
        store,
        {"pageContent": "Offices close at 18:00.", "metadata": {"page": 2}},
        {"text": "The canteen opens at noon."},
    )
    assert counts(answer) == (2, 0, 0, 0)
    found = (await talk.query(store, "canteen opens noon", topK=1))[0]
    assert found["pageContent"] == "The canteen opens at noon."
    assert found["metadata"]["source"] == "faq"
    chunks = (await talk.chunks(store))["chunks"]
    assert [chunk["pageContent"] for chunk in chunks] == ["Offices close at 18:00.", "The canteen opens at noon."]
    assert json.loads(chunks[0]["metadata"]) == {"source": "faq", "page": 2}
    assert [(document["name"], document["state"]) for document in await talk.documents(store)] == [("faq", "ready")]
    await talk.holds_together()


async def test_only_what_changed_is_embedded_again(talk: Talk, embedder: FakeEmbedder) -> None:
    store = await talk.store()
    cut = [{"pageContent": f"Answer number {number} is here."} for number in range(5)]
    await give(talk, store, *cut)
    embedder.calls.clear()
    assert counts(await give(talk, store, *cut)) == (0, 0, 5, 0)
    assert embedder.calls == []
    cut[2] = {"pageContent": "Another answer took its place."}
    assert counts(await give(talk, store, *cut)) == (1, 0, 4, 1)
    assert embedder.calls == [("Another answer took its place.",)]
    assert counts(await give(talk, store, *cut[:3], {"pageContent": "x", "metadata": {"n": 1}})) == (1, 0, 3, 2)
    await talk.holds_together()


async def test_a_type_that_changes_is_a_change(talk: Talk, embedder: FakeEmbedder) -> None:
    store = await talk.store()
    for value in (1, 1.0, True, 1):
        await give(talk, store, {"pageContent": "One.", "metadata": {"value": value}})
        found = (await talk.query(store, "One"))[0]["metadata"]["value"]
        assert (found, type(found)) == (value, type(value))
    assert embedder.calls.count(("One.",)) == 1


async def test_vectors_of_the_caller_are_not_embedded_and_found_by(talk: Talk, embedder: FakeEmbedder) -> None:
    store = await talk.store()
    mine = embedder.embed_query("a wholly different sentence about tulips")
    embedder.calls.clear()
    answer = await give(
        talk, store, {"pageContent": "Chunk one.", "vector": mine}, {"pageContent": "Chunk two, embedded here."}
    )
    assert counts(answer) == (2, 0, 0, 0)
    assert embedder.calls == [("Chunk two, embedded here.",)]
    response = await talk.client.post(
        f"{API}/vectorstore/query",
        json={"storeId": store, "query": "a wholly different sentence about tulips", "strategy": "similarity"},
    )
    best = response.json()["docs"][0]
    assert best["pageContent"] == "Chunk one."
    assert best["similarity"] == pytest.approx(1.0, abs=1e-5)
    embedder.calls.clear()
    other = embedder.embed_query("roses")
    embedder.calls.clear()
    again = await give(
        talk, store, {"pageContent": "Chunk one.", "vector": other}, {"pageContent": "Chunk two, embedded here."}
    )
    assert counts(again) == (1, 0, 1, 1)  # another vector is another chunk
    assert embedder.calls == []
    await talk.holds_together()


async def test_equal_chunks_are_all_kept_and_ids_tell_chunks_apart(talk: Talk) -> None:
    store = await talk.store()
    same = {"pageContent": "See above."}
    assert counts(await give(talk, store, same, same, same)) == (3, 0, 0, 0)
    assert counts(await give(talk, store, same, same)) == (0, 0, 2, 1)
    named = [{"pageContent": "See above.", "id": "b"}, {"pageContent": "See above.", "id": "a"}]
    await give(talk, store, *named, source="named")
    assert counts(await give(talk, store, *reversed(named), source="named"))[0] == 0
    found = await talk.query(store, "See above", filter={"chunkId": "a"})
    assert [chunk["metadata"]["chunkId"] for chunk in found] == ["a"]
    await talk.holds_together()


async def test_sources_are_apart_and_files_beside_them(talk: Talk) -> None:
    store = await talk.store()
    await talk.upsert(store, ("faq", passages("Alpha")))
    await give(talk, store, {"pageContent": "From one."}, source="one")
    await give(talk, store, {"pageContent": "From two."}, source="two")
    await give(talk, store, {"pageContent": "From one, later."}, source="one")
    texts = await talk.texts(store)
    assert len(texts) == 3
    assert {"From one, later.", "From two."} < set(texts)
    await talk.holds_together()


async def test_a_form_brings_chunks_as_json_text(talk: Talk) -> None:
    store = await talk.store()
    chunks = [{"pageContent": "By form.", "metadata": {"n": 1.5}}]
    form = {"chunks": json.dumps(chunks), "source": "form", "metadata": '{"lang": "en", "n": 2}'}
    response = await talk.client.post(f"{API}/upsert/{store}", data=form)
    assert response.status_code == 200, response.text
    assert (await talk.query(store, "form"))[0]["metadata"].items() >= {
        "lang": "en",
        "n": 1.5,
        "source": "form",
    }.items()
    broken = await talk.client.post(f"{API}/upsert/{store}", data={**form, "chunks": "[{]"})
    assert (broken.status_code, "chunks: not valid JSON" in broken.json()["message"]) == (422, True)


async def test_metadata_of_a_chunk_page_can_be_sent_back(talk: Talk) -> None:
    store = await talk.store()
    await give(talk, store, {"pageContent": "Round.", "metadata": {"a": [1, 2.5, None]}})
    page = (await talk.chunks(store))["chunks"]
    assert counts(await give(talk, store, *page, source="faq"))[0] == 1  # the page's ids make them others
    found = (await talk.query(store, "Round"))[0]["metadata"]
    assert found["a"] == [1, 2.5, None]


GOOD: Json = {"pageContent": "Good."}
V16 = [0.5] * 16

BAD: list[tuple[Any, str]] = [
    ([GOOD, 7], "chunks[1]:"),
    ([GOOD, {}], "chunks[1].pageContent:"),
    ([{"pageContent": "  "}], "chunks[0].pageContent:"),
    ([{"pageContent": "a\u0000b"}], "chunks[0].pageContent:"),
    ([{"pageContent": "\ud800"}], "chunks[0].pageContent:"),
    ([GOOD, {"pageContent": "x", "metadata": []}], "chunks[1].metadata:"),
    ([{"pageContent": "x", "metadata": {"a": {"b": ["\u0000"]}}}], "chunks[0].metadata.a.b[0]:"),
    ([{"pageContent": "x", "metadata": {"a": float("nan")}}], "chunks[0].metadata.a:"),
    ([{"pageContent": "x", "vector": "no"}], "chunks[0].vector:"),
    ([{"pageContent": "x", "vector": [True] * 16}], "chunks[0].vector:"),
    ([{"pageContent": "x", "vector": [0.0] * 16}], "chunks[0].vector: is all zeros"),
    ([{"pageContent": "x", "vector": [1e39] * 16}], "chunks[0].vector:"),
    ([{"pageContent": "x", "vector": [float("inf")] * 16}], "chunks[0].vector:"),
    ([{"pageContent": "x", "vector": [10**400] * 16}], "chunks[0].vector:"),
    ([GOOD, {"pageContent": "x", "vector": [1.0] * 15}], "chunks[1].vector: has 15 numbers"),
    ([{"pageContent": "x", "vector": V16}, {"pageContent": "x", "vector": V16[1:]}], "chunks[1].vector: has 15"),
    ([{"pageContent": "x", "id": 7}], "chunks[0].id:"),
    ([{"pageContent": "x", "id": "a"}, {"pageContent": "y", "id": "a"}], "chunks[1].id: the same as that of chunks[0]"),
    ([], "chunks: must not be empty"),
    ({"pageContent": "x"}, "chunks:"),
]


@pytest.mark.parametrize(("chunks", "message"), BAD)
async def test_every_fault_is_named_and_nothing_is_written(talk: Talk, chunks: Any, message: str) -> None:
    store = await talk.store()
    body = json.dumps({"chunks": chunks, "source": "s"})
    response = await talk.client.post(
        f"{API}/upsert/{store}", content=body, headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 422, response.text
    assert message in response.json()["message"]
    assert await talk.documents(store) == []
    assert [key async for key in talk.resources.blobs.keys()] == []  # noqa: SIM118 - no mapping


async def test_what_does_not_go_together_is_refused(talk: Talk) -> None:
    store = await talk.store()
    for fields, message in (
        ({"source": None}, "source: is missing"),
        ({"source": "s", "loader": {"name": "pdfFile"}}, "loader:"),
        ({"source": "s", "splitter": {"name": "x"}}, "splitter:"),
    ):
        response = await post(talk, store, chunks=[GOOD], **fields)
        assert (response.status_code, message in response.json()["message"]) == (422, True)
    response = await talk.send(store, ("a.txt", "A file."), chunks=[GOOD], source="s")
    assert response.status_code == 422
    twice = await talk.client.post(f"{API}/upsert/{store}", content='{"chunks":[],"chunks":[]}')
    assert twice.status_code == 400
    assert (await post(talk, str(store)[:-4] + "0000", chunks=[GOOD], source="s")).status_code == 404


def test_limits_are_named() -> None:
    small = load({}, {"max_request_chunks": 2, "max_chunk_text": 10, "max_metadata": 30})
    for chunks, name in (
        ([GOOD] * 3, "max_request_chunks"),
        ([{"pageContent": "x" * 11}], "max_chunk_text: chunks[0].pageContent"),
        ([GOOD, {"pageContent": "x", "metadata": {"long": "y" * 30}}], "max_metadata: chunks[1].metadata"),
    ):
        with OwnChunks(small) as own, pytest.raises(TooLarge, match=re.escape(name)):
            own.take(iter(chunks))


async def test_the_size_of_vectors_is_that_of_the_space(talk: Talk) -> None:
    store = await talk.store()
    await give(talk, store, GOOD)
    response = await post(talk, store, chunks=[{"pageContent": "x", "vector": [1.0] * 8}], source="other")
    assert response.status_code == 422
    assert "has 8 numbers, the document store's vectors have 16" in response.json()["message"]
    other = {"name": "fake", "config": {"dimension": 8}}
    made = await post(
        talk, store, chunks=[{"pageContent": "x", "vector": [1.0] * 8}], source="s", createNewDocStore=True,
        embedding=other,
    )  # fmt: skip
    assert made.status_code == 200, made.text


async def test_vectors_of_a_former_space_give_way_to_those_of_the_new_one(talk: Talk) -> None:
    store = await talk.store()
    chunks = [{"pageContent": "Tulips.", "vector": [1.0] * 16}, {"pageContent": "Roses.", "vector": [0.5] * 16}]
    made = await give(talk, store, *chunks)
    other = {"storeId": store, "embeddingName": "fake", "embeddingConfig": {"dimension": 96}}
    job = (await talk.client.post(f"{API}/vectorstore/reindex", json=other)).json()["url"]
    assert (await talk.end(job))["state"] == "done"
    again = await talk.upsert(store, docId=made["docId"], replaceExisting="true")
    assert counts(again) == (0, 0, 2, 0)  # the re-index embedded them
    first = (await talk.chunks(store))["chunks"][0]
    path = f"{API}/chunks/{store}/{first['docId']}/{first['id']}"
    assert (await talk.client.put(path, json={"pageContent": "Edited."})).status_code == 200
    again = await talk.upsert(store, docId=made["docId"], replaceExisting="true")
    assert counts(again) == (0, 1, 1, 0)
    result = (await talk.client.get(f"/api/v1/jobs/{again['jobId']}")).json()["result"]
    assert (result["failed"], result["numEmbedded"], result["numVectorsReplaced"]) == ([], 1, 1)
    best = (await talk.query(store, "Tulips.", topK=1))[0]
    assert (best["pageContent"], best["similarity"]) == ("Tulips.", pytest.approx(1, abs=1e-5))
    await talk.holds_together()


def test_vectors_of_another_space_of_the_same_size_are_left_out_too(tmp_path: Path) -> None:
    space = {"provider": "a", "model": "m", "dimension": 2}
    with OwnChunks(load({})) as chunks:
        chunks.take(iter([{"text": "x", "vector": [1.0, 0.0]}, {"text": "y"}]))
        chunks.note_space(space)
        file = tmp_path / "chunks"
        file.write_bytes(chunks.stream.read())
    store = uuid4()
    brought = plan(store, "s", "s", {}, file)
    assert [(chunk.vector is not None, chunk.foreign) for chunk in brought] == [(True, False), (False, False)]
    assert plan(store, "s", "s", {}, file, space) == brought
    for other in ({**space, "model": "n"}, {**space, "dimension": 3}):
        planned = plan(store, "s", "s", {}, file, other)
        assert [(chunk.vector, chunk.foreign) for chunk in planned] == [(None, True), (None, False)]
        assert [chunk.id for chunk in planned] == [chunk.id for chunk in brought]
    lines = file.read_bytes().splitlines()
    file.write_bytes(b"\n".join(lines[:-1]))  # as uploads of earlier versions are
    assert plan(store, "s", "s", {}, file, {**space, "model": "n"}) == brought
    assert [chunk.foreign for chunk in plan(store, "s", "s", {}, file, {**space, "dimension": 3})] == [True, False]


async def test_many_chunks_in_one_call(talk: Talk, embedder: FakeEmbedder) -> None:
    store = await talk.store()
    rows = np.random.default_rng(1).normal(size=(3000, 16)).round(4).tolist()
    chunks = [{"pageContent": f"Fact {n}.", "vector": row, "metadata": {"n": n}} for n, row in enumerate(rows)]
    assert counts(await give(talk, store, *chunks)) == (3000, 0, 0, 0)
    assert embedder.calls == []
    assert counts(await give(talk, store, *chunks)) == (0, 0, 3000, 0)
    await talk.holds_together()


text = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | text
    | st.sampled_from(["2024-05-06T07:08:09Z", "2024-02-30", "1e5", "", "NaN", 1e20, 1e-300, -0.5, 2**53 + 1]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def plain(value: Any) -> Any:
    """The value with its types, for comparison: 1, 1.0 and True differ; a negative zero is a zero."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return type(value).__name__, value


async def test_metadata_come_back_as_they_went_in(talk: Talk, worker: Runner) -> None:
    store = await talk.store()
    cases: list[Json] = []

    @hypothesis_settings(max_examples=150, database=None, suppress_health_check=list(HealthCheck))
    @given(st.dictionaries(text, json_values, max_size=4))
    def collect(metadata: Json) -> None:
        cases.append(metadata)

    collect()
    chunks = [{"pageContent": f"Case {n}.", "metadata": case, "id": str(n)} for n, case in enumerate(cases)]
    await give(talk, store, *chunks)
    found: list[Json] = []
    for page in range(1, len(cases) // 50 + 2):
        found += [json.loads(chunk["metadata"]) for chunk in (await talk.chunks(store, page=page))["chunks"]]
    for number, (case, got) in enumerate(zip(cases, found, strict=True)):
        assert plain(got) == plain({"source": "faq", "chunkId": str(number), **case})
    archive = (await talk.client.get(f"{API}/store/{store}/export")).content
    copy = (await talk.client.post(f"{API}/import", content=archive)).json()["storeId"]
    for page in range(1, len(cases) // 50 + 2):
        there = (await talk.chunks(copy, page=page))["chunks"]
        for chunk, got in zip(there, found[(page - 1) * 50 :], strict=False):
            assert plain(json.loads(chunk["metadata"])) == plain(got)
    for number in range(0, len(cases), 10):
        docs = await talk.query(store, f"Case {number}.", topK=1, filter={"chunkId": str(number)})
        if "chunkId" not in cases[number] and docs:
            shown = {key: value for key, value in docs[0]["metadata"].items() if key != "docId"}
            assert plain(shown) == plain({"source": "faq", "chunkId": str(number), **cases[number]})
    await talk.holds_together()
