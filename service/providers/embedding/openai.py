"""Embeds through any OpenAI-compatible endpoint."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Self

import openai

from service.egress.client import Egress
from service.providers.defaults import Defaults
from service.providers.embedding.base import Embedder, Fingerprint, TextKind
from service.providers.errors import Malformed, WrongShape
from service.providers.openai_errors import retried
from service.providers.options import flag, headers, seconds, text, whole

OFFICIAL_URL = "https://api.openai.com/v1"
DEFAULT_MODEL = "text-embedding-3-small"
BATCH_SIZE = 256
"""Texts in a request. OpenAI takes 2,048, many compatible servers take less."""

_DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}


class OpenAIEmbedder(Embedder):
    """Vectors from `/embeddings` of a base URL, as the server gives them (OpenAI's are unit vectors).

    Texts are sent as they are: no tokenizer is loaded, and what is too long for the model is refused by the server.
    The size of the vectors is known from the options, from the model's name, or from the first answer, and holds
    from then on. One client, with its pool of connections, serves an event loop.
    """

    def __init__(
        self,
        *,
        api_key: str,
        model: str = DEFAULT_MODEL,
        base_url: str = "",
        dimensions: int | None = None,
        batch_size: int = BATCH_SIZE,
        timeout: float = 120.0,
        max_retries: int = 2,
        strip_new_lines: bool = False,
        extra_headers: Mapping[str, str] | None = None,
        egress: Egress | None = None,
    ) -> None:
        """`dimensions`: ask for shortened vectors. `timeout` in seconds."""
        self._key = api_key
        self._model = model
        self._base_url = base_url or OFFICIAL_URL
        self._asked = dimensions
        self._dimension = dimensions or (_DIMENSIONS.get(model) if self._base_url == OFFICIAL_URL else None)
        self._batch_size = batch_size
        self._max_retries = max_retries
        self._strip = strip_new_lines
        self._options: dict[str, Any] = {
            "api_key": api_key or "none",
            "base_url": self._base_url,
            "timeout": timeout,
            "max_retries": 0,
            "default_headers": dict(extra_headers or {}),
        }
        self._egress = egress or Egress()
        self._client: openai.AsyncOpenAI | None = None

    @classmethod
    def configured(cls, config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> Self:
        """Fields of openAIEmbeddings(Custom) and localAIEmbeddings; credential openAIApi or localAIApi."""
        base_url = text(config, "basepath", "basePath", "baseUrl")
        key = text(credential, "openAIApiKey", "localAIApiKey")
        if not key and base_url in ("", defaults.openai_base_url):
            key = defaults.openai_api_key  # never sent to a server that it was not meant for
        return cls(
            api_key=key,
            model=text(config, "modelName") or DEFAULT_MODEL,
            base_url=base_url or defaults.openai_base_url,
            dimensions=whole(config, "dimensions"),
            batch_size=whole(config, "batchSize") or BATCH_SIZE,
            timeout=seconds(config, defaults.timeout),
            max_retries=defaults.max_retries,
            strip_new_lines=flag(config, "stripNewLines", False),
            extra_headers=headers(config),
            egress=defaults.egress,
        )

    @property
    def dimension(self) -> int | None:
        """The size of the vectors; None until it is known."""
        return self._dimension

    async def fingerprint(self) -> Fingerprint:
        """The vector space; asks the server for one vector when the size is not known."""
        if self._dimension is None:
            await self.embed_array(["size"])
        assert self._dimension is not None
        return Fingerprint(
            provider="openai" if self._base_url == OFFICIAL_URL else self._base_url.rstrip("/"),
            model=self._model,
            dimension=self._dimension,
            normalised=self._base_url == OFFICIAL_URL,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _vectors(self, texts: Sequence[str], kind: TextKind, urgent: bool) -> list[Any]:
        if self._client is None:
            self._client = self._new_client(self._egress)
        return await self._all(self._client, texts)

    def _vectors_blocking(self, texts: Sequence[str], kind: TextKind) -> list[Any]:
        async def work() -> list[Any]:
            async with self._new_client(self._egress.apart()) as client:
                return await self._all(client, texts)

        return asyncio.run(work())

    def _new_client(self, egress: Egress) -> openai.AsyncOpenAI:
        client = egress.http_client(timeout=self._options["timeout"])
        return openai.AsyncOpenAI(http_client=client, **self._options)

    async def _all(self, client: openai.AsyncOpenAI, texts: Sequence[str]) -> list[Any]:
        rows: list[Any] = []
        for start in range(0, len(texts), self._batch_size):
            batch = [self._sent(item) for item in texts[start : start + self._batch_size]]
            rows += await retried(lambda batch=batch: self._request(client, batch), self._max_retries, key=self._key)  # type: ignore[misc]
        self._settle(rows)
        return rows

    def _sent(self, item: str) -> str:
        item = item.replace("\n", " ") if self._strip else item
        return item if item.strip() else "."  # an empty input is refused by the protocol

    async def _request(self, client: openai.AsyncOpenAI, batch: list[str]) -> list[Any]:
        more: dict[str, Any] = {} if self._asked is None else {"dimensions": self._asked}
        try:
            answer = await client.embeddings.create(input=batch, model=self._model, **more)
        except (ValueError, TypeError, AttributeError) as error:  # the SDK trips over a body of another shape
            raise Malformed("The embedder's answer cannot be understood.") from error
        data = sorted(answer.data or [], key=lambda item: item.index or 0)
        if len(data) != len(batch):
            raise WrongShape(f"The embedder answered with {len(data)} vectors for {len(batch)} texts.")
        return [item.embedding for item in data]

    def _settle(self, rows: list[Any]) -> None:
        if self._dimension is None and rows and len({len(row) for row in rows}) == 1:
            self._dimension = len(rows[0])
