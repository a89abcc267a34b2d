"""Flowise's shapes of loaders as forms work with them (contract 3.3)."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, Field

from service.document_stores.examples import EXAMPLE_ID
from service.document_stores.ledger.types import NewChunk
from service.document_stores.loading.types import LoaderForm, Override, Preview
from service.document_stores.types import Component
from service.document_stores.upserting.wire import FailedDocument, UpsertBody, UpsertResult, with_objects
from service.errors import MissingPart
from service.http.wire import BlankIsNone, Body, Wire
from service.jobs.types import Job
from service.viewers import MOST_OF_DOCUMENT, principals


class LoaderBody(Body):
    """A loader as a form gives it. Files stand in `loaderConfig` as `data:<mime>;base64,<data>,filename:<name>`, or a
    JSON list of such texts; a file that is saved already as `FILE-STORAGE::["<name>"]`."""

    loader_id: str | None = Field(None, description="The component", examples=["plainText"])
    loader_name: str | None = Field(None, max_length=500, examples=["Opening hours"])
    loader_config: dict[str, Any] | None = Field(None, examples=[{"text": "Offices close at 18:00."}])
    splitter_id: str | None = Field(None, examples=["recursiveCharacterTextSplitter"])
    splitter_name: str | None = Field(None, max_length=500)
    splitter_config: dict[str, Any] | None = Field(None, examples=[{"chunkSize": 1000, "chunkOverlap": 200}])
    credential: str | None = Field(None, description="Id of a credential")
    store_id: Annotated[UUID | None, BlankIsNone] = Field(None, description="The document store")
    id: Annotated[UUID | None, BlankIsNone] = Field(None, description="A saved loader")
    principals: list[str] | None = Field(
        None, description="Who may find what the loader brings; default: everybody, or whoever might so far"
    )

    def form(self, loader: UUID | None = None) -> LoaderForm:
        """The loader in the feature's own words; `loader` is the id in the path, which counts. Raises `MissingPart`."""
        component = None
        if self.loader_id:
            config = dict(self.loader_config or {})
            if self.credential and not config.get("credential"):
                config["credential"] = self.credential
            component = Component(self.loader_id, config)
        elif self.loader_config or self.credential:
            raise MissingPart("loaderId: is missing")
        splitter = Component(self.splitter_id or "", self.splitter_config or {})
        return LoaderForm(
            store_id=self.store_id,
            id=loader or self.id,
            component=component,
            label=self.loader_name,
            splitter=splitter if splitter.name or splitter.config else None,
            principals=principals(self.principals, MOST_OF_DOCUMENT),
        )


class PreviewBody(LoaderBody):
    """A loader to try out."""

    preview_chunk_count: int | None = Field(None, description="Chunks to show; none or -1: all of them", examples=[20])

    @property
    def most(self) -> int | None:
        """Chunks to show; None: all."""
        return self.preview_chunk_count if self.preview_chunk_count and self.preview_chunk_count > 0 else None


class PreviewChunk(Wire):
    """A chunk as it would be."""

    page_content: str = Field(examples=["Offices close at 18:00."])
    metadata: dict[str, Any]


class PreviewResult(Wire):
    """What a loader would bring."""

    chunks: list[PreviewChunk]
    total_chunks: int = Field(description="Chunks in all", examples=[1])
    preview_chunk_count: int = Field(description="Chunks shown", examples=[1])


class OverrideField(BaseModel):
    """A field of a component that calls may give another value."""

    node: str = Field(examples=["Pdf File"])
    nodeId: str = Field(examples=["pdfFile_0"])
    label: str = Field(examples=["Usage"])
    name: str = Field(examples=["usage"])
    type: str = Field(examples=["perPage, perFile"])


class SelectedModel(Body):
    """A chat model by its component, and its fields."""

    name: str = Field(examples=["chatOpenAI"])
    inputs: dict[str, Any] | None = Field(None, examples=[{"modelName": "gpt-4o-mini"}])
    credential: str | None = Field(None, description="Id of a credential; may stand in `inputs` too")


class DescribeBody(Body):
    """Who is to describe a document store."""

    selected_chat_model: SelectedModel | None = Field(None, description="The chat model that writes")


class Description(BaseModel):
    """What a document store holds, for an agent that may search it."""

    content: str = Field(examples=["Rules of a company for working hours, leave and expenses."])


class RefreshBody(Body):
    """What to make anew; nothing: every loader of the document store."""

    items: list[Annotated[UpsertBody, BeforeValidator(with_objects)]] | None = Field(
        None, description="Upserts, written as their bodies are; `docId` names the loader to make anew"
    )


def preview_result(found: Preview) -> PreviewResult:
    """What a loader would bring."""
    return PreviewResult(
        chunks=[_chunk(chunk) for chunk in found.chunks],
        total_chunks=found.total,
        preview_chunk_count=len(found.chunks),
    )


def _chunk(chunk: NewChunk) -> PreviewChunk:
    return PreviewChunk(page_content=chunk.text, metadata=dict(chunk.metadata))


def override_field(item: Override) -> OverrideField:
    """A field that calls may give another value."""
    return OverrideField(node=item.node, nodeId=item.node_id, label=item.label, name=item.name, type=item.type)


def failed_result(store_id: UUID, job: Job) -> UpsertResult:
    """The answer for a loader that could not be made anew: nothing changed, and why."""
    error = job.error or {}
    reason = FailedDocument(name="", code=error.get("code", "internal"), message=error.get("message", ""))
    return UpsertResult(
        num_added=0,
        num_deleted=0,
        num_updated=0,
        num_skipped=0,
        total_keys=0,
        added_docs=[],
        doc_id=UUID(job.payload["docId"]),
        store_id=job.store_id or store_id,
        job_id=job.id,
        failed=[reason],
    )


EXAMPLE_PROCESS = {"storeId": EXAMPLE_ID, "id": EXAMPLE_ID}
"""Enough to process a saved loader."""
