"""Doing a request once: take its key, execute, keep the answer, replay it."""

import asyncio
import logging
from contextlib import suppress
from uuid import UUID, uuid4

from service.errors import Conflict, Unprocessable
from service.idempotency import records
from service.idempotency.types import LEASE_SECONDS, MAX_BODY, MAX_KEY, Answer, Asked
from service.resources import Resources
from service.worker.postgres import OUT_OF_REACH
from stores.records.database import Connection, Database

log = logging.getLogger("ragstone.idempotency")

HEADER = "Idempotency-Key"

RENEW_SECONDS = LEASE_SECONDS / 3

FORGOTTEN_AT_ONCE = 1000
"""Expired keys removed in one statement."""


class KeyUnusable(Unprocessable):
    """Idempotency-Key: must be 1 to 255 printable ASCII characters"""

    code = "idempotency_key_unusable"


class KeyReused(Unprocessable):
    """Idempotency-Key: this key was sent with another request"""

    code = "idempotency_key_reused"


class StillRunning(Conflict):
    """Idempotency-Key: the first request with this key is still executed; ask again in a moment"""

    code = "idempotency_key_in_use"


class AnswerNotKept(Conflict):
    """Idempotency-Key: the request was executed, but its answer was too large to be kept, or was not to be kept"""

    code = "idempotency_answer_not_kept"


def key_of(header: str) -> str:
    """The key in a header's value: as it stands, or inside the quotes that the IETF draft asks for.

    Raises `KeyUnusable`.
    """
    key = header.strip()
    if len(key) > 1 and key.startswith('"') and key.endswith('"'):
        key = key[1:-1]
    if not 1 <= len(key) <= MAX_KEY or not key.isascii() or not key.isprintable():
        raise KeyUnusable
    return key


class Execution:
    """The one execution of a request; its key is taken until `keep` or `release`, and its lease renewed meanwhile."""

    def __init__(self, database: Database, asked: Asked) -> None:
        """The key is taken already, by `holder`."""
        self._database = database
        self._asked = asked
        self.holder = uuid4()
        self._renewing: asyncio.Task[None] | None = None

    def hold(self) -> None:
        """Renew the lease from now on."""
        self._renewing = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        held = True
        while held:
            await asyncio.sleep(RENEW_SECONDS)
            with suppress(*OUT_OF_REACH):  # the lease runs on for a while
                async with self._database.connection() as connection:
                    held = await records.renew(connection, self._asked, self.holder)

    async def keep(self, answer: Answer) -> None:
        """Store the answer; from now on it is replayed."""
        self._let_go()
        async with self._database.connection() as connection:
            if not await records.keep(connection, self._asked, self.holder, answer):
                log.warning("%s: the lease of its key was lost while it ran", self._asked.request)

    async def release(self) -> None:
        """Free the key: the next request with it is executed."""
        self._let_go()
        async with self._database.connection() as connection:
            await records.release(connection, self._asked, self.holder)

    def _let_go(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()


async def begin(database: Database, asked: Asked, hours: float) -> Execution | Answer:
    """The execution of a request that has none yet, else its first answer.

    Raises `KeyReused` for another request under the key, `StillRunning`, `AnswerNotKept`.
    """
    while True:
        execution = Execution(database, asked)
        async with database.connection() as connection:
            if await records.claim(connection, asked, execution.holder, hours):
                execution.hold()
                return execution
            entry = await records.find(connection, asked.owner, asked.key)
        if entry is None:
            continue  # it was freed in between
        if entry.fingerprint != asked.fingerprint:
            which = f" ({entry.request})" if asked.workspace is not None else ""  # an address may be that of many
            raise KeyReused(f"{HEADER}: this key was sent before with another request{which}")
        if entry.answer is None:
            raise StillRunning(headers={"Retry-After": "1"})
        if entry.answer.body is None:
            raise AnswerNotKept(
                f"{HEADER}: the request was executed and answered with {entry.answer.status}, but the answer was larger"
                f" than the {MAX_BODY} bytes that are kept"
            )
        return entry.answer


async def reserve(connection: Connection, asked: Asked, holder: UUID, hours: float) -> bool:
    """Remember for so long, in the caller's transaction, that `holder` came first under a key; False when somebody did
    before. For features that tell a repeated request by something of their own: no answer is kept, and owners of theirs
    are no caller's."""
    return await records.reserve(connection, asked, holder, hours)


async def first(database: Database, asked: Asked, holder: UUID, hours: float) -> UUID:
    """Who came first under a key (`reserve`): `holder`, unless there is one."""
    while True:
        async with database.connection() as connection:
            if await records.reserve(connection, asked, holder, hours):
                return holder
            found = await records.holder_of(connection, asked)
        if found is not None:  # else it expired in between
            return found


async def forget_expired(resources: Resources) -> int:
    """Remove the keys that have had their time; says how many."""
    forgotten = 0
    while True:
        async with resources.database.connection() as connection:
            count = await records.forget_expired(connection, FORGOTTEN_AT_ONCE)
        forgotten += count
        if count < FORGOTTEN_AT_ONCE:
            return forgotten
