"""From an upsert call to durable uploads, ledger rows and a job; everything is checked before anything is written."""

import asyncio
import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import Any
from uuid import UUID, uuid4

from service.concurrency import together
from service.document_stores import records
from service.document_stores.cleanup import Cleaning, Cleanup, cleaning_of, merged
from service.document_stores.gathering.types import Empty, Errand, lock_of
from service.document_stores.ledger import records as ledger
from service.document_stores.ledger.chunks import records as chunk_rows
from service.document_stores.loading.files import carries_files, inline_files, kept_names, without_files
from service.document_stores.loading.mapping import is_remote, metadata_of, recipe_of
from service.document_stores.loading.sources import TEXT, check_names, file_names, own_sources
from service.document_stores.own_chunks import LOADER as OWN_CHUNKS
from service.document_stores.principals import records as principals
from service.document_stores.recipe import Recipe, clean
from service.document_stores.search import filter_in, limit_in, retrieval_of
from service.document_stores.secrets import laid_over, restored, without_secrets
from service.document_stores.space import (
    DEFAULT_EMBEDDING,
    DEFAULT_VECTOR_STORE,
    check_space,
    embedder_of,
    fingerprint_of,
)
from service.document_stores.types import Component, LoaderRow, StoreRow, Upload, Upsert
from service.document_stores.vectors import backend_of, check_place, check_vector_store
from service.errors import NotFound, TooLarge, Unprocessable
from service.jobs import service as jobs
from service.jobs.types import Job
from service.nodes.service import json_object
from service.resources import Resources
from stores.blobs.base import Blob, BlobTooLarge
from stores.blobs.pending import Pending
from stores.records.database import Scope

DEFAULT_LOADER = Component("file")

WRITTEN_AT_ONCE = 4
"""Uploads of a call: each waits for the disk, twice, and a disk settles several at once about as fast as one."""


def defaults_of(store: StoreRow) -> tuple[Component, Component]:
    """The embedding and the vector store that a document store uses."""
    return store.embedding or DEFAULT_EMBEDDING, store.vector_store or DEFAULT_VECTOR_STORE


def check_components(vector_store: Component | None, record_manager: Component | None) -> None:
    """Raises `Unprocessable` with the known names for a vector store or record manager that there is not, and for
    fields of the record manager or of retrieval that cannot be used."""
    check_vector_store(vector_store)
    retrieval_of(vector_store)
    limit_in(vector_store)
    filter_in(vector_store)
    if record_manager and record_manager.name:
        cleaning_of(record_manager)


