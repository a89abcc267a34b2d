"""Flowise's shapes of vector store configurations and inserts (contract 3.5)."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field

from service.document_stores.examples import EXAMPLE_ID
from service.document_stores.indexing.service import Configs
from service.document_stores.ledger.types import ChunkRow
from service.document_stores.recipe import clean
from service.document_stores.types import Component
from service.document_stores.upserting.wire import AddedDoc, added_docs
from service.errors import MissingPart, Unprocessable
from service.http.wire import BlankIsNone, Body, Wire
from service.jobs.types import Job


class VectorsBody(Body):
    """What makes and holds the vectors of a document store. `config` objects may hold `credential`, a credential id."""

    store_id: Annotated[UUID | None, BlankIsNone] = Field(None, examples=[EXAMPLE_ID])
    embedding_name: str | None = Field(None, max_length=200, description="Default: the bundled offline model")
    embedding_config: dict[str, Any] | None = None
    vector_store_name: str | None = Field(None, max_length=200, description="Default: pgvector")
    vector_store_config: dict[str, Any] | None = None
    record_manager_name: str | None = Field(None, max_length=200)
    record_manager_config: dict[str, Any] | None = None

    def configs(self, *, strict: bool) -> Configs:
        """The configurations that are named; with `strict`, the others are cleared.

        Raises `Unprocessable` naming the field for a configuration without a name.
        """
        found: dict[str, Component | None] = {}
        for key, name, config, field in (
            ("embedding", self.embedding_name, self.embedding_config, "embedding"),
            ("vector_store", self.vector_store_name, self.vector_store_config, "vectorStore"),
            ("record_manager", self.record_manager_name, self.record_manager_config, "recordManager"),
        ):
            if name:
                found[key] = Component(name, clean(config or {}, f"{field}Config"))
            elif config:
                raise Unprocessable(f"{field}Name: is missing, and there is a {field}Config")
            elif strict:
                found[key] = None
        return found


class InsertBody(VectorsBody):
    """As for saving; what is left out stays, unless `isStrictSave`."""

    doc_id: Annotated[UUID | None, BlankIsNone] = Field(None, description="Index the chunks of this loader only")
    is_strict_save: bool | None = Field(None, description="Clear the configurations that are left out")


class UpdateBody(Body):
    """The vector store of a document store."""

    store_id: Annotated[UUID | None, BlankIsNone] = Field(None, examples=[EXAMPLE_ID])
    vector_store_name: str | None = Field(None, max_length=200, examples=["postgres"])
    vector_store_config: dict[str, Any] | None = None


class Nothing(BaseModel):
    """An empty object: there was nothing to change."""


class InsertResult(Wire):
    """What an insert did, in chunks, with the fields that the contract's mapper adds. `addedDocs` holds the first
    thousand chunks that were indexed."""

    num_added: int
    num_deleted: int
    num_updated: int
    num_skipped: int = Field(description="Chunks that were indexed already")
    total_keys: int
    added_docs: list[AddedDoc]
    total_chars: int = 0
    total_chunks: int = 0
    where_used: list[Any] = Field(default_factory=list)
    store_id: UUID = Field(examples=[EXAMPLE_ID])
    job_id: UUID = Field(examples=[EXAMPLE_ID])


def store_of(body: VectorsBody | UpdateBody | None) -> UUID:
    """The document store that a body names. Raises `MissingPart` without a body, and for one that names none."""
    if body is None or body.store_id is None:
        raise MissingPart("storeId: is missing")
    return body.store_id


def insert_result(store_id: UUID, job: Job, added: Sequence[ChunkRow]) -> InsertResult:
    """The answer of an insert whose job is done."""
    result = job.result or {}
    return InsertResult(
        num_added=result["numAdded"],
        num_deleted=result["numDeleted"],
        num_updated=result["numUpdated"],
        num_skipped=result["numSkipped"],
        total_keys=result["totalKeys"],
        added_docs=added_docs(added),
        store_id=store_id,
        job_id=job.id,
    )
