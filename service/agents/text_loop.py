"""The loop of models that only write: calls of tools are read out of their words."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from langchain_core.messages import AIMessage, HumanMessage

from service.agents.base import STOPPED, Call, Ended, Job, Resumed
from service.agents.calls import Result
from service.agents.speech import Model, calls_of, said_with, speak
from service.agents.talks import Talk, begun
from service.agents.text_protocols import BadWords, TextProtocol
from service.agents.tool_loop import bound, can_call, closing, decided, messages_of, model_name
from service.chatflows.run import Run
from service.chatflows.types import StepEvent, Thinking, ToolCalls, Usage

MOST_MISTAKES = 3
"""Replies in a row that cannot be read; the next one is the answer as it stands."""

AGAIN = "{why} Reply again, in the form that you were told."


async def talk_with(job: Job, run: Run, protocol: TextProtocol) -> AsyncGenerator[StepEvent | Ended, None]:
    """Does a job by a protocol of words. Says what `tool_loop.use_tools` says, the answer in one piece: only at its end
    is it known to be one.

    Raises `ProviderError` of the model, any `ServiceError` of a tool. Closing or cancelling it stops every call.
    """
    native = protocol.native and can_call(job.chat)
    talk = begun(job, run, "" if native or not job.tools else protocol.instructions(job.tools))
    model = bound(job, talk.desk) if native else job.chat
    exhausted, waits, mistakes = False, None, 0
    answer = None if job.resumed is None else _told(talk, protocol, await decided(job, talk), _in_words(job.resumed))
    while answer is None:
        if talk.rounds >= job.limits.rounds:
            exhausted = True
            answer = STOPPED.format(rounds=talk.rounds)
            break
        said: list[AIMessage] = []
        async with aclosing(_asked(talk, model, model_name(job.chat), said)) as events:
            async for event in events:
                yield event
        calls = calls_of(said[0]) if native else []
        in_words = not calls
        text = str(said[0].text)
        if calls:
            talk.messages.append(said_with(said[0], calls))
        else:
            try:
                read = protocol.read(text, talk.desk.tools, talk.rounds) if job.tools else text.strip()
            except BadWords as error:
                mistakes += 1
                if mistakes > MOST_MISTAKES:
                    answer = text.strip()
                    break
                talk.messages += [AIMessage(text), HumanMessage(AGAIN.format(why=error))]
                continue
            if isinstance(read, str):
                answer = read
                break
            calls = [read]
            talk.messages.append(AIMessage(protocol.kept(text)))
        mistakes = 0
        yield ToolCalls(tuple((call.name, call.input) for call in calls))
        if talk.desk.asks_first(calls):
            waits = talk.waiting([_marked(call, in_words=in_words) for call in calls])
            break
        answer = _told(talk, protocol, await talk.desk.use(calls), in_words)
    for last in closing(talk, answer, exhausted=exhausted, waits=waits):
        yield last


async def _asked(talk: Talk, model: Model, name: str, said: list[AIMessage]) -> AsyncGenerator[StepEvent, None]:
    """One call of the model; its message is added to `said`, its words are not said yet."""
    talk.rounds += 1
    pieces = speak(model, talk.messages, whole=True, name=name)
    async with aclosing(pieces):
        async for piece in pieces:
            if isinstance(piece, AIMessage):
                said.append(piece)
            elif isinstance(piece, Usage):
                talk.usage.append(piece)
                yield piece
            elif isinstance(piece, Thinking):
                yield piece


def _told(talk: Talk, protocol: TextProtocol, results: list[Result], in_words: bool) -> str | None:
    """Tells the model what came of its calls; the answer, when a tool gives it."""
    if in_words:
        talk.messages += [HumanMessage(protocol.told(result.text)) for result in results]
    else:
        talk.messages += messages_of(results)
    return next((result.direct for result in results if result.direct is not None), None)


_WORDS = "words:"


def _marked(call: Call, *, in_words: bool) -> Call:
    """The call, as its id tells later whether it was made in words."""
    return Call(f"{_WORDS}{call.id}", call.name, call.input, call.broken) if in_words else call


def _in_words(resumed: Resumed) -> bool:
    return any(str(call["id"]).startswith(_WORDS) for call in resumed.state["calls"])
