"""From an upsert call to durable uploads, ledger rows and a job; everything is checked before anything is written."""

import base64
import binascii
import io
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID, uuid4

from loaders import DETECT, canonical
from loaders.base import LoaderError
from loaders.splitters import splitter as make_splitter
from loaders.splitters.base import SplitterError
from service.document_stores import records
from service.document_stores.ledger import records as ledger
from service.document_stores.ledger.chunks import records as chunk_rows
from service.document_stores.recipe import Recipe
from service.document_stores.space import DEFAULT_EMBEDDING, check_space, embedder_of, fingerprint_of
from service.document_stores.types import Component, LoaderRow, StoreRow, Upload, Upsert
from service.errors import NotFound, TooLarge, Unprocessable
from service.jobs import service as jobs
from service.jobs.types import Job
from service.resources import Resources
from stores.blobs.base import Blob, BlobTooLarge
from stores.records.database import Scope

FILE_FIELDS = (
    "txtFile",
    "pdfFile",
    "docxFile",
    "csvFile",
    "jsonFile",
    "jsonlinesFile",
    "file",
    "fileObject",
    "yamlFile",
)
"""Loader fields that hold files: data URIs, or a JSON array of them."""

OWN_FIELDS = (*FILE_FIELDS, "text", "metadata", "textSplitter", "omitMetadataKeys")
"""Loader fields that are no options of the loader."""

VECTOR_STORES = ("pgvector", "postgres")
RECORD_MANAGERS = ("postgresRecordManager", "SQLiteRecordManager", "MySQLRecordManager")

DEFAULT_VECTOR_STORE = Component("pgvector")
DEFAULT_LOADER = Component("file")


