"""Stages that ask a chat model: how it is asked, what becomes of its failures, and how its answers are read.

A model that fails fails the query, unless the stage is `optional`; a model that answers something else than it was
asked for costs nothing but itself: the stage goes on with what it had, and the trace says so.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pydantic import Field

from service.providers.errors import ProviderError
from service.retrieval.base import Ask, Call, Message, Stage, StageOptions

LONGEST_QUESTION = 500
"""Characters of a question that a model may write; a longer line is something else."""

Prompt = Callable[[str], str]
"""What a model is sent, of a question: for prompts of a flow's own."""

_MARK = re.compile(r"^\s*(?:[-*•–]|\(?\d{1,2}[.):]|[Qq]\d{1,2}[.:])(?!\d)\s*")
_TAG = re.compile(r"^</?\w+>$")
_QUOTES = "\"'“”„«»`*_ \t"


class AskingOptions(StageOptions):
    """What every stage with a model can be told."""

    optional: bool = Field(False, description="Go on without the model when it fails; else the query fails")


class AskingStage(Stage):
    """A stage that asks a chat model: one that it was given, else the service's."""

    Options = AskingOptions
    options: AskingOptions

    def __init__(self, options: Any = None, ask: Ask | None = None) -> None:
        """`options` are this class's `Options`; `ask` has a model of its own write."""
        super().__init__(options)
        self._ask = ask

    def ask_of(self, call: Call) -> Ask:
        return self._ask or super().ask_of(call)

    def may_ask(self, call: Call) -> Ask | None:
        """The chat model, for stages that can do without; None where there is none."""
        models = call.sources.models
        return self._ask or (models.ask if models is not None else None)

    async def written(self, ask: Ask, messages: Sequence[Message], call: Call) -> str | None:
        """What the model answers; None when it failed and the stage is optional. Raises `ProviderError`."""
        try:
            with call.notes.timed("model"):
                return await ask(messages)
        except ProviderError as error:
            skip(error, call, optional=self.options.optional)
            return None


def skip(error: ProviderError, call: Call, *, optional: bool) -> None:
    """Say in the trace that a model failed. Raises its error unless the stage is optional."""
    if not optional:
        raise error
    call.notes.fact("failed", error.message)


def lines(answer: str, most: int, known: Iterable[str]) -> list[str]:
    """The questions that a model wrote, one on each line, at most so many; without list marks and quotes.

    Left out are repetitions, also of those `known`, headings (`Here they are:`) and lines too long for a question.
    """
    seen = {_plain(text) for text in known}
    found: list[str] = []
    for line in answer.splitlines():
        text = _MARK.sub("", line).strip(_QUOTES)
        plain = _plain(text)
        if not plain or plain in seen or len(text) > LONGEST_QUESTION or _TAG.match(text) or text.endswith((":", "：")):
            continue
        seen.add(plain)
        found.append(text)
        if len(found) == most:
            break
    return found


def _plain(text: str) -> str:
    """The letters and digits of a text, for telling whether two say the same."""
    return "".join(sign for sign in text.casefold() if sign.isalnum())
