"""A folder that changes, and the document store that follows it."""

import os
import time
from pathlib import Path

import pytest

from service.providers.embedding.fake import FakeEmbedder
from service.resources import Resources
from service.worker.runner import Runner
from tests.service.document_stores.talk import API, passages
from tests.service.sync.keeper import Keeper, chunks, items

pytestmark = pytest.mark.usefixtures("worker")


def write(file: Path, text: str, *, age: float = 60.0) -> None:
    """A file that was last changed so many seconds ago."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    moment = time.time() - age
    os.utime(file, (moment, moment))


async def test_the_same_folder_ten_times_adds_nothing(keeper: Keeper, wiki: Path, embedder: FakeEmbedder) -> None:
    write(wiki / "a.txt", passages("apple", "pear"))
    write(wiki / "deep" / "b.md", passages("plum"))
    source = await keeper.folder(wiki)
    first = await keeper.done(source)
    assert (chunks(first), items(first)) == ((3, 0, 0, 0), {"listed": 2, "fetched": 2, "claimed": 2})
    assert await keeper.names() == ["a.txt", "deep/b.md"]
    calls = len(embedder.calls)
    for _ in range(9):
        again = await keeper.done(source)
        assert (chunks(again), items(again)) == ((0, 0, 0, 0), {"listed": 2, "unchanged": 2})
    assert len(embedder.calls) == calls
    await keeper.talk.holds_together()
    shown = await keeper.read(source)
    assert (shown["documents"], shown["lastRun"]["state"], shown["lastRun"]["result"]["listed"]) == (2, "done", 2)


async def test_a_touched_file_costs_a_look_and_nothing_else(
    keeper: Keeper, wiki: Path, embedder: FakeEmbedder, resources: Resources
) -> None:
    write(wiki / "a.txt", passages("apple"))
    source = await keeper.folder(wiki)
    await keeper.done(source)
    calls = len(embedder.calls)
    blobs = {key async for key in resources.blobs.keys()}  # noqa: SIM118 - no mapping
    write(wiki / "a.txt", passages("apple"), age=30)
    touched = await keeper.done(source)
    assert items(touched) == {"listed": 1, "fetched": 1, "unchanged": 1}
    assert items(await keeper.done(source)) == {"listed": 1, "unchanged": 1}
    assert len(embedder.calls) == calls
    assert {key async for key in resources.blobs.keys()} == blobs  # noqa: SIM118


async def test_a_changed_paragraph_is_all_that_is_embedded(keeper: Keeper, wiki: Path, embedder: FakeEmbedder) -> None:
    write(wiki / "a.txt", passages("apple", "pear", "plum"))
    write(wiki / "b.txt", passages("grape"))
    source = await keeper.folder(wiki)
    await keeper.done(source)
    before = len(embedder.calls)
    write(wiki / "a.txt", passages("apple", "kiwi", "plum"), age=30)
    result = await keeper.done(source)
    assert (chunks(result), items(result)) == ((1, 0, 2, 1), {"listed": 2, "fetched": 1, "claimed": 1, "unchanged": 1})
    embedded = [text for call in embedder.calls[before:] for text in call]
    assert [text.split()[0] for text in embedded] == ["kiwi"]
    await keeper.talk.holds_together()


async def test_a_renamed_file_takes_its_old_self_along_and_is_not_embedded(
    keeper: Keeper, wiki: Path, embedder: FakeEmbedder
) -> None:
    write(wiki / "old.txt", passages("apple"))
    write(wiki / "other.txt", passages("pear"))
    source = await keeper.folder(wiki)
    await keeper.done(source)
    (wiki / "old.txt").rename(wiki / "new.txt")
    calls = len(embedder.calls)
    result = await keeper.done(source)
    assert (len(embedder.calls), result["numEmbedded"]) == (calls, 0)
    assert items(result) == {"listed": 2, "fetched": 1, "claimed": 1, "unchanged": 1, "left": 1}
    assert await keeper.names() == ["new.txt", "other.txt"]
    assert sorted(text.split()[0] for text in await keeper.talk.texts(keeper.store)) == ["apple", "pear"]
    await keeper.talk.holds_together()


async def test_a_deleted_file_leaves_unless_it_may_not(keeper: Keeper, wiki: Path) -> None:
    for name in ("a.txt", "b.txt"):
        write(wiki / name, passages(name))
    source = await keeper.folder(wiki, deleteMissing=False)
    await keeper.done(source)
    (wiki / "a.txt").unlink()
    assert items(await keeper.done(source)) == {"listed": 1, "unchanged": 1}
    assert await keeper.names() == ["a.txt", "b.txt"]
    changed = await keeper.talk.client.put(f"{API}/sources/{source}", json={"deleteMissing": True})
    assert changed.json()["deleteMissing"] is True
    result = await keeper.done(source)
    assert (items(result), chunks(result)) == ({"listed": 1, "unchanged": 1, "left": 1}, (0, 0, 0, 1))
    assert await keeper.names() == ["b.txt"]
    await keeper.talk.holds_together()


async def test_an_empty_listing_deletes_nothing_unless_forced(keeper: Keeper, wiki: Path) -> None:
    write(wiki / "a.txt", passages("apple"))
    source = await keeper.folder(wiki)
    await keeper.done(source)
    (wiki / "a.txt").unlink()
    assert items(await keeper.done(source)) == {"keptForSafety": 1}
    assert await keeper.names() == ["a.txt"]
    assert items(await keeper.done(source, force=True)) == {"left": 1}
    assert await keeper.names() == []
    write(wiki / "b.txt", passages("pear"))
    assert chunks(await keeper.done(source)) == (1, 0, 0, 0)  # the loader is still there
    await keeper.talk.holds_together()


async def test_a_folder_that_cannot_be_read_fails_the_run_and_deletes_nothing(keeper: Keeper, wiki: Path) -> None:
    write(wiki / "a.txt", passages("apple"))
    source = await keeper.folder(wiki)
    await keeper.done(source)
    wiki.rename(wiki.with_name("away"))
    job = await keeper.run(source, force=True)
    assert (job["state"], job["error"]["code"], job["error"]["status"]) == ("failed", "unreadable_folder", 422)
    assert await keeper.names() == ["a.txt"]
    shown = await keeper.read(source)
    assert (shown["lastRun"]["state"], shown["lastRun"]["error"]["code"]) == ("failed", "unreadable_folder")
    await keeper.talk.holds_together()


async def test_a_file_that_cannot_be_read_fails_alone_and_is_tried_again(keeper: Keeper, wiki: Path) -> None:
    write(wiki / "good.txt", passages("apple"))
    write(wiki / "bad.pdf", "%PDF-1.7 this is none")
    source = await keeper.folder(wiki)
    for _ in range(2):
        result = await keeper.done(source)
        assert [(failed["name"], failed["code"]) for failed in result["failed"]] == [("bad.pdf", "corrupt")]
    (wiki / "good.txt").unlink()
    result = await keeper.done(source)  # also when nothing else came
    assert items(result) == {"listed": 1, "claimed": 1, "left": 1}
    write(wiki / "bad.pdf", passages("pear"), age=30)
    await keeper.done(source)
    await keeper.talk.holds_together()


async def test_another_splitter_cuts_what_is_held_without_fetching(keeper: Keeper, wiki: Path) -> None:
    write(wiki / "a.txt", passages("apple", "pear"))
    source = await keeper.folder(wiki)
    await keeper.done(source)
    body = {"splitter": {"name": "recursiveCharacterTextSplitter", "config": {"chunkSize": 200, "chunkOverlap": 0}}}
    assert (await keeper.talk.client.put(f"{API}/sources/{source}", json=body)).status_code == 200
    result = await keeper.done(source)
    assert items(result) == {"listed": 1, "claimed": 1}
    assert result["numAdded"] > 2
    await keeper.talk.holds_together()


async def test_a_removed_source_leaves_its_documents(keeper: Keeper, wiki: Path) -> None:
    write(wiki / "a.txt", passages("apple"))
    source = await keeper.folder(wiki)
    await keeper.done(source)
    assert (await keeper.talk.client.delete(f"{API}/sources/{source}")).json() == {"deleted": 1}
    assert (await keeper.talk.client.get(f"{API}/sources/{source}")).status_code == 404
    assert await keeper.names() == ["a.txt"]
    await keeper.talk.holds_together()


async def test_two_sources_share_what_both_list(keeper: Keeper, wiki: Path) -> None:
    write(wiki / "deep" / "a.txt", passages("apple"))
    write(wiki / "b.txt", passages("pear"))
    whole, part = await keeper.folder(wiki), await keeper.folder(wiki / "deep")
    await keeper.done(whole)
    shared = await keeper.done(part)
    assert (await keeper.names(), shared["numAdded"]) == (["b.txt", "deep/a.txt"], 0)
    await keeper.done(whole)
    (wiki / "deep" / "a.txt").unlink()
    write(wiki / "deep" / "c.txt", passages("plum"))
    await keeper.done(part)
    await keeper.done(whole)
    assert min(await keeper.talk.texts(keeper.store)).startswith("pear")
    await keeper.talk.holds_together()


async def test_a_deleted_document_store_takes_its_sources_along(
    keeper: Keeper, wiki: Path, resources: Resources, worker: Runner
) -> None:
    write(wiki / "a.txt", passages("apple"))
    source = await keeper.folder(wiki, schedule={"every": "1m"})
    await keeper.done(source)
    await keeper.talk.client.delete(f"{API}/store/{keeper.store}")
    assert (await keeper.talk.client.get(f"{API}/sources/{source}")).status_code == 404
    assert (await keeper.talk.client.post(f"{API}/sources/{source}/run")).status_code == 404
    await keeper.talk.holds_together()
    assert await keeper.talk.rows("SELECT id FROM sync_sources") == []
    assert [key async for key in resources.blobs.keys()] == []  # noqa: SIM118
