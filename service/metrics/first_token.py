"""How long an answer lets people wait."""

from service.metrics.base import Better, Case, PlainMetric, Score, not_applicable, scored


class FirstToken(PlainMetric):
    """Milliseconds from the call to the first token of the answer; at least 0. Runs tell the mean, the median (p50) and
    p95.

    Applicable to answers that were streamed.
    """

    name = "firstToken"
    better = Better.LOWER
    high = None
    unit = "ms"
    quantiles = (0.5, 0.95)

    def of(self, case: Case) -> Score:
        if case.taken.first_token is None:
            return not_applicable("the answer was not streamed")
        return scored(case.taken.first_token)
