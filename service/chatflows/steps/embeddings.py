"""Embeddings nodes, for retrievers that measure nearness with a model of their own.

A vector store takes its embedder from the upsert's plan, not from these steps: what a store is searched by must be what
it was filled by.
"""

from collections.abc import Sequence
from typing import Any, ClassVar
from uuid import UUID

import numpy as np
from pydantic import Field, Json

from service.chatflows.graph import Node
from service.chatflows.run import Backing
from service.chatflows.steps.base import Links, Step, StepOptions
from service.chatflows.steps.keys import missing, revealed
from service.chatflows.types import FlowNotRunnable
from service.providers.defaults import Defaults
from service.providers.embedding import create_embedder, destination
from service.providers.embedding.base import Embedder
from service.providers.errors import RequestRefused

LLAMA = "BaseEmbedding_LlamaIndex"

PLACES = ("basepath", "base_path", "base_url", "endpoint", "override_endpoint")
"""Options that hold another URL than the provider's."""


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


class PlainEmbeddingsOptions(StepOptions):
    """Fields that every node of a provider of its own has; `basePath` is ours: a server that speaks as it does."""

    model_name: str = Field("", title="Model Name")
    base_path: str = Field("", title="Base Path", description="URL of a server that speaks as the provider does.")
    batch_size: int | None = Field(None, ge=1, title="Batch Size")


class OllamaEmbeddingsOptions(StepOptions):
    """Fields of the node."""

    base_url: str = Field("", title="Base URL", description="Empty: RAGSTONE_OLLAMA_BASE_URL, else on this machine.")
    model_name: str = Field("", title="Model Name")
    num_gpu: int | None = Field(None, ge=0, title="Number of GPU")
    num_thread: int | None = Field(None, ge=1, title="Number of Thread")
    use_m_map: bool = Field(True, alias="useMMap", title="Use MMap")


class HuggingFaceEmbeddingsOptions(StepOptions):
    """Fields of the node."""

    model_name: str = Field("", title="Model")
    endpoint: str = Field("", title="Endpoint", description="URL of an inference endpoint of your own.")


class MistralEmbeddingsOptions(StepOptions):
    """Fields of the node."""

    model_name: str = Field("mistral-embed", title="Model Name")
    batch_size: int | None = Field(None, ge=1, title="Batch Size")
    strip_new_lines: bool = Field(True, title="Strip New Lines")
    override_endpoint: str = Field("", title="Override Endpoint", description="URL of another server.")


class CohereEmbeddingsOptions(PlainEmbeddingsOptions):
    """Fields of the node."""

    model_name: str = Field("embed-english-v2.0", title="Model Name")
    input_type: str = Field("search_query", title="Type", description="Questions and passages are told apart anyhow.")


class GoogleEmbeddingsOptions(StepOptions):
    """Fields of the node."""

    model_name: str = Field("gemini-embedding-001", title="Model Name")
    tasktype: str = Field("TASK_TYPE_UNSPECIFIED", title="Task Type")
    strip_new_lines: bool = Field(False, title="Strip New Lines")
    base_url: str = Field("", title="Base URL", description="URL of a server that speaks as Google's does.")


class JinaEmbeddingsOptions(PlainEmbeddingsOptions):
    """Fields of the node; chunks are embedded each by itself, whatever `allowLateChunking` says."""

    model_name: str = Field("jina-embeddings-v3", title="Model Name")
    model_dimensions: int | None = Field(None, ge=1, title="Dimensions")


class EmbeddingsStep(Step):
    """An embedder of an OpenAI-compatible server."""

    label = "OpenAI Embeddings"
    category = "Embeddings"
    base_classes: ClassVar[tuple[str, ...]] = ("OpenAIEmbeddings", "Embeddings")
    credential: ClassVar[tuple[str, ...]] = ("openAIApi",)
    Options: ClassVar[type[StepOptions]] = EmbeddingsOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are this class's `Options`."""
        super().__init__(node, options, links)
        self._options: StepOptions = options
        self._embedder: Embedder | None = None

    async def prepare(self, workspace: UUID, backing: Backing) -> None:
        """Make the embedder. Raises `MissingCredential`, `HostNotAllowed`, `FlowNotRunnable` naming the node."""
        fields = self._options.model_dump(by_alias=True, exclude_none=True)
        defaults = backing.defaults
        host = destination(self.node.name, fields, defaults)
        if host == "" and self.node.credential:  # its address stands in the credential itself
            told = await revealed(self, workspace, backing, None)
            host = destination(self.node.name, fields, defaults, told)
        found = await revealed(self, workspace, backing, host)
        if not found and self._needs_key(defaults):
            raise missing(self)
        try:
            self._embedder = create_embedder(self.node.name, fields, found, defaults=defaults)
        except RequestRefused as error:
            raise FlowNotRunnable(f"{self.title}: {error.message}") from error

    def _needs_key(self, defaults: Defaults) -> bool:
        """Whether it is asked of its provider itself, so that without a credential nobody answers."""
        return not any(getattr(self._options, name, "") for name in PLACES)

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

    def _needs_key(self, defaults: Defaults) -> bool:
        return super()._needs_key(defaults) and not defaults.openai_base_url and not defaults.openai_api_key


