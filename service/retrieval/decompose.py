"""Decompose: the parts of a question that asks for several things, each searched for."""

from collections.abc import Sequence

from pydantic import Field

from service.retrieval import prompts
from service.retrieval.asking import AskingOptions, AskingStage, lines
from service.retrieval.base import Call, Question, QuestionStage

MOST = 8


class DecomposeOptions(AskingOptions):
    """Options of the stage."""

    count: int = Field(4, ge=1, le=MOST, description="Parts at most")


class Decompose(AskingStage, QuestionStage):
    """Has a chat model split a question that asks for several things, and searches for it and for its parts."""

    name = "decompose"
    Options = DecomposeOptions
    options: DecomposeOptions

    def most(self, count: int) -> int:
        return count + self.options.count

    async def questions(self, asked: Sequence[Question], call: Call) -> list[Question]:
        ask = self.ask_of(call)
        instruction = prompts.DECOMPOSE.format(count=self.options.count)
        answer = await self.written(ask, prompts.question(instruction, asked[0].text), call)
        if answer is None:
            return list(asked)
        parts = lines(answer, self.options.count, [question.text for question in asked])
        if not parts:
            call.notes.fact("fallback", "the model found no parts")
        return [*asked, *(Question(text) for text in parts)]
