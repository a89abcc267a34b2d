"""Questions in forms: files for the loaders that the flow opens, text parts as fields, and who may mark evaluations."""

import json
from typing import Any

import httpx
import pytest

from tests.service.chatflows.flows import edge, graph, node
from tests.service.predictions.conftest import House
from tests.service.predictions.test_refusals import refused
from tests.service.predictions.test_uploads import file, kept, said, uploads_of
from tests.service.predictions.uploads import NOTE, PNG, chain
from tests.stubs.openai_server import Script

QUESTION = "What is the code?"


def reading(url: str, **model: Any) -> str:
    """A flow with a loader of texts, and a chain."""
    found = json.loads(chain(url, **model))
    loader = node("textFile_0", "textFile", "Document Loaders", {"txtFile": ""}, label="Text File")
    store = node("pinecone_0", "memoryVectorStore", "Vector Stores")
    return graph([*found["nodes"], loader, store], [*found["edges"], edge("textFile_0", "pinecone_0", "document")])


def gate(name: str, *, on: bool = True) -> str:
    """An `apiConfig` that opens a field of the loader."""
    nodes = {"Text File": [{"label": name, "name": name, "type": "file", "enabled": on}]}
    return json.dumps({"overrideConfig": {"status": True, "nodes": nodes, "variables": []}})


def send(house: House, flow: str, *files: tuple[str, tuple[str, bytes]], **fields: str) -> httpx.Response:
    """A prediction by a form."""
    url = f"{house.live.url}/api/v1/prediction/{flow}"
    return httpx.post(url, data={"question": QUESTION, **fields}, files=files or None, timeout=60)


TEXT = ("files", ("note.txt", NOTE))


@pytest.mark.parametrize("opened", ["txtFile", "files"])
def test_a_file_is_read_where_its_loader_is_opened(house: House, opened: str) -> None:
    flow = house.flow(reading(house.stub.url), apiConfig=gate(opened))
    answer = send(house, flow, TEXT, chatId="c1")
    assert answer.status_code == 200, answer.text
    assert "4711" in said(house)
    assert said(house).endswith(f"Say: {QUESTION}")
    assert uploads_of(house, flow) == [[{"type": "stored-file", "name": "note.txt", "mime": "text/plain"}]]
    assert file(house, flow, "c1", "note.txt").content == NOTE


@pytest.mark.parametrize("columns", [{}, {"apiConfig": gate("txtFile", on=False)}, {"apiConfig": gate("pdfFile")}])
def test_a_file_is_refused_where_nothing_is_opened(house: House, columns: dict[str, str]) -> None:
    for data in (reading(house.stub.url), chain(house.stub.url)):
        message = refused(send(house, house.flow(data, **columns), TEXT), 422)
        assert "files[0] 'note.txt'" in message
    assert kept(house) == []
    assert house.stub.requests == []


def test_a_flow_that_takes_documents_takes_them_in_forms_too(house: House) -> None:
    config = json.dumps({"fullFileUpload": {"status": True, "allowedUploadFileTypes": "text/plain"}})
    flow = house.flow(chain(house.stub.url), chatbotConfig=config)
    assert send(house, flow, TEXT, ("files", ("b.txt", b"The bell rings at nine."))).status_code == 200
    assert said(house).index("4711") < said(house).index("bell")


def test_a_picture_in_a_form_reaches_a_model_that_reads_pictures(house: House) -> None:
    flow = house.flow(chain(house.stub.url))
    assert send(house, flow, ("files", ("cat.png", PNG))).status_code == 200
    assert said(house)[1]["type"] == "image_url"
    assert "files[0]" in refused(
        send(house, house.flow(chain(house.stub.url, sees=False)), ("files", ("c.png", PNG))), 422
    )
    plain = house.flow(chain(house.stub.url))
    assert "no loader that takes files" in refused(send(house, plain, ("files", ("note.txt", NOTE))), 422)


def test_files_come_in_parts_of_one_name_and_are_never_empty(house: House) -> None:
    flow = house.flow(reading(house.stub.url), apiConfig=gate("files"))
    assert "document" in refused(send(house, flow, ("document", ("note.txt", NOTE))), 400)
    assert "files[0]" in refused(send(house, flow, ("files", ("note.txt", b""))), 422)
    assert "its name" in refused(send(house, flow, ("files", ("note.pdf", NOTE))), 422)
    assert "max_prediction" in refused(send(house, flow, ("files", ("note.txt", b"x" * (51 * 2**20)))), 413)


def test_a_form_streams_and_names_its_session(house: House) -> None:
    flow = house.flow(reading(house.stub.url), apiConfig=gate("files"))
    streamed = send(house, flow, TEXT, streaming="true", sessionId="s1")
    assert streamed.headers["content-type"] == "text/event-stream"
    assert '"sessionId":"s1"' in streamed.text


def test_a_json_field_of_a_form_brings_uploads(house: House) -> None:
    flow = house.flow(chain(house.stub.url))
    uploads = json.dumps([{"type": "file:full", "name": "a.txt", "data": "The lamp is green.", "mime": "text/plain"}])
    assert send(house, flow, uploads=uploads).status_code == 200
    assert "The lamp is green." in said(house)


def test_only_callers_with_a_key_mark_evaluations(house: House) -> None:
    flow = house.flow(chain(house.stub.url))
    body = {"question": QUESTION, "evaluation": True}
    assert house.ask(flow, evaluation=True).status_code == 200
    assert house.client.post(f"/prediction/{flow}", json=body).status_code == 200
    assert house.client.post(f"/internal-prediction/{flow}", json=body).status_code == 200
    kinds = [row["chat_type"] for row in house.messages(flow) if row["role"] == "userMessage"]
    assert kinds == ["EXTERNAL", "EVALUATION", "EVALUATION"]


def test_a_call_of_another_servers_tool_is_never_streamed(house: House) -> None:
    flow = house.flow(chain(house.stub.url))
    url = f"{house.live.url}/api/v1/prediction/{flow}"
    answer = httpx.post(url, json={"question": QUESTION, "streaming": True}, headers={"flowise-tool": "true"})
    assert answer.headers["content-type"] == "application/json"


def test_a_body_may_be_large_for_its_files_only(house: House) -> None:
    flow = house.flow(chain(house.stub.url))
    resources = house.live.resources
    object.__setattr__(resources, "settings", resources.settings.model_copy(update={"max_json": 3_000}))
    house.stub.script(Script(), times=None)
    data = "data:image/png;base64," + "iVBORw0KGgo" + "A" * 8_001
    uploads = [{"type": "file", "name": "a.png", "data": data}]
    assert house.ask(flow, uploads=uploads).status_code == 200
    assert "max_json" in refused(house.ask(flow, uploads=uploads, form={str(n): n for n in range(900)}), 413)
