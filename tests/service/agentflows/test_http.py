"""Calls of other hosts: what is sent, what comes back, and what no value can do to either."""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.agentflows.flow import compile_agentflow
from service.agentflows.templates import Template, json_filled, json_value
from service.chatflows.graph import parse
from service.chatflows.types import FlowNotRunnable
from tests.service.agentflows.flows import Lent, ask, chain, node, run
from tests.service.agentflows.test_templates import moment


@dataclass
class Web:
    """A server that remembers what it was sent."""

    url: str = ""
    answer: bytes = b'{"items": [{"id": 7}]}'
    status: int = 200
    seen: list[Mapping[str, Any]] = field(default_factory=list)


@pytest.fixture
def web() -> Iterator[Web]:
    held = Web()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            held.seen.append({"method": self.command, "path": self.path, "headers": dict(self.headers), "body": body})
            self.send_response(held.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Set-Cookie", "secret=1")
            self.send_header("Content-Length", str(len(held.answer)))
            self.end_headers()
            self.wfile.write(held.answer)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _answer

        def log_message(self, *arguments: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    held.url = f"http://127.0.0.1:{server.server_port}"
    yield held
    server.shutdown()
    server.server_close()
    thread.join()


def calls(web: Web, **inputs: Any) -> str:
    reply = node(
        "r", "directReply", directReplyMessage="{{ h.output.http.data.items[0].id }} {{ h.output.http.status }}"
    )
    return chain(node("h", "http", url=f"<p>{web.url}/a/{{{{ question }}}}</p>", **inputs), reply)


def pairs(**values: str) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


async def test_a_request_is_sent_and_its_answer_read(web: Web) -> None:
    flow = calls(web, headers=pairs(**{"X-A": "<p>{{ question }}</p>"}), queryParams=pairs(q="a b&c", empty=""))
    ran = await ask(flow, run("x"))
    assert ran.text == "7 200"
    (seen,) = web.seen
    assert (seen["method"], seen["path"], seen["headers"]["X-A"]) == ("GET", "/a/x?q=a+b%26c", "x")
    assert "secret" not in json.dumps(ran.data("h"))


@pytest.mark.parametrize(
    ("given", "mime", "body"),
    [
        ({"bodyType": "json", "body": '<p>{"a": "{{ question }}"}</p>'}, "application/json", '{"a": "say \\"hi\\""}'),
        ({"bodyType": "raw", "body": "{{ question }}"}, "text/plain; charset=utf-8", 'say "hi"'),
        (
            {"bodyType": "xWwwFormUrlencoded", "body": pairs(a="{{ question }}")},
            "application/x-www-form-urlencoded",
            "a=say+%22hi%22",
        ),
        ({"bodyType": "formData", "body": pairs(a="{{ question }}")}, "multipart/form-data; boundary=", 'say "hi"'),
    ],
)
async def test_bodies_are_sent_as_their_type_says(web: Web, given: Mapping[str, Any], mime: str, body: str) -> None:
    flow = chain(node("h", "http", method="POST", url=web.url, **given))
    ran = await ask(flow, run('say "hi"'))
    assert ran.error is None
    (seen,) = web.seen
    assert seen["headers"]["Content-Type"].startswith(mime)
    assert body in seen["body"].decode()


@pytest.mark.parametrize(
    ("body", "question", "sent"),
    [
        ("<p>{a: 1, 'b': [true,],}</p>", "x", {"a": 1, "b": [True]}),
        ("{a: '{{ question }}', b: {{ $flow.state.n }}, // it's }\n c: \"{{ question }}\",}", "it's", None),
        ("{a: '{{ question }}', b: {{ $flow.state.n }}, c: '-{{ question }}-'}", "', admin: true, x: '", None),
        ('{\\"a\\": \\"{{ question }}\\"}', '", "admin": true, "x": "', {"a": '", "admin": true, "x": "'}),
        ("{{ question }}", '{"a": [1]}', {"a": [1]}),
        ('<pre><code class="language-json">{\n "a": "{{ question }}"\n}</code></pre>', "x", {"a": "x"}),
        ('```json\n{"a": "{{ question }}"}\n```', "`", {"a": "`"}),
        ("{{ question }}", "no JSON", "no JSON"),
    ],
)
async def test_json_bodies_may_be_written_as_people_do(web: Web, body: str, question: str, sent: Any) -> None:
    start = {"startState": '[{"key": "n", "value": "{{ question }}"}]'}
    ran = await ask(chain(node("h", "http", method="POST", url=web.url, body=body), start=start), run(question))
    assert ran.error is None, ran.error
    (seen,) = web.seen
    found = json.loads(seen["body"])
    if sent is None:
        middle = question if 'c: "' in body else f"-{question}-"
        sent = {"a": question, "b": question, "c": middle}
    assert found == sent


@pytest.mark.parametrize("body", ["{a: ", "{a: 1{{ question }}, }"])
async def test_a_body_that_is_no_json_is_told(web: Web, body: str) -> None:
    ran = await ask(chain(node("h", "http", method="POST", url=web.url, body=body)), run("x"))
    assert ran.error is not None
    assert "no JSON" in ran.error.message
    assert not web.seen


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ('{"a": "{{ question }}", "b": [1, true]}', "a=x%26y%3D1&b=1&b=true"),
        ('[{"key": "a", "value": "{{ question }}"}, {"key": "a", "value": ""}]', "a=x%26y%3D1&a="),
        ({"a": 1}, "a=1"),
    ],
)
async def test_a_form_may_be_written_as_json(web: Web, body: Any, sent: str) -> None:
    form = node("h", "http", method="POST", url=web.url, bodyType="xWwwFormUrlencoded", body=body)
    assert (await ask(chain(form), run("x&y=1"))).error is None
    assert web.seen[0]["body"].decode() == sent
    refused = await ask(
        chain({**form, "data": {**form["data"], "inputs": {**form["data"]["inputs"], "body": "5"}}}), run("")
    )
    assert refused.error is not None
    assert "must hold an object" in refused.error.message


