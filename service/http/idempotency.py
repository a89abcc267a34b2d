"""Idempotency-Key at the edge: a write that carries one is executed once, and its first answer is replayed.

What is kept: every answer of a handler that had begun, errors among them. What is not, so that the next request with
the key is executed: refusals before that (authentication, permissions, a body that is malformed, too large or of the
wrong shape), answers that ask to try again (`PASSING`), refusals to clients without an API key, and
answers that the client did not wait for.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from tempfile import SpooledTemporaryFile
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from service.errors import ServiceError, internal_error, refusal
from service.http.access import Caller
from service.http.json_request import JsonRequest
from service.idempotency import service
from service.idempotency.fingerprint import Fingerprint
from service.idempotency.service import HEADER, Execution, KeyUnusable, key_of
from service.idempotency.types import MAX_BODY, MAX_KEY, Answer, Asked
from service.resources import Resources
from service.viewers import HEADER as PRINCIPALS
from service.worker.postgres import OUT_OF_REACH

log = logging.getLogger("ragstone.idempotency")

UNKEPT = "idempotency_unkept"
"""What a handler sets on the request's state when nobody may keep its answer."""

Handle = Callable[[Request], Awaitable[Response]]

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})

REPLAYED = "Idempotent-Replayed"

PASSING = frozenset({401, 403, 408, 429, 503, 507})
"""Answers that say nothing about the request itself: another attempt may fare better."""

OWN_HEADERS = frozenset({b"content-length", b"connection", b"date", b"transfer-encoding"})
"""Headers that each answer has for itself."""

IN_MEMORY = 1024 * 1024
"""Bytes of a body that are held in memory; a longer one waits in a temporary file."""

PIECE = 256 * 1024

PARAMETER: Mapping[str, Any] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY},
    "description": "Any text of your own, such as a UUID. The same request with the same key is executed once; later"
    f" ones get the first answer with `{REPLAYED}: true`, another request with this key gets 422, and 409 while the"
    " first one is executed.",
    "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
}
"""How the header stands in the OpenAPI document, on every write."""


class _Body:
    """The body of a request, read before its handler runs and given to it afterwards."""

    def __init__(self, file: "SpooledTemporaryFile[bytes]", receive: Receive) -> None:
        self._file = file
        self._receive = receive
        self._left = 0
        self._ended = False
        self.gone = False

    async def read(self, request: Request, fingerprint: Fingerprint) -> None:
        """Take the body in. Raises what `request.stream` raises when it is too large, too slow or cut off."""
        async for piece in request.stream():
            fingerprint.feed(piece)
            self._file.write(piece)
            self._left += len(piece)
        self._file.seek(0)

    async def receive(self) -> Message:
        """The body again, in pieces; then what the connection says."""
        if not self._ended:
            piece = self._file.read(PIECE)
            self._left -= len(piece)
            self._ended = self._left <= 0
            return {"type": "http.request", "body": piece, "more_body": not self._ended}
        message = await self._receive()
        self.gone = self.gone or message["type"] == "http.disconnect"
        return message