@dataclass(frozen=True, slots=True)
class Intake:
    """A checked upsert call. `template` is the document store that configurations are inherited from."""

    resources: Resources
    workspace: UUID
    store_id: UUID
    asked: Upsert
    template: StoreRow | None
    base: LoaderRow | None
    component: Component
    splitter: Component | None
    embedding: Component
    fingerprint: Mapping[str, Any] | None
    """Of an embedding that is not the document store's own so far."""
    record_manager: Component | None
    cleaning: Cleaning

    @classmethod
    async def check(
        cls, resources: Resources, workspace: UUID, store_id: UUID, store: StoreRow | None, asked: Upsert
    ) -> "Intake":
        """Check everything about the call that can be known before its files are read; `store` is the one that it
        names. Raises errors that name the field, before anything is written."""
        base = None
        if asked.doc_id is not None:
            base = next((loader for loader in store.loaders if loader.id == asked.doc_id), None) if store else None
            if base is None:
                raise NotFound(f"docId: loader {asked.doc_id} not found in document store {store_id}")
        check_components(asked.vector_store, asked.record_manager)
        if asked.vector_store is not None:
            held = (store.vector_store if store else None) or DEFAULT_VECTOR_STORE
            wanted = _merge(asked.vector_store, held, "vectorStore.config")
            async with resources.database.read(workspace) as scope:
                await backend_of(resources, scope, wanted)
        base_embedding = (store.embedding if store else None) or DEFAULT_EMBEDDING
        embedding = _merge(asked.embedding, base_embedding, "embedding.config")
        other = asked.embedding is not None and not asked.new_store and store is not None
        record_manager = merged(asked.record_manager, store.record_manager if store else None)
        made_by = store.fingerprint if store is not None and not asked.new_store else None
        embedder = None if asked.chunk_only else await embedder_of(resources, workspace, embedding, made_by)
        intake = cls(
            resources=resources,
            workspace=workspace,
            store_id=uuid4() if asked.new_store else store_id,
            asked=asked,
            template=store,
            base=base,
            component=_component(asked, base),
            splitter=_splitter(asked, base),
            embedding=embedding,
            fingerprint=await fingerprint_of(embedder) if embedder and other and embedding != store.embedding else None,  # type: ignore[union-attr]
            record_manager=record_manager,
            cleaning=cleaning_of(record_manager),
        )
        intake.recipe()
        return intake

    def new_name(self) -> str:
        """The name of a document store that the call makes."""
        return self.asked.new_store_name or f"Document Store {int(time.time() * 1000)}"

    def recipe(self) -> Recipe:
        """How the uploads of this call become chunks. Raises `Unprocessable` naming a bad option."""
        if self.component.name == OWN_CHUNKS:
            return Recipe(OWN_CHUNKS, metadata=self._metadata())
        return recipe_of(self.resources, self.workspace, self.component, self.splitter)

    def _metadata(self) -> Mapping[str, Any]:
        """What goes into the metadata of every chunk."""
        return metadata_of(self.resources, self.component)

    # Sources

    def sources(self, uploads: Sequence[Upload], taken: set[str] | None = None) -> list[Upload]:
        """Everything the call brings, each with a stable source id: files, text, files inside the loader's config;
        blocks. Raises `Unprocessable` naming the field of a file that cannot be read or that its loader does not take.

        Ids in `taken` belong to other parts of the call; the new ones are added."""
        taken = set() if taken is None else taken
        named = []
        brought = [*uploads, *self._inline()]
        if brought and self.remote:  # its job would take them away again, as its place has none of them
            raise Unprocessable(
                f"files: the loader '{self.component.name}' fetches what it loads and takes no files, such as"
                f" '{brought[0].name[:100]}'; send them in a call with another loader, or with none"
            )
        label = self._label() if self.cleaning.configured else None
        for upload in brought:
            name = clean(upload.name)[-1000:] or "file"
            known = upload.source or (f"id:{label}" if label else f"file:{name}")
            check_names("metadata" if label else "source" if upload.source else "files", name, known, upload.mime)
            source, number = known, 1
            while source in taken:  # different files of one name in one call
                number += 1
                source = f"{known}#{number}"
            taken.add(source)
            named.append(Upload(name, upload.stream, upload.mime, source))
        return named

    def _label(self) -> str | None:
        """The source that the metadata name; those that are read in the file name none."""
        recipe = self.recipe()
        read = recipe.loader_options.get("metadata", ())
        return self.cleaning.source_of({key: value for key, value in recipe.metadata.items() if key not in read})

    @property
    def remote(self) -> bool:
        """Whether the loader fetches what it loads: the job asks its place for it."""
        return is_remote(self.component.name)

    @property
    def repeats(self) -> bool:
        """Whether a call without any files means the files that its loader has already."""
        return self.base is not None and self.asked.replace_existing and not self.asked.new_store

    def _inline(self) -> list[Upload]:
        config = self.component.config
        found = []
        text = config.get("text")
        if isinstance(text, str) and self.component.name == "plainText":
            data = clean(text).encode()
            label = self.cleaning.source_of(self._metadata())
            source = f"{TEXT}{label or sha256(data).hexdigest()}"
            known = self.base.name if self.base and self.base.name != self.base.component else None
            name = label or self.asked.loader_label or known or "Plain Text"
            found.append(Upload(name, io.BytesIO(data), "text/plain", source))
        return [*found, *inline_files(config)]

    async def keep(self, upload: Upload) -> Blob:
        """Store an upload's bytes. Raises `TooLarge` naming the limit."""
        settings = self.resources.settings
        own = self.component.name == OWN_CHUNKS  # their request was limited, and vectors may take more as bytes
        limit = settings.max_upload if not own else 3 * settings.max_request
        try:
            return await self.resources.blobs.put(upload.stream, limit=limit)
        except BlobTooLarge:
            raise TooLarge(f"max_upload: '{upload.name}' is larger than {limit} bytes") from None

    # Commit

    async def lock(self, scope: Scope) -> StoreRow:
        """The document store to write into, locked. Raises `NotFound`."""
        store = await records.lock(scope, self.store_id)
        if store is None:
            raise NotFound(f"Document store {self.store_id} not found")
        return store

    async def enter(
        self, scope: Scope, job_id: UUID | None, uploads: Sequence[tuple[Upload, Blob]]
    ) -> tuple[UUID, list[str]]:
        """Write loader and documents for a reserved job, or for none: the loader's id, and blobs that nothing needs
        any more once the job has ended.

        Raises `NotFound` when document store or loader went meanwhile, `EmbeddingChanged` when its vectors are others,
        `BackendChanged` when they are elsewhere.
        """
        store = await self.lock(scope)
        if self.fingerprint is not None and await chunk_rows.any_indexed(scope, self.store_id):
            check_space(store, self.fingerprint, self.embedding)
        uploads = await self._own(scope, uploads)
        known = await ledger.by_source(scope, self.store_id, [upload.source or "" for upload, _ in uploads])
        loader_id = await self._loader(scope, {row.loader_id for row in known.values()})
        if self.asked.principals is not None:
            await principals.default_of(scope, loader_id, self.asked.principals)
        if not self.asked.chunk_only:
            await self._configure(scope, store)
        recipe = self.recipe().as_json()
        unneeded, claimed = [], []
        for upload, blob in uploads:
            row = {
                "id": uuid4(),
                "store_id": self.store_id,
                "loader_id": loader_id,
                "job_id": job_id,
                "source": upload.source,
                "name": upload.name,
                "mime": upload.mime,
                "size": blob.size,
                "sha256": blob.sha256,
                "blob": blob.key,
                "recipe": recipe,
                "namespace": self.cleaning.namespace,
            }
            document_id, old = await ledger.claim(scope, row, remake=self.asked.remake or self.repeats)
            claimed.append(document_id)
            if old:
                unneeded.append(old)
        if self.repeats and not self.remote:
            sources = [upload.source or "" for upload, _ in uploads]
            unneeded += await self._rest(scope, loader_id, sources, recipe, job_id)
        if self.asked.principals is not None:
            await self._restrict(scope, loader_id, claimed, self.asked.principals)
        return loader_id, unneeded

    async def _restrict(self, scope: Scope, loader_id: UUID, claimed: Sequence[UUID], named: Sequence[str]) -> None:
        """Say who may find what the call brings: at once, also of what was there under the same sources before."""
        if self.remote or self.repeats:
            await principals.change_loader(scope, self.store_id, loader_id, named)
        else:
            await principals.change(scope, self.store_id, claimed, named)

    def errand(self, loader_id: UUID) -> Errand:
        """What the job is to fetch for the loader."""
        remake = self.asked.remake or self.repeats
        return Errand(loader_id, every=True, remake=remake, namespace=self.cleaning.namespace, empty=Empty.FAILS)

    async def _own(self, scope: Scope, uploads: Sequence[tuple[Upload, Blob]]) -> Sequence[tuple[Upload, Blob]]:
        """Sources of a loader that is replaced, or that a form works with, are its own: a file of the same name in
        another loader of the document store is another document."""
        if not uploads or not (self.repeats or self.asked.chunk_only):
            return uploads
        own = self.base.id if self.base is not None and not self.asked.new_store else None
        asked = [upload for upload, _ in uploads]
        named = await own_sources(scope, self.store_id, own, asked, apart=self.asked.chunk_only)
        return list(zip(named, (blob for _, blob in uploads), strict=True))

    async def _rest(
        self, scope: Scope, loader_id: UUID, sources: Sequence[str], recipe: Mapping[str, Any], job_id: UUID | None
    ) -> list[str]:
        """What becomes of the files that the replaced loader has already: those that the call names stay, the others
        leave with the job; all stay when the call brings none, or a text only. Returns the blobs of those that leave.
        """
        config = self.asked.loader.config if self.asked.loader else {}
        names = kept_names(config) if not sources or carries_files(config) else None
        if names is None and not sources:
            await ledger.claim_all(scope, loader_id, recipe, job_id, namespace=self.cleaning.namespace)
            return await ledger.leaving_blobs(scope, loader_id)
        if names is None and all(source.startswith(TEXT) for source in sources):
            names = await file_names(scope, self.store_id, loader_id)
        kept = await ledger.claim_named(scope, loader_id, sorted(names or ()), recipe, job_id, but=sources)
        return await ledger.mark_leaving(scope, loader_id, [*sources, *kept], job_id)

    async def _loader(self, scope: Scope, owners: set[UUID]) -> UUID:
        """The loader to write into: the one to replace, the one that has these very sources, or a new one."""
        component = Component(self.component.name, clean(without_files(self.component.config), "loader.config"))
        reuse = next(iter(owners)) if len(owners) == 1 else None
        if self.remote and self.template is not None and not self.asked.new_store and not self.asked.chunk_only:
            same = (row.id for row in self.template.loaders if Component(row.component, row.config) == component)
            reuse = next(same, None)
        if self.repeats and self.base is not None:
            reuse = self.base.id
        label = clean(self.asked.loader_label) if self.asked.loader_label else None
        if reuse is not None:
            if not await records.update_loader(scope, reuse, component, label, self.splitter):
                raise NotFound(f"docId: loader {reuse} not found in document store {self.store_id}")
            return reuse
        loader_id = uuid4()
        name = label or (self.base.name if self.base else component.name)
        kept = self.remote or self.asked.chunk_only
        await records.insert_loader(scope, loader_id, self.store_id, component, name, self.splitter, kept=kept)
        return loader_id

    async def _configure(self, scope: Scope, store: StoreRow) -> None:
        """Remember the configurations of the call, else what the document store has, else the defaults."""
        template = self.template or store
        held = store.vector_store or template.vector_store or DEFAULT_VECTOR_STORE
        vectors = _merge(self.asked.vector_store, held, "vectorStore.config")
        if vectors != store.vector_store:
            await check_place(scope, store, await backend_of(self.resources, scope, vectors))
        named = self.asked.embedding is not None or store.embedding is None
        changes = {
            "embedding": self.embedding if named else None,
            "vector_store": vectors,
            "record_manager": self.record_manager,
        }
        await records.update(scope, self.store_id, {key: value for key, value in changes.items() if value})


