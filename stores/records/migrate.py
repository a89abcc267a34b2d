"""Numbered SQL migrations, in the files `migrations/NNNN_pre_name.sql` and `NNNN_post_name.sql`.

`pre` migrations suit the code before and after them and are applied before new code runs; `post` ones once the old code
is gone. Each is one transaction that also records it in `schema_migrations`, so a failed one leaves nothing. The
transactions take one advisory lock, so processes that migrate at once take turns. An applied file must never change.

The queue's tables are Procrastinate's, and its package brings them: a fresh database gets the packaged schema as
`0002_pre_queue`, with the package's migrations so far noted as contained in it; what a later version of the package
adds is applied after our own, under names that start with `procrastinate/`.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from itertools import pairwise
from typing import Literal

import psycopg
from psycopg.rows import TupleRow

from stores.records.errors import MigrationError

Phase = Literal["pre", "post"]

QUEUE = "0002_pre_queue"
QUEUE_PREFIX = "procrastinate/"

TURN_TIMEOUT = "600s"
"""How long to wait for another process that is migrating."""

LOCK_TIMEOUT = "10s"
"""How long a migration waits for a table that others use, holding up everybody behind it."""

_ADVISORY_LOCK = 0x7261677374  # any number that only migrations use

_Connection = psycopg.Connection[TupleRow]


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema."""

    name: str
    """File name without `.sql`; names sort in the order of application."""

    phase: Phase
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the SQL, independent of line endings; constant for what Procrastinate's package brings."""
        if self.name == QUEUE or self.name.startswith(QUEUE_PREFIX):
            return "the package's own"
        return hashlib.sha256(self.sql.replace("\r\n", "\n").encode()).hexdigest()


def load(folder: Traversable | None = None) -> list[Migration]:
    """The migrations of a folder in order: ours, with the queue's, when none is given.

    Raises `MigrationError` for a badly named file or a number that is used twice.
    """
    ours = folder or resources.files("stores.records") / "migrations"
    files = [file for file in ours.iterdir() if file.name.endswith(".sql")]
    found = [_parse(file.name, file.read_text(encoding="utf-8")) for file in files]
    if folder is None:
        found.append(Migration(QUEUE, "pre", _queue_files().joinpath("schema.sql").read_text(encoding="utf-8")))
    found.sort(key=lambda migration: migration.name)
    for before, after in pairwise(found):
        if before.name[:4] == after.name[:4]:
            raise MigrationError(f"two migrations have the same number: {before.name} and {after.name}")
    return [*found, *queue_migrations()] if folder is None else found


def queue_migrations() -> list[Migration]:
    """The migrations in Procrastinate's package, in order. All are contained in the schema of the same package."""
    files = sorted(file.name for file in _queue_files().joinpath("migrations").iterdir() if file.name.endswith(".sql"))
    return [
        Migration(
            QUEUE_PREFIX + name.removesuffix(".sql"),
            "post" if "_post_" in name else "pre",
            _queue_files().joinpath("migrations", name).read_text(encoding="utf-8"),
        )
        for name in files
    ]


def migrate(url: str, *, phase: Phase | None = None, migrations: list[Migration] | None = None) -> list[str]:
    """Apply what is pending, in order; returns the names of what this call applied.

    `phase` limits it to the `pre` or the `post` migrations, for a cluster that is updated machine by machine.
    Raises `MigrationError` when an applied file was changed, when the database is newer than this code, when a table
    stays locked, or when a migration fails; what was applied before it stays.
    """
    known = load() if migrations is None else migrations
    applied: list[str] = []
    with _connect(url) as connection:
        while (name := _apply_next(connection, known, phase)) is not None:
            applied.append(name)
    return applied


def pending(url: str, *, phase: Phase | None = None, migrations: list[Migration] | None = None) -> list[str]:
    """The names of what `migrate` would apply, in order; writes nothing. Raises `MigrationError` as `migrate` does."""
    known = load() if migrations is None else migrations
    with _connect(url) as connection:
        return [migration.name for migration in _open(known, _applied(connection), phase)]


