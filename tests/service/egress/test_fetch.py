"""What a call brings back, what goes along with it, and where it ends."""

import gzip
import ssl
import zlib
from io import BytesIO
from pathlib import Path

import pytest
import trustme

from service.egress.addresses import parse_allowed
from service.egress.client import USER_AGENT, Egress, open_egress
from service.egress.errors import EgressFailed, EgressRefused, EgressTooLarge
from service.settings import Settings, SettingsError
from tests.service.egress.conftest import resolver
from tests.stubs.web_site import Answer, Request, WebSite, moved

MIB = 1024 * 1024


async def test_the_answer_with_its_type_and_names(egress: Egress, site: WebSite) -> None:
    headers = {"ETag": '"1"', "Content-Disposition": "attachment; filename*=UTF-8''Preisliste%20%C3%A4.pdf"}
    site["/a/b%20c.html?x=1"] = Answer("Grüße", mime="Text/HTML; Charset=UTF-8", headers=headers)
    got = await egress.fetch(f"{site.url}/a/b%20c.html?x=1")
    assert (got.status, got.mime, got.charset, got.size) == (200, "text/html", "utf-8", 7)
    assert (got.headers["etag"], got.body.decode()) == ('"1"', "Grüße")
    assert got.name == "Preisliste ä.pdf"
    assert got.content_type == "text/html"
    sent = site.requests[0]
    assert (sent.method, sent.headers["user-agent"], sent.headers["host"]) == (
        "GET",
        USER_AGENT,
        f"127.0.0.1:{site.port}",
    )


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ('Text/HTML; Charset="Windows-1251"', "text/html; charset=windows-1251"),
        ("text/html; charset=a b", "text/html"),
        ("text/html; charset=" + "x" * 60, "text/html"),
        ("; charset=koi8-r", ""),
    ],
)
async def test_the_type_is_kept_with_a_charset_that_may_be_one(
    egress: Egress, site: WebSite, sent: str, kept: str
) -> None:
    site["/a"] = Answer("x", mime=sent)
    assert (await egress.fetch(f"{site.url}/a")).content_type == kept


async def test_the_name_comes_from_the_path_where_none_is_given(egress: Egress, site: WebSite) -> None:
    site["/a/b%20c.html"] = Answer("x", headers={"Content-Disposition": "inline"})
    assert (await egress.fetch(f"{site.url}/a/b%20c.html")).name == "b c.html"


async def test_every_status_is_an_answer_and_good_tells_success(egress: Egress, site: WebSite) -> None:
    for status, transient in ((404, False), (401, False), (429, True), (500, True), (503, True)):
        site["/"] = Answer("sorry", status=status)
        got = await egress.fetch(f"{site.url}/")
        assert (got.status, got.body) == (status, b"sorry")
        with pytest.raises(EgressFailed) as caught:
            got.good()
        assert (caught.value.answer, caught.value.transient) == (status, transient)
    site["/"] = Answer("fine", status=206)
    assert (await egress.fetch(f"{site.url}/")).good().body == b"fine"


async def test_a_sink_takes_the_body_of_a_success_only(egress: Egress, site: WebSite) -> None:
    site["/"] = Answer(b"x" * 300_000)
    site["/error"] = Answer("not here", status=404)
    sink = BytesIO()
    got = await egress.fetch(f"{site.url}/", sink=sink)
    assert (got.body, got.size, len(sink.getvalue())) == (b"", 300_000, 300_000)
    failed = await egress.fetch(f"{site.url}/error", sink=sink)
    assert (failed.body, len(sink.getvalue())) == (b"not here", 300_000)


async def test_bodies_are_unpacked(egress: Egress, site: WebSite) -> None:
    site["/gzip"] = Answer(gzip.compress(b"hello"), headers={"Content-Encoding": "gzip"})
    site["/deflate"] = Answer(zlib.compress(b"hello"), headers={"Content-Encoding": "deflate"})
    site["/broken"] = Answer(b"no gzip at all", headers={"Content-Encoding": "gzip"})
    for path in ("/gzip", "/deflate"):
        assert (await egress.fetch(f"{site.url}{path}")).body == b"hello"
    with pytest.raises(EgressFailed):
        await egress.fetch(f"{site.url}/broken")


@pytest.mark.parametrize("packings", [1, 2, 3])
async def test_a_small_answer_that_unpacks_to_a_large_one_is_stopped(
    egress: Egress, site: WebSite, packings: int
) -> None:
    bomb = bytes(200 * MIB)
    for _ in range(packings):
        bomb = gzip.compress(bomb, compresslevel=1)
    site["/"] = Answer(bomb, headers={"Content-Encoding": ", ".join(["gzip"] * packings)})
    sink = BytesIO()
    with pytest.raises(EgressTooLarge, match="egress_max_bytes"):
        await egress.fetch(f"{site.url}/", sink=sink)
    assert len(sink.getvalue()) <= 2 * MIB


