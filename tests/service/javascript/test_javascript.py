"""JavaScript in children of its own: what it can do, what it cannot, and what ends it."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.egress.addresses import parse_allowed
from service.egress.client import Egress
from service.javascript.service import MAX_ANSWER, MAX_CALLS, JavaScript, Limits, open_javascript
from service.javascript.types import ScriptFailed
from service.settings import MIB, load
from tests.stubs.web_site import Answer, Request, WebSite

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded on Linux")


@pytest.fixture
async def run() -> AsyncIterator[JavaScript]:
    """Scripts may take a second and call this machine."""
    egress = Egress(parse_allowed("127.0.0.1"))
    runner = JavaScript(egress, Limits(seconds=2.0, memory_bytes=64 * MIB))
    yield runner
    await runner.close()
    await egress.close()


async def failure(run: JavaScript, code: str, **values: Any) -> str:
    with pytest.raises(ScriptFailed) as caught:
        await run(code, values)
    return caught.value.message


async def test_a_script_is_the_body_of_an_async_function(run: JavaScript) -> None:
    assert await run("return $a + 1", {"$a": 41}) == 42
    assert await run("const $a = 'own'; return $a", {"$a": "given"}) == "own"
    assert await run("return await new Promise(done => setTimeout(() => done('late'), 5))", {}) == "late"
    assert await run("async function f() { return {x: [1, null, 'ä']} }\nreturn f()", {}) == {"x": [1, None, "ä"]}
    assert await run("console.log('nothing')", {}) is None


async def test_what_scripts_expect_of_node_is_there(run: JavaScript) -> None:
    code = """
    const { URL, URLSearchParams } = require('url')
    return [Buffer.from('hä:ß').toString('base64'), Buffer.from('aMOk', 'base64').toString(), atob(btoa('hi')),
            new URL('/x?y=1 2#z', 'https://h:1/a/b').href, new URLSearchParams({a: 'b c', d: 'ü'}).toString(),
            new TextDecoder().decode(new TextEncoder().encode('€😀'))]
    """
    expected = ["aMOkOsOf", "hä", "hi", "https://h:1/x?y=1+2#z", "a=b+c&d=%C3%BC", "€😀"]
    assert await run(code, {}) == expected


async def test_an_error_is_told_with_its_line(run: JavaScript) -> None:
    assert await failure(run, "let a = 1\nthrow new TypeError('bad')") == "TypeError: bad (line 2)"
    assert await failure(run, "throw 'a text'") == "a text"
    assert "SyntaxError" in await failure(run, "return (")
    assert "SyntaxError" in await failure(run, "}); return 5; (() => {")
    assert "circular" in await failure(run, "const a = {}; a.a = a; return a")
    assert "BigInt" in await failure(run, "return 1n")


@pytest.mark.parametrize("name", ["pg", "fs", "child_process", "typeorm", "constructor", "__proto__", "node:net"])
async def test_a_module_that_is_not_there_is_named(run: JavaScript, name: str) -> None:
    assert f"require('{name}'): this module is not available here" in await failure(run, f"require('{name}')")


@pytest.mark.parametrize(
    "code",
    [
        "return typeof process + typeof Deno + typeof WebAssembly + typeof XMLHttpRequest",
        "return this.constructor.constructor('return typeof process')() + 'undefined'.repeat(3)",
        "return (async () => {}).constructor('return typeof process')().then(x => x + 'undefined'.repeat(3))",
        "return [].filter.constructor('return typeof process')() + 'undefined'.repeat(3)",
        "return require.constructor('return typeof process')() + 'undefined'.repeat(3)",
        "return Reflect.construct(Function, ['return typeof process'])() + 'undefined'.repeat(3)",
    ],
)
async def test_no_constructor_leads_out_of_the_isolate(run: JavaScript, code: str) -> None:
    assert await run(code, {}) == "undefined" * 4


async def test_import_leads_nowhere(run: JavaScript) -> None:
    assert await failure(run, "return await import('fs')")
    assert await failure(run, "return await import('data:text/javascript,export default 1')")


async def test_one_script_finds_nothing_of_another(run: JavaScript) -> None:
    await run("globalThis.left = 'behind'; Object.prototype.left = 1; JSON.parse = () => 'mine'", {})
    assert await run("return [typeof globalThis.left, ({}).left ?? null]", {}) == ["undefined", None]


@pytest.mark.parametrize(
    "code", ["while (true) {}", "await new Promise(() => {})", "/(a+)+b/.test('a'.repeat(50))", "for(;;) await 0"]
)
async def test_a_script_without_an_end_is_ended(run: JavaScript, code: str) -> None:
    told = await failure(run, code)
    assert "javascript_seconds" in told or "CPU" in told
    assert await run("return 1", {}) == 1


@LINUX
async def test_a_script_that_grows_is_ended(run: JavaScript) -> None:
    told = await failure(run, "const a = []; while (true) a.push(new Array(10000).fill(7))")
    assert "64 MiB (javascript_memory)" in told
    assert await run("return 1", {}) == 1


@LINUX
@pytest.mark.parametrize("code", ["new Uint8Array(1e9).fill(1)", "new ArrayBuffer(4e9)", "'x'.repeat(2 ** 30)"])
async def test_room_that_is_not_there_is_not_given(run: JavaScript, code: str) -> None:
    assert await failure(run, code)


async def test_results_and_depth_are_bounded(run: JavaScript) -> None:
    assert "gives more than 2097152 bytes" in await failure(run, "return 'x'.repeat(3e6)")
    assert await failure(run, "return 'x'.repeat(3e7)")
    assert await failure(run, "let a = 1; for (let i = 0; i < 1e5; i++) a = [a]; return a")
    assert await failure(run, "let a = 1; for (let i = 0; i < 200; i++) a = [a]; return a")
    assert await run("for (let i = 0; i < 1e5; i++) console.log('x'.repeat(1e4)); return 1", {}) == 1


async def test_what_cannot_be_stored_is_not_returned(run: JavaScript) -> None:
    assert await run(r"return ['\ud800a\u0000b', {'\ud800': 1}]", {}) == ["?ab", {"?": 1}]


@pytest.mark.parametrize("trick", ["JSON.stringify = () => 'x'", "Promise.prototype.then = () => 5", "Array = null"])
async def test_who_breaks_the_language_breaks_his_own_script_only(run: JavaScript, trick: str) -> None:
    with suppress(ScriptFailed):
        await run(f"{trick}; return 7", {})
    assert await run("return JSON.stringify([1])", {}) == "[1]"


@pytest.mark.parametrize("name", ["a b", "1a", "a.b", "return", "", "ä", "a;b"])
async def test_a_name_that_no_variable_can_have_is_refused(run: JavaScript, name: str) -> None:
    with pytest.raises(ScriptFailed, match="cannot be the name"):
        await run("return 1", {name: 1})


async def test_values_are_json_and_never_code(run: JavaScript) -> None:
    hostile = "`${1+1}`'\"\\\u2028</script>"
    assert await run("return $x", {"$x": hostile}) == hostile
    with pytest.raises(ScriptFailed, match="no JSON"):
        await run("return $x", {"$x": object()})
    with pytest.raises(ScriptFailed, match="larger"):
        await run("return 1", {"$x": "x" * 9 * MIB})


@pytest.mark.parametrize("way", ["fetch", "require('node-fetch')"])
async def test_fetch_goes_by_the_egress_client(run: JavaScript, way: str) -> None:
    async with WebSite() as site:
        site["/a?b=c"] = lambda request: Answer(
            json.dumps({"got": request.body.decode(), "key": request.headers["x-key"]}), "application/json", 201
        )
        code = f"""
        const call = {way}
        const response = await call($url, {{method: 'POST', headers: {{'X-Key': 'k'}}, body: JSON.stringify({{a: 1}})}})
        return [response.status, response.ok, response.headers.get('Content-Type'), await response.json()]
        """
        made = await run(code, {"$url": f"{site.url}/a?b=c"})
    assert made == [201, True, "application/json", {"got": '{"a":1}', "key": "k"}]


async def test_axios_speaks_as_people_know_it(run: JavaScript) -> None:
    def echo(request: Request) -> Answer:
        told = {"method": request.method, "path": request.path, "body": request.body.decode()}
        return Answer(json.dumps(told), "application/json", 404 if "missing" in request.path else 200)

    async with WebSite() as site:
        for path in ("/get?q=1", "/post", "/missing", "/api/put"):
            site[path] = echo
        code = """
        const axios = require('axios')
        const got = await axios.get($base + '/get', {params: {q: 1}})
        const posted = await axios.post($base + '/post', {a: 1})
        const put = await axios.create({baseURL: $base + '/api'}).request({method: 'put', url: '/put', data: 'x'})
        let caught
        try { await axios($base + '/missing') } catch (error) { caught = [error.message, error.response.status] }
        return [got.data.path, posted.data.body, put.data, caught]
        """
        made = await run(code, {"$base": site.url})
    assert made == [
        "/get?q=1",
        '{"a":1}',
        {"method": "PUT", "path": "/api/put", "body": "x"},
        ["Request failed with status code 404", 404],
    ]


async def test_bytes_come_through_as_they_are(run: JavaScript) -> None:
    data = bytes(range(256))
    async with WebSite() as site:
        site["/b"] = Answer(data, "application/octet-stream")
        code = "return Buffer.from(await (await fetch($url)).arrayBuffer()).toString('hex')"
        assert await run(code, {"$url": f"{site.url}/b"}) == data.hex()


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/latest", "http://10.0.0.1/", "file:///etc/passwd", "http://[::1]:80/", "nonsense", ""],
)
async def test_what_the_egress_client_refuses_is_refused(run: JavaScript, url: str) -> None:
    code = "try { await fetch($url); return 'reached' } catch (error) { return error.message }"
    assert "fetch failed" in await run(code, {"$url": url})


async def test_calls_and_answers_are_bounded(run: JavaScript) -> None:
    run._limits = replace(run._limits, seconds=20.0)  # many calls take a while on a busy machine
    async with WebSite() as site:
        site["/"] = Answer("x")
        site["/large"] = Answer(b"x" * (MAX_ANSWER + 1))
        many = f"""
        const calls = Array.from({{length: {MAX_CALLS + 5}}}, () => fetch($url))
        return (await Promise.allSettled(calls)).map(call => call.status)
        """
        made = await run(many, {"$url": f"{site.url}/"})
        assert (made.count("fulfilled"), made.count("rejected")) == (MAX_CALLS, 5)
        assert "larger than allowed" in await failure(run, "await fetch($url)", **{"$url": f"{site.url}/large"})
        assert "a request may have" in await failure(
            run, "await fetch($url, {method: 'POST', body: 'x'.repeat(2e6)})", **{"$url": site.url}
        )


async def test_a_script_that_never_stops_asking_is_ended(run: JavaScript) -> None:
    code = "for (;;) await fetch('http://169.254.169.254').catch(() => 0)"
    assert "does not stop asking for calls" in await failure(run, code)


async def test_a_script_that_ends_leaves_no_call_behind(run: JavaScript) -> None:
    async with WebSite() as site:
        site["/slow"] = Answer(pause=0.05, pieces=[b"x"] * 600)  # so that the site sees that its caller has gone
        site["/"] = Answer("x")
        code = "fetch($url + '/slow'); await new Promise(r => setTimeout(r, 50)); await fetch($url); return 1"
        assert await run(code, {"$url": site.url}) == 1
        for _ in range(500):
            if not site.open:
                break
            await asyncio.sleep(0.02)
        else:
            raise AssertionError("the call goes on")


def children(pid: int) -> set[int]:
    return {int(found) for found in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


@LINUX
async def test_who_is_cancelled_leaves_no_child_behind(run: JavaScript) -> None:
    await run("return 1", {})
    assert run.helper is not None
    task = asyncio.create_task(run("while (true) {}", {}))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(1000):
        if len(children(run.helper)) <= 1:  # the one that waits for the next script
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the script still runs")


@LINUX
async def test_a_child_can_open_reach_and_start_nothing(run: JavaScript) -> None:
    await run("return 1", {})
    assert run.helper is not None
    for _ in range(500):
        found = children(run.helper)
        if len(found) == 1 and _confined(child := found.pop()):
            break
        await asyncio.sleep(0.01)
    else:
        raise AssertionError("no child was confined")
    assert b"PYTEST" not in Path(f"/proc/{child}/environ").read_bytes()


def _confined(child: int) -> bool:
    """Whether the kernel lets a process compute, and no more."""
    status, limits = (Path(f"/proc/{child}/{name}").read_text() for name in ("status", "limits"))
    return "Seccomp:\t2" in status and re.search(r"Max open files +0 +0 ", limits) is not None


async def test_nothing_is_started_before_the_first_script_and_a_helper_that_dies_is_replaced(run: JavaScript) -> None:
    assert run.helper is None
    assert await run("return 1", {}) == 1
    assert run.helper is not None
    os.kill(run.helper, 9)
    assert await run("return 2", {}) == 2
    assert await run("return 3", {}) == 3


async def test_it_is_off_unless_the_operator_switches_it_on() -> None:
    egress = Egress()
    assert open_javascript(load({}), egress) is None
    opened = open_javascript(load({"RAGSTONE_JAVASCRIPT": "on"}), egress)
    assert opened is not None
    await opened.close()
