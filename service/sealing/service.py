"""Seal anew whatever is not sealed by the newest key."""

import logging
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from service.idempotency.types import NOBODY
from service.keyring import Keyring, WrongKey
from service.resources import KEYRING, Resources, check_keyring
from service.sealing import records
from service.sealing.records import PLACES, Place
from stores.records.database import Connection, Database

log = logging.getLogger("ragstone.sealing")

AT_ONCE = 200
"""Rows of a page."""

ANSWERS_AT_ONCE = 20

SEALED_BY = "sealed_by"
"""The fact that says by which keys all configurations are sealed."""


async def seal_rest(resources: Resources) -> int:
    """Seal configurations that were written before they were sealed; says how many changed. Looks once for each key
    ring: afterwards everything is sealed as it is written. Any number of workers may do so."""
    keys = resources.keyring.fingerprint
    async with resources.database.connection() as connection:
        if await records.fact(connection, SEALED_BY) == keys:
            return 0
    changed = await reseal(resources.database, resources.keyring)
    async with resources.database.connection() as connection:
        await records.note(connection, SEALED_BY, keys)
    return changed


async def rotate(database: Database, keyring: Keyring) -> int:
    """Seal everything by the newest key of the ring, until nothing is left that another one has sealed, and note that
    the others are needed no more; says how many values changed. May be broken off and begun anew at any time.

    `database` seals by the ring. Raises `SettingsError` for a ring that is not this database's, `WrongKey`.
    """
    await check_keyring(database, keyring)
    total = 0
    while changed := await reseal(database, keyring):
        total += changed
    async with database.connection() as connection:
        await records.note(connection, SEALED_BY, keyring.latest.fingerprint)
        await records.note(connection, KEYRING, keyring.latest.fingerprint)
    return total


async def others(database: Database) -> int:
    """How many connections besides this one use the database."""
    async with database.connection() as connection:
        return await records.others(connection)


async def reseal(database: Database, keyring: Keyring) -> int:
    """Open everything that is sealed and seal it by the newest key; says how many values changed.

    What somebody else writes meanwhile is left as he writes it: sealed. A credential that no key of the ring opens is
    left as it is: it is lost already. Raises `WrongKey`.
    """
    changed = await _credentials(database, keyring) + await _answers(database)
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


async def _credentials(database: Database, keyring: Keyring) -> int:
    changed, after = 0, UUID(int=0)
    while True:
        async with database.connection() as connection:
            rows = await records.credentials(connection, after, keyring.newest, AT_ONCE)
            for row in rows:
                owner = UUID(str(row["id"]))
                try:
                    value = keyring.unseal(row["key_version"], bytes(row["sealed"]), owner)
                except WrongKey as error:
                    log.warning("Credential %s cannot be read: %s", owner, error)
                    continue
                changed += await records.replace_credential(connection, row, *keyring.seal(value, owner))
        if not rows:
            return changed
        after = rows[-1]["id"]


async def _answers(database: Database) -> int:
    changed, after = 0, ("", "")
    while True:
        async with database.connection() as connection:
            rows = await records.answers(connection, after, ANSWERS_AT_ONCE)
            for row in rows:
                owner, held = row["workspace_id"] or NOBODY, bytes(row["body"])
                body = connection.sealer.seal_bytes(connection.sealer.open_bytes(held, owner), owner)
                if body != held:
                    changed += await records.replace_answer(connection, row, body)
        if not rows:
            return changed
        after = rows[-1]["owner"], rows[-1]["key"]


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