async def test_more_bytes_than_allowed_are_not_read(egress: Egress, site: WebSite) -> None:
    site["/declared"] = Answer(b"x", headers={"Content-Length": str(10**12)})
    site["/streamed"] = Answer(pieces=[b"x" * 65536] * 64)
    for path in ("/declared", "/streamed"):
        with pytest.raises(EgressTooLarge) as caught:
            await egress.fetch(f"{site.url}{path}")
        assert caught.value.status == 413
    site["/small"] = Answer(b"x" * 100)
    with pytest.raises(EgressTooLarge):
        await egress.fetch(f"{site.url}/small", max_bytes=99)
    assert (await egress.fetch(f"{site.url}/small", max_bytes=100)).size == 100


async def test_an_answer_that_drips_ends_with_the_time_for_all_of_it(egress: Egress, site: WebSite) -> None:
    site["/"] = Answer(pieces=[b"x"] * 1000, pause=0.05)
    site["/first"] = moved("/second")
    site["/second"] = Answer(pieces=[b"x"] * 1000, pause=0.05)
    for path in ("/", "/first"):
        with pytest.raises(EgressFailed, match=r"0\.3 seconds") as caught:
            await egress.fetch(f"{site.url}{path}", timeout=0.3)
        assert caught.value.transient


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (number, b"x" * 1000) for number in range(1000)) + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx",
        b"nonsense\r\n\r\n",
        b"",
    ],
    ids=["many headers", "a long header", "cut off", "no HTTP", "nothing"],
)
async def test_servers_that_misbehave_are_failures(egress: Egress, site: WebSite, raw: bytes) -> None:
    site["/"] = Answer(raw=raw or b" ")
    with pytest.raises(EgressFailed) as caught:
        await egress.fetch(f"{site.url}/")
    assert caught.value.status == 502


async def test_a_port_that_nobody_listens_on_is_a_failure(egress: Egress) -> None:
    async with WebSite() as gone:
        port = gone.port
    closed = Egress(parse_allowed(f"127.0.0.1:{port}"))
    with pytest.raises(EgressFailed, match="cannot be reached"):
        await closed.fetch(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        *((301, "GET", "GET"), (302, "POST", "GET"), (303, "POST", "GET"), (303, "PUT", "GET"), (303, "HEAD", "HEAD")),
        *((307, "POST", "POST"), (308, "PUT", "PUT"), (302, "PUT", "PUT"), (301, "HEAD", "HEAD")),
    ],
)
async def test_methods_and_bodies_after_a_redirect(
    egress: Egress, site: WebSite, status: int, method: str, then: str
) -> None:
    site["/"] = moved("next", status)
    site["/next"] = Answer("there")
    body = b"payload" if method in ("POST", "PUT") else None
    got = await egress.fetch(f"{site.url}/", method=method, body=body, headers={"Content-Type": "text/plain"})
    assert got.url == f"{site.url}/next"
    last = site.requests[-1]
    assert (last.method, last.body) == (then, b"payload" if then in ("POST", "PUT") else b"")
    assert ("content-type" in last.headers) is (then in ("POST", "PUT"))


async def test_secrets_do_not_follow_to_another_host(site: WebSite) -> None:
    async with WebSite() as other:
        egress = Egress(parse_allowed("127.0.0.1"), timeout=5.0)
        other["/"] = Answer("hello")
        site["/"] = moved(f"{other.url}/")
        site["/here"] = moved("/there")
        site["/there"] = Answer("same")
        secrets = {"Authorization": "Bearer s", "Cookie": "s=1", "X-Api-Key": "s", "PRIVATE-TOKEN": "s"}
        harmless = {"Accept": "text/html", "If-None-Match": '"1"'}
        await egress.fetch(f"{site.url}/", headers=secrets | harmless)
        await egress.fetch(f"{site.url}/here", headers=secrets)
        assert {"authorization", "cookie", "x-api-key", "private-token"}.isdisjoint(other.requests[0].headers)
        assert other.requests[0].headers["if-none-match"] == '"1"'
        assert site.requests[-1].headers["authorization"] == "Bearer s"
        site["/"] = moved(f"{other.url}/", 307)
        with pytest.raises(EgressFailed, match="body"):
            await egress.fetch(f"{site.url}/", method="POST", body=b"secret")
        assert len(other.requests) == 1
        await egress.close()


