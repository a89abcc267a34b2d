"""What is kept of conversations, and for how long."""

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import pytest

from service.chatflows.keeping import Keeping, keeping_of
from service.predictions import keeping
from service.settings import Settings
from service.worker.jobs import HOUSEKEEPING
from tests.service.predictions.conftest import House
from tests.service.predictions.live import Live
from tests.stubs.openai_server import Script

UPLOADS = json.dumps({"fullFileUpload": {"status": True, "allowedUploadFileTypes": "text/plain"}})
SECRET = "my number is 5550123"


def said(**conversations: Any) -> str:
    """An apiConfig."""
    return json.dumps({"conversations": conversations})


def everything(house: House) -> str:
    """All rows of the database, as text, but those of flows, jobs and the service itself."""

    async def read() -> str:
        found = []
        async with house.live.resources.database.connection() as connection:
            cursor = await connection.execute(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
                " AND table_type = 'BASE TABLE'"
            )
            for row in await cursor.fetchall():
                rows = await connection.execute("SELECT to_jsonb(t)::text AS row FROM " + row["table_name"] + " t")
                found += [f"{row['table_name']}: {item['row']}" for item in await rows.fetchall()]
        return "\n".join(found)

    return house.live.run(read())


def age(house: House, flow: str, days: float) -> None:
    """Make the messages of a flow that much older."""

    async def change() -> None:
        async with house.live.resources.database.connection() as connection:
            await connection.execute(
                "UPDATE chat_messages SET created_at = created_at - make_interval(secs => %s) WHERE chatflow_id = %s",
                (days * 86400, UUID(flow)),
            )

    house.live.run(change())


def purged(house: House, **settings: Any) -> int:
    """How many messages housekeeping removes."""
    resources = replace(house.live.resources, settings=house.live.resources.settings.model_copy(update=settings))
    return house.live.run(keeping.forget_old(resources))


@pytest.mark.parametrize("streaming", [True, False])
def test_a_flow_that_stores_nothing_leaves_no_text_behind(house: House, streaming: bool) -> None:
    house.stub.script(Script(reply="The answer nobody keeps"), times=None)
    flow = house.writing({"apiConfig": said(store=False), "chatbotConfig": UPLOADS}, memory={})
    asked = {"question": SECRET, "chatId": "c-gone", "streaming": streaming, "leadEmail": "ann@example.org"}
    url, once = f"{house.live.url}/api/v1/prediction/{flow}", {"Idempotency-Key": "k1"}
    response = httpx.post(url, json=asked, headers=once, timeout=60)
    assert httpx.post(url, json=asked, headers=once, timeout=60).json()["code"] == "idempotency_answer_not_kept"
    assert "The answer nobody keeps" in response.text.replace('"}\n\nmessage:\ndata:{"event":"token","data":"', "")
    lead = {"chatflowid": flow, "chatId": "c-gone", "name": "Ann Gone", "email": "ann@example.org"}
    assert httpx.post(f"{house.live.url}/api/v1/leads", json=lead).json()["name"] == "Ann Gone"
    files = {"files": ("note.txt", b"the text of ann's file", "text/plain")}
    read = httpx.post(f"{house.live.url}/api/v1/attachments/{flow}/c-gone", files=files)
    assert read.json()[0]["content"] == "the text of ann's file"
    stored = everything(house)
    for text in (SECRET, "nobody keeps", "ann@example.org", "Ann Gone", "note.txt", "c-gone"):
        assert text not in stored
    assert house.messages(flow) == []
    assert not [path for path in (house.live.resources.settings.data / "blobs").rglob("*") if path.is_file()]


def test_the_model_of_a_flow_that_stores_nothing_sees_what_the_client_sends_and_no_more(house: House) -> None:
    flow = house.writing(memory={})
    house.ask(flow, SECRET, chatId="c1")
    house.client.put(f"/chatflows/{flow}", json={"apiConfig": said(store=False)})
    turns = [{"role": "userMessage", "content": "sent along"}, {"role": "apiMessage", "content": "well"}]
    house.ask(flow, "What did I say?", chatId="c1", history=turns)
    asked = str([request.body for request in house.stub.requests[1:]])
    assert "sent along" in asked
    assert SECRET not in asked


def test_history_that_a_client_sends_stands_before_what_is_stored(house: House) -> None:
    flow = house.writing(memory={})
    house.ask(flow, "stored", chatId="c1")
    house.ask(flow, "Now?", chatId="c1", history=[{"role": "userMessage", "content": "sent"}])
    contents = [item["content"] for item in house.stub.requests[-1].body["messages"][1:]]
    assert contents[:2] == ["sent", "stored"]


