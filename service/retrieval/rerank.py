"""Rerank: what was found, ordered by a model that reads question and text together."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from pydantic import Field

from service.errors import Unprocessable
from service.providers.errors import ProviderError
from service.retrieval.asking import skip
from service.retrieval.base import Call, Found, HitStage, Rerank, StageOptions

FEWEST = 20
"""Chunks that are looked at, at least."""
PER_HIT = 5
"""Chunks that are looked at for each that is wanted."""
MOST = 200


class RerankOptions(StageOptions):
    """Options of the stage."""

    provider: str = Field(
        "sentence_transformers",
        description="Reranker: `cohere`, `jina`, `voyage`, `azure`, or the cross-encoder of RAGSTONE_RERANK_MODEL_PATH",
    )
    model: str = Field("", max_length=200, description="The provider's model; empty: its usual one")
    base_path: str = Field("", max_length=2000, description="What stands before `/rerank` of a compatible server")
    credential: UUID | None = Field(None, description="Id of the credential with the provider's key")
    raw_scores: bool = Field(False, description="The server gives the model's raw outputs, as llama.cpp does")
    candidates: int | None = Field(
        None, ge=1, le=MOST, description=f"Chunks to look at; default {PER_HIT} for each wanted, {FEWEST} at least"
    )
    min_score: float | None = Field(None, ge=-1, le=1, description="Leave out what the reranker scores lower")
    optional: bool = Field(False, description="Keep the order when the reranker fails; else the query fails")


class RerankStage(HitStage):
    """Orders what was found by a reranker: a model that reads the question and a chunk together.

    The scores are the reranker's; those of before stay among the parts, as `before`.
    """

    name = "rerank"
    Options = RerankOptions
    options: RerankOptions

    def __init__(self, options: Any = None, rerank: Rerank | None = None) -> None:
        """`options` are `RerankOptions`; `rerank` takes the place of the reranker that they name."""
        super().__init__(options)
        self._rerank = rerank

    def wanted(self, limit: int) -> int:
        return max(limit, self.options.candidates or min(MOST, max(FEWEST, PER_HIT * limit)))

    async def refine(self, found: Sequence[Found], limit: int, call: Call) -> list[Found]:
        if not found:
            return []
        asked, rest = found[:MOST], found[MOST:]
        try:
            rerank = self._rerank or await self._named(call)
            with call.notes.timed("reranker"):
                scores = await rerank(call.query.text, [item.chunk.index_text for item in asked])
        except ProviderError as error:
            skip(error, call, optional=self.options.optional)
            return list(found)
        for item in rest:
            call.notes.cut(item.number, f"beyond the {MOST} that are reranked")
        scored = [
            item.scored(score, rerank=score, before=item.score) for item, score in zip(asked, scores, strict=True)
        ]
        least = self.options.min_score
        kept = [item for item in scored if least is None or item.score >= least]
        for item in scored:
            if least is not None and item.score < least:
                call.notes.cut(item.number, f"the reranker's score is below {least:g}")
        return sorted(kept, key=lambda item: -item.score)

    async def _named(self, call: Call) -> Rerank:
        models = call.sources.models
        if models is None:
            raise Unprocessable("retrieval: there are no rerankers here")
        chosen = self.options
        call.notes.fact("provider", chosen.provider)
        config = chosen.model_dump(by_alias=True, mode="json", exclude_defaults=True)
        return await models.reranker(chosen.provider, config)
