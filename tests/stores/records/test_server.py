"""A Postgres given by URL is looked at before it is used, and what it lacks is named."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from stores.records import server as module
from stores.records.errors import UnsuitableServer
from stores.records.installation import Account, Installation, environment
from stores.records.server import check_server

DEBIAN = Path("/usr/lib/postgresql/15/bin")


def test_a_suitable_server_passes_and_is_left_as_it_was(empty_database_url: str, database_url: str) -> None:
    check_server(database_url)
    check_server(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


def test_an_older_postgres_is_named(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OLDEST_POSTGRES", 99)
    with pytest.raises(UnsuitableServer, match=r"the server is Postgres 18; Ragstone needs Postgres 99 or newer"):
        check_server(database_url)


def test_an_older_pgvector_is_named(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OLDEST_PGVECTOR", (99, 1))
    with pytest.raises(UnsuitableServer, match=r"has pgvector 0\..*needs 99\.1 or newer: install a newer one"):
        check_server(database_url)


def test_a_role_that_may_not_create_tables_is_named(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        # the owner of the database cannot be kept from its schema public, so there is no schema to create them in
        connection.execute(sql.SQL("ALTER DATABASE {} SET search_path TO nowhere").format(_name(database_url)))
    with pytest.raises(UnsuitableServer, match="may not create tables in database"):
        check_server(database_url)


def test_an_extension_that_only_a_superuser_may_create_is_named(bare_database_url: str) -> None:
    with pytest.raises(UnsuitableServer, match=r"may not create the extension pgvector .* as a superuser"):
        check_server(bare_database_url)


def test_an_extension_out_of_sight_is_named(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA aside")
        connection.execute(sql.SQL("ALTER DATABASE {} SET search_path TO aside").format(_name(database_url)))
    with pytest.raises(UnsuitableServer, match=r"in a schema .* does not search"):
        check_server(database_url)


def test_another_encoding_is_named(administration: psycopg.Connection, empty_database_url: str) -> None:
    administration.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LOCALE_PROVIDER libc LOCALE 'C'")
    try:
        with pytest.raises(UnsuitableServer, match="'latin' has the encoding LATIN1; Ragstone needs UTF8"):
            check_server(urlsplit(empty_database_url)._replace(path="/latin").geturl())
    finally:
        administration.execute("DROP DATABASE latin")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://someone:secret@127.0.0.1:1/db", "cannot be reached"),
        ("postgresql://someone:secret@127.0.0.1/db?no_such=option", "cannot be read"),
    ],
)
def test_a_url_that_leads_nowhere_is_told_without_its_password(url: str, message: str) -> None:
    with pytest.raises(UnsuitableServer, match=message) as caught:
        check_server(url)
    assert "secret" not in str(caught.value)


@pytest.mark.skipif(not DEBIAN.exists(), reason="this machine has no Postgres without pgvector")
def test_a_server_without_pgvector_is_named(bare_server: str) -> None:
    with pytest.raises(UnsuitableServer, match=r"the server has no pgvector: install pgvector 0.8 or newer"):
        check_server(bare_server)


def _name(url: str) -> sql.Identifier:
    return sql.Identifier(urlsplit(url).path.removeprefix("/"))


@pytest.fixture
def bare_database_url(administration: psycopg.Connection, empty_database_url: str) -> Iterator[str]:
    """A database without pgvector, as on a server where nobody created it."""
    administration.execute("CREATE DATABASE bare TEMPLATE template0")
    yield urlsplit(empty_database_url)._replace(path="/bare").geturl()
    administration.execute("DROP DATABASE bare WITH (FORCE)")


@pytest.fixture
def bare_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The system's own Postgres, on a Unix socket."""
    folder = tmp_path_factory.mktemp("bare")
    account = Account.for_folder(Path("/"))
    data = folder / "data"
    data.mkdir(mode=0o700)
    os.chown(data, account.effective_uid, -1)
    debian = Installation(DEBIAN, 15, "none")
    access = [(data, os.R_OK | os.W_OK | os.X_OK)]
    options = ["-D", str(data), "-U", "ragstone", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
    command = debian.command("initdb", *options, account=account, needs=access)
    subprocess.run(command, env=environment(), check=True, capture_output=True)
    options = ["-D", str(data), "-k", str(data), "-c", "listen_addresses=", "-c", "fsync=off"]
    command = debian.command("postgres", *options, account=account, needs=access)
    with subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        while "ready to accept connections" not in server.stderr.readline():
            assert server.poll() is None
        yield f"postgresql://ragstone@/postgres?host={data}"
        server.terminate()
