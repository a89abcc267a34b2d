"""What the embedders over HTTP share that are not asked by OpenAI's library: one request a batch through the guarded
client, and every way in which it can fail."""

import asyncio
import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import httpx2

from service.egress.client import Egress
from service.providers.defaults import Defaults
from service.providers.embedding.base import Embedder, Fingerprint, TextKind
from service.providers.embedding.services import HOMES, KEYS, place_of
from service.providers.errors import Malformed, RequestRefused, WrongShape
from service.providers.options import flag, headers, seconds, text, whole
from service.providers.refusals import asked, silent
from service.providers.retries import patiently


class EndpointEmbedder(Embedder):
    """Posts texts to a provider, or to a server that speaks as it does. Adapters say how a request looks.

    The size of the vectors is known from the first answer, and holds from then on.
    """

    name: ClassVar[str]
    """The row of the table."""
    default_model: ClassVar[str] = ""
    """What is taken where the node names no model; empty: it must."""
    batch: ClassVar[int] = 64
    """Texts in a request, unless the node says otherwise."""
    most: ClassVar[int] = 2048
    """The most that the provider takes in one."""
    strips: ClassVar[bool] = False
    """Whether line ends become spaces, unless the node says otherwise."""

    def __init__(self, config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> None:
        """Raises `RequestRefused` naming a field that cannot be used."""
        self.config = config
        self.credential = credential
        self.key = text(credential, *KEYS[self.name])
        self.model = text(config, "modelName", "model") or self.default_model
        self.place = place_of(self.name, config, defaults, credential)
        if not self.place:
            raise RequestRefused(f"The embedding '{self.name}' has no address: its credential must name one.")
        if not self.model:
            raise RequestRefused("The field 'modelName' must name a model.")
        self._batch = min(whole(config, "batchSize") or self.batch, self.most)
        self._strip = flag(config, "stripNewLines", self.strips)
        self._timeout = seconds(config, defaults.timeout)
        self._retries = defaults.max_retries
        self._more = headers(config)
        self._egress: Egress = defaults.egress
        self._dimension: int | None = None
        self._client: httpx2.AsyncClient | None = None

    @classmethod
    def configured(cls, config: Mapping[str, Any], credential: Mapping[str, str], defaults: Defaults) -> Self:
        """Fields of the node; its credential."""
        return cls(config, credential, defaults)

    @property
    @abstractmethod
    def url(self) -> str:
        """Where requests go."""

    @abstractmethod
    def body(self, texts: Sequence[str], kind: TextKind) -> Any:
        """The request."""

    @abstractmethod
    def rows(self, answer: Any) -> Any:
        """The vectors of an answer, in the order of the texts. May raise what a wrong shape leads to."""

    def proof(self) -> dict[str, str]:
        """The headers that prove who asks; none without a key, as servers of one's own want none."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    @property
    def dimension(self) -> int | None:
        """The size of the vectors; None until it is known."""
        return self._dimension

    async def fingerprint(self) -> Fingerprint:
        """The vector space; asks the provider for one vector when the size is not known."""
        if self._dimension is None:
            await self.embed_array(["size"])
        assert self._dimension is not None
        provider = self.name if self.place == HOMES.get(self.name) else self.place
        return Fingerprint(provider=provider, model=self.model, dimension=self._dimension, normalised=False)

    async def aclose(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _vectors(self, texts: Sequence[str], kind: TextKind, urgent: bool) -> list[Any]:
        if self._client is None:
            self._client = self._egress.http_client(timeout=self._timeout)
        return await self._all(self._client, texts, kind)

    def _vectors_blocking(self, texts: Sequence[str], kind: TextKind) -> list[Any]:
        async def work() -> list[Any]:
            async with self._egress.apart().http_client(timeout=self._timeout) as client:
                return await self._all(client, texts, kind)

        return asyncio.run(work())

    async def _all(self, client: httpx2.AsyncClient, texts: Sequence[str], kind: TextKind) -> list[Any]:
        rows: list[Any] = []
        for start in range(0, len(texts), self._batch):
            part = [self._sent(item) for item in texts[start : start + self._batch]]
            content = json.dumps(self.body(part, kind)).encode()
            rows += await self._asked(client, content, len(part))
        if self._dimension is None and rows and len({len(row) for row in rows}) == 1:
            self._dimension = len(rows[0])
        return rows

    async def _asked(self, client: httpx2.AsyncClient, content: bytes, count: int) -> list[Any]:
        told = {**self._more, "Content-Type": "application/json", "Accept": "application/json", **self.proof()}

        async def once() -> Any:
            return await asked(client, "POST", self.url, headers=told, body=content, key=self.key)

        answer = await patiently(once, self._retries, silent=silent)
        try:
            rows = list(self.rows(answer))
            sizes = [len(row) for row in rows]
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            raise Malformed("The embedder's answer cannot be understood.") from error
        if len(sizes) != count:
            raise WrongShape(f"The embedder answered with {len(sizes)} vectors for {count} texts.")
        return rows

    def _sent(self, item: str) -> str:
        item = item.replace("\n", " ") if self._strip else item
        return item if item.strip() else "."  # an empty input is refused by most of them


def by_index(answer: Any) -> list[Any]:
    """The vectors of an answer in OpenAI's shape, by the index of each."""
    return [item["embedding"] for item in sorted(answer["data"], key=lambda item: item.get("index") or 0)]
