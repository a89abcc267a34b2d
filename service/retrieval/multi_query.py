"""Multi-query: the question in other words, all of them searched for."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from service.retrieval import prompts
from service.retrieval.asking import AskingOptions, AskingStage, Prompt, lines
from service.retrieval.base import Ask, Call, Message, Question, QuestionStage

MOST = 8


class MultiQueryOptions(AskingOptions):
    """Options of the stage."""

    count: int = Field(3, ge=1, le=MOST, description="Questions to add")
    fusion: Literal["best", "ranks"] = Field(
        "best",
        description="How lists become one: by the best score of a chunk, or by reciprocal ranks (its score stays)",
    )
    constant: float = Field(60, gt=0, le=10_000, description="Added to every rank by `ranks`")


class MultiQuery(AskingStage, QuestionStage):
    """Has a chat model put the question in other words, and searches for all of them."""

    name = "multiQuery"
    Options = MultiQueryOptions
    options: MultiQueryOptions

    def __init__(self, options: Any = None, ask: Ask | None = None, prompt: Prompt | None = None) -> None:
        """`prompt` takes the place of our own: it makes a text of a question."""
        super().__init__(options, ask)
        self._prompt = prompt

    def most(self, count: int) -> int:
        return count + self.options.count

    @property
    def rank_constant(self) -> float | None:
        return self.options.constant if self.options.fusion == "ranks" else None

    async def questions(self, asked: Sequence[Question], call: Call) -> list[Question]:
        ask = self.ask_of(call)
        answer = await self.written(ask, self._messages(asked[0].text), call)
        if answer is None:
            return list(asked)
        found = lines(answer, self.options.count, [question.text for question in asked])
        if not found:
            call.notes.fact("fallback", "the model wrote no other question")
        return [*asked, *(Question(text) for text in found)]

    def _messages(self, text: str) -> list[Message]:
        if self._prompt is not None:
            return [Message("user", self._prompt(text))]
        return prompts.question(prompts.MULTI_QUERY.format(count=self.options.count), text)
