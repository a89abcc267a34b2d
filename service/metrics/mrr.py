"""Reciprocal rank."""

from pydantic import Field

from service.metrics.base import Score, scored
from service.metrics.gold import DepthOptions, Ranking, RetrievalMetric
from service.metrics.ranking import reciprocal_rank


class MrrOptions(DepthOptions):
    """As for MS MARCO's MRR@10."""

    k: int = Field(10, ge=1, le=1000, description="Ranks that count")


class Mrr(RetrievalMetric):
    """1 / the rank of the first chunk that meets a gold source, 0 where none of the first k does; in [0, 1]. Its mean
    is the mean reciprocal rank (Voorhees, TREC-8 question answering track, 1999).

    Applicable to rows with gold sources whose flow says what it retrieved.
    """

    name = "mrr"
    Options = MrrOptions

    def ranked(self, ranked: Ranking) -> Score:
        value = reciprocal_rank(ranked.relevant, self.options.k)
        return scored(value, rank=round(1 / value) if value else None)
