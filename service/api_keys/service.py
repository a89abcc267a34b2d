"""Make, check, list and revoke API keys."""

import secrets
import time
from collections.abc import Iterable
from hashlib import sha256
from uuid import UUID, uuid4

from service.api_keys import records
from service.api_keys.scopes import ACTIONS, SCOPES
from service.api_keys.types import ApiKey, BoundFlow
from service.errors import BadRequest, NotFound, Unprocessable
from service.http.access import FULL, Caller
from service.viewers import principals as checked
from stores.records.database import Database, Scope

TOUCH_SECONDS = 60.0


class NotYours(BadRequest):
    """Nobody gives away permissions that they do not have."""

    code = "permission_not_held"


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


def scopes_of(*areas: str) -> frozenset[str]:
    """Every scope of these areas."""
    return frozenset(f"{area}:{action}" for area in areas for action in ACTIONS[area].split())


def granted(holder: frozenset[str], scopes: Iterable[str]) -> frozenset[str]:
    """The scopes, which whoever gives them must have. Raises `NotYours`, `BadRequest` for unknown ones."""
    wanted = frozenset(scopes)
    if unknown := wanted - SCOPES:
        raise BadRequest(f"permissions: unknown {', '.join(sorted(unknown))}; known: {', '.join(sorted(SCOPES))}")
    if FULL not in holder and (more := wanted - holder):
        raise NotYours(f"permissions: your key does not have {', '.join(sorted(more))}")
    return wanted


async def update(
    database: Database,
    workspace: UUID,
    key_id: UUID,
    name: str,
    scopes: frozenset[str],
    holder: frozenset[str] = frozenset({FULL}),
) -> None:
    """Give a key a name and scopes; they count from its next call on. Raises `NotFound`, and `NotYours` for a key that
    may more than `holder`, who changes it."""
    async with database.write(workspace) as scope:
        await _touchable(scope, key_id, holder)
        if not await records.update(scope, key_id, name, scopes):
            raise missing(key_id)


async def _touchable(scope: Scope, key_id: UUID, holder: frozenset[str]) -> None:
    """Whether whoever has these scopes may change or end a key: nobody takes permissions that they do not have, or a
    key for keys alone would shut out every other."""
    if FULL in holder:
        return
    key = await records.living(scope, key_id)
    if key is not None and (more := key.scopes - holder):
        raise NotYours(f"permissions: the key has {', '.join(sorted(more))}, which yours does not have")


async def with_flows(database: Database, workspace: UUID) -> list[tuple[ApiKey, list[BoundFlow]]]:
    """The workspace's living keys, and the flows that are bound to each."""
    async with database.read(workspace) as scope:
        keys, flows = await records.everything(scope), await records.bound(scope)
    return [(key, [flow for flow in flows if flow.key == key.id]) for key in keys]


def missing(key_id: UUID) -> NotFound:
    """There is no such key: the message names it."""
    return NotFound(f"API key {key_id} not found")


async def everything(database: Database, workspace: UUID) -> list[ApiKey]:
    """The workspace's living keys, without their secrets."""
    async with database.read(workspace) as scope:
        return await records.everything(scope)


async def revoke(database: Database, workspace: UUID, key_id: UUID, holder: frozenset[str] = frozenset({FULL})) -> None:
    """End a key at once. Raises `NotFound`, and `NotYours` for a key that may more than `holder`, who ends it."""
    async with database.write(workspace) as scope:
        await _touchable(scope, key_id, holder)
        if not await records.revoke(scope, key_id):
            raise missing(key_id)


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
