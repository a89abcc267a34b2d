"""Worker processes that are killed and stopped in the middle of an upload: it is taken up where it stood."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from service.document_stores.indexing.texts import BATCH
from service.settings import Settings
from tests.service.document_stores.talk import Talk
from tests.stubs.openai_server import OpenAIStub, Script

LINES = {"name": "recursiveCharacterTextSplitter", "config": {"chunkSize": 90, "chunkOverlap": 0}}


def town(houses: int) -> str:
    """A text of as many chunks."""
    return "\n\n".join(
        f"Passage {number} says that house {number} has a door of colour {number % 17}, and that is all."
        for number in range(houses)
    )


Start = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture
def stub() -> Iterator[OpenAIStub]:
    with OpenAIStub() as opened:
        opened.script(Script(first_delay=0.01), times=None)
        yield opened


SHOWN_OF_TOWN = """
    SELECT c.id FROM chunks c JOIN documents d ON d.id = c.document_id WHERE c.live AND d.name = 'town.txt'
"""


@pytest.fixture
def start(settings: Settings, tmp_path: Path) -> Iterator[Start]:
    """Starts a worker process that takes up at once what a dead one was doing."""
    assert settings.database_url is not None
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RAGSTONE_")} | {
        "RAGSTONE_DATABASE_URL": settings.database_url.get_secret_value(),
        "RAGSTONE_DATA": str(settings.data),
        "RAGSTONE_DATABASE_POOL": "6",
        "RAGSTONE_EGRESS_ALLOW": "127.0.0.1",
    }
    started: list[subprocess.Popen[bytes]] = []

    def begin() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "service.cli", "worker", "--alone"]
        with (tmp_path / "worker.log").open("ab") as log:
            started.append(subprocess.Popen(command, env=environ, stdout=log, stderr=log))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
async def store(talk: Talk, stub: OpenAIStub) -> str:
    embedding = {"name": "openAIEmbeddings", "config": {"basepath": stub.url, "modelName": "small"}}
    return await talk.store(embeddingConfig=embedding)


def embedded(stub: OpenAIStub) -> int:
    """How many chunks the provider was asked for, whether or not the worker lived to see the answer."""
    return sum(len(item.body["input"]) for item in stub.requests if item.body and item.body["input"] != ["size"])


async def reached(talk: Talk, job: str, what: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    async with asyncio.timeout(90):
        while not what(status := dict((await talk.client.get(job)).json())):  # noqa: ASYNC110 - as clients do
            await asyncio.sleep(0.01)
    return status


@pytest.mark.parametrize(
    ("houses", "kills"), [(1500, 2), pytest.param(20_000, 8, marks=[pytest.mark.bench, pytest.mark.timeout(600)])]
)
async def test_a_worker_that_is_killed_loses_and_doubles_nothing(
    talk: Talk, stub: OpenAIStub, store: str, start: Start, houses: int, kills: int, seed: int
) -> None:
    job = await talk.start(store, ("town.txt", town(houses)), ("note.txt", "A note beside it."), splitter=LINES)
    marks = sorted(random.Random(seed).sample(range(1, houses - 8 * BATCH), kills))
    for killed, mark in enumerate(marks):
        worker = start()
        await reached(talk, job, lambda status, killed=killed: status["attempts"] > killed)  # type: ignore[misc]
        status = await reached(talk, job, lambda status, mark=mark: status["done"] >= mark)  # type: ignore[misc]
        assert status["state"] == "running", (marks, status)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        assert await talk.rows(SHOWN_OF_TOWN) == [], marks  # nothing half is shown
    start()
    ended = await talk.end(job, seconds=300)
    assert (ended["state"], ended["attempts"]) == ("done", kills + 1), (marks, ended)
    result = ended["result"]
    needed = houses + 1
    assert (result["numAdded"], result["numSkipped"], result["numUpdated"], result["numDeleted"]) == (needed, 0, 0, 0)
    assert (result["totalKeys"], result["documents"], result["failed"]) == (needed, 2, [])
    # a kill costs at most the batch being embedded and the one being committed
    assert embedded(stub) <= needed + kills * 2 * BATCH, marks
    if houses > 10_000:
        assert embedded(stub) <= 1.05 * needed, marks
    await talk.holds_together()
    page = await talk.chunks(store, page=houses // 50)
    assert (page["count"], page["chunks"][-1]["chunkNo"]) == (needed, houses)
    text = town(houses).split("\n\n")[-1]
    assert [doc["pageContent"] for doc in await talk.query(store, text, topK=1)] == [text]


async def test_a_worker_that_is_stopped_hands_its_job_back(
    talk: Talk, stub: OpenAIStub, store: str, start: Start
) -> None:
    stub.script(Script(first_delay=0.5), times=None)  # in all, longer than the grace of a stop
    job = await talk.start(store, ("town.txt", town(700)), splitter=LINES)
    worker = start()
    await reached(talk, job, lambda status: status["done"] > 0)
    worker.terminate()
    assert await asyncio.to_thread(worker.wait, 30) == 0
    status = (await talk.client.get(job)).json()
    assert (status["state"], status["attempts"], status["error"]) == ("queued", 1, None)
    assert 0 < status["done"] < 700
    stub.script(Script(), times=None)
    start()
    ended = await talk.end(job)
    assert (ended["state"], ended["attempts"], ended["result"]["numAdded"]) == ("done", 2, 700)
    await talk.holds_together()


async def test_progress_does_not_go_back_when_a_killed_run_is_taken_up(
    talk: Talk, stub: OpenAIStub, store: str, start: Start
) -> None:
    async with talk.resources.database.connection() as connection:
        await connection.execute("""
            CREATE TABLE noted (id bigserial, done bigint);
            CREATE FUNCTION note_done() RETURNS trigger LANGUAGE plpgsql AS
                'BEGIN INSERT INTO noted (done) VALUES (NEW.done); RETURN NEW; END';
            CREATE TRIGGER noted AFTER UPDATE OF done ON jobs FOR EACH ROW EXECUTE FUNCTION note_done();
        """)
    job = await talk.start(store, ("town.txt", town(400)), splitter=LINES)
    worker = start()
    await reached(talk, job, lambda status: status["done"] >= 2 * BATCH)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    start()
    ended = await talk.end(job)
    assert (ended["state"], ended["attempts"], ended["done"], ended["total"]) == ("done", 2, 400, 400)
    noted = [row["done"] for row in await talk.rows("SELECT done FROM noted ORDER BY id")]
    assert noted == sorted(noted)
    assert len(set(noted)) > 400 // BATCH


async def test_a_file_that_kills_every_worker_ends_as_failed(talk: Talk, store: str, start: Start) -> None:
    job = await talk.start(store, ("town.txt", town(10)), splitter=LINES)
    await talk.rows("UPDATE jobs SET attempts = 5, idle_starts = 5, state = 'running' RETURNING id")
    start()
    ended = await talk.end(job)
    assert (ended["state"], ended["error"]["code"]) == ("failed", "worker_lost")
    assert [document["errorCode"] for document in await talk.documents(store)] == ["worker_lost"]
    await talk.holds_together()
