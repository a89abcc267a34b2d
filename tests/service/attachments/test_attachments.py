"""Files of conversations: taken where the flow says so, typed by content, bounded, removed in time."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from loaders.base import Source
from loaders.pdf import PdfLoader
from service.api_keys import service as api_keys
from service.attachments import service
from service.document_stores.check.service import check
from service.resources import Resources
from service.worker.runner import Runner
from service.workspaces import DEFAULT_WORKSPACE
from tests.architecture.source import ROOT
from tests.service.flow_upserts.conftest import API, File, Flows
from tests.service.flow_upserts.flows import part

SAMPLES = ROOT / "tests" / "samples"
GRAPH = '{"nodes":[],"edges":[]}'
NOTE: File = ("note.txt", "The door code is 4711.")
TYPES = "text/plain,application/pdf,text/markdown"


def config(types: str = TYPES, *, on: bool = True, **more: Any) -> str:
    """A chatbotConfig that takes files."""
    return json.dumps({"fullFileUpload": {"status": on, "allowedUploadFileTypes": types}, **more})


async def taking(flows: Flows, types: str = TYPES, **columns: Any) -> str:
    """A flow that takes files of these types."""
    return await flows.make(GRAPH, **{"chatbotConfig": config(types), **columns})


async def bring(client: httpx.AsyncClient, flow: str, *files: File, chat: str = "c1", **options: Any) -> httpx.Response:
    """Bring files to a conversation, as the widget does."""
    parts = [part(*file) for file in files]
    return await client.post(f"{API}/attachments/{flow}/{chat}", files=parts, **options)


async def blobs(resources: Resources) -> list[str]:
    """Every blob that is kept."""
    return [key async for key in resources.blobs.keys()]  # noqa: SIM118 - no mapping


async def test_files_are_read_and_kept(flows: Flows, anonymous: httpx.AsyncClient, resources: Resources) -> None:
    flow = await taking(flows)
    pdf = SAMPLES / "pdf" / "tram.pdf"
    response = await bring(anonymous, flow, NOTE, (pdf.name, pdf.read_bytes()), data={"chatId": "c1"})
    assert response.status_code == 200, response.text
    note, paper = response.json()
    assert note["name"] == "note.txt"
    assert note["mimeType"] == "text/plain"
    assert note["size"] == len(NOTE[1])
    assert note["content"] == NOTE[1]
    assert (paper["name"], paper["mimeType"]) == (pdf.name, "application/pdf")
    assert paper["content"]
    kept = await service.of_chat(resources, UUID("00000000-0000-4000-8000-000000000001"), UUID(flow), "c1", 10)
    assert {item.name for item in kept} == {"note.txt", pdf.name}
    assert len(await blobs(resources)) == 2
    assert await check(resources) == []


@pytest.mark.parametrize("usage", ["perPage", "perFile"])
async def test_a_pdf_is_one_text_whether_it_is_to_be_read_by_page_or_as_a_file(
    flows: Flows, anonymous: httpx.AsyncClient, usage: str
) -> None:
    pdf = SAMPLES / "pdf" / "tram.pdf"
    more = {"status": True, "allowedUploadFileTypes": TYPES, "pdfFile": {"usage": usage, "legacyBuild": False}}
    flow = await flows.make(GRAPH, chatbotConfig=json.dumps({"fullFileUpload": more}))
    response = await bring(anonymous, flow, (pdf.name, pdf.read_bytes()))
    (whole,) = PdfLoader().load(Source(pdf, pdf.name, "application/pdf"), {"usage": "perFile"})
    assert response.json()[0]["content"] == whole.page_content


async def test_bytes_come_back_in_base64_when_asked(flows: Flows, anonymous: httpx.AsyncClient) -> None:
    response = await bring(anonymous, await taking(flows), NOTE, data={"base64": "true"})
    assert base64.b64decode(response.json()[0]["content"]) == str(NOTE[1]).encode()


@pytest.mark.parametrize("columns", [{}, {"chatbotConfig": "{}"}, {"chatbotConfig": config(on=False)}])
async def test_a_flow_that_does_not_say_so_takes_none(
    flows: Flows, anonymous: httpx.AsyncClient, columns: dict[str, str]
) -> None:
    refused = await bring(anonymous, await flows.make(GRAPH, **columns), NOTE)
    assert (refused.status_code, refused.json()["code"]) == (403, "uploads_off")
    assert refused.json()["error"] == "File upload is not enabled for this chatflow."


@pytest.mark.parametrize("types", ["", "application/pdf", ","])
async def test_an_empty_list_allows_nothing(
    flows: Flows, anonymous: httpx.AsyncClient, resources: Resources, types: str
) -> None:
    refused = await bring(anonymous, await taking(flows, types), NOTE)
    assert (refused.status_code, refused.json()["code"]) == (422, "type_refused")
    assert "note.txt" in refused.json()["message"]
    assert await blobs(resources) == []


async def test_content_decides_what_a_file_is(flows: Flows, anonymous: httpx.AsyncClient, resources: Resources) -> None:
    flow = await taking(flows, "text/plain,image/png")
    pdf = (SAMPLES / "pdf" / "tram.pdf").read_bytes()
    page = b"<!doctype html><html><body><script>alert(1)</script><p>Hello</p></body></html>"
    for name, content in (("innocent.txt", pdf), ("page.txt", page), ("page.png", page)):
        files = [("files", (name, content, "text/plain"))]
        refused = await anonymous.post(f"{API}/attachments/{flow}/c1", files=files)
        assert refused.json().get("code") == "type_refused", name
    assert (await bring(anonymous, flow, ("list.txt", "a,b\n1,2\n3,4\n"))).status_code == 200
    assert len(await blobs(resources)) == 1


async def test_one_bad_file_refuses_all(flows: Flows, anonymous: httpx.AsyncClient, resources: Resources) -> None:
    flow = await taking(flows)
    for bad in (("empty.txt", b""), ("broken.pdf", b"%PDF-1.4 nothing"), ("data.bin", bytes(range(256)) * 9)):
        refused = await bring(anonymous, flow, NOTE, bad)
        assert refused.status_code == 422
        assert bad[0] in refused.json()["message"]
    assert await blobs(resources) == []
    assert (await bring(anonymous, flow)).status_code == 400


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd.txt", "passwd.txt"),
        ("C:\\temp\\a.txt", "a.txt"),
        ("Ärger \U0001f34f.txt", "Ärger \U0001f34f.txt"),
        ("x" * 400 + ".txt", "x" * 251 + ".txt"),
    ],
)
async def test_names_are_shown_and_never_paths(
    flows: Flows, anonymous: httpx.AsyncClient, resources: Resources, name: str, shown: str
) -> None:
    before = sorted(Path(resources.settings.data).rglob("*"))
    response = await bring(anonymous, await taking(flows), (name, "Text"))
    assert response.json()[0]["name"] == shown
    new = set(Path(resources.settings.data).rglob("*")) - set(before)
    assert all(path.is_relative_to(resources.settings.data / "blobs") for path in new)


async def test_limits_are_named(app: Any, flows: Flows, anonymous: httpx.AsyncClient, resources: Resources) -> None:
    flow = await taking(flows)
    for limit, files in (
        ({"max_upload": 10}, [NOTE]),
        ({"max_attachments": 1}, [NOTE, NOTE]),
        ({"max_attachment_text": 30}, [NOTE, NOTE]),
        ({"attachment_space": 30}, [NOTE, NOTE]),
    ):
        object.__setattr__(resources, "settings", resources.settings.model_copy(update=limit))
        refused = await bring(anonymous, flow, *files)
        assert refused.status_code == 413
        assert next(iter(limit)) in refused.json()["message"]
        restored = {name: type(resources.settings).model_fields[name].default for name in limit}
        object.__setattr__(resources, "settings", resources.settings.model_copy(update=restored))
    assert await blobs(resources) == []


async def test_a_flow_bound_to_a_key_needs_it(
    flows: Flows, anonymous: httpx.AsyncClient, resources: Resources, workspace: UUID
) -> None:
    key, secret = await api_keys.create(resources.database, workspace, "flow")
    flow = await taking(flows, apikeyid=str(key.id))
    assert (await bring(anonymous, flow, NOTE)).status_code == 401
    assert (await bring(flows.client, flow, NOTE)).status_code == 401
    allowed = await bring(anonymous, flow, NOTE, headers={"Authorization": f"Bearer {secret}"})
    assert allowed.status_code == 200


async def test_origins_and_cors_are_the_flows(flows: Flows, anonymous: httpx.AsyncClient) -> None:
    listed = config(allowedOrigins=["https://shop.example"])
    flow = await taking(flows, chatbotConfig=listed)
    mine = await bring(anonymous, flow, NOTE, headers={"Origin": "https://shop.example"})
    assert mine.status_code == 200
    assert mine.headers["access-control-allow-origin"] == "https://shop.example"
    other = await bring(anonymous, flow, NOTE, headers={"Origin": "https://evil.example"})
    assert (other.status_code, other.json()["code"]) == (403, "origin_refused")
    assert "access-control-allow-origin" not in other.headers


async def test_bad_calls_are_told_so(flows: Flows, anonymous: httpx.AsyncClient) -> None:
    flow = await taking(flows)
    assert (await bring(anonymous, str(uuid4()), NOTE)).status_code == 404
    assert (await bring(anonymous, "nonsense", NOTE)).status_code == 400
    assert (await bring(anonymous, flow, NOTE, chat="x" * 513)).status_code == 422
    assert (await anonymous.post(f"{API}/attachments/{flow}")).status_code == 412
    assert (await anonymous.post(f"{API}/attachments/{flow}/c1", json={})).status_code == 400
    odd = await anonymous.post(f"{API}/attachments/{flow}/c1", files={"document": ("a.txt", b"x")})
    assert odd.status_code == 400


async def test_they_go_with_their_flow(
    flows: Flows, anonymous: httpx.AsyncClient, resources: Resources, worker: Runner
) -> None:
    flow, other = await taking(flows), await taking(flows)
    for target in (flow, other):
        await bring(anonymous, target, NOTE)
    await flows.client.delete(f"{API}/chatflows/{flow}")
    await flows.talk.settled()
    (left,) = await flows.talk.rows("SELECT chatflow_id, blob FROM attachments")
    assert str(left["chatflow_id"]) == other
    assert await blobs(resources) == [left["blob"]]


async def test_they_go_when_their_time_is_over(
    flows: Flows, anonymous: httpx.AsyncClient, resources: Resources
) -> None:
    flow = await taking(flows)
    await bring(anonymous, flow, NOTE)
    assert await service.forget_expired(resources) == 0
    await flows.talk.rows("UPDATE attachments SET expires_at = now() - interval '1 hour' RETURNING id")
    await bring(anonymous, flow, NOTE)
    assert await service.forget_expired(resources) == 1
    assert len(await blobs(resources)) == 1


async def fetch(client: httpx.AsyncClient, flow: str, name: str, chat: str = "c1", **more: Any) -> httpx.Response:
    """A file of a conversation."""
    query = {"chatflowId": flow, "chatId": chat, "fileName": name, **more}
    return await client.get(f"{API}/get-upload-file", params=query)


async def test_a_file_is_given_back_to_who_brought_it(flows: Flows, anonymous: httpx.AsyncClient) -> None:
    flow = await taking(flows, TYPES + ",text/html")
    page = ("page.html", "<script>alert(1)</script>Hello there, this is a page of a visitor.")
    assert (await bring(anonymous, flow, NOTE, page)).status_code == 200
    found = await fetch(anonymous, flow, "note.txt")
    assert (found.status_code, found.text) == (200, NOTE[1])
    assert found.headers["content-type"].startswith("text/plain")
    assert found.headers["x-content-type-options"] == "nosniff"
    assert found.headers["content-disposition"].startswith("inline")
    saved = await fetch(anonymous, flow, "note.txt", download="true")
    assert saved.headers["content-disposition"] == "attachment; filename*=UTF-8''note.txt"
    active = await fetch(anonymous, flow, "page.html")
    assert active.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in active.headers["content-security-policy"]


async def test_nobody_else_gets_it(flows: Flows, anonymous: httpx.AsyncClient) -> None:
    flow = await taking(flows)
    assert (await bring(flows.client, flow, NOTE)).status_code == 200
    assert (await fetch(flows.client, flow, "note.txt")).status_code == 200
    assert (await fetch(anonymous, flow, "note.txt")).status_code == 404  # brought with a key, read with that key
    assert (await bring(anonymous, flow, ("own.txt", "A note."))).status_code == 200
    for query in ({"chat": "c2"}, {"name": "other.txt"}, {"name": "../own.txt"}, {"flow": str(uuid4())}):
        asked = {"flow": flow, "name": "own.txt", "chat": "c1", **query}
        assert (await fetch(anonymous, asked["flow"], asked["name"], asked["chat"])).status_code == 404, query


async def test_a_file_without_its_three_names_is_not_looked_for(flows: Flows, anonymous: httpx.AsyncClient) -> None:
    flow = await taking(flows)
    for missing in ("chatflowId", "chatId", "fileName"):
        query = {"chatflowId": flow, "chatId": "c1", "fileName": "note.txt"}
        del query[missing]
        refused = await anonymous.get(f"{API}/get-upload-file", params=query)
        assert refused.status_code == 400
        assert refused.json()["error"].startswith(missing)
    assert (await fetch(anonymous, "not-an-id", "note.txt")).status_code == 400


async def test_files_of_deleted_conversations_are_gone_at_once(flows: Flows, anonymous: httpx.AsyncClient) -> None:
    flow = await taking(flows)
    assert (await bring(anonymous, flow, NOTE)).status_code == 200
    async with flows.talk.resources.database.write(flows.talk.workspace) as scope:
        await service.expire(scope, UUID(flow), ["c1"])
    assert (await fetch(anonymous, flow, "note.txt")).status_code == 404


async def bounded(resources: Resources, **limits: int) -> None:
    """Other limits from now on."""
    object.__setattr__(resources, "settings", resources.settings.model_copy(update=limits))


def from_address(app: FastAPI, address: str) -> httpx.AsyncClient:
    """A client without a key at an address."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 4711))
    return httpx.AsyncClient(transport=transport, base_url="http://test")


