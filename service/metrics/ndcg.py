"""Normalised discounted cumulative gain."""

from enum import StrEnum

from pydantic import Field

from service.metrics.base import Score, scored
from service.metrics.gold import DepthOptions, Ranking, RetrievalMetric
from service.metrics.ranking import ndcg


class Gain(StrEnum):
    """What a grade is worth."""

    LINEAR = "linear"
    """The grade itself (Järvelin & Kekäläinen 2002; trec_eval)."""
    EXPONENTIAL = "exponential"
    """2 ** grade - 1 (Burges et al. 2005)."""
    BINARY = "binary"
    """1, whatever the grade."""


class NdcgOptions(DepthOptions):
    """How far down is looked, and what grades are worth."""

    k: int = Field(10, ge=1, le=1000, description="Ranks that count")
    gain: Gain = Field(Gain.LINEAR, description="What a grade is worth")


class Ndcg(RetrievalMetric):
    """nDCG@k = sum over the first k ranks of gain / log2(rank + 1), divided by the same sum for the best order of the
    gold sources; in [0, 1] (Järvelin & Kekäläinen 2002).

    A gold source gives its gain at the first rank that meets it: another chunk of the same document adds nothing. A
    chunk that meets several gives all their gains; what exceeds the best order of one a rank is cut off at 1.

    Applicable to rows with gold sources whose flow says what it retrieved.
    """

    name = "ndcg"
    Options = NdcgOptions
    options: NdcgOptions

    def ranked(self, ranked: Ranking) -> Score:
        worth = [_worth(grade, self.options.gain) for grade in ranked.grades]
        gains = [sum(worth[number] for number in sorted(golds)) for golds in ranked.new]
        return scored(ndcg(gains, worth, self.options.k), gains=gains[: self.options.k])


def _worth(grade: float, gain: Gain) -> float:
    match gain:
        case Gain.LINEAR:
            return grade
        case Gain.EXPONENTIAL:
            return float(2.0**grade - 1.0)
        case Gain.BINARY:
            return 1.0