class OpenAILlamaIndex(OpenAIEmbeddings):
    """Embeds with OpenAI, or with any server that speaks the same protocol."""

    version = 2
    base_classes = ("OpenAIEmbedding", LLAMA)


class LocalAIEmbeddings(EmbeddingsStep):
    """Embeds with a server of one's own that speaks OpenAI's protocol."""

    label = "LocalAI Embeddings"
    base_classes = ("LocalAI Embeddings", "Embeddings")
    credential = ("localAIApi",)


class AzureEmbeddings(EmbeddingsStep):
    """Embeds with OpenAI's models that are deployed in Azure."""

    label = "Azure OpenAI Embeddings"
    version = 2
    base_classes = ("AzureOpenAIEmbeddings", "Embeddings")
    credential = ("azureOpenAIApi",)

    def _needs_key(self, defaults: Defaults) -> bool:
        return True


class AzureLlamaIndex(AzureEmbeddings):
    """Embeds with OpenAI's models that are deployed in Azure."""

    version = 1
    base_classes = ("AzureOpenAIEmbedding", LLAMA)


class OllamaEmbeddings(EmbeddingsStep):
    """Embeds with models of an Ollama server."""

    label = "Ollama Embeddings"
    version = 2
    base_classes = ("OllamaEmbeddings", "Embeddings")
    credential = ()
    Options = OllamaEmbeddingsOptions

    def _needs_key(self, defaults: Defaults) -> bool:
        return False


class HuggingFaceEmbeddings(EmbeddingsStep):
    """Embeds by Hugging Face's router, or at an inference endpoint of one's own."""

    label = "HuggingFace Inference Embeddings"
    base_classes = ("HuggingFaceInferenceEmbeddings", "Embeddings")
    credential = ("huggingFaceApi",)
    Options = HuggingFaceEmbeddingsOptions


class MistralEmbeddings(EmbeddingsStep):
    """Embeds with models of Mistral."""

    label = "MistralAI Embeddings"
    version = 2
    base_classes = ("MistralAIEmbeddings", "Embeddings")
    credential = ("mistralAIApi",)
    Options = MistralEmbeddingsOptions


class CohereEmbeddings(EmbeddingsStep):
    """Embeds with models of Cohere."""

    label = "Cohere Embeddings"
    version = 3
    base_classes = ("CohereEmbeddings", "Embeddings")
    credential = ("cohereApi",)
    Options = CohereEmbeddingsOptions


class GoogleEmbeddings(EmbeddingsStep):
    """Embeds with models of Google's Gemini API."""

    label = "GoogleGenerativeAI Embeddings"
    version = 2
    base_classes = ("GoogleGenerativeAiEmbeddings", "Embeddings")
    credential = ("googleGenerativeAI",)
    Options = GoogleEmbeddingsOptions


class VoyageEmbeddings(EmbeddingsStep):
    """Embeds with models of Voyage AI."""

    label = "VoyageAI Embeddings"
    version = 2
    base_classes = ("VoyageAIEmbeddings", "Embeddings")
    credential = ("voyageAIApi",)
    Options = PlainEmbeddingsOptions


class JinaEmbeddings(EmbeddingsStep):
    """Embeds with models of Jina."""

    label = "Jina Embeddings"
    version = 3
    base_classes = ("JinaEmbeddings", "Embeddings")
    credential = ("jinaAIApi",)
    Options = JinaEmbeddingsOptions


class TogetherEmbeddings(EmbeddingsStep):
    """Embeds with models of Together AI."""

    label = "TogetherAI Embedding"
    base_classes = ("TogetherAIEmbedding", "Embeddings")
    credential = ("togetherAIApi",)
    Options = PlainEmbeddingsOptions


def cosines(question: "np.ndarray[Any, Any]", vectors: "np.ndarray[Any, Any]") -> list[float]:
    """The cosine of each row with the question."""
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(question)
    found: list[float] = np.clip(vectors @ question / np.maximum(lengths, 1e-12), -1, 1).tolist()
    return found
