"""What was said: listed by every filter, counted, deleted with all that hangs on it."""

from typing import Any

import httpx
import pytest

from service.api_keys import service as api_keys
from tests.service.predictions.conftest import House
from tests.service.predictions.live import DEFAULT_WORKSPACE

FIELDS = [
    "id", "role", "chatflowid", "executionId", "content", "sourceDocuments", "usedTools", "fileAnnotations",
    "agentReasoning", "reasonContent", "fileUploads", "artifacts", "action", "chatType", "chatId", "memoryType",
    "sessionId", "createdDate", "leadEmail", "followUpPrompts", "execution",
]  # fmt: skip


def listed(house: House, flow: str, path: str = "chatmessage", **query: Any) -> list[dict[str, Any]]:
    response = house.client.get(f"/{path}/{flow}", params=query)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()
    return found


def said(house: House, flow: str, **query: Any) -> list[str]:
    return [item["content"] for item in listed(house, flow, **query) if item["role"] == "userMessage"]


def rate(house: House, answer: dict[str, Any], rating: str, **more: Any) -> httpx.Response:
    body = {"messageId": answer["chatMessageId"], "rating": rating, **more}
    return httpx.post(f"{house.live.url}/api/v1/feedback", json=body)


@pytest.fixture
def flow(house: House) -> str:
    return house.quoting(memory={"sessionId": ""})


def test_messages_are_listed_in_the_order_of_the_conversation(house: House, flow: str) -> None:
    house.ask(flow, "How many days of leave?", chatId="c1", leadEmail="anna@example.org")
    house.ask(flow, "When does the office open?", chatId="c2")
    found = listed(house, flow)
    assert [list(item) for item in found] == [FIELDS] * 4
    question, answer = found[:2]
    assert (question["role"], question["content"]) == ("userMessage", "How many days of leave?")
    assert (question["leadEmail"], question["chatType"], question["memoryType"]) == (
        "anna@example.org",
        "EXTERNAL",
        "Buffer Memory",
    )
    assert answer["role"] == "apiMessage"
    assert answer["sourceDocuments"][0]["metadata"]["source"] == "handbook.md"
    newest = listed(house, flow, order="DESC")
    assert [item["id"] for item in newest] == [item["id"] for item in reversed(found)]


@pytest.mark.parametrize("kind", ['["\\u0000"]', '["\\ud800"]', '[{"a": 1}]'])
def test_a_kind_that_no_message_can_have_lists_none(house: House, flow: str, kind: str) -> None:
    house.ask(flow, chatId="c1")
    assert listed(house, flow, chatType=kind) == []
    assert house.client.delete(f"/chatmessage/{flow}", params={"chatType": kind}).json()["affected"] == 0


