"""The rows of chunks that are edited."""

from dataclasses import dataclass
from uuid import UUID

from service.document_stores.ledger.types import PendingChunk
from stores.records.database import Scope


@dataclass(frozen=True, slots=True)
class Editable:
    """A live chunk, and whether a job is about to make its document's chunks anew."""

    chunk: PendingChunk
    busy: bool


async def find(scope: Scope, store_id: UUID, loader_id: UUID, chunk_id: UUID, *, lock: bool = False) -> Editable | None:
    """A chunk of a loader; with `lock`, as it stays until the transaction ends, and its document with it."""
    if lock:
        await scope.run(
            "SELECT d.id FROM documents d JOIN chunks c ON c.document_id = d.id WHERE d.workspace_id = %(workspace)s"
            " AND c.store_id = %(store)s AND c.id = %(id)s FOR UPDATE OF d",
            store=store_id,
            id=chunk_id,
        )
        await scope.run(
            "SELECT 1 FROM chunks WHERE workspace_id = %(workspace)s AND store_id = %(store)s AND id = %(id)s"
            " FOR UPDATE",
            store=store_id,
            id=chunk_id,
        )
    row = await scope.one(
        "SELECT c.id, c.document_id, c.number, c.head, c.text, c.metadata, d.state FROM chunks c"
        " JOIN documents d ON d.id = c.document_id WHERE c.workspace_id = %(workspace)s AND c.store_id = %(store)s"
        " AND c.loader_id = %(loader)s AND c.id = %(id)s AND c.live",
        store=store_id,
        loader=loader_id,
        id=chunk_id,
    )
    if row is None:
        return None
    state = row.pop("state")
    return Editable(PendingChunk(**row), state in ("pending", "leaving"))


async def count_edit(scope: Scope, document_id: UUID, *, chunks: int, characters: int) -> None:
    """A document differs from its source by now, by so many chunks and characters more."""
    await scope.run(
        "UPDATE documents SET edited = true, chunks = chunks + %(chunks)s, characters = characters + %(characters)s,"
        " removed = removed - %(chunks)s, updated_at = now() WHERE workspace_id = %(workspace)s AND id = %(id)s",
        id=document_id,
        chunks=chunks,
        characters=characters,
    )
