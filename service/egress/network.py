"""The guard where it cannot be passed by: connections are opened to checked addresses only.

The name of a URL is resolved once, here, and the connection goes to one of the addresses that were checked; TLS and the
`Host` header keep the name. So no redirect, no second answer of a name server and no library above can lead elsewhere.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpcore2
import httpx2

from service.egress.errors import EgressFailed, EgressTooLarge
from service.egress.guard import Guard
from service.secret_names import SECRET

MAX_CONNECTIONS = 1000
MAX_IDLE = 100
IDLE_SECONDS = 15.0
MAX_ANSWER = 256 * 1024 * 1024
"""Bytes of an answer, for callers that set no limit of their own."""

_CORE_ERRORS = (
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.UnsupportedProtocol,
)


class GuardedNetwork(httpcore2.AsyncNetworkBackend):
    """Opens TCP connections to the addresses that the guard permits, and nothing else."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the port's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """A connection to the first address of the host that takes one. Raises `EgressRefused`, `ConnectError`."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._guard.addresses(host, port)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(f"resolving {host} took too long") from error
        for left in range(len(addresses), 0, -1):
            address = addresses[len(addresses) - left]
            try:
                return await self._network.connect_tcp(
                    address, port, _share(timeout, began, left), local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if left == 1:
                    raise
        raise AssertionError("unreachable")

    async def connect_unix_socket(self, *_arguments: Any, **_options: Any) -> httpcore2.AsyncNetworkStream:
        """Refused."""
        raise httpcore2.ConnectError("sockets of this machine are not called")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class GuardedBlockingNetwork(httpcore2.NetworkBackend):
    """The same for code without an event loop."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._network = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """A connection to the first address of the host that takes one. Raises `EgressRefused`, `ConnectError`."""
        began = time.monotonic()
        addresses = self._guard.addresses_blocking(host, port)
        for left in range(len(addresses), 0, -1):
            address = addresses[len(addresses) - left]
            try:
                return self._network.connect_tcp(
                    address, port, _share(timeout, began, left), local_address, socket_options or []
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if left == 1:
                    raise
        raise AssertionError("unreachable")

    def connect_unix_socket(self, *_arguments: Any, **_options: Any) -> httpcore2.NetworkStream:
        """Refused."""
        raise httpcore2.ConnectError("sockets of this machine are not called")


class GuardedPool(httpcore2.AsyncConnectionPool):
    """Guarded connections, to be shared. By plain http they take credentials only to where the guard lets these go."""

    def __init__(self, guard: Guard, context: ssl.SSLContext) -> None:
        super().__init__(
            ssl_context=context,
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_IDLE,
            keepalive_expiry=IDLE_SECONDS,
            network_backend=GuardedNetwork(guard),
        )
        self._guard = guard

    async def handle_async_request(self, request: httpcore2.Request) -> httpcore2.Response:
        """The answer. Raises `EgressRefused` too."""
        if request.url.scheme == b"http" and (header := _credential(request)):
            await self._guard.check_plain(*_place(request.url), header)
        return await super().handle_async_request(request)


def open_pool(guard: Guard, context: ssl.SSLContext) -> httpcore2.AsyncConnectionPool:
    """Guarded connections, to be shared."""
    return GuardedPool(guard, context)


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Sends requests over a pool that others share: closing a client leaves it to the pool's owner."""

    def __init__(
        self,
        pool: httpcore2.AsyncConnectionPool,
        *,
        packed: bool,
        release: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`packed`: answers may be compressed. Libraries unpack without bounds, so theirs may not. `release` is called
        once, when the client is closed."""
        self._pool = pool
        self._packed = packed
        self._release = release

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The answer, its body bounded. Raises `EgressRefused`, `EgressFailed`, `httpx2.TransportError`."""
        assert isinstance(request.stream, httpx2.AsyncByteStream)
        sent = httpcore2.Request(
            method=request.method,
            url=_core_url(request.url),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _translated():
            answer = await self._pool.handle_async_request(sent)
        assert isinstance(answer.stream, AsyncIterable)
        response = httpx2.Response(
            status_code=answer.status,
            headers=answer.headers,
            stream=_Body(answer.stream, answer.aclose, request.url.host),
            extensions=answer.extensions,
        )
        if not self._packed and _is_packed(response):
            await response.aclose()
            raise _packs(request)
        return response

    async def aclose(self) -> None:
        """Tell the owner of the pool."""
        release, self._release = self._release, None
        if release is not None:
            await release()


class _Body(httpx2.AsyncByteStream):
    """The bytes of an answer; too many are an error."""

    def __init__(self, stream: AsyncIterable[bytes], close: Callable[[], Awaitable[None]], host: str) -> None:
        self._stream = stream
        self._close = close
        self._host = host

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MAX_ANSWER
        with _translated():
            async for piece in self._stream:
                left = _left(left, piece, self._host)
                yield piece

    async def aclose(self) -> None:
        await self._close()


class BlockingTransport(httpx2.BaseTransport):
    """Guarded connections for code without an event loop: answers are bounded, and may not be compressed."""

    def __init__(self, guard: Guard, context: ssl.SSLContext) -> None:
        self._guard = guard
        self._pool = httpcore2.ConnectionPool(ssl_context=context, network_backend=GuardedBlockingNetwork(guard))

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """The answer. Raises `EgressRefused`, `EgressFailed`, `httpx2.TransportError`."""
        assert isinstance(request.stream, httpx2.SyncByteStream)
        sent = httpcore2.Request(
            method=request.method,
            url=_core_url(request.url),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        if sent.url.scheme == b"http" and (header := _credential(sent)):
            self._guard.check_plain_blocking(*_place(sent.url), header)
        with _translated():
            answer = self._pool.handle_request(sent)
        assert isinstance(answer.stream, Iterable)
        stream = _BlockingBody(answer.stream, answer.close, request.url.host)
        response = httpx2.Response(
            status_code=answer.status, headers=answer.headers, stream=stream, extensions=answer.extensions
        )
        if _is_packed(response):
            response.close()
            raise _packs(request)
        return response

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()


class _BlockingBody(httpx2.SyncByteStream):
    def __init__(self, stream: Iterable[bytes], close: Callable[[], None], host: str) -> None:
        self._stream = stream
        self._close = close
        self._host = host

    def __iter__(self) -> Iterator[bytes]:
        left = MAX_ANSWER
        with _translated():
            for piece in self._stream:
                left = _left(left, piece, self._host)
                yield piece

    def close(self) -> None:
        self._close()


def _is_packed(response: httpx2.Response) -> bool:
    return response.headers.get("content-encoding", "identity").lower() != "identity"


def _packs(request: httpx2.Request) -> EgressFailed:
    return EgressFailed(f"'{request.url.host}' packs its answer although it was asked not to.")


def _left(left: int, piece: bytes, host: str) -> int:
    """How many bytes may follow a piece of an answer. Raises `EgressTooLarge` for less than none."""
    if len(piece) > left:
        raise EgressTooLarge(f"'{host}' answers with more than {MAX_ANSWER} bytes.")
    return left - len(piece)


def _credential(request: httpcore2.Request) -> str | None:
    """The header that holds a credential, if there is one."""
    names = (name.decode("latin-1") for name, value in request.headers if value)
    return next((name for name in names if SECRET.search(name)), None)


def _place(url: httpcore2.URL) -> tuple[str, int]:
    return url.host.decode("ascii").strip("[]"), url.port if url.port is not None else 80


def _core_url(url: httpx2.URL) -> httpcore2.URL:
    return httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


@contextmanager
def _translated() -> Iterator[None]:
    """The lower library's errors under their names in the upper one."""
    try:
        yield
    except _CORE_ERRORS as error:
        raise getattr(httpx2, type(error).__name__, httpx2.TransportError)(str(error)) from error


def tls(ca_bundle: Path | None) -> ssl.SSLContext:
    """Trust in the system's authorities and those of `ca_bundle`. Raises `OSError` for a file that holds none."""
    context: ssl.SSLContext = httpx2.create_ssl_context(trust_env=False)
    if ca_bundle is not None:
        context.load_verify_locations(ca_bundle)
    return context


def _share(timeout: float | None, began: float, left: int) -> float | None:
    """What one of `left` attempts may take of the time that remains."""
    return None if timeout is None else max(0.1, (began + timeout - time.monotonic()) / left)
