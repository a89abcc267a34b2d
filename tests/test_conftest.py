"""The fixtures that all tests lean on keep their promises."""

import socket

import psycopg
import pytest

from stores.records.database import Database
from tests.conftest import NetworkBlocked


def test_a_connection_to_another_machine_is_blocked() -> None:
    with pytest.raises(NetworkBlocked):
        socket.create_connection(("192.0.2.1", 80), timeout=1)


def test_a_name_is_not_looked_up() -> None:
    with pytest.raises(NetworkBlocked):
        socket.getaddrinfo("ragstone.invalid", 80)


def test_this_machine_can_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        for host in ("localhost", "127.0.0.1"):
            socket.create_connection((host, server.getsockname()[1])).close()


async def test_each_test_has_a_migrated_database_of_its_own(database: Database, empty_database_url: str) -> None:
    async with database.connection() as connection:
        await connection.execute("SELECT id FROM workspaces")
    with psycopg.connect(empty_database_url) as empty, pytest.raises(psycopg.errors.UndefinedTable):
        empty.execute("SELECT id FROM workspaces")
