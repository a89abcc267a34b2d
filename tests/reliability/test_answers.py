"""Processes that answer, and are asked to stop, ended or killed in the middle of it: nothing is left behind, no run is
in progress for ever, and what was said and what is kept agree."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from service.document_stores.check import repair
from service.resources import Resources
from service.settings import Settings, load
from stores.records.database import Database
from tests.ports import held_ports
from tests.reliability.test_disk import full
from tests.reliability.test_kills import happens
from tests.reliability.test_runs import executions, lapse, made
from tests.service.agentflows.flows import chain, model, node
from tests.service.agentflows.flows import graph as agentflow
from tests.service.cli.conftest import alive, environment
from tests.service.predictions.uploads import chain as seeing
from tests.service.predictions.uploads import picture
from tests.stubs.openai_server import Called, OpenAIStub, Script

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

ENDLESS = "while (true) {}"


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """With JavaScript, for the process of the test; `Peer` is another one on the same database and folder."""
    place = {"data": tmp_path / "data", "database_url": database_url, "database_pool": 6}
    return load({}, {**place, "egress_allow": "127.0.0.1", "javascript": True})


@pytest.fixture
def stub() -> Iterator[OpenAIStub]:
    with OpenAIStub() as opened:
        yield opened


@dataclass(slots=True)
class Peer:
    """Another API process, and what it was asked that has not been answered yet."""

    process: subprocess.Popen[bytes]
    client: httpx.AsyncClient
    asked: dict[str, asyncio.Task[httpx.Response]] = field(default_factory=dict)

    def ask(self, flow: str, **body: Any) -> asyncio.Task[httpx.Response]:
        """Begin a prediction; its conversation is called after the flow."""
        call = self.client.post(f"/api/v1/prediction/{flow}", json={"question": "Go", "chatId": flow, **body})
        task = asyncio.create_task(call)
        self.asked[flow] = task
        return task

    def family(self) -> set[int]:
        """Every process below this one."""
        found, new = set(), {self.process.pid}
        while new:
            found |= new
            new = {child for pid in new for child in children(pid)} - found
        return found - {self.process.pid}


def children(pid: int) -> set[int]:
    """The processes that one, or a thread of it, has started, as far as they live."""
    try:
        lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except (FileNotFoundError, ProcessLookupError):
        return set()
    return {int(child) for text in lists for child in text.split()}


@asynccontextmanager
async def started(settings: Settings, log: Path) -> AsyncIterator[Peer]:
    """An API process that answers; killed in the end, should it still run."""
    with held_ports(1) as (port,):
        async with serving(settings, log, port) as peer:
            yield peer


@asynccontextmanager
async def serving(settings: Settings, log: Path, port: int) -> AsyncIterator[Peer]:
    """The same on this port."""
    assert settings.database_url is not None
    environ = environment(
        RAGSTONE_DATABASE_URL=settings.database_url.get_secret_value(),
        RAGSTONE_DATA=str(settings.data),
        RAGSTONE_DATABASE_POOL="6",
        RAGSTONE_EGRESS_ALLOW="127.0.0.1",
        RAGSTONE_JAVASCRIPT="on",
    )
    with log.open("ab") as out:
        command = [sys.executable, "-m", "service.cli", "serve", "--port", str(port)]
        process = subprocess.Popen(command, env=environ, stdout=out, stderr=out)  # noqa: ASYNC220 - quick
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
            peer = Peer(process, client)
            async with asyncio.timeout(90):
                while not await ready(peer):
                    assert process.poll() is None, log.read_text()
                    await asyncio.sleep(0.05)
            yield peer
            for task in peer.asked.values():
                task.cancel()
            await asyncio.gather(*peer.asked.values(), return_exceptions=True)
    finally:
        process.kill()
        process.wait()


async def ready(peer: Peer) -> bool:
    try:
        return (await peer.client.get("/readyz")).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
async def peer(client: httpx.AsyncClient, settings: Settings, tmp_path: Path) -> AsyncIterator[Peer]:
    """Another API process on the database of `client`, which has migrated it and made its secrets."""
    async with started(settings, tmp_path / "peer.log") as peer:
        yield peer


@dataclass(frozen=True, slots=True)
class Busy:
    """Flows that a process is in the middle of."""

    agents: str
    """An agentflow whose model is silent."""
    script: str
    """An agentflow whose function never ends."""
    tool: str
    """An agentflow whose agent waits for a tool that never ends."""
    seeing: str
    """A chatflow whose model thinks about a picture."""

    @property
    def every(self) -> tuple[str, ...]:
        return self.agents, self.script, self.tool, self.seeing


async def kept_tool(client: httpx.AsyncClient) -> str:
    """A tool that never ends."""
    body = {"name": "endless", "description": "Never ends", "func": ENDLESS, "schema": "[]"}
    response = await client.post("/api/v1/tools", json=body)
    assert response.status_code == 200, response.text
    return str(response.json()["id"])


async def busy(client: httpx.AsyncClient, stub: OpenAIStub, peer: Peer) -> Busy:
    """Have a process begin all of it, and wait until it stands in the middle."""
    tools = [{"agentSelectedTool": "customTool", "agentSelectedToolConfig": {"selectedTool": await kept_tool(client)}}]
    function = {"customFunctionJavascriptFunction": ENDLESS}
    body = {"name": "Seeing", "type": "CHATFLOW", "flowData": seeing(stub.url)}
    found = Busy(
        await made(client, chain(node("llm_0", "llm", **model("llm", stub.url)))),
        await made(client, chain(node("function_0", "customFunction", **function))),
        await made(client, chain(node("agent_0", "agent", **model("agent", stub.url), agentTools=tools))),
        str((await client.post("/api/v1/chatflows", json=body)).json()["id"]),
    )
    stub.script(Script(calls=[Called("endless")]))
    stub.script(Script(hang=True), times=None)
    peer.ask(found.tool, streaming=True)
    await happens(lambda: len(stub.requests) == 1 and stub.requests[0].ended is not None)
    peer.ask(found.script)
    peer.ask(found.agents, streaming=True)
    peer.ask(found.seeing, uploads=[picture()])
    await happens(lambda: len(stub.requests) == 3 or any(task.done() for task in peer.asked.values()))
    assert [task.result().text for task in peer.asked.values() if task.done()] == []
    while len(await executions(client)) < 3:  # noqa: ASYNC110 - as clients do
        await asyncio.sleep(0.02)
    # the one that makes children, and two that compute
    await happens(lambda: len(peer.family()) >= 3 and sum(map(runs, peer.family())) >= 2)
    return found


def runs(pid: int) -> bool:
    """Whether a process computes, as endless scripts do."""
    try:
        threads = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return any(thread.rpartition(")")[2].split()[0] == "R" for thread in threads)


async def messages(client: httpx.AsyncClient, flow: str) -> list[dict[str, Any]]:
    """What is kept of a flow's conversations."""
    found: list[dict[str, Any]] = (await client.get(f"/api/v1/chatmessage/{flow}")).json()
    return found


