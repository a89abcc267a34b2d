"""Whether the answer is one to the question."""

from typing import Any

from pydantic import Field

from service.metrics import prompts
from service.metrics.base import Case, Lent, Metric, MetricOptions, Score, not_applicable, scored
from service.metrics.judging import field, judged, texts, truth
from service.metrics.wording import without_markers


class RelevanceOptions(MetricOptions):
    """How much the judge writes."""

    questions: int = Field(3, ge=1, le=10, description="Questions that the judge writes")


class AnswerRelevance(Metric):
    """The mean cosine between the question and the questions that a judge thinks the answer is one to; 0 for an answer
    that is evasive; in [-1, 1], in practice above 0 (Ragas: Es et al. 2023). What is true does not matter here.

    Applicable to rows that were answered with some text.
    """

    name = "answerRelevance"
    low = -1.0
    needs_model = True
    needs_embedder = True
    Options = RelevanceOptions
    options: RelevanceOptions

    async def _score(self, case: Case, lent: Lent) -> Score:
        if case.answer is None:
            return not_applicable("nothing was asked for but passages")
        answer = without_markers(case.answer).strip()
        if not answer or not case.question.strip():
            return not_applicable("question or answer is empty")
        written, evasive = await judged(lent, prompts.questions(answer, self.options.questions), self._read)
        if evasive:
            return scored(0.0, questions=written, evasive=True)
        vectors = await lent.vectors([case.question, *written])
        cosines = vectors[1:] @ vectors[0]
        return scored(min(max(float(cosines.mean()), -1.0), 1.0), questions=written, evasive=False)

    def _read(self, value: Any) -> tuple[list[str], bool]:
        evasive = truth(field(value, "evasive"))
        written = texts(value, "questions", self.options.questions)
        if not written and not evasive:
            raise ValueError("there are no questions")
        return written, evasive
