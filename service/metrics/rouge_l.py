"""ROUGE-L."""

from collections.abc import Sequence

from service.metrics.base import Score, scored
from service.metrics.wording import ComparingMetric, harmonic, rouge_tokens

MOST_TOKENS = 20_000
"""Words of a text that are compared; the cost grows with their product."""


class RougeL(ComparingMetric):
    """F1 of the longest common subsequence of words, as a share of the answer (precision) and of the expected answer
    (recall); the best of the expected answers counts; in [0, 1] (Lin 2004, with beta = 1). No stemming: it works in any
    language.

    Applicable to rows with an expected answer that were answered.
    """

    name = "rougeL"

    def compared(self, answer: str, expected: str) -> Score:
        said, wanted = rouge_tokens(answer)[:MOST_TOKENS], rouge_tokens(expected)[:MOST_TOKENS]
        if not said or not wanted:
            return scored(0.0, precision=0.0, recall=0.0)
        common = common_subsequence(said, wanted)
        precision, recall = common / len(said), common / len(wanted)
        return scored(harmonic(precision, recall), precision=precision, recall=recall)


def common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    """The length of the longest common subsequence, by a row of bits that stands for a whole row of the table (Hyyrö
    2004, "Bit-parallel LCS-length computation revisited")."""
    places: dict[str, int] = {}
    for index, token in enumerate(one):
        places[token] = places.get(token, 0) | 1 << index
    full = (1 << len(one)) - 1
    row = full
    for token in other:
        hits = row & places.get(token, 0)
        row = ((row + hits) | (row - hits)) & full
    return len(one) - row.bit_count()
