"""Seal anew whatever is not sealed by the newest key."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from service.resources import Resources
from service.sealing import records
from service.sealing.records import PLACES, Place
from stores.records.database import Connection, Database

AT_ONCE = 200
"""Rows of a page."""

SEALED_BY = "sealed_by"
"""The fact that says by which keys all configurations are sealed."""


async def seal_rest(resources: Resources) -> int:
    """Seal configurations that were written before they were sealed; says how many changed. Looks once for each key
    ring: afterwards everything is sealed as it is written. Any number of workers may do so."""
    keys = resources.keyring.fingerprint
    async with resources.database.connection() as connection:
        if await records.fact(connection, SEALED_BY) == keys:
            return 0
    changed = await reseal(resources.database)
    async with resources.database.connection() as connection:
        await records.note(connection, SEALED_BY, keys)
    return changed


async def reseal(database: Database) -> int:
    """Open every configuration and seal it by the newest key; says how many columns changed.

    What somebody else writes meanwhile is left as he writes it: sealed. Raises `WrongKey`.
    """
    changed = 0
    for place in PLACES:
        after = UUID(int=0)
        while True:
            async with database.connection() as connection:
                rows = await records.page(connection, place, after, AT_ONCE)
                for row in rows:
                    changed += await _seal_row(connection, place, row)
            if not rows:
                break
            after = rows[-1]["id"]
    return changed


async def _seal_row(connection: Connection, place: Place, row: Mapping[str, Any]) -> int:
    sealer, workspace = connection.sealer, UUID(str(row["workspace_id"]))
    changed = 0
    for column in (*place.fields, *place.texts):
        held = row[column]
        if held is None or held == "":
            continue
        if column in place.fields:
            value = sealer.seal(sealer.open(held, workspace), workspace)
        else:
            value = sealer.seal_text(sealer.open_text(str(held), workspace), workspace)
        if value != held:
            changed += await records.replace(connection, place, row, column, value)
    return changed
