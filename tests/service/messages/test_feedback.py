"""Thumbs up and down, and who is asking: from widgets, for those who own the chatflow."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.service.predictions.conftest import House


@pytest.fixture
def flow(house: House) -> str:
    return house.quoting()


def post(house: House, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    """A call without a key."""
    return httpx.post(f"{house.live.url}/api/v1/{path}", json=body, headers=headers)


def test_feedback_is_kept_shown_and_changed(house: House, flow: str) -> None:
    answer = house.ask(flow, chatId="c1").json()
    body = {"chatflowid": flow, "chatId": "c1", "messageId": answer["chatMessageId"], "rating": "THUMBS_UP"}
    given = post(house, "feedback", {**body, "content": ""})
    assert given.status_code == 200, given.text
    shown = given.json()
    assert list(shown) == ["id", "chatflowid", "chatId", "messageId", "rating", "content", "createdDate"]
    assert (shown["chatflowid"], shown["chatId"], shown["rating"]) == (flow, "c1", "THUMBS_UP")
    changed = httpx.put(f"{house.live.url}/api/v1/feedback/{shown['id']}", json={"content": "helped"})
    assert (changed.status_code, changed.json()) == (200, {"status": "OK"})
    (kept,) = house.client.get(f"/feedback/{flow}", params={"chatId": "c1"}).json()
    assert (kept["rating"], kept["content"]) == ("THUMBS_UP", "helped")
    assert house.client.get(f"/feedback/{flow}", params={"chatId": "c2"}).json() == []


def test_a_second_opinion_takes_the_place_of_the_first(house: House, flow: str) -> None:
    answer = house.ask(flow).json()
    first = post(house, "feedback", {"messageId": answer["chatMessageId"], "rating": "THUMBS_UP"}).json()
    second = post(house, f"feedback/{flow}", {"messageId": answer["chatMessageId"], "rating": "THUMBS_DOWN"}).json()
    assert second["id"] == first["id"]
    (kept,) = house.client.get(f"/feedback/{flow}").json()
    assert kept["rating"] == "THUMBS_DOWN"


def test_what_is_no_feedback_is_refused(house: House, flow: str) -> None:
    answer = house.ask(flow, chatId="c1").json()
    message = {"messageId": answer["chatMessageId"]}
    for body, status, named in (
        ({"rating": "THUMBS_UP"}, 400, "messageId"),
        ({"messageId": "", "rating": "THUMBS_UP"}, 400, "messageId"),
        (message, 400, "rating"),
        ({**message, "rating": "GREAT"}, 422, "rating"),
        ({**message, "rating": "THUMBS_UP", "chatId": "c2"}, 400, "chatId"),
        ({**message, "rating": "THUMBS_UP", "chatflowid": str(uuid4())}, 400, "chatflowid"),
        ({**message, "rating": "THUMBS_UP", "content": "x" * 10_001}, 422, "content"),
        ({"messageId": str(uuid4()), "rating": "THUMBS_UP"}, 404, "Message"),
    ):
        response = post(house, "feedback", body)
        assert response.status_code == status, (body, response.text)
        assert named in response.json()["error"], (body, response.text)
    assert house.client.get(f"/feedback/{flow}").json() == []


def test_reading_feedback_and_leads_needs_a_key(house: House, flow: str) -> None:
    for path in ("feedback", "leads"):
        assert httpx.get(f"{house.live.url}/api/v1/{path}/{flow}").status_code == 401


def test_pages_of_other_origins_say_nothing(house: House, flow: str) -> None:
    answer = house.ask(flow).json()
    config = '{"allowedOrigins":["https://shop.example"]}'
    assert house.client.put(f"/chatflows/{flow}", json={"chatbotConfig": config}).status_code == 200
    body = {"messageId": answer["chatMessageId"], "rating": "THUMBS_UP"}
    lead = {"chatflowid": flow, "name": "Anna"}
    for origin, status in (("https://evil.example", 403), ("https://shop.example", 200)):
        assert post(house, "feedback", body, Origin=origin).status_code == status
        assert post(house, "leads", lead, Origin=origin).status_code == status
    (kept,) = house.client.get(f"/feedback/{flow}").json()
    url = f"{house.live.url}/api/v1/feedback/{kept['id']}"
    assert httpx.put(url, json={"content": "spam"}, headers={"Origin": "https://evil.example"}).status_code == 403


def test_leads_are_kept_and_shown(house: House, flow: str) -> None:
    lead = {"chatflowid": flow, "chatId": "c1", "name": "Anna", "email": "anna@example.org", "phone": "1"}
    shown = post(house, "leads", lead).json()
    assert list(shown) == ["id", "chatflowid", "chatId", "name", "email", "phone", "createdDate"]
    without = post(house, "leads", {"chatflowid": flow, "email": "bo@example.org"}).json()
    assert without["chatId"]
    found = house.client.get(f"/leads/{flow}").json()
    assert [item["email"] for item in found] == ["anna@example.org", "bo@example.org"]
    assert post(house, "leads", {"name": "Anna"}).status_code == 400
    assert post(house, "leads", {"chatflowid": str(uuid4())}).status_code == 404
    assert post(house, "leads", {"chatflowid": flow, "name": "x" * 501}).status_code == 422


def test_all_goes_with_the_chatflow(house: House, flow: str) -> None:
    answer = house.ask(flow).json()
    post(house, "feedback", {"messageId": answer["chatMessageId"], "rating": "THUMBS_UP"})
    post(house, "leads", {"chatflowid": flow})
    assert house.client.delete(f"/chatflows/{flow}").json()["affected"] == 1

    async def left() -> int:
        async with house.live.resources.database.connection() as connection:
            cursor = await connection.execute("SELECT (SELECT count(*) FROM feedback) + (SELECT count(*) FROM leads) n")
            row = await cursor.fetchone()
            assert row is not None
            return int(row["n"])

    assert house.live.run(left()) == 0
