"""Contextual compression: of what was found, only the sentences that help with the question.

A chat model is shown the sentences by number and names numbers, nothing else: what is handed on is always in the
documents' own words, whatever the model writes. Without a model the sentences nearest to the question stay.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from service.answers.units import Unit, units
from service.retrieval import prompts
from service.retrieval.asking import AskingOptions, AskingStage
from service.retrieval.base import Ask, Call, Found, HitStage

MOST_SENTENCES = 400
"""Sentences that are looked at; the chunks beyond, which are the lowest, stay whole."""
SHOWN = 12_000
"""Characters of sentences that a model is shown at once."""

_NUMBER = re.compile(r"(?<!\d)\d{1,4}(?!\d)")
_NUMBERS = re.compile(r"\D*+((?:[\d\s,;.&()\[\]-]|and\b)++)")
"""A list of numbers, whatever stands before it; nothing after it. It never turns back: answers may be of any length."""
_NONE = re.compile(r"\s*[\"'*]*none\b", re.IGNORECASE)


class CompressOptions(AskingOptions):
    """Options of the stage."""

    by: Literal["auto", "model", "similarity"] = Field(
        "auto", description="Who chooses: a chat model, or nearness to the question; auto: the model where there is one"
    )
    sentences: int = Field(3, ge=1, le=50, description="Sentences of a chunk that stay, chosen by nearness")
    min_similarity: float | None = Field(
        None, ge=-1, le=1, description="Least nearness of a sentence to the question, on the scale of scores"
    )


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A sentence and the place of its chunk among those found."""

    place: int
    unit: Unit


class Compress(AskingStage, HitStage):
    """Leaves of each chunk the sentences that help to answer, and leaves out chunks that have none."""

    name = "compress"
    Options = CompressOptions
    options: CompressOptions

    async def refine(self, found: Sequence[Found], limit: int, call: Call) -> list[Found]:
        ask = None if self.options.by == "similarity" else self.may_ask(call)
        if ask is None and self.options.by == "model":
            ask = self.ask_of(call)
        whole = list(found)
        sentences: list[_Sentence] = []
        for place, item in enumerate(found):
            more = [_Sentence(place, unit) for unit in units(item.text)]
            if len(sentences) + len(more) > MOST_SENTENCES:
                break
            sentences += more
        if not sentences:
            return whole
        call.notes.fact("by", "model" if ask else "similarity")
        chosen = await (self._by_model(ask, sentences, call) if ask else self._by_similarity(sentences, call))
        if chosen is None:
            return whole
        looked = {sentence.place for sentence in sentences}
        kept = []
        for place, item in enumerate(found):
            parts = [sentence.unit for sentence in chosen if sentence.place == place]
            if parts:
                kept.append(item.with_text(_joined(parts)))
            elif place in looked:
                call.notes.cut(item.number, "no sentence of it helps with the question")
            else:
                kept.append(item)
        return kept

    async def _by_model(self, ask: Ask, sentences: Sequence[_Sentence], call: Call) -> list[_Sentence] | None:
        """Those that the model names; None when it named none of them and did not say NONE, or failed."""
        chosen: list[_Sentence] = []
        for batch in _batches(sentences):
            numbered = [(number, _shown(item.unit)) for number, item in enumerate(batch, 1)]
            answer = await self.written(ask, prompts.sentences(numbered, call.query.text), call)
            if answer is None:
                return None
            listed = _NUMBERS.fullmatch(answer)
            named = {int(number) for number in _NUMBER.findall(listed[1] if listed else "")}
            if not named & set(range(1, len(batch) + 1)) and not _NONE.match(answer):
                call.notes.fact("fallback", "the model named no sentence")
                return None
            chosen += [item for number, item in enumerate(batch, 1) if number in named]
        return chosen

    async def _by_similarity(self, sentences: Sequence[_Sentence], call: Call) -> list[_Sentence]:
        """The nearest of each chunk, in their order in the text."""
        sources = call.sources
        with call.notes.timed("embedding"):
            question = _unit(np.asarray(await sources.embed(call.query.text), np.float32))
            texts = [_shown(item.unit) for item in sentences]
            given = await sources.texts(texts)
        cosines = np.array([_unit(np.asarray(vector, np.float32)) @ question for vector in given], np.float64)
        near = sources.nearness(cosines).tolist()
        least = -1.0 if self.options.min_similarity is None else self.options.min_similarity
        best = sorted((-value, number) for number, value in enumerate(near) if value >= least)
        counts: dict[int, int] = {}
        chosen: list[int] = []
        for _, number in best:
            place = sentences[number].place
            counts[place] = counts.get(place, 0) + 1
            if counts[place] <= self.options.sentences:
                chosen.append(number)
        return [sentences[number] for number in sorted(chosen)]


def _batches(sentences: Sequence[_Sentence]) -> list[list[_Sentence]]:
    """Runs of sentences that a model can be shown at once."""
    batches: list[list[_Sentence]] = [[]]
    size = 0
    for item in sentences:
        size += len(_shown(item.unit))
        if size > SHOWN and batches[-1]:
            batches.append([])
            size = len(_shown(item.unit))
        batches[-1].append(item)
    return batches


def _shown(unit: Unit) -> str:
    return f"{unit.lead} {unit.text}".strip()


def _joined(parts: Sequence[Unit]) -> str:
    """The sentences, a line each, below what stands above them in the text."""
    written: list[str] = []
    context = lead = ""
    for unit in parts:
        if unit.context != context and unit.context:
            written.append(unit.context)
        if unit.lead != lead and unit.lead:
            written.append(unit.lead)
        context, lead = unit.context, unit.lead
        written.append(unit.text)
    return "\n".join(written)


def _unit(vector: "np.ndarray[tuple[int], np.dtype[np.float32]]") -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else vector