async def keep_all(
    held: Pending, parts: Sequence[tuple[Intake, Sequence[Upload]]]
) -> list[tuple[Intake, list[tuple[Upload, Blob]]]]:
    """Store the bytes of all uploads of a call. Raises as `Intake.keep`; what was stored by then goes with `held`."""
    places = asyncio.Semaphore(WRITTEN_AT_ONCE)

    async def keep(intake: Intake, upload: Upload) -> tuple[Upload, Blob]:
        async with places:
            return upload, held.add(await intake.keep(upload))

    kept = iter(await together(*(keep(intake, upload) for intake, uploads in parts for upload in uploads)))
    return [(intake, list(islice(kept, len(uploads)))) for intake, uploads in parts]


async def lock_all(scope: Scope, parts: Sequence[tuple[Intake, Sequence[tuple[Upload, Blob]]]]) -> None:
    """Lock the document store of a call, then what the call may take away from jobs. Raises `NotFound`."""
    first = parts[0][0]
    await first.lock(scope)
    wide = first.cleaning.cleanup is Cleanup.FULL or any(
        intake.repeats or intake.remote or intake.asked.chunk_only for intake, _ in parts
    )
    sources = [upload.source or "" for _, uploads in parts for upload, _ in uploads]
    await ledger.lock_waiting(scope, first.store_id, None if wide else sources)


