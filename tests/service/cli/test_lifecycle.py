"""How a service begins and ends: cleanly, killed, and again."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from service.cli.folder import running
from tests.service.cli.conftest import alive, environment, eventually, ragstone, up


def test_after_kill_9_the_parts_vanish_and_the_next_start_recovers(tmp_path: Path) -> None:
    data = tmp_path / "data"
    made = ragstone("key", "new", "--name", "before", "--data", data, "--json")  # no service runs yet
    assert made.returncode == 0, made.stderr
    bearer = {"Authorization": f"Bearer {json.loads(made.stdout)['apiKey']}"}

    with up(data) as first:
        pids = first.pids()
        assert len(pids) == 4
        os.kill(first.process.pid, signal.SIGKILL)
        eventually(lambda: not any(map(alive, pids)))
    assert running(data) is None
    assert ragstone("status", "--data", data, "--json").returncode == 3

    with up(data) as second:
        assert httpx.get(f"{second.note.url}/api/v1/document-store/store", headers=bearer).status_code == 200
        pids = second.pids()
        second.process.send_signal(signal.SIGTERM)
        assert second.process.wait(60) == 0
        assert not any(map(alive, pids))
    assert not (data / "service.json").exists()

    listed = ragstone("key", "list", "--data", data, "--json")
    assert [key["name"] for key in json.loads(listed.stdout)] == ["before"]


def test_ctrl_c_while_starting_leaves_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with subprocess.Popen(
        [sys.executable, "-m", "service.cli", "up", "--data", str(data), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(),
    ) as process:
        eventually((data / "postgres" / "lock").exists)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert output == ""
    assert b"service.cli" not in _processes_on(data)
    assert b"postgres" not in _processes_on(data)


def _processes_on(data: Path) -> bytes:
    """The command lines of all processes that name the folder."""
    found = b""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if os.fsencode(data) in line:
                found += line + b"\n"
    return found


@pytest.mark.parametrize("verb", ["serve", "worker"])
def test_the_parts_of_a_cluster_need_a_database_url(verb: str, tmp_path: Path) -> None:
    refused = ragstone(verb, "--data", tmp_path, *(["--port", "0"] if verb == "serve" else []))
    assert refused.returncode == 2
    assert refused.stderr.startswith("ragstone: RAGSTONE_DATABASE_URL: not set")


def test_a_database_that_cannot_be_used_is_named_in_one_line(tmp_path: Path) -> None:
    url = "postgresql://nobody@127.0.0.1:9/none"
    refused = ragstone("up", "--data", tmp_path / "data", "--port", "0", RAGSTONE_DATABASE_URL=url)
    assert refused.returncode == 3
    assert "the database cannot be reached" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_service_on_a_database_given_by_url_starts_and_ends(tmp_path: Path, empty_database_url: str) -> None:
    with up(tmp_path / "data", "--json", environ={"RAGSTONE_DATABASE_URL": empty_database_url}) as started:
        line = json.loads(started.line)
        assert line["ready"] is True
        assert started.note.postgres is None
        assert httpx.get(f"{line['url']}/readyz").status_code == 200
        checked = ragstone("migrate", "--check", "--json", RAGSTONE_DATABASE_URL=empty_database_url)
        assert json.loads(checked.stdout) == {"pending": []}
        started.process.send_signal(signal.SIGTERM)
        assert started.process.wait(60) == 0


def test_who_waits_for_a_job_when_the_service_ends_is_told_where_it_stands(tmp_path: Path) -> None:
    with up(tmp_path / "data") as started, ThreadPoolExecutor() as threads:
        made = ragstone("key", "new", "--name", "mine", "--data", started.data, "--json")
        api = f"{started.note.url}/api/v1"
        bearer = {"Authorization": f"Bearer {json.loads(made.stdout)['apiKey']}"}
        with httpx.Client(headers=bearer, timeout=60) as client:
            store = client.post(f"{api}/document-store/store", json={"name": "Ends"}).json()["id"]
            text = " ".join(f"word{number}" for number in range(300_000))
            upsert = f"{api}/document-store/upsert/{store}"
            put = threads.submit(client.post, upsert, files={"files": ("a.txt", text)})
            (job,) = eventually(lambda: client.get(f"{api}/jobs", params={"storeId": store}).json())
            assert client.post(f"{api}/jobs/{job['id']}/pause").json()["state"] == "paused"
            read = threads.submit(client.get, f"{api}/jobs/{job['id']}", params={"wait": 50})
            followed = threads.submit(client.get, f"{api}/jobs/{job['id']}/events")
            eventually(lambda: client.get(f"{api}/jobs", params={"state": "paused"}).json())
            started.process.send_signal(signal.SIGTERM)
            assert started.process.wait(60) == 0
            assert (put.result().status_code, put.result().json()["id"]) == (202, job["id"])
            assert put.result().headers["Location"] == job["url"]
            assert (read.result().status_code, read.result().json()["state"]) == (200, "paused")
            assert '"state":"paused"' in followed.result().text
