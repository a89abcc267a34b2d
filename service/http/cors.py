"""Which pages of other origins may call (contract 1.5, 7.6; Annex 2 no. 7).

On the routes that a chat widget calls, the flow decides: its `allowedOrigins`, or every origin when it lists none. On
all other routes RAGSTONE_CORS_ORIGINS decides, which is empty at first. Errors carry the same headers as answers, so
that a page can read them. Whether a *prediction* is let in is decided by the feature, with the flow as it is now; the
rule here may be a few seconds old.
"""

import re
from urllib.parse import parse_qs
from uuid import UUID

from psycopg import OperationalError
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.chatflows.service import know
from service.errors import ServiceError
from service.settings import Settings

METHODS = b"GET,HEAD,PUT,PATCH,POST,DELETE"
PREFIX = "/api/v1/"

WIDGET = re.compile(
    r"(?:prediction|public-chatbotConfig|chatflows-streaming|chatflows-uploads|public-chatflows|feedback|leads"
    r"|attachments|vector/upsert|chatmessage/abort|get-upload-file|text-to-speech/(?:generate|abort)"
    r"|openai-assistants-file/download)(?:/(?P<flow>[^/]+))?(?:/.*)?"
)
"""Paths that the widget calls, below the prefix; the flow's id follows where the path holds it."""

Pairs = list[tuple[bytes, bytes]]


class CorsMiddleware:
    """Answers preflights, and adds to every answer what the page's origin may see. Free without an Origin header."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        """`app` is the rest of the application."""
        self._app = app
        origins = {part.strip().lower().rstrip("/") for part in settings.cors_origins.split(",")} - {""}
        self._everyone = "*" in origins
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer its preflight."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        widget = WIDGET.fullmatch(path, len(PREFIX)) if path.startswith(PREFIX) else None
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is None:
            extra: Pairs = [(b"vary", b"Origin")] if widget else []
        else:
            extra = await self._headers(scope, origin, widget)
        if scope["method"] == "OPTIONS" and origin and "access-control-request-method" in headers:
            await _preflight(send, extra, headers.get("access-control-request-headers"))
            return
        if not extra:
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})["cors"] = extra

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        await self._app(scope, receive, send_with_headers)

    async def _headers(self, scope: Scope, origin: str, widget: re.Match[str] | None) -> Pairs:
        vary = (b"vary", b"Origin")
        allowed = origin != "null"
        if allowed and widget:
            allowed = await _flow_allows(scope, origin, widget)
        elif allowed:
            allowed = self._everyone or origin.lower() in self._origins
        value = origin.encode("latin-1", "replace")
        return [vary, (b"access-control-allow-origin", value)] if allowed else [vary]


async def _flow_allows(scope: Scope, origin: str, widget: re.Match[str]) -> bool:
    """Whether the flow that the path or the query names allows the origin; where there is none, nothing is hidden."""
    name = widget["flow"] or parse_qs(scope["query_string"].decode("latin-1")).get("chatflowId", [""])[0]
    try:
        known = await know(scope["app"].state.resources, UUID(name))
    except (ValueError, ServiceError, OperationalError):
        return True  # the answer will be an error, which the page should be able to read
    return known.allows(origin)


async def _preflight(send: Send, extra: Pairs, asked: str | None) -> None:
    headers: Pairs = [(b"content-length", b"0")]
    if any(name == b"access-control-allow-origin" for name, _ in extra):
        headers += [item for item in extra if item[0] != b"vary"]
        headers.append((b"access-control-allow-methods", METHODS))
        if asked:
            headers.append((b"access-control-allow-headers", asked.encode("latin-1", "replace")))
    headers.append((b"vary", b"Origin, Access-Control-Request-Headers"))
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
