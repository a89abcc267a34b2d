"""What the HTTP rerankers share: one request through the guarded client, and every way in which it can fail."""

import json
import sys
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from math import exp, nan
from typing import Any, Self

from service.egress.client import Egress, Fetched
from service.egress.errors import EgressError, EgressFailed, EgressRefused, EgressTooLarge
from service.json_text import parsed
from service.providers.defaults import Defaults
from service.providers.errors import (
    BadCredential,
    Malformed,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimited,
    RequestRefused,
    redact,
)
from service.providers.options import flag, seconds, text
from service.providers.rerank import BASES, base_url
from service.providers.rerank.base import Reranker
from service.providers.retries import patiently, retry_after

MAX_ANSWER = 4 * 1024 * 1024
"""Bytes of an answer: indices and scores."""

_QUIET = frozenset({408, 504})


class EndpointReranker(Reranker):
    """Asks `POST …/rerank` of a provider, or of a server that speaks as it does. Adapters say how a request looks."""

    name: str
    """The row of the table."""
    rows: str = "results"
    """The field of the answer that lists index and score of each text."""
    default_model: str
    key_field: str
    """The field of the credential that holds the key."""

    def __init__(self, config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> None:
        """Fields `model`, `basePath` (a compatible server), `timeout` (milliseconds), `rawScores`."""
        self._config = config
        self._credential = credential
        self._key = text(credential, self.key_field)
        self._model = text(config, "model", "modelName") or self.default_model
        self._timeout = seconds(config, defaults.timeout)
        self._retries = defaults.max_retries
        self._raw = flag(config, "rawScores", False)
        self._egress: Egress = defaults.egress
        self._own = not base_url(config)

    @classmethod
    def configured(cls, config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> Self:
        return cls(config, credential, defaults)

    @property
    def url(self) -> str:
        """Where requests go."""
        return f"{base_url(self._config) or BASES[self.name]}/rerank"

    @abstractmethod
    def _body(self, query: str, texts: Sequence[str]) -> dict[str, Any]:
        """The request. It asks for the scores of all texts, without the texts themselves."""

    def _headers(self) -> dict[str, str]:
        """What proves who asks; nothing without a key, as servers of one's own want none."""
        return {"Authorization": f"Bearer {self._key}"} if self._key else {}

    async def _scores(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        if self._own and not self._key:
            raise BadCredential(f"The reranker '{self.name}' needs a key; choose a credential that holds one.")
        body = json.dumps(self._body(query, texts)).encode()
        scores = await patiently(lambda: self._ask(body, len(texts)), self._retries, silent=_silent)
        return [_sigmoid(score) for score in scores] if self._raw else scores

    async def _ask(self, body: bytes, count: int) -> list[float]:
        try:
            answer = await self._egress.fetch(
                self.url,
                method="POST",
                headers={"Content-Type": "application/json", "Accept": "application/json", **self._headers()},
                body=body,
                max_bytes=MAX_ANSWER,
                timeout=self._timeout,
                redirects=0,
            )
        except EgressError as error:
            raise _by_egress(error) from error
        if not 200 <= answer.status < 300:
            raise self._by_status(answer)
        return _read(answer.body, self.rows, count)

    def _by_status(self, answer: Fetched) -> ProviderError:
        status, said = answer.status, redact(_said(answer.body), self._key)
        if status in (401, 403):
            return BadCredential(f"The reranker does not accept the credential (status {status}).")
        if status == 402:
            return BadCredential(f"The reranker's quota for this key is used up: {said}")
        if status == 429:
            pause = retry_after(answer.headers.get("retry-after", ""))
            return RateLimited(f"The reranker limits the rate of requests: {said}", retry_after=pause)
        if status in _QUIET:
            return ProviderTimeout(f"The reranker gave up in time (status {status}).")
        if status >= 500 or status == 409:
            return ProviderUnavailable(f"The reranker failed with status {status}: {said}")
        return RequestRefused(f"The reranker refused the request with status {status}: {said}")


def _by_egress(error: EgressError) -> ProviderError:
    if isinstance(error, EgressRefused):
        return RequestRefused(f"The reranker's base URL is not called. {error.message}")
    if isinstance(error, EgressFailed) and error.transient:
        if _timed_out(error):
            return ProviderTimeout(f"The reranker did not answer in time. {error.message}")
        return ProviderUnavailable(f"The reranker cannot be reached. {error.message}")
    if isinstance(error, EgressTooLarge):
        return Malformed("The reranker's answer is too large to be one.")
    return Malformed(f"The reranker's answer cannot be used. {error.message}")


def _timed_out(error: EgressError) -> bool:
    import httpx2

    return isinstance(error.__cause__, TimeoutError | httpx2.TimeoutException)


def _silent(error: ProviderError) -> bool:
    return isinstance(error.__cause__, EgressError) and _timed_out(error.__cause__)


def _said(body: bytes) -> str:
    """The provider's own words: `message` (Cohere), `detail` (Jina, Voyage), `error.message` (others)."""
    try:
        found = parsed(body.decode("utf-8", "replace"))
    except ValueError:
        return body[:200].decode("utf-8", "replace")
    for name in ("message", "detail", "error"):
        value = found.get(name) if isinstance(found, dict) else None
        if value:
            return str(value.get("message") or value) if isinstance(value, dict) else str(value)
    return str(found)[:200]


def _read(body: bytes, field: str, count: int) -> list[float]:
    """The scores by the place of their text. Raises `Malformed` unless every text has one."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Malformed("The reranker's answer is not JSON.") from error
    rows = answer.get(field) if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise Malformed(f"The reranker's answer has no list '{field}'.")
    scores: dict[int, float] = {}
    for row in rows:
        place, score = (row.get("index"), row.get("relevance_score")) if isinstance(row, dict) else (None, None)
        if not isinstance(place, int) or isinstance(place, bool) or not 0 <= place < count:
            raise Malformed(f"The reranker's answer names a text that was not sent (index {str(place)[:20]}).")
        if not isinstance(score, int | float) or isinstance(score, bool):
            raise Malformed("The reranker's answer has a score that is no number.")
        if place in scores:
            raise Malformed(f"The reranker's answer scores text {place} twice.")
        scores[place] = float(score) if abs(score) <= sys.float_info.max else nan
    if len(scores) != count:
        raise Malformed(f"The reranker answered with {len(scores)} scores for {count} texts.")
    return [scores[place] for place in range(count)]


def _sigmoid(score: float) -> float:
    """The model's raw output on the scale 0 to 1; keeps the order."""
    return 1 / (1 + exp(-score)) if score >= 0 else exp(max(score, -700.0)) / (1 + exp(max(score, -700.0)))
