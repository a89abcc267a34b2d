"""Neighbours: what stands before and after a chunk in its document belongs to the answer as well."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from pydantic import Field

from service.retrieval.base import Call, Found, HitStage, Span, StageOptions
from service.retrieval.passages import Around, passage

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
        around = Around(await call.sources.ledger.near(spans, call.query.where))
        beside = self.options.mode == "beside"
        return _beside(found, spans, around) if beside else _merged(found, spans, around, limit, call)

    def _span(self, item: Found) -> Span:
        place = item.chunk.position
        return Span(item.chunk.document_id, max(0, place - self.options.before), place + self.options.after)


def _beside(found: Sequence[Found], spans: Sequence[Span], around: Around) -> list[Found]:
    """Each chunk, then its neighbours in reading order with its score; one that was found itself stands where it was
    found."""
    taken = {item.chunk.id for item in found}
    shown = []
    for item, span in zip(found, spans, strict=True):
        shown.append(item)
        for row in around.of(span):
            if row.id not in taken:
                taken.add(row.id)
                shown.append(Found(row, item.score, {}))
    return shown


def _merged(found: Sequence[Found], spans: Sequence[Span], around: Around, limit: int, call: Call) -> list[Found]:
    """One passage for each chunk, but for those that touch the passage of a better one: it grows by them."""
    taken: dict[int, tuple[Found, Span]] = {}
    of_document: defaultdict[UUID, list[int]] = defaultdict(list)
    for item, span in zip(found, spans, strict=True):
        near = of_document[span.document_id]
        homes = [number for number in near if number in taken and _touching(span, taken[number][1])]
        if not homes:
            if len(taken) < limit:
                taken[item.number] = (item, span)
                near.append(item.number)
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
    return [passage(item, list(around.with_own(item, span).values())) for item, span in taken.values()]


def _joined(one: Span, other: Span) -> Span:
    return Span(one.document_id, min(one.first, other.first), max(one.last, other.last))


def _touching(one: Span, other: Span) -> bool:
    return one.document_id == other.document_id and one.first <= other.last + 1 and other.first <= one.last + 1
