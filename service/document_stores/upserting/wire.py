"""Flowise's shapes of upserts (contract 3.6): what they are asked with, what they answer."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field, ValidationError

from service.document_stores.examples import EXAMPLE_ID
from service.document_stores.ledger.types import ChunkRow
from service.document_stores.recipe import clean
from service.document_stores.types import Component, Upsert
from service.errors import TooLarge, Unprocessable, describe_validation
from service.http.wire import Body, Wire
from service.jobs.types import Job
from service.json_text import AT_ONCE, MOST_VALUES, TooManyValues, check_depth, parsed
from service.viewers import MOST_OF_DOCUMENT, principals


class Part(Body):
    """A component by name, and its fields."""

    name: str | None = Field(None, examples=["plainText"])
    config: dict[str, Any] | None = Field(None, examples=[{"text": "Offices close at 18:00."}])


class NewStore(Body):
    """The document store that an upsert makes."""

    name: str | None = Field(None, max_length=500)
    description: str | None = Field(None, max_length=10_000)


class OwnChunk(BaseModel):
    """A chunk that the caller cut."""

    pageContent: str = Field(description="Its text", examples=["Offices close at 18:00."])
    metadata: dict[str, Any] | None = Field(
        None, description="Its own, over those of the call; comes back with the same types", examples=[{"page": 2}]
    )
    vector: list[float] | None = Field(
        None, description="Its embedding by the document store's model; else it is embedded here", examples=[None]
    )
    id: str | None = Field(
        None, max_length=500, description="Your own id, shown as `chunkId` in the metadata", examples=["faq-17"]
    )


class UpsertBody(Body):
    """An upsert. In multipart form data every object is its JSON text, files come as parts named `files`."""

    doc_id: UUID | None = Field(None, description="Loader whose recipe is the base; with `replaceExisting` the target")
    metadata: dict[str, Any] | None = Field(None, description="Goes into the metadata of every chunk")
    replace_existing: bool | None = Field(None, description="Replace what the loader `docId` held")
    create_new_doc_store: bool | None = Field(None, description="Make a new document store and upsert into it")
    doc_store: NewStore | None = None
    loader_name: str | None = Field(None, max_length=500)
    loader: Part | None = Field(None, description="Default: by the content of each file")
    splitter: Part | None = Field(None, description="Default: by headings, paragraphs and sentences")
    embedding: Part | None = Field(None, description="Default: the bundled offline model")
    vector_store: Part | None = Field(None, description="Default: pgvector")
    record_manager: Part | None = Field(
        None, description="Its `cleanup` says what becomes of old chunks; default: those of the same source go"
    )
    principals: list[str] | None = Field(
        None,
        description="Who may find what this call brings, and what its loader brings later: `user:anna`, `group:hr`, an"
        " empty list for nobody; default: everybody, or whoever might so far",
        examples=[None],
    )
    chunks: list[OwnChunk] | None = Field(None, description="Chunks in place of files", examples=[None])
    source: str | None = Field(
        None,
        max_length=1000,
        description="The document that `chunks` are; sending it again replaces it",
        examples=[None],
    )

    def asked(self) -> Upsert:
        """The call in the feature's own words."""
        return Upsert(
            doc_id=self.doc_id,
            metadata=self.metadata,
            replace_existing=bool(self.replace_existing),
            new_store=bool(self.create_new_doc_store),
            new_store_name=self.doc_store.name if self.doc_store else None,
            new_store_description=self.doc_store.description if self.doc_store else None,
            loader_label=self.loader_name,
            loader=_part(self.loader),
            splitter=_part(self.splitter),
            embedding=_part(self.embedding),
            vector_store=_part(self.vector_store),
            record_manager=_part(self.record_manager),
            principals=principals(self.principals, MOST_OF_DOCUMENT),
        )


class AddedDoc(Wire):
    """A chunk that an upsert added."""

    page_content: str
    metadata: dict[str, Any]


