"""How much text was found: what a model would have to read."""

from service.metrics.base import Better, Case, PlainMetric, Score, not_applicable, scored


class ContextLength(PlainMetric):
    """Characters of all passages that were found; at least 0. A model reads them all for every answer, so they are what
    retrieval costs: about a token for four characters of English.

    Applicable to cases whose flow says what it retrieved.
    """

    name = "contextLength"
    better = Better.LOWER
    high = None
    unit = "characters"

    def of(self, case: Case) -> Score:
        if case.found is None:
            return not_applicable("the flow does not say what it retrieved")
        return scored(sum(len(passage.text) for passage in case.found))
