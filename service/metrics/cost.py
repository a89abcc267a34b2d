"""What an answer costs."""

from service.metrics.base import Better, Case, PlainMetric, Score, not_applicable, scored


class Cost(PlainMetric):
    """Tokens times the prices that the operator named, in their currency; at least 0.

    Applicable to cases all of whose models have a price.
    """

    name = "cost"
    better = Better.LOWER
    high = None
    unit = "currency"

    def of(self, case: Case) -> Score:
        if case.taken.cost is None:
            return not_applicable("a model has no price, or no tokens were counted")
        return scored(case.taken.cost)