async def states(client: httpx.AsyncClient) -> set[str]:
    """How the runs of agentflows stand."""
    return {item["state"] for item in await executions(client)}


def blobs(settings: Settings) -> list[Path]:
    """The files in the data folder."""
    return [path for path in (settings.data / "blobs").glob("*/*") if path.is_file()]


@LINUX
async def test_what_one_process_runs_another_lists_and_stops(
    client: httpx.AsyncClient, stub: OpenAIStub, peer: Peer
) -> None:
    found = await busy(client, stub, peer)
    assert await states(client) == {"INPROGRESS"}
    for flow in found.every:
        assert (await client.put(f"/api/v1/chatmessage/abort/{flow}/{flow}")).status_code == 200
    answers = {flow: await task for flow, task in peer.asked.items()}
    for flow in (found.agents, found.tool):
        assert '"event":"abort"' in answers[flow].text
    assert {answer.status_code for answer in answers.values()} == {200}
    assert await states(client) == {"TERMINATED"}
    for flow in found.every:
        assert [item["role"] for item in await messages(client, flow)] == ["userMessage", "apiMessage"]
    await happens(lambda: not any(runs(pid) for pid in peer.family()))
    assert all(request.disconnected for request in stub.requests[1:])


@LINUX
async def test_a_process_that_is_killed_in_the_middle_leaves_nothing_behind(
    client: httpx.AsyncClient, resources: Resources, settings: Settings, stub: OpenAIStub, peer: Peer
) -> None:
    found = await busy(client, stub, peer)
    family = peer.family()
    assert len(family) >= 3
    peer.process.send_signal(signal.SIGKILL)
    peer.process.wait()
    await happens(lambda: not any(map(alive, family)))
    assert await states(client) == {"INPROGRESS"}  # nobody can know yet
    await lapse(resources)
    assert await states(client) == {"ERROR"}
    for flow in found.every:
        assert await messages(client, flow) == []
    assert len(blobs(settings)) == 1  # the picture, whose exchange was never kept
    assert await repair.sweep(resources, 0.0) == 1
    assert blobs(settings) == []


@LINUX
async def test_a_service_that_is_ended_in_the_middle_keeps_what_was_said_and_leaves_nothing_behind(
    client: httpx.AsyncClient, settings: Settings, stub: OpenAIStub, peer: Peer
) -> None:
    found = await busy(client, stub, peer)
    family = peer.family()
    peer.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(peer.process.wait, 60) == 0
    await happens(lambda: not any(map(alive, family)))
    assert await states(client) == {"TERMINATED"}
    for flow in found.every:
        assert [item["role"] for item in await messages(client, flow)] == ["userMessage", "apiMessage"]
    assert len(blobs(settings)) == 1  # the picture, which belongs to a message that is kept


