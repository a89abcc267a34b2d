"""Every kind of write to a document store: what is there before, and the call itself, which may be repeated."""

import io
import json
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from service.document_stores import service
from service.document_stores.archive.service import draft, stream
from service.document_stores.check.repair import repair
from service.document_stores.collections.records import add as add_collection
from service.document_stores.types import Component, Upload, Upsert
from service.jobs import service as jobs
from stores.vector.base import Capability, Point
from tests.reliability.bench import ASYNC, Bench, Json, embedding
from tests.service.document_stores.loading.form import loader, text_files
from tests.service.document_stores.talk import API, PASSAGES, passages
from tests.service.flow_upserts.flows import fake, filled
from tests.service.flow_upserts.flows import loader as node

Step = Callable[[Bench], Awaitable[None]]


@dataclass(frozen=True)
class Write:
    """`prepare` makes what is there before, and is not disturbed; `act` is the write, which a process may die of.

    `repeats`: doing it once more after it took effect changes nothing that callers see."""

    name: str
    prepare: Step
    act: Step
    repeats: bool = True
    whole: bool = True
    """It takes effect as a whole or not at all; otherwise as far as it got, and it is finished by repeating it."""
    ends: bool = True
    """Repeating it leads to the end that an undisturbed one has."""


async def the_store(bench: Bench) -> str:
    """The one document store."""
    (store,) = await bench.call("GET", f"{API}/store")
    return str(store["id"])


async def the_loaders(bench: Bench) -> dict[str, str]:
    """The loader of each document."""
    rows = await bench.talk.rows("SELECT name, loader_id FROM documents ORDER BY name")
    return {row["name"]: str(row["loader_id"]) for row in rows}


async def a_chunk(bench: Bench, word: str) -> Json | None:
    """The chunk that begins with a word."""
    page = await bench.talk.chunks(await the_store(bench))
    return next((dict(chunk) for chunk in page["chunks"] if chunk["pageContent"].startswith(word)), None)


async def two_documents(bench: Bench) -> None:
    """A document store with two documents of two loaders."""
    store = await bench.talk.store()
    await bench.talk.start(store, ("a.txt", passages("Alpha", "Beta", "Gamma")))
    await bench.talk.start(store, ("b.txt", passages("Delta")))
    await bench.drain()


async def staged(bench: Bench) -> None:
    """A document store without vectors, with one document that is cut into chunks."""
    store = await bench.talk.store()
    asked = Upsert(chunk_only=True, splitter=Component(PASSAGES["name"], PASSAGES["config"]))
    files = [Upload("a.txt", io.BytesIO(passages("Alpha", "Beta", "Gamma").encode()))]
    await service.upsert(bench.resources, bench.talk.workspace, UUID(store), asked, files)
    await bench.drain()


async def nothing(bench: Bench) -> None:
    """An empty document store."""
    await bench.talk.store()


# The writes


async def upsert_files(bench: Bench) -> None:
    """A document that changed, one that is new, one that cannot be read."""
    files = (("a.txt", passages("Alpha", "Epsilon")), ("c.txt", passages("Zeta")), ("empty.txt", " "))
    await bench.talk.start(await the_store(bench), *files, metadata={"by": "hand"})
    await bench.drain()


async def upsert_chunks(bench: Bench) -> None:
    """Own chunks, with a vector and without."""
    chunks: list[Json] = [{"pageContent": "Own one stands here.", "vector": [0.5] * 16}]
    chunks += [{"pageContent": "Own two stands here.", "metadata": {"by": "hand"}}]
    body = {"chunks": chunks, "source": "own"}
    await bench.call("POST", f"{API}/upsert/{await the_store(bench)}", 202, json=body, headers=ASYNC)
    await bench.drain()


async def replace_loader(bench: Bench) -> None:
    """The files of a loader give way to another one."""
    found = await the_loaders(bench)
    doc_id = found.get("a.txt") or found["c.txt"]
    store = await the_store(bench)
    await bench.talk.start(store, ("c.txt", passages("Zeta", "Alpha")), docId=doc_id, replaceExisting="true")
    await bench.drain()


