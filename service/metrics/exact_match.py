"""Exact match."""

from service.metrics.base import Score, scored
from service.metrics.wording import ComparingMetric, squad


class ExactMatch(ComparingMetric):
    """1 when the answer equals an expected one after SQuAD's normalisation (case, punctuation, articles, blanks), else
    0 (Rajpurkar et al. 2016). Source numbers do not count.

    Applicable to rows with an expected answer that were answered.
    """

    name = "exactMatch"

    def compared(self, answer: str, expected: str) -> Score:
        return scored(float(squad(answer) == squad(expected)))
