"""The one client for calls to other hosts: public addresses only, bounded in bytes, time and redirects."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from functools import cached_property
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, Self
from urllib.parse import unquote, urlsplit

from service import __version__
from service.egress.addresses import Allowed, parse_allowed
from service.egress.errors import EgressFailed, EgressRefused, EgressTooLarge
from service.egress.guard import Guard, Resolver
from service.secret_names import redacted
from service.settings import MIB, PREFIX, Settings, SettingsError

if TYPE_CHECKING:
    # importing the HTTP libraries costs 60 ms of CPU: only a process that calls somebody pays for it
    import ssl

    import httpcore2
    import httpx
    import httpx2

USER_AGENT = f"Ragstone/{__version__}"
REDIRECTS = 5
CONNECT_SECONDS = 10.0
ERROR_BYTES = 64 * 1024
"""What is read of an answer that is no success, when the body was to go into a file."""

_CHARSET = re.compile(r"[a-z0-9_:.-]{1,40}")
_MOVED = frozenset({301, 302, 303, 307, 308})
_OURS = frozenset(
    {
        "host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade",
        "accept-encoding", "expect",
    }
)  # fmt: skip
"""Headers that belong to the connection; a caller cannot set them."""
_HARMLESS = frozenset(
    {"accept", "accept-language", "user-agent", "range", "if-none-match", "if-modified-since", "content-type"}
)
"""Headers that follow a redirect to another host; every other one may be a secret that was meant for the first."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a host answered."""

    url: str
    """Where the answer came from, after redirects."""
    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes
    """Empty when a sink took it."""
    mime: str
    """Media type in lower case without parameters; empty when the host names none."""
    size: int
    """Bytes of the body, unpacked."""

    @property
    def charset(self) -> str:
        """The charset the host names, or an empty text."""
        return self._typed().get_content_charset("")

    @property
    def content_type(self) -> str:
        """`mime`, with the charset that the host names; UTF-8 need not be named."""
        charset = self.charset
        told = self.mime and charset != "utf-8" and _CHARSET.fullmatch(charset)
        return f"{self.mime}; charset={charset}" if told else self.mime

    @property
    def name(self) -> str:
        """The file name that the host gives, else the last part of the URL's path; may be empty."""
        message = Message()
        message["content-disposition"] = self.headers.get("content-disposition", "")
        given = message.get_filename() or unquote(urlsplit(self.url).path)
        return PurePosixPath(given.replace("\\", "/")).name

    def good(self) -> Self:
        """Itself when the host answered with a success (2xx). Raises `EgressFailed` naming the status otherwise."""
        if 200 <= self.status < 300:
            return self
        transient = self.status in (408, 425, 429) or self.status >= 500
        host = urlsplit(self.url).hostname
        raise EgressFailed(f"'{host}' answers with status {self.status}.", answer=self.status, transient=transient)

    def _typed(self) -> Message:
        message = Message()
        message["content-type"] = self.headers.get("content-type", "")
        return message


