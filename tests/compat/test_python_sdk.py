"""The published Python SDK, unmodified, against a running service."""

import json

import pytest
import requests
from flowise import Flowise, IMessage, PredictionData

from service.api_keys import service as api_keys
from tests.service.predictions.conftest import House
from tests.service.predictions.live import DEFAULT_WORKSPACE
from tests.stubs.openai_server import Script


def test_a_plain_prediction(house: House) -> None:
    client = Flowise(base_url=house.live.url)
    data = PredictionData(
        chatflowId=house.quoting(memory={}),
        question="How many days of leave?",
        chatId="c1",
        overrideConfig={"sessionId": "s1"},
        history=[IMessage(message="Hello", type="userMessage", role="userMessage", content="Hello")],
    )
    (answer,) = client.create_prediction(data)
    assert answer["text"] == "Every employee has 30 days of paid leave a year. [1]"
    assert (answer["chatId"], answer["sessionId"]) == ("c1", "s1")


def test_a_streamed_prediction(house: House) -> None:
    house.stub.script(Script(reply="See the data: sheet \u2028 and data:image/png;base64,AAAA"))
    client = Flowise(base_url=house.live.url)
    data = PredictionData(chatflowId=house.writing(memory={}), question="How many days of leave?", streaming=True)
    events = [json.loads(event) for event in client.create_prediction(data)]
    assert [event["event"] for event in events[:2]] == ["start", "token"]
    assert [event["event"] for event in events[-3:]] == ["sourceDocuments", "metadata", "end"]
    text = "".join(event["data"] for event in events if event["event"] == "token")
    assert text == "See the data: sheet \u2028 and data:image/png;base64,AAAA"


def test_a_flow_that_cannot_stream_gives_one_answer(house: House) -> None:
    flow = house.writing(model={"streaming": False})
    (answer,) = Flowise(base_url=house.live.url).create_prediction(
        PredictionData(chatflowId=flow, question="How many days of leave?", streaming=True)
    )
    assert answer["text"]


def test_a_flow_bound_to_a_key(house: House) -> None:
    key, secret = house.live.run(api_keys.create(house.live.resources.database, DEFAULT_WORKSPACE, "sdk"))
    flow = house.quoting()
    house.client.put(f"/chatflows/{flow}", json={"apikeyid": str(key.id)})
    data = PredictionData(chatflowId=flow, question="How many days of leave?")
    (answer,) = Flowise(base_url=house.live.url, api_key=secret).create_prediction(data)
    assert "30 days" in answer["text"]
    with pytest.raises(requests.HTTPError, match="401"):
        list(Flowise(base_url=house.live.url).create_prediction(data))


def test_an_unknown_flow_raises(house: House) -> None:
    data = PredictionData(chatflowId="5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11", question="Q")
    with pytest.raises(requests.HTTPError, match="404"):
        list(Flowise(base_url=house.live.url).create_prediction(data))
