"""What the members of an archive hold (see FORMAT.md), and what the routes answer."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.document_stores.ledger.types import LONGEST_MIME
from service.errors import describe_validation
from service.http.wire import Wire
from service.jobs.types import Job
from service.viewers import LONGEST, MOST_OF_DOCUMENT

FORMAT = "ragstone-document-store"
VERSION = 1

Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Principals = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=LONGEST)]], Field(max_length=MOST_OF_DOCUMENT)
]

LATER = {"principals": None, "restricted": False}
"""Fields that came later, with what leaving them out says: they are written only where they say something else, so that
a reader who does not know them refuses exactly the archives that it would misunderstand."""


class _Line(BaseModel):
    """A JSON object of an archive: nothing is left out, nothing is more, nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Part(_Line):
    """A configured component; `credential`: it had one, which archives never hold."""

    name: str = Field(min_length=1, max_length=500)
    config: dict[str, Any]
    credential: bool = False


class Fingerprint(_Line):
    """The vector space that the vectors are from."""

    provider: str = Field(max_length=500)
    model: str = Field(max_length=2000)
    dimension: int = Field(ge=1, le=16_000)
    normalised: bool
    revision: str = Field("", max_length=2000)
    query_prefix: str = Field("", max_length=10_000)
    document_prefix: str = Field("", max_length=10_000)


class Counts(_Line):
    """How many lines the members hold in all."""

    loaders: Count
    documents: Count
    chunks: Count


class Manifest(_Line):
    """`manifest.json`: what the archive is, and the document store."""

    format: Literal["ragstone-document-store"] = "ragstone-document-store"
    version: int
    created: str = Field(max_length=40)
    name: str = Field(min_length=1, max_length=500)
    description: str | None = Field(max_length=10_000)
    embedding: Part | None
    vector_store: Part | None
    record_manager: Part | None
    fingerprint: Fingerprint | None
    vectors: bool
    blobs: bool
    counts: Counts
    restricted: bool = False


class LoaderLine(_Line):
    """A line of `loaders.jsonl`."""

    component: Part
    label: str = Field(max_length=1000)
    splitter: Part | None
    kept: bool
    principals: Principals | None = None


class RecipeShape(BaseModel):
    """What a recipe holds, as far as it is used. What else it holds is kept."""

    model_config = ConfigDict(strict=True, frozen=True)

    loader: str
    loaderOptions: dict[str, Any]
    splitter: str
    splitterOptions: dict[str, Any]
    metadata: dict[str, Any]
    title: str | None = None
    omit: list[str] = []


class DocumentLine(_Line):
    """A line of `documents.jsonl`. `loader` counts the lines of `loaders.jsonl` from 0."""

    loader: Count
    source: str = Field(min_length=1, max_length=10_000)
    name: str = Field(max_length=10_000)
    mime: str | None = Field(max_length=LONGEST_MIME)
    size: int = Field(ge=0, le=2**62)
    sha256: Hash
    recipe: dict[str, Any]
    state: Literal["ready", "failed"]
    digest: Hash | None
    error_code: str | None = Field(max_length=200)
    error: str | None = Field(max_length=100_000)
    namespace: str = Field(max_length=500)
    superseded: Count
    edited: bool
    principals: Principals | None = None


class ChunkLine(_Line):
    """A line of `chunks-NNNNN.jsonl`. `document` counts the lines of `documents.jsonl` from 0."""

    key: str = Field(pattern="^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
    document: Count
    position: Count
    head: str
    text: str
    metadata: dict[str, Any]
    edited: bool
    indexed: bool


class Checksums(_Line):
    """`checksums.json`: the SHA-256 of every member before it but the blobs, which are named by theirs."""

    members: dict[str, Hash]
    blobs: Count


Shape = TypeVar("Shape", bound=BaseModel)


def shaped(shape: type[Shape], value: object) -> Shape:
    """The value in its shape. Raises `ValueError` that says what does not fit."""
    try:
        return shape.model_validate(value)
    except ValidationError as error:
        found = describe_validation([dict(item) for item in error.errors()])
        raise ValueError(found.removeprefix("Invalid request. ")) from None


class ImportResult(Wire):
    """What an import made. `credentials` are the parts that had a credential, which archives do not hold: give these
    parts one. `numEmbedded` chunks came without vectors and are embedded by `fillJobId`."""

    store_id: UUID
    name: str = Field(examples=["Handbook"])
    num_documents: int
    num_chunks: int
    num_blobs: int
    num_embedded: int
    credentials: list[str]
    created: str = Field(description="When the archive was written", examples=["2026-01-31T09:30:00+00:00"])
    job_id: UUID
    fill_job_id: UUID | None


def import_result(job: Job) -> ImportResult:
    """The answer of an import whose job is done."""
    result: Mapping[str, Any] = job.result or {}
    fill = result.get("fillJobId")
    return ImportResult(
        store_id=UUID(result["storeId"]),
        name=result["name"],
        num_documents=result["numDocuments"],
        num_chunks=result["numChunks"],
        num_blobs=result["numBlobs"],
        num_embedded=result["numEmbedded"],
        credentials=result["credentials"],
        created=result["created"],
        job_id=job.id,
        fill_job_id=UUID(fill) if fill else None,
    )
