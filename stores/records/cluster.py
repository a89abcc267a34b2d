"""The files of one embedded Postgres: where they lie, who owns them, how they come to be.

    FOLDER/            0700 (0711 when root runs Postgres as `nobody`: the folder stays root's)
      data/            the cluster: Postgres's own, nobody else writes there
      log/             the server's log, one file per weekday
      socket/          the Unix socket, unless its path would be too long for a socket
      password         of the role `ragstone`, 0600
      postgresql.conf  written at each start; settings of your own go into custom.conf, which it then includes
      pg_hba.conf      written at each start
      socket-folder    where the socket is
      pgvector         the version of the extension in the databases
      start.log        what Postgres said before its log was open
      lock             held by the process that runs this Postgres

Root never writes into a folder that another user owns, so that user cannot turn its writes elsewhere with a link.
"""

import os
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from stores.records.errors import EmbeddedPostgresError
from stores.records.installation import Account, Installation, environment
from stores.records.memory import MIB, index_memory, memory_bytes, shared_buffers

ROLE = "ragstone"
"""Name of the role and of the database. The role owns the database and may create others; it is no superuser."""

SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_LIMIT = 103
"""Bytes that a socket's path may have on every supported system (macOS: 104 with its NUL, Linux: 108)."""

_UNFINISHED = "data.unfinished-"
_HALF_WRITTEN = ".writing-"

# Modest enough for a laptop. WAL is minimal because nothing replicates from an embedded server.
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "work_mem": "8MB",
    "autovacuum_work_mem": "256MB",
    "effective_cache_size": "1GB",
    "max_worker_processes": "4",
    # an index is built beside searches: they keep half of the cores
    "max_parallel_maintenance_workers": str(max((os.cpu_count() or 1) // 2 - 1, 0)),
    "io_workers": "2",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "1GB",
    "min_wal_size": "80MB",
    "wal_compression": "on",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "autovacuum": "on",
    "autovacuum_max_workers": "2",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "lc_messages": "C",
    "cluster_name": "ragstone",
    "logging_collector": "on",
    "log_filename": "postgres-%a.log",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_truncate_on_rotation": "on",
    "log_file_mode": "0600",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%d ",
    "log_checkpoints": "off",
}
_FORGETFUL = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "128MB"}


