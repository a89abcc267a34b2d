"""One call of a model that may call tools: what it says as it says it, then the whole message."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from time import perf_counter
from typing import Any, cast

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, message_chunk_to_message
from langchain_core.messages.ai import add_ai_message_chunks
from langchain_core.runnables import Runnable

from service.agents.base import Call
from service.chatflows.types import Thinking, Token, Usage
from service.json_text import parsed
from service.providers.chat.reading import Timed, thoughts
from service.providers.errors import Malformed

Model = Runnable[LanguageModelInput, AIMessage]
"""A chat model, with or without tools bound to it."""


async def speak(
    model: Model, messages: Sequence[BaseMessage], *, whole: bool, name: str = ""
) -> AsyncGenerator[Token | Thinking | Usage | AIMessage, None]:
    """What the model says, piece by piece or `whole`, what that took, and last the message with its calls.

    `name` is the model's, where its answers do not say it. Raises `ProviderError`.
    """
    begun = perf_counter()
    if whole:
        message = await model.ainvoke(list(messages))
        for thought in thoughts(message):
            yield Thinking(thought)
        if text := str(message.text):
            yield Token(text)
    else:
        chunks: list[AIMessageChunk] = []
        pieces = _pieces(model, messages, chunks)
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece
        message = _joined(chunks)
    if taken := message.usage_metadata:
        told = message.response_metadata.get("model_name")
        yield Usage(str(told or name), taken["input_tokens"], taken["output_tokens"], perf_counter() - begun)
    yield message


async def _pieces(
    model: Model, messages: Sequence[BaseMessage], chunks: list[AIMessageChunk]
) -> AsyncGenerator[Token | Thinking, None]:
    """The stream's texts; its chunks are added to `chunks`."""
    timed = Timed()
    stream = cast("AsyncGenerator[AIMessageChunk, None]", model.astream(list(messages)))
    async with aclosing(stream):
        async for chunk in stream:
            chunks.append(chunk)
            for thought in thoughts(chunk):
                timed.began()
                yield Thinking(thought)
            if text := str(chunk.text):
                if (seconds := timed.ended()) is not None:
                    yield Thinking("", seconds)
                yield Token(text)
    if (seconds := timed.ended()) is not None:
        yield Thinking("", seconds)


def _joined(chunks: Sequence[AIMessageChunk]) -> AIMessage:
    if not chunks:
        return AIMessage("")
    first, *others = chunks
    try:
        joined = add_ai_message_chunks(first, *others)
    except (TypeError, ValueError) as error:
        raise Malformed from error
    names = (chunk.response_metadata.get("model_name") for chunk in chunks)
    about = {**joined.response_metadata, "model_name": next(filter(None, names), "")}  # joining repeats the name
    return joined.model_copy(update={"response_metadata": about})


def calls_of(message: AIMessage) -> list[Call]:
    """The tools that the message calls, in its order, each with an id of its own.

    Inputs are read as they stand: a cut-off one is broken, not what can be guessed from its beginning.
    """
    found: list[Call] = []
    if isinstance(message, AIMessageChunk) and message.tool_call_chunks:
        found += [_call(chunk["id"], chunk["name"], chunk["args"]) for chunk in message.tool_call_chunks]
    else:
        found += [Call(call["id"] or "", call["name"], call["args"]) for call in message.tool_calls]
        found += [_call(broken["id"], broken["name"], broken["args"]) for broken in message.invalid_tool_calls]
    found.sort(key=lambda call: bool(call.broken))  # whole answers tell of the broken ones last
    taken: set[str] = set()
    numbered: list[Call] = []
    for number, call in enumerate(found, 1):
        identifier = call.id if call.id and call.id not in taken else f"call_{number}"
        taken.add(identifier)
        numbered.append(Call(identifier, call.name, call.input, call.broken))
    return numbered


def _call(identifier: str | None, name: str | None, text: str | None) -> Call:
    try:
        value: Any = parsed(text) if text and text.strip() else {}
    except ValueError as error:
        return Call(identifier or "", name or "", {}, f"The input is not JSON: {error}")
    if not isinstance(value, dict):
        return Call(identifier or "", name or "", {}, "The input is no JSON object.")
    return Call(identifier or "", name or "", value)


def said_with(message: AIMessage, calls: Sequence[Call]) -> AIMessage:
    """The message as models take it back: its calls as they were read."""
    plain = cast("AIMessage", message_chunk_to_message(message))
    told = [{"name": call.name, "args": dict(call.input), "id": call.id, "type": "tool_call"} for call in calls]
    copy: AIMessage = plain.model_copy(update={"tool_calls": told, "invalid_tool_calls": []})
    return copy
