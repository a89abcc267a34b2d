"""What chunks are indexed by: the vectors of an embedder, and words."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from service.document_stores.pacing import paced
from service.document_stores.shelf import Indexed
from service.providers.embedding.base import Embedder
from stores.lexical.analysis import Analysed, analyse

BATCH = 32
"""Chunks embedded and committed together: large enough to cost few commits, and small enough that twenty kills of a
worker over a thousand documents cost less than a twentieth of the calls (tests/reliability/test_kills.py)."""

AT_ONCE = 2
"""Batches on their way; more would hold memory for nothing."""

Batch = TypeVar("Batch")
Found = TypeVar("Found")


async def index_texts(
    embedder: Embedder, texts: Sequence[str], waiting: Callable[[], Awaitable[None]] | None
) -> list[Indexed]:
    """What these texts are indexed by, in order. A provider that limits its rate or fails for a while is waited for,
    as `paced` does, unless `waiting` is None. Raises the provider's errors, also for vectors of a wrong number or size,
    and for such that are no numbers."""
    call = embedder.embed_array
    embedding = paced(lambda: call(texts), waiting, embedder.pace) if waiting else call(texts)
    vectors, words = await asyncio.gather(embedding, analysed(texts))
    return [Indexed(vector, each) for vector, each in zip(vectors, words, strict=True)]


async def analysed(texts: Sequence[str]) -> list[Analysed]:
    """The words of these texts, in order."""
    return await asyncio.to_thread(_analyse, texts) if texts else []


async def overlapped(
    batches: AsyncIterator[Batch],
    index: Callable[[Batch], Awaitable[Found]],
    commit: Callable[[Batch, Found], Awaitable[None]],
) -> None:
    """Index each batch and commit it, one after the other in order; the next one is indexed meanwhile.

    It begins before the one at work is indexed, so that an embedder on this machine never waits for the last texts of
    a batch, for words or for a commit. A failure ends it: what came before is committed, nothing that comes after.
    """
    steps: deque[asyncio.Task[None]] = deque()

    async def step(batch: Batch, before: asyncio.Task[None] | None) -> None:
        found = await index(batch)
        if before:
            await before
        await commit(batch, found)

    try:
        async for batch in batches:
            steps.append(asyncio.create_task(step(batch, steps[-1] if steps else None)))
            if len(steps) == AT_ONCE:
                await steps[0]
                steps.popleft()
        while steps:
            await steps[0]
            steps.popleft()
    finally:
        for each in steps:
            each.cancel()
        await asyncio.gather(*steps, return_exceptions=True)


def _analyse(texts: Sequence[str]) -> list[Analysed]:
    return [analyse(text) for text in texts]
