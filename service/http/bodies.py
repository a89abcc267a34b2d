"""Request bodies that do not come: a client that sends a byte now and then, or none, is not waited for."""

import asyncio

from fastapi import FastAPI, Request, Response
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.settings import Settings

BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})


class SteadyBodies:
    """Raises 408 into whoever reads a body that pauses for longer than `body_pause` seconds or comes slower than
    `body_rate` bytes a second; what was read of it is dropped there. Does nothing once the body is complete."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        """`app` is the rest of the application."""
        self._app = app
        self._pause = settings.body_pause
        self._rate = settings.body_rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a clock on its body."""
        if scope["type"] != "http" or scope["method"] in BODILESS or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        begun, got, complete = loop.time(), 0, False

        async def steady() -> Message:
            nonlocal got, complete
            if complete:
                return await receive()
            now = loop.time()
            patience = min(now + self._pause, begun + self._pause + got / self._rate)
            try:
                async with asyncio.timeout_at(patience):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(
                    408,
                    f"body_rate: the request body came slower than {self._rate} bytes a second, or paused for longer"
                    f" than {self._pause:g} seconds; nothing was kept",
                    {"Connection": "close"},
                ) from None
            got += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            return message

        await self._app(scope, steady, send)


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def install_disconnects(app: FastAPI) -> None:
    """A client that went away before its body was complete is no failure of ours; the answer reaches nobody."""

    async def gone(_request: Request, _error: Exception) -> Response:
        return Response(status_code=400)

    app.add_exception_handler(ClientDisconnect, gone)