async def submit(
    scope: Scope, parts: Sequence[tuple[Intake, Sequence[tuple[Upload, Blob]]]], history: Mapping[str, Any]
) -> Job:
    """Write loaders, documents and the one job of a call in the caller's transaction; raises as `Intake.enter`.

    `history` goes into the upsert history when the job is done."""
    first = parts[0][0]
    await lock_all(scope, parts)
    await jobs.check_room(scope, first.resources.settings.max_queued_jobs)  # others may have come in meanwhile
    job = await jobs.reserve(scope, uuid4(), "ingest", store_id=first.store_id)
    loaders, unneeded, remote = [], [], []
    for intake, uploads in parts:
        loader_id, blobs = await intake.enter(scope, job.id, uploads)
        loaders.append(str(loader_id))
        unneeded += blobs
        remote += [intake.errand(loader_id)] if intake.remote else []
    cleanup = Cleanup.INCREMENTAL if first.asked.chunk_only else first.cleaning.cleanup
    if cleanup is Cleanup.FULL:
        fetching = [str(errand.loader_id) for errand in remote]
        for namespace in {intake.cleaning.namespace for intake, _ in parts}:
            unneeded += await ledger.mark_others_leaving(scope, first.store_id, namespace, job.id, but=fetching)
    payload = {
        "storeId": str(first.store_id),
        "docId": loaders[0],
        "docIds": loaders,
        "blobs": unneeded,
        "fetch": [errand.as_json() for errand in remote],
        "chunkOnly": first.asked.chunk_only,
        "cleanup": cleanup.value,
        "history": dict(history),
    }
    lock = lock_of(remote[0].loader_id) if remote else None
    return await jobs.enqueue(scope, first.resources.queue, job.id, payload, lock=lock)


