"""The server of a vector store that is a folder, for commands that work on document stores themselves."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from service.cli.exits import CommandError
from service.cli.folder import running

if TYPE_CHECKING:
    from service.settings import Settings
    from stores.vector.engines import Engine

GUARD = "service.cli.guard"
"""The module that runs such a server."""
PATIENCE = 60.0
"""Seconds until it answers."""


def guarded(engine: "Engine") -> tuple[list[str], dict[str, str]]:
    """Arguments for `GUARD`, and what the server wants in its environment."""
    return [str(engine.folder), *engine.command], {"ANONYMIZED_TELEMETRY": "False"}


def engine_of(settings: "Settings") -> "Engine | None":
    """The server that the vector store needs beside this service; None when it needs none.

    Raises `SettingsError`.
    """
    url = settings.vector_store.get_secret_value()
    if not urlsplit(url).path:
        return None  # names no folder; what follows is imported for those that do
    from service.settings import PREFIX, SettingsError
    from stores.vector.base import VectorStoreError
    from stores.vector.engines import engine_for

    try:
        return engine_for(url, settings.data.expanduser().absolute())
    except VectorStoreError as error:
        raise SettingsError(f"{PREFIX}VECTOR_STORE: {error}") from None


@contextmanager
def open_vectors(settings: "Settings") -> Iterator[str]:
    """The URL of the vector store; where the settings name a folder, that of the running server, else of one that is
    started for the moment. Raises `SettingsError`, and `CommandError` when the server does not answer."""
    note = running(settings.data)
    if note is not None and note.vector_store is not None:
        yield note.vector_store
        return
    engine = engine_of(settings)
    if engine is None:
        yield settings.vector_store.get_secret_value()
        return
    arguments, more = guarded(engine)
    command = [sys.executable, "-m", GUARD, *arguments]
    environ = {**os.environ, **more}
    with (
        closing(engine),
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, env=environ) as guard,
    ):
        try:
            deadline = time.monotonic() + PATIENCE
            while not engine.answers():
                if guard.poll() is not None or time.monotonic() > deadline:
                    raise CommandError(f"the vector store in {engine.folder} does not start; see its message above")
                time.sleep(0.1)
            yield engine.url
        finally:
            guard.terminate()