def test_the_operator_may_keep_nothing_where_flows_say_nothing(house: House, settings: Settings) -> None:
    quiet, loud = house.quoting(), house.quoting()
    house.client.put(f"/chatflows/{loud}", json={"apiConfig": said(store=True)})
    with Live(settings.model_copy(update={"store_messages": False})) as other:
        for flow in (quiet, loud):
            answer = httpx.post(f"{other.url}/api/v1/prediction/{flow}", json={"question": "leave?"}, timeout=60)
            assert answer.status_code == 200
    assert house.messages(quiet) == []
    assert len(house.messages(loud)) == 2


def test_messages_go_when_their_time_is_over_and_no_others(house: House) -> None:
    short, long, unsaid = house.quoting(), house.quoting(), house.quoting()
    house.client.put(f"/chatflows/{short}", json={"apiConfig": said(days=1)})
    house.client.put(f"/chatflows/{long}", json={"apiConfig": said(days=30.5)})
    for flow in (short, long, unsaid):
        house.ask(flow, chatId="c1")
        age(house, flow, 2)
        house.ask(flow, chatId="c1")
    assert purged(house) == 2
    assert [len(house.messages(flow)) for flow in (short, long, unsaid)] == [2, 4, 4]
    assert purged(house, message_days=1.5) == 2
    assert [len(house.messages(flow)) for flow in (short, long, unsaid)] == [2, 4, 2]
    house.client.put(f"/chatflows/{long}", json={"apiConfig": said(days=1)})
    assert purged(house) == 2
    house.client.put(f"/chatflows/{short}", json={"apiConfig": None})
    age(house, short, 9)
    assert purged(house) == 0
    assert HOUSEKEEPING["messages"] == "service.predictions.keeping:forget_old"


def test_files_go_with_the_conversation_of_which_nothing_is_left(house: House) -> None:
    flow = house.writing({"apiConfig": said(days=1), "chatbotConfig": UPLOADS})
    for chat in ("old", "new"):
        files = {"files": ("note.txt", b"text", "text/plain")}
        httpx.post(f"{house.live.url}/api/v1/attachments/{flow}/{chat}", files=files)
    house.ask(flow, chatId="old")
    age(house, flow, 2)
    house.ask(flow, chatId="new")
    assert purged(house) == 2

    async def read() -> list[Any]:
        async with house.live.resources.database.connection() as connection:
            cursor = await connection.execute("SELECT chat_id FROM attachments WHERE expires_at > now()")
            return [row["chat_id"] for row in await cursor.fetchall()]

    assert house.live.run(read()) == ["new"]


@pytest.mark.parametrize("days", ["1e9", "1e300", "1" + "0" * 400])
def test_messages_that_are_kept_for_ages_do_not_keep_those_of_others(house: House, days: str) -> None:
    short = house.writing({"apiConfig": said(days=1)})
    ages = house.writing({"apiConfig": f'{{"conversations": {{"days": {days}}}}}'})
    for flow in (short, ages):
        house.ask(flow)
        age(house, flow, 2)
    assert purged(house, message_days=1e12) == 2
    assert [len(house.messages(flow)) for flow in (short, ages)] == [0, 2]


@pytest.mark.parametrize(
    "conversations", ["no", {"store": "no"}, {"days": 0}, {"days": "7"}, {"days": True}, {"days": -1}, [1]]
)
def test_what_a_flow_cannot_mean_is_refused_when_it_is_kept(house: House, conversations: Any) -> None:
    flow = house.quoting()
    response = house.client.put(f"/chatflows/{flow}", json={"apiConfig": json.dumps({"conversations": conversations})})
    assert response.status_code == 400
    assert "conversations" in response.json()["message"]
    text = json.dumps({"conversations": conversations})
    assert keeping_of(text) == Keeping(store=False)


def test_a_flow_that_says_nothing_leaves_it_to_the_settings() -> None:
    for nothing in (None, "", "{", "[]", "null", "{}", '{"conversations": null}'):
        assert keeping_of(nothing) == Keeping()
    assert keeping_of(said(store=False, days=3)) == Keeping(False, 3.0)
    assert Keeping().stores(Settings())
    assert not Keeping().stores(Settings(store_messages=False))
    assert Keeping(store=True).stores(Settings(store_messages=False))
