"""Two processes and one Idempotency-Key: whose lease counts, and who may still write. Each `begin` is a process."""

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import pytest

from service.idempotency import records, service
from service.idempotency.service import Execution, KeyReused, StillRunning
from service.idempotency.types import Answer, Asked
from service.keyring import Keyring
from service.vault import Vault
from stores.records.database import Database

FIRST = Answer(200, (("x", "1"),), b"first")
SECOND = Answer(201, (), b"second")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """One that may keep answers, which are sealed."""
    async with Database(database_url, size=4, sealer=Vault(Keyring({1: bytes(range(32))}))) as opened:
        yield opened


@pytest.fixture
def asked() -> Asked:
    return Asked("key:1", str(uuid4()), None, b"f" * 32, "POST /x")


@pytest.fixture
async def lost(database: Database, asked: Asked) -> AsyncIterator[Execution]:
    """An execution whose process has fallen silent: its lease has run out."""
    execution = await begun(database, asked)
    await execute(database, "UPDATE idempotency_keys SET leased_until = now() - interval '1 second'")
    yield execution
    execution._let_go()


async def begun(database: Database, asked: Asked) -> Execution:
    """An execution; only the statements of the test renew its lease."""
    execution = await service.begin(database, asked, 24)
    assert isinstance(execution, Execution)
    execution._let_go()
    return execution


async def execute(database: Database, statement: str) -> None:
    async with database.connection() as connection:
        await connection.execute(statement.encode())


async def replayed(database: Database, asked: Asked) -> Answer:
    answer = await service.begin(database, asked, 24)
    assert isinstance(answer, Answer)
    return answer


async def test_a_living_execution_is_not_taken_up(database: Database, asked: Asked) -> None:
    await begun(database, asked)
    with pytest.raises(StillRunning):
        await service.begin(database, asked, 24)


async def test_one_that_outlasts_its_key_is_neither_taken_up_nor_swept_out(database: Database, asked: Asked) -> None:
    execution = await begun(database, asked)
    await execute(database, "UPDATE idempotency_keys SET expires_at = now() - interval '1 hour'")
    with pytest.raises(StillRunning):
        await service.begin(database, asked, 24)
    async with database.connection() as connection:
        assert await records.forget_expired(connection, 10) == 0
    await execution.keep(FIRST)
    async with database.connection() as connection:
        assert await records.forget_expired(connection, 10) == 1


async def test_a_lost_one_is_taken_up_by_the_same_request_alone(
    database: Database, asked: Asked, lost: Execution
) -> None:
    with pytest.raises(KeyReused):
        await service.begin(database, replace(asked, fingerprint=b"g" * 32), 24)
    assert (await begun(database, asked)).holder != lost.holder


async def test_who_lost_the_lease_neither_renews_nor_frees_nor_answers_for_the_next_one(
    database: Database, asked: Asked, lost: Execution
) -> None:
    following = await begun(database, asked)
    async with database.connection() as connection:
        assert not await records.renew(connection, asked, lost.holder)
        assert await records.renew(connection, asked, following.holder)
    await lost.release()
    with pytest.raises(StillRunning):
        await service.begin(database, asked, 24)
    await lost.keep(FIRST)
    with pytest.raises(StillRunning):
        await service.begin(database, asked, 24)
    await following.keep(SECOND)
    assert await replayed(database, asked) == SECOND


async def test_what_was_answered_stays_whatever_comes_late(database: Database, asked: Asked) -> None:
    execution = await begun(database, asked)
    await execution.keep(FIRST)
    await execution.release()
    await execution.keep(SECOND)
    async with database.connection() as connection:
        assert not await records.renew(connection, asked, execution.holder)
    assert await replayed(database, asked) == FIRST
