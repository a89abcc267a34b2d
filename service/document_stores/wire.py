"""Flowise's shapes of document stores (contract, area 3)."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from service.document_stores.examples import EXAMPLE_ID as EXAMPLE_ID
from service.document_stores.ledger.types import ChunkRow, DocumentRow
from service.document_stores.loading.files import shown, source_of
from service.document_stores.recipe import clean
from service.document_stores.secrets import masked
from service.document_stores.types import LOADERS_ARE_ADDED, Component, LoaderRow, StoreRow
from service.document_stores.upserting.wire import AddedDoc as AddedDoc
from service.document_stores.upserting.wire import FailedDocument as FailedDocument
from service.document_stores.upserting.wire import added_docs as added_docs
from service.document_stores.upserting.wire import object_text as object_text
from service.errors import Unprocessable
from service.http.wire import Body, Date, Wire
from service.json_text import parsed
from service.nodes.service import label_of

ConfigText = str | dict[str, Any] | None


class StoreBody(Body):
    """What a document store can be made from or changed to; ids, dates and the workspace come from the server."""

    name: str | None = Field(None, max_length=500, examples=["Handbook"])
    description: str | None = Field(None, max_length=10_000, examples=["What employees need to know"])
    embedding_config: ConfigText = Field(None, description="`{name, config}` as an object or its JSON text")
    vector_store_config: ConfigText = Field(None, description="`{name, config}` as an object or its JSON text")
    record_manager_config: ConfigText = Field(None, description="`{name, config}` as an object or its JSON text")
    loaders: list[Any] | str | None = Field(
        None,
        description="As they were read, or their JSON text. Changes no loader; one that is not there is refused",
    )
    where_used: Any = Field(None, description="As it was read; the flows themselves say so")
    restricted: bool | None = Field(
        None, description="Whether documents without `principals` are found by nobody; default: by everybody"
    )

    def configs(self) -> dict[str, Component]:
        """The configurations that were given. Raises `Unprocessable` naming the field."""
        given = {
            "embedding": ("embeddingConfig", self.embedding_config),
            "vector_store": ("vectorStoreConfig", self.vector_store_config),
            "record_manager": ("recordManagerConfig", self.record_manager_config),
        }
        found = {key: component_field(name, value) for key, (name, value) in given.items() if value}
        return {key: value for key, value in found.items() if value is not None}

    def loader_ids(self) -> list[UUID]:
        """The loaders that are named. Raises `Unprocessable` naming the field."""
        try:
            given = parsed(self.loaders) if isinstance(self.loaders, str) and self.loaders else self.loaders or []
        except ValueError as error:
            raise Unprocessable(f"loaders: not valid JSON: {error}") from None
        if not isinstance(given, list):
            raise Unprocessable("loaders: must be a list")
        return [_loader_id(number, item) for number, item in enumerate(given)]


def _loader_id(number: int, item: Any) -> UUID:
    try:
        return UUID(item["id"] if isinstance(item, Mapping) else item)
    except (KeyError, ValueError, TypeError, AttributeError):
        raise Unprocessable(f"loaders[{number}].id: must be the id of a loader. {LOADERS_ARE_ADDED}") from None


class File(Wire):
    """A file of a loader; `error` says why it is not indexed."""

    id: UUID
    name: str
    mime_prefix: str
    size: int
    status: str
    uploaded: Date
    error: str | None = None
    principals: list[str] | None = None


class Loader(Wire):
    """A loader of a document store: its component, its recipe, what it brought."""

    id: UUID
    loader_id: str = Field(examples=["pdfFile"])
    loader_name: str = Field(examples=["PDF"])
    loader_config: dict[str, Any]
    splitter_id: str = Field(description="Blank: the default one", examples=["recursiveCharacterTextSplitter"])
    splitter_name: str
    splitter_config: dict[str, Any]
    credential: str | None = None
    total_chunks: int
    total_chars: int
    status: str = Field(examples=["SYNC"])
    files: list[File]
    source: str
    principals: list[str] | None = Field(
        None, description="Who may find documents that come in through it; null: everybody"
    )


class Use(Wire):
    """A chatflow or agentflow that names a document store."""

    id: UUID
    name: str = Field(examples=["Questions about the handbook"])


class Store(Wire):
    """A document store with its loaders (the contract's DTO)."""

    id: UUID = Field(examples=[EXAMPLE_ID])
    name: str = Field(examples=["Handbook"])
    description: str | None
    loaders: list[Loader]
    where_used: list[Use | UUID] = Field(
        default_factory=list, description="Flows that name it: ids, and when one document store is read, their names"
    )
    status: str = Field(examples=["UPSERTED"])
    vector_store_config: dict[str, Any] | None
    embedding_config: dict[str, Any] | None
    record_manager_config: dict[str, Any] | None
    restricted: bool = Field(False, description="Documents without `principals` are found by nobody")
    total_chars: int
    total_chunks: int
    created_date: Date
    updated_date: Date
    workspace_id: UUID


class StorePage(BaseModel):
    """A page of document stores."""

    total: int
    data: list[Store]


class RawStore(Wire):
    """A document store as `POST /store` answers: lists and configurations are JSON texts there."""

    id: UUID = Field(examples=[EXAMPLE_ID])
    name: str = Field(examples=["Handbook"])
    description: str | None
    loaders: str = Field(examples=["[]"])
    where_used: str = Field(examples=["[]"])
    status: str = Field(examples=["EMPTY"])
    vector_store_config: str | None
    embedding_config: str | None
    record_manager_config: str | None
    created_date: Date
    updated_date: Date
    workspace_id: UUID


class StoreDeleted(BaseModel):
    """How many document stores were deleted."""

    deleted: int = Field(1, examples=[1])


class Document(Wire):
    """A document: a source in a document store, its state, and the reason when it failed."""

    id: UUID
    loader_id: UUID
    name: str = Field(examples=["handbook.pdf"])
    source: str = Field(examples=["file:handbook.pdf"])
    mime_type: str | None
    size: int
    state: str = Field(examples=["ready"])
    error_code: str | None
    error: str | None
    total_chunks: int
    total_chars: int
    principals: list[str] | None = Field(description="Who may find it; null: everybody", examples=[["group:hr"]])
    created_date: Date
    updated_date: Date


class Chunk(Wire):
    """A chunk; `metadata` is JSON text, as the contract has it."""

    id: UUID
    doc_id: UUID
    store_id: UUID
    chunk_no: int
    page_content: str
    metadata: str
    principals: list[str] | None = Field(None, description="Who may find its document; null: everybody")


class ChunkFile(Loader):
    """The loader that a page of chunks is of."""

    store_id: UUID = Field(examples=[EXAMPLE_ID])


class ChunkPage(Wire):
    """Up to fifty chunks of a document store or of one of its loaders."""

    chunks: list[Chunk]
    count: int
    file: ChunkFile | None
    current_page: int
    store_name: str
    description: str | None
    workspace_id: UUID
    doc_id: str
    characters: int


def component_field(name: str, value: str | Mapping[str, Any] | None) -> Component | None:
    """A `{name, config}` that may come as JSON text. Raises `Unprocessable` naming the field."""
    if isinstance(value, str):
        try:
            value = parsed(value)
        except ValueError as error:
            raise Unprocessable(f"{name}: not valid JSON: {error}") from None
    if not value:
        return None
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        raise Unprocessable(f"{name}: must be an object with a name and a config")
    config = clean(value.get("config") or {}, name)
    if not isinstance(config, Mapping):
        raise Unprocessable(f"{name}.config: must be an object")
    return Component(clean(value["name"]), config)


# From rows


def _config(component: Component | None) -> dict[str, Any] | None:
    return {"name": component.name, "config": masked(component.config)} if component else None


def _config_text(component: Component | None) -> str | None:
    return json.dumps(_config(component), ensure_ascii=False) if component else None


def loader_wire(row: LoaderRow) -> Loader:
    """A loader as the contract shows it."""
    names = ", ".join(file.name for file in row.files)
    return Loader(
        id=row.id,
        loader_id=row.component,
        loader_name=row.name,
        loader_config=shown(row.component, masked(row.config), [file.name for file in row.files]),
        splitter_id=row.splitter.name if row.splitter else "",
        splitter_name=label_of(row.splitter.name) if row.splitter else "",
        splitter_config=dict(row.splitter.config) if row.splitter else {},
        credential=row.credential,
        total_chunks=row.chunks,
        total_chars=row.characters,
        status=row.status.value,
        files=[
            File(
                id=file.id,
                name=file.name,
                mime_prefix=file.mime or "",
                size=file.size,
                status=file.status.value,
                uploaded=file.created_at,
                error=file.error,
                principals=_list(file.principals),
            )
            for file in row.files
        ],
        source=source_of(row.component, row.config) or names or "None",
        principals=_list(row.principals),
    )


def _list(principals: Sequence[str] | None) -> list[str] | None:
    return None if principals is None else list(principals)


def store_wire(row: StoreRow, *, named: bool = False) -> Store:
    """A document store as lists and details show it; `named`: with the names of the flows that use it."""
    return Store(
        id=row.id,
        name=row.name,
        description=row.description,
        loaders=[loader_wire(loader) for loader in row.loaders],
        where_used=[Use(id=use.id, name=use.name) if named else use.id for use in row.used_by],
        status=row.status.value,
        vector_store_config=_config(row.vector_store),
        embedding_config=_config(row.embedding),
        record_manager_config=_config(row.record_manager),
        restricted=row.restricted,
        total_chars=sum(loader.characters for loader in row.loaders),
        total_chunks=sum(loader.chunks for loader in row.loaders),
        created_date=row.created_at,
        updated_date=row.updated_at,
        workspace_id=row.workspace,
    )


def raw_store(row: StoreRow) -> RawStore:
    """A document store as its creation answers."""
    return RawStore(
        id=row.id,
        name=row.name,
        description=row.description,
        loaders=json.dumps([loader_wire(loader).model_dump(mode="json") for loader in row.loaders]),
        where_used=json.dumps([str(use.id) for use in row.used_by]),
        status=row.status.value,
        vector_store_config=_config_text(row.vector_store),
        embedding_config=_config_text(row.embedding),
        record_manager_config=_config_text(row.record_manager),
        created_date=row.created_at,
        updated_date=row.updated_at,
        workspace_id=row.workspace,
    )


def document_wire(row: DocumentRow) -> Document:
    """A document with its state."""
    return Document(
        id=row.id,
        loader_id=row.loader_id,
        name=row.name,
        source=row.source,
        mime_type=row.mime,
        size=row.size,
        state=row.state.value,
        error_code=row.error_code,
        error=row.error,
        total_chunks=row.chunks,
        total_chars=row.characters,
        principals=_list(row.principals),
        created_date=row.created_at,
        updated_date=row.updated_at,
    )


def chunk_page(
    store: StoreRow, rows: Sequence[ChunkRow], total: int, characters: int, loader: UUID | None, page: int
) -> ChunkPage:
    """A page of chunks, each with its number in its loader."""
    shown = next((item for item in store.loaders if item.id == loader), None)
    return ChunkPage(
        chunks=[
            Chunk(
                id=row.id,
                doc_id=row.loader_id,
                store_id=store.id,
                chunk_no=row.place,
                page_content=row.text,
                metadata=json.dumps(dict(row.metadata), ensure_ascii=False),
                principals=_list(row.principals),
            )
            for row in rows
        ],
        count=total,
        file=ChunkFile(**loader_wire(shown).model_dump(), store_id=store.id) if shown else None,
        current_page=page,
        store_name=store.name,
        description=store.description,
        workspace_id=store.workspace,
        doc_id=str(loader) if loader else "all",
        characters=characters,
    )
