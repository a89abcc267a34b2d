"""The published TypeScript SDK, unmodified, against a running service."""

from typing import Any

import pytest

from service.api_keys import service as api_keys
from tests.clients.conftest import drive
from tests.service.chatflows.flows import node, rag
from tests.service.predictions.conftest import House
from tests.service.predictions.live import DEFAULT_WORKSPACE
from tests.service.predictions.test_uploads import said
from tests.service.predictions.uploads import chain, note, picture
from tests.stubs.openai_server import Script

pytestmark = [pytest.mark.clients, pytest.mark.usefixtures("packages")]

QUESTION = "How many days of leave?"
UNKNOWN = "5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11"


def ask(house: House, flow: str, *, key: str | None = None, **fields: Any) -> dict[str, Any]:
    """What the SDK gives its caller."""
    client = {"baseUrl": house.live.url} | ({"apiKey": key} if key else {})
    return drive("sdk.mjs", {"client": client, "prediction": {"chatflowId": flow, "question": QUESTION, **fields}})


def test_a_plain_prediction(house: House) -> None:
    answer = ask(house, house.quoting(memory={}), chatId="c1", overrideConfig={"sessionId": "s1"})["answer"]
    assert answer["text"] == "Every employee has 30 days of paid leave a year. [1]"
    assert (answer["chatId"], answer["sessionId"]) == ("c1", "s1")


def test_a_streamed_prediction(house: House) -> None:
    reply = "Ünïcödé 日本語 🙂 and data: a sheet\n\nnew paragraph \u2028 end."
    house.stub.script(Script(reply=reply))
    events = ask(house, house.writing(memory={}), streaming=True)["events"]
    names = [event["event"] for event in events]
    assert names[:2] == ["start", "token"]
    assert names[-3:] == ["sourceDocuments", "metadata", "end"]
    assert events[0]["data"] == events[1]["data"]
    assert "".join(event["data"] for event in events if event["event"] == "token") == reply


def test_a_stream_with_ids_reads_as_any_other(house: House) -> None:
    flow = house.writing(memory={})
    plain = ask(house, flow, streaming=True, chatId="c1")["events"]
    numbered = ask(house, flow, streaming=True, chatId="c2", resumable=True)["events"]
    assert [event["event"] for event in numbered] == [event["event"] for event in plain]


def test_a_flow_that_cannot_stream_gives_one_answer(house: House) -> None:
    assert ask(house, house.writing(model={"streaming": False}), streaming=True)["answer"]["text"]


@pytest.mark.parametrize("streaming", [False, True], ids=["plain", "streamed"])
def test_a_flow_bound_to_a_key(house: House, streaming: bool) -> None:
    bound, secret = house.live.run(api_keys.create(house.live.resources.database, DEFAULT_WORKSPACE, "sdk"))
    flow = house.quoting()
    house.client.put(f"/chatflows/{flow}", json={"apikeyid": str(bound.id)})
    assert "error" not in ask(house, flow, key=secret, streaming=streaming)
    for key in (None, house.key):
        refused = ask(house, flow, key=key, streaming=streaming)
        if streaming:
            assert refused == {"error": "HTTP error! status: 401"}
        else:  # the SDK hands over any JSON without looking at the status
            assert refused["answer"]["statusCode"] == 401


@pytest.mark.parametrize("streaming", [False, True], ids=["plain", "streamed"])
def test_an_unknown_flow_says_so(house: House, streaming: bool) -> None:
    answer = ask(house, UNKNOWN, streaming=streaming)["answer"]
    assert (answer["statusCode"], answer["success"]) == (404, False)
    assert UNKNOWN in answer["message"]


def test_a_failing_model_ends_the_stream_with_its_error(house: House) -> None:
    house.stub.script(Script(status=500), times=None)
    events = ask(house, house.writing(), streaming=True)["events"]
    assert [event["event"] for event in events] == ["error", "end"]
    assert ask(house, house.writing())["answer"]["statusCode"] >= 500


def test_a_flow_that_cannot_run_is_refused_with_a_status(house: House) -> None:
    flow = house.flow(rag(house.shelf.store, model=node("m", "chatMystery", "Chat Models", {"streaming": True})))
    assert ask(house, flow, streaming=True) == {"error": "HTTP error! status: 422"}
    assert ask(house, flow)["answer"]["code"] == "flow_not_runnable"


@pytest.mark.parametrize("streaming", [False, True], ids=["plain", "streamed"])
def test_a_picture_and_a_document_go_along(house: House, streaming: bool) -> None:
    flow = house.flow(chain(house.stub.url))
    ask(house, flow, streaming=streaming, uploads=[picture(), note()], overrideConfig={"vars": {"tone": "kind"}})
    words, shown = said(house)
    assert "4711" in words["text"]
    assert shown["type"] == "image_url"