def test_every_filter_leaves_out_what_it_should(house: House, flow: str) -> None:
    first = house.ask(flow, "How many days of leave?", chatId="c1").json()
    house.ask(flow, "When does the office open?", overrideConfig={"sessionId": "s2"}, chatId="c2")
    assert said(house, flow, chatId="c1") == ["How many days of leave?"]
    assert said(house, flow, sessionId="s2") == ["When does the office open?"]
    assert said(house, flow, memoryType="Buffer Memory", chatType="EXTERNAL") == said(house, flow)
    assert said(house, flow, memoryType="Other") == said(house, flow, chatType='["INTERNAL","MCP"]') == []
    (only,) = listed(house, flow, messageId=first["chatMessageId"])
    assert only["id"] == first["chatMessageId"]
    moment = listed(house, flow, chatId="c2")[0]["createdDate"]
    assert said(house, flow, endDate="2020-01-01") == said(house, flow, startDate="2100-01-01T00:00:00Z") == []
    assert said(house, flow, startDate="2020-01-01", endDate="2100-01-01") == said(house, flow)
    assert said(house, flow, startDate=moment[:-1] + "+00:00") in ([], ["When does the office open?"])


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"startDate": "yesterday"}, "startDate"),
        ({"messageId": "7"}, "messageId"),
        ({"feedbackType": "GREAT"}, "feedbackType"),
        ({"chatType": "[1"}, "chatType"),
    ],
)
def test_a_filter_that_is_none_is_named(house: House, flow: str, query: dict[str, str], named: str) -> None:
    response = house.client.get(f"/chatmessage/{flow}", params=query)
    assert response.status_code == 422
    assert response.json()["error"].startswith(named)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"chatType": "[]"}, "chatType"),
        ({"chatType": ""}, "chatType"),
        ({"feedbackType": "[ ]", "chatId": "c1"}, "feedbackType"),
        ({"chatId": ""}, "chatId"),
        ({"sessionId": "", "chatId": "c1"}, "sessionId"),
        ({"endDate": ""}, "endDate"),
        ({"messageId": ""}, "messageId"),
    ],
)
def test_a_filter_without_a_value_lists_all_but_deletes_nothing(
    house: House, flow: str, query: dict[str, str], named: str
) -> None:
    house.ask(flow, chatId="c1")
    assert len(listed(house, flow, **query)) == 2
    refused = house.client.delete(f"/chatmessage/{flow}", params=query)
    assert refused.status_code == 422, refused.text
    assert refused.json()["error"].startswith(f"{named}: ")
    assert len(listed(house, flow)) == 2


def test_one_message_can_be_deleted(house: House, flow: str) -> None:
    answer = house.ask(flow, chatId="c1").json()["chatMessageId"]
    gone = house.client.delete(f"/chatmessage/{flow}", params={"messageId": answer})
    assert gone.json()["affected"] == 1
    assert [item["role"] for item in listed(house, flow)] == ["userMessage"]


def test_with_feedback_each_message_brings_it_and_pages_are_of_sessions(house: House, flow: str) -> None:
    answers = [house.ask(flow, f"How many days of leave? {n}", chatId=f"c{n}").json() for n in range(3)]
    rate(house, answers[0], "THUMBS_UP", content="fine")
    rate(house, answers[2], "THUMBS_DOWN")
    found = listed(house, flow, feedback="true")
    assert [list(item) for item in found] == [[*FIELDS, "feedback"]] * 6
    ratings = [item["feedback"] and item["feedback"]["rating"] for item in found]
    assert ratings == [None, "THUMBS_UP", None, None, None, "THUMBS_DOWN"]
    down = listed(house, flow, feedback="true", feedbackType="THUMBS_DOWN")
    assert down[0]["content"] == "How many days of leave? 2"
    assert [item["role"] for item in down] == ["userMessage", "apiMessage"]
    assert len(listed(house, flow, feedbackType='["THUMBS_UP","THUMBS_DOWN"]')) == 4
    pages = [listed(house, flow, feedback="1", page=page, limit=2) for page in (1, 2, 3)]
    assert [sorted({item["chatId"] for item in page}) for page in pages] == [["c1", "c2"], ["c0"], []]
    assert len(listed(house, flow, page=1, limit=1)) == 6  # without feedback there are no pages


def test_a_chatflow_in_numbers(house: House, flow: str) -> None:
    answers = [house.ask(flow, chatId=f"c{n}").json() for n in (1, 1, 2)]
    rate(house, answers[0], "THUMBS_UP")
    rate(house, answers[1], "THUMBS_DOWN")
    stats = house.client.get(f"/stats/{flow}").json()
    assert stats == {"totalMessages": 6, "totalSessions": 2, "totalFeedback": 2, "positiveFeedback": 1}
    up = house.client.get(f"/stats/{flow}", params={"feedbackType": "THUMBS_UP"}).json()
    assert up == {"totalMessages": 2, "totalSessions": 1, "totalFeedback": 1, "positiveFeedback": 1}
    none = house.client.get(f"/stats/{flow}", params={"chatType": "NONSENSE"}).json()
    assert set(none.values()) == {0}


