"""Migrations: in order, once, whole or not at all, and never against a database they do not know."""

from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import psycopg
import pytest

from stores.records import migrate as module
from stores.records.errors import MigrationError
from stores.records.migrate import QUEUE, QUEUE_PREFIX, Migration, load, migrate, pending, queue_migrations

FIRST = Migration("0001_pre_books", "pre", "CREATE TABLE books (title text); INSERT INTO books VALUES ('100% %s');")
SECOND = Migration("0002_post_pages", "post", "ALTER TABLE books ADD pages int;\n-- done\n")
THIRD = Migration("0003_pre_authors", "pre", "CREATE TABLE authors (name text);")

SCHEMA = """
SELECT 'column', table_name, column_name, concat_ws(' ', data_type, udt_name, is_nullable, column_default)
  FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'schema_migrations'
UNION ALL SELECT 'index', tablename, indexname, indexdef FROM pg_indexes
 WHERE schemaname = 'public' AND tablename <> 'schema_migrations'
UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
 WHERE connamespace = 'public'::regnamespace AND conrelid <> 'schema_migrations'::regclass
UNION ALL SELECT 'function', '', oid::regprocedure::text, prosrc FROM pg_proc
 WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger
 WHERE NOT tgisinternal
UNION ALL SELECT 'label', enumtypid::regtype::text, enumlabel, '' FROM pg_enum
ORDER BY 1, 2, 3, 4
"""


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return {row[0] for row in rows}


def test_they_are_applied_in_order_once_and_recorded(empty_database_url: str) -> None:
    assert pending(empty_database_url, migrations=[FIRST, SECOND]) == ["0001_pre_books", "0002_post_pages"]
    assert tables(empty_database_url) == set()
    assert migrate(empty_database_url, migrations=[FIRST, SECOND]) == ["0001_pre_books", "0002_post_pages"]
    assert migrate(empty_database_url, migrations=[FIRST, SECOND]) == []
    assert migrate(empty_database_url, migrations=[FIRST, SECOND, THIRD]) == ["0003_pre_authors"]
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT * FROM books").fetchall() == [("100% %s", None)]
        rows = connection.execute("SELECT name, checksum FROM schema_migrations ORDER BY position").fetchall()
    assert rows == [(migration.name, migration.checksum) for migration in (FIRST, SECOND, THIRD)]


def test_the_ones_before_new_code_can_go_ahead_of_the_ones_after_old_code(empty_database_url: str) -> None:
    known = [FIRST, SECOND, THIRD]
    assert migrate(empty_database_url, phase="pre", migrations=known) == ["0001_pre_books", "0003_pre_authors"]
    assert pending(empty_database_url, migrations=known) == ["0002_post_pages"]
    assert migrate(empty_database_url, phase="post", migrations=known) == ["0002_post_pages"]


def test_a_failed_one_leaves_nothing_and_those_before_it_stay(empty_database_url: str) -> None:
    broken = Migration("0002_pre_broken", "pre", "CREATE TABLE half (id int); SELECT no_such_function();")
    with pytest.raises(MigrationError, match=r"0002_pre_broken failed and left nothing behind.*no_such_function"):
        migrate(empty_database_url, migrations=[FIRST, broken, THIRD])
    assert tables(empty_database_url) == {"books", "schema_migrations"}
    assert pending(empty_database_url, migrations=[FIRST, THIRD]) == ["0003_pre_authors"]


def test_a_changed_one_is_refused_but_line_endings_do_not_count(empty_database_url: str) -> None:
    migrate(empty_database_url, migrations=[FIRST, SECOND])
    other_endings = Migration(SECOND.name, "post", SECOND.sql.replace("\n", "\r\n"))
    assert migrate(empty_database_url, migrations=[FIRST, other_endings]) == []
    changed = Migration(SECOND.name, "post", SECOND.sql + "-- and more")
    for act in (migrate, pending):
        with pytest.raises(MigrationError, match="0002_post_pages was changed after it was applied"):
            act(empty_database_url, migrations=[FIRST, changed, THIRD])
    assert "authors" not in tables(empty_database_url)


def test_a_newer_database_is_refused(empty_database_url: str) -> None:
    migrate(empty_database_url, migrations=[FIRST, SECOND, THIRD])
    for act in (migrate, pending):
        with pytest.raises(MigrationError, match=r"newer than this version .* 0003_pre_authors"):
            act(empty_database_url, migrations=[FIRST, SECOND])


