"""What every request passes before a route is chosen."""

import asyncio

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import Unavailable, error_response
from service.http.bodies import SteadyBodies
from service.http.cors import CorsMiddleware
from service.http.proxy import BehindProxy
from service.settings import Settings

SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"content-security-policy", b"frame-ancestors 'self'"),
    (b"referrer-policy", b"no-referrer"),
]


class TrailingSlash:
    """Serves `/path/` as `/path`, as Flowise does; a redirect would lose CORS headers and bodies."""

    def __init__(self, app: ASGIApp) -> None:
        """`app` is the rest of the application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on without its last slash."""
        if scope["type"] == "http" and len(scope["path"]) > 1 and scope["path"].endswith("/"):
            scope = {**scope, "path": scope["path"].rstrip("/") or "/"}
        await self._app(scope, receive, send)


class HeadAsGet:
    """Answers HEAD where GET is answered, with its headers and no body: monitors and `curl -I` ask so."""

    def __init__(self, app: ASGIApp) -> None:
        """`app` is the rest of the application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on as GET, and its answer back without the body."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, send_without_body)


class Handover:
    """Answers requests that the end of the process cuts off unanswered: another process can take them."""

    def __init__(self, app: ASGIApp) -> None:
        """`app` is the rest of the application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and the answer back; 503 in place of one that did not begin."""
        begun = False

        async def note(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, note)
        except asyncio.CancelledError:
            if not begun and scope["type"] == "http":
                await error_response(Ending(headers={"Retry-After": "1"}))(scope, receive, send)
            raise


class Ending(Unavailable):
    """The service is ending; send this again."""

    code = "ending"


class SecurityHeaders:
    """Adds the headers that every answer carries."""

    def __init__(self, app: ASGIApp) -> None:
        """`app` is the rest of the application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and the answer back with the headers."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                extra = [item for item in SECURITY_HEADERS if item[0] not in present]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def install_middleware(app: FastAPI, settings: Settings) -> None:
    """Put the middleware around the application; the last added is the outermost."""
    app.add_middleware(SteadyBodies, settings=settings)
    app.add_middleware(Handover)
    app.add_middleware(CorsMiddleware, settings=settings)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(HeadAsGet)
    app.add_middleware(TrailingSlash)
    if settings.trust_proxy:
        app.add_middleware(BehindProxy)
