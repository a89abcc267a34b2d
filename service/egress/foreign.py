"""The guard for libraries that are built on `httpx`, the older sister of the client that is used here."""

import httpcore2
import httpx
import httpx2

from service.egress.network import GuardedTransport


class HttpxTransport(httpx.AsyncBaseTransport):
    """Sends their requests over the guarded pool, which others share. Bodies are whole, in both directions."""

    def __init__(self, pool: httpcore2.AsyncConnectionPool) -> None:
        """The pool stays when this is closed."""
        self._inner = GuardedTransport(pool, packed=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer. Raises `EgressRefused`, `EgressFailed`, `httpx.TransportError`."""
        headers = httpx2.Headers(request.headers.raw)
        headers["Accept-Encoding"] = "identity"
        body = await request.aread()
        sent = httpx2.Request(request.method, str(request.url), headers=headers, content=body)
        sent.extensions.update(request.extensions)
        try:
            answer = await self._inner.handle_async_request(sent)
            try:
                content = await answer.aread()
            finally:
                await answer.aclose()
        except httpx2.TimeoutException as error:
            raise httpx.ReadTimeout(str(error) or type(error).__name__, request=request) from error
        except httpx2.TransportError as error:
            raise httpx.ConnectError(str(error) or type(error).__name__, request=request) from error
        return httpx.Response(answer.status_code, headers=answer.headers.raw, content=content, request=request)
