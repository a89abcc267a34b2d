"""The extractive answerer: the sentences of the passages that answer a question, each with its source number.

A unit (sentence, list item, table row) scores

    cosine(question, heading + unit) + 0.5 * coverage(question, heading + unit) - 0.05 * rank of its passage
    - 0.15 for running text that is no whole sentence

where coverage is the share of the question's words, weighted by rarity, that the unit, its heading or what introduces
it holds. The best one is quoted, and up to two more that score nearly as well or, with less, meet further words of the
question; more readily where the best one scores low. They stand in reading order. Nothing is answered when even the
best evidence stays below `THRESHOLD`: the largest cosine plus half the largest coverage, less
`UNKNOWN_COST` times the share of the question's names and figures that no passage holds.

The weights and the threshold were first chosen on one half of SQuAD's questions (English and German). The figures below
are of 216 questions of each set, four passages each (cosine and BM25 fused), with all-MiniLM-L6-v2. Later rules were
judged on these same questions and on the handbook, so all figures are in-sample. Quoting fewer sentences has its price:
the gold answer stood in .94 (en) of the answers when they had 2.4 sentences.
Answered: the share of answerable questions that are not refused. Refused: the share of the same questions with their
passage removed, of CLAPnq's questions whose passage does not answer (near), of questions to another set (off).

| threshold | answered: SQuAD en, de, CLAPnq | refused: removed en, de, CLAPnq; near; off |
|---|---|---|
| 0.55 | .97 .92 .99 | .51 .52 .83 .13 1.0 |
| 0.60 | .95 .83 .99 | .60 .62 .88 .21 1.0 |
| 0.65 | .94 .75 .98 | .66 .72 .91 .28 1.0 |
| 0.70 | .91 .70 .94 | .74 .76 .96 .38 1.0 |
| 0.75 | .86 .62 .89 | .81 .82 .97 .48 1.0 |

With no threshold, SQuAD's gold answer stands in .91 (en) and .82 (de) of the answers, of 1.9 and 2.2 sentences.
Questions about a subject that is there, but without their answer, are the weak spot: most of them are answered.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.answers.units import Unit, inert, units
from service.answers.words import Idf, Question, is_german, met, names

Embed = Callable[[Sequence[str]], Awaitable[NDArray[np.float32]]]
"""Unit vectors of texts by the bundled model, whatever model the document store uses: the figures hold for it."""

THRESHOLD = 0.65
COVERAGE_WEIGHT = 0.5
RANK_COST = 0.05
CANDIDATES = 8
"""Units that are embedded, chosen by their words: what an answer costs."""
MOST_SENTENCES = 3
KEPT = 0.6
"""A further sentence scores at least this share of the best one."""
SURE = 0.8
"""The score from which on the best sentence is trusted to hold the answer."""
NEAR = 0.78
"""The same for a sentence that meets no further words of the question, where the best one is trusted."""
ADDS = 0.13
"""The share of the question's weight from which on a sentence meets further words of it."""
UNKNOWN_COST = 0.2
"""What the evidence loses when no passage holds a name or a figure of the question."""
KEPT_ROW = 0.85
"""The same for a further row: the rows of a table are much alike."""
FRAGMENT_COST = 0.15
"""What running text without a sentence end loses: page footers, cut-off sentences."""
EMBEDDED = 300
"""Characters of a unit that are embedded; what an answer costs grows with them."""
SAME = 0.93
"""Units with a cosine above this say the same."""

REFUSAL = "The knowledge base does not contain an answer to this question."
REFUSAL_GERMAN = "Die Wissensbasis enthält keine Antwort auf diese Frage."


