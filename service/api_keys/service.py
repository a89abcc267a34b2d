"""Make, check, list and revoke API keys."""

import secrets
import time
from collections.abc import Iterable
from hashlib import sha256
from uuid import UUID, uuid4

from service.api_keys import records
from service.api_keys.scopes import SCOPES
from service.api_keys.types import ApiKey
from service.errors import NotFound, Unprocessable
from service.http.access import Caller
from service.viewers import principals as checked
from stores.records.database import Database

TOUCH_SECONDS = 60.0


def digest(secret: str) -> bytes:
    """What is stored of a key. A plain hash is enough for 256 random bits: there is nothing to guess."""
    return sha256(secret.encode()).digest()


async def create(
    database: Database,
    workspace: UUID,
    name: str,
    scopes: Iterable[str] = ("*",),
    *,
    principals: Iterable[str] | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its secret, which is not kept. With `principals` it asks chatflows in their name and opens nothing
    else, whatever its scopes.

    Raises `Unprocessable` for an empty name, an unknown scope and principals that are none.
    """
    wanted = frozenset(scopes)
    if not name.strip():
        raise Unprocessable("name: must not be empty")
    if unknown := wanted - SCOPES:
        raise Unprocessable(f"scopes: unknown {', '.join(sorted(unknown))}; known: {', '.join(sorted(SCOPES))}")
    if not wanted:
        raise Unprocessable("scopes: name at least one, or * for all")
    bound = None if principals is None else checked(list(principals))
    secret = secrets.token_urlsafe(32)
    async with database.write(workspace) as scope:
        key = await records.insert(scope, uuid4(), name.strip(), digest(secret), secret[-4:], wanted, bound)
    return key, secret


async def everything(database: Database, workspace: UUID) -> list[ApiKey]:
    """The workspace's living keys, without their secrets."""
    async with database.read(workspace) as scope:
        return await records.everything(scope)


async def revoke(database: Database, workspace: UUID, key_id: UUID) -> None:
    """End a key at once. Raises `NotFound`."""
    async with database.write(workspace) as scope:
        if not await records.revoke(scope, key_id):
            raise NotFound(f"API key {key_id} not found")


class Verifier:
    """Turns presented secrets into callers. Nothing is cached: a revoked key is refused from its next call on."""

    def __init__(self, database: Database) -> None:
        """`database` holds the keys."""
        self._database = database
        self._touched: dict[UUID, float] = {}

    async def __call__(self, secret: str) -> Caller | None:
        """The caller with this key; None when it is unknown or revoked."""
        async with self._database.connection() as connection:
            key = await records.find(connection, digest(secret))
            if key is None:
                return None
            now = time.monotonic()
            if now - self._touched.get(key.id, -TOUCH_SECONDS) >= TOUCH_SECONDS:
                self._touched[key.id] = now
                await records.touch(connection, key.id)
        return Caller(key.workspace, key.id, key.scopes, secret, key.principals)
