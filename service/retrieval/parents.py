"""Parents: small chunks are found, what they are part of is shown ("small to big")."""

from collections.abc import Collection, Sequence
from math import ceil
from typing import Literal
from uuid import UUID

from pydantic import Field

from service.document_stores.ledger.types import ChunkRow
from service.retrieval.base import Call, Found, HitStage, Span, StageOptions
from service.retrieval.passages import addition, joined, passage

SPARE = 3
"""Chunks wanted for each parent that is to be shown: some have the same one."""
FARTHEST = 100
"""Chunks to either side that a parent may reach, at most."""


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
        rows = await call.sources.ledger.near([self._reach(item) for item in found], call.query.where)
        shown: list[Found] = []
        homes: dict[tuple[UUID, int], int] = {}
        for item in found:
            place = (item.chunk.document_id, item.chunk.position)
            if place in homes:
                call.notes.cut(item.number, f"part of the parent of chunk {homes[place]}")
            elif len(shown) < limit:
                parts = self._parent(item, rows, homes)
                homes |= {(part.document_id, part.position): item.number for part in parts}
                shown.append(passage(item, parts))
        return shown

    def _reach(self, item: Found) -> Span:
        """Where the parent must lie, if the chunks there are about as long as this one."""
        reach = min(FARTHEST, 2 * ceil(self.options.max_characters / max(len(item.text), 1)))
        place = item.chunk.position
        return Span(item.chunk.document_id, max(0, place - reach), place + reach)

    def _parent(self, item: Found, rows: Sequence[ChunkRow], taken: Collection[tuple[UUID, int]]) -> list[ChunkRow]:
        """The chunk with those around it, taken in turn from before and after as long as they belong to the parent, no
        other parent shows them, and the text is not too long."""
        own = item.chunk
        reach = self._reach(item)
        around = {row.position: row for row in reversed(rows) if reach.holds(row)}
        ways = {
            -1: iter([around[place] for place in sorted(around, reverse=True) if place < own.position]),
            1: iter([around[place] for place in sorted(around) if place > own.position]),
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
