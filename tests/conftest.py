"""What every test may ask for: a real Postgres, a migrated database of its own, and no network but this machine."""

import ctypes
import os
import random
import shutil
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import hypothesis
import psycopg
import pytest
from psycopg import sql

from stores.records.database import Database
from stores.records.embedded import EmbeddedPostgres
from stores.records.migrate import migrate

TEMPLATE = "template_migrated"
PATIENCE = 100
SEED = 20261122
_numbers = count(1)

# The same examples each time; `--hypothesis-profile default` looks further. No example is too slow for a busy machine.
hypothesis.settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(autouse=True, scope="module")
def memory() -> Iterator[None]:
    """What a file's tests gave back goes back to the system. Where glibc keeps it, an arena for each thread, it grew to
    gigabytes over the thousands of applications that are started here."""
    yield
    if hasattr(library := ctypes.CDLL(None), "malloc_trim"):
        library.malloc_trim(0)


class NetworkBlocked(AssertionError):
    """A test wanted to reach another machine."""


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets reach this machine only (Unix sockets and loopback), and no name server is asked."""

    def guarded(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: socket.socket, *arguments: Any) -> Any:
            # sendto has the address last; the other two have nothing else
            if self.family in (socket.AF_INET, socket.AF_INET6):
                _must_be_here(arguments[-1][0])
            return method(self, *arguments)

        return call

    def resolve(host: bytes | str | None, *arguments: Any, **options: Any) -> Any:
        _must_be_here(host)
        return getaddrinfo(host, *arguments, **options)

    getaddrinfo = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, guarded(getattr(socket.socket, name)))


def _must_be_here(host: bytes | str | None) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name and name not in ("localhost", "::1", "::", "0.0.0.0") and not name.startswith("127."):
        raise NetworkBlocked(f"a test wanted to reach {name}: only this machine is allowed")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """What the choices of a random test grow from: the variable SEED, else always the same, so that a change is judged
    by what it changed. The long variants (`make soak`) look further: theirs is another one each time."""
    if given := os.environ.get("SEED"):
        return int(given)
    return random.SystemRandom().randrange(10**6) if request.node.get_closest_marker("bench") else SEED


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """The embedded Postgres of the session, without fsync. It ends with the session, also when pytest is killed."""
    folder = tmp_path_factory.mktemp("postgres")
    with EmbeddedPostgres(folder, durable=False) as server:
        yield server
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def administration(postgres: EmbeddedPostgres) -> Iterator[psycopg.Connection]:
    """A connection in autocommit mode that may create and drop databases."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def template(postgres: EmbeddedPostgres, administration: psycopg.Connection) -> str:
    """The name of a database with every migration applied, to be cloned."""
    administration.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
    migrate(url_of(postgres, TEMPLATE))
    return TEMPLATE


def url_of(postgres: EmbeddedPostgres, name: str) -> str:
    """The URL of another database of the same server."""
    return urlsplit(postgres.url)._replace(path=f"/{name}").geturl()


def _cloned(postgres: EmbeddedPostgres, administration: psycopg.Connection, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    identifier = sql.Identifier(name)
    administration.execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(identifier, sql.Identifier(template))
    )
    yield url_of(postgres, name)
    _drop(administration, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


def _drop(administration: psycopg.Connection, statement: sql.Composed) -> None:
    """Drop a database. An autovacuum worker in it belongs to the server and cannot be ended, but it ends soon."""
    for patience in range(PATIENCE, -1, -1):
        try:
            administration.execute(statement)
        except psycopg.errors.InsufficientPrivilege:
            if not patience:
                raise
            time.sleep(0.1)
        else:
            return


@pytest.fixture
def database_url(postgres: EmbeddedPostgres, administration: psycopg.Connection, template: str) -> Iterator[str]:
    """The URL of a migrated database of this test's own, dropped afterwards."""
    yield from _cloned(postgres, administration, template)


@pytest.fixture
def empty_database_url(postgres: EmbeddedPostgres, administration: psycopg.Connection) -> Iterator[str]:
    """The URL of a database of this test's own without any migration."""
    yield from _cloned(postgres, administration, "template1")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The test's own migrated database, opened."""
    async with Database(database_url, size=4) as opened:
        yield opened
