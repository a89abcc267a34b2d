"""Chunks of one document put together again: what their overlap repeats is said once."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from uuid import UUID

from service.document_stores.ledger.types import ChunkRow
from service.retrieval.base import Found, Span

SHORTEST_OVERLAP = 12
"""Characters that must agree before a repeat is believed in, where nobody knows the chunks' places in their text."""


class Around:
    """Chunks by where they stand: many spans look for theirs among many."""

    def __init__(self, rows: Sequence[ChunkRow]) -> None:
        """`rows` are of any documents."""
        self._rows: defaultdict[UUID, defaultdict[int, list[ChunkRow]]] = defaultdict(lambda: defaultdict(list))
        for row in rows:
            self._rows[row.document_id][row.position].append(row)

    def of(self, span: Span) -> list[ChunkRow]:
        """Those in a span, by position."""
        there = self._rows.get(span.document_id)
        if there is None:
            return []
        return [row for position in range(span.first, span.last + 1) for row in there.get(position, ())]

    def with_own(self, item: Found, span: Span) -> dict[int, ChunkRow]:
        """One for each position in a span, the first of several, and where the chunk that was found stands, it."""
        here = {row.position: row for row in reversed(self.of(span))}
        here[item.chunk.position] = item.chunk
        return {position: here[position] for position in sorted(here)}


def passage(best: Found, rows: Sequence[ChunkRow]) -> Found:
    """The chunk that was found, shown with the text of all `rows`, which are of its document, in reading order.

    Its id, score and metadata stay; `merged` in the metadata says which positions and pages the text is from.
    """
    if len(rows) == 1:
        return best
    merged: dict[str, Any] = {"positions": [row.position for row in rows]}
    pages = sorted({page for row in rows if isinstance(page := row.metadata.get("page"), int)})
    if pages:
        merged["pages"] = pages
    return best.with_text(joined(rows), merged=merged)


def joined(rows: Sequence[ChunkRow]) -> str:
    """The text that neighbouring chunks were cut from, as far as it can be told."""
    return rows[0].text + "".join(addition(before, row) for before, row in pairwise(rows))


def addition(before: ChunkRow, row: ChunkRow) -> str:
    """What a chunk adds to the one before it, white space between them included."""
    if row.position > before.position + 1:
        return f"\n\n{row.text}"
    if (placed := _placed(before, row)) is not None:
        return placed
    text = row.text
    for length in range(min(len(before.text), len(text)), SHORTEST_OVERLAP - 1, -1):
        if before.text.endswith(text[:length]):
            return text[length:]
    return f"\n\n{text}"


def _placed(before: ChunkRow, row: ChunkRow) -> str | None:
    """The same by the chunks' offsets in their text; None when they have none, or the texts do not agree with them."""
    if before.edited or row.edited or before.metadata.get("page") != row.metadata.get("page"):
        return None
    places = [chunk.metadata.get(key) for chunk in (before, row) for key in ("start", "end")]
    if not all(isinstance(place, int) for place in places):
        return None
    start, end, next_start, next_end = (int(place) for place in places if isinstance(place, int))
    header = len(row.text) - (next_end - next_start)  # of a table that was cut: it is repeated above its rows
    if header < 0 or not start <= next_start <= next_end:
        return None
    repeated, body = row.text[:header], row.text[header:]
    if repeated not in before.text:
        body = row.text
    shared = end - next_start
    if shared <= 0:
        return ("", "\n")[-shared] + body if shared > -2 else f"\n\n{body}"
    return body[shared:] if before.text.endswith(body[:shared]) else None
