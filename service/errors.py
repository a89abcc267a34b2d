"""Expected failures, and the one handler that writes them in Flowise's error shape.

Every error body is `{"statusCode", "success": false, "message", "stack": {}, "error", "code"}`: the shape of Flowise
plus `error`, which the chat widget shows, and a stable `code` for programs.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from secrets import token_hex
from typing import Any, ClassVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException

log = logging.getLogger("ragstone")

UNION_MEMBER = re.compile(r"str|int|float|bool|(dict|list)\[.*\]")
"""How pydantic names the types of a field that may have several."""


class ServiceError(Exception):
    """An expected failure: a status for the wire, a stable code for programs, a sentence that names the remedy."""

    status: int = 500
    code: str = "internal"
    private: ClassVar[bool] = False
    """Whether the message may tell how a flow or the service is set up (ADR 0060)."""

    def __init__(self, message: str = "", *, headers: Mapping[str, str] | None = None, plain: bool = False) -> None:
        """`headers` are added to the response (Retry-After, ...); `plain`: the body is the message alone, for clients
        that show it as it is."""
        self.plain = plain
        self.message = message or (type(self).__doc__ or "").strip()
        self.headers = dict(headers or {})
        super().__init__(self.message)

    @cached_property
    def reference(self) -> str:
        """What joins the public text to the line of the log that has the message."""
        return token_hex(4)

    @property
    def gist(self) -> str:
        """What kind of failure it is: a sentence that names nothing."""
        return " ".join((type(self).__doc__ or "").partition("\n\n")[0].split())

    @property
    def public(self) -> str:
        """What everybody may read."""
        if not self.private:
            return self.message
        return f"{self.gist} Whoever runs this service finds the reason in its log, at {self.reference}."

    def withheld(self) -> str:
        """The public text, after a line in the log that has the message where that is another one."""
        if self.private:
            log.warning("Told as a %s, %s: %s", self.code, self.reference, self.message)
        return self.public


class Withheld(ServiceError):
    """A failure as it is told to those who may not see how a flow is set up."""

    def __init__(self, error: ServiceError) -> None:
        """`error` is the failure."""
        super().__init__(error.withheld(), headers=error.headers, plain=error.plain)
        self.status, self.code = error.status, error.code


class BadRequest(ServiceError):
    """The request is malformed."""

    status, code = 400, "bad_request"


class Unauthorized(ServiceError):
    """Unauthorized Access"""

    status, code = 401, "unauthorized"


class Forbidden(ServiceError):
    """Forbidden"""

    status, code = 403, "forbidden"


class NotFound(ServiceError):
    """Not found."""

    status, code = 404, "not_found"


class Conflict(ServiceError):
    """The request conflicts with the present state."""

    status, code = 409, "conflict"


class MissingPart(ServiceError):
    """A required part of the request is missing."""

    status, code = 412, "missing_part"


class TooLarge(ServiceError):
    """The request is larger than the limit."""

    status, code = 413, "too_large"


class Unprocessable(ServiceError):
    """A value of the request cannot be used."""

    status, code = 422, "unprocessable"


class TooManyRequests(ServiceError):
    """Too many requests."""

    status, code = 429, "too_many_requests"


class Unavailable(ServiceError):
    """A part of the service is out of reach; try again."""

    status, code = 503, "unavailable"


class StorageFull(ServiceError):
    """There is no room left on the disk."""

    status, code = 507, "storage_full"


class UpstreamFailed(ServiceError):
    """A provider that this request needs failed."""

    status, code = 502, "upstream_failed"


class StoreAway(Unavailable):
    """A vector store does not answer; try again."""

    private = True

    def __init__(self, error: Exception) -> None:
        """`error` is the store's own."""
        super().__init__(f"The vector store does not answer: {error}", headers={"Retry-After": "5"})


class StoreRefused(UpstreamFailed):
    """A vector store refuses what it is asked."""

    private = True


def error_body(status: int, message: str, code: str) -> dict[str, Any]:
    """The one error body: Flowise's shape, plus `error` (shown by the widget) and `code`."""
    return {
        "statusCode": status,
        "success": False,
        "message": message,
        "stack": {},
        "error": message,
        "code": code,
    }