def _merge(asked: Component | None, base: Component, field: str) -> Component:
    """The call's component over the inherited one: a name switches the component, config keys are laid over."""
    if asked is None:
        return base
    if asked.name and asked.name != base.name:
        return restored(asked, None, field)
    return Component(base.name, laid_over(asked.config, base.config, field))


def _component(asked: Upsert, base: LoaderRow | None) -> Component:
    """The loader of a call, laid over the one that it is based on, whose metadata the call's replace; that of a form is
    whole."""
    held = Component(base.component, base.config) if base else DEFAULT_LOADER
    if asked.chunk_only and asked.loader is not None:
        return restored(asked.loader, held, "loader.config")
    component = _laid_over(asked.loader, held, "loader.config")
    if asked.metadata is None:
        return component
    given = json_object(asked.loader.config.get("metadata") if asked.loader else None, "loader.config.metadata")
    return Component(component.name, {**component.config, "metadata": {**given, **asked.metadata}})


def _splitter(asked: Upsert, base: LoaderRow | None) -> Component | None:
    """The splitter of a call, laid over that of the loader it is based on; a form that gives a loader gives both."""
    if base is None or base.splitter is None or (asked.chunk_only and asked.loader is not None):
        return asked.splitter
    return _laid_over(asked.splitter, base.splitter, "splitter.config")


def _laid_over(asked: Component | None, base: Component, field: str) -> Component:
    """The call's component over the inherited one, fields that another component had included, but for credentials and
    secrets: they are not handed to a component that they were not chosen for."""
    if asked is None or not asked.name or asked.name == base.name or base is DEFAULT_LOADER:
        return _merge(asked, base, field)
    return Component(asked.name, {**without_secrets(base.config), **restored(asked, None, field).config})