@dataclass(frozen=True, slots=True)
class Passage:
    """A retrieved chunk, best first in its sequence. `number` is the source number that the answer shows."""

    text: str
    number: int
    context: str = ""
    """What stands above the chunk: its heading, or the document's title."""


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence of the answer: its place in `passages[passage].text`, and the piece of the answer it became."""

    passage: int
    start: int
    end: int
    text: str
    """As shown: without Markdown's marks, table rows as `Header: value, …`, list items after what introduces them, and
    inert: no document puts an image or a hidden link into an answer."""
    piece: str
    """`text` with its source number and what joins it to the piece before; all pieces together are the answer."""


@dataclass(frozen=True, slots=True)
class ExtractiveAnswer:
    """An answer, or a refusal when `found` is False. `used` are the source numbers, in order of appearance."""

    text: str
    used: tuple[int, ...]
    found: bool
    quotes: tuple[Quote, ...]
    evidence: float
    """What was compared with the threshold; 0 when there was nothing to read."""

    @property
    def pieces(self) -> tuple[str, ...]:
        """The answer in the pieces that a stream sends; joined they are `text`."""
        return tuple(quote.piece for quote in self.quotes) or (self.text,)


@dataclass(frozen=True, slots=True)
class _Candidate:
    passage: int
    unit: Unit
    coverage: float
    met: frozenset[str]

    @property
    def text(self) -> str:
        """What is embedded: the unit below its heading, or after what introduces it."""
        above = self.unit.lead.rstrip(":") or self.unit.context
        text = f"{above[:100]}: {self.unit.text}" if above else self.unit.text
        return text[:EMBEDDED]

    @property
    def cost(self) -> float:
        """What the unit loses for standing late in the sequence and for being a fragment."""
        return RANK_COST * self.passage + FRAGMENT_COST * self.unit.is_fragment


async def answer(
    question: str,
    passages: Sequence[Passage],
    embed: Embed,
    *,
    idf: Idf | None = None,
    threshold: float = THRESHOLD,
) -> ExtractiveAnswer:
    """Answer from `passages` (best first), or refuse in the language of the question (English, German).

    `embed` is called once, with the question and at most `CANDIDATES` units. `idf` weighs the question's words by
    their rarity in the document store; without it the weights are estimated from the passages.
    """
    asked = Question(question, [passage.text for passage in passages], idf)
    candidates = _candidates(asked, passages)
    if not candidates or not question.strip():
        return _refusal(question, 0.0)
    vectors = await embed([question, *(candidate.text for candidate in candidates)])
    cosines = vectors[1:] @ vectors[0]
    coverages = np.array([candidate.coverage for candidate in candidates])
    evidence = float(cosines.max() + COVERAGE_WEIGHT * coverages.max()) - _unknown(question, passages)
    if evidence < threshold:
        return _refusal(question, evidence)
    costs = np.array([candidate.cost for candidate in candidates])
    scores = cosines + COVERAGE_WEIGHT * coverages - costs
    chosen = _chosen(candidates, scores, vectors[1:], asked)
    quotes = _composed([candidates[index] for index in sorted(chosen)], passages)
    return ExtractiveAnswer(
        text="".join(quote.piece for quote in quotes),
        used=tuple(dict.fromkeys(passages[quote.passage].number for quote in quotes)),
        found=True,
        quotes=quotes,
        evidence=evidence,
    )


def _candidates(asked: Question, passages: Sequence[Passage]) -> list[_Candidate]:
    found: list[_Candidate] = []
    seen: set[str] = set()
    for number, passage in enumerate(passages):
        for unit in units(passage.text, passage.context):
            if unit.text not in seen:  # overlapping chunks repeat sentences
                seen.add(unit.text)
                told = asked.met(f"{passage.context} {unit.context} {unit.lead} {unit.text}")
                found.append(_Candidate(number, unit, asked.share(told), told))
    best = sorted(range(len(found)), key=lambda index: found[index].passage * 0.1 - found[index].coverage)
    return [found[index] for index in sorted(best[:CANDIDATES])]


def _chosen(
    candidates: Sequence[_Candidate], scores: NDArray[np.float32], vectors: NDArray[np.float32], asked: Question
) -> list[int]:
    order = np.argsort(-scores, kind="stable").tolist()
    near = NEAR if scores[order[0]] >= SURE else KEPT
    chosen: list[int] = []
    told: frozenset[str] = frozenset()
    for index in order:
        if len(chosen) == MOST_SENTENCES or scores[index] < KEPT * scores[order[0]]:
            break
        candidate = candidates[index]
        adds = asked.share(candidate.met - told) >= ADDS
        if chosen and not adds and scores[index] < (KEPT_ROW if candidate.unit.is_row else near) * scores[order[0]]:
            continue
        if all(vectors[index] @ vectors[other] < _same(candidate, candidates[other]) for other in chosen):
            chosen.append(index)
            told |= candidate.met
    return chosen


def _unknown(question: str, passages: Sequence[Passage]) -> float:
    """What the evidence loses for names and figures of the question that no passage holds."""
    every = set(names(question))
    text = " ".join(f"{passage.context} {passage.text}" for passage in passages)
    return UNKNOWN_COST * (1 - len(met(every, text)) / len(every)) if every else 0.0


def _same(one: _Candidate, other: _Candidate) -> float:
    # Rows of one table differ in a cell or two and are near each other without saying the same.
    return 2.0 if one.unit.is_row and other.unit.is_row else SAME


def _composed(chosen: Sequence[_Candidate], passages: Sequence[Passage]) -> tuple[Quote, ...]:
    quotes: list[Quote] = []
    after_line = False
    lead = ""
    for candidate in chosen:
        unit = candidate.unit
        needed = bool(unit.lead) and unit.lead != lead and not any(quote.text == unit.lead for quote in quotes)
        text = inert(f"{unit.lead} {unit.text}" if needed else unit.text)
        stands_alone = unit.is_row or (bool(unit.lead) and not needed)
        joint = "" if not quotes else "\n" if after_line or stands_alone else " "
        piece = f"{joint}{text} [{passages[candidate.passage].number}]"
        quotes.append(Quote(candidate.passage, unit.start, unit.end, text, piece))
        after_line, lead = unit.is_row or bool(unit.lead), unit.lead
    return tuple(quotes)


def _refusal(question: str, evidence: float) -> ExtractiveAnswer:
    text = REFUSAL_GERMAN if is_german(question) else REFUSAL
    return ExtractiveAnswer(text=text, used=(), found=False, quotes=(), evidence=evidence)
