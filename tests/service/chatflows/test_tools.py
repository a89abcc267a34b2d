"""Tools of agents, each against a server on loopback that answers as its documentation says."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.chatflows.graph import Node
from service.chatflows.run import Backing, Page, Run, StoredTool
from service.chatflows.steps import STEPS
from service.chatflows.steps.base import BadOption
from service.chatflows.steps.keys import MissingCredential
from service.chatflows.steps.tool import ToolFailed, ToolStep
from service.chatflows.steps.tool_calculator import calculate
from service.chatflows.types import FlowNotRunnable
from service.egress.addresses import parse_allowed
from service.egress.client import Egress
from service.errors import NotFound, Unprocessable
from service.javascript.types import ScriptFailed
from service.plugins import resolve
from service.providers.defaults import Defaults
from tests.stubs.web_site import Answer, Request, WebSite

KEY = "k-canary"
VALUES = dict.fromkeys(
    ("serpApiKey", "searchApiKey", "serperApiKey", "googleCustomSearchApiKey", "braveApiKey", "tavilyApiKey",
     "exaSearchApiKey", "wolframAlphaAppId"),
    KEY,
) | {"googleCustomSearchApiId": "cx-1"}  # fmt: skip
TOOL = StoredTool(
    uuid4(), "My weather", "Weather now", '[{"property": "city", "type": "string", "required": true}]', "code"
)


class Desk:
    """Steps, with a way to this machine."""

    def __init__(self, site: WebSite) -> None:
        self.site = site
        self.hosts: list[str | None] = []
        self.scripts: list[tuple[str, Mapping[str, Any]]] = []
        self.script: Callable[[str, Mapping[str, Any]], Any] | None = None
        self.pages: list[tuple[Any, ...]] = []
        self.egress = Egress(parse_allowed("127.0.0.1"))

    @property
    def backing(self) -> Backing:
        """What steps are lent."""

        async def reveal(workspace: UUID, credential: UUID, host: str | None) -> Mapping[str, str]:
            self.hosts.append(host)
            return VALUES

        async def script(code: str, values: Mapping[str, Any]) -> Any:
            assert self.script is not None
            return self.script(code, values)

        async def stored(workspace: UUID, tool: UUID) -> StoredTool:
            if tool != TOOL.id:
                raise NotFound
            return TOOL

        async def pages(url: str, *, method: str | None = None, limit: int = 1, depth: int = 1) -> list[Page]:
            self.pages.append((url, method, limit, depth))
            if url.endswith("gone"):
                raise Unprocessable("It is gone.")
            return [Page(url, "Title", "Text of the page")]

        async def none(*_: Any, **__: Any) -> Any:
            raise AssertionError("not asked for")

        runs = script if self.script else None
        defaults = Defaults(egress=self.egress)
        return Backing(none, none, reveal, defaults, script=runs, stored_tool=stored, pages=pages)

    async def step(self, name: str, inputs: Mapping[str, Any] | None = None, *, credential: bool = True) -> ToolStep:
        """A step, ready."""
        kind: type[ToolStep] = resolve(STEPS, name, "node")
        node = Node("n_0", name, "", "Tools", dict(inputs or {}), "", str(uuid4()) if credential else "")
        made = kind.build(node, {})
        await made.prepare(uuid4(), self.backing)
        return made

    @property
    def run(self) -> Run:
        """A run."""
        return Run(uuid4(), uuid4(), "chat", "session", "The question", (), self.backing, variables={"v": "1"})

    async def ask(self, step: ToolStep, number: int = 0, /, **given: Any) -> str:
        """What a tool answers."""
        tools = await step.tools(self.run)
        return (await tools[number].call(self.run, given)).text


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with WebSite() as site:
        made = Desk(site)
        yield made
        await made.egress.close()


def told(answer: Any, seen: list[Request]) -> Callable[[Request], Answer]:
    """An answer in JSON; notes the request."""

    def reply(request: Request) -> Answer:
        seen.append(request)
        return Answer(json.dumps(answer), "application/json")

    return reply


ROW = {"title": "T", "link": "https://a.example", "snippet": "S"}
ROW_URL = {"title": "T", "url": "https://a.example", "description": "S", "content": "S", "text": "S"}
FOUND = "T\nhttps://a.example\nS"
BOXED = {"answer_box": {"answer": "42"}, "knowledge_graph": {"description": "K"}, "organic_results": [ROW]}

SEARCHES: dict[str, tuple[str, Any, str, Callable[[Request], Any]]] = {
    "serpAPI": (
        "/search?engine=google&output=json&q=a+b%26c&api_key=k-canary", BOXED, f"42\n\nK\n\n{FOUND}",
        lambda request: KEY,
    ),
    "searchAPI": (
        "/api/v1/search?engine=google&q=a+b%26c", BOXED, f"42\n\nK\n\n{FOUND}",
        lambda request: request.headers["authorization"].removeprefix("Bearer "),
    ),
    "serper": (
        "/search", {"answerBox": {"snippet": "42"}, "organic": [ROW]}, f"42\n\n{FOUND}",
        lambda request: request.headers["x-api-key"] if json.loads(request.body) == {"q": "a b&c"} else "",
    ),
    "googleCustomSearch": (
        "/customsearch/v1?key=k-canary&cx=cx-1&q=a+b%26c", {"items": [ROW]}, FOUND, lambda request: KEY,
    ),
    "braveSearchAPI": (
        "/res/v1/web/search?q=a+b%26c", {"web": {"results": [ROW_URL]}}, FOUND,
        lambda request: request.headers["x-subscription-token"],
    ),
    "tavilyAPI": (
        "/search", {"answer": "42", "results": [ROW_URL], "images": ["https://p.example"]},
        f"42\n\n{FOUND}\n\nhttps://p.example",
        lambda request: request.headers["authorization"].removeprefix("Bearer "),
    ),
    "exaSearch": ("/search", {"results": [ROW_URL]}, FOUND, lambda request: request.headers["x-api-key"]),
    "searXNG": (
        "/search?q=a+b%26c&format=json", {"answers": ["42"], "results": [ROW_URL]}, f"42\n\n{FOUND}",
        lambda request: KEY,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SEARCHES)
async def test_a_search_is_asked_and_read_as_documented(desk: Desk, name: str) -> None:
    path, answer, expected, key = SEARCHES[name]
    seen: list[Request] = []
    desk.site[path] = told(answer, seen)
    step = await desk.step(name, {"basePath": desk.site.url})
    assert await desk.ask(step, input="a b&c") == expected
    assert key(seen[0]) == KEY
    assert set(desk.hosts) <= {"127.0.0.1"}


@pytest.mark.parametrize("name", SEARCHES)
async def test_a_search_that_fails_is_told_without_the_key(desk: Desk, name: str) -> None:
    step = await desk.step(name, {"basePath": desk.site.url})
    with pytest.raises(ToolFailed, match="status 404") as caught:
        await desk.ask(step, input="a b&c")
    assert KEY not in str(caught.value)
    desk.site[SEARCHES[name][0]] = Answer("<html>", "text/html")
    with pytest.raises(ToolFailed, match="no JSON"):
        await desk.ask(step, input="a b&c")


@pytest.mark.parametrize("name", sorted(set(SEARCHES) - {"searXNG"}))
async def test_a_search_without_a_credential_is_refused_before_the_run(desk: Desk, name: str) -> None:
    with pytest.raises(MissingCredential, match="save one of type"):
        await desk.step(name, credential=False)


async def test_wolfram_alpha_answers_in_short(desk: Desk) -> None:
    desk.site["/v1/result?appid=k-canary&i=two"] = Answer("2", "text/plain")
    desk.site["/v1/result?appid=k-canary&i=odd"] = Answer("x", "text/plain", 501)
    step = await desk.step("wolframAlpha", {"basePath": desk.site.url})
    assert await desk.ask(step, input="two") == "2"
    with pytest.raises(ToolFailed, match="no short answer"):
        await desk.ask(step, input="odd")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2+3*4", "14"), ("2^10", "1024"), ("(1 + 2) / 4", "0.75"), ("sqrt(16) + abs(-2)", "6"), ("7 % 4", "3"),
        ("1,234.5 + 1", "1235.5"), ("max(1,200)", "200"), ("10 / 4 =", "2.5"), ("6 × 7", "42"), ("pi > 3", None),
        ("round(2.345, 2)", "2.35"), ("factorial(5)", "120"), ("-3 ** 2", "-9"), ("1e3", "1000"), ("ln(e)", "1"),
    ],
)  # fmt: skip
def test_sums_are_worked_out(text: str, value: str | None) -> None:
    if value is None:
        with pytest.raises(ToolFailed):
            calculate(text)
    else:
        assert calculate(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "1/0", "9**9**9", "10**5000", "factorial(10**6)", "factorial(-1)", "'a' * 10**9", "[1]*10**9",
        "2 << 99999",
        "__import__('os')", "(1).__class__", "open('/etc/passwd')", "1 if 1 else 2", "lambda: 1", "1; 2", "(-8) ** 0.5",
        "1" * 1001, "abs", "sqrt(-1)", "{}", "True", "f'{1}'", "(" * 300, "pow(10, 10**6)", "float('nan')",
    ],
)  # fmt: skip
def test_what_is_no_sum_is_refused(text: str) -> None:
    with pytest.raises(ToolFailed):
        calculate(text)


@given(st.text(alphabet="0123456789+-*/^%(). ,esqrtpi", max_size=40))
def test_every_text_has_a_value_or_is_refused(text: str) -> None:
    with suppress(ToolFailed):
        assert calculate(text)


async def test_the_clock_knows_zones(desk: Desk) -> None:
    step = await desk.step("currentDateTime")
    assert set(json.loads(await desk.ask(step))) == {"date", "day", "time", "timezone"}
    assert json.loads(await desk.ask(step, timezone="Asia/Tokyo"))["timezone"] == "Asia/Tokyo"
    for zone in ("Nowhere/Else", "../../etc/passwd", "/etc/passwd"):
        with pytest.raises(ToolFailed, match="no time zone"):
            await desk.ask(step, timezone=zone)


EVENTS = {
    "requestsGetUrl": "<p>{url}/events</p>",
    "requestsGetName": "get events!",
    "requestsGetDescription": "Reads events",
    "requestsGetHeaders": '{"X-Key": "k"}',
    "requestsGetQueryParamsSchema": json.dumps(
        {"id": {"type": "string", "in": "path", "description": "/:id"}, "limit": {"type": "string", "in": "query"}}
    ),
}


async def test_a_request_goes_where_the_author_says(desk: Desk) -> None:
    seen: list[Request] = []
    for path in ("/events", "/events?limit=5", "/events/7", "/events/..%2Fadmin%3Fx?limit=1"):
        desk.site[path] = told({"path": path}, seen)
    inputs = {name: value.replace("{url}", desk.site.url) for name, value in EVENTS.items()}
    step = await desk.step("requestsGet", inputs)
    (tool,) = await step.tools(desk.run)
    assert (tool.name, tool.description) == ("get_events", "Reads events")
    assert set(tool.schema["properties"]) == {"id", "limit"}
    assert json.loads(await desk.ask(step)) == {"path": "/events"}
    assert json.loads(await desk.ask(step, limit="5", other="x")) == {"path": "/events?limit=5"}
    assert json.loads(await desk.ask(step, id="7")) == {"path": "/events/7"}
    assert json.loads(await desk.ask(step, id="../admin?x", limit="1"))["path"] == "/events/..%2Fadmin%3Fx?limit=1"
    assert {request.headers["x-key"] for request in seen} == {"k"}
    with pytest.raises(ToolFailed, match="cannot stand in a path"):
        await desk.ask(step, id="..")
    assert (await desk.ask(step, id="unknown")).startswith("Status 404. ")


@pytest.mark.parametrize("kind", ["Post", "Put"])
async def test_a_body_is_the_authors_and_the_models(desk: Desk, kind: str) -> None:
    seen: list[Request] = []
    desk.site["/events"] = told({"ok": True}, seen)
    inputs = {
        f"requests{kind}Url": f"{desk.site.url}/events",
        f"request{kind}Body": '{"source": "agent"}',
        f"requests{kind}BodySchema": '{"name": {"type": "string", "required": true}}',
        f"requests{kind}MaxOutputLength": "5",
    }
    step = await desk.step(f"requests{kind}", inputs)
    (tool,) = await step.tools(desk.run)
    assert tool.schema["required"] == ["name"]
    assert await desk.ask(step, name="N", admin=True) == '{"ok"'
    assert (seen[0].method, json.loads(seen[0].body)) == (kind.upper(), {"source": "agent", "name": "N"})


async def test_a_model_chooses_an_address_only_to_read(desk: Desk) -> None:
    desk.site["/page"] = Answer("text", "text/plain")
    step = await desk.step("requestsGet")
    assert await desk.ask(step, url=f"{desk.site.url}/page") == "text"
    for url in ("file:///etc/passwd", "nonsense", "http://169.254.169.254/", "http://10.0.0.1/"):
        with pytest.raises(ToolFailed):
            await desk.ask(step, url=url)
    for name in ("requestsPost", "requestsPut", "requestsDelete"):
        with pytest.raises(BadOption, match=f"{name}Url: give the address"):
            await desk.step(name)


API: dict[str, Any] = {
    "openapi": "3.0.0",
    "servers": [{"url": "{url}/v1"}],
    "paths": {
        "/pets/{petId}": {
            "parameters": [{"$ref": "#/components/parameters/Pet"}],
            "get": {
                "operationId": "getPet",
                "summary": "Reads a pet",
                "parameters": [{"name": "full", "in": "query", "schema": {"type": "boolean"}}],
            },
        },
        "/pets": {
            "post": {
                "description": "Adds a pet",
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}},
            }
        },
    },
    "components": {
        "parameters": {"Pet": {"name": "petId", "in": "path", "required": True, "schema": {"type": "string"}}},
        "schemas": {
            "Pet": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "parent": {"$ref": "#/components/schemas/Pet"}},
            }
        },
    },
}


def document(url: str) -> str:
    """The document, as a data URI of YAML (JSON is YAML)."""
    import base64

    import yaml

    text = yaml.safe_dump(API, sort_keys=False).replace("{url}", url)
    return f"data:application/x-yaml;base64,{base64.b64encode(text.encode()).decode()},filename:pets.yaml"


async def test_an_api_becomes_a_tool_for_each_operation(desk: Desk) -> None:
    seen: list[Request] = []
    desk.site["/v1/pets/a%2Fb?full=true"] = told({"name": "Rex"}, seen)
    desk.site["/v1/pets"] = told({"added": True}, seen)
    step = await desk.step("openAPIToolkit", {"yamlFile": document(desk.site.url), "headers": '{"X-Key": "k"}'})
    get, post = await step.tools(desk.run)
    assert (get.name, get.description, post.name) == ("getPet", "Reads a pet", "post__pets")
    assert get.schema["required"] == ["PathParameters"]
    assert post.schema["properties"]["RequestBody"]["required"] == ["name"]
    assert json.loads(await desk.ask(step, 0, PathParameters={"petId": "a/b"}, QueryParameters={"full": True})) == {
        "name": "Rex"
    }
    assert json.loads(await desk.ask(step, 1, RequestBody={"name": "Rex"})) == {"added": True}
    assert [request.headers["x-key"] for request in seen] == ["k", "k"]
    with pytest.raises(ToolFailed, match="petId"):
        await desk.ask(step, 0)


async def test_a_document_of_others_does_not_say_where_headers_go(desk: Desk) -> None:
    link, keys = f"{desk.site.url}/api.json", '{"X-Key": "k"}'

    def at(server: str) -> None:
        desk.site["/api.json"] = Answer(json.dumps(API).replace("{url}/v1", server), "application/json")

    for server in ("https://thief.example/v1", "http://127.0.0.1:1/v1"):
        at(server)
        with pytest.raises(FlowNotRunnable, match=f"{server[:-3]} as its server.*selectedServer"):
            await desk.step("openAPIToolkit", {"openApiLink": link, "headers": keys})
        for chosen in ({"headers": ""}, {"headers": keys, "selectedServer": server}):
            made = await desk.step("openAPIToolkit", {"openApiLink": link, **chosen})
            assert len(await made.tools(desk.run)) == 2
    for server in (f"{desk.site.url}/v1", "/v1"):
        at(server)
        assert await (await desk.step("openAPIToolkit", {"openApiLink": link, "headers": keys})).tools(desk.run)


async def test_the_code_that_editors_put_there_needs_no_javascript(desk: Desk) -> None:
    from service.chatflows.steps.openapi_document import _OWN_CALL

    given = {"yamlFile": document(desk.site.url), "customCode": _OWN_CALL.replace("\n", "\n\t")}
    assert len(await (await desk.step("openAPIToolkit", given)).tools(desk.run)) == 2
    with pytest.raises(FlowNotRunnable, match="RAGSTONE_JAVASCRIPT"):
        await desk.step("openAPIToolkit", {**given, "customCode": "return $url"})
    desk.script = lambda code, values: [code, values["$url"], values["$options"]["method"]]
    made = await desk.step("openAPIToolkit", {**given, "customCode": "return $url"})
    told_by_script = json.loads(await desk.ask(made, 0, PathParameters={"petId": "1"}))
    assert told_by_script == ["return $url", f"{desk.site.url}/v1/pets/1", "GET"]


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"b{i}: &b{i} [{','.join([f'*b{i - 1}' if i else '*a'] * 9)}]\n" for i in range(9)
)
"""References to references, which stand for a billion parts."""

MERGES = "m0: &m0 {a: 1, b: 2}\n" + "".join(
    f"m{i}: &m{i} {{<<: [{','.join([f'*m{i - 1}'] * 9)}]}}\n" for i in range(1, 12)
)
"""Mappings that take in all of others nine times, eleven times over."""
DEEP = "paths: " + "[" * 200_000
"""More than the stack of a library in C holds."""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "give the document"),
        ("nonsense: [", "no JSON or YAML"),
        ("a: 1", "has no paths"),
        ("paths: {}", "names no server"),
        ("!!python/object/apply:os.system ['true']", "no JSON or YAML"),
        (BOMB, "too large"),
        (MERGES, "merges too much"),
        ("m: &m {a: 1}\nn: {" + "<<: *m, " * 9 + "}", "merges too much"),
        ("m: &m {a: 1}\nn: {<<: [" + "*m, " * 99 + "]}", "merges too much"),
        (DEEP, "nested too deeply"),
        ("- " * 200_000, "nested too deeply"),
        ("FILE-STORAGE::a.yaml", "another installation"),
        ("servers: [{url: 'ftp://h'}]\npaths: {/a: {get: {}}}", "http"),
    ],
)  # fmt: skip
async def test_what_is_no_api_is_named(desk: Desk, text: str, why: str) -> None:
    with pytest.raises(BadOption, match=why):
        await desk.step("openAPIToolkit", {"yamlFile": text})


async def test_merged_parts_of_a_document_are_read(desk: Desk) -> None:
    text = "servers: [{url: 'https://h'}]\nm: &m {summary: Reads}\npaths: {/a: {get: {<<: *m}}}"
    (tool,) = await (await desk.step("openAPIToolkit", {"yamlFile": text})).tools(desk.run)
    assert tool.description == "Reads"


async def test_a_path_of_a_document_names_no_other_host(desk: Desk) -> None:
    text = (
        f"servers: [{{url: '{desk.site.url}'}}]\npaths: {{'@h.example/a': {{get: {{}}}}, .h.example/a: {{get: {{}}}}}}"
    )
    with pytest.raises(BadOption, match="no operation"):
        await desk.step("openAPIToolkit", {"yamlFile": text, "headers": '{"X-Key": "k"}'})


async def test_a_kept_tool_runs_its_function(desk: Desk) -> None:
    inputs = {"selectedTool": str(TOOL.id)}
    with pytest.raises(FlowNotRunnable, match="RAGSTONE_JAVASCRIPT=on"):
        await desk.step("customTool", inputs)
    desk.script = lambda code, values: {"code": code, **values}
    step = await desk.step("customTool", inputs)
    (tool,) = await step.tools(desk.run)
    assert (tool.name, tool.description, tool.schema["required"]) == ("My_weather", "Weather now", ["city"])
    made = json.loads(await desk.ask(step, city="Ulm"))
    assert (made["code"], made["$city"], made["$vars"], made["$flow"]["sessionId"]) == (
        "code",
        "Ulm",
        {"v": "1"},
        "session",
    )
    with pytest.raises(FlowNotRunnable, match="is not kept here"):
        await desk.step("customTool", {"selectedTool": str(uuid4())})

    def broken(code: str, values: Mapping[str, Any]) -> Any:
        raise ScriptFailed("Error: no")

    desk.script = broken
    with pytest.raises(ToolFailed, match="Error: no"):
        await desk.ask(step, city="Ulm")


async def test_pages_are_read_as_the_node_says(desk: Desk) -> None:
    step = await desk.step("webScraperTool", {"scrapeMode": "recursive", "maxDepth": 2, "maxPages": "4"})
    assert json.loads(await desk.ask(step, url="https://a.example/"))[0]["body_text"] == "Text of the page"
    assert desk.pages == [("https://a.example/", "webCrawl", 4, 1)]
    for url in ("https://a.example/gone", "file:///etc/passwd", ""):
        with pytest.raises(ToolFailed):
            await desk.ask(step, url=url)


FEED = """<?xml version="1.0"?><!DOCTYPE feed [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>http://arxiv.org/abs/1</id><title>On
 things</title><summary>About &x; them</summary><published>2020</published><author><name>A. B.</name></author>
<link title="pdf" href="http://arxiv.org/pdf/1" rel="related"/></entry></feed>"""


async def test_papers_are_found_and_read(desk: Desk) -> None:
    desk.site["/api/query?search_query=all%3Athings&start=0&max_results=2"] = Answer(FEED, "application/atom+xml")
    desk.site["/api/query?id_list=2106.09685&max_results=2"] = Answer(FEED, "application/atom+xml")
    inputs = {"basePath": desk.site.url, "topKResults": "2"}
    found = await desk.ask(await desk.step("arxiv", inputs), query="things")
    assert found.startswith("Title: On things\nAuthors: A. B.\n")
    assert "root:" not in found
    full = await desk.step("arxiv", {**inputs, "loadFullContent": True, "docContentCharsMax": "4"})
    assert (await desk.ask(full, query="2106.09685")).endswith("\nText")
    assert desk.pages[-1][0] == "https://arxiv.org/pdf/1"
