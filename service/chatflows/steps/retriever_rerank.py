"""Retrievers that have a provider's reranker order what was found."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import Field, field_validator

from service.chatflows.graph import Node
from service.chatflows.run import Backing, Run
from service.chatflows.steps.base import Links
from service.chatflows.steps.document_store import DEFAULT_TOP_K, MAX_TOP_K
from service.chatflows.steps.keys import missing, revealed
from service.chatflows.steps.retrievers import BASE, OverRetriever, QueryOptions, TopKOptions
from service.chatflows.types import FlowNotRunnable
from service.providers.errors import RequestRefused
from service.providers.rerank import create_reranker, destination
from service.providers.rerank.base import Reranker
from service.retrieval.base import HitStage
from service.retrieval.rerank import MOST, RerankOptions, RerankStage


class ServerOptions(QueryOptions):
    """Fields of ours: rerankers of one's own speak the providers' protocols."""

    base_path: str = Field("", title="Base Path", description="What stands before /rerank of a compatible server.")
    raw_scores: bool = Field(
        False, title="Raw Scores", description="The server gives the model's raw outputs, as llama.cpp does."
    )

    @field_validator("base_path")
    @classmethod
    def _is_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("must be an http(s) URL")
        return value


class CohereOptions(TopKOptions, ServerOptions):
    """Fields of the node."""

    model: str = Field("rerank-v3.5", title="Model Name")
    max_chunks_per_doc: int | None = Field(
        None, ge=1, title="Max Chunks Per Doc", description="Parts of a passage, of 512 tokens, that are read."
    )


class JinaOptions(ServerOptions):
    """Fields of the node."""

    model: str = Field("jina-reranker-v2-base-multilingual", title="Model Name")
    top_k: int = Field(DEFAULT_TOP_K, alias="topN", ge=1, le=MAX_TOP_K, title="Top N", description="Passages to give.")


class VoyageOptions(TopKOptions, ServerOptions):
    """Fields of the node."""

    model: str = Field("rerank-lite-1", title="Model Name")


class AzureOptions(TopKOptions):
    """Fields of the node."""

    model: str = Field("Cohere-rerank-v4.0-fast", title="Model Name")
    max_chunks_per_doc: int | None = Field(
        None, ge=1, title="Max Chunks Per Doc", description="Has no effect: the service's limit of tokens holds."
    )


class RerankRetriever(OverRetriever):
    """Orders what the retriever below finds, and gives the best of it. When the reranker fails, the question fails."""

    below = BASE
    anchors = (BASE,)

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are this class's `Options`."""
        super().__init__(node, options, links)
        self._reranker: Reranker | None = None

    async def prepare(self, workspace: UUID, backing: Backing) -> None:
        """Make the reranker. Raises `MissingCredential`, `HostNotAllowed`, `FlowNotRunnable` naming the node."""
        fields = self.options.model_dump(by_alias=True, exclude_none=True)
        found = await revealed(self, workspace, backing, await self._host(workspace, backing, fields))
        if not found and not fields.get("basePath"):
            raise missing(self)
        try:
            self._reranker = create_reranker(self.node.name, fields, found, defaults=backing.defaults)
        except RequestRefused as error:
            raise FlowNotRunnable(f"{self.title}: {error.message}") from error

    async def close(self) -> None:
        """Close what it holds."""
        reranker, self._reranker = self._reranker, None
        if reranker is not None:
            await reranker.aclose()

    def after(self, run: Run, k: int) -> Sequence[HitStage]:
        assert self._reranker is not None, "prepare() makes it"
        return [RerankStage(RerankOptions(candidates=min(max(k, self._base.k), MOST)), self._reranker.rank)]

    async def _host(self, workspace: UUID, backing: Backing, fields: dict[str, Any]) -> str | None:
        return destination(self.node.name, fields)


class CohereRerankRetriever(RerankRetriever):
    """Orders what the retriever below finds by Cohere's reranker, or one that speaks as it does."""

    label = "Cohere Rerank Retriever"
    base_classes = ("Cohere Rerank Retriever", "BaseRetriever")
    credential = ("cohereApi",)
    Options = CohereOptions


class JinaRerankRetriever(RerankRetriever):
    """Orders what the retriever below finds by Jina's reranker, or one that speaks as it does."""

    label = "Jina AI Rerank Retriever"
    base_classes = ("JinaRerankRetriever", "BaseRetriever")
    credential = ("jinaAIApi",)
    Options = JinaOptions


class VoyageRerankRetriever(RerankRetriever):
    """Orders what the retriever below finds by Voyage AI's reranker."""

    label = "Voyage AI Rerank Retriever"
    base_classes = ("VoyageAIRerankRetriever", "BaseRetriever")
    credential = ("voyageAIApi",)
    Options = VoyageOptions


class AzureRerankRetriever(RerankRetriever):
    """Orders what the retriever below finds by a reranker of Azure AI Foundry."""

    label = "Azure Rerank Retriever"
    base_classes = ("Azure Rerank Retriever", "BaseRetriever")
    credential = ("azureFoundryApi",)
    Options = AzureOptions

    async def _host(self, workspace: UUID, backing: Backing, fields: dict[str, Any]) -> str | None:
        """The address stands in the credential itself, which is read for it alone."""
        return destination(self.node.name, fields, await revealed(self, workspace, backing, None))
