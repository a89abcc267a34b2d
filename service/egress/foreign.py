"""The guard for libraries that are built on `httpx`, the older sister of the client that is used here."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager

import httpcore2
import httpx
import httpx2

from service.egress.network import BlockingTransport, GuardedTransport


class HttpxTransport(httpx.AsyncBaseTransport):
    """Sends their requests over the guarded pool, which others share. Answers come as they are sent, piece by piece."""

    def __init__(
        self, pool: httpcore2.AsyncConnectionPool, *, release: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """The pool stays when this is closed; `release` is called once then."""
        self._inner = GuardedTransport(pool, packed=False, release=release)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer. Raises `EgressRefused`, `EgressFailed`, `httpx.TransportError`."""
        sent = _sent(request, await request.aread())
        with _their_errors(request):
            answer = await self._inner.handle_async_request(sent)
        return httpx.Response(
            answer.status_code, headers=answer.headers.raw, stream=_Body(answer, request), request=request
        )

    async def aclose(self) -> None:
        """Tell the owner of the pool."""
        await self._inner.aclose()


class HttpxBlockingTransport(httpx.BaseTransport):
    """The same for code without an event loop; its connections are its own."""

    def __init__(self, inner: BlockingTransport) -> None:
        """Closes `inner` with itself."""
        self._inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer. Raises `EgressRefused`, `EgressFailed`, `httpx.TransportError`."""
        sent = _sent(request, request.read())
        with _their_errors(request):
            answer = self._inner.handle_request(sent)
        return httpx.Response(
            answer.status_code, headers=answer.headers.raw, stream=_BlockingBody(answer, request), request=request
        )

    def close(self) -> None:
        """Close every connection."""
        self._inner.close()


class _Body(httpx.AsyncByteStream):
    def __init__(self, answer: httpx2.Response, request: httpx.Request) -> None:
        self._answer = answer
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _their_errors(self._request):
            async for piece in self._answer.aiter_raw():
                yield piece

    async def aclose(self) -> None:
        await self._answer.aclose()


class _BlockingBody(httpx.SyncByteStream):
    def __init__(self, answer: httpx2.Response, request: httpx.Request) -> None:
        self._answer = answer
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        with _their_errors(self._request):
            yield from self._answer.iter_raw()

    def close(self) -> None:
        self._answer.close()


def _sent(request: httpx.Request, body: bytes) -> httpx2.Request:
    headers = httpx2.Headers(request.headers.raw)
    headers["Accept-Encoding"] = "identity"
    sent = httpx2.Request(request.method, str(request.url), headers=headers, content=body)
    sent.extensions.update(request.extensions)
    return sent


@contextmanager
def _their_errors(request: httpx.Request) -> Iterator[None]:
    try:
        yield
    except httpx2.TimeoutException as error:
        raise httpx.ReadTimeout(str(error) or type(error).__name__, request=request) from error
    except httpx2.TransportError as error:
        raise httpx.ConnectError(str(error) or type(error).__name__, request=request) from error
