"""Runs that die at every commit, and worker processes that are killed: nothing is lost, nothing is there twice."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO
from uuid import UUID

import pytest

from service.document_stores.check.service import check
from service.jobs import service as jobs
from service.jobs.types import JobState
from service.settings import Settings
from service.sync import service
from service.worker.runner import Runner
from tests.service.document_stores.talk import API, UNFINISHED, Talk, passages
from tests.service.document_stores.test_ledger import TOPICS, Crash, Crasher
from tests.service.sync.keeper import Keeper
from tests.service.sync.test_folders import write


async def held(keeper: Keeper) -> dict[str, list[str]]:
    """The topics of each document, in order."""
    found: dict[str, list[str]] = {}
    for row in await keeper.talk.rows(
        "SELECT d.name, c.text FROM chunks c JOIN documents d ON d.id = c.document_id WHERE c.live"
        " ORDER BY d.name, c.position"
    ):
        found.setdefault(row["name"], []).append(row["text"].split()[0])
    return found


async def holds_together(talk: Talk) -> None:
    """As `talk.holds_together`, but that a crash between a file's bytes and its row may leave the bytes."""
    await talk.settled()
    findings = [*await check(talk.resources), *await talk.rows(UNFINISHED)]
    assert [item for item in findings if "belong to no document" not in str(item)] == []


class Garden:
    """A folder that changes, and the runs over it."""

    def __init__(self, keeper: Keeper, source: UUID, folder: Path, crasher: Crasher, chance: random.Random) -> None:
        self.keeper, self.source, self.folder, self.crasher, self.chance = keeper, source, folder, crasher, chance
        self.files: dict[str, list[str]] = {}
        self.runner = Runner(keeper.talk.resources)
        self.age = 10_000.0

    def change(self) -> None:
        """Some files are written, renamed, touched, deleted."""
        chance = self.chance
        self.age -= 10  # later than the last time, but long ago
        for name in chance.sample([f"{number}.txt" for number in range(6)], chance.randint(1, 4)):
            what = chance.choice(("write", "write", "touch", "rename", "delete"))
            if what == "write" or name not in self.files:
                self.files[name] = chance.choices(TOPICS, k=chance.choice((1, 2, 70)))
            elif what == "rename":
                self.files[f"{chance.choice('xyz')}.txt"] = self.files.pop(name)
            elif what == "delete" and len(self.files) > 1:
                del self.files[name]
        for file in self.folder.iterdir():
            if file.name not in self.files:
                file.unlink()
        for name, topics in self.files.items():
            text = passages(*topics)
            file = self.folder / name
            if not file.exists() or file.read_text() != text or chance.random() < 0.1:
                write(file, text, age=self.age)

    async def run(self) -> None:
        """A run that may crash some times, and at times is cancelled in the middle and begun anew."""
        talk, chance = self.keeper.talk, self.chance
        job = await service.run(talk.resources, talk.workspace, self.source)
        for _ in range(chance.choice((0, 0, 1, 2, 3))):
            self.crasher.left, self.crasher.after = chance.randint(0, 8), chance.random() < 0.5
            try:
                await self.runner._run(str(job.id))
            except Crash:
                if chance.random() < 0.2:
                    self.crasher.left = None
                    await jobs.cancel(talk.resources.database, talk.resources.queue, talk.workspace, job.id)
                    await self.runner._run(str(job.id))  # clears up
                    job = await service.run(talk.resources, talk.workspace, self.source)
        self.crasher.left = None
        while waiting := await talk.rows("SELECT id FROM jobs WHERE state IN ('queued', 'running')"):
            for row in waiting:
                await self.runner._run(str(row["id"]))
        ended = await jobs.get(talk.resources.database, talk.workspace, job.id)
        assert ended.state is JobState.DONE, ended
        assert await held(self.keeper) == self.files
        await holds_together(talk)


@pytest.mark.parametrize("steps", [25, pytest.param(300, marks=[pytest.mark.bench, pytest.mark.timeout(900)])])
async def test_whatever_happens_the_document_store_is_the_folder(
    keeper: Keeper, wiki: Path, monkeypatch: pytest.MonkeyPatch, steps: int, seed: int
) -> None:
    crasher = Crasher(keeper.talk.resources, monkeypatch)
    garden = Garden(keeper, UUID(await keeper.folder(wiki)), wiki, crasher, random.Random(seed))
    try:
        for _ in range(steps):
            garden.change()
            await garden.run()
    except BaseException as error:
        error.add_note(f"seed {seed}")
        raise
    finally:
        await keeper.talk.resources.sandbox.close()


def begin(environ: dict[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    """A worker process."""
    command = [sys.executable, "-m", "service.cli", "worker", "--alone"]
    return subprocess.Popen(command, env=environ, stdout=log, stderr=log)


async def test_a_worker_that_is_killed_between_fetching_and_indexing_loses_nothing(
    keeper: Keeper, wiki: Path, settings: Settings, tmp_path: Path
) -> None:
    for number in range(30):
        write(wiki / f"{number}.txt", passages(*TOPICS[:5]))
    write(wiki / "gone.txt", passages("walnut"))
    assert settings.database_url is not None
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RAGSTONE_")} | {
        "RAGSTONE_DATABASE_URL": settings.database_url.get_secret_value(),
        "RAGSTONE_DATA": str(settings.data),
        "RAGSTONE_SYNC_FOLDERS": settings.sync_folders,
    }
    source = await keeper.folder(wiki)
    url = (await keeper.talk.client.post(f"{API}/sources/{source}/run")).json()["url"]

    async def reached(what: str) -> None:
        async with asyncio.timeout(60):
            while not await keeper.talk.rows(what):  # noqa: ASYNC110 - as people do
                await asyncio.sleep(0.005)

    marks = (
        "SELECT 1 AS one FROM (SELECT count(*) AS n FROM documents) AS claimed WHERE n > 5",  # while it fetches
        "SELECT 1 AS one FROM jobs WHERE kind = 'sync' AND payload ? 'gathered'",  # between the two
        "SELECT 1 AS one FROM chunks",  # while it indexes
        None,
    )
    with (tmp_path / "worker.log").open("ab") as log:
        for mark in marks:
            worker = begin(environ, log)
            try:
                if mark is None:
                    ended = await keeper.talk.end(url)
                else:
                    await reached(mark)
            finally:
                worker.send_signal(signal.SIGKILL)
                worker.wait()
            if "gathered" in (mark or ""):
                (wiki / "gone.txt").unlink()  # too late for this run
    assert (ended["state"], ended["result"]["numAdded"], ended["result"]["failed"]) == ("done", 151, [])
    assert len(await held(keeper)) == 31
    await holds_together(keeper.talk)
