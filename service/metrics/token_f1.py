"""Token F1."""

from collections import Counter

from service.metrics.base import Score, scored
from service.metrics.wording import ComparingMetric, harmonic, squad_tokens


class TokenF1(ComparingMetric):
    """F1 of the words that answer and expected answer share, as bags, after SQuAD's normalisation; the best of the
    expected answers counts; in [0, 1] (Rajpurkar et al. 2016). Two texts without words are equal: 1.

    Applicable to rows with an expected answer that were answered.
    """

    name = "tokenF1"

    def compared(self, answer: str, expected: str) -> Score:
        said, wanted = squad_tokens(answer), squad_tokens(expected)
        if not said or not wanted:
            return scored(float(said == wanted))
        shared = sum((Counter(said) & Counter(wanted)).values())
        precision, recall = shared / len(said), shared / len(wanted)
        return scored(harmonic(precision, recall), precision=precision, recall=recall)
