"""Chat widgets have no key: they upsert only where the operator, the flow and its origins all say so."""

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from service.api_keys import service as api_keys
from service.resources import Resources
from service.settings import Settings, load
from service.worker.runner import Runner
from tests.service.chatflows.flows import node
from tests.service.flow_upserts.conftest import API, Flows
from tests.service.flow_upserts.flows import HANDBOOK, fake, filled, loader, opened

PAGE = {"Origin": "https://shop.example"}
FILE = ("handbook.txt", HANDBOOK)
TAKING = {"store_0": ("postgres", {"fileUpload": True})}


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """Widgets may upsert."""
    place = {"data": tmp_path / "data", "database_url": database_url, "database_pool": 12}
    return load({}, {**place, "widget_upserts": True})


def graph(stores: Any = None) -> str:
    """A flow that takes files."""
    return filled(loader("textFile"), loader("plainText", text="Shared."), stores=stores or TAKING, embedding=fake())


async def test_a_page_upserts_files_of_its_conversation(
    flows: Flows, anonymous: httpx.AsyncClient, worker: Runner
) -> None:
    flow = await flows.make(graph(), chatbotConfig='{"allowedOrigins":["https://shop.example"]}')
    response = await flows.send(flow, FILE, client=anonymous, headers=PAGE, chatId="c1")
    assert response.status_code == 200, response.text
    assert response.headers["access-control-allow-origin"] == PAGE["Origin"]
    answer = response.json()
    assert answer["numAdded"] == 1
    assert answer["addedDocs"][0]["metadata"]["flowise_chatId"] == "c1"


async def test_it_can_do_nothing_else(flows: Flows, anonymous: httpx.AsyncClient, worker: Runner) -> None:
    flow = await flows.make(graph(), apiConfig=opened(plainText=["text"], textFile=["metadata"]))
    for fields in ({}, {"chatId": ""}):
        without = await flows.send(flow, FILE, client=anonymous, headers=PAGE, **fields)
        assert without.status_code == 422
    assert (await flows.send(flow, client=anonymous, headers=PAGE, chatId="c1")).status_code == 422
    fields = {"chatId": "c1", "stopNodeId": "other", "metadata": '{"team":"hr"}', "text": "Mine."}
    answer = (await flows.send(flow, FILE, client=anonymous, headers=PAGE, **fields)).json()
    assert answer["totalKeys"] == 1
    assert "team" not in answer["addedDocs"][0]["metadata"]


async def test_every_other_call_without_a_key_is_401(
    flows: Flows, anonymous: httpx.AsyncClient, resources: Resources, workspace: UUID
) -> None:
    key, _ = await api_keys.create(resources.database, workspace, "flow")
    two = {name: ("postgres", {"fileUpload": True}) for name in ("one", "two")}
    closed = [
        (str(uuid4()), PAGE),
        ("nonsense", PAGE),
        (await flows.make(graph()), {}),
        (await flows.make(graph(), chatbotConfig='{"allowedOrigins":["https://other.example"]}'), PAGE),
        (await flows.make(graph(), apikeyid=str(key.id)), PAGE),
        (await flows.make(graph({"store_0": ("postgres", {})})), PAGE),
        (await flows.make(graph({"store_0": ("weaviate", {"fileUpload": True})})), PAGE),
        (await flows.make(graph(two)), PAGE),
        (await flows.make('{"nodes":[],"edges":[]}'), PAGE),
    ]
    answers = set()
    for flow, headers in closed:
        response = await flows.send(flow, FILE, client=anonymous, headers=headers, chatId="c1")
        answers.add((response.status_code, response.text))
    assert len(answers) == 1
    assert answers.pop()[0] == 401
    open_flow = await flows.make(graph())
    wrong = await flows.send(open_flow, FILE, client=anonymous, headers={**PAGE, "Authorization": "Bearer wrong"})
    assert wrong.status_code == 401
    keyed = {**PAGE, "Origin": "https://evil.example", "Idempotency-Key": "k1"}
    closed_flow = await flows.make(graph(), chatbotConfig='{"allowedOrigins":["https://shop.example"]}')
    for _ in range(2):  # nothing of such a call is read, so nothing is kept of it
        assert (await flows.send(closed_flow, FILE, client=anonymous, headers=keyed, chatId="c1")).status_code == 401
    assert await flows.talk.rows("SELECT key FROM idempotency_keys") == []
    internal = await anonymous.post(f"{API}/vector/internal-upsert/{open_flow}", headers=PAGE)
    assert internal.status_code == 401


async def test_it_is_off_unless_the_operator_says_so(
    flows: Flows, anonymous: httpx.AsyncClient, resources: Resources
) -> None:
    object.__setattr__(resources, "settings", resources.settings.model_copy(update={"widget_upserts": False}))
    flow = await flows.make(graph())
    assert (await flows.send(flow, FILE, client=anonymous, headers=PAGE, chatId="c1")).status_code == 401
    assert Settings().widget_upserts is False


@pytest.mark.parametrize("part", ["store", "embedding"])
async def test_a_page_is_not_told_what_the_flow_is_set_up_with(
    flows: Flows, anonymous: httpx.AsyncClient, worker: Runner, part: str
) -> None:
    inside = "http://10.20.30.40:6333"
    place = {"qdrantServerUrl": inside} if part == "store" else {}
    stores = {"store_0": ("qdrant" if part == "store" else "postgres", {"fileUpload": True, **place})}
    other = node("e", "openAIEmbeddings", "Embeddings", {"basepath": inside})
    embedding = fake() if part == "store" else other
    flow = await flows.make(filled(loader("textFile"), stores=stores, embedding=embedding))
    told = await flows.send(flow, FILE, client=anonymous, headers=PAGE, chatId="c1")
    assert told.status_code >= 400
    assert "in its log, at " in told.json()["message"]
    assert "10.20.30.40" not in told.text
    owner = await flows.send(flow, FILE, chatId="c1")
    assert owner.status_code == told.status_code
    assert "10.20.30.40" in owner.json()["message"]
