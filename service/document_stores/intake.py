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
from service.document_stores.recipe import Recipe
from service.document_stores.space import DEFAULT_EMBEDDING, embedder_of
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

VECTOR_STORES = ("pgvector", "postgres")
RECORD_MANAGERS = ("postgresRecordManager", "SQLiteRecordManager", "MySQLRecordManager")

DEFAULT_VECTOR_STORE = Component("pgvector")
DEFAULT_LOADER = Component("file")


def clean(value: Any) -> Any:
    """JSON that Postgres can keep: no NUL characters and no lone surrogates in texts. Raises `Unprocessable` for
    values that are not JSON."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {clean(str(key)): clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(item) for item in value]
    if value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and value - value == 0):
        return value
    raise Unprocessable(f"metadata: {value!r} is not a JSON value")


def defaults_of(store: StoreRow) -> tuple[Component, Component]:
    """The embedding and the vector store that a document store uses."""
    return store.embedding or DEFAULT_EMBEDDING, store.vector_store or DEFAULT_VECTOR_STORE


@dataclass(frozen=True, slots=True)
class Intake:
    """A checked upsert call."""

    resources: Resources
    workspace: UUID
    store_id: UUID
    store: StoreRow | None
    asked: Upsert
    base: LoaderRow | None
    component: Component
    splitter: Component | None
    metadata: Mapping[str, Any]

    @classmethod
    def check(
        cls, resources: Resources, workspace: UUID, store_id: UUID, store: StoreRow | None, asked: Upsert
    ) -> "Intake":
        """Check the parts of the call that need no look-up. Raises errors that name the field."""
        base = None
        if asked.doc_id is not None:
            loaders = store.loaders if store else ()
            base = next((loader for loader in loaders if loader.id == asked.doc_id), None)
            if base is None:
                raise NotFound(f"docId: loader {asked.doc_id} not found in document store {store_id}")
        component = _merge(asked.loader, Component(base.component, base.config) if base else DEFAULT_LOADER)
        splitter = _merge(asked.splitter, base.splitter if base else None)
        if asked.vector_store and asked.vector_store.name not in ("", *VECTOR_STORES):
            known = ", ".join(VECTOR_STORES)
            raise Unprocessable(f"vectorStore.name: '{asked.vector_store.name}' is not available here; use {known}")
        if asked.record_manager and asked.record_manager.name not in ("", *RECORD_MANAGERS):
            raise Unprocessable(f"recordManager.name: '{asked.record_manager.name}' is unknown")
        assert component is not None
        intake = cls(
            resources, workspace, store_id, store, asked, base, component, splitter, cls._metadata(asked, resources)
        )
        intake.recipe("", None)
        return intake

    @staticmethod
    def _metadata(asked: Upsert, resources: Resources) -> Mapping[str, Any]:
        metadata: dict[str, Any] = clean(asked.metadata or {})
        size = len(json.dumps(metadata, ensure_ascii=False).encode())
        limit = resources.settings.max_metadata
        if size > limit:
            raise TooLarge(f"max_metadata: the metadata have {size} bytes, the limit is {limit}")
        return metadata

    async def check_embedding(self) -> None:
        """Check that the configured embedder can be made: its fields, its credential."""
        embedding = self.asked.embedding or (self.store.embedding if self.store else None)
        await embedder_of(self.resources, self.workspace, embedding)

    def new_name(self) -> str:
        """The name of a document store that the call makes."""
        return self.asked.new_store_name or f"Document Store {int(time.time() * 1000)}"

    def recipe(self, _name: str, _mime: str | None) -> Recipe:
        """How each upload of this call becomes chunks. Raises `Unprocessable` naming a bad option."""
        try:
            loader = DETECT if self.component.name == "file" else canonical(self.component.name)
        except LoaderError as error:
            raise Unprocessable(f"loader.name: {error.message}") from None
        if self.component.name == "plainText":
            loader = "text"
        options = {
            key: value
            for key, value in self.component.config.items()
            if key not in (*FILE_FIELDS, "text", "metadata", "textSplitter", "omitMetadataKeys")
        }
        name = self.splitter.name if self.splitter and self.splitter.name else "default"
        config = self.splitter.config if self.splitter else {}
        try:
            make_splitter(name, config)
        except SplitterError as error:
            raise Unprocessable(f"splitter.{error.field}: {error.message}") from None
        return Recipe(loader, options, name, config, {**self._loader_metadata(), **self.metadata})

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
        cleaned: dict[str, Any] = clean(value)
        return cleaned

    # Sources

    def sources(self, uploads: Sequence[Upload]) -> list[Upload]:
        """Everything the call brings, each with a stable source id: files, text, files inside the loader's config."""
        found = [*uploads, *self._inline()]
        seen: dict[str, int] = {}
        named = []
        for upload in found:
            name = clean(upload.name)[-1000:] or "file"
            source = upload.source or f"file:{name}"
            seen[source] = seen.get(source, 0) + 1
            if seen[source] > 1:  # two different files of one name in one call
                source = f"{source}#{seen[source]}"
            named.append(Upload(name, upload.stream, upload.mime, source))
        return named

    def _inline(self) -> list[Upload]:
        config = self.component.config
        found = []
        text = config.get("text")
        if isinstance(text, str) and self.component.name == "plainText":
            data = clean(text).encode()
            label = self.metadata.get("source") or self._loader_metadata().get("source")
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

    async def submit(self, scope: Scope, uploads: Sequence[tuple[Upload, Blob]]) -> Job:
        """Write loader, documents and job in the caller's transaction."""
        asked = self.asked
        if not await records.hold(scope, self.store_id):
            raise NotFound(f"Document store {self.store_id} not found")
        known = await ledger.by_source(scope, self.store_id, [upload.source or "" for upload, _ in uploads])
        loader_id = await self._loader(scope, {row.loader_id for row in known.values()}, len(uploads))
        await self._configure(scope)
        job_id = uuid4()
        job = await jobs.reserve(scope, job_id, "ingest", store_id=self.store_id)
        replaced = []
        for upload, blob in uploads:
            recipe = self.recipe(upload.name, upload.mime)
            _, old = await ledger.claim(
                scope,
                {
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
                    "recipe": recipe.as_json(),
                },
            )
            if old:
                replaced.append(old)
        payload: dict[str, Any] = {"docId": str(loader_id), "replacedBlobs": replaced}
        if asked.replace_existing and self.base:
            payload["replaceLoader"] = str(loader_id)
        return await jobs.enqueue(scope, self.resources.queue, job.id, payload)

    async def _loader(self, scope: Scope, owners: set[UUID], count: int) -> UUID:
        """The loader to write into: the one to replace, the one that has these very sources, or a new one."""
        label = self.asked.loader_label
        reuse = self.base.id if self.base and self.asked.replace_existing else None
        if reuse is None and len(owners) == 1 and count >= 1:
            reuse = next(iter(owners))
        config = {key: value for key, value in self.component.config.items() if key not in FILE_FIELDS}
        component = Component(self.component.name, clean(config))
        if reuse is not None:
            await records.update_loader(scope, reuse, component, label, self.splitter)
            return reuse
        loader_id = uuid4()
        name = label or (self.base.name if self.base else component.name)
        await records.insert_loader(scope, loader_id, self.store_id, component, name, self.splitter)
        return loader_id

    async def _configure(self, scope: Scope) -> None:
        """Remember the configurations of the call, or the defaults, on the document store."""
        embedding = self.asked.embedding or (self.store.embedding if self.store else None) or DEFAULT_EMBEDDING
        vectors = self.asked.vector_store or (self.store.vector_store if self.store else None) or DEFAULT_VECTOR_STORE
        changes = {"embedding": embedding, "vector_store": vectors, "record_manager": self.asked.record_manager}
        await records.update(scope, self.store_id, {key: value for key, value in changes.items() if value})


def _merge(asked: Component | None, base: Component | None) -> Component | None:
    """The call's component over the inherited one: a name switches the component, config keys are laid over."""
    if asked is None:
        return base
    if base is None or (asked.name and asked.name != base.name):
        return asked if asked.name else Component(base.name if base else "default", asked.config)
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
