"""Recall at a depth."""

from service.metrics.base import Score, scored
from service.metrics.gold import Ranking, RetrievalMetric


class Recall(RetrievalMetric):
    """recall@k = gold sources met by the first k chunks / gold sources, in [0, 1] (as trec_eval's `recall`).

    Applicable to rows with gold sources whose flow says what it retrieved.
    """

    name = "recall"

    def ranked(self, ranked: Ranking) -> Score:
        held = ranked.within(self.options.k)
        return scored(len(held) / len(ranked.grades), missing=ranked.missing(self.options.k))
