"""Request bodies that are too large, or do not come: a client that trickles or falls silent is not waited for."""

import asyncio

from fastapi import FastAPI, Request, Response
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.settings import Settings

LARGER = {"/api/v1/document-store/import": "max_archive"}
"""Paths whose bodies have a limit of their own, and the setting that holds it."""

WITH_FILES = (
    "/api/v1/document-store/loader/",
    "/api/v1/document-store/refresh",
    "/api/v1/document-store/upsert",
    "/api/v1/vector/",
)
"""Paths that take files inside of JSON too. All others take them in forms only."""

PREDICTIONS = ("/api/v1/prediction/", "/api/v1/internal-prediction/")
"""Paths that take files with a question, in JSON too; they read no more JSON than others besides (`max_json`)."""

FORMS = (*WITH_FILES, "/api/v1/attachments/")
"""Paths that take files in forms. The forms of all others hold what their JSON does."""

BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})


class SteadyBodies:
    """Raises 413 into whoever reads a body that is larger than its limit, and 408 when it pauses for longer than
    `body_pause` seconds or comes slower than `body_rate` bytes a second; what was read of it is dropped there. Does
    nothing once the body is complete."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        """`app` is the rest of the application."""
        self._app = app
        self._pause = settings.body_pause
        self._rate = settings.body_rate
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a clock on its body."""
        if scope["type"] != "http" or scope["method"] in BODILESS or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        name = _limit_of(scope)
        most: int = getattr(self._settings, name)
        too_large = HTTPException(413, f"{name}: a request body has at most {most} bytes", {"Connection": "close"})
        announced, got, waited, complete = _announced(scope), 0, 0.0, False
        clock = asyncio.get_running_loop().time

        async def steady() -> Message:
            nonlocal got, waited, complete
            if complete:
                return await receive()
            if announced > most:
                raise too_large
            begun = clock()
            try:
                async with asyncio.timeout(min(self._pause, self._pause + got / self._rate - waited)):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(
                    408,
                    f"body_rate: the request body came slower than {self._rate} bytes a second, or paused for longer"
                    f" than {self._pause:g} seconds; nothing was kept",
                    {"Connection": "close"},
                ) from None
            got, waited = got + len(message.get("body", b"")), waited + clock() - begun
            if got > most:
                raise too_large
            complete = not message.get("more_body", False)
            return message

        await self._app(scope, steady, send)


def _limit_of(scope: Scope) -> str:
    """The setting that limits a body. JSON takes many times its size once it is read, so that it gets less than files
    do: whoever needs no key could otherwise take all the memory."""
    path: str = scope["path"]
    if path in LARGER:
        return LARGER[path]
    if path.startswith(PREDICTIONS):
        return "max_prediction"
    form = Headers(scope=scope).get("content-type", "").lower().startswith("multipart/form-data")
    return "max_request" if path.startswith(FORMS if form else WITH_FILES) else "max_json"


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _announced(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else 0


def install_disconnects(app: FastAPI) -> None:
    """A client that went away before its body was complete is no failure of ours; the answer reaches nobody."""

    async def gone(_request: Request, _error: Exception) -> Response:
        return Response(status_code=400)

    app.add_exception_handler(ClientDisconnect, gone)