async def save_and_process(bench: Bench) -> None:
    """A loader of a form: saved, then processed."""
    store = await the_store(bench)
    rows = await bench.talk.rows(
        "SELECT id FROM loaders WHERE store_id = %s AND id NOT IN"
        " (SELECT loader_id FROM documents WHERE name IN ('a.txt', 'b.txt'))",
        UUID(store),
    )
    form = loader(config=text_files(("c.txt", passages("Eta", "Theta"))), storeId=store)
    if rows:
        form["id"] = str(rows[0]["id"])
    saved = await bench.call("POST", f"{API}/loader/save", json=form)
    body = {**form, "id": saved["id"], "loaderConfig": saved["loaderConfig"]}
    await bench.call("POST", f"{API}/loader/process/{saved['id']}", 202, json=body, headers=ASYNC)
    await bench.drain()


async def insert(bench: Bench) -> None:
    """Chunks get their first vectors."""
    body = {"storeId": await the_store(bench), **embedding()}
    await bench.call("POST", f"{API}/vectorstore/insert", 202, json=body, headers=ASYNC)
    await bench.drain()


async def edit(bench: Bench) -> None:
    """A chunk gets another text, another one other metadata."""
    store = await the_store(bench)
    for word, text in (("Beta", "Iota stands here."), ("Gamma", None)):
        if chunk := await a_chunk(bench, word):
            path = f"{API}/chunks/{store}/{chunk['docId']}/{chunk['id']}"
            body = {"pageContent": text or chunk["pageContent"], "metadata": {"by": "hand"}}
            await bench.call("PUT", path, json=body)


async def delete_chunk(bench: Bench) -> None:
    """A chunk goes."""
    if chunk := await a_chunk(bench, "Beta"):
        await bench.call("DELETE", f"{API}/chunks/{await the_store(bench)}/{chunk['docId']}/{chunk['id']}")


async def delete_document(bench: Bench) -> None:
    """A document goes, and its file."""
    store = await the_store(bench)
    for row in await bench.talk.rows("SELECT id FROM documents WHERE name = 'a.txt'"):
        await bench.call("DELETE", f"{API}/documents/{store}/{row['id']}")
    await bench.drain()


async def delete_loader(bench: Bench) -> None:
    """A loader goes with all it brought."""
    if doc_id := (await the_loaders(bench)).get("a.txt"):
        await bench.call("DELETE", f"{API}/loader/{await the_store(bench)}/{doc_id}")
    await bench.drain()


async def delete_store(bench: Bench) -> None:
    """A document store goes."""
    for store in await bench.call("GET", f"{API}/store"):
        await bench.call("DELETE", f"{API}/store/{store['id']}")
    await bench.drain()


async def remove_vectors(bench: Bench) -> None:
    """All vectors go, the chunks stay."""
    await bench.client.delete(f"{API}/vectorstore/{await the_store(bench)}")
    await bench.drain()


async def remove_a_loaders_vectors(bench: Bench) -> None:
    """The vectors of one loader go."""
    doc_id = (await the_loaders(bench))["a.txt"]
    await bench.client.delete(f"{API}/vectorstore/{await the_store(bench)}", params={"docId": doc_id})
    await bench.drain()


async def reindex(bench: Bench) -> None:
    """Another embedding."""
    store = await the_store(bench)
    open_ones = await bench.talk.rows("SELECT id FROM jobs WHERE kind = 'reindex' AND state IN ('queued', 'running')")
    if not open_ones:
        body = {"storeId": store, **embedding(24)}
        await bench.call("POST", f"{API}/vectorstore/reindex", 202, json=body)
    await bench.drain()


async def moved_away(bench: Bench) -> None:
    """A document store with edited chunks whose vectors are in a server of its own."""
    await edited(bench)
    await move_away(bench)


async def move_away(bench: Bench) -> None:
    """The vectors go to a server of their own."""
    await _move(bench, "chroma", {"chromaURL": "http://chroma.example"})


async def move_home(bench: Bench) -> None:
    """The vectors come back."""
    await _move(bench, "pgvector", {})


async def _move(bench: Bench, name: str, config: Json) -> None:
    open_ones = await bench.talk.rows("SELECT id FROM jobs WHERE kind = 'reindex' AND state IN ('queued', 'running')")
    if not open_ones:
        body = {"storeId": await the_store(bench), "vectorStoreName": name, "vectorStoreConfig": config}
        await bench.call("POST", f"{API}/vectorstore/reindex", 202, json=body)
    await bench.drain()


async def an_archive(bench: Bench) -> None:
    """An archive of a document store that is gone."""
    await two_documents(bench)
    store = await the_store(bench)
    made = await draft(bench.resources, bench.talk.workspace, UUID(store), vectors=True, blobs=True)
    (bench.folder / "store.tar").write_bytes(b"".join([piece async for piece in stream(bench.resources, made)]))
    await bench.call("DELETE", f"{API}/store/{store}")
    await bench.drain()


