"""The arrangement of compose.yaml: two API processes and two workers beside one Postgres given by URL."""

import base64
import json
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from service.worker.records import living_workers
from tests.ports import held_ports
from tests.service.cli.conftest import environment, eventually, ragstone

FILES = 12


@dataclass(slots=True)
class Cluster:
    """Two APIs by URL, two worker processes, and a client's key."""

    apis: list[httpx.Client]
    parts: list[subprocess.Popen[bytes]]
    environ: dict[str, str]


@pytest.fixture
def cluster(tmp_path: Path, empty_database_url: str) -> Iterator[Cluster]:
    """Migrated by command, then started part by part; the data folder stands for a shared volume."""
    environ = {
        "RAGSTONE_DATABASE_URL": empty_database_url,
        "RAGSTONE_DATA": str(tmp_path / "volume"),
        "RAGSTONE_SECRET_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        "RAGSTONE_EMBEDDING_THREADS": "1",
        "RAGSTONE_DATABASE_POOL": "6",
    }
    assert ragstone("migrate", **environ).returncode == 0
    key = json.loads(ragstone("key", "new", "--name", "cluster", "--json", **environ).stdout)["apiKey"]
    with held_ports(2) as ports, ExitStack() as stack, (tmp_path / "log").open("w") as log:
        parts = []
        for arguments in (*(("serve", "--port", str(port)) for port in ports), ("worker",), ("worker",)):
            command = [sys.executable, "-m", "service.cli", *arguments]
            part = stack.enter_context(subprocess.Popen(command, stderr=log, env=environment(**environ)))
            stack.callback(part.terminate)
            parts.append(part)
        apis = [
            stack.enter_context(
                httpx.Client(
                    base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {key}"}, timeout=60
                )
            )
            for port in ports
        ]
        for api in apis:
            eventually(partial(answers, api))
        with psycopg.connect(empty_database_url, autocommit=True) as connection:
            eventually(lambda: living_workers(connection, 10) == 2)
        yield Cluster(apis, parts, environ)


def answers(api: httpx.Client) -> bool:
    try:
        return api.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def final(api: httpx.Client, job: str) -> dict[str, Any] | None:
    status: dict[str, Any] = api.get(job).json()
    return status if status["state"] in ("done", "failed", "cancelled") else None


def test_what_one_api_takes_in_the_other_answers_from_though_a_worker_is_killed(cluster: Cluster) -> None:
    first, second = cluster.apis
    store = first.post("/api/v1/document-store/store", json={"name": "Town"}).json()["id"]
    jobs = []
    for number in range(FILES):
        text = f"House {number} has {number + 3} windows and a door of its own."
        api = cluster.apis[number % 2]
        taken = api.post(
            f"/api/v1/document-store/upsert/{store}",
            files={"files": (f"house-{number}.txt", text.encode(), "text/plain")},
            headers={"Prefer": "respond-async"},
        )
        assert taken.status_code == 202, taken.text
        jobs.append(taken.headers["location"])
        if number == FILES // 2:
            cluster.parts[2].send_signal(signal.SIGKILL)
    for number, job in enumerate(jobs):
        ended = eventually(partial(final, cluster.apis[(number + 1) % 2], job))
        assert ended["state"] == "done", ended
    found = second.get(f"/api/v1/document-store/store/{store}").json()
    assert found["totalChunks"] == FILES

    doctor = ragstone("doctor", "--json", **cluster.environ)
    report = json.loads(doctor.stdout)
    assert report["ok"], [row for row in report["checks"] if not row["ok"]]

    for part in (cluster.parts[0], cluster.parts[1], cluster.parts[3]):
        part.terminate()
        assert part.wait(60) == 0