async def test_redirects_in_a_circle_end(egress: Egress, site: WebSite) -> None:
    site["/"] = moved("/")
    with pytest.raises(EgressFailed, match="more than 2 times"):
        await egress.fetch(f"{site.url}/", redirects=2)
    assert len(site.requests) == 3
    with pytest.raises(EgressFailed):
        await egress.fetch(f"{site.url}/", redirects=0)


async def test_cookies_are_not_kept(egress: Egress, site: WebSite) -> None:
    def answer(request: Request) -> Answer:
        assert "cookie" not in request.headers
        return Answer("x", headers={"Set-Cookie": "id=1; Path=/"})

    site["/"] = answer
    for _ in range(2):
        assert (await egress.fetch(f"{site.url}/")).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil"},
        {"content-length": "1"},
        {"Proxy-Authorization": "x"},
        {"A": "b\r\nC: d"},
        {"": "x"},
        {"A": "ü"},
    ],
)
async def test_headers_that_belong_to_the_connection_or_break_it_are_refused(
    egress: Egress, site: WebSite, headers: dict[str, str]
) -> None:
    with pytest.raises(EgressRefused, match="header"):
        await egress.fetch(f"{site.url}/", headers=headers)
    assert site.connections == 0


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> Path:
    file = tmp_path / "company.pem"
    authority.cert_pem.write_to_path(str(file))
    return file


def served(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


async def test_https_keeps_the_name_and_needs_a_known_authority(authority: trustme.CA, bundle: Path) -> None:
    context = served(authority, "wiki.example.com")
    named: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: named.append(name)
    async with WebSite(context=context) as site:
        site["/"] = Answer("safe")
        allowed = parse_allowed(f"wiki.example.com:{site.port}, other.example.com:{site.port}")
        near = resolver(lambda *_: ["127.0.0.1"])
        trusting = Egress(allowed, ca_bundle=bundle, resolver=near, timeout=5.0)
        assert (await trusting.fetch(f"https://wiki.example.com:{site.port}/")).body == b"safe"
        assert named == ["wiki.example.com"]
        assert site.requests[0].headers["host"] == f"wiki.example.com:{site.port}"
        with pytest.raises(EgressFailed):
            await trusting.fetch(f"https://other.example.com:{site.port}/")
        await trusting.close()
        strange = Egress(allowed, resolver=near, timeout=5.0)
        with pytest.raises(EgressFailed):
            await strange.fetch(f"https://wiki.example.com:{site.port}/")
        await strange.close()
    assert len(site.requests) == 1


async def test_a_redirect_from_https_to_http_is_refused(authority: trustme.CA, bundle: Path, site: WebSite) -> None:
    async with WebSite(context=served(authority, "127.0.0.1")) as safe:
        safe["/"] = moved(f"{site.url}/")
        egress = Egress(parse_allowed("127.0.0.1"), ca_bundle=bundle, timeout=5.0)
        with pytest.raises(EgressRefused, match="from https to http"):
            await egress.fetch(f"{safe.url}/")
        await egress.close()
    assert site.connections == 0


async def test_the_settings_open_what_the_operator_names(site: WebSite, tmp_path: Path) -> None:
    site["/v1"] = Answer("model")
    egress = open_egress(Settings.model_validate({"openai_base_url": f"{site.url}/v1", "egress_max_bytes": 4}))
    with pytest.raises(EgressTooLarge):
        await egress.fetch(f"{site.url}/v1")
    with pytest.raises(EgressRefused):
        await egress.fetch(f"http://127.0.0.1:{site.port + 1}/")
    await egress.close()
    for wrong in (
        {"egress_allow": "a b"},
        {"openai_base_url": "not a url/v1"},
        {"ollama_base_url": "not a url"},
        {"ca_bundle": tmp_path / "none.pem"},
    ):
        with pytest.raises(SettingsError, match=f"RAGSTONE_{next(iter(wrong)).upper()}"):
            open_egress(Settings.model_validate(wrong))


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({"ollama_base_url": "http://127.0.0.1:4321"}, "http://127.0.0.1:4321/api/chat"),
        ({"chat_model": "ollama:llama3.2"}, "http://localhost:11434/api/chat"),
    ],
)
async def test_the_operators_ollama_server_is_called(given: dict[str, str], url: str) -> None:
    open_egress(Settings.model_validate(given)).check(url)
    with pytest.raises(EgressRefused):
        open_egress(Settings.model_validate({})).check(url)


async def test_the_pool_closes_with_the_last_client_and_opens_again(egress: Egress, site: WebSite) -> None:
    site["/"] = Answer("x")
    for _ in range(2):
        first, second = egress.http_client(timeout=5.0), egress.http_client(timeout=5.0)
        assert (await first.get(f"{site.url}/")).text == "x"
        await first.aclose()
        assert (await second.get(f"{site.url}/")).text == "x"
        await second.aclose()
