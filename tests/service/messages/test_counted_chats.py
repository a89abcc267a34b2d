"""Clients that count their chats and sessions: Flowise takes numbers where it keeps texts."""

import json
from typing import Any

import httpx
import pytest

from service.http.wire import id_text
from tests.service.predictions.conftest import House


@pytest.mark.parametrize(
    ("number", "text"),
    [("7", "7"), ("0", "0"), ("-3", "-3"), ("7.0", "7"), ("7.5", "7.5"), ("1e3", "1000"), ("1732270000000", None)],
)
def test_a_chat_that_is_a_number_is_kept_as_its_text(house: House, number: str, text: str | None) -> None:
    flow, wanted = house.quoting(), text or number
    url = f"{house.live.url}/api/v1/prediction/{flow}"
    answer = httpx.post(url, content=f'{{"question": "How many days?", "chatId": {number}}}').json()
    assert (answer["chatId"], answer["sessionId"]) == (wanted, wanted)
    found = house.client.get(f"/chatmessage/{flow}", params={"chatId": wanted}).json()
    assert [item["chatId"] for item in found] == [wanted, wanted]


@pytest.mark.parametrize("path", ["prediction", "internal-prediction"])
def test_a_session_that_is_a_number_is_kept_as_its_text(house: House, path: str) -> None:
    flow = house.quoting()
    body: dict[str, Any] = {"question": "How many days?", "overrideConfig": {"sessionId": 42}}
    answer = house.client.post(f"/{path}/{flow}", json=body).json()
    assert answer["sessionId"] == "42"
    found = house.client.get(f"/chatmessage/{flow}", params={"sessionId": 42}).json()
    assert [item["sessionId"] for item in found] == ["42", "42"]


def test_feedback_and_leads_take_numbers_too(house: House) -> None:
    flow = house.quoting()
    answer = house.ask(flow, chatId=12).json()
    body = {"chatflowid": flow, "chatId": 12, "messageId": answer["chatMessageId"], "rating": "THUMBS_UP"}
    given = house.client.post("/feedback", json=body)
    assert (given.status_code, given.json()["chatId"]) == (200, "12")
    assert len(house.client.get(f"/feedback/{flow}", params={"chatId": 12}).json()) == 1
    lead = house.client.post("/leads", json={"chatflowid": flow, "chatId": 12, "name": "Anna"})
    assert (lead.status_code, lead.json()["chatId"]) == (200, "12")


@pytest.mark.parametrize("value", [None, True, False, [1], {"$ne": 1}, "7", float("inf"), float("nan")])
def test_what_is_no_finite_number_stays_as_it_is(value: object) -> None:
    assert id_text(value) is value


def test_long_numbers_are_read_whole() -> None:
    assert id_text(json.loads("9" * 400)) == "9" * 400
    assert id_text(1e300) == "1e+300"
