"""A provider's answer that is no success, in our words: one table of statuses for all that are not called by OpenAI's
own library (for that one see `openai_errors`)."""

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpx2

from service.egress.errors import EgressError, EgressFailed, EgressRefused
from service.json_text import parsed
from service.providers.errors import (
    BadCredential,
    ContentRefused,
    Malformed,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimited,
    RequestRefused,
    redact,
)
from service.providers.retries import retry_after

OVERLOADED = 529
"""Anthropic's status for "too many requests of everybody"."""

_REFUSED_CONTENT = ("content_filter", "content_policy_violation", "content management policy")


def refusal(status: int, body: bytes, headers: Mapping[str, str], *, key: str = "") -> ProviderError:
    """Our error for an answer with this status (not a success); the message quotes the provider without the key."""
    said = redact(said_in(body), key)
    if status == 429:
        pause = retry_after(headers.get("retry-after", ""))
        return RateLimited(f"The model provider limits the rate of requests: {said}", retry_after=pause)
    if status in (401, 403):
        return BadCredential(f"The model provider does not accept the credential (status {status}).")
    if status == 402:
        return BadCredential(f"The model provider's quota for this key is used up: {said}")
    if status == 400 and any(mark in said for mark in _REFUSED_CONTENT):
        return ContentRefused(f"The model provider refused the content: {said}")
    if status in (408, 504):
        return ProviderTimeout(f"The model provider gave up in time (status {status}).")
    if status >= 500 or status == 409:
        return ProviderUnavailable(f"The model provider failed with status {status}: {said}")
    return RequestRefused(f"The model provider refused the request with status {status}: {said}")


def by_egress(error: EgressError) -> ProviderError:
    """Our error for a call that did not get through. A base URL that may not be called is the flow's mistake."""
    if isinstance(error, EgressRefused):
        return RequestRefused(f"The model provider's base URL is not called. {error.message}")
    if isinstance(error.__cause__, TimeoutError | httpx2.TimeoutException):
        return ProviderTimeout(f"The model provider did not answer in time. {error.message}")
    transient = isinstance(error, EgressFailed) and error.transient
    return ProviderUnavailable(error.message) if transient else Malformed(error.message)


async def asked(
    client: httpx2.AsyncClient,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes | None = None,
    key: str = "",
    limit: float | None = None,
) -> Any:
    """The JSON value that a provider answers with. `limit`: seconds for this call alone. Raises our errors."""
    timeout = httpx2.USE_CLIENT_DEFAULT if limit is None else httpx2.Timeout(limit)
    try:
        answer = await client.request(method, url, headers=dict(headers), content=body, timeout=timeout)
    except EgressError as error:
        raise by_egress(error) from error
    except httpx2.TimeoutException as error:
        raise ProviderTimeout("The model provider did not answer in time.") from error
    except httpx2.HTTPError as error:
        raise ProviderUnavailable("The model provider cannot be reached, or broke off its answer.") from error
    except httpx2.InvalidURL as error:
        raise RequestRefused("The model provider's base URL is not valid.") from error
    if not 200 <= answer.status_code < 300:
        raise refusal(answer.status_code, answer.content, answer.headers, key=key)
    try:
        return parsed(answer.content.decode())
    except ValueError as error:
        raise Malformed("The model provider's answer cannot be understood.") from error


def silent(error: ProviderError) -> bool:
    """A provider that said nothing for the whole timeout is not asked again."""
    return isinstance(error.__cause__, httpx2.TimeoutException)


_opened: ContextVar[list[Any] | None] = ContextVar("_opened", default=None)


@contextmanager
def listed(opened: list[Any]) -> Iterator[None]:
    """Adds to `opened` the responses that `watch` sees meanwhile, in this task."""
    token = _opened.set(opened)
    try:
        yield
    finally:
        _opened.reset(token)


def watch(key: str) -> Callable[[Any], Awaitable[None]]:
    """A hook for the responses of a vendor's library: raises our error for every one that is no success."""

    async def hook(response: Any) -> None:
        if (opened := _opened.get()) is not None:
            opened.append(response)
        if not 200 <= response.status_code < 300:
            body = await response.aread()
            raise refusal(response.status_code, body, response.headers, key=key)

    return hook


def watch_blocking(key: str) -> Callable[[Any], None]:
    """The same for code without an event loop."""

    def hook(response: Any) -> None:
        if not 200 <= response.status_code < 300:
            raise refusal(response.status_code, response.read(), response.headers, key=key)

    return hook


def said_in(body: bytes) -> str:
    """What an error's body says, whatever its shape."""
    text = body[:20_000].decode("utf-8", "replace")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    for _ in range(3):
        if isinstance(found, list) and found:
            found = found[0]
        if not isinstance(found, Mapping):
            break
        found = next((found[name] for name in ("error", "message", "detail", "errors") if found.get(name)), str(found))
    return str(found)
