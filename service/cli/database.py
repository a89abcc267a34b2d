"""The database for commands that work on it themselves, whether a service runs or not."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from service.cli.exits import InUse, Unreachable
from service.cli.folder import SERVING, hold, holder_of

if TYPE_CHECKING:
    from service.settings import Settings

PATIENCE = 60.0
"""Seconds to wait for a service that is just starting."""

POSTGRES = "postgres"
"""The folder of the embedded Postgres in the data folder."""


@contextmanager
def open_database(settings: "Settings", verb: str, *, create: bool = False, migrated: bool = True) -> Iterator[str]:
    """The URL of the database: the configured one, the running embedded one, else that started for the moment.

    An embedded one is migrated first, unless `migrated` is False. `create` makes a new one where there is none;
    without it that raises `Unreachable`. Raises `InUse` when a service holds the folder and its database stays silent.
    """
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    if not create and not (settings.data / POSTGRES / "data").exists() and holder_of(settings.data) is None:
        raise Unreachable(f"there is no Ragstone in {settings.data}: start it with `ragstone up`, or name its --data")
    with ExitStack() as stack:
        yield _embedded(settings, verb, stack, migrated=migrated)


def _embedded(settings: "Settings", verb: str, stack: ExitStack, *, migrated: bool) -> str:
    from stores.records.embedded import EmbeddedPostgres
    from stores.records.migrate import migrate, pending

    postgres = EmbeddedPostgres(settings.data / POSTGRES)
    deadline = time.monotonic() + PATIENCE
    while True:
        holder = holder_of(settings.data)
        if holder is not None and holder.verb == SERVING:
            url = postgres.running_url()
            if url is not None and not (migrated and pending(url)):
                return url
            if time.monotonic() > deadline:
                raise InUse(
                    f"the data folder {settings.data} is in use by process {holder.pid}, whose database does not answer"
                )
            time.sleep(0.1)
            continue
        try:
            stack.enter_context(hold(settings.data, verb))
        except InUse:  # a service was quicker: look again
            if time.monotonic() > deadline:
                raise
            continue
        stack.enter_context(postgres)
        if migrated:
            migrate(postgres.url)
        return postgres.url
