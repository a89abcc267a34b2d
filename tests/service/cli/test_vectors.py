"""`ragstone up` on a vector store that is a folder: its server is a part like the others."""

import json
import os
import signal
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.service.cli.conftest import Up, alive, eventually, ragstone, up

chroma = pytest.mark.skipif(
    not Path(sys.executable).with_name("chroma").exists(),
    reason="the Chroma server is not installed: pip install 'ragstone[chroma]'",
)
FOLDER = {"RAGSTONE_VECTOR_STORE": "chroma:///"}


def engine(service: Up) -> int | None:
    """The process that holds the folder, once it does."""
    text = (service.data / "chroma" / "ragstone.lock").read_text()
    return int(text) if text else None


def found(client: httpx.Client, store: str) -> bool:
    """Whether a search finds the gate; else it is told to come back."""
    body = {"storeId": store, "query": "When does the gate open?"}
    answer = client.post("/api/v1/document-store/vectorstore/query", json=body)
    return answer.status_code == 200 and "seven" in answer.text


@chroma
def test_a_folder_of_chroma_is_served_and_its_server_comes_back_and_goes_with_the_service(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (tmp_path / "gate.txt").write_text("The north gate opens at seven in the morning.")
    with ExitStack() as stack, up(data, environ=FOLDER) as service:
        made = ragstone("key", "new", "--name", "reader", "--data", data, "--json")
        key = json.loads(made.stdout)["apiKey"]
        taken = ragstone("ingest", tmp_path / "gate.txt", "--store", "Town", "--data", data, "--json")
        assert taken.returncode == 0, taken.stderr
        client = httpx.Client(base_url=service.note.url, headers={"Authorization": f"Bearer {key}"}, timeout=30)
        stack.callback(client.close)
        (store,) = (each["id"] for each in client.get("/api/v1/document-store/store").json())
        assert found(client, store)
        doctor = ragstone("doctor", "--data", data, "--json", **FOLDER)
        assert doctor.returncode == 0, doctor.stdout

        guard, program = service.note.vectors, engine(service)
        assert guard is not None
        assert program is not None
        os.kill(program, signal.SIGKILL)
        eventually(lambda: engine(service) not in (None, program))
        eventually(partial(found, client, store))

        guard, program = service.note.vectors, engine(service)
        assert guard is not None
        assert program is not None
        os.kill(guard, signal.SIGKILL)  # what it leaves behind is ended before another writes there
        eventually(lambda: engine(service) not in (None, program))
        assert not alive(program)
        eventually(partial(found, client, store))

        pids = [*service.pids(), engine(service)]
        service.process.send_signal(signal.SIGKILL)
        eventually(lambda: not any(pid is not None and alive(pid) for pid in pids))
    stopped = ragstone("doctor", "--data", data, "--json", **FOLDER)
    assert stopped.returncode == 0, stopped.stdout


def test_what_cannot_be_a_folder_of_chroma_is_said_before_anything_starts(tmp_path: Path) -> None:
    refused = ragstone("up", "--data", tmp_path / "data", RAGSTONE_VECTOR_STORE="chroma:///vectors?token=x")
    assert refused.returncode == 2
    assert "RAGSTONE_VECTOR_STORE: chroma has no option 'token'" in refused.stderr
    assert not (tmp_path / "data" / "postgres").exists()
