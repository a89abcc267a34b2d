"""Embeddings nodes, for retrievers that measure nearness with a model of their own.

A vector store takes its embedder from the upsert's plan, not from these steps: what a store is searched by must be what
it was filled by.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np
from pydantic import Field, Json

from service.chatflows.graph import Node
from service.chatflows.run import Backing
from service.chatflows.steps.base import Links, Step, StepOptions
from service.chatflows.steps.keys import missing, revealed
from service.chatflows.types import FlowNotRunnable
from service.providers.embedding import create_embedder, destination
from service.providers.embedding.base import Embedder
from service.providers.errors import RequestRefused


class EmbeddingsOptions(StepOptions):
    """Fields of the nodes (contract b.4)."""

    model_name: str = Field("", title="Model Name")
    strip_new_lines: bool = Field(False, title="Strip New Lines")
    batch_size: int | None = Field(None, ge=1, title="Batch Size")
    timeout: float | None = Field(None, gt=0, title="Timeout", description="Milliseconds.")
    basepath: str = Field("", alias="basepath", title="BasePath", description="URL of an OpenAI-compatible server.")
    base_path: str = Field("", title="Base Path", description="The same, as localAIEmbeddings names it.")
    base_options: dict[str, Any] | Json[dict[str, Any]] | None = Field(None, title="BaseOptions")
    dimensions: int | None = Field(None, ge=1, title="Dimensions")


class EmbeddingsStep(Step):
    """An embedder of an OpenAI-compatible server."""

    label = "OpenAI Embeddings"
    category = "Embeddings"
    base_classes = ("OpenAIEmbeddings", "Embeddings")
    credential = ("openAIApi",)
    Options = EmbeddingsOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `EmbeddingsOptions`."""
        super().__init__(node, options, links)
        self._options: EmbeddingsOptions = options
        self._embedder: Embedder | None = None

    async def prepare(self, workspace: UUID, backing: Backing) -> None:
        """Make the embedder. Raises `MissingCredential`, `HostNotAllowed`, `FlowNotRunnable` naming the node."""
        fields = self._options.model_dump(by_alias=True, exclude_none=True)
        defaults = backing.defaults
        own = self._options.basepath or self._options.base_path
        host = destination(self.node.name, fields, defaults)
        found = await revealed(self, workspace, backing, host)
        if not found and not own and not defaults.openai_base_url and not defaults.openai_api_key:
            raise missing(self)
        try:
            self._embedder = create_embedder(self.node.name, fields, found, defaults=defaults)
        except RequestRefused as error:
            raise FlowNotRunnable(f"{self.title}: {error.message}") from error

    async def close(self) -> None:
        """Close the connections."""
        embedder, self._embedder = self._embedder, None
        if embedder is not None:
            await embedder.aclose()

    async def cosines(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        """How near each text is to a question, in [-1, 1]. Raises `ProviderError`."""
        assert self._embedder is not None, "prepare() makes it"
        asked = await self._embedder.embed_query_array(question)
        vectors = await self._embedder.embed_array(list(texts), urgent=True)
        return cosines(asked, vectors)


class OpenAIEmbeddings(EmbeddingsStep):
    """Embeds with OpenAI, or with any server that speaks the same protocol."""

    version = 4


class LocalAIEmbeddings(EmbeddingsStep):
    """Embeds with a server of one's own that speaks OpenAI's protocol."""

    label = "LocalAI Embeddings"
    base_classes = ("LocalAI Embeddings", "Embeddings")
    credential = ("localAIApi",)


def cosines(question: "np.ndarray[Any, Any]", vectors: "np.ndarray[Any, Any]") -> list[float]:
    """The cosine of each row with the question."""
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(question)
    found: list[float] = np.clip(vectors @ question / np.maximum(lengths, 1e-12), -1, 1).tolist()
    return found
