"""Is this Postgres one that the service can work on? Asked once, when a database is opened by URL."""

import re
from typing import LiteralString

import psycopg
from psycopg.rows import TupleRow

from stores.records.errors import UnreachableServer, UnreadableURL, UnsuitableServer

OLDEST_POSTGRES = 15
OLDEST_PGVECTOR = (0, 8)

_Connection = psycopg.Connection[TupleRow]


def check_server(url: str) -> None:
    """Check the version, pgvector, the encoding and the permissions; raises `UnsuitableServer` naming what is missing.

    Leaves nothing behind: where the extension is not there yet, its creation is tried and rolled back.
    """
    try:
        connection = psycopg.connect(url, connect_timeout=15)
    except psycopg.OperationalError as error:
        raise UnreachableServer(f"the database cannot be reached: {_first_line(error)}") from error
    except psycopg.ProgrammingError as error:
        raise UnreadableURL(f"the database URL cannot be read: {_first_line(error)}") from error
    with connection:
        _check_version(connection)
        _check_encoding(connection)
        _check_schema(connection)
        _check_pgvector(connection)
        connection.rollback()


def versions(url: str) -> tuple[str, str]:
    """The versions of Postgres and of pgvector in this database; "none" where the extension is not there."""
    with psycopg.connect(url, connect_timeout=15) as connection:
        present = _value(connection, "SELECT extversion FROM pg_extension WHERE extname = 'vector'")
        return _value(connection, "SHOW server_version") or "unknown", present or "none"


def _check_version(connection: _Connection) -> None:
    major = connection.info.server_version // 10_000
    if major < OLDEST_POSTGRES:
        raise UnsuitableServer(f"the server is Postgres {major}; Ragstone needs Postgres {OLDEST_POSTGRES} or newer")


def _check_encoding(connection: _Connection) -> None:
    encoding = _value(connection, "SHOW server_encoding")
    if encoding != "UTF8":
        raise UnsuitableServer(
            f"database {connection.info.dbname!r} has the encoding {encoding}; Ragstone needs UTF8: create it with "
            f"CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
        )


def _check_schema(connection: _Connection) -> None:
    if not _value(connection, "SELECT has_schema_privilege(current_schema(), 'CREATE')"):
        raise UnsuitableServer(
            f"role {connection.info.user!r} may not create tables in database {connection.info.dbname!r}: make it the "
            f"owner of the database, or run GRANT CREATE ON SCHEMA public TO {connection.info.user}"
        )


def _check_pgvector(connection: _Connection) -> None:
    offered = _value(connection, "SELECT default_version FROM pg_available_extensions WHERE name = 'vector'")
    present = _value(connection, "SELECT extversion FROM pg_extension WHERE extname = 'vector'")
    oldest = ".".join(map(str, OLDEST_PGVECTOR))
    if present is None and offered is None:
        raise UnsuitableServer(
            f"the server has no pgvector: install pgvector {oldest} or newer on it, or use an image that has it"
        )
    if _numbers(present or offered) < OLDEST_PGVECTOR:
        remedy = "install a newer one on the server"
        if present is not None and offered is not None and _numbers(offered) >= OLDEST_PGVECTOR:
            remedy = "run ALTER EXTENSION vector UPDATE in it as the extension's owner"
        raise UnsuitableServer(
            f"database {connection.info.dbname!r} has pgvector {present or offered}; Ragstone needs {oldest} or newer: "
            f"{remedy}"
        )
    if present is None:
        _try_to_create(connection)
    if _value(connection, "SELECT to_regtype('vector')::text") is None:
        raise UnsuitableServer(
            f"pgvector is in a schema of database {connection.info.dbname!r} that role {connection.info.user!r} does "
            f"not search: add that schema to the role's search_path"
        )


def _try_to_create(connection: _Connection) -> None:
    # The catalogue does not tell: hosted servers let roles create it that are no superusers.
    try:
        connection.execute("CREATE EXTENSION vector")
    except psycopg.errors.InsufficientPrivilege as error:
        raise UnsuitableServer(
            f"role {connection.info.user!r} may not create the extension pgvector in database "
            f"{connection.info.dbname!r}: run CREATE EXTENSION vector in it once as a superuser"
        ) from error
    except psycopg.Error as error:
        raise UnsuitableServer(f"the extension pgvector cannot be created: {_first_line(error)}") from error


def _value(connection: _Connection, sql: LiteralString) -> str | None:
    """The only value of the answer, as the server gives it; None without a row."""
    row = connection.execute(sql).fetchone()
    return row[0] if row else None


def _numbers(version: str | None) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version or "0"))


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
