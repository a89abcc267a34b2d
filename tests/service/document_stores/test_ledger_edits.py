"""Random uploads of files and own chunks, edits, deletions, inserts, removals of vectors, re-indexes and moves by
archive, with crashes and pauses at every commit, against a model."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest

from service.document_stores import service
from service.document_stores.archive.service import draft, stream, take_in
from service.document_stores.check.repair import sweep
from service.document_stores.deleting import service as deleting
from service.document_stores.editing import service as editing
from service.document_stores.indexing import service as indexing
from service.document_stores.types import Component, StoreRow, Upload, Upsert
from service.jobs import service as jobs
from service.jobs.types import Job
from service.worker.runner import Runner
from tests.service.document_stores.talk import API, FAKE, PASSAGES, Talk, passages
from tests.service.document_stores.test_ledger import TOPICS, Crash, Crasher


@dataclass
class Piece:
    """A chunk as it should be."""

    word: str
    indexed: bool


@dataclass
class Paper:
    """A document as it should be: what was uploaded, what is listed of it, and whether somebody edited that."""

    topics: list[str]
    pieces: list[Piece] = field(default_factory=list)
    edited: bool = False

    def make(self, *, indexed: bool) -> None:
        """Make its chunks from what was uploaded."""
        self.pieces = [Piece(topic, indexed) for topic in self.topics]
        self.edited = False


class Shelves:
    """A document store and its model."""

    def __init__(self, talk: Talk, crasher: Crasher, chance: random.Random, row: StoreRow) -> None:
        self.talk, self.crasher, self.chance, self.row = talk, crasher, chance, row
        self.papers: dict[str, Paper] = {}
        self.loaders: dict[str, UUID] = {}
        self.space = False
        self.names = 0
        self.runner = Runner(talk.resources)

    async def step(self) -> None:
        """Do something, and compare."""
        acts: list[Callable[[], Awaitable[None]]] = [self.upload, self.upload]
        acts += [self.own, self.reindex, self.move]
        if self.papers:
            acts += [self.remake, self.insert, self.unindex, self.drop]
        if any(paper.pieces for paper in self.papers.values()):
            acts += [self.edit, self.edit, self.drop_chunk]
        await self.chance.choice(acts)()
        await self.compare()

    async def upload(self) -> None:
        """New files, only chunked or indexed too; or known ones, with the same or another content."""
        staged = self.chance.random() < 0.5
        files = sorted(name for name in self.papers if not name.startswith("own"))
        known = [] if staged else self.chance.sample(files, min(len(files), 2))
        sent = {name: self.papers[name].topics for name in known if self.chance.random() < 0.5}
        for name in set(known) - set(sent) or {self.new_name()}:
            sent[name] = self.chance.choices(TOPICS, k=self.chance.choice((1, 3, 70)))
        asked = Upsert(chunk_only=staged, splitter=Component(PASSAGES["name"], PASSAGES["config"]))
        uploads = [Upload(name, BytesIO(passages(*topics).encode())) for name, topics in sent.items()]
        await self.run(await service.upsert(self.talk.resources, self.talk.workspace, self.row.id, asked, uploads))
        self.space = self.space or not staged
        for name, topics in sent.items():
            paper = self.papers.get(name)
            if paper is None or paper.topics != topics:
                paper = self.papers[name] = Paper(topics)
                paper.make(indexed=False)
            for piece in paper.pieces:
                piece.indexed = self.space

    async def own(self) -> None:
        """Chunks in place of files: a new source, or a known one with the same or other chunks."""
        known = sorted(name for name in self.papers if name.startswith("own"))
        name = self.chance.choice(known) if known and self.chance.random() < 0.6 else f"own{self.new_name()}"
        paper = self.papers.get(name)
        topics = paper.topics if paper and self.chance.random() < 0.4 else self.chance.choices(TOPICS, k=3)
        body = {"chunks": [{"pageContent": f"{topic} stands here."} for topic in topics], "source": name}
        await self.run(await self.accepted("upsert/" + str(self.row.id), body))
        self.space = True
        if paper is None or paper.topics != topics:
            paper = self.papers[name] = Paper(topics)
            paper.make(indexed=True)
        for piece in paper.pieces:
            piece.indexed = True

    async def reindex(self) -> None:
        """Another embedding: searched or not, every chunk is what it was."""
        config = {"dimension": self.chance.choice((16, 24, 40))}
        body = {"storeId": str(self.row.id), "embeddingName": FAKE["name"], "embeddingConfig": config}
        await self.run(await self.accepted("vectorstore/reindex", body))

    async def move(self) -> None:
        """Out into an archive, with vectors or without, and in again as another document store; the old one goes. What
        was indexed is so again, the rest stays as it was."""
        resources, workspace = self.talk.resources, self.talk.workspace
        vectors = self.chance.random() < 0.7
        made = await draft(resources, workspace, self.row.id, vectors=vectors, blobs=True)
        archive = b"".join([piece async for piece in stream(resources, made)])
        job = await take_in(resources, workspace, BytesIO(archive), None)
        result = (await self.run(job)).result or {}
        await service.delete(resources, workspace, self.row.id)
        self.row = await service.get(resources, workspace, UUID(result["storeId"]))
        if not vectors:
            self.space = any(piece.indexed for paper in self.papers.values() for piece in paper.pieces)

    async def accepted(self, path: str, body: dict[str, Any]) -> Job:
        """The job of a call that nobody waits for."""
        headers = {"Prefer": "respond-async"}
        answer = await self.talk.client.post(f"{API}/{path}", json=body, headers=headers)
        assert answer.status_code == 202, answer.text
        return await jobs.get(self.talk.resources.database, self.talk.workspace, UUID(answer.json()["id"]))

    def new_name(self) -> str:
        self.names += 1
        return f"{self.names}.txt"

    async def remake(self) -> None:
        """Process a loader again."""
        loader = self.a_loader()
        staged = self.chance.random() < 0.5
        asked = Upsert(doc_id=loader, replace_existing=True, chunk_only=staged)
        await self.run(await service.upsert(self.talk.resources, self.talk.workspace, self.row.id, asked, []))
        self.space = self.space or not staged
        for name in self.of(loader):
            self.papers[name].make(indexed=self.space)

    async def insert(self) -> None:
        """Index what is not, of the store or of a loader; the call may be made twice."""
        loader = self.a_loader() if self.chance.random() < 0.4 else None
        names = self.of(loader)
        wanted = sum(not piece.indexed for name in names for piece in self.papers[name].pieces)
        job = await indexing.insert(self.talk.resources, self.talk.workspace, self.row.id, {}, loader)
        result = (await self.run(job)).result or {}
        assert result["numAdded"] == wanted
        assert result["numAdded"] + result["numSkipped"] == sum(len(self.papers[name].pieces) for name in names)
        self.space = True
        for name in names:
            for piece in self.papers[name].pieces:
                piece.indexed = True

    async def unindex(self) -> None:
        """Take vectors away."""
        loader = self.a_loader() if self.chance.random() < 0.6 else None
        resources, workspace = self.talk.resources, self.talk.workspace
        if await self.survives(indexing.remove_vectors(resources, workspace, self.row.id, loader)):
            self.space = self.space and loader is not None
            for name in self.of(loader):
                for piece in self.papers[name].pieces:
                    piece.indexed = False

    async def edit(self) -> None:
        """Give a chunk another text."""
        name, place, chunk = await self.a_chunk()
        word = f"edit{self.chance.randrange(10**6)}"
        resources, workspace = self.talk.resources, self.talk.workspace
        call = editing.edit_chunk(
            resources, workspace, self.row.id, self.loaders[name], chunk, f"{word} stands here.", {"by": "hand"}
        )
        if await self.survives(call):
            self.papers[name].pieces[place].word = word
            self.papers[name].edited = True

    async def drop_chunk(self) -> None:
        """Delete a chunk."""
        name, place, chunk = await self.a_chunk()
        call = editing.delete_chunk(self.talk.resources, self.talk.workspace, self.row.id, self.loaders[name], chunk)
        if await self.survives(call):
            del self.papers[name].pieces[place]
            self.papers[name].edited = True

    async def drop(self) -> None:
        """Delete a document or a loader."""
        name = self.chance.choice(sorted(self.papers))
        if self.chance.random() < 0.5:
            await self.drop_document(name)
            return
        loader = self.loaders[name]
        call = deleting.delete_loader(self.talk.resources, self.talk.workspace, self.row.id, loader)
        if await self.survives(call):
            for name in self.of(loader):
                del self.papers[name]

    async def drop_document(self, name: str) -> None:
        (row,) = await self.talk.rows("SELECT id FROM documents WHERE name = %s AND store_id = %s", name, self.row.id)
        call = deleting.delete_document(self.talk.resources, self.talk.workspace, self.row.id, row["id"])
        if await self.survives(call):
            del self.papers[name]

    # Choosing, running, crashing

    def a_loader(self) -> UUID:
        return self.chance.choice(sorted(set(self.loaders.values())))

    def of(self, loader: UUID | None) -> list[str]:
        return [name for name in self.papers if loader is None or self.loaders[name] == loader]

    async def a_chunk(self) -> tuple[str, int, UUID]:
        name = self.chance.choice(sorted(name for name, paper in self.papers.items() if paper.pieces))
        rows = await self.talk.rows(
            "SELECT c.id FROM chunks c JOIN documents d ON d.id = c.document_id WHERE d.name = %s AND d.store_id = %s"
            " ORDER BY c.position",
            name,
            self.row.id,
        )
        place = self.chance.randrange(len(rows))
        return name, place, rows[place]["id"]

    async def survives(self, call: Awaitable[None]) -> bool:
        """Make a call of one transaction, at times with a crash around its commit; says whether it took effect."""
        self.crasher.left = 0 if self.chance.random() < 0.3 else None
        self.crasher.after = self.chance.random() < 0.5
        try:
            await call
        except Crash:
            return self.crasher.after
        finally:
            self.crasher.left = None
        return True

    async def run(self, job: Job) -> Job:
        """Run a job to its end over some crashes, and what follows it."""
        for _ in range(self.chance.choice((0, 0, 1, 2))):
            self.crasher.left = self.chance.randint(0, 5)
            self.crasher.after = self.chance.random() < 0.5
            try:
                await self.runner._run(str(job.id))
            except Crash:
                self.crasher.left = None
                await self.pause(job)
                continue
            break
        self.crasher.left = None
        await self.runner._run(str(job.id))
        async with self.talk.resources.database.connection() as connection:
            ended = await jobs.find(connection, job.id)
        assert ended is not None
        assert ended.state == "done", ended.error
        return ended

    async def pause(self, job: Job) -> None:
        """At times: the job waits until it is told to go on, whoever is given it meanwhile."""
        resources, workspace = self.talk.resources, self.talk.workspace
        if self.chance.random() < 0.3 and (await jobs.get(resources.database, workspace, job.id)).state == "running":
            await jobs.pause(resources.database, workspace, job.id)
            await self.runner._run(str(job.id))
            await jobs.resume(resources.database, resources.queue, workspace, job.id)

    async def compare(self) -> None:
        """The ledger and both indexes hold what the model does."""
        talk = self.talk
        while waiting := await talk.rows("SELECT id FROM jobs WHERE state IN ('queued', 'running')"):
            for row in waiting:
                await self.runner._run(str(row["id"]))
        await sweep(talk.resources, 0)  # a death may leave a file that no row names yet
        await talk.holds_together()
        held: dict[str, list[tuple[str, bool]]] = {name: [] for name in self.papers}
        self.loaders = {}
        for row in await talk.rows(
            "SELECT d.name, d.loader_id, d.chunks, d.edited, c.text, c.number FROM documents d"
            " LEFT JOIN chunks c ON c.document_id = d.id WHERE d.store_id = %s ORDER BY d.name, c.position",
            self.row.id,
        ):
            if row["text"] is not None:  # every chunk of it may have been deleted
                held[row["name"]].append((row["text"].split()[0], row["number"] is not None))
            self.loaders[row["name"]] = row["loader_id"]
            assert row["edited"] == self.papers[row["name"]].edited
            assert row["chunks"] == len(self.papers[row["name"]].pieces)
        assert held == {
            name: [(piece.word, piece.indexed) for piece in paper.pieces] for name, paper in self.papers.items()
        }
        (store,) = await talk.rows("SELECT collection FROM document_stores WHERE id = %s", self.row.id)
        assert (store["collection"] is not None) == self.space

    async def finds_exactly(self) -> None:
        """By words, every indexed chunk that has them, and no other; by nearness, as many as there are."""
        talk = self.talk
        pieces = [piece for paper in self.papers.values() for piece in paper.pieces if piece.indexed]
        async with talk.resources.database.read(talk.workspace) as scope:
            for word in {*TOPICS, *(piece.word for piece in pieces)}:
                hits = await talk.resources.lexical.search(scope, self.row.id, word, 100_000)
                assert len(hits.numbers) == sum(piece.word == word for piece in pieces), word
        found = await service.search(talk.resources, talk.workspace, self.row.id, "stands here", k=1000)
        assert len(found) == min(len(pieces), 1000)


@pytest.mark.parametrize("steps", [40, pytest.param(600, marks=[pytest.mark.bench, pytest.mark.timeout(900)])])
async def test_whatever_is_edited_the_ledger_is_the_model(
    talk: Talk, monkeypatch: pytest.MonkeyPatch, steps: int, seed: int
) -> None:
    configs = {"embedding": Component(FAKE["name"], FAKE["config"])}
    row = await service.create(talk.resources, talk.workspace, "North", None, configs)
    shelves = Shelves(talk, Crasher(talk.resources, monkeypatch), random.Random(seed), row)
    try:
        for _ in range(steps):
            await shelves.step()
        await shelves.finds_exactly()
    except BaseException as error:
        error.add_note(f"seed {seed}")
        raise
