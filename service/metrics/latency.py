"""How long an answer takes."""

from service.metrics.base import Better, Case, PlainMetric, Score, not_applicable, scored


class Latency(PlainMetric):
    """Milliseconds from the call to the whole answer, as the runner's clock has them; at least 0. Runs tell the mean,
    the median (p50) and p95.

    Applicable to cases whose time was taken.
    """

    name = "latency"
    better = Better.LOWER
    high = None
    unit = "ms"
    quantiles = (0.5, 0.95)

    def of(self, case: Case) -> Score:
        if case.taken.latency is None:
            return not_applicable("no time was taken")
        return scored(case.taken.latency)
