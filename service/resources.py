"""What a process opens once and shares: database, stores, embedders, queue, secrets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, LiteralString

from fastapi import Depends, Request

from service.api_keys import records as key_records
from service.api_keys.holders import Holders
from service.chatflows import records as chatflow_records
from service.chatflows.cache import FlowCache
from service.concurrency import cores
from service.document_stores.cache import StoreCache
from service.document_stores.pool import VectorPool
from service.egress.client import Egress, open_egress
from service.evaluations.turns import Turns
from service.javascript.service import JavaScript, open_javascript
from service.jobs.records import CHANNEL
from service.jobs.watch import JobWatch
from service.keyring import Keyring, open_keyring
from service.parsers import Parsers, open_parsers
from service.predictions import records as run_records
from service.predictions.runs import Runs
from service.providers.chat.own import OwnChat
from service.providers.embedding.pool import EmbedderPool
from service.providers.rerank.pool import RerankerPool
from service.settings import PREFIX, Settings, SettingsError
from service.vault import Vault
from service.worker.postgres import PostgresQueue
from service.worker.queue import Queue
from stores.blobs.base import BlobStore
from stores.blobs.local import LocalBlobStore
from stores.lexical.index import LexicalIndex
from stores.records.database import Database
from stores.records.facts import change, remember
from stores.records.migrate import pending
from stores.records.server import check_server
from stores.records.signals import Callback, Signals
from stores.vector import open_vector_store
from stores.vector.base import VectorStore, VectorStoreError


@dataclass(frozen=True, slots=True)
class Resources:
    """The open resources of one process."""

    settings: Settings
    database: Database
    vectors: VectorStore
    """The service's own vector store; what holds the vectors of a document store, `document_stores.vectors` says."""
    pool: VectorPool
    lexical: LexicalIndex
    stores: StoreCache
    blobs: BlobStore
    embedders: EmbedderPool
    rerankers: RerankerPool
    own_chat: OwnChat
    queue: Queue
    keyring: Keyring
    watch: JobWatch
    flows: FlowCache
    runs: Runs
    holders: Holders
    sandbox: Parsers
    egress: Egress
    javascript: JavaScript | None
    """None: the operator has not switched it on."""
    evaluating: Turns
    """The places of this process for calls of evaluations."""


KEYRING = "keyring"
"""The fact that says which keys a database needs."""


async def check_keyring(database: Database, keyring: Keyring) -> None:
    """Remember the key ring's fingerprint in a new database; refuse to start with other keys on a known one.

    Keys that were added are taken in: from now on none of them may be missing, as the newest seals. Older ones that are
    needed no more may be there. Raises `SettingsError`."""
    known = await remember(database, KEYRING, keyring.fingerprint)
    if known in (keyring.fingerprint, keyring.latest.fingerprint):
        return
    if not keyring.extends(known):
        raise SettingsError(
            f"{PREFIX}SECRET_KEY: this database's credentials were sealed with another key. Give the key that was used"
            " before, or the data folder with its secrets.json; nothing was changed."
        )
    await change(database, KEYRING, known, keyring.fingerprint)


@asynccontextmanager
async def open_resources(settings: Settings, *, patience: float = 0.0, jobs: int = 0) -> AsyncIterator[Resources]:
    """Open everything a process needs. The database must be migrated. `patience`: seconds to wait for what another
    transaction has locked, 0 for as long as it takes; `jobs`: how many it has going at once, which each hold a
    connection now and then.

    Raises `SettingsError` when no database is configured, or its schema or keys do not fit.
    """
    if settings.database_url is None:
        raise SettingsError(f"{PREFIX}DATABASE_URL: not set; use `ragstone up` for the embedded database")
    url = settings.database_url.get_secret_value()
    check_server(url)
    if missing := pending(url):
        raise SettingsError(f"The database lacks the migrations {', '.join(missing)}; run `ragstone migrate`")
    keyring = open_keyring(settings)
    egress = open_egress(settings)
    javascript = open_javascript(settings, egress)
    size = settings.database_pool or cores() + max(cores(), jobs) + 2
    async with Database(url, size=size, patience=patience, sealer=Vault(keyring)) as database:
        await check_keyring(database, keyring)
        watch = JobWatch(database)
        queue = PostgresQueue(database)
        await queue.open()
        try:
            vectors = open_vector_store(settings.vector_store.get_secret_value(), database)
        except VectorStoreError as error:
            raise SettingsError(f"{PREFIX}VECTOR_STORE: {error}") from None
        embedders = EmbedderPool(settings, egress)
        rerankers, own_chat = RerankerPool(settings, egress), OwnChat(settings, egress)
        pool = VectorPool(database, egress)
        flows, runs, holders = FlowCache(), Runs(), Holders()
        sandbox = open_parsers(settings)

        def revoked(key: str) -> None:
            holders.notify(key)
            runs.dismiss(f"key:{key}")

        callbacks: dict[LiteralString, Callback] = {
            CHANNEL: watch.notify,
            chatflow_records.CHANNEL: flows.notify,
            run_records.CHANNEL: runs.notify,
            key_records.CHANNEL: revoked,
        }
        async with Signals(url, callbacks):
            try:
                yield Resources(
                    settings=settings,
                    database=database,
                    vectors=vectors,
                    pool=pool,
                    lexical=LexicalIndex(settings.keyword_memory),
                    stores=StoreCache(),
                    blobs=LocalBlobStore(settings.data / "blobs"),
                    embedders=embedders,
                    rerankers=rerankers,
                    own_chat=own_chat,
                    queue=queue,
                    keyring=keyring,
                    watch=watch,
                    flows=flows,
                    runs=runs,
                    holders=holders,
                    sandbox=sandbox,
                    egress=egress,
                    javascript=javascript,
                    evaluating=Turns(settings.evaluation_concurrency),
                )
            finally:
                await runs.close()
                await flows.close()
                await sandbox.close()
                if javascript is not None:
                    await javascript.close()
                await pool.close()
                await vectors.close()
                await embedders.close()
                await rerankers.close()
                await own_chat.close()
                await egress.close()


async def current_resources(request: Request) -> Resources:
    """The resources of the process that serves this request."""
    resources: Resources = request.app.state.resources
    return resources


CurrentResources = Annotated[Resources, Depends(current_resources)]
