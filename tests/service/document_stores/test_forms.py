"""What upserts bring as forms, or as files within JSON: read beside the event loop, and within limits."""

import base64
import json
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.document_stores import routes
from service.document_stores.intake import Intake
from service.document_stores.loading import files
from service.errors import Unprocessable
from service.json_text import AT_ONCE, MOST_VALUES
from service.worker.runner import Runner
from tests.service.document_stores.loading.form import call, data_uri, loader
from tests.service.document_stores.talk import API, Talk

EMPTY = (
    b'--B\r\nContent-Disposition: form-data; name="files"; filename=""\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n\r\n"
)
"""What a browser sends for a field of files where none was chosen."""


def field(name: str, text: str) -> bytes:
    return f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode()


async def send(
    client: httpx.AsyncClient, path: str, *parts: bytes, kind: str = "multipart/form-data"
) -> httpx.Response:
    content = b"".join((*parts, b"--B--\r\n"))
    return await client.post(f"{API}/{path}", content=content, headers={"Content-Type": f"{kind}; boundary=B"})


def elsewhere(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[bool]:
    """Records of each call of a function whether it ran beside the event loop."""
    made: Callable[..., Any] = getattr(owner, name)
    seen: list[bool] = []

    def watched(*args: Any, **options: Any) -> Any:
        seen.append(threading.current_thread() is not threading.main_thread())
        return made(*args, **options)

    monkeypatch.setattr(owner, name, watched)
    return seen


PLAIN = json.dumps({"name": "plainText", "config": {"text": "Offices close at six."}})


async def test_a_form_is_one_in_whatever_case_it_is_called(talk: Talk, worker: Runner) -> None:
    store = await talk.store()
    answer = await send(talk.client, f"upsert/{store}", field("loader", PLAIN), kind="Multipart/Form-Data")
    assert answer.status_code == 200, answer.text
    refused = await send(talk.client, "import", field("name", "x"), kind="MULTIPART/form-data")
    assert refused.json()["message"].startswith("file: the archive must come as a file")


async def test_a_field_of_files_with_none_chosen_brings_nothing(talk: Talk, worker: Runner) -> None:
    store = await talk.store()
    answer = await send(talk.client, f"upsert/{store}", EMPTY, field("loader", PLAIN))
    assert answer.status_code == 200, answer.text
    assert (answer.json()["numAdded"], answer.json()["failed"]) == (1, [])
    assert [document["name"] for document in await talk.documents(store)] == ["Plain Text"]
    nothing = await send(talk.client, f"upsert/{store}", EMPTY)
    assert (nothing.status_code, nothing.json()["message"][:17]) == (400, "Nothing to upsert")


@pytest.mark.parametrize("name", ["metadata", "docStore", "splitter", "embedding", "vectorStore", "principals"])
async def test_a_field_with_too_long_a_json_text_is_refused_by_name(talk: Talk, name: str) -> None:
    store = await talk.store()
    text = '{"a":[' + "[]," * (AT_ONCE // 3) + "[]]}"
    for answer in (
        await send(talk.client, f"upsert/{store}", field(name, text)),
        await talk.client.post(f"{API}/upsert/{store}", json={name: text}),
    ):
        assert answer.status_code == 413
        assert answer.json()["message"].startswith(f"max_object: the JSON text of '{name}' has ")


async def test_a_loader_of_small_values_without_number_is_refused(talk: Talk) -> None:
    store = await talk.store()
    text = '{"name":"file","config":{"a":[' + "[]," * (MOST_VALUES * 2) + "[]]}}"
    for answer in (
        await send(talk.client, f"upsert/{store}", field("loader", text)),
        await talk.client.post(f"{API}/upsert/{store}", json={"loader": text}),
    ):
        assert answer.status_code == 413
        told = f"max_values: the JSON text of 'loader' has more than {MOST_VALUES} values"
        assert answer.json()["message"] == told
    body = await talk.client.post(f"{API}/upsert/{store}", content=f'{{"loader":{text}}}')
    assert (body.status_code, body.json()["message"]) == (
        413,
        f"max_values: the body has more than {MOST_VALUES} values",
    )


async def test_a_loader_may_hold_long_files(talk: Talk, worker: Runner) -> None:
    store = await talk.store()
    text = "Offices close at six.\n" + " \n" * AT_ONCE
    config = {"name": "file", "config": {"file": data_uri("a.txt", text)}}
    answer = await send(talk.client, f"upsert/{store}", field("loader", json.dumps(config)))
    assert answer.status_code == 200, answer.text
    assert await talk.texts(store) == ["Offices close at six."]


async def test_bodies_and_their_files_are_read_beside_the_event_loop(
    talk: Talk, worker: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await talk.store()
    bodies = elsewhere(monkeypatch, routes, "upsert_body")
    decoded = elsewhere(monkeypatch, Intake, "sources")
    config = {"name": "file", "config": {"file": data_uri("a.txt", "Offices close at six.")}}
    await send(talk.client, f"upsert/{store}", field("loader", json.dumps(config)))
    await call(talk.client, f"upsert/{store}", {"loader": config})
    form = loader("textFile", {"txtFile": data_uri("b.txt", "Ask the porter.")}, storeId=store)
    await call(talk.client, "loader/preview", form)
    await call(talk.client, "loader/save", form)
    assert bodies == [True, True]
    assert decoded == [True] * 4


@pytest.mark.parametrize("config", [{"file": [data_uri("a.txt", "x")]}, {"file": {"name": "a.txt"}}, {"file": 5}])
async def test_files_that_are_no_text_are_refused_by_their_field(talk: Talk, config: dict[str, Any]) -> None:
    store = await talk.store()
    refused = await call(talk.client, f"upsert/{store}", {"loader": {"name": "file", "config": config}}, 422)
    assert refused["message"].startswith("loader.config.file: must be a text")


@given(st.binary(max_size=40))
@example(b"")
def test_files_are_decoded_piece_by_piece(data: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_PIECE", 8)
        found = files.inline_files({"file": data_uri("a.txt", data)})
    assert [upload.stream.read() for upload in found] == [data]


@given(st.text("AZ/=é\n", min_size=1, max_size=24))
@example("AAAAAAA=AAAA")
@example("AAAAAA==A")
@example("AAAAAAA==")
def test_what_is_no_base64_is_none_in_pieces_either(text: str) -> None:
    try:
        expected: bytes | None = base64.b64decode(text, validate=True)
    except ValueError:
        expected = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_PIECE", 8)
        try:
            found: bytes | None = files.inline_files({"file": f"data:x;base64,{text}"})[0].stream.read()
        except Unprocessable:
            found = None
    assert found == expected
