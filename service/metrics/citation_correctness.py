"""Whether the sources that an answer cites support what it says."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from pydantic import Field

from service.metrics.abstaining import abstains
from service.metrics.base import Case, Lent, Metric, MetricOptions, Passage, Score, not_applicable, scored
from service.metrics.citing import Sentence, coverage, holds_figures, pieces, sentences

MOST_SHOWN = 20
"""Sentences without support that the details name."""
MOST_EMBEDDED = 40
"""Sentences of the cited sources that one sentence is held against in meaning."""


class Uncited(StrEnum):
    """What a sentence without a source number is."""

    WRONG = "wrong"
    IGNORED = "ignored"


class CitationOptions(MetricOptions):
    """What counts as support."""

    coverage: float = Field(0.6, ge=0, le=1, description="Share of a sentence's words that its sources must hold")
    similarity: float = Field(0.75, ge=-1, le=1, description="Or the cosine with a sentence of them, with an embedder")
    uncited: Uncited = Field(Uncited.WRONG, description="Whether sentences without a source number count as wrong")


class CitationCorrectness(Metric):
    """Sentences that their sources support / sentences that count, in [0, 1]: the citation recall of ALCE (Gao et al.
    2023), with words in place of its entailment model.

    A sentence is supported when every [n] of it names a source that was given, every figure of it stands in those
    sources, and they either hold the share `coverage` of its other words (beginnings count, small words do not) or,
    where an embedder is lent, one of their sentences has a cosine of at least `similarity` with it. All sentences
    count, or with `uncited: ignored` those with a number. Words can agree where meanings do not ("is", "is not"):
    this finds citations of the wrong chunk and wrong figures, `faithfulness` finds the rest. Of 60 sentences of
    CLAPnq's gold answers all are supported by their own passage and none by another drawn at random, at 0.6 as at 0.8;
    near passages and free paraphrases were not measured.

    Applicable to answers that do not abstain, of flows that say what they retrieved.
    """

    name = "citationCorrectness"
    Options = CitationOptions
    options: CitationOptions

    async def _score(self, case: Case, lent: Lent) -> Score:
        if case.answer is None:
            return not_applicable("nothing was asked for but passages")
        if case.found is None:
            return not_applicable("the flow does not say what it retrieved")
        if abstains(case.answer):
            return not_applicable("the answer abstains")
        every = sentences(case.answer)
        counted = [one for one in every if one.cites] if self.options.uncited is Uncited.IGNORED else every
        if not counted:
            return not_applicable("the answer cites nothing" if every else "the answer holds no sentence")
        sources = _numbered(case.found)
        problems = {}
        for sentence in counted:
            if problem := await self._problem(sentence, sources, lent):
                problems[sentence.text[:300]] = problem
        wrong = sum(sentence.text[:300] in problems for sentence in counted)
        return scored(
            1 - wrong / len(counted),
            sentences=len(counted),
            uncited=sum(not sentence.cites for sentence in every),
            wrong=[{"sentence": text, "problem": told} for text, told in list(problems.items())[:MOST_SHOWN]],
        )

    async def _problem(self, sentence: Sentence, sources: Mapping[int, str], lent: Lent) -> str:
        """Why a sentence is not supported; empty: it is."""
        if not sentence.cites:
            return "it cites nothing"
        if unknown := [number for number in sentence.cites if number not in sources]:
            return f"there is no source {', '.join(map(str, unknown))}"
        cited = "\n\n".join(sources[number] for number in sentence.cites)
        if not holds_figures(sentence.text, cited):
            return "a figure of it does not stand in its sources"
        share = coverage(sentence.text, cited)
        if share >= self.options.coverage:
            return ""
        if lent.embed is None:
            return f"its sources hold {share:.0%} of its words"
        nearest = await self._nearest(sentence.text, [sources[number] for number in sentence.cites], lent)
        if nearest >= self.options.similarity:
            return ""
        return f"its sources hold {share:.0%} of its words, and their nearest sentence has a cosine of {nearest:.2f}"

    async def _nearest(self, sentence: str, cited: Sequence[str], lent: Lent) -> float:
        held = sorted(
            {piece for source in cited for piece in pieces(source)}, key=lambda piece: -coverage(sentence, piece)
        )
        vectors = await lent.vectors([sentence, *held[:MOST_EMBEDDED]])
        return float((vectors[1:] @ vectors[0]).max())


def _numbered(found: Sequence[Passage]) -> dict[int, str]:
    """The sources by the numbers that answers cite them by, with their names: answers quote titles too."""
    return {
        place if passage.number is None else passage.number: "\n".join([*passage.sources, passage.text])
        for place, passage in enumerate(found, 1)
    }