async def take_in(bench: Bench) -> None:
    """A document store out of an archive."""
    archive = (bench.folder / "store.tar").read_bytes()
    await bench.call("POST", f"{API}/import", 202, content=archive, headers=ASYNC)
    await bench.drain()


async def a_source(bench: Bench) -> None:
    """A folder that was followed once, and has changed."""
    wiki = bench.folder / "wiki"
    shutil.rmtree(wiki, ignore_errors=True)
    wiki.mkdir()
    store = await bench.talk.store()
    (wiki / "a.txt").write_text(passages("Alpha", "Beta"))
    (wiki / "b.txt").write_text(passages("Gamma"))
    body = {"connector": "folderFiles", "config": {"folderPath": str(wiki)}, "splitter": PASSAGES}
    made = await bench.call("POST", f"{API}/store/{store}/sources", json=body)
    await bench.call("POST", f"{API}/sources/{made['id']}/run", 202, json={})
    await bench.drain()
    (wiki / "a.txt").write_text(passages("Alpha", "Epsilon and more"))
    (wiki / "b.txt").unlink()
    (wiki / "c.txt").write_text(passages("Zeta"))


async def run_source(bench: Bench) -> None:
    """A run over a folder."""
    (source,) = await bench.call("GET", f"{API}/store/{await the_store(bench)}/sources")
    await bench.call("POST", f"{API}/sources/{source['id']}/run", 202, json={})
    await bench.drain()


async def a_flow(bench: Bench) -> None:
    """A chatflow with a vector store, which has been filled once."""
    body = {"name": "Flow", "type": "CHATFLOW", "flowData": _graph("Leave stands here, thirty days of it.")}
    bench.flow = (await bench.call("POST", "/api/v1/chatflows", json=body))["id"]
    await upsert_flow(bench)
    changed = {"flowData": _graph("Leave stands here, thirty-one days of it.")}
    await bench.call("PUT", f"/api/v1/chatflows/{bench.flow}", json=changed)


def _graph(text: str) -> str:
    return filled(node("plainText", text=text), embedding=fake())


async def upsert_flow(bench: Bench) -> None:
    """What a chatflow's graph holds is brought into its vector store."""
    await bench.call("POST", f"/api/v1/vector/upsert/{bench.flow}", 202, json={}, headers=ASYNC)
    await bench.drain()


async def a_flow_that_takes_files(bench: Bench) -> None:
    """A chatflow whose conversations may bring files."""
    config = json.dumps({"fullFileUpload": {"status": True, "allowedUploadFileTypes": "text/plain"}})
    body = {"name": "Flow", "type": "CHATFLOW", "flowData": '{"nodes":[],"edges":[]}', "chatbotConfig": config}
    bench.flow = (await bench.call("POST", "/api/v1/chatflows", json=body))["id"]


async def attach(bench: Bench) -> None:
    """Two files of a conversation."""
    files = [("files", (name, f"{name} stands here.".encode(), "text/plain")) for name in ("a.txt", "b.txt")]
    await bench.call("POST", f"/api/v1/attachments/{bench.flow}/c1", files=files)


async def delete_flow(bench: Bench) -> None:
    """A chatflow goes, with the files and the document stores that it owns."""
    for flow in await bench.call("GET", "/api/v1/chatflows"):
        await bench.call("DELETE", f"/api/v1/chatflows/{flow['id']}")
    await bench.drain()


async def a_flow_with_files(bench: Bench) -> None:
    """A chatflow with a filled vector store and files of a conversation."""
    await a_flow_that_takes_files(bench)
    await attach(bench)
    await bench.call("PUT", f"/api/v1/chatflows/{bench.flow}", json={"flowData": _graph("Leave stands here.")})
    await upsert_flow(bench)


async def damage(bench: Bench) -> None:
    """A document store whose indexes lost some and have too much."""
    await two_documents(bench)
    resources, store = bench.resources, UUID(await the_store(bench))
    (row,) = await bench.talk.rows("SELECT collection FROM document_stores")
    collection = row["collection"]
    ids = await resources.vectors.ids(collection)
    await resources.vectors.delete(collection, ids[:2])
    await resources.vectors.upsert(collection, [Point("zzz-nobody", [1.0] + [0.0] * 15)])
    async with resources.database.write(bench.talk.workspace) as scope:
        await resources.lexical.remove(scope, store, [int(ids[-1])])
        await resources.lexical.add(scope, store, ["words of nobody"])
        leftover = await add_collection(scope, store, building=True)
        vectors = resources.vectors
        if Capability.TRANSACTION in vectors.capabilities:
            vectors = vectors.within(scope.connection)
        await vectors.create(leftover, 16)
    await bench.talk.rows("UPDATE documents SET chunks = 17 WHERE name = 'b.txt' RETURNING id")


