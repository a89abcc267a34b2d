"""Processes that are killed: a worker over many documents (scenario 1), the whole service in a large PDF (2)."""

import asyncio
import os
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fpdf import FPDF

from service.document_stores.indexing.texts import BATCH
from tests.service.cli.conftest import alive, eventually, ragstone, up
from tests.service.document_stores.talk import API, Talk
from tests.service.document_stores.test_kills import LINES, Start, embedded, start, stub, town  # noqa: F401
from tests.stubs.openai_server import OpenAIStub, Script

PAGES = 500


def remote(stub: OpenAIStub) -> dict[str, Any]:  # noqa: F811
    """The embedding of a provider that counts what it is asked for."""
    return {"name": "openAIEmbeddings", "config": {"basepath": stub.url, "modelName": "small"}}


@pytest.mark.parametrize(
    ("documents", "houses", "kills"),
    [(150, 12, 3), pytest.param(1000, 60, 20, marks=[pytest.mark.bench, pytest.mark.timeout(1800)])],
)
async def test_a_worker_killed_over_many_documents_loses_and_doubles_none(
    talk: Talk,
    stub: OpenAIStub,  # noqa: F811
    start: Start,  # noqa: F811
    documents: int,
    houses: int,
    kills: int,
    seed: int,
) -> None:
    store = await talk.store(embeddingConfig=remote(stub))
    jobs = []
    for first in range(0, documents, 50):
        files = [
            (f"{number}.txt", town(houses).replace("house", f"house {number} of"))
            for number in range(first, first + 50)
        ]
        jobs.append(await talk.start(store, *files, splitter=LINES))
    needed = documents * houses
    marks = sorted(random.Random(seed).sample(range(1, needed - 8 * BATCH), kills))
    for mark in marks:
        worker = start()

        def far(mark: int = mark) -> bool:
            return embedded(stub) >= mark

        await happens(far)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    start()
    ends = [await talk.end(job, seconds=900) for job in jobs]
    assert [(end["state"], end["result"]["failed"]) for end in ends] == [("done", [])] * len(jobs), marks
    assert sum(end["result"]["numAdded"] for end in ends) == needed, marks
    # two jobs run at once; a kill costs of each at most the batch being embedded and the one being committed
    assert embedded(stub) <= needed + kills * 2 * 2 * BATCH, marks
    if needed > 50_000:
        assert embedded(stub) <= 1.05 * needed, marks
    await talk.holds_together()
    assert (await talk.chunks(store))["count"] == needed
    assert {document["state"] for document in await talk.documents(store)} == {"ready"}


async def happens(what: Callable[[], bool]) -> None:
    """Wait for something that happens in other processes."""
    async with asyncio.timeout(300):
        while not what():  # noqa: ASYNC110 - as people do
            await asyncio.sleep(0.005)


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PDF of many pages."""
    pdf = FPDF()
    pdf.set_font("helvetica", size=11)
    for page in range(PAGES):
        pdf.add_page()
        for line in range(12):
            pdf.multi_cell(0, 6, f"Page {page} says in line {line} that house {page * 12 + line} has a blue door.")
            pdf.ln(1)
    path = tmp_path_factory.mktemp("book") / "book.pdf"
    pdf.output(str(path))
    return path


@pytest.fixture
def slow() -> Iterator[OpenAIStub]:
    """A provider that takes its time."""
    with OpenAIStub() as opened:
        opened.script(Script(first_delay=0.2), times=None)
        yield opened


def test_a_service_killed_in_the_middle_of_a_large_pdf_goes_on_there(
    slow: OpenAIStub, book: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    made = ragstone("key", "new", "--name", "tests", "--data", data, "--json")
    key = httpx.Response(200, text=made.stdout).json()["apiKey"]
    environ = {"RAGSTONE_EGRESS_ALLOW": "127.0.0.1"}
    headers = {"Authorization": f"Bearer {key}"}

    def progress(client: httpx.Client, job: str) -> dict[str, Any]:
        found: dict[str, Any] = client.get(job).json()
        return found

    with up(data, environ=environ) as first:
        pids = first.pids()
        with httpx.Client(base_url=first.note.url, headers=headers, timeout=60) as client:
            body = {"name": "Books", "embeddingConfig": remote(slow)}
            store = client.post(f"{API}/store", json=body).json()["id"]
            with book.open("rb") as file:
                accepted = client.post(
                    f"{API}/upsert/{store}", files={"files": file}, headers={"Prefer": "respond-async"}
                )
            assert accepted.status_code == 202, accepted.text
            job = accepted.headers["Location"]
            eventually(lambda: progress(client, job)["done"] >= 2 * BATCH)
            before = progress(client, job)
            assert before["state"] == "running"
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: not any(map(alive, pids)))

    with (
        up(data, environ=environ) as second,
        httpx.Client(base_url=second.note.url, headers=headers, timeout=60) as client,
    ):
        asked = {"storeId": store, "query": "Which house has a blue door?"}
        now = progress(client, job)
        assert now["done"] >= before["done"]
        if now["state"] != "done":  # nothing of half a document is shown
            found = client.post(f"{API}/vectorstore/query", json=asked).json()["docs"]
            assert found == [] or progress(client, job)["state"] == "done"
        slow.script(Script(), times=None)
        eventually(lambda: progress(client, job)["state"] not in ("queued", "running"))
        ended = progress(client, job)
        assert (ended["state"], ended["result"]["failed"]) == ("done", []), ended
        needed = ended["result"]["numAdded"]
        assert needed > 4 * BATCH
        assert embedded(slow) <= needed + 3 * BATCH + 8  # the queries, and what was being embedded and committed
        page = client.get(f"{API}/chunks/{store}/all/1").json()
        assert page["count"] == needed
        text = page["chunks"][7]["pageContent"]
        found = client.post(f"{API}/vectorstore/query", json={**asked, "query": text, "inputs": {"topK": 1}}).json()[
            "docs"
        ]
        assert [doc["pageContent"] for doc in found] == [text]
        checked = ragstone("doctor", "--data", data)
        assert checked.returncode == 0, checked.stdout