def test_processes_that_migrate_at_once_take_turns(empty_database_url: str) -> None:
    slow = [Migration(f"{n:04}_pre_t{n}", "pre", f"SELECT pg_sleep(.02); CREATE TABLE t{n} ()") for n in range(1, 6)]
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: migrate(empty_database_url, migrations=slow), range(4)))
    assert sorted(name for names in done for name in names) == [migration.name for migration in slow]


def test_it_does_not_wait_for_ever_for_its_turn_or_for_a_table(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOCK_TIMEOUT", "50ms")
    monkeypatch.setattr(module, "TURN_TIMEOUT", "50ms")
    migrate(empty_database_url, migrations=[FIRST])
    with psycopg.connect(empty_database_url) as reader:
        reader.execute("SELECT * FROM books")
        with pytest.raises(MigrationError, match="0002_post_pages waited 50ms for a table that is in use"):
            migrate(empty_database_url, migrations=[FIRST, SECOND])
        reader.rollback()
        reader.execute("SELECT pg_advisory_xact_lock(%s)", (module._ADVISORY_LOCK,))
        with pytest.raises(MigrationError, match="another process has been migrating this database for 50ms"):
            migrate(empty_database_url, migrations=[FIRST, SECOND])
    assert migrate(empty_database_url, migrations=[FIRST, SECOND]) == ["0002_post_pages"]


def test_a_database_that_is_not_there_is_named_without_the_password(empty_database_url: str) -> None:
    with pytest.raises(MigrationError, match=r"cannot connect .* does not exist") as caught:
        migrate(empty_database_url.replace("/test_", "/no_test_"))
    assert "ragstone:" not in str(caught.value)


def test_the_packaged_ones_are_numbered_once_and_in_order() -> None:
    names = [migration.name for migration in load()]
    ours = [name for name in names if not name.startswith(QUEUE_PREFIX)]
    assert ours[:2] == ["0001_pre_core", QUEUE]
    assert ours == sorted(ours)
    assert len({name[:4] for name in ours}) == len(ours)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["0001_pre_a.sql", "0001_post_b.sql"], "same number"),
        (["1_pre_a.sql"], "NNNN_pre_name.sql"),
        (["0001_pre.sql"], "NNNN_pre_name.sql"),
        (["0001_later_a.sql"], "must be pre or post"),
    ],
)
def test_a_bad_file_name_is_refused(tmp_path: Path, files: list[str], message: str) -> None:
    for file in files:
        (tmp_path / file).write_text("SELECT 1")
    with pytest.raises(MigrationError, match=message):
        load(tmp_path)


def test_other_files_in_the_folder_are_no_migrations(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("about")
    (tmp_path / "0001_pre_a.sql").write_text("SELECT 1")
    assert load(tmp_path) == [Migration("0001_pre_a", "pre", "SELECT 1")]


def test_a_fresh_database_gets_everything(empty_database_url: str) -> None:
    applied = migrate(empty_database_url)
    assert applied == [migration.name for migration in load() if not migration.name.startswith(QUEUE_PREFIX)]
    assert {"workspaces", "procrastinate_jobs"} <= tables(empty_database_url)
    assert pending(empty_database_url) == []


def test_what_a_later_version_of_the_queue_brings_is_applied(database_url: str) -> None:
    later = Migration(f"{QUEUE_PREFIX}99.00.00_01_pre_more", "pre", "CREATE TABLE procrastinate_more (id int)")
    assert migrate(database_url, migrations=[*load(), later]) == [later.name]
    assert migrate(database_url, migrations=[*load(), later]) == []
    with pytest.raises(MigrationError, match="newer than this version"):
        pending(database_url)


def test_a_queue_that_was_migrated_from_its_first_release_is_like_a_fresh_one(empty_database_url: str) -> None:
    # The queue's own migrations, from its first release on, against the schema that the installed version brings.
    packaged = next(migration for migration in load() if migration.name == QUEUE)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("CREATE TABLE schema_migrations (name text)")
        for migration in queue_migrations():
            connection.execute(migration.sql.encode())
        stepwise = connection.execute(SCHEMA.encode()).fetchall()
        connection.rollback()
        connection.execute("CREATE TABLE schema_migrations (name text)")
        connection.execute(packaged.sql.encode())
        fresh = connection.execute(SCHEMA.encode()).fetchall()
        connection.rollback()
    assert stepwise == fresh, f"procrastinate {version('procrastinate')}"
