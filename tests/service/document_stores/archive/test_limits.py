"""Archives are held to what uploads are held to, and reading one costs no more than it may: whatever it says."""

import tracemalloc
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from service.document_stores.archive import writing
from service.document_stores.archive.checking import begin, check
from service.document_stores.archive.service import take_in
from service.document_stores.archive.tar import BadArchive
from service.document_stores.own_chunks.spool import storable
from service.errors import StorageFull, TooLarge, Unprocessable
from service.settings import Settings
from tests.service.document_stores.archive.test_damage import (
    Members,
    first,
    lines,
    manifest,
    put_together,
    some_archive,
    taken_apart,
)
from tests.service.document_stores.talk import API, Talk

pytestmark = pytest.mark.usefixtures("worker")

MIB = 1024 * 1024

SMALL_VALUES = b'{"a":[' + b"[]," * (20 * MIB // 3) + b"[]]}"
"""What takes thirty times its size once it is read."""


def changed(parts: Members, name: str, change: Callable[[bytes], bytes]) -> bytes:
    return put_together([(each, change(data) if each == name else data) for each, data in parts])


def memory_of(path: Path, settings: Settings) -> int:
    """Bytes that refusing an archive took at most."""
    tracemalloc.start()
    try:
        with pytest.raises(BadArchive):
            check(path, settings)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def test_chunks_are_held_to_the_limits_of_an_upsert(talk: Talk, settings: Settings, tmp_path: Path) -> None:
    parts = taken_apart(await some_archive(talk))
    path = tmp_path / "archive"
    path.write_bytes(put_together(parts))
    with pytest.raises(TooLarge, match="max_chunk_text"):
        check(path, settings.model_copy(update={"max_chunk_text": 100}))
    large = {"k": "x" * 4 * settings.max_metadata + "x" * 64 * 1024}
    for change, limit in (
        (first(text="x" * (settings.max_chunk_text + 1)), "max_chunk_text"),
        (first(head="x" * (settings.max_chunk_text + 1)), "title and headings"),
        (first(metadata=large), "max_metadata"),
    ):
        path.write_bytes(changed(parts, "chunks-00000.jsonl", change))
        with pytest.raises(TooLarge, match=limit):
            check(path, settings)
    recipe = lines(lambda values: values[0]["recipe"].update(metadata=large))
    path.write_bytes(changed(parts, "documents.jsonl", recipe))
    with pytest.raises(TooLarge, match="max_metadata"):
        check(path, settings)


async def test_an_import_beyond_the_limits_is_answered_with_their_name_and_leaves_nothing(talk: Talk) -> None:
    archive = changed(
        taken_apart(await some_archive(talk)),
        "chunks-00000.jsonl",
        first(text="x" * (talk.resources.settings.max_chunk_text + 1)),
    )
    response = await talk.client.post(f"{API}/import", content=archive)
    assert (response.status_code, response.json()["code"]) == (413, "too_large")
    assert response.json()["message"].startswith("max_chunk_text")
    assert (await talk.client.get(f"{API}/store")).json() == []


async def test_small_values_without_number_take_no_memory(talk: Talk, settings: Settings, tmp_path: Path) -> None:
    parts = taken_apart(await some_archive(talk))
    path = tmp_path / "archive"
    for name in ("manifest.json", "loaders.jsonl", "documents.jsonl", "chunks-00000.jsonl", "checksums.json"):
        bomb = SMALL_VALUES + (b"\n" if name.endswith("jsonl") else b"")
        forged = [(each, bomb if each == name else data) for each, data in parts]
        path.write_bytes(put_together(forged, sums=name != "checksums.json"))
        assert memory_of(path, settings) < 120 * MIB, name


async def test_a_manifest_is_refused_by_its_size_before_it_is_read(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "archive"
    path.write_bytes(put_together([("manifest.json", SMALL_VALUES)]))
    tracemalloc.start()
    try:
        with pytest.raises(BadArchive, match="at most"):
            begin(path, settings)
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


async def test_a_typed_text_as_large_as_a_file_may_be_can_be_imported(
    talk: Talk, settings: Settings, tmp_path: Path
) -> None:
    parts = taken_apart(await some_archive(talk))
    text = '"Words," they said.\n' * (70 * MIB // 20)
    assert len(text) <= settings.max_upload
    path = tmp_path / "archive"
    path.write_bytes(
        changed(
            parts,
            "loaders.jsonl",
            first(component={"name": "plainText", "config": {"text": text}, "credential": False}),
        )
    )
    check(path, settings)


async def _never() -> AsyncIterator[bytes]:
    raise AssertionError("the body was read")
    yield b""


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "application/x-tar"])
async def test_without_room_on_the_disk_no_byte_of_an_archive_is_read(talk: Talk, kind: str) -> None:
    free = 2**50
    settings = talk.resources.settings.model_copy(update={"min_free_disk": free})
    object.__setattr__(talk.resources, "settings", settings)
    response = await talk.client.post(f"{API}/import", content=_never(), headers={"content-type": kind})
    assert (response.status_code, response.json()["code"]) == (507, "storage_full"), response.text


async def test_an_archive_that_would_fill_the_disk_is_not_taken(talk: Talk) -> None:
    with pytest.raises(StorageFull):
        await take_in(talk.resources, talk.workspace, _Unread(), None, incoming=2**60)  # type: ignore[arg-type]


class _Unread:
    def read(self, _size: int = -1) -> bytes:
        raise AssertionError("the archive was read")


async def test_the_import_declares_what_it_answers_when_there_is_no_room(talk: Talk) -> None:
    document = (await talk.client.get("/openapi.json")).json()
    answers = document["paths"][f"{API}/import"]["post"]["responses"]
    assert {"408", "413", "422", "429", "503", "507"} <= answers.keys()


async def test_a_forged_archive_cannot_name_a_credential_of_whoever_imports_it(talk: Talk) -> None:
    body = {"name": "Mine", "credentialName": "openAIApi", "plainDataObj": {"openAIApiKey": "sk-canary-1"}}
    credential = (await talk.client.post("/api/v1/credentials", json=body)).json()["id"]
    config = {"dimension": 16, "credential": credential, "apiKey": "sk-forged"}
    parts = taken_apart(await some_archive(talk))
    part = {"name": "fake", "config": config, "credential": False}
    archive = changed(parts, "manifest.json", manifest(embedding=part))
    parts = taken_apart(archive)
    part = {"name": "file", "config": {"credential": credential}, "credential": False}
    response = await talk.client.post(f"{API}/import", content=changed(parts, "loaders.jsonl", lines_with(part)))
    assert response.status_code == 200, response.text
    store = await talk.read(response.json()["storeId"])
    assert store["embeddingConfig"]["config"] == {"dimension": 16}
    rows = await talk.rows("SELECT loader_config FROM loaders")
    assert rows, rows
    assert credential not in repr(rows)


def lines_with(component: dict[str, object]) -> Callable[[bytes], bytes]:
    """Every loader is this component."""
    return lines(lambda values: [value.update(component=component) for value in values].clear())


def test_a_long_name_above_many_values_is_checked_in_one_pass() -> None:
    value = {"k" * MIB: [0] * 100_000}
    storable("metadata", value)  # 100 GB were copied where each place was named on the way
    with pytest.raises(Unprocessable, match=r"^metadata\.k+: holds a NUL character") as failed:
        storable("metadata", {"k" * MIB: [0] * 100_000 + ["\0"]})
    assert len(failed.value.message) < 1000


async def test_an_export_that_could_not_be_imported_is_refused(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await talk.store()
    monkeypatch.setattr(writing, "MANIFEST", 100)  # no store that is made now can take more than the real one
    response = await talk.client.get(f"{API}/store/{store}/export")
    assert (response.status_code, response.json()["code"]) == (413, "too_large"), response.text
