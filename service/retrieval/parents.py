"""Parents: small chunks are found, what they are part of is shown ("small to big")."""

from collections.abc import Collection, Sequence
from math import ceil
from typing import Literal
from uuid import UUID

from pydantic import Field

from service.document_stores.ledger.types import ChunkRow
from service.retrieval.base import Call, Found, HitStage, Span, StageOptions
from service.retrieval.passages import Around, addition, joined, passage

SPARE = 3
"""Chunks wanted for each parent that is to be shown: some have the same one."""
FARTHEST = 100
"""Chunks to either side that a parent may reach, at most."""
MOST = 10_000
"""Chunks that are read for all parents of a query, about: of very many, each reaches less far."""


class ParentsOptions(StageOptions):
    """Options of the stage."""

    of: Literal["section", "document"] = Field(
        "section", description="section: the chunks around it under the same heading; document: all around it"
    )
    max_characters: int = Field(4000, ge=100, le=100_000, description="Characters of a parent's text at most")


class Parents(HitStage):
    """Shows, in place of each chunk, the section or the document it is part of, each text once, up to a length."""

    name = "parents"
    Options = ParentsOptions
    options: ParentsOptions

    def wanted(self, limit: int) -> int:
        return SPARE * limit

    async def refine(self, found: Sequence[Found], limit: int, call: Call) -> list[Found]:
        if not found:
            return []
        farthest = min(FARTHEST, MOST // (2 * len(found)))
        reaches = [self._reach(item, farthest) for item in found]
        around = Around(await call.sources.ledger.near(reaches, call.query.where))
        shown: list[Found] = []
        homes: dict[tuple[UUID, int], int] = {}
        for item, reach in zip(found, reaches, strict=True):
            place = (item.chunk.document_id, item.chunk.position)
            if place in homes:
                call.notes.cut(item.number, f"part of the parent of chunk {homes[place]}")
            elif len(shown) < limit:
                parts = self._parent(item, around.with_own(item, reach), homes)
                homes |= {(part.document_id, part.position): item.number for part in parts}
                shown.append(passage(item, parts))
        return shown

    def _reach(self, item: Found, farthest: int) -> Span:
        """Where the parent must lie, if the chunks there are about as long as this one."""
        reach = min(farthest, 2 * ceil(self.options.max_characters / max(len(item.text), 1)))
        place = item.chunk.position
        return Span(item.chunk.document_id, max(0, place - reach), place + reach)

    def _parent(self, item: Found, around: dict[int, ChunkRow], taken: Collection[tuple[UUID, int]]) -> list[ChunkRow]:
        """The chunk with those around it, taken in turn from before and after as long as they belong to the parent, no
        other parent shows them, and the text is not too long."""
        own = item.chunk
        ways = {
            -1: iter([around[place] for place in reversed(around) if place < own.position]),
            1: iter([around[place] for place in around if place > own.position]),
        }
        parts, length = [own], len(own.text)
        while ways:
            for step in list(ways):
                row = next(ways[step], None)
                if row is None or (row.document_id, row.position) in taken or not self._same(row, own):
                    del ways[step]
                    continue
                added = len(addition(parts[-1], row)) if step > 0 else len(joined([row, parts[0]])) - len(parts[0].text)
                if length + added > self.options.max_characters:
                    del ways[step]
                    continue
                length += added
                parts = [*parts, row] if step > 0 else [row, *parts]
        return parts

    def _same(self, row: ChunkRow, chunk: ChunkRow) -> bool:
        return self.options.of == "document" or row.metadata.get("heading") == chunk.metadata.get("heading")