async def test_a_visitor_who_fills_the_room_makes_room_for_others(
    flows: Flows, app: FastAPI, resources: Resources
) -> None:
    flow = await taking(flows)
    await bounded(resources, attachment_space=100, attachment_share=90)
    async with from_address(app, "203.0.113.1") as greedy, from_address(app, "203.0.113.2") as modest:
        for number in range(9):
            assert (await bring(greedy, flow, (f"{number}.txt", f"number {number}!"), chat="g")).status_code == 200
        refused = await bring(greedy, flow, ("9.txt", "number 9!!"), chat="g")
        assert (refused.status_code, refused.json()["message"].split(":")[0]) == (413, "attachment_share")
        for number in range(2):  # 25 bytes each: nobody is kept out while somebody else holds more
            assert (await bring(modest, flow, (f"m{number}.txt", "m" * 24 + str(number)), chat="m")).status_code == 200
        refused = await bring(modest, flow, ("m2.txt", "m" * 24 + "2"), chat="m")  # who would hold most himself
        assert (refused.status_code, refused.json()["message"].split(":")[0]) == (413, "attachment_space")
        kept = await service.of_chat(resources, DEFAULT_WORKSPACE, UUID(flow), "g", 20)
        assert sorted(row.name for row in kept) == [f"{number}.txt" for number in range(4, 9)]  # the oldest went
        assert len(await blobs(resources)) == 7
    assert await check(resources) == []


