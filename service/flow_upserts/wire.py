"""The JSON shapes of upserts into chatflows (contract 2.1)."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, ValidationError

from service.document_stores.types import Upload
from service.document_stores.wire import EXAMPLE_ID, AddedDoc, FailedDocument, object_text
from service.errors import BadRequest, Unprocessable, describe_validation
from service.flow_upserts.types import FlowUpsert, Started
from service.http.wire import Body, IdText, Wire
from service.jobs.types import Job
from service.json_text import read
from service.viewers import MOST_OF_DOCUMENT, principals

OWN_PARTS = frozenset({"stopNodeId", "overrideConfig", "question", "chatId", "principals"})
"""Text parts of a form that are no overrides."""


class FlowUpsertBody(Body):
    """What to upsert. Nothing need be given: then what the chatflow's own loaders hold is upserted."""

    stop_node_id: str | None = Field(
        None,
        max_length=500,
        description="The vector store to fill, where the chatflow has several",
        examples=["faiss_0"],
    )
    override_config: dict[str, Any] | None = Field(
        None,
        description="Fields of nodes to set for this call, where the chatflow's apiConfig opens them",
        examples=[{"chunkSize": 800}],
    )
    question: str | None = Field(None, max_length=100_000, description="Accepted; has no effect")
    chat_id: Annotated[str | None, IdText] = Field(
        None,
        max_length=512,
        description="The conversation that files belong to, where the vector store keeps them apart",
    )

    principals: list[str] | None = Field(
        None,
        description="Who may find what this call brings; default: everybody, or whoever might so far. In forms JSON"
        " text. Not for widgets",
        examples=[None],
    )

    def asked(self, files: Sequence[Upload] = (), more: Mapping[str, Any] | None = None) -> FlowUpsert:
        """The call in the feature's own words; `more` are overrides that came as parts of a form."""
        return FlowUpsert(
            stop_node=self.stop_node_id or "",
            overrides={**(more or {}), **(self.override_config or {})},
            chat=self.chat_id or "",
            files=files,
            principals=principals(self.principals, MOST_OF_DOCUMENT),
        )


class FlowUpsertResult(Wire):
    """What an upsert did, in chunks. `addedDocs` holds the first thousand added chunks, `failed` the documents that
    could not be read while others could, `notes` what of the chatflow has no effect or brought nothing."""

    num_added: int
    num_deleted: int
    num_updated: int
    num_skipped: int
    total_keys: int
    added_docs: list[AddedDoc]
    store_id: UUID = Field(description="The document store behind the node", examples=[EXAMPLE_ID])
    job_id: UUID = Field(examples=[EXAMPLE_ID])
    failed: list[FailedDocument] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)


def body_of_json(content: bytes) -> FlowUpsertBody:
    """The body of a JSON call, which may be empty; blocks. Raises `BadRequest`, `Unprocessable` naming the fields."""
    try:
        values = read(content) if content.strip() else {}
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"The body is not valid JSON: {error}") from None
    return _checked(values)


def body_of_form(fields: Mapping[str, str], *, files: bool) -> tuple[FlowUpsertBody, dict[str, Any]]:
    """The body of a form, and its other text parts, which are overrides when files come along (contract 1.1); blocks.

    Raises `Unprocessable` naming the fields, `TooLarge` naming one with too long a JSON text."""
    values: dict[str, Any] = {name: value for name, value in fields.items() if name in OWN_PARTS and value != ""}
    for name in values.keys() & {"overrideConfig", "principals"}:
        values[name] = object_text(name, values[name], long=name == "overrideConfig")
    more = {name: value for name, value in fields.items() if name not in OWN_PARTS and value != ""} if files else {}
    return _checked(values), more


def _checked(values: object) -> FlowUpsertBody:
    try:
        return FlowUpsertBody.model_validate(values)
    except ValidationError as error:
        raise Unprocessable(describe_validation([dict(item) for item in error.errors()])) from None


def result(started: Started, job: Job, added: Sequence[AddedDoc]) -> FlowUpsertResult:
    """The answer of an upsert whose job is done."""
    found: Mapping[str, Any] = job.result or {}
    return FlowUpsertResult(
        num_added=found["numAdded"],
        num_deleted=found["numDeleted"],
        num_updated=found["numUpdated"],
        num_skipped=found["numSkipped"],
        total_keys=found["totalKeys"],
        added_docs=list(added),
        store_id=started.store_id,
        job_id=job.id,
        failed=[FailedDocument(**item) for item in found.get("failed", ())],
        notes=list(started.notes),
    )
