"""The loop of models that call tools by themselves: ask, make the calls, ask again, until the model only speaks."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    SystemMessage,
    ToolMessage,
    messages_from_dict,
    messages_to_dict,
)

from service.agents.base import STOPPED, Call, Ended, Job, Waiting
from service.agents.calls import Desk, Result
from service.agents.speech import Model, calls_of, said_with, speak
from service.chatflows.run import Run
from service.chatflows.types import (
    Artifacts,
    Decision,
    Passage,
    Sources,
    StepEvent,
    Token,
    ToolCalls,
    ToolsUsed,
    ToolUse,
    Usage,
)
from service.untrusted import Fence

BREAK = "\n\n"
"""Between what a model says before it calls tools, and what it says after that."""


@dataclass(slots=True)
class _Talk:
    """What was said in a job so far."""

    messages: list[BaseMessage]
    before: int
    """So many of the messages are the job's own."""
    rounds: int = 0
    texts: list[str] = field(default_factory=list)
    last: list[str] = field(default_factory=list)
    usage: list[Usage] = field(default_factory=list)

    def say(self, text: str) -> list[Token]:
        """The tokens that say the text: what follows tools stands apart from what was said before them."""
        apart = [BREAK] if self.texts and not self.last else []
        self.texts += [*apart, text]
        self.last.append(text)
        return [Token(piece) for piece in (*apart, text)]


async def use_tools(job: Job, run: Run) -> AsyncGenerator[StepEvent | Ended, None]:
    """Does a job with a model that can call tools (`can_call`).

    Says `Token`s, `Thinking`, `Usage` and `ToolCalls` as they come, then `Sources`, `ToolsUsed` and `Artifacts` where
    there are any, and last `Ended`. A model that writes something before it calls tools has said that: it is part of
    the answer. Tools read `run`; what they answer is marked as data for the model (service/untrusted.py).

    Raises `ProviderError` of the model, any `ServiceError` of a tool. Closing or cancelling it stops every call.
    """
    fence = Fence() if job.resumed is None else Fence(str(job.resumed.state["fence"]))
    desk = Desk(job.tools, run, job.limits, fence)
    talk = _begun(job, desk)
    model = bound(job, desk)
    name = str(getattr(job.chat, "model_name", ""))
    exhausted, waits, direct = False, None, None
    if job.resumed is not None:
        direct = await _answered(job, talk, desk)
    while direct is None:
        if talk.rounds >= job.limits.rounds:
            exhausted = True
            direct = STOPPED.format(rounds=talk.rounds)
            break
        calls: list[Call] = []
        async with aclosing(_round(talk, model, run, name, calls)) as events:
            async for event in events:
                yield event
        if not calls:
            break
        yield ToolCalls(tuple((call.name, call.input) for call in calls))
        if desk.asks_first(calls):
            waits = Waiting(tuple(calls), _state(talk, desk, calls, fence))
            break
        direct = _told(talk, await desk.use(calls))
    if direct is not None:
        talk.messages.append(AIMessage(direct))
        for token in talk.say(direct):
            yield token
    for event in outcome_events(desk):
        yield event
    yield _ended(talk, desk, exhausted=exhausted, waits=waits)


async def _round(talk: _Talk, model: Model, run: Run, name: str, calls: list[Call]) -> AsyncGenerator[StepEvent, None]:
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


async def _answered(job: Job, talk: _Talk, desk: Desk) -> str | None:
    """Goes on with what a person said to the calls that waited."""
    assert job.resumed is not None
    calls = [Call(**call) for call in job.resumed.state["calls"]]
    if job.resumed.decision is Decision.PROCEED:
        return _told(talk, await desk.use(calls))
    return _told(talk, desk.refused(calls, job.resumed.feedback))


def _told(talk: _Talk, results: Sequence[Result]) -> str | None:
    """Tells the model what came of its calls; the answer, when a tool gives it."""
    for result in results:
        told = ToolMessage(
            result.text,
            tool_call_id=result.call.id,
            name=result.call.name or None,
            status="error" if result.failed else "success",
        )
        talk.messages.append(told)
    talk.last = []
    return next((result.direct for result in results if result.direct is not None), None)


def bound(job: Job, desk: Desk) -> Model:
    """The model with the tools; without any it is the model as it is."""
    if not desk.tools:
        return job.chat
    offered = [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.schema)},
        }
        for tool in desk.tools.values()
    ]
    return job.chat.bind_tools(offered, **job.binding)


def can_call(chat: Any) -> bool:
    """Whether a model can call tools by itself."""
    from langchain_core.language_models import BaseChatModel

    return type(chat).bind_tools is not BaseChatModel.bind_tools


def outcome_events(desk: Desk) -> list[StepEvent]:
    """What tools brought besides what the model made of it."""
    events: list[StepEvent] = []
    if desk.sources:
        events.append(Sources(tuple(desk.sources)))
    if desk.uses:
        events.append(ToolsUsed(tuple(desk.uses)))
    if desk.artifacts:
        events.append(Artifacts(tuple(desk.artifacts)))
    return events


def instructed(messages: Sequence[BaseMessage], text: str) -> list[BaseMessage]:
    """The messages with `text` at the end of the system message, which is made where there is none."""
    if not messages or not isinstance(messages[0], SystemMessage):
        return [SystemMessage(text), *messages]
    said = messages[0].content
    joined: Any = f"{said}\n\n{text}" if isinstance(said, str) else [*said, {"type": "text", "text": text}]
    return [messages[0].model_copy(update={"content": joined}), *messages[1:]]


def _begun(job: Job, desk: Desk) -> _Talk:
    if job.resumed is None:
        messages = instructed(job.messages, desk.fence.note) if desk.tools else [*job.messages]
        return _Talk(messages, len(messages))
    state = job.resumed.state
    desk.uses += [_use(item) for item in state["uses"]]
    desk.take(_passage(item) for item in state["sources"])
    desk.artifacts += state["artifacts"]
    return _Talk(messages_from_dict(state["messages"]), int(state["before"]), int(state["rounds"]))


def _state(talk: _Talk, desk: Desk, calls: Sequence[Call], fence: Fence) -> Mapping[str, Any]:
    """What `_begun` and `_answered` read."""
    return {
        "messages": messages_to_dict(talk.messages),
        "before": talk.before,
        "rounds": talk.rounds,
        "fence": fence.code,
        "calls": [{**asdict(call), "input": dict(call.input)} for call in calls],
        "uses": [_plain(use) for use in desk.uses],
        "sources": [_plain(passage) for passage in desk.sources],
        "artifacts": [dict(item) for item in desk.artifacts],
    }


def _plain(item: ToolUse | Passage) -> dict[str, Any]:
    return asdict(item)


def _passage(item: Mapping[str, Any]) -> Passage:
    return Passage(**item)


def _use(item: Mapping[str, Any]) -> ToolUse:
    return ToolUse(**{**item, "sources": tuple(_passage(source) for source in item["sources"])})


def _ended(talk: _Talk, desk: Desk, *, exhausted: bool, waits: Waiting | None) -> Ended:
    return Ended(
        text="".join(talk.texts),
        answer="".join(talk.last),
        messages=tuple(talk.messages[talk.before :]),
        uses=tuple(desk.uses),
        sources=tuple(desk.sources),
        artifacts=tuple(desk.artifacts),
        usage=tuple(talk.usage),
        exhausted=exhausted,
        waits=waits,
    )
