"""Whether a gold source was found at all."""

from service.metrics.base import Score, scored
from service.metrics.gold import Ranking, RetrievalMetric
from service.metrics.ranking import reciprocal_rank


class SourceHit(RetrievalMetric):
    """1 when one of the first k chunks meets a gold source, else 0 (as trec_eval's `success`, "hit rate").

    Applicable to rows with gold sources whose flow says what it retrieved.
    """

    name = "sourceHit"

    def ranked(self, ranked: Ranking) -> Score:
        return scored(float(reciprocal_rank(ranked.relevant, self.options.k) > 0))
