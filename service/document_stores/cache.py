"""Document stores that are searched often, kept for a moment so that not every search reads their row.

What a search shows is read from the ledger each time, deletions included; only where to look may be a moment old.
"""

import time
from uuid import UUID

from service.document_stores.types import StoreRow

SECONDS = 2.0
MOST = 1024


class StoreCache:
    """Rows by workspace and id. Stores without vectors are never kept: the next upsert gives them some."""

    def __init__(self) -> None:
        """Empty."""
        self._rows: dict[tuple[UUID, UUID], tuple[float, StoreRow]] = {}

    def get(self, workspace: UUID, store_id: UUID) -> StoreRow | None:
        """The row, if it was kept a moment ago."""
        found = self._rows.get((workspace, store_id))
        return found[1] if found and time.monotonic() < found[0] else None

    def last(self, workspace: UUID, store_id: UUID) -> StoreRow | None:
        """The row as it was last seen, however long ago."""
        found = self._rows.get((workspace, store_id))
        return found[1] if found else None

    def keep(self, row: StoreRow) -> None:
        """Remember a row for a moment."""
        if row.collection is None:
            return
        if len(self._rows) >= MOST:
            self._rows.clear()
        self._rows[row.workspace, row.id] = (time.monotonic() + SECONDS, row)

    def forget(self, workspace: UUID, store_id: UUID) -> None:
        """The row was changed or deleted by this process."""
        self._rows.pop((workspace, store_id), None)