def error_response(error: ServiceError) -> Response:
    """The response for an expected failure."""
    if error.plain:
        return PlainTextResponse(error.message, error.status, error.headers)
    return JSONResponse(error_body(error.status, error.message, error.code), error.status, error.headers)


def internal_error() -> Response:
    """The response for a bug: it tells no details."""
    return JSONResponse(error_body(500, "Internal error. The log of the service has the details.", "internal"), 500)


def message_of(error: Mapping[str, Any]) -> str:
    """What one of pydantic's errors says; what our own checks raised, in their words alone. No class is named."""
    if error["type"] in ("model_type", "model_attributes_type"):
        return "Input should be a valid dictionary"
    return str(error["msg"]).removeprefix("Value error, ")


def describe_validation(errors: Sequence[Mapping[str, Any]]) -> str:
    """One sentence for a list of pydantic errors, naming each field."""
    found: dict[str, list[str]] = {}
    for item in errors:
        place = list(item["loc"])
        if place and place[0] in ("body", "query", "path", "header") and (len(place) > 1 or place[0] == "body"):
            del place[0]  # FastAPI says first where the field came from
        if len(place) > 1 and item["type"].endswith("_type") and UNION_MEMBER.fullmatch(str(place[-1])):
            del place[-1]  # pydantic names each type that a field may have, as if it were a field
        found.setdefault(".".join(str(part) for part in place) or "body", []).append(message_of(item))
    parts = [f"{where}: {_either(messages)}" for where, messages in list(found.items())[:5]]
    more = f" (and {len(found) - 5} more)" if len(found) > 5 else ""
    return "Invalid request. " + "; ".join(parts) + more


def _either(messages: Sequence[str]) -> str:
    """What one field should be instead, by any of these messages."""
    start = "Input should be "
    first, *others = dict.fromkeys(messages)
    return " or ".join([first, *(message.removeprefix(start) for message in others)])


HTTP_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "too_large",
    415: "unsupported_media",
}


def refusal(request: Request, error: ServiceError) -> Response:
    """The response for an expected failure of a request; one that brought no key is told the public text. Public routes
    that look at keys themselves withhold from those whose key opens nothing."""
    caller = getattr(request.state, "caller", None)
    nobody = caller is not None and caller.key is None and caller.token is None
    return error_response(Withheld(error) if nobody else error)


def install_error_handlers(app: FastAPI) -> None:
    """Give every failure of every route, unknown paths included, the one error body."""
    from stores.vector.base import Refused  # brings numpy, which commands have no use for
    from stores.vector.base import Unavailable as OutOfReach

    async def expected(request: Request, error: Exception) -> Response:
        assert isinstance(error, ServiceError)
        return refusal(request, error)

    async def invalid(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        errors = error.errors()
        if any(item["type"] == "missing" and item["loc"] == ("body",) for item in errors):
            return error_response(MissingPart("body not provided!"))
        malformed = any(item["type"] == "json_invalid" for item in errors)
        status = 400 if malformed else 422
        message = "The body is not valid JSON: " + str(errors[0].get("ctx", {}).get("error", "")) if malformed else ""
        text = message or describe_validation(errors)
        return JSONResponse(error_body(status, text, "malformed_json" if malformed else "invalid_field"), status)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        status = error.status_code
        message = str(error.detail)
        if status == 404:
            message = f"No such route: {request.method} {request.url.path}"
        elif status == 405:
            message = f"{request.method} is not allowed on {request.url.path}"
        body = error_body(status, message, HTTP_CODES.get(status, "http_error"))
        return JSONResponse(body, status, dict(error.headers or {}))

    async def out_of_reach(request: Request, error: Exception) -> Response:
        return await expected(request, StoreAway(error))

    async def refused(request: Request, error: Exception) -> Response:
        return await expected(request, StoreRefused(f"The vector store refuses what it is asked: {error}"))

    async def unexpected(request: Request, error: Exception) -> Response:
        log.error("Unexpected failure in %s %s", request.method, request.url.path, exc_info=error)
        response = internal_error()
        # this handler answers outside of all middleware: what CORS decided is added here, so that pages can read it
        response.raw_headers.extend(request.scope.get("state", {}).get("cors", ()))
        return response

    app.add_exception_handler(ServiceError, expected)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(OutOfReach, out_of_reach)
    app.add_exception_handler(Refused, refused)
    app.add_exception_handler(Exception, unexpected)
