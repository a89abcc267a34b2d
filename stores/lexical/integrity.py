"""Which chunks an index holds, for those who compare it with the ledger."""

from uuid import UUID

from stores.records.database import Scope


async def numbers(scope: Scope, store_id: UUID, *, after: int, limit: int) -> list[int]:
    """Up to `limit` numbers of live chunks above `after`, ascending; none when there is no index."""
    rows = await scope.all(
        "SELECT number FROM lexical_documents WHERE store_id = %(store)s AND number > %(after)s"
        " ORDER BY number LIMIT %(limit)s",
        store=store_id,
        after=after,
        limit=limit,
    )
    return [row["number"] for row in rows]
