"""The loop of models that call tools by themselves: ask, make the calls, ask again, until the model only speaks."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, ToolMessage

from service.agents.base import STOPPED, Call, Ended, Job, Waiting
from service.agents.calls import Desk, Result
from service.agents.speech import Model, calls_of, said_with, speak
from service.agents.talks import Talk, begun, waited
from service.chatflows.run import Run
from service.chatflows.types import Decision, StepEvent, Token, ToolCalls, Usage


async def use_tools(job: Job, run: Run) -> AsyncGenerator[StepEvent | Ended, None]:
    """Does a job with a model that can call tools (`can_call`).

    Says `Token`s, `Thinking`, `Usage` and `ToolCalls` as they come, then `Sources`, `ToolsUsed` and `Artifacts` where
    there are any, and last `Ended`. A model that writes something before it calls tools has said that: it is part of
    the answer. Tools read `run`; what they answer is marked as data for the model (service/untrusted.py).

    Raises `ProviderError` of the model, any `ServiceError` of a tool. Closing or cancelling it stops every call.
    """
    talk = begun(job, run)
    model = bound(job, talk.desk)
    exhausted, waits = False, None
    direct = await _answered(job, talk)
    while direct is None:
        if talk.rounds >= job.limits.rounds:
            exhausted = True
            direct = STOPPED.format(rounds=talk.rounds)
            break
        calls: list[Call] = []
        async with aclosing(_round(talk, model, run, model_name(job.chat), calls)) as events:
            async for event in events:
                yield event
        if not calls:
            break
        yield ToolCalls(tuple((call.name, call.input) for call in calls))
        if talk.desk.asks_first(calls):
            waits = talk.waiting(calls)
            break
        direct = _told(talk, await talk.desk.use(calls))
    for last in closing(talk, direct, exhausted=exhausted, waits=waits):
        yield last


def closing(
    talk: Talk, direct: str | None, *, exhausted: bool = False, waits: Waiting | None = None
) -> list[StepEvent | Ended]:
    """The end of a job: an answer that is no model's, what tools brought, and what became of it all."""
    events: list[StepEvent | Ended] = []
    if direct is not None:
        talk.messages.append(AIMessage(direct))
        events += talk.say(direct)
    return [*events, *talk.outcome(), talk.ended(exhausted=exhausted, waits=waits)]


async def _round(talk: Talk, model: Model, run: Run, name: str, calls: list[Call]) -> AsyncGenerator[StepEvent, None]:
    """One call of the model. Its message is added to the talk, the tools it calls to `calls`."""
    talk.rounds += 1
    talk.last = []
    pieces = speak(model, talk.messages, whole=run.whole, name=name)
    async with aclosing(pieces):
        async for piece in pieces:
            if isinstance(piece, AIMessage):
                calls += calls_of(piece)
                talk.messages.append(said_with(piece, calls))
            elif isinstance(piece, Token):
                for token in talk.say(piece.text):
                    yield token
            else:
                if isinstance(piece, Usage):
                    talk.usage.append(piece)
                yield piece


async def _answered(job: Job, talk: Talk) -> str | None:
    """Goes on with what a person said to the calls that waited, if any; the answer, when a tool gives it."""
    if job.resumed is None:
        return None
    return _told(talk, await decided(job, talk))


async def decided(job: Job, talk: Talk) -> list[Result]:
    """What became of the calls that waited, by a person's decision."""
    assert job.resumed is not None
    if job.resumed.decision is Decision.PROCEED:
        return await talk.desk.use(waited(job))
    return talk.desk.refused(waited(job), job.resumed.feedback)


def _told(talk: Talk, results: Sequence[Result]) -> str | None:
    """Tells the model what came of its calls; the answer, when a tool gives it."""
    talk.messages += messages_of(results)
    talk.last = []
    return next((result.direct for result in results if result.direct is not None), None)


def messages_of(results: Sequence[Result]) -> list[ToolMessage]:
    """What came of calls, as models that call tools are told it."""
    return [
        ToolMessage(
            result.text,
            tool_call_id=result.call.id,
            name=result.call.name or None,
            status="error" if result.failed else "success",
        )
        for result in results
    ]


def bound(job: Job, desk: Desk) -> Model:
    """The model with the tools; without any it is the model as it is."""
    if not desk.tools:
        return job.chat
    functions = [
        {"name": tool.name, "description": tool.description, "parameters": dict(tool.schema)}
        for tool in desk.tools.values()
    ]
    if "strict" in job.binding:
        return job.chat.bind_tools(functions, **job.binding)  # vendors' libraries make them strict
    return job.chat.bind_tools([{"type": "function", "function": item} for item in functions], **job.binding)


def can_call(chat: Any) -> bool:
    """Whether a model can call tools by itself."""
    return type(chat).bind_tools is not BaseChatModel.bind_tools


def model_name(chat: Any) -> str:
    """What a model is called, where its answers do not say it."""
    return str(getattr(chat, "model_name", "") or getattr(chat, "model", ""))
