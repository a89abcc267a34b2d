"""Whether the answer says that it does not know exactly when it should."""

from pydantic import Field

from service.metrics.abstaining import abstains
from service.metrics.base import Case, MetricOptions, PlainMetric, Score, not_applicable, scored


class AbstentionOptions(MetricOptions):
    """By which words an answer is known to abstain."""

    phrases: tuple[str, ...] = Field((), max_length=1000, description="Phrases besides the known ones")
    known: bool = Field(True, description="Whether common phrases count, in English and German, besides the service's")


class Abstention(PlainMetric):
    """1 when the answer abstains and should, or does not and should not; else 0. Its mean is the accuracy of the
    decision to answer (as SQuAD 2.0's HasAns/NoAns decision, Rajpurkar et al. 2018).

    It should when the row says that the knowledge base has no answer, or expects an answer that abstains itself. It
    should not when the row says that there is an answer, or expects another one. How an answer is known to abstain:
    `service/metrics/abstaining.py`; `details` tell both sides, so that false refusals and made-up answers can be
    counted apart.

    Applicable to rows that were answered and tell whether there is an answer.
    """

    name = "abstention"
    Options = AbstentionOptions
    options: AbstentionOptions

    def of(self, case: Case) -> Score:
        if case.answer is None:
            return not_applicable("nothing was asked for but passages")
        should = self._should(case)
        if should is None:
            return not_applicable("the row does not say whether there is an answer")
        does = self._abstains(case.answer)
        return scored(float(does is should), abstained=does, should=should)

    def _should(self, case: Case) -> bool | None:
        if case.answerable is not None:
            return not case.answerable
        expected = [text for text in case.expected if text.strip()]
        return all(map(self._abstains, expected)) if expected else None

    def _abstains(self, answer: str) -> bool:
        return abstains(answer, self.options.phrases, known=self.options.known)