@dataclass(frozen=True, slots=True)
class Cluster:
    """The folder of one embedded Postgres. `durable=False` gives up crash safety for speed: for tests only."""

    folder: Path
    account: Account
    installation: Installation
    durable: bool = True

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.folder / "data"

    @property
    def foreign(self) -> bool:
        """True when Postgres runs as a user that does not own the folder itself."""
        return self.account.effective_uid != self.folder.stat().st_uid

    def prepare(self) -> None:
        """Create the folder and what lies beside the data. Raises `EmbeddedPostgresError` when it is another user's."""
        owner = self.folder.stat().st_uid
        if os.geteuid() not in (0, owner):
            raise EmbeddedPostgresError(
                f"{self.folder} belongs to user {owner}, not to you (user {os.geteuid()}): "
                f"start as that user, or give the folder away with chown -R"
            )
        if self.data.exists() and (held := self.data.stat().st_uid) != self.account.effective_uid:
            raise EmbeddedPostgresError(
                f"{self.data} belongs to user {held} and Postgres would run as user {self.account.effective_uid}: "
                f"start as the user that created it, or give the folder away with chown -R"
            )
        self.folder.chmod(0o711 if self.foreign else 0o700)
        for leftover in self.folder.glob(f"{_HALF_WRITTEN}*"):
            leftover.unlink()
        self._make(self.folder / "log")

    def create(self) -> None:
        """Make the data directory unless it is there; one that was interrupted half way is thrown away and repeated.

        Raises `EmbeddedPostgresError` when initdb fails, and for data of another major version of Postgres.
        """
        for leftover in self.folder.glob(f"{_UNFINISHED}*"):
            # a child of the killed initdb may still write there; what resists goes at the next start
            shutil.rmtree(leftover, ignore_errors=True)
        if self.data.exists():
            self._check_version()
            return
        password = secrets.token_urlsafe(32)
        place = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self.folder))
        self._give_away(place)
        self._init(place, password)
        self.write("password", password, mode=0o600)
        self.write("pgvector", self.installation.pgvector)
        place.rename(self.data)
        if self.durable:
            _sync(self.folder)

    def update_extension(self) -> None:
        """Bring pgvector in the databases to the version of the wheel; the server must be stopped."""
        if self._read("pgvector") == self.installation.pgvector:
            return
        for database in ("template1", ROLE):
            self._single(self.data, database, "ALTER EXTENSION vector UPDATE;\n")
        self.write("pgvector", self.installation.pgvector)

    def password(self) -> str:
        """The password of the role. Raises `EmbeddedPostgresError` when its file is lost."""
        password = self._read("password")
        if password is None:
            raise EmbeddedPostgresError(
                f"{self.folder / 'password'} is missing or not readable; without it nobody can log in: "
                f"restore it from a backup"
            )
        return password

    def configure(self) -> Path:
        """Write both configuration files for this start; returns the socket's folder, which exists afterwards.

        No server of this folder may be running: what a killed one left in the socket's folder is removed.
        """
        socket = self._socket_folder()
        for name in (SOCKET_NAME, f"{SOCKET_NAME}.lock"):
            (socket / name).unlink(missing_ok=True)
        memory = memory_bytes()
        for_index = index_memory(memory)
        settings = {
            **_SETTINGS,
            "shared_buffers": f"{shared_buffers(memory)}MB",
            "maintenance_work_mem": f"{for_index}MB",
            **({} if self.durable else _FORGETFUL),
            "data_directory": str(self.data),
            "hba_file": str(self.folder / "pg_hba.conf"),
            "log_directory": str(self.folder / "log"),
            # a comma-separated list, hence the double quotes inside
            "unix_socket_directories": '"' + str(socket).replace('"', '""') + '"',
            "dynamic_shared_memory_type": _shared_memory_type(2 * for_index * MIB),
        }
        lines = ["# Written by Ragstone at each start. Put settings of your own into custom.conf beside this file."]
        lines += [f"{name} = {_quoted(value)}" for name, value in settings.items()]
        custom = self.folder / "custom.conf"
        if custom.exists():
            lines.append(f"include = {_quoted(str(custom))}")
        self.write("postgresql.conf", "\n".join(lines) + "\n")
        self.write("pg_hba.conf", f"# Only this role, only through the Unix socket.\nlocal all {ROLE} scram-sha-256\n")
        self.write("socket-folder", str(socket))
        return socket

    def recorded_socket(self) -> Path | None:
        """The socket's folder at the latest start, None before the first."""
        recorded = self._read("socket-folder")
        return Path(recorded) if recorded else None

    def drop_socket_folder(self) -> None:
        """Remove the socket's folder when it is a private one outside this folder."""
        socket = self.recorded_socket()
        if socket is not None and socket.parent != self.folder and self._is_private(socket):
            shutil.rmtree(socket, ignore_errors=True)

    def server_command(self) -> list[str]:
        """The command line of the server; it gets a fast shutdown when its supervisor dies (Linux)."""
        config = self.folder / "postgresql.conf"
        arguments = ["-D", str(self.data), "-c", f"config_file={config}"]
        return self._command("postgres", *arguments, needs=[(config, os.R_OK)], place=self.data, death=signal.SIGINT)

    def memory_in_use(self) -> bool:
        """True when the latest start failed because sessions of a killed server had not ended yet."""
        return "pre-existing shared memory block" in (self._read("start.log") or "")

    def log_tail(self, lines: int = 15) -> str:
        """The last lines that Postgres wrote, from before and after its log was open."""
        start = self.folder / "start.log"
        said: list[str] = []
        for path in [start, *sorted((self.folder / "log").glob("*.log"), key=lambda path: path.stat().st_mtime)[-1:]]:
            # a log older than the start is about an earlier run
            if path.is_file() and not path.is_symlink() and path.stat().st_mtime >= start.stat().st_mtime:
                said += path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
        return "\n".join(said[-lines:])

    def write(self, name: str, text: str, *, mode: int = 0o644) -> None:
        """Replace a file of the folder at once, with `mode`, owned by the folder's owner."""
        handle, temporary = tempfile.mkstemp(prefix=_HALF_WRITTEN, dir=self.folder)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
            if os.geteuid() == 0:
                owner = self.folder.stat()
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            if self.durable:
                file.flush()
                os.fsync(file.fileno())
        Path(temporary).replace(self.folder / name)

    def _read(self, name: str) -> str | None:
        try:
            return (self.folder / name).read_text(encoding="utf-8").strip() or None
        except (FileNotFoundError, PermissionError):
            return None

    def _check_version(self) -> None:
        try:
            found = (self.data / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            raise EmbeddedPostgresError(
                f"{self.data} is no Postgres data directory (it has no PG_VERSION): restore it from a backup or move "
                f"it away to start empty"
            ) from None
        if found != str(self.installation.major):
            raise EmbeddedPostgresError(
                f"the data in {self.data} was written by Postgres {found}, but the installed one is "
                f"Postgres {self.installation.major}, which cannot read it. Install the version of Ragstone that wrote "
                f"it, dump the database with pg_dump, move the folder away and restore the dump with this version"
            )

    def _init(self, place: Path, password: str) -> None:
        options = ["-D", str(place), "-U", "postgres", "--auth=reject", "--encoding=UTF8", "--data-checksums"]
        options += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if not self.durable:
            options += ["--no-sync", "--wal-segsize=1"]
        self._run(self._command("initdb", *options, needs=[], place=place), "")
        # in template1, so that every database has it: pgvector may only be created by a superuser
        self._single(place, "template1", "CREATE EXTENSION vector;\n")
        self._single(
            place,
            "postgres",
            f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{password}';\nCREATE DATABASE {ROLE} OWNER {ROLE};\n",
        )

    def _single(self, place: Path, database: str, statements: str) -> None:
        """Run statements as the superuser, without a server; each must be one line."""
        options = ["--single", "-D", str(place), "-c", "exit_on_error=true", "-c", "log_checkpoints=off"]
        if not self.durable:
            options += ["-c", "fsync=off"]
        self._run(self._command("postgres", *options, database, needs=[], place=place), statements)

    def _run(self, command: list[str], stdin: str) -> None:
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, errors="replace", env=environment(), check=False
        )
        if done.returncode != 0:
            said = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
            raise EmbeddedPostgresError(
                f"the embedded Postgres in {self.folder} could not be prepared (status {done.returncode}). "
                f"Check that the disk has room and the folder can be written. It said:\n{said}"
            )

    def _command(
        self,
        program: str,
        *arguments: str,
        needs: list[tuple[Path, int]],
        place: Path,
        death: signal.Signals = signal.SIGTERM,
    ) -> list[str]:
        share = self.installation.bin.parent / "share"
        access = [(place, os.R_OK | os.W_OK | os.X_OK), (share, os.R_OK | os.X_OK), *needs]
        return self.installation.command(program, *arguments, account=self.account, needs=access, death=death)

    def _socket_folder(self) -> Path:
        """The folder for the socket: inside ours, or a private temporary one where the path would not do."""
        inside = self.folder / "socket"
        if _fits(inside):
            self._make(inside)
            return inside
        recorded = self.recorded_socket()
        if recorded is not None and _fits(recorded) and self._is_private(recorded):
            return recorded
        for base in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - mkdtemp makes a private folder in it
            if _fits(Path(base, "ragstone-12345678")):
                place = Path(tempfile.mkdtemp(prefix="ragstone-", dir=base))
                self._give_away(place)
                return place
        raise EmbeddedPostgresError(
            f"the path of {self.folder} is too long for a Unix socket, and so is the temporary folder's: "
            f"set TMPDIR to a shorter path"
        )

    def _is_private(self, folder: Path) -> bool:
        try:
            status = folder.lstat()
        except FileNotFoundError:
            return False
        return (
            stat.S_ISDIR(status.st_mode)
            and stat.S_IMODE(status.st_mode) == 0o700
            and status.st_uid == self.account.effective_uid
        )

    def _make(self, folder: Path) -> None:
        if not folder.exists():
            folder.mkdir(mode=0o700)
            self._give_away(folder)

    def _give_away(self, path: Path) -> None:
        if self.account.uid is not None and self.account.gid is not None:
            os.chown(path, self.account.uid, self.account.gid, follow_symlinks=False)


def _fits(folder: Path) -> bool:
    # libpq reads a comma in the host as a list of hosts
    return len(os.fsencode(folder / SOCKET_NAME)) <= SOCKET_PATH_LIMIT and "," not in str(folder)


def _quoted(value: str) -> str:
    """A value for postgresql.conf, where backslash and quote are special."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _shared_memory_type(wanted: int) -> str:
    """Where processes of Postgres share memory. Those that build an index together share all that it may take;
    containers often have 64 MB there."""
    try:
        free = os.statvfs("/dev/shm")  # noqa: S108 - only asked for its size
    except OSError:
        return "posix" if os.uname().sysname != "Linux" else "mmap"
    return "posix" if free.f_bavail * free.f_frsize >= wanted else "mmap"


def _sync(folder: Path) -> None:
    """Make a rename inside the folder last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
