"""A document store in memory for stages: chunks with vectors, a ledger that hides some, words counted naively."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy as np

from service.document_stores.ledger.types import ChunkRow
from service.retrieval.base import Call, Found, Models, Query, Sources, Span, point_id
from service.retrieval.trace import SILENT, Notes
from stores.lexical.base import Hits, Numbers
from stores.vector.base import Point, Vector
from stores.vector.filters import Filter, matches
from stores.vector.memory import MemoryVectorStore

COLLECTION = "chunks"


def chunk(
    number: int,
    text: str = "",
    *,
    document: int = 1,
    position: int | None = None,
    edited: bool = False,
    **metadata: Any,
) -> ChunkRow:
    """A chunk of a document, by default the `number`th."""
    return ChunkRow(
        id=UUID(int=number),
        document_id=UUID(int=1000 + document),
        loader_id=UUID(int=1),
        number=number,
        position=number if position is None else position,
        head="",
        text=text or f"Text of chunk {number}.",
        metadata=metadata,
        edited=edited,
    )


def found(row: ChunkRow, score: float = 0.5, **parts: float) -> Found:
    """A chunk that was found."""
    return Found(row, score, parts)


@dataclass
class Library:
    """The chunks by number, with a vector each; `hidden` ones are not live."""

    rows: dict[int, ChunkRow] = field(default_factory=dict)
    vectors: dict[int, Vector] = field(default_factory=dict)
    hidden: set[int] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    """Questions that were embedded."""
    embed_as: Callable[[str], Vector] | None = None

    @classmethod
    def of(cls, *rows: ChunkRow, vectors: Mapping[int, Vector] | None = None) -> "Library":
        """These chunks."""
        return cls({row.number: row for row in rows if row.number is not None}, dict(vectors or {}))

    async def sources(self, models: Models | None = None) -> Sources:
        """What stages see of it."""
        store = MemoryVectorStore()
        size = len(next(iter(self.vectors.values()), [1.0, 0.0]))
        await store.create(COLLECTION, size)
        await store.complete(COLLECTION)
        points = [
            Point(point_id(number), vector, self.rows[number].metadata) for number, vector in self.vectors.items()
        ]
        await store.upsert(COLLECTION, points)
        return Sources(store, COLLECTION, self.embed, self.words, self, models=models)

    async def call(self, limit: int = 4, where: Filter | None = None, notes: Notes = SILENT) -> Call:
        """One query to it."""
        return Call(Query("question", limit, where), await self.sources(), notes)

    async def embed(self, text: str) -> Vector:
        """A vector of the text."""
        self.asked.append(text)
        if self.embed_as is not None:
            return self.embed_as(text)
        size = len(next(iter(self.vectors.values()), [1.0, 0.0]))
        return np.random.default_rng(len(text)).normal(size=size)

    async def words(self, query: str, limit: int, *, allowed: Numbers | None = None) -> Hits:
        """Chunks by how many of the query's words they have."""
        wanted = query.lower().split()
        scores = np.zeros(max(self.rows, default=0) + 1, np.float32)
        for number, row in self.rows.items():
            scores[number] = sum(word in row.text.lower() for word in wanted)
        inside = np.arange(len(scores)) if allowed is None else allowed
        numbers = np.array(sorted((n for n in inside if scores[n] > 0), key=lambda n: -scores[n])[:limit], np.int32)
        return Hits(numbers, scores[numbers], float(len(wanted)), scores, "en", float(len(wanted)))

    @property
    def narrowed(self) -> bool:
        """Nothing is kept from anybody."""
        return False

    @property
    def frank(self) -> bool:
        """An explanation may say so."""
        return True

    async def allowed(self, where: Filter | None) -> Numbers:
        """The live chunks that pass."""
        return np.array([n for n, row in self.rows.items() if self._live(n, where)], np.int32)

    async def few(self, where: Filter | None, most: int) -> Numbers | None:
        """Those that pass, unless there are more."""
        found = await self.allowed(where)
        return found if len(found) <= most else None

    async def among(self, numbers: Numbers, where: Filter | None = None) -> Numbers:
        """Those of the numbers that pass."""
        return numbers[np.isin(numbers, await self.allowed(where))] if where is not None else numbers

    async def live(self, numbers: Sequence[int], limit: int) -> Sequence[ChunkRow]:
        """Those that are not hidden."""
        return [self.rows[number] for number in numbers if self._live(number, None)][:limit]

    async def near(self, spans: Sequence[Span], where: Filter | None) -> Sequence[ChunkRow]:
        """Live chunks in the spans."""
        rows = [
            row
            for number, row in self.rows.items()
            if self._live(number, where)
            and any(s.document_id == row.document_id and s.first <= row.position <= s.last for s in spans)
        ]
        return sorted(rows, key=lambda row: (row.document_id, row.position))

    def _live(self, number: int, where: Filter | None) -> bool:
        row = self.rows.get(number)
        return row is not None and number not in self.hidden and (where is None or matches(where, row.metadata))
