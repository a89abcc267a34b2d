"""Which pages may call: the flow's rule on the widget's routes, on answers, errors and preflights alike."""

import json

import httpx
import pytest

from tests.service.chatflows.flows import rag
from tests.service.predictions.conftest import House

PAGE = "https://shop.example"
WIDGET = (
    "prediction/{}",
    "public-chatbotConfig/{}",
    "chatflows-streaming/{}",
    "chatmessage/abort/{}/c1",
    "feedback/{}",
    "leads/",
    "leads",
    "attachments/{}/c1",
    "vector/upsert/{}",
    "get-upload-file?chatflowId={}&chatId=c1&fileName=a.png",
    "chatflows-uploads/{}",
    "public-chatflows/{}",
    "openai-assistants-file/download",
    "text-to-speech/generate",
    "text-to-speech/abort",
    "prediction/{}/",
    "chatflows-streaming/{}/",
    "feedback/{}/",
)


def allowed(response: httpx.Response) -> str | None:
    """The origin that may read the answer."""
    assert "Origin" in response.headers["vary"]
    origin: str | None = response.headers.get("access-control-allow-origin")
    return origin


def preflight(house: House, path: str, origin: str = PAGE) -> httpx.Response:
    """A browser's question before the call."""
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    return httpx.options(f"{house.live.url}/api/v1/{path}", headers=headers)


@pytest.mark.parametrize("path", WIDGET)
def test_a_preflight_is_answered_as_flowise_does(house: House, path: str) -> None:
    response = preflight(house, path.format(house.quoting()))
    assert response.status_code == 204
    assert response.content == b""
    assert response.headers["access-control-allow-origin"] == PAGE
    assert response.headers["access-control-allow-methods"] == "GET,HEAD,PUT,PATCH,POST,DELETE"
    assert response.headers["access-control-allow-headers"] == "authorization,content-type"
    assert response.headers["vary"] == "Origin, Access-Control-Request-Headers"


def test_a_flow_without_a_list_reflects_every_origin_on_answers_and_errors(house: House) -> None:
    url = f"{house.live.url}/api/v1"
    flow, headers = house.quoting(), {"Origin": PAGE}
    body = {"question": "How many days of leave?"}
    assert allowed(httpx.post(f"{url}/prediction/{flow}", json=body, headers=headers)) == PAGE
    assert allowed(httpx.post(f"{url}/prediction/{flow}/", json={**body, "streaming": True}, headers=headers)) == PAGE
    for path in (f"prediction/{flow}", "prediction/nonsense", "prediction", "chatflows-streaming/nonsense"):
        response = httpx.post(f"{url}/{path}", json={}, headers=headers)
        assert response.status_code >= 400
        assert allowed(response) == PAGE
    assert allowed(httpx.post(f"{url}/prediction/{flow}", json=body, headers={"Origin": "null"})) is None
    assert allowed(httpx.post(f"{url}/prediction/{flow}", json=body)) is None


def test_a_list_lets_in_its_hosts_only(house: House) -> None:
    config = {"allowedOrigins": ["https://shop.example", "nonsense"], "allowedOriginsError": "Not here."}
    flow = house.writing({"chatbotConfig": json.dumps(config)})
    url, body = f"{house.live.url}/api/v1/prediction/{flow}", {"question": "How many days of leave?"}
    assert httpx.post(url, json=body).status_code == 200
    assert httpx.post(url, json=body, headers={"Origin": PAGE}).status_code == 200
    evil = {"Origin": "https://shop.example.evil.example"}
    plain = httpx.post(url, json=body, headers=evil)
    assert (plain.status_code, plain.json()["message"], allowed(plain)) == (403, "Not here.", None)
    streamed = httpx.post(url, json={**body, "streaming": True}, headers=evil)
    assert (streamed.status_code, streamed.text) == (403, "Not here.")
    assert streamed.headers["content-type"].startswith("text/plain")
    assert allowed(preflight(house, f"prediction/{flow}", "https://evil.example")) is None
    assert allowed(preflight(house, f"prediction/{flow}")) == PAGE
    assert len(house.stub.requests) == 2


@pytest.mark.parametrize(
    "path",
    [path for path in WIDGET if "{}" in path and path.rstrip("/") != "feedback/{}"],
)
def test_a_list_closes_the_preflights_of_every_path_that_names_the_flow(house: House, path: str) -> None:
    config = json.dumps({"allowedOrigins": [PAGE]})
    flow = house.quoting()
    house.client.put(f"/chatflows/{flow}", json={"chatbotConfig": config})
    assert allowed(preflight(house, path.format(flow))) == PAGE
    assert allowed(preflight(house, path.format(flow), "https://evil.example")) is None


def test_feedback_and_leads_of_other_pages_are_refused(house: House) -> None:
    flow = house.flow(rag(house.shelf.store), chatbotConfig=json.dumps({"allowedOrigins": [PAGE]}))
    message = house.ask(flow).json()["chatMessageId"]
    said = {"chatflowid": flow, "messageId": message, "rating": "THUMBS_UP"}
    url = f"{house.live.url}/api/v1"
    given = httpx.post(f"{url}/feedback/{flow}", json=said, headers={"Origin": PAGE})
    assert (given.status_code, allowed(given)) == (200, PAGE)
    for method, path, body in (
        ("POST", f"feedback/{flow}", said),
        ("PUT", f"feedback/{given.json()['id']}", {"content": "No"}),
        ("POST", "leads/", {"chatflowid": flow, "name": "Anna"}),
    ):
        response = httpx.request(method, f"{url}/{path}", json=body, headers={"Origin": "https://evil.example"})
        assert response.status_code == 403, path


def test_a_changed_list_counts_at_once(house: House) -> None:
    flow = house.quoting()
    assert allowed(preflight(house, f"prediction/{flow}")) == PAGE
    config = json.dumps({"allowedOrigins": ["https://other.example"]})
    house.client.put(f"/chatflows/{flow}", json={"chatbotConfig": config})
    body = {"question": "How many days of leave?"}
    response = httpx.post(f"{house.live.url}/api/v1/prediction/{flow}", json=body, headers={"Origin": PAGE})
    assert response.status_code == 403


def test_a_list_of_nothing_is_no_list_and_a_list_of_nonsense_closes(house: House) -> None:
    for origins, expected in (([""], PAGE), ([], PAGE), (["shop.example"], None)):
        flow = house.quoting()
        house.client.put(f"/chatflows/{flow}", json={"chatbotConfig": json.dumps({"allowedOrigins": origins})})
        assert allowed(preflight(house, f"prediction/{flow}")) == expected, origins


def test_a_list_of_origins_that_is_none_is_refused_and_not_read_as_everybody(house: House) -> None:
    flow = house.quoting()
    for origins, status in ((PAGE, 400), ({"0": PAGE}, 400), (None, 200), ("", 200), ([PAGE], 200)):
        config = json.dumps({"allowedOrigins": origins})
        response = house.client.put(f"/chatflows/{flow}", json={"chatbotConfig": config})
        assert response.status_code == status, origins
        if status == 400:
            assert "chatbotConfig.allowedOrigins" in response.json()["message"]


def test_other_routes_are_closed_to_pages_unless_the_operator_says_otherwise(house: House) -> None:
    response = house.client.get("/chatflows", headers={"Origin": PAGE})
    assert response.status_code == 200
    assert allowed(response) is None
    assert allowed(preflight(house, "chatflows")) is None
