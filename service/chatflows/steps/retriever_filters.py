"""Retrievers that leave out what is not near enough, or says nothing to the question."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
from pydantic import Field

from service.chatflows.graph import Node
from service.chatflows.run import Run
from service.chatflows.steps.base import Anchor, Links
from service.chatflows.steps.document_store import MAX_TOP_K
from service.chatflows.steps.embeddings import EmbeddingsStep, cosines
from service.chatflows.steps.retrievers import BASE, MODEL, STORE, OverRetriever, QueryOptions
from service.retrieval.base import Call, Found, HitStage
from service.retrieval.compress import Compress, CompressOptions
from service.retrieval.threshold import Threshold, ThresholdOptions

Cosines = Callable[[str, Sequence[str]], Awaitable[Sequence[float]]]
"""How near texts are to a question, in the order of the texts."""


class SimilarityThresholdRetrieverOptions(QueryOptions):
    """Fields of the node."""

    min_similarity_score: float = Field(
        80, ge=-100, le=100, title="Minimum Similarity Score (%)", description="Of vectors; 100 is the same direction."
    )
    max_k: int = Field(20, ge=1, le=MAX_TOP_K, title="Max K", description="Passages to give at most.")
    k_increment: float = Field(2, title="K Increment", description="Has no effect: all are searched for at once.")


class SimilarityThresholdRetriever(OverRetriever):
    """Gives only passages that are near enough to the question."""

    label = "Similarity Score Threshold Retriever"
    version = 2
    base_classes = ("SimilarityThresholdRetriever", "BaseRetriever")
    below = STORE
    anchors = (STORE,)
    Options = SimilarityThresholdRetrieverOptions
    options: SimilarityThresholdRetrieverOptions

    @property
    def k(self) -> int:
        return self.options.max_k

    def after(self, run: Run, k: int) -> Sequence[HitStage]:
        return [Threshold(ThresholdOptions(min_cosine=self.options.min_similarity_score / 100))]


class LlmFilterRetriever(OverRetriever):
    """Gives of each passage only the sentences that a model finds helpful for the question."""

    label = "LLM Filter Retriever"
    base_classes = ("LLMFilterRetriever", "BaseRetriever")
    below = BASE
    anchors = (BASE, MODEL)
    Options = QueryOptions

    def after(self, run: Run, k: int) -> Sequence[HitStage]:
        assert self._model is not None
        return [Compress(CompressOptions(by="model"), self._model.ask(run))]


class EmbeddingsFilterRetrieverOptions(QueryOptions):
    """Fields of the node."""

    similarity_threshold: float = Field(
        0.8, ge=-1, le=1, title="Similarity Threshold", description="Least cosine of passage and question."
    )
    k_most: int = Field(20, alias="k", ge=1, le=MAX_TOP_K, title="K", description="Passages to give at most.")


class EmbeddingsFilterRetriever(OverRetriever):
    """Gives only passages whose embedding is near to the question's, nearest first."""

    label = "Embeddings Filter Retriever"
    base_classes = ("EmbeddingsFilterRetriever", "BaseRetriever")
    below = BASE
    anchors = (BASE, Anchor("embeddings", EmbeddingsStep, "Embeddings", optional=True))
    Options = EmbeddingsFilterRetrieverOptions
    options: EmbeddingsFilterRetrieverOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `EmbeddingsFilterRetrieverOptions`."""
        super().__init__(node, options, links)
        self._embeddings = next(
            (step for step in links.get("embeddings", ()) if isinstance(step, EmbeddingsStep)), None
        )

    @property
    def k(self) -> int:
        return min(self.options.k_most, self._base.k)

    def after(self, run: Run, k: int) -> Sequence[HitStage]:
        own = self._embeddings.cosines if self._embeddings else None
        return [Near(self.options.similarity_threshold, max(k, self._base.k), own)]


class Near(HitStage):
    """Leaves out what is not near to the question by an embedder: the document store's own, where nobody else is."""

    name = "embeddingsFilter"

    def __init__(self, least: float, candidates: int, own: Cosines | None) -> None:
        """`least`: cosine; `candidates`: chunks to look at; `own`: of an embedder of the node's own."""
        super().__init__()
        self._least, self._candidates, self._cosines = least, candidates, own

    def wanted(self, limit: int) -> int:
        return max(limit, self._candidates)

    async def refine(self, found: Sequence[Found], limit: int, call: Call) -> list[Found]:
        if not found:
            return []
        with call.notes.timed("embedding"):
            near = await self._near(call, [item.chunk.index_text for item in found])
        kept = []
        for item, value in zip(found, near, strict=True):
            if value < self._least:
                call.notes.cut(item.number, f"cosine below {self._least:g}")
            else:
                kept.append(item.scored(value, near=value, before=item.score))
        return sorted(kept, key=lambda item: -item.score)

    async def _near(self, call: Call, texts: Sequence[str]) -> Sequence[float]:
        if self._cosines is not None:
            return await self._cosines(call.query.text, texts)
        question = np.asarray(await call.sources.embed(call.query.text), np.float32)
        vectors = np.asarray(await call.sources.texts(texts), np.float32)
        return cosines(question, vectors)
