"""A disk that is full (scenario 5): told as such, nothing lost, readable meanwhile, and well again with room."""

import errno
import io
import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from service.document_stores.shelf import Shelf
from service.worker.runner import MAX_IDLE_STARTS, Runner
from stores.vector.base import Unavailable
from tests.reliability.bench import ASYNC, Bench
from tests.reliability.writes import two_documents
from tests.service.cli.conftest import eventually, ragstone, up
from tests.service.document_stores.talk import API, FAKE, passages

ROOM = 260 * 1024 * 1024


def full(*_: Any, **__: Any) -> None:
    """As every write to a full disk."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_files_that_do_not_fit_are_refused_and_leave_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two_documents(bench)
    before = await bench.look()
    (store,) = await bench.call("GET", f"{API}/store")
    files = {"files": ("c.txt", io.BytesIO(b"No room for me."))}
    with monkeypatch.context() as patch:
        patch.setattr("stores.blobs.local.os.fsync", full)
        answer = await bench.client.post(f"{API}/upsert/{store['id']}", files=files, headers=ASYNC)
        assert (answer.status_code, answer.json()["code"]) == (507, "storage_full"), answer.text
        text = {"loader": {"name": "plainText", "config": {"text": "Nor for me."}}}
        answer = await bench.client.post(f"{API}/upsert/{store['id']}", json=text, headers=ASYNC)
        assert (answer.status_code, answer.json()["code"]) == (507, "storage_full"), answer.text
        assert await bench.look() == before
    assert await bench.talk.rows("SELECT id FROM jobs WHERE state IN ('queued', 'running')") == []
    assert list((bench.resources.settings.data / "blobs").glob("*/*.part")) == []
    await bench.talk.start(store["id"], ("c.txt", passages("Zeta")))
    await bench.drain()
    await bench.sound()
    assert len(await bench.talk.documents(store["id"])) == 3


async def test_a_database_without_room_is_told_and_a_job_goes_on_when_there_is_some(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two_documents(bench)
    (store,) = await bench.call("GET", f"{API}/store")
    job = await bench.talk.start(store["id"], ("c.txt", passages("Zeta", "Eta")))
    chance = random.Random(5)
    insert = psycopg.AsyncCursor.executemany

    async def sometimes(self: Any, *arguments: Any, **options: Any) -> Any:
        if chance.random() < 0.7:
            raise psycopg.errors.DiskFull("could not extend file: No space left on device")
        return await insert(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(psycopg.AsyncCursor, "executemany", sometimes)
        for _ in range(4):
            try:
                await Runner(bench.resources)._run(job.rpartition("/")[2])
            except (psycopg.errors.DiskFull, Unavailable):
                continue  # the queue gives the job out again after a while
        assert len(await bench.talk.query(store["id"], "Delta")) > 0  # reading goes on
    await bench.drain()
    assert (await bench.client.get(job)).json()["state"] == "done"
    await bench.sound()


async def test_a_job_that_finds_no_room_again_and_again_says_so_and_can_be_retried(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two_documents(bench)
    (store,) = await bench.call("GET", f"{API}/store")
    job = await bench.talk.start(store["id"], ("c.txt", passages("Zeta", "Eta")))

    async def never(*_: Any) -> None:
        raise psycopg.errors.DiskFull("could not extend file: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Shelf, "add", never)
        for _ in range(MAX_IDLE_STARTS + 2):  # the first of them get further: they load, and note that
            with suppress(psycopg.errors.DiskFull):
                await Runner(bench.resources)._run(job.rpartition("/")[2])
    ended = (await bench.client.get(job)).json()
    assert (ended["state"], ended["error"]["code"], ended["error"]["status"]) == ("failed", "storage_full", 507)
    documents = await bench.talk.documents(store["id"])
    assert [item["errorCode"] for item in documents if item["name"] == "c.txt"] == ["storage_full"]
    await bench.drain()
    await bench.sound()
    again = await bench.call("POST", f"{job}/retry", 202)
    await bench.drain()
    assert (await bench.client.get(again["url"])).json()["state"] == "done"
    await bench.sound()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own with little room: a tmpfs, where this process may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = f"size={ROOM},mode=0755"
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("a disk of its own needs the right to mount one")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path: Path, leave: int) -> None:
    """Leave so many bytes on the disk."""
    with path.open("ab") as ballast:
        while (free := shutil.disk_usage(path.parent).free) > leave:
            ballast.write(b"x" * min(free - leave, 4 * 1024 * 1024))
            ballast.flush()


def test_a_service_whose_disk_fills_up_loses_nothing_and_recovers(small_disk: Path) -> None:
    data, ballast = small_disk / "data", small_disk / "ballast"
    made = ragstone("key", "new", "--name", "tests", "--data", data, "--json")
    headers = {"Authorization": f"Bearer {httpx.Response(200, text=made.stdout).json()['apiKey']}"}
    with (
        up(data, environ={"RAGSTONE_MIN_FREE_DISK": "0"}) as service,
        httpx.Client(base_url=service.note.url, headers=headers, timeout=60) as client,
    ):
        store = client.post(f"{API}/store", json={"name": "Full", "embeddingConfig": FAKE}).json()["id"]
        taken: dict[str, int] = {}

        def upload(name: str, *topics: str) -> httpx.Response:
            files = {"files": (name, passages(*topics).encode())}
            answer = client.post(f"{API}/upsert/{store}", files=files)
            taken[name] = answer.status_code
            return answer

        def found(word: str) -> bool:
            body = {"storeId": store, "query": f"{word} stands here", "inputs": {"topK": 50}}
            answer = client.post(f"{API}/vectorstore/query", json=body)
            assert answer.status_code in (200, 503), answer.text
            return any(doc["pageContent"].startswith(word) for doc in answer.json().get("docs", ()))

        assert upload("first.txt", "First").status_code == 200
        fill(ballast, 60 * 1024)
        big = client.post(f"{API}/upsert/{store}", files={"files": ("big.txt", b"words " * 200_000)}, headers=ASYNC)
        assert big.status_code == 507, big.text
        assert found("First")
        for number in range(30):  # until tables or the log of the database have no room
            answer = upload(f"{number}.txt", f"Many{number}", *(f"Other{number}x{n}" for n in range(20)))
            assert answer.status_code in (200, 202, 503, 507), answer.text
            if answer.status_code != 200:
                break
            fill(ballast, 8 * 1024)
        assert taken[f"{number}.txt"] != 200, "the disk took everything"
        ballast.unlink()
        eventually(lambda: found("First"))
        eventually(lambda: upload("after.txt", "After").status_code == 200)
        for name, status in taken.items():
            if status == 200 and name not in ("first.txt", "after.txt"):
                assert found(f"Many{name.removesuffix('.txt')}"), name
        assert found("First")
        assert found("After")

        def settled() -> bool:
            states = {job["state"] for job in client.get("/api/v1/jobs").json()}
            return not states & {"queued", "running"}

        eventually(settled)
        documents = client.get(f"{API}/documents/{store}").json()
        assert {item["name"] for item in documents} >= {name for name, code in taken.items() if code in (200, 202)}
        assert all(item["state"] == "ready" or item["errorCode"] for item in documents), documents
        report = json.loads(ragstone("doctor", "--data", data, "--json").stdout)
        checks = {row["check"]: row for row in report["checks"]}
        assert checks["document stores"]["ok"], report