async def test_of_two_answers_to_one_stop_in_two_processes_one_is_taken(client: httpx.AsyncClient, peer: Peer) -> None:
    asks = node("human_0", "humanInput", humanInputDescriptionType="fixed", humanInputDescription="Shall I?")
    yes = node("yes_0", "directReply", directReplyMessage="Done.")
    start = node("start", "start", startInputType="chatInput")
    edges = [
        {"source": "start", "sourceHandle": "start-output-start", "target": "human_0", "targetHandle": "human_0"},
        {"source": "human_0", "sourceHandle": "human_0-output-0", "target": "yes_0", "targetHandle": "yes_0"},
    ]
    flow = await made(client, agentflow([start, asks, yes], edges))
    path = f"/api/v1/prediction/{flow}"
    assert (await peer.client.post(path, json={"question": "Go", "chatId": "c1"})).json()["action"]
    body = {"chatId": "c1", "humanInput": {"type": "proceed", "startNodeId": "human_0"}}
    # as somebody without a key, as who asked
    here = httpx.AsyncClient(transport=client._transport, base_url="http://test")
    answers = await asyncio.gather(*(caller.post(path, json=body) for caller in (here, peer.client) * 3))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409, 409]
    assert await states(client) == {"FINISHED"}
    assert [item["content"] for item in await messages(client, flow)][-1] == "Done."
    assert len(await messages(client, flow)) == 4


@asynccontextmanager
async def away(database: Database, url: str) -> AsyncIterator[None]:
    """Take the database away, as when its server restarts."""
    name = url.rpartition("/")[2].partition("?")[0]
    patience, database.pool.timeout = database.pool.timeout, 1.0
    admin = url.replace(f"/{name}", "/postgres")
    statement = psycopg.sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    async with await psycopg.AsyncConnection.connect(admin, autocommit=True) as connection:
        await connection.execute(statement.format(psycopg.sql.Identifier(name), False))
        await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        try:
            yield
        finally:
            await connection.execute(statement.format(psycopg.sql.Identifier(name), True))
            database.pool.timeout = patience


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_database_that_goes_away_in_the_middle_is_told_and_comes_back(
    client: httpx.AsyncClient, resources: Resources, settings: Settings, stub: OpenAIStub, streaming: bool
) -> None:
    tools = [{"agentSelectedTool": "calculator"}]
    flow = await made(client, chain(node("agent_0", "agent", **model("agent", stub.url), agentTools=tools)))
    gone = threading.Event()

    def thinking(_: object) -> str:
        assert gone.wait(120)
        return ""

    stub.script(Script(reply=thinking, calls=[Called("calculator", {"input": "6*7"})]))
    path, body = f"/api/v1/prediction/{flow}", {"question": "Six times seven?", "streaming": streaming}
    asked = asyncio.create_task(client.post(path, json=body))
    await happens(lambda: len(stub.requests) == 1)
    assert settings.database_url is not None
    async with away(resources.database, settings.database_url.get_secret_value()):
        gone.set()
        answer = await asked
    told = "The database does not answer"
    if streaming:
        assert '"event":"error"' in answer.text
        assert '"event":"metadata"' not in answer.text
    else:
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert told in answer.text
    assert len(stub.requests) == 2  # the agent itself needs no database
    again = await client.post(path, json=body)
    assert again.status_code == 200, again.text
    assert len(await messages(client, flow)) == 2
    await lapse(resources)
    assert sorted(item["state"] for item in await executions(client)) == ["ERROR", "FINISHED"]


async def test_a_full_disk_is_told_and_leaves_nothing(
    client: httpx.AsyncClient,
    resources: Resources,
    settings: Settings,
    stub: OpenAIStub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = {"name": "Seeing", "type": "CHATFLOW", "flowData": seeing(stub.url)}
    flow = (await client.post("/api/v1/chatflows", json=body)).json()["id"]
    path, question = f"/api/v1/prediction/{flow}", {"question": "What is this?", "uploads": [picture()]}
    with monkeypatch.context() as patch:
        patch.setattr("stores.blobs.local.os.fsync", full)
        answer = await client.post(path, json=question)
        assert (answer.status_code, answer.json()["code"]) == (507, "storage_full"), answer.text
    assert stub.requests == []

    async def never(*_: Any) -> bool:
        raise psycopg.errors.DiskFull("could not extend file: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("service.predictions.records.store", never)
        answer = await client.post(path, json=question)
        assert (answer.status_code, answer.json()["code"]) == (507, "storage_full"), answer.text
        streamed = await client.post(path, json={**question, "streaming": True})
        assert "disk" in json.loads(streamed.text.split("data:")[-2].split("\n")[0])["data"]
    assert await messages(client, flow) == []
    assert blobs(settings) == []
    assert (await client.post(path, json=question)).status_code == 200
    assert (len(await messages(client, flow)), len(blobs(settings))) == (2, 1)
