"""Nothing private is ever connected to, however it is written, resolved or redirected to (S26 to S28)."""

import asyncio
import itertools
import random
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpcore2
import httpx2
import pytest

from service.egress.addresses import parse_allowed
from service.egress.client import Egress
from service.egress.errors import EgressError, EgressFailed, EgressRefused, EgressTooLarge
from tests.service.egress.conftest import resolver
from tests.stubs.web_site import Answer, WebSite, moved

PUBLIC = "93.184.216.34"

HOSTS = [
    *("127.0.0.1", "0", "0.0.0.0", "127.1", "127.0.1", "2130706433", "017700000001", "0x7f000001", "0x7f.0x0.0x0.0x1"),
    *("0177.0.0.1", "127.0.0.1.", "localhost", "LOCALHOST", "localhost.", "localhost.localdomain", "x.localhost"),
    *(
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b:1::1]",
    ),
    *("[2002:7f00:1::]", "[fe80::1]", "[fe80::1%25lo]", "[fc00::1]", "[fd00:ec2::254]", "169.254.169.254"),
    *("metadata.google.internal", "metadata", "metadata.goog", "instance-data", "168.63.129.16", "100.100.100.200"),
    *("192.0.0.192", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "224.0.0.1", "255.255.255.255"),
    *("127。0。0。1", "①27.0.0.1", "printer", "nas.local", "db.internal", "router.lan"),
]


@pytest.fixture
async def strict() -> AsyncIterator[Egress]:
    """A client to which nothing is allowed but what is public."""
    opened = Egress(timeout=5.0)
    yield opened
    await opened.close()


@pytest.mark.parametrize("host", HOSTS)
async def test_private_hosts_are_refused_in_every_spelling(strict: Egress, canary: WebSite, host: str) -> None:
    with pytest.raises(EgressRefused) as caught:
        await strict.fetch(f"http://{host}:{canary.port}/")
    assert (caught.value.status, caught.value.code) == (422, "egress_refused")


async def test_the_refusal_says_the_same_of_every_host_and_names_the_remedy(strict: Egress, canary: WebSite) -> None:
    said = set()
    for host in ("127.0.0.1", "10.255.255.1", "169.254.169.254", "printer", "nas.local", "192.168.7.7"):
        for port in (canary.port, 9):
            with pytest.raises(EgressRefused) as caught:
                await strict.fetch(f"http://{host}:{port}/")
            said.add(caught.value.message.replace(host, "HOST").replace(f":{port}", ":PORT"))
    assert said == {
        "The host 'HOST' is unknown or has no public address, and only hosts that have one are called."
        " To allow this one, start with RAGSTONE_EGRESS_ALLOW=HOST:PORT"
    }


@pytest.mark.parametrize(
    "url",
    [
        *(
            "file:///etc/passwd",
            "gopher://127.0.0.1/",
            "ftp://example.com/",
            "dict://x/",
            "data:text/plain,x",
            "//x/",
            "x",
        ),
        *("http:///x", "http://", "", "http://user@1.1.1.1/", "http://a:b@1.1.1.1/", "http://1.1.1.1\\@127.0.0.1/"),
        *("http://1.1.1.1:22/", "http://1.1.1.1:6379/", "http://1.1.1.1:5432/", "http://1.1.1.1:0/", "http://[::1/"),
        *("unix:///var/run/docker.sock", "http+unix://%2Fvar%2Frun/x", "HTTP://exa mple.com/", "http://1.1.1.1:99999/"),
    ],
)
async def test_other_schemes_user_names_and_ports_of_other_protocols_are_refused(strict: Egress, url: str) -> None:
    with pytest.raises(EgressRefused):
        await strict.fetch(url)
    with pytest.raises(EgressRefused):
        strict.check(url)


