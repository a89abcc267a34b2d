"""Streamed answers to requests with an Idempotency-Key, over a real socket."""

import time
from uuid import uuid4

import httpx

from tests.service.predictions.conftest import House
from tests.stubs.openai_server import Script


def ask(house: House, flow: str, key: str, **body: object) -> httpx.Response:
    return httpx.post(
        f"{house.live.url}/api/v1/prediction/{flow}",
        json={"question": "How many days of leave?", **body},
        headers={"Idempotency-Key": key},
        timeout=60,
    )


def test_a_streamed_answer_is_replayed_byte_for_byte(house: House) -> None:
    flow, key = house.quoting(), str(uuid4())
    first = ask(house, flow, key, streaming=True)
    again = ask(house, flow, key, streaming=True)
    assert first.headers["content-type"].startswith("text/event-stream")
    assert (again.content, again.headers["content-type"]) == (first.content, first.headers["content-type"])
    assert again.headers["X-Accel-Buffering"] == "no"
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(house.messages(flow)) == 2
    assert ask(house, flow, key, streaming=False).status_code == 422


def test_keys_of_clients_without_an_api_key_are_kept_for_each_flow(house: House) -> None:
    one, other, key = house.quoting(), house.quoting(), str(uuid4())
    assert ask(house, one, key).status_code == 200
    assert ask(house, one, key).headers["Idempotent-Replayed"] == "true"
    assert ask(house, other, key).status_code == 422
    assert len(house.messages(one)) == 2


def test_refusals_to_clients_without_an_api_key_take_no_key(house: House) -> None:
    key = str(uuid4())
    assert ask(house, str(uuid4()), key).status_code == 404
    answered = ask(house, house.quoting(), key)
    assert answered.status_code == 200
    assert "Idempotent-Replayed" not in answered.headers


def test_a_stream_that_its_client_left_is_executed_again(house: House) -> None:
    house.stub.script(Script(reply="One two three four five six seven eight nine ten.", token_delay=0.3))
    flow, key = house.writing(), str(uuid4())
    with httpx.stream(
        "POST",
        f"{house.live.url}/api/v1/prediction/{flow}",
        json={"question": "How many days of leave?", "streaming": True},
        headers={"Idempotency-Key": key},
        timeout=60,
    ) as response:
        for line in response.iter_lines():
            if '"token"' in line:
                break
    house.stub.reset()
    deadline = time.monotonic() + 30
    while (again := ask(house, flow, key, streaming=True)).status_code == 409 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert again.status_code == 200
    assert "Idempotent-Replayed" not in again.headers, again.text
    assert ask(house, flow, key, streaming=True).content == again.content
