"""What a model says, as a flow hears it: pieces of the answer, what it thinks aloud before, and what both took."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from time import perf_counter
from typing import Any, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata

from service.chatflows.types import Thinking, Token, Usage
from service.providers.chat.reading import Timed, thoughts, total
from service.providers.chat.translated import TranslatedChat


async def spoken_by(
    chat: BaseChatModel, messages: Sequence[BaseMessage], *, whole: bool
) -> AsyncGenerator[Token | Thinking | Usage, None]:
    """The model's answer, piece by piece or `whole`. Raises `ProviderError`."""
    begun = perf_counter()
    if whole:
        if isinstance(chat, TranslatedChat):
            message = await chat.whole(messages)
        else:
            message = await chat.ainvoke(list(messages))
        for thought in thoughts(message):
            yield Thinking(thought)
        if text := message.text:
            yield Token(str(text))
        if message.usage_metadata:
            yield _usage(chat, message.response_metadata, message.usage_metadata, begun)
        return
    usage: UsageMetadata | None = None
    about: dict[str, Any] = {}
    timed = Timed()
    chunks = cast("AsyncGenerator[AIMessageChunk, None]", chat.astream(list(messages)))
    async with aclosing(chunks) as opened:
        async for chunk in opened:
            if chunk.usage_metadata:
                usage = total(usage, chunk.usage_metadata)
            if chunk.response_metadata:
                about.update(chunk.response_metadata)
            for thought in thoughts(chunk):
                timed.began()
                yield Thinking(thought)
            if text := chunk.text:
                if (seconds := timed.ended()) is not None:
                    yield Thinking("", seconds)
                yield Token(str(text))
    if (seconds := timed.ended()) is not None:
        yield Thinking("", seconds)
    if usage:
        yield _usage(chat, about, usage, begun)


def _usage(chat: BaseChatModel, about: Mapping[str, Any], taken: UsageMetadata, begun: float) -> Usage:
    name = about.get("model_name") or getattr(chat, "model_name", "") or getattr(chat, "model", "")
    return Usage(str(name), taken["input_tokens"], taken["output_tokens"], perf_counter() - begun)