def _parse(file: str, sql: str) -> Migration:
    name = file.removesuffix(".sql")
    number, _, rest = name.partition("_")
    phase, _, title = rest.partition("_")
    if len(number) != 4 or not number.isdigit() or not title:
        raise MigrationError(f"{file} is no name for a migration: it must be NNNN_pre_name.sql or NNNN_post_name.sql")
    if phase == "pre":
        return Migration(name, "pre", sql)
    if phase == "post":
        return Migration(name, "post", sql)
    raise MigrationError(f"{file} is no name for a migration: the word after the number must be pre or post")


def _queue_files() -> Traversable:
    return resources.files("procrastinate") / "sql"


def _connect(url: str) -> _Connection:
    try:
        return psycopg.connect(url, autocommit=True, connect_timeout=30)
    except psycopg.OperationalError as error:
        raise MigrationError(f"cannot connect to the database to migrate it: {str(error).strip()}") from error


def _applied(connection: _Connection) -> dict[str, str]:
    """Names and checksums in the order they were applied; empty for a fresh database."""
    row = connection.execute("SELECT to_regclass('schema_migrations') IS NOT NULL").fetchone()
    if row is None or not row[0]:
        return {}
    return dict(connection.execute("SELECT name, checksum FROM schema_migrations ORDER BY position").fetchall())


def _open(known: list[Migration], applied: Mapping[str, str], phase: Phase | None) -> Iterator[Migration]:
    """What is yet to apply, once all that was applied is known and unchanged."""
    names = {migration.name for migration in known}
    newer = sorted(set(applied) - names)
    if newer:
        raise MigrationError(
            f"the database is newer than this version of Ragstone: it holds {', '.join(newer)}. "
            f"Run the version that wrote it, or restore the backup from before the update"
        )
    for migration in known:
        if migration.name in applied and applied[migration.name] != migration.checksum:
            raise MigrationError(
                f"migration {migration.name} was changed after it was applied to this database: "
                f"restore the file and put the change into a new migration"
            )
    return (migration for migration in known if migration.name not in applied and phase in (None, migration.phase))


def _apply_next(connection: _Connection, known: list[Migration], phase: Phase | None) -> str | None:
    """Apply the first pending migration in a transaction of its own; returns its name, None when nothing is pending."""
    with connection.transaction():
        _take_turn(connection)
        migration = next(_open(known, _applied(connection), phase), None)
        if migration is None:
            return None
        try:
            # simple protocol: one string may hold many statements, and % has no meaning in it
            connection.execute(migration.sql.encode())
        except psycopg.errors.LockNotAvailable as error:
            raise MigrationError(
                f"migration {migration.name} waited {LOCK_TIMEOUT} for a table that is in use and gave up; nothing was "
                f"changed. Run it again when less is going on"
            ) from error
        except psycopg.Error as error:
            raise MigrationError(
                f"migration {migration.name} failed and left nothing behind: {str(error).strip()}"
            ) from error
        contained = queue_migrations() if migration.name == QUEUE else []
        for done in (migration, *contained):
            connection.execute(
                "INSERT INTO schema_migrations (name, checksum) VALUES (%s, %s)", (done.name, done.checksum)
            )
        return migration.name


def _take_turn(connection: _Connection) -> None:
    """Wait until no other process migrates; held until the transaction ends, so it also works behind a pooler."""
    connection.execute("SELECT set_config('lock_timeout', %s, true)", (TURN_TIMEOUT,))
    try:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_ADVISORY_LOCK,))
    except psycopg.errors.LockNotAvailable as error:
        raise MigrationError(f"another process has been migrating this database for {TURN_TIMEOUT}") from error
    connection.execute("SELECT set_config('lock_timeout', %s, true)", (LOCK_TIMEOUT,))
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations ("
        " name text PRIMARY KEY,"
        " checksum text NOT NULL,"
        " applied_at timestamptz NOT NULL DEFAULT now(),"
        " position integer GENERATED ALWAYS AS IDENTITY)"
    )
