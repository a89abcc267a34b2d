"""HyDE: a passage as an answer might be worded, searched for beside the question.

Gao, Ma, Lin & Callan, "Precise Zero-Shot Dense Retrieval without Relevance Labels" (ACL 2023): the vector that is
searched by is the mean of the question's and of the passages'. The keyword half searches for the question's own words.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import Field

from service.retrieval import prompts
from service.retrieval.asking import AskingOptions, AskingStage, Prompt
from service.retrieval.base import Ask, Call, Message, Question, QuestionStage

LONGEST = 2_000
"""Characters of a passage; embedders read no more."""


class HydeOptions(AskingOptions):
    """Options of the stage."""

    kind: str = Field(
        "a document", min_length=1, max_length=100, description="Where the passage might stand: `a scientific paper`"
    )
    passages: int = Field(1, ge=1, le=4, description="Passages for each question")


class Hyde(AskingStage, QuestionStage):
    """Has a chat model write how an answer might be worded, and searches for what lies near to it too."""

    name = "hyde"
    Options = HydeOptions
    options: HydeOptions

    def __init__(self, options: Any = None, ask: Ask | None = None, prompt: Prompt | None = None) -> None:
        """`prompt` takes the place of our own: it makes a text of a question."""
        super().__init__(options, ask)
        self._prompt = prompt

    async def questions(self, asked: Sequence[Question], call: Call) -> list[Question]:
        ask = self.ask_of(call)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    [group.create_task(self._passage(ask, question.text, call)) for _ in range(self.options.passages)]
                    for question in asked
                ]
        except ExceptionGroup as problems:
            # Callers handle the error itself; the other calls were cancelled.
            raise problems.exceptions[0] from problems
        found = [tuple(text for task in each if (text := task.result())) for each in tasks]
        if not any(found):
            call.notes.fact("fallback", "the model wrote no passage")
        else:
            call.notes.fact("passages", [text for each in found for text in each])
        return [
            replace(question, passages=question.passages + passages)
            for question, passages in zip(asked, found, strict=True)
        ]

    async def _passage(self, ask: Ask, text: str, call: Call) -> str:
        answer = await self.written(ask, self._messages(text), call)
        passage = (answer or "").strip()[:LONGEST]
        return passage if any(sign.isalnum() for sign in passage) else ""

    def _messages(self, text: str) -> list[Message]:
        if self._prompt is not None:
            return [Message("user", self._prompt(text))]
        return prompts.question(prompts.HYDE.format(kind=self.options.kind), text)