def test_what_is_deleted_is_forgotten_by_the_flow_too(house: House) -> None:
    flow = house.writing(memory={"sessionId": ""})
    house.ask(flow, "My name is Anna.", chatId="c1")
    rate(house, house.ask(flow, "And again?", chatId="c1").json(), "THUMBS_UP")
    house.ask(flow, "Who else?", chatId="c2")
    gone = house.client.delete(f"/chatmessage/{flow}", params={"chatId": "c1"})
    assert gone.json() == {"raw": [], "affected": 4}
    assert said(house, flow) == ["Who else?"]
    assert house.client.get(f"/feedback/{flow}").json() == []
    house.ask(flow, "What is my name?", chatId="c1")
    assert "Anna" not in str(house.stub.requests[-1].body)
    assert house.client.delete(f"/chatmessage/{flow}").json()["affected"] == 4
    assert listed(house, flow) == []


def test_messages_of_one_flow_only(house: House, flow: str) -> None:
    other = house.quoting()
    house.ask(flow)
    house.ask(other)
    house.client.delete(f"/chatmessage/{other}")
    assert len(listed(house, flow)) == 2


def test_an_internal_prediction_needs_a_key_and_is_listed_apart(house: House, flow: str) -> None:
    url = f"{house.live.url}/api/v1/internal-prediction/{flow}"
    assert httpx.post(url, json={"question": "Leave?"}).status_code == 401
    answer = house.client.post(f"/internal-prediction/{flow}", json={"question": "How many days of leave?"})
    assert answer.status_code == 200, answer.text
    house.ask(flow, "When does the office open?")
    assert listed(house, flow, "internal-chatmessage")[0]["content"] == "How many days of leave?"
    assert said(house, flow, chatType="INTERNAL") == ["How many days of leave?"]
    assert said(house, flow, chatType="EXTERNAL") == ["When does the office open?"]


def test_an_internal_prediction_passes_the_rules_that_are_for_visitors(house: House) -> None:
    guarded = house.quoting()
    config = '{"allowedOrigins":["https://shop.example"]}'
    assert house.client.put(f"/chatflows/{guarded}", json={"chatbotConfig": config}).status_code == 200
    page = {"Origin": "https://elsewhere.example"}
    refused = house.client.post(f"/prediction/{guarded}", json={"question": "Leave?"}, headers=page)
    assert refused.status_code == 403
    let_in = house.client.post(f"/internal-prediction/{guarded}", json={"question": "Leave?"}, headers=page)
    assert let_in.status_code == 200


def test_what_was_said_to_somebody_is_listed_to_those_who_may_read_every_document(house: House, flow: str) -> None:
    def key(*scopes: str, **more: Any) -> dict[str, str]:
        database = house.live.resources.database
        _, secret = house.live.run(api_keys.create(database, DEFAULT_WORKSPACE, "other", scopes, **more))
        return {"Authorization": f"Bearer {secret}"}

    place = f"{house.live.url}/api/v1"
    house.ask(flow, "Asked by anybody")
    house.client.post(f"/prediction/{flow}", json={"question": "Asked by a key"})
    house.client.post(f"/prediction/{flow}", json={"question": "Asked for Anna", "principals": ["user:anna"]})
    bound = key("*", principals=["user:bert"])
    httpx.post(f"{place}/prediction/{flow}", json={"question": "Asked as Bert"}, headers=bound)
    assert len(said(house, flow)) == 4
    for scopes, expected in ((["chatflows:view"], 2), (["chatflows:view", "documentStores:view"], 4)):
        for query in ({}, {"feedback": "true"}):
            read = httpx.get(f"{place}/chatmessage/{flow}", headers=key(*scopes), params=query)
            assert len(read.json()) == 2 * expected
            assert ("Anna" in read.text) is ("Bert" in read.text) is (expected == 4)