async def test_files_of_callers_with_a_key_make_no_room_for_visitors(
    flows: Flows, app: FastAPI, resources: Resources, workspace: UUID
) -> None:
    key, secret = await api_keys.create(resources.database, workspace, "flow")
    flow = await taking(flows, apikeyid=str(key.id))
    await bounded(resources, attachment_space=40)
    async with from_address(app, "203.0.113.1") as client:
        client.headers["Authorization"] = f"Bearer {secret}"
        assert (await bring(client, flow, ("a.txt", "a" * 30))).status_code == 200
        refused = await bring(client, flow, ("b.txt", "b" * 30))
        assert (refused.status_code, refused.json()["message"].split(":")[0]) == (413, "attachment_space")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.1", "203.0.113.1", True),
        ("203.0.113.1", "203.0.113.2", False),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("", "", True),
    ],
)
def test_visitors_are_told_apart_by_address(one: str, other: str, same: bool) -> None:
    assert (service.visitor_of("public", one) == service.visitor_of("public", other)) is same
    assert service.visitor_of("key:1", one) == ""


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k1"}])
async def test_nothing_is_read_of_who_may_not_bring_files(
    flows: Flows, anonymous: httpx.AsyncClient, resources: Resources, workspace: UUID, headers: dict[str, str]
) -> None:
    key, _ = await api_keys.create(resources.database, workspace, "flow")
    asked = 0

    async def slow() -> AsyncIterator[bytes]:
        nonlocal asked
        while True:
            asked += 1
            yield b"x" * 1_000_000

    form = {"Content-Type": "multipart/form-data; boundary=b", **headers}
    for flow, status in (
        (await flows.make(GRAPH), 403),  # takes no files
        (await taking(flows, apikeyid=str(key.id)), 401),
        (str(uuid4()), 404),
    ):
        response = await anonymous.post(f"{API}/attachments/{flow}/c1", content=slow(), headers=form)
        assert response.status_code == status, response.text
    assert asked == 0
