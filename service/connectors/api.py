"""What an HTTP API answers, as one document."""

import json
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any, BinaryIO

from pydantic import Field, Json, field_validator

from service.connectors.base import (
    Connector,
    ConnectorOptions,
    Gone,
    Got,
    Item,
    Known,
    NotModified,
    Outside,
)
from service.connectors.urls import normal
from service.settings import PREFIX

JSON = "application/json"


class ApiOptions(ConnectorOptions):
    """Fields of the node (contract b.4)."""

    url: str
    method: str = Field("GET", pattern="^(GET|POST)$")
    headers: dict[str, str] | Json[dict[str, str]] = Field(default_factory=dict)
    body: Any = None
    ca_file: Any = None

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        url = normal(value)
        if url is None:
            raise ValueError("must be an http(s) URL without a user name")
        return url

    @field_validator("ca_file")
    @classmethod
    def _is_the_operators(cls, value: Any) -> Any:
        if value:
            raise ValueError(f"whom to trust is up to the operator: {PREFIX}CA_BUNDLE names a file of authorities")
        return value


class ApiAnswer(Connector):
    """One call, and its answer: JSON mostly, but any format that can be read."""

    Options = ApiOptions

    def __init__(self, options: ApiOptions, outside: Outside) -> None:
        """Asks nothing."""
        super().__init__(options, outside)
        self.options = options

    async def items(self) -> AsyncIterator[Item]:
        """The one answer. Calls that send something else are other sources."""
        options = self.options
        sent = self._body()
        mark = "" if sent is None else "#" + sha256(sent).hexdigest()[:16]
        verb = "" if options.method == "GET" and not mark else options.method + " "
        yield Item(f"api:{verb}{options.url}{mark}", options.url, options.url)

    async def fetch(self, item: Item, sink: BinaryIO, known: Known | None = None) -> Got | NotModified:
        """Call it. Answers to a GET may be known already."""
        options, sent = self.options, self._body()
        headers = {"Accept": f"{JSON}, */*;q=0.5", **options.headers}
        names = {name.lower() for name in headers}
        if sent is not None and "content-type" not in names:
            headers["Content-Type"] = JSON
        if options.method == "GET" and known is not None and known.etag and "if-none-match" not in names:
            headers["If-None-Match"] = known.etag
        got = await self.outside.egress.fetch(options.url, method=options.method, headers=headers, body=sent, sink=sink)
        if got.status == 304 and known is not None:
            return NotModified()
        if got.status in (404, 410):
            raise Gone(f"{options.url} is not there (status {got.status})")
        got.good()
        return Got(
            item.name, got.size, got.content_type or None, got.headers.get("etag"), got.headers.get("last-modified")
        )

    def _body(self) -> bytes | None:
        """The body of the request; what is not text is written as JSON."""
        body = self.options.body
        if body is None or self.options.method == "GET":
            return None
        return (body if isinstance(body, str) else json.dumps(body)).encode()
