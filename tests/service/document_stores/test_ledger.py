"""Random uploads, changes, replacements and cancellations with crashes at every commit, against a model."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from uuid import UUID

import pytest

from service.document_stores import service
from service.document_stores.ledger.chunks import records as chunk_rows
from service.document_stores.types import Component, StoreRow, Upload, Upsert
from service.jobs import service as jobs
from service.jobs.types import Job, JobState
from service.resources import Resources
from service.viewers import EVERYTHING
from service.worker.runner import Runner
from stores.records.database import Scope
from tests.service.document_stores.talk import FAKE, PASSAGES, Talk, passages

TOPICS = ["harbour", "lantern", "mirror", "pebble", "quartz", "ribbon", "saddle", "timber", "walnut", "zipper"]
NAMES = [f"{number}.txt" for number in range(5)]


class Crash(BaseException):
    """The process dies here: nothing is tidied up, nothing is noted."""


class Crasher:
    """Makes the writing transaction after next, or so, the last one: just before its commit or just after it."""

    def __init__(self, resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left: int | None = None
        self.after = False
        self._write = resources.database.write
        monkeypatch.setattr(resources.database, "write", self._guarded)

    @asynccontextmanager
    async def _guarded(self, workspace: UUID) -> AsyncIterator[Scope]:
        dies = False
        async with self._write(workspace) as scope:
            yield scope
            if self.left is not None:
                dies = self.left == 0
                self.left -= 1
            if dies and not self.after:
                raise Crash
        if dies:
            raise Crash


class Town:
    """A document store, and what must be in it: passages by file, files by loader."""

    def __init__(self, talk: Talk, crasher: Crasher, chance: random.Random, row: StoreRow) -> None:
        self.talk, self.crasher, self.chance, self.row = talk, crasher, chance, row
        self.files: dict[str, tuple[list[str], int]] = {}
        self.loaders: dict[str, UUID] = {}
        self.runner = Runner(talk.resources)

    async def upload(self) -> None:
        """Up to three files with new, changed or the same content, a mark in their metadata, at times replacing a
        loader; the job may crash some times, and at times it is cancelled or breaks for good in the middle."""
        chance, talk = self.chance, self.talk
        sent = {
            name: self.files[name][0]
            if name in self.files and chance.random() < 0.3
            else chance.choices(TOPICS, k=chance.choice((1, 3, 3, 100)))
            for name in chance.sample(NAMES, chance.randint(1, 3))
        }
        mark = chance.randint(1, 3)
        loader = chance.choice(list(self.loaders.values())) if self.loaders and chance.random() < 0.2 else None
        asked = Upsert(
            doc_id=loader,
            replace_existing=loader is not None,
            metadata={"mark": mark},
            splitter=Component(PASSAGES["name"], PASSAGES["config"]),
        )
        uploads = [Upload(name, BytesIO(passages(*topics).encode())) for name, topics in sent.items()]
        job = await service.upsert(talk.resources, talk.workspace, self.row.id, asked, uploads)
        ended = await self._run(job, given_up=chance.random() < 0.3)
        held = await self._held()
        if ended.state is not JobState.DONE:
            # cancelled: a file that was completed by then is what was sent, the others are what they were
            done = {name for name, topics in sent.items() if held.get(name, ([], 0)) == (topics, mark)}
            complete = done == set(sent)
            sent = {name: sent[name] for name in done}
        else:
            complete = True
            assert ended.result is not None
            assert ended.result["documents"] == len(sent)
            if all(self.files.get(name, ([], 0))[0] == topics for name, topics in sent.items()):
                assert ended.result["numAdded"] == 0
        if complete and (ended.state is JobState.DONE or len(held) < len({*self.files, *sent})):
            left = [name for name, owner in self.loaders.items() if owner == loader and name not in sent]
            for name in left:
                self.files.pop(name, None)
        self.files |= {name: (topics, mark) for name, topics in sent.items()}
        assert held == self.files
        if ended.state is JobState.DONE:
            assert (ended.result or {})["totalKeys"] == sum(len(topics) for topics, _ in self.files.values())
        rows = await talk.rows("SELECT name, loader_id FROM documents WHERE store_id = %s", self.row.id)
        self.loaders = {row["name"]: row["loader_id"] for row in rows}

    async def _run(self, job: Job, *, given_up: bool) -> Job:
        talk, chance = self.talk, self.chance
        crashes = chance.choice((0, 0, 1, 2, 3))
        for round_ in range(crashes + 1):
            self.crasher.left = chance.randint(0, 6) if round_ < crashes else None
            self.crasher.after = chance.random() < 0.5
            try:
                await self.runner._run(str(job.id))
            except Crash:
                if given_up and round_ == crashes - 1:
                    await jobs.cancel(talk.resources.database, talk.resources.queue, talk.workspace, job.id)
            else:
                break
        self.crasher.left = None
        await self.runner._run(str(job.id))
        while waiting := await talk.rows("SELECT id FROM jobs WHERE state IN ('queued', 'running')"):
            for row in waiting:  # the keyword index is compacted now and then
                await self.runner._run(str(row["id"]))
        await talk.holds_together()
        return await jobs.get(talk.resources.database, talk.workspace, job.id)

    async def _held(self) -> dict[str, tuple[list[str], int]]:
        """What is live: the topics of each file in order, and its mark."""
        held: dict[str, tuple[list[str], int]] = {}
        for row in await self.talk.rows(
            "SELECT d.name, d.loader_id, c.text, c.metadata, c.loader_id AS owner FROM chunks c"
            " JOIN documents d ON d.id = c.document_id WHERE c.store_id = %s AND c.live ORDER BY d.name, c.position",
            self.row.id,
        ):
            assert row["owner"] == row["loader_id"]
            topics, mark = held.setdefault(row["name"], ([], row["metadata"]["mark"]))
            assert mark == row["metadata"]["mark"]
            topics.append(row["text"].split()[0])
        return held

    async def searches(self) -> None:
        """By nearness and words: no more than there is, each once."""
        talk = self.talk
        found = await service.search(talk.resources, talk.workspace, self.row.id, "quartz stands here", k=1000)
        assert len({chunk.id for chunk in found}) == len(found) == sum(len(topics) for topics, _ in self.files.values())

    async def close(self) -> None:
        """End the parsers."""
        await self.talk.resources.sandbox.close()

    async def finds_exactly(self) -> None:
        """By words: every chunk that has them and no other."""
        talk = self.talk
        async with talk.resources.database.read(talk.workspace) as scope:
            for topic in TOPICS:
                hits = await talk.resources.lexical.search(scope, self.row.id, topic, 100_000)
                shown = await chunk_rows.best(scope, self.row.id, hits.numbers.tolist(), 100_000, EVERYTHING)
                wanted = sum(topics.count(topic) for topics, _ in self.files.values())
                assert len(shown) == len(hits.numbers) == wanted, topic
                assert all(chunk.text.startswith(topic) for chunk in shown)


@pytest.mark.parametrize("steps", [35, pytest.param(400, marks=[pytest.mark.bench, pytest.mark.timeout(900)])])
async def test_whatever_happens_the_ledger_is_the_model(
    talk: Talk, monkeypatch: pytest.MonkeyPatch, steps: int, seed: int
) -> None:
    crasher, chance = Crasher(talk.resources, monkeypatch), random.Random(seed)
    configs = {"embedding": Component(FAKE["name"], FAKE["config"])}
    towns = [
        Town(talk, crasher, chance, await service.create(talk.resources, talk.workspace, name, None, configs))
        for name in ("North", "South")
    ]
    try:
        for _ in range(steps):
            await chance.choice(towns).upload()
        for town in towns:
            await town.finds_exactly()
            await town.searches()
    except BaseException as error:
        error.add_note(f"seed {seed}")
        raise
    finally:
        for town in towns:
            await town.close()
