"""What a copy is asked with and answered by."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import Field

from service.document_stores.copying.types import Copy
from service.document_stores.examples import EXAMPLE_ID
from service.document_stores.recipe import clean
from service.document_stores.types import Component
from service.document_stores.upserting.wire import FailedDocument, Part
from service.errors import Unprocessable
from service.http.wire import Body, Date, Wire
from service.jobs.types import Job

MOST_HOURS = 24 * 31


class CopyBody(Body):
    """What a copy has otherwise than its original."""

    name: str | None = Field(None, max_length=500, description="Default: that of the original, with (copy)")
    splitter: Part | None = Field(None, description="Cuts all documents; default: as their loaders say")
    embedding: Part | None = Field(None, description="Default: as the original", examples=[None])
    hours: float | None = Field(
        None, gt=0, le=MOST_HOURS, description="After so many it is deleted; default: it stays", examples=[24]
    )

    def component(self, field: str, part: Part | None) -> Component | None:
        """A component that is named. Raises `Unprocessable` for fields without a name."""
        if part is None or not (part.name or part.config):
            return None
        if not part.name:
            raise Unprocessable(f"{field}.name: is missing")
        return Component(part.name, clean(part.config or {}, f"{field}.config"))


class CopyResult(Wire):
    """A copy that was made. Documents that failed in the original are left out (`numLeftOut`); of chunks whose text is
    embedded somewhere else in the family, nothing was embedded (`numEmbedded` counts the rest)."""

    store_id: UUID = Field(examples=[EXAMPLE_ID])
    num_chunks: int
    num_embedded: int
    num_left_out: int
    failed: list[FailedDocument]
    job_id: UUID = Field(examples=[EXAMPLE_ID])


class CopyRow(Wire):
    """A copy of a document store."""

    id: UUID = Field(examples=[EXAMPLE_ID])
    name: str = Field(examples=["Handbook (copy)"])
    created_date: Date
    expires_date: Date | None = Field(description="When it is deleted; null: it stays")


def copy_result(job: Job) -> CopyResult:
    """The answer of a copy whose job is done."""
    result: Mapping[str, Any] = job.result or {}
    assert job.store_id is not None
    return CopyResult(
        store_id=job.store_id,
        num_chunks=result["totalKeys"],
        num_embedded=result["numEmbedded"],
        num_left_out=result["numLeftOut"],
        failed=[FailedDocument(**item) for item in result["failed"]],
        job_id=job.id,
    )


def copy_row(copy: Copy) -> CopyRow:
    """A copy in the list of them."""
    return CopyRow(id=copy.id, name=copy.name, created_date=copy.created_at, expires_date=copy.expires_at)
