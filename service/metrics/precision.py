"""Precision at a depth."""

from service.metrics.base import Score, scored
from service.metrics.gold import Ranking, RetrievalMetric
from service.metrics.ranking import precision


class Precision(RetrievalMetric):
    """precision@k = chunks among the first k that meet a gold source / k, in [0, 1] (as trec_eval's `P`: fewer than k
    chunks do not make it better).

    Applicable to rows with gold sources whose flow says what it retrieved.
    """

    name = "precision"

    def ranked(self, ranked: Ranking) -> Score:
        return scored(precision(ranked.relevant, self.options.k), found=len(ranked.met))
