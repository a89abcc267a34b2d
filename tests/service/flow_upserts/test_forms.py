"""Upserts into chatflows as forms: fields within limits, files only where some were chosen."""

import json

import pytest

from service.errors import TooLarge, Unprocessable
from service.flow_upserts import wire
from service.flow_upserts.wire import body_of_form
from service.json_text import AT_ONCE
from service.worker.runner import Runner
from tests.service.document_stores.test_forms import EMPTY, elsewhere, field
from tests.service.flow_upserts import flows as graphs
from tests.service.flow_upserts.conftest import API, Flows


async def test_a_field_of_files_with_none_chosen_brings_nothing(
    flows: Flows, worker: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = elsewhere(monkeypatch, wire, "body_of_form")
    flow = await flows.make(graphs.filled(graphs.loader("plainText", text="Alpha."), embedding=graphs.fake()))
    content = b"".join((EMPTY, field("chunkSize", "many"), b"--B--\r\n"))
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    answer = await flows.client.post(f"{API}/vector/upsert/{flow}", content=content, headers=headers)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["numAdded"], answer.json()["failed"]) == (1, [])
    assert read == [True]


def test_principals_of_too_long_a_text_are_refused_and_overrides_may_hold_much() -> None:
    with pytest.raises(TooLarge, match="max_object: the JSON text of 'principals' has "):
        body_of_form({"principals": '["' + "x" * AT_ONCE + '"]'}, files=False)
    body, _ = body_of_form({"overrideConfig": json.dumps({"text": "x" * AT_ONCE})}, files=False)
    assert len((body.override_config or {})["text"]) == AT_ONCE


@pytest.mark.parametrize("text", ["{", "[" * 5000, "[" * 200 + "]" * 200])
def test_overrides_that_are_no_usable_json_are_refused(text: str) -> None:
    with pytest.raises(Unprocessable, match="overrideConfig: not valid JSON"):
        body_of_form({"overrideConfig": text}, files=False)
