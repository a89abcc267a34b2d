"""What texts are indexed by, where the same text is not embedded twice in one document store and space.

The ledger knows which texts are indexed; their vectors are taken from the vector store. So a file that comes again
under another name, a passage that many files share, or chunks whose ids changed with the splitter cost no embedding.
A document store, its copies and theirs lend each other what the same embedder made.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

import numpy as np

from service.document_stores.indexing.records import family, same_texts
from service.document_stores.indexing.texts import AT_ONCE, analysed
from service.document_stores.ledger.types import NewChunk
from service.document_stores.pacing import paced
from service.document_stores.shelf import Indexed
from service.document_stores.space import Space, fingerprint_of
from service.document_stores.types import Backend
from service.document_stores.vectors import vectors_at
from service.errors import ServiceError
from service.resources import Resources
from service.retrieval.base import point_id
from stores.vector.base import Unavailable, UnknownCollection, Vector, VectorStore

Waiting = Callable[[], Awaitable[None]]
"""Called before each pause that a provider asks for; may raise, which ends the wait."""


@dataclass(frozen=True, slots=True)
class Found:
    """What texts or chunks are indexed by, in their order, and how many texts the embedder was given for that."""

    indexed: Sequence[Indexed]
    embedded: int


@dataclass(frozen=True, slots=True)
class _Vectors:
    by_text: Mapping[str, Vector]
    embedded: int


class Reuse:
    """The texts of one run of one job, on their way into a space.

    A text is embedded once, whichever batch brings it: batches that are not committed yet are remembered. Two jobs that
    bring a new text at the same moment both embed it.
    """

    def __init__(self, resources: Resources, workspace: UUID, space: Space, waiting: Waiting) -> None:
        """`waiting` as for `paced`."""
        self._resources = resources
        self._workspace = workspace
        self._space = space
        self._waiting = waiting
        self._family: Sequence[tuple[UUID, Backend | None, str]] | None = None
        # As many batches are on their way at once; those before them are committed, and the ledger knows them.
        self._latest: deque[tuple[frozenset[str], asyncio.Task[_Vectors]]] = deque(maxlen=AT_ONCE)

    async def texts(self, texts: Sequence[str]) -> Found:
        """What these texts are indexed by. A provider that limits its rate or fails for a while is waited for.

        Raises the provider's errors, also for vectors of a wrong number or size, and for such that are no numbers.
        """
        vectors, words = await asyncio.gather(self._vectors(texts), analysed(texts))
        found = [Indexed(vectors.by_text[text], each) for text, each in zip(texts, words, strict=True)]
        return Found(found, vectors.embedded)

    async def chunks(self, chunks: Sequence[NewChunk]) -> Found:
        """As `texts`, of chunks; the vectors that some brought with them are taken as they are."""
        made = await self.texts([chunk.index_text for chunk in chunks if chunk.vector is None])
        words = iter(await analysed([chunk.index_text for chunk in chunks if chunk.vector is not None]))
        others = iter(made.indexed)
        found = [
            next(others) if chunk.vector is None else Indexed(np.frombuffer(chunk.vector, "<f4"), next(words))
            for chunk in chunks
        ]
        return Found(found, made.embedded)

    async def _vectors(self, texts: Sequence[str]) -> _Vectors:
        earlier = [(known & frozenset(texts), task) for known, task in self._latest]
        fresh = [text for text in dict.fromkeys(texts) if not any(text in known for known, _ in earlier)]
        making = asyncio.create_task(self._make(fresh))
        self._latest.append((frozenset(fresh), making))
        made = await making
        found = dict(made.by_text)
        for known, task in earlier:
            if known:
                await asyncio.wait({task})  # not awaited itself: whoever waits here may be cancelled, and it not
                found |= {text: task.result().by_text[text] for text in known}
        return _Vectors(found, made.embedded)

    async def _make(self, texts: Sequence[str]) -> _Vectors:
        found = await self._known(texts)
        missing = [text for text in texts if text not in found]
        if not missing:
            return _Vectors(found, 0)
        embedder = self._space.embedder
        rows = await paced(lambda: embedder.embed_array(missing), self._waiting, embedder.pace)
        return _Vectors({**found, **dict(zip(missing, rows, strict=True))}, len(missing))

    async def _known(self, texts: Sequence[str]) -> dict[str, Vector]:
        """The vectors of texts that are indexed in the space, or in another one of the family that the same embedder
        fills; those that they lack are left out."""
        if not texts:
            return {}
        space = self._space
        found = await self._held(space.store_id, space.vectors, space.collection, texts)
        for store_id, backend, collection in await self._others():
            missing = [text for text in texts if text not in found]
            if not missing:
                break
            with suppress(Unavailable, ServiceError):  # what a server lends that does not answer is made here
                async with self._resources.database.read(self._workspace) as scope:
                    vectors = await vectors_at(self._resources, scope, backend)
                found |= await self._held(store_id, vectors, collection, missing)
        return found

    async def _held(
        self, store_id: UUID, vectors: VectorStore, collection: str, texts: Sequence[str]
    ) -> dict[str, Vector]:
        async with self._resources.database.read(self._workspace) as scope:
            numbers = await same_texts(scope, store_id, texts)
        if not numbers:
            return {}
        try:
            points = await vectors.get(collection, [point_id(number) for number in numbers.values()])
        except UnknownCollection:  # dropped meanwhile: whoever commits sees it
            return {}
        found = {point.id: point.vector for point in points}
        places = {text: point_id(number) for text, number in numbers.items()}
        return {text: found[place] for text, place in places.items() if place in found}

    async def _others(self) -> Sequence[tuple[UUID, Backend | None, str]]:
        """The spaces of the family besides this one that its embedder fills too, as they are when the run begins."""
        if self._family is None:
            async with self._resources.database.read(self._workspace) as scope:
                rows = await family(scope, self._space.store_id)
            made_by = await fingerprint_of(self._space.embedder) if rows else {}
            self._family = [
                (row["id"], Backend.from_json(row["backend"]), row["collection"])
                for row in rows
                if row["fingerprint"] == made_by
            ]
        return self._family
