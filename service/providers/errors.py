"""What can go wrong with a provider, in our words.

ProviderError
├── RateLimited          the provider asks to slow down; `retry_after` seconds where it said so
├── BadCredential        the key is missing, wrong or lacks a right
├── ProviderUnavailable  out of reach, or failing on its side
│   └── ProviderTimeout  no answer in time
├── Malformed            an answer that is not what the protocol promises
│   └── WrongShape       vectors of the wrong count or size, or not finite
├── ContentRefused       the provider's rules forbid the request or the answer
├── RequestRefused       the provider does not accept the request (unknown model, too long, bad option)
├── UnknownProvider      there is no provider of this name
└── MissingLibrary       an extra of the package is not installed

Adapters translate vendor errors once, with the cause attached; messages are fit for users and never hold a key.
"""

import re
from typing import ClassVar

from service.errors import ServiceError

_SECRET = re.compile(
    r"(?i)(sk-[a-z0-9_-]{6,}|bearer\s+\S+|(?:(?<![a-z0-9_-])[a-z0-9_-]++)?\*{3,}[a-z0-9_-]*)"  # a word is tried once
)


class ProviderError(ServiceError):
    """A model provider failed."""

    status, code = 502, "provider_failed"
    private = True
    transient: ClassVar[bool] = False
    """Whether the same call may succeed later."""


class RateLimited(ProviderError):
    """The provider limits the rate of requests."""

    status, code = 429, "provider_rate_limited"
    transient = True

    def __init__(self, message: str = "", *, retry_after: float | None = None) -> None:
        """`retry_after`: seconds to wait, where the provider said so."""
        headers = {} if retry_after is None else {"Retry-After": str(max(1, round(retry_after)))}
        super().__init__(message, headers=headers)
        self.retry_after = retry_after


class BadCredential(ProviderError):
    """The provider does not accept the credential."""

    code = "provider_bad_credential"


class ProviderUnavailable(ProviderError):
    """The provider is out of reach or fails."""

    status, code = 503, "provider_unavailable"
    transient = True


class ProviderTimeout(ProviderUnavailable):
    """The provider did not answer in time."""

    status, code = 504, "provider_timeout"


class Malformed(ProviderError):
    """The provider's answer cannot be understood."""

    code = "provider_malformed"


class WrongShape(Malformed):
    """The embedder answered with vectors of the wrong count or size, or not finite."""

    code = "provider_wrong_shape"


class ContentRefused(ProviderError):
    """The provider refused the content."""

    status, code = 422, "provider_content_refused"


class RequestRefused(ProviderError):
    """The provider does not accept the request."""

    status, code = 422, "provider_request_refused"


class UnknownProvider(ProviderError):
    """There is no provider of this name."""

    status, code = 422, "unknown_provider"


class MissingLibrary(ProviderError):
    """A library is not installed."""

    status, code = 501, "missing_library"

    def __init__(self, library: str, extra: str) -> None:
        """Name the library and the extra of this package that brings it."""
        super().__init__(f"The library '{library}' is not installed. Install it with: pip install 'ragstone[{extra}]'")
        self.extra = extra


def redact(text: str, *secrets: str | None) -> str:
    """`text` without `secrets` and without what looks like a key, at most 300 characters: fit to be shown."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[key]")
    return _SECRET.sub("[key]", text)[:300]
