"""The OpenAI SDK's errors in our words."""

import json
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx2
import openai

from service.egress.errors import EgressError, EgressFailed, EgressRefused
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
from service.providers.retries import patiently, retry_after

T = TypeVar("T")

FAILURES = (openai.OpenAIError, httpx2.HTTPError, EgressError, TimeoutError, json.JSONDecodeError, UnicodeDecodeError)
"""What a call through the SDK raises when the provider is at fault."""

SILENCE = (openai.APITimeoutError, httpx2.TimeoutException, TimeoutError)
"""The timeout has passed."""


def translate(error: Exception, *, key: str = "") -> ProviderError:
    """Our error for one of `FAILURES`; the message quotes the provider without the key."""
    if isinstance(error, SILENCE):
        return ProviderTimeout("The model provider did not answer in time.")
    on_the_way = error.__cause__ if isinstance(error, openai.APIConnectionError) else error
    if isinstance(on_the_way, EgressError):
        return _by_egress(on_the_way)
    if isinstance(error, openai.APIConnectionError | httpx2.TransportError):
        return ProviderUnavailable("The model provider cannot be reached, or broke off its answer.")
    if isinstance(error, openai.APIStatusError):
        return _by_status(error, redact(_said(error), key))
    if isinstance(error, openai.ContentFilterFinishReasonError):
        return ContentRefused("The model provider's content rules stopped the answer.")
    if isinstance(error, openai.LengthFinishReasonError):
        return RequestRefused("The answer does not fit into the number of tokens allowed.")
    if isinstance(error, openai.APIError) and not isinstance(error, openai.APIResponseValidationError) and error.body:
        return ProviderUnavailable(f"The model provider broke off its answer: {redact(error.message, key)}")
    return Malformed("The model provider's answer cannot be understood.")


async def retried(call: Callable[[], Awaitable[T]], retries: int, *, key: str = "") -> T:
    """The result of `call`; transient failures are tried again up to `retries` times, but not a provider that was
    silent for the whole timeout (see `retries.patiently`). Raises our errors."""

    async def once() -> T:
        try:
            return await call()
        except FAILURES as error:
            raise translate(error, key=key) from error

    return await patiently(once, retries, silent=lambda error: isinstance(error.__cause__, SILENCE))


def _by_egress(error: EgressError) -> ProviderError:
    """A base URL that may not be called is the flow's mistake, not the provider's."""
    if isinstance(error, EgressRefused):
        return RequestRefused(f"The model provider's base URL is not called. {error.message}")
    transient = isinstance(error, EgressFailed) and error.transient
    return ProviderUnavailable(error.message) if transient else Malformed(error.message)


def _by_status(error: openai.APIStatusError, said: str) -> ProviderError:
    status = error.status_code
    if status == 429:
        if error.code == "insufficient_quota":
            return BadCredential(f"The model provider's quota for this key is used up: {said}")
        return RateLimited(
            f"The model provider limits the rate of requests: {said}",
            retry_after=retry_after(error.response.headers.get("retry-after", "")),
        )
    if status in (401, 403):
        return BadCredential(f"The model provider does not accept the credential (status {status}).")
    if error.code == "content_filter" or error.code == "content_policy_violation":
        return ContentRefused(f"The model provider refused the content: {said}")
    if status in (408, 504):
        return ProviderTimeout(f"The model provider gave up in time (status {status}).")
    if status >= 500 or status == 409:
        return ProviderUnavailable(f"The model provider failed with status {status}: {said}")
    return RequestRefused(f"The model provider refused the request with status {status}: {said}")


def _said(error: openai.APIStatusError) -> str:
    body = error.body
    if isinstance(body, dict):
        return str(body.get("message") or body)
    return str(body or error.message)