async def test_headers_without_a_value_are_not_sent(web: Web) -> None:
    headers = pairs(**{"Content-Type": "", "X-A": "<p></p>", "X-B": "{{ $flow.state.none }}", "X-C": "c"})
    await ask(chain(node("h", "http", method="POST", url=web.url, body="{}", headers=headers)), run("x"))
    seen = {name.lower(): value for name, value in web.seen[0]["headers"].items()}
    assert (seen["content-type"], seen["x-c"]) == ("application/json", "c")
    assert not {"x-a", "x-b"} & set(seen)
    # what is not sent keeps no host from being called
    compile_agentflow(parse(chain(node("h", "http", url="{{ question }}", headers=pairs(Authorization="")))))


async def test_an_answer_is_read_as_the_node_says(web: Web) -> None:
    web.answer = b"\x00\xff"
    ran = await ask(chain(node("h", "http", url=web.url, responseType="base64")), run("x"))
    assert base64.b64decode(ran.text) == b"\x00\xff"
    web.answer = b'{"a": 1}'
    assert (await ask(chain(node("h", "http", url=web.url, responseType="text")), run("x"))).text == '{"a": 1}'
    web.answer = b"no json"
    assert (await ask(chain(node("h", "http", url=web.url)), run("x"))).text == "no json"


async def test_secrets_of_a_request_are_sent_and_not_shown(web: Web) -> None:
    flow = chain(
        node(
            "h",
            "http",
            url=web.url,
            headers=pairs(Authorization="{{ $vars.T }}"),
            queryParams=pairs(api_key="{{ $vars.T }}"),
        )
    )
    ran = await ask(flow, run("x", variables={"T": "s3cret-value"}))
    assert web.seen[0]["headers"]["Authorization"] == "s3cret-value"
    assert "api_key=s3cret-value" in web.seen[0]["path"]
    assert "s3cret-value" not in json.dumps(ran.data("h"))


async def test_an_error_of_the_host_is_told(web: Web) -> None:
    web.status, web.answer = 404, b'{"message": "no such thing"}'
    ran = await ask(chain(node("h", "http", url=web.url)), run("x"))
    assert ran.error is not None
    assert "404" in ran.error.message
    assert "no such thing" in ran.error.message


@pytest.mark.parametrize(
    ("values", "name", "value"),
    [
        ({"basicAuthUsername": "u", "basicAuthPassword": "p"}, "Authorization", "Basic dTpw"),
        ({"token": "t-1"}, "Authorization", "Bearer t-1"),
        ({"key": "X-Key", "value": "v-1"}, "X-Key", "v-1"),
    ],
)
async def test_credentials_go_to_their_host_and_nowhere_else(
    web: Web, values: Mapping[str, str], name: str, value: str
) -> None:
    credential = uuid4()
    lent = Lent(credentials={credential: values})
    flow = chain(node("h", "http", url=web.url, credential=str(credential)))
    ran = await ask(flow, run("x", backing=lent.backing()))
    assert web.seen[0]["headers"][name] == value
    assert lent.hosts == ["127.0.0.1"]
    assert value not in json.dumps(ran.data("h"))


async def test_a_credential_that_is_not_here_is_named(web: Web) -> None:
    flow = chain(node("h", "http", url=web.url, credential="of-another-server"))
    ran = await ask(flow, run("x"))
    assert isinstance(ran.error, FlowNotRunnable)
    assert "does not exist here" in ran.error.message


async def test_hosts_that_may_not_be_called_are_not(web: Web) -> None:
    ran = await ask(chain(node("h", "http", url="http://169.254.169.254/latest")), run("x"))
    assert ran.error is not None
    assert ran.error.code == "egress_refused"


def test_no_value_changes_the_json_around_it() -> None:
    template = Template.parse('{"a": "x {{ question }}", "b": {{ $flow.state.list }}, "c": "{{ $flow.state.list }}"}')
    filled = json_filled(template, moment(question='", "admin": true, "z": "\\'))
    assert json.loads(filled) == {
        "a": 'x ", "admin": true, "z": "\\',
        "b": [{"name": "x"}],
        "c": '[{"name": "x"}]',
    }


