"""Neighbours: what stands before and after a chunk in its document belongs to the answer as well."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from service.document_stores.ledger.types import ChunkRow
from service.retrieval.base import Call, Found, HitStage, Span, StageOptions
from service.retrieval.passages import passage

SPARE = 2
"""Chunks wanted for each that is to be shown: some lie within the passages of better ones."""


class NeighboursOptions(StageOptions):
    """Options of the stage."""

    before: int = Field(1, ge=0, le=20, description="Chunks to take from before each chunk")
    after: int = Field(1, ge=0, le=20, description="Chunks to take from after it")
    mode: Literal["merge", "beside"] = Field(
        "merge", description="merge: chunk and neighbours become one text; beside: neighbours follow it as they are"
    )


class Neighbours(HitStage):
    """Completes each chunk with those before and after it in its document, as far as they pass the filter."""

    name = "neighbours"
    Options = NeighboursOptions
    options: NeighboursOptions

    def wanted(self, limit: int) -> int:
        return SPARE * limit if self.options.mode == "merge" else limit

    async def refine(self, found: Sequence[Found], limit: int, call: Call) -> list[Found]:
        if not found:
            return []
        spans = [self._span(item) for item in found]
        rows = await call.sources.ledger.near(spans, call.query.where)
        beside = self.options.mode == "beside"
        return _beside(found, spans, rows) if beside else _merged(found, spans, rows, limit, call)

    def _span(self, item: Found) -> Span:
        place = item.chunk.position
        return Span(item.chunk.document_id, max(0, place - self.options.before), place + self.options.after)


def _beside(found: Sequence[Found], spans: Sequence[Span], rows: Sequence[ChunkRow]) -> list[Found]:
    """Each chunk, then its neighbours in reading order with its score; one that was found itself stands where it was
    found."""
    taken = {item.chunk.id for item in found}
    shown = []
    for item, span in zip(found, spans, strict=True):
        shown.append(item)
        for row in rows:
            if span.holds(row) and row.id not in taken:
                taken.add(row.id)
                shown.append(Found(row, item.score, {}))
    return shown


def _merged(
    found: Sequence[Found], spans: Sequence[Span], rows: Sequence[ChunkRow], limit: int, call: Call
) -> list[Found]:
    """One passage for each chunk, but for those that touch the passage of a better one: it grows by them."""
    taken: dict[int, tuple[Found, Span]] = {}
    for item, span in zip(found, spans, strict=True):
        homes = [number for number, (_, other) in taken.items() if _touching(span, other)]
        if not homes:
            if len(taken) < limit:
                taken[item.number] = (item, span)
            continue
        best, other = taken[homes[0]]
        if len(taken) < limit:
            for number in homes[1:]:
                other = _joined(other, taken.pop(number)[1])
                call.notes.cut(number, f"part of the passage of chunk {best.number}")
            taken[homes[0]] = (best, _joined(other, span))
        elif not other.holds(item.chunk):
            continue
        call.notes.cut(item.number, f"part of the passage of chunk {best.number}")
    return [passage(item, rows_of(item, span, rows)) for item, span in taken.values()]


def rows_of(item: Found, span: Span, rows: Sequence[ChunkRow]) -> list[ChunkRow]:
    """The chunks of a span, one for each position: the one that was found where it stands."""
    here = {row.position: row for row in reversed(rows) if span.holds(row)}
    here[item.chunk.position] = item.chunk
    return [here[position] for position in sorted(here)]


def _joined(one: Span, other: Span) -> Span:
    return Span(one.document_id, min(one.first, other.first), max(one.last, other.last))


def _touching(one: Span, other: Span) -> bool:
    return one.document_id == other.document_id and one.first <= other.last + 1 and other.first <= one.last + 1