def clean(value: Any, field: str = "metadata") -> Any:
    """JSON that Postgres can keep: no NUL characters and no lone surrogates in texts. Raises `Unprocessable`, naming
    the field, for values that are not JSON."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {clean(str(key)): clean(item, field) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(item, field) for item in value]
    if value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and value - value == 0):
        return value
    raise Unprocessable(f"{field}: {value!r} is not a JSON value")


def defaults_of(store: StoreRow) -> tuple[Component, Component]:
    """The embedding and the vector store that a document store uses."""
    return store.embedding or DEFAULT_EMBEDDING, store.vector_store or DEFAULT_VECTOR_STORE


def check_components(vector_store: Component | None, record_manager: Component | None) -> None:
    """Raises `Unprocessable` with the known names for a vector store or record manager that there is not."""
    if vector_store and vector_store.name not in ("", *VECTOR_STORES):
        known = ", ".join(VECTOR_STORES)
        raise Unprocessable(f"vectorStore.name: '{vector_store.name}' is not available here; use {known}")
    if record_manager and record_manager.name not in ("", *RECORD_MANAGERS):
        known = ", ".join(RECORD_MANAGERS)
        raise Unprocessable(f"recordManager.name: '{record_manager.name}' is unknown; use {known}")


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
        embedding = _merge(asked.embedding, (store.embedding if store else None) or DEFAULT_EMBEDDING)
        embedder = await embedder_of(resources, workspace, embedding)
        other = asked.embedding is not None and not asked.new_store and store is not None
        intake = cls(
            resources=resources,
            workspace=workspace,
            store_id=uuid4() if asked.new_store else store_id,
            asked=asked,
            template=store,
            base=base,
            component=_merge(asked.loader, Component(base.component, base.config) if base else DEFAULT_LOADER),
            splitter=_merge(asked.splitter, base.splitter) if base and base.splitter else asked.splitter,
            embedding=embedding,
            fingerprint=await fingerprint_of(embedder) if other and embedding != store.embedding else None,  # type: ignore[union-attr]
        )
        intake.recipe()
        return intake

    def new_name(self) -> str:
        """The name of a document store that the call makes."""
        return self.asked.new_store_name or f"Document Store {int(time.time() * 1000)}"

    def recipe(self) -> Recipe:
        """How the uploads of this call become chunks. Raises `Unprocessable` naming a bad option."""
        try:
            loader = DETECT if self.component.name == "file" else canonical(self.component.name)
        except LoaderError as error:
            raise Unprocessable(f"loader.name: {error.message}") from None
        options = {key: value for key, value in self.component.config.items() if key not in OWN_FIELDS}
        name = self.splitter.name if self.splitter and self.splitter.name else "default"
        config = self.splitter.config if self.splitter else {}
        try:
            make_splitter(name, config)
        except SplitterError as error:
            raise Unprocessable(f"splitter.{error.field}: {error.message}") from None
        return Recipe(loader, clean(options, "loader.config"), name, clean(config, "splitter.config"), self._metadata())

    def _metadata(self) -> Mapping[str, Any]:
        """What goes into the metadata of every chunk."""
        metadata: dict[str, Any] = {**self._loader_metadata(), **clean(self.asked.metadata or {})}
        size = len(json.dumps(metadata, ensure_ascii=False).encode())
        limit = self.resources.settings.max_metadata
        if size > limit:
            raise TooLarge(f"max_metadata: the metadata have {size} bytes, the limit is {limit}")
        return metadata

    def _loader_metadata(self) -> Mapping[str, Any]:
        """Additional metadata in the loader's own field, an object or its JSON text."""
        value = self.component.config.get("metadata")
        if isinstance(value, str) and value.strip():
            try:
                value = json.loads(value)
            except json.JSONDecodeError as error:
                raise Unprocessable(f"loader.config.metadata: not valid JSON: {error}") from None
        if not value:
            return {}
        if not isinstance(value, Mapping):
            raise Unprocessable("loader.config.metadata: must be a JSON object")
        cleaned: dict[str, Any] = clean(value, "loader.config.metadata")
        return cleaned

    # Sources

    def sources(self, uploads: Sequence[Upload], taken: set[str] | None = None) -> list[Upload]:
        """Everything the call brings, each with a stable source id: files, text, files inside the loader's config.

        Ids in `taken` belong to other parts of the call; the new ones are added."""
        taken = set() if taken is None else taken
        named = []
        for upload in [*uploads, *self._inline()]:
            name = clean(upload.name)[-1000:] or "file"
            source, number = upload.source or f"file:{name}", 1
            while source in taken:  # different files of one name in one call
                number += 1
                source = f"{upload.source or f'file:{name}'}#{number}"
            taken.add(source)
            named.append(Upload(name, upload.stream, upload.mime, source))
        return named

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
            label = self._metadata().get("source")
            source = f"text:{label}" if isinstance(label, str) else f"text:{sha256(data).hexdigest()}"
            name = label if isinstance(label, str) else self.asked.loader_label or "Plain Text"
            found.append(Upload(name, io.BytesIO(data), "text/plain", source))
        for key in FILE_FIELDS:
            value = config.get(key)
            if isinstance(value, str) and value.strip():
                found += [_data_uri(key, item) for item in _items(value)]
        return found

    async def keep(self, upload: Upload) -> Blob:
        """Store an upload's bytes. Raises `TooLarge` naming the limit."""
        limit = self.resources.settings.max_upload
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

    async def enter(self, scope: Scope, job: Job, uploads: Sequence[tuple[Upload, Blob]]) -> tuple[UUID, list[str]]:
        """Write loader and documents for a reserved job: the loader's id, and blobs that nothing needs after the job.

        Raises `NotFound` when document store or loader went meanwhile, `EmbeddingChanged` when its vectors are others.
        """
        store = await self.lock(scope)
        if self.fingerprint is not None and await chunk_rows.any_indexed(scope, self.store_id):
            check_space(store, self.fingerprint)
        sources = [upload.source or "" for upload, _ in uploads]
        known = await ledger.by_source(scope, self.store_id, sources)
        loader_id = await self._loader(scope, {row.loader_id for row in known.values()})
        await self._configure(scope, store)
        recipe = self.recipe().as_json()
        unneeded = []  # blobs, once the job has ended, unless a later upload has them
        for upload, blob in uploads:
            row = {
                "id": uuid4(),
                "store_id": self.store_id,
                "loader_id": loader_id,
                "job_id": job.id,
                "source": upload.source,
                "name": upload.name,
                "mime": upload.mime,
                "size": blob.size,
                "sha256": blob.sha256,
                "blob": blob.key,
                "recipe": recipe,
            }
            _, old = await ledger.claim(scope, row, remake=self.asked.remake or self.repeats)
            if old:
                unneeded.append(old)
        if self.repeats:
            if uploads:
                unneeded += await ledger.mark_leaving(scope, loader_id, sources, job.id)
            else:
                await ledger.claim_all(scope, loader_id, recipe, job.id)
        return loader_id, unneeded

    async def _loader(self, scope: Scope, owners: set[UUID]) -> UUID:
        """The loader to write into: the one to replace, the one that has these very sources, or a new one."""
        config = {key: value for key, value in self.component.config.items() if key not in FILE_FIELDS}
        component = Component(self.component.name, clean(config, "loader.config"))
        reuse = next(iter(owners)) if len(owners) == 1 else None
        if self.repeats and self.base is not None:
            reuse = self.base.id
        label = clean(self.asked.loader_label) if self.asked.loader_label else None
        if reuse is not None:
            if not await records.update_loader(scope, reuse, component, label, self.splitter):
                raise NotFound(f"docId: loader {reuse} not found in document store {self.store_id}")
            return reuse
        loader_id = uuid4()
        name = label or (self.base.name if self.base else component.name)
        await records.insert_loader(scope, loader_id, self.store_id, component, name, self.splitter)
        return loader_id

    async def _configure(self, scope: Scope, store: StoreRow) -> None:
        """Remember the configurations of the call, else what the document store has, else the defaults."""
        template = self.template or store
        vectors = _merge(self.asked.vector_store, store.vector_store or template.vector_store or DEFAULT_VECTOR_STORE)
        manager = self.asked.record_manager or (template.record_manager if self.asked.new_store else None)
        named = self.asked.embedding is not None or store.embedding is None
        changes = {
            "embedding": self.embedding if named else None,
            "vector_store": vectors,
            "record_manager": manager if manager and manager.name else None,
        }
        await records.update(scope, self.store_id, {key: value for key, value in changes.items() if value})


