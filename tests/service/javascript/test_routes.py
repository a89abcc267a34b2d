"""Functions tried out over HTTP."""

from collections.abc import AsyncIterator

import httpx
import pytest

from service.api_keys import service as api_keys
from service.app import create_app
from service.resources import Resources
from service.settings import Settings
from service.workspaces import DEFAULT_WORKSPACE
from tests.application import speak
from tests.service.chatflows.flows import graph, node

API = "/api/v1"
FUNCTION = graph([node("f", "customFunction", "Utilities", {"javascriptFunction": "return 1"})], [])


@pytest.fixture
async def switched_on(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application that runs JavaScript."""
    app = create_app(settings.model_copy(update={"javascript": True}))
    async with app.router.lifespan_context(app):
        resources: Resources = app.state.resources
        _, secret = await api_keys.create(resources.database, DEFAULT_WORKSPACE, "tests")
        async with speak(app, secret) as client:
            yield client


async def test_a_function_is_tried_out_with_its_values(switched_on: httpx.AsyncClient) -> None:
    body = {"javascriptFunction": "return {said: $word + '!'}", "functionInputVariables": {"word": "Hi"}}
    response = await switched_on.post(f"{API}/node-custom-function", json=body)
    assert (response.status_code, response.json()) == (200, {"said": "Hi!"})
    response = await switched_on.post(
        f"{API}/node-custom-function", json={"javascriptFunction": "throw new Error('no')"}
    )
    assert (response.status_code, response.json()["code"]) == (422, "script_failed")
    assert response.json()["message"] == "Error: no (line 1)"


async def test_by_default_nothing_is_run_and_the_setting_is_named(client: httpx.AsyncClient) -> None:
    response = await client.post(f"{API}/node-custom-function", json={"javascriptFunction": "return 1"})
    assert (response.status_code, response.json()["code"]) == (501, "javascript_off")
    assert "RAGSTONE_JAVASCRIPT=on" in response.json()["message"]


async def test_by_default_a_flow_with_javascript_is_refused_at_save(client: httpx.AsyncClient) -> None:
    body = {"name": "Flow", "type": "CHATFLOW", "flowData": FUNCTION}
    response = await client.post(f"{API}/chatflows", json=body)
    assert (response.status_code, response.json()["code"]) == (422, "javascript_off")
    assert "customFunction (f)" in response.json()["message"]
    assert "RAGSTONE_JAVASCRIPT=on" in response.json()["message"]
    assert (await client.get(f"{API}/chatflows")).json() == []
    empty = (await client.post(f"{API}/chatflows", json={**body, "flowData": graph([], [])})).json()["id"]
    assert (await client.put(f"{API}/chatflows/{empty}", json={"flowData": FUNCTION})).status_code == 422
    assert (await client.get(f"{API}/chatflows/{empty}")).json()["flowData"] == graph([], [])


async def test_where_it_is_on_a_function_answers(switched_on: httpx.AsyncClient) -> None:
    code = "return `${$word}, ${$flow.input}; ${$vars.who ?? 'nobody'}`"
    inputs = {"javascriptFunction": code, "functionInputVariables": '{"word": "{{question}} {{$vars.who}}"}'}
    flow = graph([node("f", "customFunction", "Utilities", inputs, outputs={"output": "EndingNode"})], [])
    await switched_on.post(f"{API}/variables", json={"name": "who", "value": "Ada", "type": "static"})
    made = await switched_on.post(f"{API}/chatflows", json={"name": "Flow", "type": "CHATFLOW", "flowData": flow})
    assert made.status_code == 200, made.text
    asked = {"question": "{{$vars.who}} {{f.data.instance}}?"}
    response = await switched_on.post(f"{API}/prediction/{made.json()['id']}", json=asked)
    assert response.status_code == 200, response.text
    question = asked["question"]
    assert response.json()["text"] == f"{question} Ada, {question}; Ada"
