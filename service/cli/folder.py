"""The data folder as commands see it: made private, held by one service at a time, with a note of what runs on it."""

import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from service.cli.exits import CommandError, InUse

LOCK = "lock"
SERVICE = "service.json"
KEY = "cli.key"
SERVING = "up"
"""The verb that holds a folder for long; every other holder is gone in a moment."""


def make_private(data: Path) -> None:
    """Make the folder, for its owner only, unless it is there. Raises `CommandError` when it cannot be used."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"the data folder {data} cannot be used: {error.strerror or error}") from None


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a data folder: the process and its verb."""

    pid: int
    verb: str


@contextmanager
def hold(data: Path, verb: str, *, wait: float = 0.0) -> Iterator[None]:
    """Hold the folder for as long as the block lasts. The lock ends with this process, however it ends.

    A holder that is gone in a moment (a `key new` without a service) is waited for, ten seconds at most, another one
    for `wait` seconds. Raises `InUse`, which names the folder and the process that holds it.
    """
    make_private(data)
    try:
        descriptor = os.open(data / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise CommandError(f"the data folder {data} cannot be used: {error.strerror or error}") from None
    try:
        _give_to_owner(descriptor, data)
        _acquire(descriptor, data, wait)
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} {verb}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, data: Path, wait: float) -> None:
    start = time.monotonic()
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _parse(os.pread(descriptor, 64, 0))
            patience = wait if holder is None or holder.verb == SERVING else max(wait, 10.0)
            if time.monotonic() - start >= patience:
                who = f"process {holder.pid}, `ragstone {holder.verb}`" if holder else "another process"
                raise InUse(
                    f"the data folder {data} is in use by {who}; stop it first, or choose another folder with --data"
                ) from None
            time.sleep(0.05)
        else:
            return


def holder_of(data: Path) -> Holder | None:
    """The process that holds the folder, None when nobody does."""
    try:
        descriptor = os.open(data / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _parse(os.pread(descriptor, 64, 0))
    else:
        return None
    finally:
        os.close(descriptor)


def _parse(text: bytes) -> Holder | None:
    pid, _, verb = text.decode("ascii", "replace").strip().partition(" ")
    return Holder(int(pid), verb) if pid.isdigit() else None


@dataclass(frozen=True, slots=True)
class Running:
    """What runs on a data folder: the note that `ragstone up` leaves there. Pids are None for parts that are not up."""

    url: str
    version: str
    started: str
    pid: int
    api: int | None = None
    worker: int | None = None
    postgres: int | None = None
    vectors: int | None = None
    vector_store: str | None = None
    """The URL of the vector store's own server, which runs where the settings name a folder."""

    def as_json(self) -> dict[str, Any]:
        """The note as it stands in the file."""
        return asdict(self)


def running(data: Path) -> Running | None:
    """The service on this folder; None when there is none, whatever note a killed one left behind."""
    try:
        note = Running(**json.loads((data / SERVICE).read_text("utf-8")))
    except (FileNotFoundError, NotADirectoryError, PermissionError, json.JSONDecodeError, TypeError):
        return None
    holder = holder_of(data)
    return note if holder is not None and holder.pid == note.pid else None


def write_note(data: Path, note: Running) -> None:
    """Leave a note of what runs, for the other verbs."""
    write_private(data / SERVICE, json.dumps(note.as_json(), indent=2) + "\n")


def drop_note(data: Path) -> None:
    """Nothing runs any more."""
    with suppress(OSError):
        (data / SERVICE).unlink()


def write_private(path: Path, text: str) -> None:
    """Write a file whole, readable for its owner only."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        _give_to_owner(file.fileno(), path.parent)
        file.write(text)
    aside.replace(path)


def _give_to_owner(descriptor: int, folder: Path) -> None:
    """What root writes into a user's folder belongs to that user, who could not start there otherwise."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