class Egress:
    """Calls other hosts. One for a process and event loop; nothing is opened before the first call."""

    def __init__(
        self,
        allowed: Allowed | None = None,
        *,
        max_bytes: int = 100 * MIB,
        timeout: float = 60.0,
        ca_bundle: Path | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        """`allowed`: what may be called beyond public addresses; `timeout`: seconds for a whole call, redirects
        included; `ca_bundle`: a PEM file of authorities trusted besides the system's."""
        self.guard = Guard(allowed or Allowed(), resolver)
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._ca_bundle = ca_bundle
        self._pool: httpcore2.AsyncConnectionPool | None = None
        self._clients = 0
        self._fetches = False

    def check(self, url: str) -> None:
        """Refuse, without asking anybody, a URL that may never be called. Raises `EgressRefused`."""
        self._checked(url)

    async def fetch(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_bytes: int | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # as every HTTP client names it
        redirects: int = REDIRECTS,
        sink: BinaryIO | None = None,
    ) -> Fetched:
        """What the host answers, whatever the status; see `Fetched.good`.

        Redirects are followed up to `redirects` times, each to a place that is checked anew; only harmless headers
        follow to another host. `max_bytes` bounds the body after unpacking, `timeout` (seconds) all of it together.
        With a `sink`, the body of a success (2xx) is written there as it comes.

        Raises `EgressRefused`, `EgressFailed`, `EgressTooLarge`.
        """
        import httpx2

        self._fetches = True
        seconds = timeout or self._timeout
        call = _Call(method.upper(), _sendable(headers or {}), body, max_bytes or self._max_bytes, sink)
        target = self._checked(url)
        try:
            async with asyncio.timeout(seconds):
                return await self._follow(target, call, seconds, redirects)
        except (TimeoutError, httpx2.TimeoutException) as error:
            message = f"'{target.host}' did not answer within {seconds:g} seconds."
            raise EgressFailed(message, transient=True) from error
        except httpx2.LocalProtocolError as error:
            raise EgressRefused(f"The request to '{target.host}' is not valid HTTP: {error}") from error
        except httpx2.DecodingError as error:
            raise EgressFailed(f"The answer of '{target.host}' cannot be unpacked.") from error
        except (httpx2.TransportError, OSError) as error:
            message = f"'{target.host}' cannot be reached, or broke off its answer."
            raise EgressFailed(message, transient=True) from error

    def http_client(self, *, timeout: "httpx2.Timeout | float | None" = None) -> "httpx2.AsyncClient":
        """A client for a vendor's library: same guard, no redirects, no cookies, nothing from the environment.

        All clients share one pool of connections; it closes with the last of them. Answers are bounded and never
        compressed.
        """
        import httpx2

        from service.egress.network import GuardedTransport

        pool, release = self._lent()
        return httpx2.AsyncClient(
            transport=GuardedTransport(pool, packed=False, release=release),
            timeout=timeout,
            headers={"Accept-Encoding": "identity"},
            cookies=_no_cookies(),
            follow_redirects=False,
            trust_env=False,
        )

    def httpx_transport(self) -> "httpx.AsyncBaseTransport":
        """As `http_client`, for a library that is built on `httpx`. Close it."""
        from service.egress.foreign import HttpxTransport

        pool, release = self._lent()
        return HttpxTransport(pool, release=release)

    def blocking_httpx_transport(self) -> "httpx.BaseTransport":
        """As `blocking_client`, for a library that is built on `httpx`. Close it."""
        from service.egress.foreign import HttpxBlockingTransport
        from service.egress.network import BlockingTransport

        return HttpxBlockingTransport(BlockingTransport(self.guard, self._tls))

    def blocking_client(self, *, timeout: "httpx2.Timeout | float | None" = None) -> "httpx2.Client":
        """As `http_client` for code without an event loop; it has connections of its own: close it."""
        import httpx2

        from service.egress.network import BlockingTransport

        return httpx2.Client(
            transport=BlockingTransport(self.guard, self._tls),
            timeout=timeout,
            headers={"Accept-Encoding": "identity"},
            cookies=_no_cookies(),
            follow_redirects=False,
            trust_env=False,
        )

    def apart(self) -> "Egress":
        """The same rules with connections of its own, for another event loop."""
        other = Egress(max_bytes=self._max_bytes, timeout=self._timeout, ca_bundle=self._ca_bundle)
        other.guard = self.guard
        return other

    async def close(self) -> None:
        """Close every connection. The next call opens new ones."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.aclose()

    @cached_property
    def _tls(self) -> "ssl.SSLContext":
        from service.egress.network import tls

        return tls(self._ca_bundle)

    def _lent(self) -> "tuple[httpcore2.AsyncConnectionPool, Callable[[], Awaitable[None]]]":
        """The pool for one more client, and what that client calls as it closes."""
        pool = self._open()
        self._clients += 1

        async def release() -> None:
            self._clients -= 1
            if not self._clients and not self._fetches and pool is self._pool:
                await self.close()

        return pool, release

    def _open(self) -> "httpcore2.AsyncConnectionPool":
        if self._pool is None:
            from service.egress.network import open_pool

            self._pool = open_pool(self.guard, self._tls)
        return self._pool

    def _checked(self, url: str) -> "httpx2.URL":
        """The URL, parsed by the library that will call it. Raises `EgressRefused`."""
        import httpx2

        try:
            parsed = httpx2.URL(url)
        except (httpx2.InvalidURL, TypeError, ValueError) as error:
            raise EgressRefused(f"'{redacted(url[:200])}' is not a valid URL.") from error
        if parsed.scheme not in ("http", "https") or not parsed.raw_host or _port(parsed) > 65535:
            raise EgressRefused(f"'{redacted(url[:200])}' is not a URL of http or https.")
        if parsed.userinfo:
            raise EgressRefused(f"The URL of '{parsed.host}' holds a user name or password; leave them out.")
        self.guard.check(parsed.raw_host.decode("ascii"), _port(parsed))
        return parsed

    async def _follow(self, url: "httpx2.URL", call: "_Call", seconds: float, redirects: int) -> Fetched:
        import httpx2

        from service.egress.network import GuardedTransport

        transport = GuardedTransport(self._open(), packed=True)  # never closed: the pool stays
        limits = httpx2.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds))
        for left in range(redirects, -1, -1):
            request = httpx2.Request(
                call.method,
                url,
                headers={"Accept": "*/*", "User-Agent": USER_AGENT, "Accept-Encoding": "gzip, deflate", **call.headers},
                content=call.body,
                extensions={"timeout": limits.as_dict()},
            )
            response = await transport.handle_async_request(request)
            try:
                onward = response.headers.get("location") if response.status_code in _MOVED else None
                if onward is None:
                    return await call.read(response, url)
            finally:
                await response.aclose()
            if left:
                url, call = self._next(url, onward, call, response.status_code)
        raise EgressFailed(f"'{url.host}' redirects more than {redirects} times.")

    def _next(self, url: "httpx2.URL", location: str, call: "_Call", status: int) -> "tuple[httpx2.URL, _Call]":
        """Where a redirect leads, and what is sent there. Raises `EgressRefused`, `EgressFailed`."""
        import httpx2

        try:
            target = self._checked(str(url.join(location)))
        except httpx2.InvalidURL as error:
            raise EgressFailed(f"'{url.host}' redirects to something that is not a URL.") from error
        if url.scheme == "https" and target.scheme == "http":
            raise EgressRefused(f"'{url.host}' redirects from https to http; that is not followed.")
        return target, call.redirected(status, same=_origin(url) == _origin(target))


@dataclass(frozen=True, slots=True)
class _Call:
    """What is sent, and where the answer goes."""

    method: str
    headers: Mapping[str, str]
    body: bytes | None
    max_bytes: int
    sink: BinaryIO | None

    def redirected(self, status: int, *, same: bool) -> "_Call":
        """What is sent on after a redirect (RFC 9110, 15.4); `same`: to the same scheme, host and port."""
        method, body = self.method, self.body
        if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
            method, body = "GET", None
        if body is not None and not same:
            raise EgressFailed("A redirect to another host would take the request's body along; that is not followed.")
        kept = {name: value for name, value in self.headers.items() if same or name.lower() in _HARMLESS}
        if body is None:
            kept = {name: value for name, value in kept.items() if name.lower() != "content-type"}
        return _Call(method, kept, body, self.max_bytes, self.sink)

    async def read(self, response: "httpx2.Response", url: "httpx2.URL") -> Fetched:
        """The answer with its body. Raises `EgressTooLarge`."""
        good = 200 <= response.status_code < 300
        sink = self.sink if good else None
        limit = self.max_bytes if good or self.sink is None else ERROR_BYTES
        declared = response.headers.get("content-length", "")
        if good and declared.isdecimal() and len(declared) < 20 and int(declared) > limit and self.method != "HEAD":
            raise _too_large(url, limit)
        size, pieces = 0, []
        async for piece in response.aiter_bytes():
            size += len(piece)
            if size > limit:
                if good:
                    raise _too_large(url, limit)
                break
            if sink is None:
                pieces.append(piece)
            else:
                sink.write(piece)
        headers = {name.lower(): value for name, value in response.headers.items()}
        mime = headers.get("content-type", "").partition(";")[0].strip().lower()
        return Fetched(str(url), response.status_code, headers, b"".join(pieces), mime, size)


def open_egress(settings: Settings) -> Egress:
    """The client by the settings; hosts that the operator names there may be called. Raises `SettingsError`."""
    try:
        allowed = parse_allowed(settings.egress_allow)
    except ValueError as error:
        raise SettingsError(f"{PREFIX}EGRESS_ALLOW: {error}") from None
    try:
        named = parse_allowed(settings.openai_base_url)
    except ValueError as error:
        raise SettingsError(f"{PREFIX}OPENAI_BASE_URL: {error}") from None
    try:
        own = "http://localhost:11434" if settings.chat_model.startswith("ollama:") else ""
        ollama = parse_allowed(settings.ollama_base_url or own)
    except ValueError as error:
        raise SettingsError(f"{PREFIX}OLLAMA_BASE_URL: {error}") from None
    bundle = settings.ca_bundle
    if bundle is not None and not bundle.is_file():
        raise SettingsError(f"{PREFIX}CA_BUNDLE: there is no file {bundle}")
    return Egress(
        Allowed(allowed.names + named.names + ollama.names, allowed.networks + named.networks + ollama.networks),
        max_bytes=settings.egress_max_bytes,
        timeout=settings.egress_timeout,
        ca_bundle=bundle,
    )


def _sendable(headers: Mapping[str, str]) -> dict[str, str]:
    """The caller's headers. Raises `EgressRefused` naming one that cannot be set."""
    for name, value in headers.items():
        if name.lower() in _OURS or name.lower().startswith("proxy-"):
            raise EgressRefused(f"The header '{name}' cannot be set.")
        if not (name + value).isascii() or not name or any(sign in name + value for sign in "\r\n\0"):
            raise EgressRefused(f"The header '{name[:40]}' holds characters that cannot be sent.")
    return dict(headers)


def _no_cookies() -> CookieJar:
    """A jar that takes nothing: what a host gave to one caller is not shown to it for another."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


def _port(url: "httpx2.URL") -> int:
    return url.port if url.port is not None else 443 if url.scheme == "https" else 80


def _origin(url: "httpx2.URL") -> tuple[str, bytes, int]:
    return url.scheme, url.raw_host, _port(url)


def _too_large(url: "httpx2.URL", limit: int) -> EgressTooLarge:
    return EgressTooLarge(f"egress_max_bytes: '{url.host}' answers with more than {limit} bytes.")
