"""Rewrite: a follow-up question as one that can be understood, and searched for, without the conversation."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from pydantic import Field

from service.chatflows.types import Role
from service.retrieval import prompts
from service.retrieval.asking import AskingOptions, AskingStage, lines
from service.retrieval.base import Call, Question, QuestionStage

LONGEST_TURN = 500
"""Characters of an earlier turn that are put before the question: embedders read some hundred words, and of a longer
turn they would read nothing else."""


class RewriteOptions(AskingOptions):
    """Options of the stage."""

    by: Literal["auto", "model", "turn"] = Field(
        "auto",
        description="model: a chat model rewrites; turn: the user's last turn is put before the question; auto: the"
        " model where there is one",
    )
    turns: int = Field(6, ge=1, le=50, description="Turns of the conversation that the model is shown")


class Rewrite(AskingStage, QuestionStage):
    """Makes a follow-up question understandable without the conversation before it.

    Without a model the last thing that the user said is put before the question: measured on conversations, one
    earlier turn helps, and more of them harm. A question without a conversation stays as it is.
    """

    name = "rewrite"
    Options = RewriteOptions
    options: RewriteOptions

    async def questions(self, asked: Sequence[Question], call: Call) -> list[Question]:
        history = call.query.history
        if not history:
            return list(asked)
        first, *others = asked
        ask = None if self.options.by == "turn" else self.may_ask(call)
        if ask is None and self.options.by == "model":
            ask = self.ask_of(call)
        if ask is None:
            before = [turn.text[:LONGEST_TURN] for turn in history if turn.role is Role.USER][-1:]
            call.notes.fact("by", "turn")
            return [replace(first, text="\n".join([*before, first.text])), *others]
        call.notes.fact("by", "model")
        shown = history[-self.options.turns :]
        answer = await self.written(ask, prompts.follow_up(shown, first.text), call)
        if answer is None:
            return list(asked)
        found = lines(answer, 2, ())
        if len(found) != 1:
            call.notes.fact("fallback", "the model wrote no single question")
            return list(asked)
        return [replace(first, text=found[0]), *others]
