"""Runs the service on one machine: holds the data folder, starts the parts, mends what dies, ends all in order.

The supervisor imports neither the web framework nor any model: it costs little and has little to fail.
"""

import http.client
import json
import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import FrameType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg

from service import __version__
from service.cli.engine import GUARD, engine_of, guarded
from service.cli.exits import CommandError, Exit
from service.cli.folder import SERVING, Running, drop_note, hold, write_note
from service.cli.listen import listen, url_of
from service.cli.logs import configure_logging
from service.cli.options import warn_of_strangers
from service.cli.parts import MAX_DEATHS, Part
from service.settings import PREFIX, Settings
from service.worker import records
from stores.records.embedded import EmbeddedPostgres
from stores.records.migrate import migrate, pending
from stores.records.server import check_server

if TYPE_CHECKING:
    from stores.vector.engines import Engine

log = logging.getLogger("ragstone.up")

GRACE = 20.0
"""Seconds that parts get to finish what they are at; afterwards they are killed."""

PATIENCE = 120.0
"""Seconds until Ready; a slow machine needs a few."""


class _Interrupted(BaseException):
    """A signal to end, before there is a loop that could take it."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asks for besides settings."""

    exact_port: bool = False
    sample: bool = False
    as_json: bool = False


class Supervisor:
    """One run of `ragstone up`."""

    def __init__(self, settings: Settings, wishes: Wishes) -> None:
        """Nothing is started yet."""
        self._data = settings.data.expanduser().absolute()
        self._settings = settings
        self._wishes = wishes
        self._postgres: EmbeddedPostgres | None = None
        self._parts: list[Part] = []
        self._engine: Engine | None = None
        self._url = ""
        self._started = datetime.now(UTC)
        self._asked_to_end = 0
        self._interruptible = True
        self._ready = False
        self._failure: str | None = None

    def run(self) -> int:
        """Serve until a signal comes: 0. When a part cannot be kept alive, end the others: 1.

        Raises `InUse` for a data folder or a port that is taken, `RecordsError` when the database cannot be used.
        """
        configure_logging("up", self._settings.log_level)
        warn_of_strangers(self._settings)
        with ExitStack() as stack:
            self._take_signals(stack)
            try:
                self._start(stack)
                self._serve()
            except _Interrupted:
                log.info("Interrupted while starting")
            finally:
                self._interruptible = False
        if self._failure:
            raise CommandError(self._failure)
        return Exit.OK

    # --- starting -----------------------------------------------------------------------------------------------

    def _start(self, stack: ExitStack) -> None:
        stack.enter_context(hold(self._data, SERVING))
        stack.callback(drop_note, self._data)
        drop_note(self._data)
        host, port = self._settings.host, self._settings.port
        opened = stack.enter_context(listen(host, port, exactly=self._wishes.exact_port or port == 0))
        self._url = url_of(opened, host)
        self._engine = engine_of(self._settings)
        if self._engine is not None:
            stack.callback(self._engine.close)
        database = self._open_database(stack)
        alive, lifeline = os.pipe()
        stack.callback(os.close, lifeline)
        stack.callback(os.close, alive)
        environ = {
            **os.environ,
            f"{PREFIX}DATA": str(self._data),
            f"{PREFIX}HOST": host,
            f"{PREFIX}PORT": str(opened.getsockname()[1]),
            f"{PREFIX}DATABASE_URL": database,
        }
        if self._engine is not None:
            environ[f"{PREFIX}VECTOR_STORE"] = self._engine.url
        alone = [] if self._postgres is None else ["--alone"]
        api = Part("API", ["serve", "--fd", str(opened.fileno())], environ, [alive, opened.fileno()])
        worker = Part("worker", ["worker", *alone], environ, [alive])
        self._parts = [api, worker]
        if self._engine is not None:
            arguments, more = guarded(self._engine)
            self._parts.append(Part("vector store", arguments, {**environ, **more}, [alive], module=GUARD))
        # Leaving goes backwards: first no new requests, then the parts end, then the database.
        stack.callback(self._end_parts)
        stack.callback(opened.close)
        with psycopg.connect(database, autocommit=True) as connection:
            before = records.newest_worker(connection)
            for part in reversed(self._parts):
                part.start()
            self._note()
            self._interruptible = False
            self._await_ready(connection, before)

    def _open_database(self, stack: ExitStack) -> str:
        """The URL of a migrated database: the one that is configured, else the embedded one, started."""
        if self._settings.database_url is not None:
            url = self._settings.database_url.get_secret_value()
            check_server(url)
            if missing := pending(url):
                log.info("Migrating the database: %s", ", ".join(missing))
                migrate(url)
            return url
        folder = self._data / "postgres"
        if not (folder / "data").exists():
            log.info("Preparing the database in %s", folder)
        self._postgres = EmbeddedPostgres(folder)
        stack.callback(self._postgres.stop)
        self._postgres.start()
        migrate(self._postgres.url)
        return self._postgres.url

    def _await_ready(self, connection: psycopg.Connection[tuple[object, ...]], before: int) -> None:
        """Wait until the API answers and our worker is registered; a part that dies meanwhile ends the start."""
        deadline = time.monotonic() + PATIENCE
        answering = registered = holding = False
        while not self._asked_to_end:
            for part in self._parts:
                if (status := part.look()) is not None:
                    self._failure = (
                        f"the {part.name} ended while starting ({_described(status)}); see its message above"
                    )
                    return
            registered = registered or records.newest_worker(connection) > before
            answering = answering or _answers(self._url)
            holding = holding or self._engine is None or self._engine.answers()
            if answering and registered and holding:
                return
            if time.monotonic() > deadline:
                missing = "the vector store does not answer" if answering else "the API does not answer"
                if answering and not registered:
                    missing = "the worker did not register"
                self._failure = f"not ready after {PATIENCE:.0f} seconds: {missing}"
                return
            time.sleep(0.02)

    # --- serving ------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        sample = self._begin_sample() if self._wishes.sample and not self._over() else None
        while not self._over():
            if sample is not None and sample.poll() is not None:
                if sample.returncode:
                    log.warning("The sample could not be shown; the service runs all the same")
                sample = None
            if sample is None and not self._ready:
                self._ready = True
                self._print_ready()
            self._mend()
            pauses = [part.pause for part in self._parts if part.pause is not None]
            self._sleep(min(pauses, default=None) if not self._over() else 0.0)
        if sample is not None:
            sample.terminate()
            sample.wait()

    def _over(self) -> bool:
        return self._asked_to_end > 0 or self._failure is not None

    def _begin_sample(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "service.cli", "sample", "--data", str(self._data)]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)

    def _mend(self) -> None:
        """Restart what died and is due; give up on a part that dies again and again."""
        if self._postgres is not None and not self._postgres.alive():
            log.error("The database ended; starting it again")
            self._postgres.stop()
            self._postgres.start()
            self._note()
        for part in self._parts:
            if (status := part.look()) is not None:
                if part.deaths > MAX_DEATHS:
                    self._failure = f"the {part.name} ended {part.deaths} times in a row ({_described(status)})"
                    return
                log.error("The %s ended (%s); starting it again in %.1f s", part.name, _described(status), part.pause)
            elif part.pause == 0.0:
                part.start()
                self._note()

    def _note(self) -> None:
        api, worker, *engine = self._parts
        write_note(
            self._data,
            Running(
                url=self._url,
                version=__version__,
                started=self._started.isoformat(timespec="seconds"),
                pid=os.getpid(),
                api=api.pid,
                worker=worker.pid,
                postgres=self._postgres.pid if self._postgres is not None else None,
                vectors=engine[0].pid if engine else None,
                vector_store=self._engine.url if self._engine is not None else None,
            ),
        )

    def _print_ready(self) -> None:
        answers = self._settings.chat_model or "extractive (no model configured)"
        facts = {"url": self._url, "api": f"{self._url}/api/v1", "docs": f"{self._url}/docs", "data": str(self._data)}
        if self._wishes.as_json:
            line = json.dumps({"ready": True, **facts, "answers": answers, "javascript": self._settings.javascript})
        else:
            line = (
                f"Ready · {facts['url']} · API {facts['api']} · Docs {facts['docs']} · Data {facts['data']}"
                f" · Answers: {answers} · JavaScript: {'on' if self._settings.javascript else 'off'}"
            )
        with suppress(BrokenPipeError):
            print(line, flush=True)

    # --- signals and the end ------------------------------------------------------------------------------------

    def _take_signals(self, stack: ExitStack) -> None:
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        os.set_blocking(reader, False)
        self._wakeups = reader
        before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        stack.callback(os.close, reader)
        stack.callback(os.close, writer)
        stack.callback(signal.set_wakeup_fd, before)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            stack.callback(signal.signal, number, signal.signal(number, self._end))
        stack.callback(signal.signal, signal.SIGCHLD, signal.signal(signal.SIGCHLD, lambda *_: None))

    def _end(self, number: int, _frame: FrameType | None) -> None:
        self._asked_to_end += 1
        if self._asked_to_end > 1 and number == signal.SIGINT:
            for part in self._parts:
                part.end(signal.SIGKILL)
            if self._postgres is not None and self._postgres.alive():
                with suppress(ProcessLookupError):
                    os.kill(self._postgres.pid, signal.SIGQUIT)
        elif self._interruptible:
            self._interruptible = False
            raise _Interrupted

    def _sleep(self, seconds: float | None) -> None:
        """Until a signal comes (a child's death is one), or `seconds` have passed."""
        select.select([self._wakeups], [], [], seconds)
        with suppress(BlockingIOError):
            os.read(self._wakeups, 4096)

    def _end_parts(self) -> None:
        # What the others use ends after them.
        for parts in (self._parts[:2], self._parts[2:]):
            self._end_together(parts)

    def _end_together(self, parts: Sequence[Part]) -> None:
        for part in parts:
            part.end()
        deadline = time.monotonic() + GRACE
        for part in parts:
            if not part.wait(deadline):
                log.warning("The %s did not end within %.0f s; killing it", part.name, GRACE)
                part.end(signal.SIGKILL)
                part.wait(time.monotonic() + 5.0)


def _answers(url: str) -> bool:
    """Whether the API says that it is ready; waits half a second for it, as the socket is open before the API is."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=0.5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _described(status: int) -> str:
    """An exit status in words: `status 1`, `signal SIGKILL`."""
    if status >= 0:
        return f"status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"