class _Recorded(Response):
    """An answer that is kept just before its last byte is sent."""

    def __init__(self, response: Response, execution: Execution, *, secret: bool) -> None:
        """`secret`: nothing of its text may be kept, so that it cannot be given again."""
        self.status_code = response.status_code
        self._secret = secret
        self.background = None  # the answer's own runs with it
        self.raw_headers = response.raw_headers
        self._response = response
        self._execution = execution

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer and keep it, unless the client goes away before its end."""
        status, headers, body, gone, complete = 0, [], bytearray(), False, False

        async def watch() -> Message:
            nonlocal gone
            message = await receive()
            gone = gone or message["type"] == "http.disconnect"
            return message

        async def record(message: Message) -> None:
            nonlocal status, headers, complete
            if message["type"] == "http.response.start":
                status, headers = message["status"], message["headers"]
            elif message["type"] == "http.response.body":
                if len(body) <= MAX_BODY and not self._secret:
                    body.extend(message.get("body", b""))
                complete = not message.get("more_body", False) and not gone
                if complete:
                    await _keep(self._execution, _answer(status, headers, None if self._secret else bytes(body)))
            await send(message)

        try:
            await self._response(scope, watch, record)
        finally:
            if not complete:
                await _release(self._execution)


async def once(request: Request, handle: Handle, header: str) -> Response:
    """Execute a request that carries the header, or replay the first answer.

    Raises `KeyUnusable`, `KeyReused`, `StillRunning`, `AnswerNotKept`, and what the handler refuses.
    """
    if len(request.headers.getlist(HEADER)) > 1:
        raise KeyUnusable(f"{HEADER}: sent more than once")
    key = key_of(header)
    resources: Resources = request.app.state.resources
    scope = request.scope
    kind = request.headers.get("content-type", "")
    asked_for = request.headers.getlist(PRINCIPALS)
    fingerprint = Fingerprint(request.method, scope["path"], scope["query_string"], kind, asked_for)
    with SpooledTemporaryFile(max_size=IN_MEMORY) as file:
        body = _Body(file, request.receive)
        await body.read(request, fingerprint)
        caller: Caller = request.state.caller
        named = f"{request.method} {scope['path']}"[:1000]
        asked = Asked(_owner(request, caller), key, caller.workspace, fingerprint.digest(), named)
        begun = await service.begin(resources.database, asked, resources.settings.idempotency_hours)
        if isinstance(begun, Answer):
            return _replayed(begun)
        async with _settled(begun):
            response = await _answered(handle, JsonRequest(scope, body.receive))
    unasked = caller.key is None and response.status_code >= 400  # whoever passes by could fill the table with these
    if body.gone or unasked or response.status_code in PASSING:
        await _release(begun)
        return response
    return _Recorded(response, begun, secret=getattr(request.state, UNKEPT, False))


async def _answered(handle: Handle, request: Request) -> Response:
    """The handler's answer, expected failures included."""
    try:
        return await handle(request)
    except ServiceError as error:
        return refusal(request, error)


@asynccontextmanager
async def _settled(execution: Execution) -> AsyncIterator[None]:
    """Frees the key of an execution that ends without an answer, or keeps a bug as its answer."""
    try:
        yield
    except (RequestValidationError, HTTPException, ClientDisconnect, *OUT_OF_REACH):
        await _release(execution)  # nothing was executed, or the same may succeed later
        raise
    except BaseException as error:
        if isinstance(error, Exception):
            failure = internal_error()
            await _keep(execution, _answer(failure.status_code, failure.raw_headers, bytes(failure.body)))
        else:
            await _release(execution)  # the service ends
        raise


def _owner(request: Request, caller: Caller) -> str:
    """Whose keys these are: the API key's; without one the client's, known by what it sends for a key or its
    address."""
    if caller.key is not None:
        return f"key:{caller.key}"
    client = f"token:{caller.token}" if caller.token else f"address:{request.client.host if request.client else ''}"
    return f"public:{sha256(client.encode()).hexdigest()}"


def _answer(status: int, headers: Any, body: bytes | None) -> Answer:
    kept = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers if name not in OWN_HEADERS]
    return Answer(status, tuple(kept), body if body is not None and len(body) <= MAX_BODY else None)


def _replayed(answer: Answer) -> Response:
    response = Response(answer.body, answer.status)
    own = [pair for pair in response.raw_headers if pair[0] == b"content-length"]
    kept = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    response.raw_headers = [*kept, *own, (REPLAYED.lower().encode(), b"true")]
    return response


async def _keep(execution: Execution, answer: Answer) -> None:
    try:
        await execution.keep(answer)
    except OUT_OF_REACH as error:  # the answer goes out all the same; its key is free when the lease has run out
        log.warning("The answer to a request with a key could not be kept: %s", error)


async def _release(execution: Execution) -> None:
    try:
        await execution.release()
    except OUT_OF_REACH as error:
        log.warning("The key of a request could not be freed: %s", error)