async def test_a_name_that_does_not_exist_is_refused_like_a_private_one() -> None:
    def unknown(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    def later(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "later")

    private = Egress(resolver=resolver(lambda *_: ["10.0.0.5"]))
    missing = Egress(resolver=resolver(unknown))
    messages = []
    for egress in (private, missing):
        with pytest.raises(EgressRefused) as caught:
            await egress.fetch("https://intranet.example.com/")
        messages.append(caught.value.message)
    assert messages[0] == messages[1]
    with pytest.raises(EgressFailed) as failed:
        await Egress(resolver=resolver(later)).fetch("https://intranet.example.com/")
    assert failed.value.transient


async def test_the_resolver_is_not_asked_for_names_of_private_networks() -> None:
    asked: list[str] = []

    def answer(host: str, _port: int) -> list[str]:
        asked.append(host)
        return [PUBLIC]

    strict = Egress(resolver=resolver(answer))
    for host in ("printer", "db.internal", "metadata.google.internal", "x.localhost"):
        with pytest.raises(EgressRefused):
            await strict.fetch(f"http://{host}/")
    assert asked == []


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that connections are opened to; other machines do not answer."""
    made: list[str] = []
    connect = httpcore2.AnyIOBackend.connect_tcp

    async def noted(self: Any, host: str, port: int, *arguments: Any, **options: Any) -> Any:
        made.append(host)
        if host != "127.0.0.1":
            raise httpcore2.ConnectError("another machine")
        return await connect(self, host, port, *arguments, **options)

    monkeypatch.setattr(httpcore2.AnyIOBackend, "connect_tcp", noted)
    return made


async def test_a_connection_goes_to_the_address_that_was_checked(canary: WebSite, attempts: list[str]) -> None:
    answers = itertools.chain([[PUBLIC]], itertools.repeat(["127.0.0.1"]))
    rebinding = Egress(resolver=resolver(lambda *_: next(answers)), timeout=5.0)
    url = f"http://rebind.example.com:{canary.port}/"
    with pytest.raises(EgressFailed):
        await rebinding.fetch(url)
    assert attempts == [PUBLIC]
    for _ in range(3):
        with pytest.raises(EgressRefused):
            await rebinding.fetch(url)
    assert attempts == [PUBLIC]


def test_a_connection_without_an_event_loop_goes_to_the_address_that_was_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = itertools.chain([PUBLIC], itertools.repeat("127.0.0.1"))
    made: list[str] = []

    def resolve(_host: str, port: int, **_options: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    def connect(_self: Any, host: str, *_arguments: Any, **_options: Any) -> Any:
        made.append(host)
        raise httpcore2.ConnectError("another machine")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(httpcore2.SyncBackend, "connect_tcp", connect)
    with Egress().blocking_client(timeout=5.0) as rebinding:
        with pytest.raises(httpx2.ConnectError):
            rebinding.get("http://rebind.example.com/")
        with pytest.raises(EgressRefused):
            rebinding.get("http://rebind.example.com/")
    assert made == [PUBLIC]


async def test_a_name_that_changes_all_the_time_never_leads_inside(canary: WebSite, attempts: list[str]) -> None:
    dice = random.Random(7)
    inside = ["127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "fe80::1%lo", "64:ff9b::7f00:1"]
    egress = Egress(
        resolver=resolver(lambda *_: dice.sample([*inside, PUBLIC, "2606:4700::1"], dice.randint(1, 6))), timeout=5.0
    )
    client = egress.http_client(timeout=5.0)
    for _ in range(300):
        with pytest.raises(EgressError):
            await egress.fetch(f"http://flip.example.com:{canary.port}/")
        with pytest.raises((EgressError, httpx2.TransportError)):
            await client.get(f"http://flip.example.com:{canary.port}/")
    await client.aclose()
    assert set(attempts) == {PUBLIC, "2606:4700::1"}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("hops", [1, 3, 5, 6])
async def test_a_redirect_inside_is_refused_at_its_hop(
    egress: Egress, site: WebSite, canary: WebSite, hops: int, status: int
) -> None:
    for hop in range(hops - 1):
        site[f"/{hop}"] = moved(f"/{hop + 1}", status)
    site[f"/{hops - 1}"] = moved(f"{canary.url}/", status)
    with pytest.raises(EgressFailed if hops > 5 else EgressRefused):
        await egress.fetch(f"{site.url}/0")
    assert len(site.requests) == hops


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "gopher://127.0.0.1:6379/_x", "//[::1]:1/", "http://2130706433/", "http://u@x.com/"],
)
async def test_a_redirect_to_something_else_is_refused(egress: Egress, site: WebSite, location: str) -> None:
    site["/"] = moved(location)
    with pytest.raises(EgressRefused):
        await egress.fetch(f"{site.url}/")


async def test_an_allowed_name_may_be_private_but_no_metadata_service(site: WebSite, attempts: list[str]) -> None:
    site["/"] = Answer("hello")
    addresses = ["127.0.0.1"]
    egress = Egress(parse_allowed(f"ollama:{site.port}"), resolver=resolver(lambda *_: addresses), timeout=5.0)
    assert (await egress.fetch(f"http://ollama:{site.port}/")).body == b"hello"
    assert site.requests[0].headers["host"] == f"ollama:{site.port}"
    with pytest.raises(EgressRefused):
        await egress.fetch("http://ollama:9999/")
    addresses[:] = ["169.254.169.254"]
    with pytest.raises(EgressRefused):
        await egress.fetch(f"http://ollama:{site.port}/")
    await egress.close()
    assert set(attempts) == {"127.0.0.1"}


async def test_the_next_address_is_tried_when_one_does_not_answer(site: WebSite, attempts: list[str]) -> None:
    site["/"] = Answer("hello")
    found = ["2606:4700::1", "10.0.0.9", PUBLIC, "127.0.0.1"]
    egress = Egress(parse_allowed(f"127.0.0.1:{site.port}"), resolver=resolver(lambda *_: found), timeout=5.0)
    assert (await egress.fetch(f"http://many.example.com:{site.port}/")).body == b"hello"
    await egress.close()
    assert attempts == ["2606:4700::1", PUBLIC, "127.0.0.1"]


async def test_clients_of_libraries_are_guarded_too(
    strict: Egress, canary: WebSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, canary.url)
    async with strict.http_client(timeout=5.0) as client:
        for url in (canary.url, f"http://localhost:{canary.port}/", "http://10.0.0.1/"):
            with pytest.raises(EgressRefused):
                await client.get(url)
    with strict.blocking_client(timeout=5.0) as blocking, pytest.raises(EgressRefused):
        blocking.get(canary.url)


async def test_libraries_follow_no_redirects_keep_no_cookies_and_unpack_nothing(egress: Egress, site: WebSite) -> None:
    site["/"] = Answer(status=302, headers={"Location": "/next", "Set-Cookie": "id=1; Path=/"})
    site["/packed"] = Answer(b"x", headers={"Content-Encoding": "gzip"})
    async with egress.http_client(timeout=5.0) as client:
        assert (await client.get(f"{site.url}/")).status_code == 302
        assert (await client.get(f"{site.url}/")).status_code == 302
        with pytest.raises(EgressFailed):
            await client.get(f"{site.url}/packed")
    assert all("cookie" not in request.headers for request in site.requests)
    assert {request.headers["accept-encoding"] for request in site.requests} == {"identity"}


async def test_libraries_without_an_event_loop_are_held_to_the_same(
    egress: Egress, site: WebSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.egress.network.MAX_ANSWER", 1000)
    site["/packed"] = Answer(b"x", headers={"Content-Encoding": "gzip"})
    site["/large"] = Answer(b"x" * 1001)

    def call() -> None:
        with egress.blocking_client(timeout=5.0) as client:
            with pytest.raises(EgressFailed, match="packs its answer"):
                client.get(f"{site.url}/packed")
            with pytest.raises(EgressTooLarge):
                client.get(f"{site.url}/large")

    await asyncio.to_thread(call)
    assert {request.headers["accept-encoding"] for request in site.requests} == {"identity"}
    async with egress.http_client(timeout=5.0) as client:
        with pytest.raises(EgressTooLarge):
            await client.get(f"{site.url}/large")


async def test_unix_sockets_are_not_called(strict: Egress) -> None:
    from service.egress.network import GuardedBlockingNetwork, GuardedNetwork

    with pytest.raises(httpcore2.ConnectError):
        await GuardedNetwork(strict.guard).connect_unix_socket("/var/run/docker.sock")
    with pytest.raises(httpcore2.ConnectError):
        GuardedBlockingNetwork(strict.guard).connect_unix_socket("/var/run/docker.sock")
