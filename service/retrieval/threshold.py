"""Threshold: only what is near enough. Scores are on one scale, so a value means the same on every backend."""

from collections.abc import Sequence
from typing import Self

from pydantic import Field, model_validator

from service.retrieval.base import Call, Found, HitStage, StageOptions

SPARE = 4
"""Chunks looked at for each that is wanted where the order is another than that of the cosines."""


class ThresholdOptions(StageOptions):
    """Options of the stage; at least one is given."""

    min_score: float | None = Field(None, ge=-1, le=1, description="Least score of the stage before")
    min_cosine: float | None = Field(None, ge=-1, le=1, description="Least cosine similarity of the vectors")

    @model_validator(mode="after")
    def _any(self) -> Self:
        if self.min_score is None and self.min_cosine is None:
            raise ValueError("give minScore, minCosine or both")
        return self


class Threshold(HitStage):
    """Leaves out chunks whose score, or whose cosine, is below a threshold."""

    name = "threshold"
    Options = ThresholdOptions
    options: ThresholdOptions

    def wanted(self, limit: int) -> int:
        return limit if self.options.min_cosine is None else SPARE * limit

    async def refine(self, found: Sequence[Found], limit: int, call: Call) -> list[Found]:
        kept = []
        for item in found:
            if reason := self._short(item):
                call.notes.cut(item.number, reason)
            else:
                kept.append(item)
        return kept

    def _short(self, item: Found) -> str:
        score, cosine = self.options.min_score, self.options.min_cosine
        if score is not None and item.score < score:
            return f"score below {score:g}"
        if cosine is not None and item.parts.get("cosine", -1.0) < cosine:
            return f"cosine below {cosine:g}"
        return ""