class FailedDocument(BaseModel):
    """A document of an upsert that could not be indexed, and why."""

    name: str = Field(examples=["scan.pdf"])
    code: str = Field(examples=["encrypted"])
    message: str


class UpsertResult(Wire):
    """What an upsert did, in chunks. `addedDocs` holds the first thousand added chunks; `failed` the documents that
    could not be read while others could."""

    num_added: int
    num_deleted: int
    num_updated: int
    num_skipped: int
    total_keys: int
    added_docs: list[AddedDoc]
    doc_id: UUID = Field(examples=[EXAMPLE_ID])
    store_id: UUID = Field(examples=[EXAMPLE_ID])
    job_id: UUID = Field(examples=[EXAMPLE_ID])
    failed: list[FailedDocument] = Field(default_factory=list)


def _part(part: Part | None) -> Component | None:
    return Component(part.name or "", part.config or {}) if part and (part.name or part.config) else None


OBJECTS = ("metadata", "docStore", "loader", "splitter", "embedding", "vectorStore", "recordManager", "principals")

LONG = ("loader",)
"""Objects that may hold files."""

MAX_OBJECT = AT_ONCE
"""Characters of the JSON text of other objects: millions of small values would take seconds and gigabytes."""


def upsert_body(values: object) -> UpsertBody:
    """A checked upsert body; objects may come as JSON text, as they do in form data, where booleans are words too;
    blocks.

    Raises `Unprocessable` naming the fields, `TooLarge` naming one with too long a JSON text.
    """
    try:
        check_depth(values)
    except ValueError as error:
        raise Unprocessable(f"body: {error}") from None
    try:
        return UpsertBody.model_validate(with_objects(values))
    except ValidationError as error:
        raise Unprocessable(describe_validation([dict(item) for item in error.errors()])) from None


def with_objects(values: object) -> object:
    """The body of an upsert with the objects in place of their JSON text, and without what is blank.

    Raises `Unprocessable` and `TooLarge`, naming the field."""
    if not isinstance(values, Mapping):
        return values
    return {key: _object(key, value) for key, value in values.items() if value != ""}


def _object(key: str, value: object) -> object:
    if key not in OBJECTS:
        return value
    return clean(object_text(key, value, long=key in LONG) if isinstance(value, str) else value, key)


def object_text(key: str, text: str, *, long: bool = False) -> object:
    """The value in the JSON text of a field; `long`: it may have more than `MAX_OBJECT` characters, but then no more
    than `MOST_VALUES` values.

    Raises `Unprocessable` and `TooLarge`, naming the field."""
    if len(text) > MAX_OBJECT and not long:
        raise TooLarge(f"max_object: the JSON text of '{key}' has {len(text)} characters, the limit is {MAX_OBJECT}")
    try:
        return parsed(text, MOST_VALUES)
    except TooManyValues as error:
        raise TooLarge(f"max_values: the JSON text of '{key}' has {error}") from None
    except ValueError as error:
        raise Unprocessable(f"{key}: not valid JSON: {error}") from None


def added_docs(rows: Sequence[ChunkRow]) -> list[AddedDoc]:
    """Chunks that were added, each with the loader that it is of."""
    return [AddedDoc(page_content=row.text, metadata={**row.metadata, "docId": str(row.loader_id)}) for row in rows]


def upsert_result(job: Job, added: Sequence[ChunkRow]) -> UpsertResult:
    """The answer of an upsert whose job is done."""
    result: Mapping[str, Any] = job.result or {}
    assert job.store_id is not None
    return UpsertResult(
        num_added=result["numAdded"],
        num_deleted=result["numDeleted"],
        num_updated=result["numUpdated"],
        num_skipped=result["numSkipped"],
        total_keys=result["totalKeys"],
        added_docs=added_docs(added),
        doc_id=UUID(job.payload["docId"]),
        store_id=job.store_id,
        job_id=job.id,
        failed=[FailedDocument(**item) for item in result["failed"]],
    )
