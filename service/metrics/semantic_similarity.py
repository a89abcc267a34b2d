"""How near the answer is to the expected one in meaning."""

from pydantic import Field

from service.metrics.base import Case, Lent, Metric, MetricOptions, Score, not_applicable, scored
from service.metrics.wording import without_markers


class SimilarityOptions(MetricOptions):
    """From where on it counts."""

    threshold: float | None = Field(None, ge=-1, le=1, description="1 from this cosine on, else 0; none: the cosine")


class SemanticSimilarity(Metric):
    """The cosine of the vectors of answer and expected answer by the embedder of the run, the best of the expected
    answers; in [-1, 1] (Risch et al. 2021 and Ragas compare answers so). With `threshold`: 1 or 0. Texts longer than
    the embedder reads (256 tokens, the bundled one) are compared by their beginnings. An empty answer is unlike
    everything: 0.

    Applicable to rows with an expected answer that were answered.
    """

    name = "semanticSimilarity"
    low = -1.0
    needs_embedder = True
    Options = SimilarityOptions
    options: SimilarityOptions

    async def _score(self, case: Case, lent: Lent) -> Score:
        if case.answer is None:
            return not_applicable("nothing was asked for but passages")
        expected = [text for text in case.expected if text.strip()]
        if not expected:
            return not_applicable("the row has no expected answer")
        answer = without_markers(case.answer).strip()
        cosine = 0.0
        if answer:
            vectors = await lent.vectors([answer, *expected])
            cosine = min(max(float((vectors[1:] @ vectors[0]).max()), -1.0), 1.0)
        if self.options.threshold is None:
            return scored(cosine)
        return scored(float(cosine >= self.options.threshold), cosine=cosine)
