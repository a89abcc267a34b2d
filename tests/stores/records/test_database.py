"""The pool, transactions and scopes."""

import asyncio
from uuid import uuid4

import psycopg
import pytest

from stores.records.database import Database


async def test_a_transaction_is_whole_or_nothing(database: Database) -> None:
    async def fail_half_way() -> None:
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO instance_facts VALUES ('a', '1')")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        await fail_half_way()
    async with database.transaction() as connection:
        await connection.execute("INSERT INTO instance_facts VALUES ('b', '2')")
    async with database.connection() as connection:
        rows = await (await connection.execute("SELECT name FROM instance_facts WHERE name IN ('a', 'b')")).fetchall()
    assert rows == [{"name": "b"}]


async def test_a_scope_knows_its_workspace(database: Database) -> None:
    workspace = uuid4()
    async with database.write(workspace) as scope:
        await scope.run("INSERT INTO workspaces (id, name) VALUES (%(workspace)s, %(name)s)", name="mine")
        await scope.many(
            "INSERT INTO instance_facts VALUES (%(name)s, %(workspace)s::text)", [{"name": "x"}, {"name": "y"}]
        )
        await scope.many("INSERT INTO instance_facts VALUES (%(name)s, '')", [])
    async with database.read(workspace) as scope:
        assert await scope.one("SELECT name FROM workspaces WHERE id = %(workspace)s") == {"name": "mine"}
        assert len(await scope.all("SELECT name FROM instance_facts WHERE value = %(workspace)s::text")) == 2
        assert await scope.one("SELECT name FROM workspaces WHERE id = %(other)s", other=uuid4()) is None
        assert await scope.run("UPDATE workspaces SET name = 'ours' WHERE id = %(workspace)s") == 1


async def test_a_connection_that_the_server_closed_is_replaced(
    database: Database, administration: psycopg.Connection
) -> None:
    async with database.connection() as connection:
        pid = connection.info.backend_pid
    administration.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,))
    async with database.connection() as connection:
        assert connection.info.backend_pid != pid
        assert await (await connection.execute("SELECT 1 AS one")).fetchone() == {"one": 1}


async def test_a_task_that_is_cancelled_as_it_gets_a_connection_ends(database_url: str) -> None:
    async def work() -> None:
        for take in (database.connection, database.transaction):
            async with take() as connection:
                await connection.execute("SELECT 1")

    async with Database(database_url, size=1) as database:
        ended = []
        for steps in range(12):  # of the event loop, from the connection's return to the cancellation
            async with database.connection():
                task = asyncio.create_task(work())
                while not database.pool.get_stats()["requests_waiting"]:  # noqa: ASYNC110 - the pool has no event for it
                    await asyncio.sleep(0)
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
            ended.append(task.cancelled())
            async with database.connection() as connection:  # the only one has come back
                await connection.execute("SELECT 1")
    assert all(ended), ended