@given(st.text(st.sampled_from("\"'`\\/*{}[]:,ax1 \n"), max_size=12))
def test_no_value_changes_json_around_it_that_people_write(said: str) -> None:
    body = '{a: \'{{ question }}\', "b": "<{{ question }}>", c: [{{ $flow.state.said }}], /* {{ question }} */ d: 1,}'
    values = moment(question=said, state={"said": said})
    assert json_value(Template.parse(body), values) == {"a": said, "b": f"<{said}>", "c": [said], "d": 1}


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ("../admin/delete", "/a/..%2Fadmin%2Fdelete"),
        ("x?role=admin&a=1#b", "/a/x%3Frole%3Dadmin%26a%3D1%23b"),
        ("%2e%2e%2f", "/a/%252e%252e%252f"),
        ("two words", "/a/two%20words"),
    ],
)
async def test_what_is_said_stays_in_its_place_of_an_address(web: Web, said: str, path: str) -> None:
    ran = await ask(calls(web), run(said))
    assert ran.error is None
    assert [request["path"] for request in web.seen] == [path]


@pytest.mark.parametrize("said", ["..", "."])
async def test_what_is_said_leads_nowhere_up(web: Web, said: str) -> None:
    assert (await ask(calls(web), run(said))).error is not None
    tool = fetching(web, requestsGetUrl=f"{web.url}/items/{{{{ question }}}}")
    assert (await ask(tool, run(said))).error is not None
    assert not web.seen


async def test_what_is_said_stays_in_its_place_of_a_tools_address(web: Web) -> None:
    await ask(
        fetching(web, requestsGetUrl=f"{web.url}/{{{{ $vars.P }}}}/{{{{ question }}}}"),
        run("a/b?c", variables={"P": "p/q"}),
    )
    assert [request["path"] for request in web.seen] == ["/p/q/a%2Fb%3Fc"]


@pytest.mark.parametrize(
    "inputs",
    [
        {"queryParams": pairs(api_key="sk-1")},
        {"queryParams": pairs(a="{{ $vars.KEY }}")},
        {"method": "POST", "body": '{"a": "{{ $vars.KEY }}"}'},
        {"method": "POST", "bodyType": "formData", "body": pairs(a="{{ $vars.KEY }}")},
    ],
)
def test_secrets_elsewhere_than_in_headers_go_to_named_hosts_too(inputs: Mapping[str, Any]) -> None:
    with pytest.raises(FlowNotRunnable, match="who is sent secrets"):
        compile_agentflow(parse(chain(node("h", "http", url="{{ question }}", **inputs))))


# Tools whose configuration names values of the run


def fetching(web: Web, **config: Any) -> str:
    fields = {"requestsGetName": "get", "requestsGetDescription": "Gets.", **config}
    return chain(
        node("start_2", "directReply", directReplyMessage="42"),
        node("t", "tool", toolAgentflowSelectedTool="requestsGet", toolAgentflowSelectedToolConfig=fields),
    )


async def test_a_tool_is_set_by_values_of_the_run(web: Web) -> None:
    flow = fetching(
        web,
        requestsGetUrl=f"<p>{web.url}/items/{{{{ start_2 }}}}</p>",
        requestsGetHeaders='{"Authorization": "Bearer {{ $vars.TOKEN }}"}',
    )
    for token in ("one", 'two"'):
        ran = await ask(flow, run("x", variables={"TOKEN": token}))
        assert ran.error is None
        assert web.seen[-1]["path"] == "/items/42"
        assert web.seen[-1]["headers"]["Authorization"] == f"Bearer {token}"


@pytest.mark.parametrize(
    "config",
    [
        {"requestsGetUrl": "{{ question }}"},
        {"requestsGetUrl": "https://example.com{{ question }}/x"},
        {"requestsGetUrl": "https://{{ $flow.state.host }}/x"},
        {"requestsGetUrl": "https://example.com/", "requestsGetHeaders": '{"A": "{{ question }}"}'},
        {"requestsGetUrl": "https://example.com/", "FLOWISE_CREDENTIAL_ID": "{{ $vars.KEY }}"},
    ],
)
def test_what_is_said_does_not_decide_who_is_called(web: Web, config: Mapping[str, str]) -> None:
    with pytest.raises(FlowNotRunnable, match=r"cannot stand here|credentials are chosen"):
        compile_agentflow(parse(fetching(web, **config)))


@pytest.mark.parametrize(
    ("url", "refused"),
    [
        ("https://example.com/{{ question }}", False),
        ("https://{{ $vars.HOST }}/{{ question }}", False),
        ("{{ $vars.BASE }}/{{ question }}", False),
        ("https://example.com{{ question }}", True),
        ("{{ question }}", True),
        ("https://user@{{ question }}/", True),
    ],
)
def test_secrets_go_only_to_hosts_that_the_author_named(url: str, refused: bool) -> None:
    flow = parse(chain(node("h", "http", url=url, headers=pairs(Authorization="Bearer x"))))
    if refused:
        with pytest.raises(FlowNotRunnable, match="who is sent secrets"):
            compile_agentflow(flow)
    else:
        compile_agentflow(flow)
    compile_agentflow(parse(chain(node("h", "http", url=url))))  # without secrets any host may be called