async def mend(bench: Bench) -> None:
    """`ragstone doctor --fix`."""
    async for line in repair(bench.resources):
        assert "not mended" not in line


async def an_upsert_under_way(bench: Bench) -> None:
    """An upsert whose worker died after its first batch."""
    await two_documents(bench)
    job = await bench.talk.start(await the_store(bench), ("a.txt", passages("Alpha", *(f"Word{n}" for n in range(70)))))
    for step in range(1, 10):
        bench.faults.arm(step)
        assert await bench.dies(bench.drain)
        if await bench.talk.rows("SELECT 1 AS one FROM chunks WHERE NOT live"):
            break
    assert (await bench.client.get(job)).json()["state"] == "running"


async def cancel(bench: Bench) -> None:
    """An upsert is cancelled, and what it did until then is undone."""
    for row in await bench.talk.rows("SELECT id FROM jobs WHERE kind = 'ingest' AND state IN ('queued', 'running')"):
        await bench.call("DELETE", f"/api/v1/jobs/{row['id']}")
    await bench.drain()


async def many_removed(bench: Bench) -> None:
    """A document store whose keyword index remembers what is gone."""
    await two_documents(bench)
    await delete_document(bench)


async def compact(bench: Bench) -> None:
    """The keyword index forgets it."""
    store = UUID(await the_store(bench))
    async with bench.resources.database.write(bench.talk.workspace) as scope:
        payload: dict[str, Any] = {"storeId": str(store)}
        await jobs.submit(scope, bench.resources.queue, "compact", store_id=store, payload=payload)
    await bench.drain()


async def full_cleanup(bench: Bench) -> None:
    """An upsert under a record manager that keeps nothing else."""
    manager = {"name": "postgresRecordManager", "config": {"cleanup": "full"}}
    await bench.talk.start(await the_store(bench), ("c.txt", passages("Zeta", "Alpha")), recordManager=manager)
    await bench.drain()


async def refresh(bench: Bench) -> None:
    """Every loader is made anew; an edit goes."""
    await bench.call("POST", f"{API}/refresh/{await the_store(bench)}", 202, json={}, headers=ASYNC)
    await bench.drain()


async def edited(bench: Bench) -> None:
    """A document store with edited chunks."""
    await two_documents(bench)
    await edit(bench)


WRITES = [
    Write("upsert of files", two_documents, upsert_files),
    Write("upsert of own chunks", two_documents, upsert_chunks),
    Write("upsert that replaces a loader's files", two_documents, replace_loader),
    Write("upsert with full cleanup", two_documents, full_cleanup),
    Write("loader saved and processed, without vectors", nothing, save_and_process, whole=False),
    Write("loader saved and processed, with vectors", two_documents, save_and_process, whole=False),
    Write("refresh", edited, refresh, whole=False),
    Write("insert", staged, insert),
    Write("edit of chunks", two_documents, edit, whole=False),
    Write("delete of a chunk", two_documents, delete_chunk),
    Write("delete of a document", two_documents, delete_document),
    Write("delete of a loader", two_documents, delete_loader),
    Write("delete of a document store", two_documents, delete_store),
    Write("removal of all vectors", two_documents, remove_vectors),
    Write("removal of a loader's vectors", two_documents, remove_a_loaders_vectors),
    Write("re-index", edited, reindex),
    Write("re-index into a server", edited, move_away),
    Write("re-index out of a server", moved_away, move_home),
    Write("upsert of files into a server", moved_away, upsert_files),
    Write("delete of a document store in a server", moved_away, delete_store),
    Write("import of an archive", an_archive, take_in, repeats=False),
    Write("run of a sync source", a_source, run_source),
    Write("upsert of a chatflow", a_flow, upsert_flow),
    Write("files of a conversation", a_flow_that_takes_files, attach, repeats=False),
    Write("delete of a chatflow", a_flow_with_files, delete_flow, whole=False),
    Write("doctor --fix", damage, mend, whole=False),
    Write("cancellation", an_upsert_under_way, cancel, whole=False, ends=False),
    Write("compaction", many_removed, compact),
]