async def submit(
    scope: Scope, parts: Sequence[tuple[Intake, Sequence[tuple[Upload, Blob]]]], history: Mapping[str, Any]
) -> Job:
    """Write loaders, documents and the one job of a call in the caller's transaction; raises as `Intake.enter`.

    `history` goes into the upsert history when the job is done."""
    first = parts[0][0]
    await first.lock(scope)
    job = await jobs.reserve(scope, uuid4(), "ingest", store_id=first.store_id)
    loaders, unneeded = [], []
    for intake, uploads in parts:
        loader_id, blobs = await intake.enter(scope, job, uploads)
        loaders.append(str(loader_id))
        unneeded += blobs
    payload = {"storeId": str(first.store_id), "docId": loaders[0], "blobs": unneeded, "history": dict(history)}
    return await jobs.enqueue(scope, first.resources.queue, job.id, payload)


def _merge(asked: Component | None, base: Component) -> Component:
    """The call's component over the inherited one: a name switches the component, config keys are laid over."""
    if asked is None:
        return base
    if asked.name and asked.name != base.name:
        return asked
    return Component(base.name, {**base.config, **asked.config})


def _items(value: str) -> list[str]:
    if not value.lstrip().startswith("["):
        return [value]
    try:
        items = json.loads(value)
    except json.JSONDecodeError:
        return [value]
    return [item for item in items if isinstance(item, str)]


def _data_uri(field: str, value: str) -> Upload:
    """`data:<mime>;base64,<data>,filename:<name>`, as Flowise's forms send files."""
    head, _, rest = value.partition(",")
    data, _, tail = rest.partition(",")
    if not head.startswith("data:") or not head.endswith(";base64"):
        raise Unprocessable(f"loader.config.{field}: must be data:<mime>;base64,<data>,filename:<name>")
    try:
        content = base64.b64decode(data, validate=True)
    except binascii.Error:
        raise Unprocessable(f"loader.config.{field}: the base64 data are damaged") from None
    name = tail.removeprefix("filename:") or field
    return Upload(PurePosixPath(name).name or field, io.BytesIO(content), head[5:-7] or None)
